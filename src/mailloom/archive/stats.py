"""Counts over an archive: by month, sender, size, charset, problem, thread and kind of attachment.

Everything is counted by the databases, so that a million messages take seconds and no memory to speak of.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from mailloom.archive.analyse import Analysis
from mailloom.archive.reading import Archive
from mailloom.schema import text_id

MEMORY = "400MB"  # for DuckDB, which follows the paths of threads
SIZES = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 256_000, 1_000_000, 10_000_000)
"""Upper bounds of the classes of sizes, in bytes of raw mail; the last class has none."""
THREADS = (1, 2, 3, 5, 10, 20, 50, 100, 1000)
"""The same for threads, in messages."""


class Longest(NamedTuple):
    """A long thread: its id, its messages, the subject of its oldest message."""

    thread: str
    messages: int
    subject: str


class Type(NamedTuple):
    """Attachments of one MIME type; bytes are decoded."""

    type: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of messages, unless a name says otherwise. Sizes are bytes, dates ms. What has no date is in `undated` and in no month.

    `sizes` and `thread_sizes` have the upper bound of a class as key, 0 for the one without; `domains`, `charsets`, `problems`,
    `longest` and `types` hold the most frequent ones, the most frequent first.
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


_TOTALS = """select count(*), coalesce(sum(nested), 0), coalesce(sum(attachments), 0), coalesce(sum(size), 0),
  coalesce(max(size), 0), count(*) - count(date), min(date), max(date) from messages where scope = ?"""
_STATES = "select state, count(*) from deliveries where scope = ? group by state order by state"
_MONTHS = """select strftime('%Y-%m', date / 1000, 'unixepoch') as month, count(*) from messages
  where scope = ? and date is not null and month is not null group by month order by month"""
_DOMAINS = """select iif(instr(sender, '@'), substr(sender, instr(sender, '@') + 1), '') as domain, count(*) as n from messages
  where scope = ? group by domain order by n desc, domain limit ?"""


def stats(archive: Archive, top: int = 10) -> Stats:
    """Count everything; of what has no end, such as domains, the `top` most frequent."""
    ask, scope = archive.connection.execute, archive.scope
    with Analysis(archive, memory=MEMORY) as analysis:
        totals: Any = ask(_TOTALS, (scope,)).fetchone()
        messages, nested, attachments, size, largest, undated, first, last = totals
        threads, thread_sizes, longest = _threads(analysis, top)
        return Stats(
            messages=messages,
            nested=nested,
            attachments=attachments,
            bytes=size,
            largest=largest,
            threads=threads,
            undated=undated,
            first=first,
            last=last,
            deliveries=dict(ask(_STATES, (scope,))),
            months=dict(ask(_MONTHS, (scope,))),
            domains=dict(ask(_DOMAINS, (scope, top))),
            sizes=_classes(archive),
            charsets=_words(archive, "charsets", " ", top),
            problems=_words(archive, "problems", ",", top),
            thread_sizes=thread_sizes,
            longest=longest,
            types=_types(analysis, top) if attachments else (),
        )


def _bound(column: str, bounds: tuple[int, ...]) -> str:
    cases = " ".join(f"when {column} <= {bound} then {bound}" for bound in bounds)
    return f"case {cases} else 0 end"


def _classes(archive: Archive) -> dict[int, int]:
    sql = f"select {_bound('size', SIZES)} as class, count(*) from messages where scope = ? group by class"  # noqa: S608  constants
    found = dict(archive.connection.execute(sql, (archive.scope,)))
    return {bound: found[bound] for bound in (*SIZES, 0) if bound in found}


def _words(archive: Archive, column: str, separator: str, top: int) -> dict[str, int]:
    """A column of several words a message: counted by combination, of which there are few, then by word."""
    sql = f"select {column}, count(*) from messages where scope = ? group by {column}"  # noqa: S608  constants
    counts: Counter[str] = Counter()
    for words, count in archive.connection.execute(sql, (archive.scope,)):
        for word in {word for word in words.lower().split(separator) if word}:
            counts[word] += count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top])


def _threads(analysis: Analysis, top: int) -> tuple[int, dict[int, int], tuple[Longest, ...]]:
    analysis.load(["threads"])
    duck, archive = analysis.duck, analysis.archive
    duck.execute("create temp table _sizes as select thread, count(*) as n from _threads group by thread")
    total = int(duck.execute("select count(*) from _sizes").fetchall()[0][0])
    found = dict(duck.execute(f"select {_bound('n', THREADS)}, count(*) from _sizes group by 1").fetchall())  # noqa: S608
    rows = duck.execute("select thread, n from _sizes order by n desc, thread limit ?", [top]).fetchall()
    subject = "select subject from messages where scope = ? and id = ?"
    longest = tuple(
        Longest(text_id(thread), n, archive.connection.execute(subject, (archive.scope, thread)).get or "")
        for thread, n in rows
        if n > 1
    )
    return total, {bound: found[bound] for bound in (*THREADS, 0) if bound in found}, longest


def _types(analysis: Analysis, top: int) -> tuple[Type, ...]:
    analysis.load(["attachments"])
    sql = "select type, count(*) as n, sum(size)::bigint from attachments group by type order by n desc, type limit ?"
    return tuple(Type(*row) for row in analysis.duck.execute(sql, [top]).fetchall())
