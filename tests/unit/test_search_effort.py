"""Searching a folder takes as many steps as it has mail, not as many as their square."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailloom.flow.commit import Arrived, commit
from mailloom.flow.transform import seal, transform
from mailloom.mail.model import Origin
from mailloom.query import read
from mailloom.stores.sqlite.search import SqliteFinder
from mailloom.wire import open_for_writing

EVERY = 10  # instructions of SQLite between two counts


def steps(folder: Path, mails: int, query: str) -> tuple[int, int]:
    """(how many answer, what SQLite needs to count them) in a folder of so many mails, all in one folder but for one."""
    raws = [b"From: ann@example.org\nMessage-ID: <%d@example.org>\nSubject: order\n\n" % n for n in range(mails)]
    origins = [Origin("/box", f"{n}", 0, 0, 0, 0, folder="Sent" if n == 0 else "Inbox") for n in range(mails)]
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    with open_for_writing(folder) as stores:
        with stores.unit():
            commit([Arrived(seal(transform(*one)), 0, 0) for one in zip(raws, origins, strict=True)], [], stores)
        connection = stores.connection
        connection.set_progress_handler(count, EVERY)
        found = SqliteFinder(connection).count(read(query), lambda _: ())
        connection.set_progress_handler(None)
    return found, counted


@pytest.mark.parametrize(
    ("query", "few", "many"),
    [
        ("in:Sent", 1, 1),
        ("-in:Sent", 99, 399),
        ("order in:Sent", 1, 1),
        ("in:Sent OR from:bob", 1, 1),
        ("date:2024", 0, 0),
    ],
)
def test_a_search_takes_steps_in_proportion_to_the_mail(query: str, few: int, many: int, tmp_path: Path) -> None:
    found_few, short = steps(tmp_path / "few", 100, query)
    found_many, long = steps(tmp_path / "many", 400, query)
    assert (found_few, found_many) == (few, many)
    assert long < 8 * short + 100  # four times, with slack; their square would be 16 times
