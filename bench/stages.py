"""Where the time of an ingest goes: CPU milliseconds a mail of each stage, on given folders of mail.

    python bench/stages.py FOLDER... [--most N]

CPU time of this one process (so other work on the machine matters little), warm files, no worker processes.
"""

from __future__ import annotations

import argparse
import email
import tempfile
import time
from collections.abc import Callable
from email import policy
from pathlib import Path

from mailloom.flow.commit import Arrived, commit
from mailloom.flow.transform import seal, transform
from mailloom.mail.cut.segment import cut
from mailloom.mail.identity import identify
from mailloom.mail.inside.nested import inline
from mailloom.mail.parse import read
from mailloom.mail.parts.mime import scan
from mailloom.mail.text.body import body
from mailloom.sources import Item, load, walk
from mailloom.stores.files import frames
from mailloom.thread.evidence import evidence
from mailloom.thread.settle import settle
from mailloom.wire import open_for_writing

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--most", type=int, default=4000)
    given = parser.parse_args()
    mails = [m for f in given.folders for x in walk(f) if isinstance(x, Item) and isinstance(m := load(x), Item)][
        : given.most
    ]
    count = len(mails)
    print(f"{count:,} mails, mean {sum(len(m.raw) for m in mails) / count / 1000:.1f} KB")

    def stage(name: str, work: Callable[[], object]) -> object:
        began = time.process_time()
        result = work()
        print(f"  {name:<34}{(time.process_time() - began) * 1000 / count:8.3f} ms a mail", flush=True)
        return result

    beside, own = _in_turns(mails)
    print(f"  {'standard library, compat32, parts read':<40}{beside:8.3f} ms a mail")
    print(f"  {'transform, in turns with it':<40}{own:8.3f} ms a mail, {own / beside:.2f} times as long")
    print("in one transform:")
    mimes = stage("scan", lambda: [scan(m.raw) for m in mails])
    bodies = stage("scan again, body", lambda: [body(scan(m.raw)) for m in mails])
    cuts = stage("cut", lambda: [cut(b.text, b.marks) for b in bodies])
    stage("inline", lambda: [inline(b.text, c[0]) for b, c in zip(bodies, cuts, strict=True)])
    pairs = stage("read (all of these and the headers)", lambda: [read(m.raw) for m in mails])
    records = stage("identify", lambda: [identify(*pair) for pair in pairs])
    stage("evidence", lambda: [evidence(record) for record in records])
    outcomes = stage("transform (read to evidence)", lambda: [transform(m.raw, m.origin) for m in mails])
    print("around it:")
    sealed = stage("seal", lambda: [seal(outcome) for outcome in outcomes])
    packed = stage(
        "raw frames", lambda: [frames([(s.raw_sha256, m.raw) for s, m in part]) for part in _parts(sealed, mails)]
    )
    with tempfile.TemporaryDirectory() as place, open_for_writing(Path(place) / "archive") as stores:
        batches = [
            ([Arrived(s, 0, 0) for s, _ in part], fs) for part, fs in zip(_parts(sealed, mails), packed, strict=True)
        ]

        def commits() -> None:
            for batch, fs in batches:
                with stores.unit():
                    commit(batch, fs, stores)

        stage("commit", commits)
        stage("settle", lambda: settle(stores.threads))
        stage("parquet", stores.copy)
    del mimes


def _in_turns(mails: list[Item]) -> tuple[float, float]:
    """CPU milliseconds a mail of the standard library and of transform, a hundred mails each in turns: what else the machine
    does then slows both down alike.
    """
    spent = [0.0, 0.0]
    for at in range(0, len(mails), 100):
        for which, work in enumerate((lambda m: _stdlib(m.raw), lambda m: transform(m.raw, m.origin))):
            began = time.process_time()
            for mail in mails[at : at + 100]:
                work(mail)
            spent[which] += time.process_time() - began
    return spent[0] * 1000 / len(mails), spent[1] * 1000 / len(mails)


def _parts(sealed, mails):
    pairs = list(zip(sealed, mails, strict=True))
    return [pairs[i : i + BATCH] for i in range(0, len(pairs), BATCH)]


def _stdlib(raw: bytes) -> object:
    message = email.message_from_bytes(raw, policy=policy.compat32)
    return [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]


if __name__ == "__main__":
    main()
