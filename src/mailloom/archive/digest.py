"""One hash a table over what an archive says, the same for the same mail: whatever the order, the jobs, the kills, the store.

Each table is read in the order of its key and hashed as it comes, a row at a time. What depends on when or from where mail
came is left out: ledger, sources, times, the feed; so are counts of how often a copy was delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import chain, groupby
from typing import Any, NamedTuple, TypeAlias

import orjson

from mailloom.archive.reading import Archive
from mailloom.ports import Soft, WholeReader
from mailloom.schema import unpack

Row: TypeAlias = tuple[bytes, ...]


class Digest(NamedTuple):
    """One table: its name, how many rows it has, SHA-256 over them in hex digits."""

    table: str
    rows: int
    sha256: str


def digest(archive: Archive, *, raw: bool = False) -> list[Digest]:
    """The digest of each table. With `raw` also of the raw bytes' hashes, which differ between an mbox and the files of one."""
    whole = archive.whole
    with archive.snapshot():
        tables = [
            *_bodies(whole),
            _hash("evidence", whole.evidence()),
            _hash("links", chain(whole.hard_links(), map(_soft, whole.soft_links()))),
            *_members(whole),
            _hash("hand edits", _edits(archive)),
            _hash("copies", _once(whole.traces())),
        ]
        if raw:
            tables.append(_hash("raw", _once(whole.raws())))
    return tables


def overall(tables: Iterable[Digest]) -> str:
    """One hash over the digests of all tables."""
    return sha256("".join(f"{t.table} {t.rows} {t.sha256}\n" for t in tables).encode()).hexdigest()


def _once(rows: Iterator[Row]) -> Iterator[Row]:
    """Of equal rows in a row one: it doesn't matter how often a copy came."""
    return (row for row, _ in groupby(rows))


def _soft(link: Soft) -> Row:
    return (link.source, link.target, link.kind.encode(), str(link.weight).encode(), link.detail.encode())


def _edits(archive: Archive) -> list[Row]:
    """What those in force say: not when they were made, nor in which order."""
    said = [
        (e.kind.encode(), e.message, e.target, b"".join(sorted(e.inside)), b"".join(sorted(e.outside)))
        for e in archive.edits()
        if e.undone is None
    ]
    return sorted(set(said))


def _members(whole: WholeReader) -> tuple[Digest, Digest]:
    """Conversations and topics, in one pass."""
    conversations, topics = _Hash("conversations"), _Hash("topics")
    for message, conversation, topic in whole.members():
        conversations.add((message, conversation))
        topics.add((message, topic))
    return conversations.digest(), topics.digest()


def _bodies(whole: WholeReader) -> tuple[Digest, Digest]:
    """Messages, and the messages inside them, in one pass: a body is the record's canonical JSON. A message's id stands for its
    content hash: it is made of it.
    """
    messages, nested = _Hash("messages"), _Hash("nested")
    for message, body in whole.bodies():
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
