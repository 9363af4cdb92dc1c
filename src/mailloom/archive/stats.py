"""Counts over an archive: by month, sender, size, charset, problem, thread and kind of attachment.

Everything is counted by the databases, so that a million messages take seconds and no memory to speak of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mailloom.archive.analyse import Analysis
from mailloom.archive.reading import Archive
from mailloom.ports import Counted, Figures, Longest, Threaded, Totals, Type
from mailloom.ports.figures import SIZES, THREADS, classes, most
from mailloom.schema import text_id
from mailloom.wire.reading import ServerReading

MEMORY = "400MB"  # for DuckDB, which follows the paths of threads


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of messages, unless a name says otherwise. Sizes are bytes, dates ms. What has no date is in `undated` and in no month.

    `sizes` and `thread_sizes` have the upper bound of a class as key, 0 for the one without; `domains`, `charsets`, `problems`,
    `longest` and `types` hold the most frequent ones, the most frequent first. `disk` is what the archive's files take, on servers
    PostgreSQL's database.
    """

    messages: int
    nested: int
    attachments: int
    bytes: int
    largest: int
    threads: int
    undated: int
    first: int | None
    last: int | None
    deliveries: dict[str, int]
    months: dict[str, int]
    domains: dict[str, int]
    sizes: dict[int, int]
    charsets: dict[str, int]
    problems: dict[str, int]
    thread_sizes: dict[int, int]
    longest: tuple[Longest, ...]
    types: tuple[Type, ...]
    disk: int


def stats(archive: Archive, top: int = 10) -> Stats:
    """Count everything; of what has no end, such as domains, the `top` most frequent."""
    with _figures(archive) as figures:
        counted, threaded = figures.messages(top), figures.threads(top)
        totals = counted.totals
        return Stats(
            messages=totals.messages,
            nested=totals.nested,
            attachments=totals.attachments,
            bytes=totals.bytes,
            largest=totals.largest,
            threads=threaded.threads,
            undated=totals.undated,
            first=totals.first,
            last=totals.last,
            deliveries=dict(figures.deliveries()),
            months=dict(counted.months),
            domains=dict(counted.domains),
            sizes=_in_order(counted.sizes, SIZES),
            charsets=_words(counted.charsets, " ", top),
            problems=_words(counted.problems, ",", top),
            thread_sizes=_in_order(threaded.sizes, THREADS),
            longest=tuple(threaded.longest),
            types=tuple(figures.types(top)) if totals.attachments else (),
            disk=figures.bytes(),
        )


@contextmanager
def _figures(archive: Archive) -> Iterator[Figures]:
    """Who counts, in one state of the archive."""
    if isinstance(archive.readable, ServerReading):
        with archive.snapshot():
            yield archive.readable.figures
        return
    with Analysis(archive, memory=MEMORY) as analysis:
        yield FolderFigures(analysis)


def _in_order(counts: Mapping[int, int], bounds: Sequence[int]) -> dict[int, int]:
    return {bound: counts[bound] for bound in (*bounds, 0) if bound in counts}


def _words(combined: Mapping[str, int], separator: str, top: int) -> dict[str, int]:
    """A column of several words a message was counted by combination, of which there are few: now by word."""
    counts: Counter[str] = Counter()
    for words, count in combined.items():
        for word in {word for word in words.lower().split(separator) if word}:
            counts[word] += count
    return most(counts, top)


# ------------------------------------------------------------------------------------------------ a folder
_TOTALS = """select count(*), coalesce(sum(nested), 0), coalesce(sum(attachments), 0), coalesce(sum(size), 0),
  coalesce(max(size), 0), count(*) - count(date), min(date), max(date) from messages where scope = ?"""
_STATES = "select state, count(*) from deliveries where scope = ? group by state order by state"
_MONTHS = """select strftime('%Y-%m', date / 1000, 'unixepoch') as month, count(*) from messages
  where scope = ? and date is not null and month is not null group by month order by month"""
_DOMAINS = """select iif(instr(sender, '@'), substr(sender, instr(sender, '@') + 1), '') as domain, count(*) as n from messages
  where scope = ? group by domain order by n desc, domain limit ?"""
_SIZES = f"select {classes('size', SIZES)} as class, count(*) from messages where scope = ? group by class"  # noqa: S608  constants
_SUBJECT = "select subject from messages where scope = ? and id = ?"
_TYPES = "select type, count(*) as n, sum(size)::bigint from attachments group by type order by n desc, type limit ?"


class FolderFigures:
    """Implements ports.Figures: rows are counted by SQLite, what hangs on paths of nodes or lies in records by DuckDB."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis, self.archive = analysis, analysis.archive

    def _ask(self, sql: str, *values: object) -> Any:
        return self.archive.connection.execute(sql, (self.archive.scope, *values))

    def messages(self, top: int) -> Counted:
        return Counted(
            Totals(*self._ask(_TOTALS).fetchone()),
            dict(self._ask(_MONTHS)),
            dict(self._ask(_DOMAINS, top)),
            dict(self._ask(_SIZES)),
            self._combined("charsets"),
            self._combined("problems"),
        )

    def _combined(self, column: str) -> dict[str, int]:
        return dict(self._ask(f"select {column}, count(*) from messages where scope = ? group by {column}"))  # noqa: S608  constants

    def threads(self, top: int) -> Threaded:
        self.analysis.load(["threads"])
        duck = self.analysis.duck
        duck.execute("create temp table _sizes as select thread, count(*) as n from _threads group by thread")
        total = int(duck.execute("select count(*) from _sizes").fetchall()[0][0])
        found = dict(duck.execute(f"select {classes('n', THREADS)}, count(*) from _sizes group by 1").fetchall())  # noqa: S608  constants
        rows = duck.execute("select thread, n from _sizes order by n desc, thread limit ?", [top]).fetchall()
        longest = [Longest(text_id(thread), n, self._ask(_SUBJECT, thread).get or "") for thread, n in rows if n > 1]
        return Threaded(total, found, longest)

    def types(self, top: int) -> list[Type]:
        self.analysis.load(["attachments"])
        return [Type(*row) for row in self.analysis.duck.execute(_TYPES, [top]).fetchall()]

    def deliveries(self) -> dict[str, int]:
        return dict(self._ask(_STATES))

    def bytes(self) -> int:
        return self.archive.stores.disk()
