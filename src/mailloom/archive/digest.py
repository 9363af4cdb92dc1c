"""One hash a table over what an archive says, the same for the same mail: whatever the order, the jobs, the kills, the store.

Each table is read in the order of its key and hashed as it comes, in constant memory. What depends on when or from where mail
came is left out: ledger, sources, times, the feed; so are counts of how often a copy was delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import orjson

from mailloom.archive.analyse import CHUNK, Analysis
from mailloom.archive.reading import Archive
from mailloom.schema import unpack

MEMORY = "400MB"  # for DuckDB, which follows the paths of threads; the rest is a row at a time
Row: TypeAlias = tuple[bytes, ...]


class Digest(NamedTuple):
    """One table: its name, how many rows it has, SHA-256 over them in hex digits."""

    table: str
    rows: int
    sha256: str


def digest(archive: Archive, *, raw: bool = False) -> list[Digest]:
    """The digest of each table. With `raw` also of the raw bytes' hashes, which differ between an mbox and the files of one."""
    with Analysis(archive, memory=MEMORY) as analysis:
        analysis.load(["threads"])
        tables = [
            *_bodies(archive),
            _hash("evidence", _rows(archive, _EVIDENCE, analysis.epoch)),
            _hash("links", chain(*(_rows(archive, sql, analysis.epoch) for sql in (_HARD, _SOFT)))),
            _hash("conversations", _membership(analysis, "thread")),
            _hash("topics", _membership(analysis, "topic")),
            _hash("hand edits", _edits(archive)),
            _hash("copies", _rows(archive, _COPIES, archive.scope)),
        ]
        if raw:
            tables.append(_hash("raw", _rows(archive, _RAW, archive.scope)))
    return tables


def overall(tables: Iterable[Digest]) -> str:
    """One hash over the digests of all tables."""
    return sha256("".join(f"{t.table} {t.rows} {t.sha256}\n" for t in tables).encode()).hexdigest()


# Each query is in the order of the table's key, by an index, so that SQLite sorts nothing. A message's id stands for its
# content hash: it is made of it.
_BODIES = "select id, body from messages join bodies using (seq) where scope = ? order by id"
_EVIDENCE = "select message, body from stated where scope = ? order by message"
_HARD = """select links.key, links.message from links join nodes on nodes.scope = links.scope and nodes.name = links.key
  where links.scope = ? and not nodes.dead order by links.key, links.message"""
_SOFT = """select source, target, kind, cast(weight as text), detail from soft where scope = ? and live
  order by source, target"""
_COPIES = """select content_hash, trace from deliveries d join messages m on m.scope = d.scope and m.id = d.message
  where d.scope = ? and message > x'' order by message, trace"""
_RAW = """select content_hash, raw_sha256 from deliveries d join messages m on m.scope = d.scope and m.id = d.message
  where d.scope = ? and message > x'' order by message, raw_sha256"""


def _rows(archive: Archive, sql: str, scope: str) -> Iterator[Row]:
    """The rows of a query, of equal ones one: it doesn't matter how often a copy came."""
    last = None
    for row in archive.connection.cursor().execute(sql, (scope,)):
        if row != last:
            yield tuple(value if isinstance(value, bytes) else value.encode() for value in row)
        last = row


def _edits(archive: Archive) -> list[Row]:
    """What those in force say: not when they were made, nor in which order."""
    said = [
        (e.kind.encode(), e.message, e.target, b"".join(sorted(e.inside)), b"".join(sorted(e.outside)))
        for e in archive.edits()
        if e.undone is None
    ]
    return sorted(set(said))


def _membership(analysis: Analysis, column: str) -> Iterator[Row]:
    result = analysis.duck.execute(f"select message, {column} from _threads order by message")  # noqa: S608  "thread" or "topic"
    while rows := result.fetchmany(CHUNK):
        yield from rows


def _bodies(archive: Archive) -> tuple[Digest, Digest]:
    """Messages, and the messages inside them, in one pass: a body is the record's canonical JSON."""
    messages, nested = _Hash("messages"), _Hash("nested")
    for message, body in archive.connection.cursor().execute(_BODIES, (archive.scope,)):
        record = unpack(body)
        messages.add((message, record))
        if b'"nested":[{' in record:  # in a string the quotes would stand behind backslashes
            for inner in sorted(orjson.loads(record)["nested"], key=_path):
                nested.add((message, inner["path"].encode(), orjson.dumps(inner)))
    return messages.digest(), nested.digest()


def _path(inner: dict[str, Any]) -> list[int]:
    return [int(step) for step in inner["path"].split(".")]


class _Hash:
    """SHA-256 over rows. Each value is preceded by its length, so that no two different rows look alike."""

    def __init__(self, table: str) -> None:
        self.table, self.rows, self.state = table, 0, sha256()

    def add(self, row: Row) -> None:
        self.rows += 1
        self.state.update(b"%d\n" % len(row) + b"".join(b"%d:%b" % (len(value), value) for value in row))

    def digest(self) -> Digest:
        return Digest(self.table, self.rows, self.state.hexdigest())


def _hash(table: str, rows: Iterable[Row]) -> Digest:
    hashed = _Hash(table)
    for row in rows:
        hashed.add(row)
    return hashed.digest()
