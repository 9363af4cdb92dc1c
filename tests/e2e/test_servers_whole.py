"""The same answer: mail through S3, a validator, SQS and two workers, in no order and partly doubled, gives the archive that a folder gives."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mailloom.synth import generate, shape_of
from whole import EXPORTS, Whole, plain, validator_lambda

pytestmark = pytest.mark.servers
MAILS = 1_000
SHAPE = "size=2KB,again=0.05,late=0.2,lost=0.1"


def doubled(mails: list[bytes], seed: int) -> tuple[dict[str, bytes], list[str]]:
    """Objects in no order, a twentieth of the mails under a second key; and the keys, as many, of which an event shall come again."""
    dice = random.Random(seed)
    objects = [(f"source=test/date=2026-11-28/{n:06}.eml", raw) for n, raw in enumerate(mails)]
    objects += [
        (f"source=again/date=2026-11-29/{n:06}.eml", mails[n]) for n in dice.sample(range(len(mails)), len(mails) // 20)
    ]
    dice.shuffle(objects)
    return dict(objects), [key for key, _ in dice.sample(objects, len(mails) // 20)]


def same_answer(whole: Whole, folder: Path, mails: list[bytes], seed: int, limit: float = 300) -> None:
    """The mails through the whole profile, and into an archive in a folder: they say the same, row for row."""
    objects, again = doubled(mails, seed)
    with validator_lambda(whole):
        for name in ("one", "two"):
            whole.start(name, "work")
        whole.put(objects)
        whole.event(again)
        books = whole.wait(len(objects), limit=limit)
    assert books["received"] == len(objects) == books["stored"] + books["duplicate"] + books["rejected"]
    assert [whole.end(name) for name in ("one", "two")] == [0, 0]
    whole.settle()
    digest, exports = plain(folder, mails)
    assert whole.digest() == digest
    found = whole.exported()
    for what in EXPORTS:
        assert found[what] == exports[what], what
        assert found[what], what


def test_the_same_mail_gives_the_same_archive(whole: Whole, tmp_path: Path) -> None:
    same_answer(whole, tmp_path, [mail.raw for mail in generate(MAILS, 6, shape_of(SHAPE))], 6)
    assert whole.books()["rejected"] == 0
    assert "is sound" in whole.run("doctor")
