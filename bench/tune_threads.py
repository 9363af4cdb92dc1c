"""What each weight of thread/decide.py is worth: B-cubed F1 of derived threads as it is changed, one at a time.

    python bench/tune_threads.py FOLDER... [--shares 1.0 0.5] [--steps 0.5 0.75 1 1.25 1.5]

For each folder and share of masked mails (bench/masked.py) the truth is what all headers say. A weight that makes no difference
can go; one whose neighbours are better is to be moved, if they are better on every list.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from random import Random
from unittest import mock

from mailloom.mail.identity import identify
from mailloom.mail.model import MessageId
from mailloom.mail.parse import read
from mailloom.ports import Stated
from mailloom.sources import Item, load, walk
from mailloom.thread import decide
from mailloom.thread.batch import derive
from mailloom.thread.evidence import evidence
from masked import bcubed, masking

WEIGHTS = ["WROTE", "WROTE_BEFORE", "WROTE_NEARLY", "QUOTES", "FEW_RUNS", "SIBLINGS", "SUBJECT", "PEOPLE", "ADDRESSED", "TICKET",
           "TICKET_ALIKE", "AGAIN", "SERIES", "REPLY_NEEDS", "OTHER_NEEDS"]  # fmt: skip
Case = tuple[str, Sequence[Stated], Mapping[MessageId, str], Mapping[str, str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--shares", nargs="+", type=float, default=[1.0, 0.5])
    parser.add_argument("--steps", nargs="+", type=float, default=[0.5, 0.75, 1.25, 1.5])
    given = parser.parse_args()
    cases = [case for folder in given.folders for case in _cases(folder, given.shares)]
    print(f"{'':<24}" + "".join(f"{name[-26:]:>28}" for name, *_ in cases))
    print(f"{'as they are':<24}" + "".join(f"{_score(case):>28}" for case in cases), flush=True)
    for name in WEIGHTS:
        for step in given.steps:
            value = round(getattr(decide, name) * step)
            with mock.patch.object(decide, name, value):
                print(f"{name:<16}{value:>6}  " + "".join(f"{_score(case):>28}" for case in cases), flush=True)


def _cases(folder: str, shares: Sequence[float]) -> list[Case]:
    mails = [read(m.raw) for x in walk(folder) if isinstance(x, Item) and isinstance(m := load(x), Item)]
    records = [identify(*pair) for pair in mails]
    name = {r.id: r.message.message_id for r in records}
    whole = derive([evidence(r) for r in records])[0]
    truth = {name[m]: name[c] for m, c in whole.items()}
    cases: list[Case] = []
    for share in shares:
        random = Random(1)
        masked = [identify(mime, masking(message) if random.random() < share else message) for mime, message in mails]
        names = {r.id: r.message.message_id for r in masked}
        cases.append((f"{folder.rstrip('/').split('/')[-1]} {share:.0%}", [evidence(r) for r in masked], names, truth))
    return cases


def _score(case: Case) -> str:
    _, stated, name, truth = case
    found = {name[m]: name[c] for m, c in derive(stated)[0].items()}
    precision, recall = bcubed({n: truth[n] for n in found}, found)
    return f"{2 * precision * recall / (precision + recall):.4f} (P {precision:.4f} R {recall:.4f})"


if __name__ == "__main__":
    main()
