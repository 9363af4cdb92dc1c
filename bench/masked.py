"""How well threads come back when mail has lost its reply headers: B-cubed of derived threads against what the headers said.

    python bench/masked.py FOLDER... [--share 0.5] [--seed 1] [--truth GOLD.jsonl --field thread_b] [--wrong N] [--missed N]

On a seeded share of the mails In-Reply-To, References, Thread-Index and Thread-Topic are taken away, the threads are derived from
what is left, and compared with those that all headers give (or with a file of {"id": Message-ID, FIELD: thread} lines).
B-cubed (Bagga and Baldwin, 1998): for each mail the share of its thread that belongs there (precision), and the share of its true
thread that is there (recall), averaged over the mails. Mails with the same Message-ID count once.
`--wrong` and `--missed` print the first joins that the truth has not, and mails that were left alone.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

from mailloom.mail.identity import identify
from mailloom.mail.model import Message, MessageId
from mailloom.mail.parse import read
from mailloom.mail.parts.mime import Mime
from mailloom.ports import Stated, Target
from mailloom.sources import Item, load, walk
from mailloom.thread.batch import derive
from mailloom.thread.evidence import evidence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--field", default="thread_b")
    parser.add_argument("--wrong", type=int, default=0)
    parser.add_argument("--missed", type=int, default=0)
    given = parser.parse_args()
    mails = [
        read(m.raw) for f in given.folders for x in walk(f) if isinstance(x, Item) and isinstance(m := load(x), Item)
    ]
    whole, _ = _threads(mails)
    truth = _gold(given.truth, given.field) if given.truth else whole
    random = Random(given.seed)
    masked = [(mime, masking(message) if random.random() < given.share else message) for mime, message in mails]
    found, links = _threads(masked)
    names = sorted(found.keys() & truth.keys())
    precision, recall = bcubed({n: truth[n] for n in names}, {n: found[n] for n in names})
    f1 = 2 * precision * recall / (precision + recall)
    print(f"{len(names):,} mails, {len(set(truth.values())):,} threads, {given.share:.0%} masked (seed {given.seed})")
    print(f"B-cubed: precision {precision:.4f}  recall {recall:.4f}  F1 {f1:.4f}")
    print("links by kind:", dict(Counter(t.kind for _, _, t in links).most_common()))
    _errors(truth, links, {m.message_id: m for _, m in mails}, given.wrong, given.missed)


def masking(message: Message) -> Message:
    """The message without its reply headers."""
    return replace(message, in_reply_to=(), in_reply_to_text="", references=(), aliases=(), thread_index=b"")


def _threads(mails: Iterable[tuple[Mime, Message]]) -> tuple[dict[str, str], list[tuple[str, str, Target]]]:
    """Message-ID -> the Message-ID of its thread's oldest mail, and the soft links."""
    stated: dict[MessageId, Stated] = {}
    name: dict[MessageId, str] = {}
    for mime, message in mails:
        record = identify(mime, message)
        stated[record.id] = evidence(record)
        name[record.id] = message.message_id
    conversations, targets = derive(list(stated.values()))
    links = [(name[m], name[t.target], t) for m, some in targets.items() for t in some]
    return {name[m]: name[c] for m, c in conversations.items()}, links


def _gold(path: Path, field: str) -> dict[str, str]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["id"]: row[field] for row in rows}


def bcubed(truth: Mapping[str, str], found: Mapping[str, str]) -> tuple[float, float]:
    """(precision, recall) over the names, which both have."""
    in_truth, in_found, in_both = Counter(truth.values()), Counter(found.values()), Counter(_pairs(truth, found))
    both = [(in_both[pair], in_found[pair[1]], in_truth[pair[0]]) for pair in _pairs(truth, found)]
    return sum(b / f for b, f, _ in both) / len(both), sum(b / t for b, _, t in both) / len(both)


def _pairs(truth: Mapping[str, str], found: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(truth[n], found[n]) for n in truth]


def _errors(
    truth: Mapping[str, str],
    links: list[tuple[str, str, Target]],
    by_id: Mapping[str, Message],
    wrong: int,
    missed: int,
) -> None:
    bad = [x for x in links if truth.get(x[0]) != truth.get(x[1])]
    print(f"soft links {len(links):,}, of them across true threads {len(bad)}")
    for source, target, how in bad[:wrong]:
        print(f"\n  {_line(by_id[source])}\n  {_line(by_id[target])}\n    {how.weight} {how.kind}: {how.detail}")
    linked = {source for source, _, _ in links}
    members: dict[str, list[str]] = defaultdict(list)
    for name, thread in truth.items():
        if name in by_id:
            members[thread].append(name)
    alone = [
        name
        for some in members.values()
        for name in sorted(some, key=lambda n: by_id[n].date.ms or 0)[1:]
        if name not in linked and len(some) > 1
    ]
    print(f"mails that are not the first of their thread and have no soft link: {len(alone)}")
    for name in alone[:missed]:
        print(
            f"\n  {_line(by_id[name])}\n    thread {truth[name]}; heads {[(n.from_, n.date) for n in by_id[name].nested if n.depth == 1]}"
        )


def _line(message: Message) -> str:
    return f"{message.date.text[:31]}  {message.from_[0].address if message.from_ else ''}  {message.subject}  <{message.message_id}>"


if __name__ == "__main__":
    main()
