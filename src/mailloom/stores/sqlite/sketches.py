"""Sketches of messages, kept so that an ingest only ever appends them and a look-up reads few bytes a message.

No index: the values are as good as random, and each of a million messages would write to 18 places of it. A look-up reads through the
packed columns instead, 80 bytes a message at the speed of memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from mailloom.stores.sqlite.connection import Connection

KEY, BAND = 8, 4  # bytes
PACK_AT = 4096  # rows that wait for packing: so many are still read in some milliseconds
PACK_MOST = 1 << 16  # rows of one pack: bounds memory
ALL = 1 << 10  # more than there are bands: what `alike` counts for equal texts


class Columns(NamedTuple):
    """Sketches of some messages, those with bands first: seqs (4 bytes each), keys (8), and each band (4) of the first ones. All
    integers are little-endian.
    """

    seqs: bytes
    keys: bytes
    bands: tuple[bytes, ...]


def columns(rows: Iterable[tuple[int, bytes]]) -> Columns:
    """(seq, sketch) pairs by column; what has no sketch is left out."""
    ordered = sorted((len(sketch) <= KEY, seq, sketch) for seq, sketch in rows if sketch)
    seqs = b"".join(seq.to_bytes(4, "little") for _, seq, _ in ordered)
    keys = b"".join(sketch[:KEY] for _, _, sketch in ordered)
    wide = [sketch[KEY:] for short, _, sketch in ordered if not short]
    each = len(wide[0]) // BAND if wide else 0
    table = array("I", b"".join(wide))  # whole items are moved, so the machine's order of bytes doesn't matter
    return Columns(seqs, keys, tuple(table[number::each].tobytes() for number in range(each)))


class SqliteSketches:
    """The sketches of one archive, of all its scopes. The caller holds the transaction for what writes."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    @property
    def kept(self) -> bool:
        """Whether this archive has tables for them."""
        return self.connection.execute("select 1 from sqlite_schema where name = 'sketch_packs'").get is not None

    def put(self, rows: Iterable[tuple[int, bytes]]) -> None:
        self.connection.executemany("insert or replace into sketches values (?, ?)", rows)

    def pack(self) -> None:
        """Move rows into packs, if enough wait. In one transaction with nothing else needed: a sketch is in one of both places."""
        while (
            self.connection.execute("select count(*) from (select 1 from sketches limit ?)", (PACK_AT,)).get or 0
        ) >= PACK_AT:
            rows = list(self.connection.execute("select seq, sketch from sketches order by seq limit ?", (PACK_MOST,)))
            first, last = rows[0][0], rows[-1][0]
            seqs, keys, bands = columns(rows)
            self.connection.executemany(
                "insert or replace into sketch_packs values (?, ?, ?, ?)",
                ((first, last, number, data) for number, data in enumerate((seqs, keys, *bands))),
            )
            self.connection.execute("delete from sketches where seq <= ?", (last,))

    def missing(self) -> Iterator[int]:
        """Messages that nobody made a sketch of."""
        packs = list(self.connection.execute("select first, last from sketch_packs where number = 0 order by first"))
        upto, at = 0, 0
        sql = "select seq from messages where seq not in (select seq from sketches) order by seq"
        for (seq,) in self.connection.cursor().execute(sql):
            while at < len(packs) and packs[at][0] <= seq:
                upto, at = max(upto, packs[at][1]), at + 1
            if seq > upto:
                yield seq

    def blocks(self, numbers: Collection[int]) -> Iterator[dict[int, bytes]]:
        """The columns of these numbers of each pack, then of what is not packed; one that is absent is empty."""
        some = ", ".join(str(number) for number in numbers)
        sql = f"select number, data from sketch_packs where first = ? and number in ({some})"  # noqa: S608  integers
        for (first,) in self.connection.execute(
            "select first from sketch_packs where number = 0 order by first"
        ).fetchall():
            yield dict.fromkeys(numbers, b"") | dict(self.connection.execute(sql, (first,)))
        waiting = iter(self.connection.cursor().execute("select seq, sketch from sketches order by seq"))
        while rows := list(islice(waiting, PACK_MOST)):
            seqs, keys, bands = columns(rows)
            yield dict.fromkeys(numbers, b"") | {n: d for n, d in enumerate((seqs, keys, *bands)) if n in numbers}

    def sketch(self, seq: int) -> bytes:
        """The sketch of one message, b"" where it has none."""
        if (waiting := self.connection.execute("select sketch from sketches where seq = ?", (seq,)).get) is not None:
            return bytes(waiting)
        sql = "select first from sketch_packs where number = 0 and first <= ?1 and last >= ?1"
        for (first,) in self.connection.execute(sql, (seq,)).fetchall():
            found = dict(self.connection.execute("select number, data from sketch_packs where first = ?", (first,)))
            at = place(found[0], seq.to_bytes(4, "little"))
            if at >= 0:
                bands = (data[at * BAND : (at + 1) * BAND] for number, data in sorted(found.items()) if number > 1)
                return bytes(found[1][at * KEY : (at + 1) * KEY]) + b"".join(bands)
        return b""

    def alike(self, seq: int) -> Iterator[tuple[int, int]]:
        """(seq, how many bands are equal) of each other message with an equal band; ALL or more where words and context are equal."""
        sketch, mine = self.sketch(seq), seq.to_bytes(4, "little")
        wanted = {1: sketch[:KEY]} | {
            2 + n: sketch[KEY + n * BAND :][:BAND] for n in range((len(sketch) - KEY) // BAND)
        }
        for block in self.blocks((0, *wanted)) if sketch else ():
            own = place(block[0], mine)
            met = (number for number, value in wanted.items() if any(at != own for at in places(block[number], value)))
            if hits := {number: wanted[number] for number in met}:
                yield from ((other, shared) for other, shared in _shared(block, hits) if other != seq)


def _shared(block: dict[int, bytes], wanted: dict[int, bytes]) -> Iterator[tuple[int, int]]:
    """Only where something is found: numpy takes as long to load as the search."""
    import numpy as np

    seqs = np.frombuffer(block[0], "<u4")
    shared = np.zeros(len(seqs), np.int32)
    for number, value in wanted.items():
        kind = "<u8" if number == 1 else "<u4"
        column = np.frombuffer(block[number], kind)
        shared[: len(column)] += (column == np.frombuffer(value, kind)[0]) * (ALL if number == 1 else 1)
    for at in np.flatnonzero(shared):
        yield int(seqs[at]), int(shared[at])


def place(data: bytes, value: bytes) -> int:
    """Where a value first stands in a column: its number, -1 for nowhere."""
    return next(places(data, value), -1)


def places(data: bytes, value: bytes) -> Iterator[int]:
    """The numbers of a value in a column. A search in bytes also finds it across the border of two others."""
    at = data.find(value)
    while at >= 0:
        if at % len(value) == 0:
            yield at // len(value)
        at = data.find(value, at + 1)
