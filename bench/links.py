"""Soft links of a folder of mail, drawn at random and printed with both mails side by side, to be judged one by one.

    python bench/links.py FOLDER... [--count 100] [--seed 1] [--kind KIND] [--mask] [--lines 12]

As many of each kind as there are, if they are few; the rest of the count goes to the others in equal shares. Links between the same
two contents count once. With `--mask` the reply headers of all mails are taken away first (bench/masked.py). On the left stands the
earlier mail, on the right the one that was joined to it.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from random import Random
from textwrap import wrap

from mailloom.mail.identity import identify
from mailloom.mail.model import MessageId, Record
from mailloom.mail.parse import read
from mailloom.ports import Target
from mailloom.sources import Item, load, walk
from mailloom.thread.batch import derive
from mailloom.thread.evidence import evidence
from masked import masking

WIDTH = 78  # of a column
Link = tuple[Record, Record, Target]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind")
    parser.add_argument("--mask", action="store_true")
    parser.add_argument("--lines", type=int, default=12)
    given = parser.parse_args()
    by_kind: dict[str, list[Link]] = defaultdict(list)
    for one in _links(given.folders, mask=given.mask):
        if given.kind in (None, one[2].kind):
            by_kind[one[2].kind].append(one)
    drawn = draw(by_kind, given.count, Random(given.seed))
    for kind, links in sorted(by_kind.items()):
        print(f"{kind}: {len(links)} links, {sum(one[2].kind == kind for one in drawn)} drawn")
    for number, (earlier, later, how) in enumerate(drawn, 1):
        print(f"\n{'=' * (2 * WIDTH + 3)}\n{number}. {how.kind} {how.weight}: {how.detail}")
        for left, right in zip_longest(_column(earlier, given.lines), _column(later, given.lines), fillvalue=""):
            print(f"{left:<{WIDTH}} | {right}")


def _links(folders: Sequence[str], *, mask: bool) -> list[Link]:
    """(earlier or named mail, the mail that was joined to it, how), in the order of time."""
    records: dict[MessageId, Record] = {}
    for item in (x for folder in folders for x in walk(folder) if isinstance(x, Item)):
        loaded = load(item)
        if isinstance(loaded, Item):
            mime, message = read(loaded.raw)
            record = identify(mime, masking(message) if mask else message)
            records[record.id] = record
    targets = derive([evidence(r) for r in records.values()])[1]
    pairs: dict[tuple[bytes, bytes], Link] = {}
    for message in sorted(targets):
        for how in targets[message]:
            earlier, later = records[how.target], records[message]
            pairs.setdefault((earlier.twin, later.twin), (earlier, later, how))
    return list(pairs.values())


def draw(by_kind: Mapping[str, Sequence[Link]], count: int, random: Random) -> list[Link]:
    """Spread over the kinds: what a rare kind leaves of its share goes to the others."""
    drawn: list[Link] = []
    rarest_first = sorted(by_kind.values(), key=len)
    for place, links in enumerate(rarest_first):
        share = (count - len(drawn)) // (len(rarest_first) - place)
        drawn += random.sample(list(links), min(share, len(links)))
    return drawn


def _column(record: Record, lines: int) -> list[str]:
    message = record.message
    names = [", ".join(a.name or a.address for a in some) for some in (message.from_, (*message.to, *message.cc))]
    head = [message.date.text, f"From: {names[0]}", f"To: {names[1]}", f"Subject: {message.subject}"]
    body = [piece for line in message.text.split("\n") if line.strip() for piece in wrap(line, WIDTH)]
    return [line[:WIDTH] for line in head] + ["-" * WIDTH] + body[:lines]


if __name__ == "__main__":
    main()
