"""What the checks share: the archive, a DuckDB beside it, and how to count what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mailloom.archive.analyse import Analysis
from mailloom.archive.reading import Archive
from mailloom.schema import text_id

SAMPLE = 200
"""Mails whose bytes and records are read where not all are: enough to find damage that touches one mail in fifty."""
REPAIR = "`mailloom doctor --repair` mends it"
DAMAGED = "the database file is damaged: restore archive.sqlite from a backup, or ingest into a new folder"


class Verdict(NamedTuple):
    """What a check found: whether all is well, what there is in words, and how to mend what isn't."""

    ok: bool
    found: str
    mend: str


class Finding(NamedTuple):
    """One check: its name, what was found in words, and, where it is a fault, how to mend it."""

    check: str
    ok: bool
    found: str
    mend: str = ""


class Examination:
    """One state of an archive, whoever writes meanwhile. `seed` says where samples begin."""

    def __init__(self, archive: Archive, analysis: Analysis, *, deep: bool, seed: bytes) -> None:
        self.archive, self.analysis, self.deep, self.seed = archive, analysis, deep, seed
        self.folder = archive.stores.folder

    def rows(self, sql: str) -> Iterator[Any]:
        """Rows of a query, which gets the scope as ?1 if it asks for it, and as ?2 that of the thread tables."""
        values = (
            (self.archive.scope, self.analysis.epoch) if "?2" in sql else (self.archive.scope,) if "?1" in sql else ()
        )
        return self.archive.connection.cursor().execute(sql, values)

    def count(self, sql: str) -> int:
        return int(next(self.rows(f"select count(*) from {sql}"))[0])  # noqa: S608  queries of this package

    def faults(self, counted: dict[str, str]) -> str:
        """{what: what to count it from} -> "3 of this, 1 of that" of those that find something, "" if none does."""
        found = ((self.count(sql), what) for what, sql in counted.items())
        return ", ".join(f"{count:,} {what}" for count, what in found if count)

    def sampled(self) -> str:
        """A condition on seq: all messages, or some hundred all over the archive."""
        step = 1 if self.deep else max(1, self.count("messages") // SAMPLE)
        return f"seq % {step} = {int.from_bytes(self.seed) % step}"


def named(messages: Sequence[bytes], most: int = 3) -> str:
    """Some ids, so that there is something to look at."""
    more = f" and {len(messages) - most:,} more" if len(messages) > most else ""
    return ", ".join(text_id(message) for message in messages[:most]) + more
