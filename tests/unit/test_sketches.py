"""Sketches in SQLite, packed and not: every look-up against a plain list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.stores.sqlite import connect, sketches
from mailloom.stores.sqlite.connection import Connection
from mailloom.stores.sqlite.sketches import ALL, SqliteSketches, columns, place

BANDS = 3
# Few values, so that many are equal, and bytes that are easily found across the border of two values.
band = st.sampled_from([b"\0\0\0\0", b"\0\0\0\1", b"\1\0\0\0", b"\1\1\1\1", b"abab", b"baba"])
key = st.sampled_from([b"\0" * 8, b"ab" * 4, b"ba" * 4, b"\1" + b"\0" * 7])
wide = st.tuples(key, *[band] * BANDS).map(b"".join)
sketch = st.one_of(st.just(b""), key, wide, wide)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    opened = connect(tmp_path_factory.mktemp("sketches") / "archive.sqlite", write=True, create=True)
    yield opened
    opened.close()


def shared(a: bytes, b: bytes) -> int:
    if a[:8] == b[:8]:
        return ALL
    return sum(a[at : at + 4] == b[at : at + 4] for at in range(8, min(len(a), len(b)), 4))


@given(st.lists(st.lists(sketch, max_size=12), max_size=4), st.booleans(), st.data())
def test_whatever_was_packed_when_a_look_up_finds_the_same(connection, batches, always, data) -> None:
    kept = SqliteSketches(connection)
    connection.execute("begin")
    try:
        rows: list[tuple[int, bytes]] = []
        for batch in batches:
            new = list(enumerate(batch, len(rows) + 1))
            rows += new
            kept.put(new)
            sketches.PACK_AT = 1 if always or data.draw(st.booleans()) else 8
            kept.pack()
        for seq, value in rows:
            assert kept.sketch(seq) == value
            if value:
                want = {other: n for other, one in rows if one and other != seq and (n := shared(value, one))}
                assert {other: min(n, ALL) for other, n in kept.alike(seq)} == want
        assert kept.sketch(len(rows) + 1) == b""
    finally:
        sketches.PACK_AT = 4096
        connection.execute("rollback")


def test_rows_wait_until_there_are_enough_and_no_pack_is_too_large(connection, monkeypatch) -> None:
    monkeypatch.setattr(sketches, "PACK_AT", 10)
    monkeypatch.setattr(sketches, "PACK_MOST", 16)
    kept = SqliteSketches(connection)
    connection.execute("begin")
    try:
        kept.put((seq, b"k" * 8) for seq in range(1, 10))
        kept.pack()
        assert connection.execute("select count(*) from sketches").get == 9
        kept.put((seq, b"k" * 8) for seq in range(10, 51))
        kept.pack()
        packs = list(connection.execute("select first, last from sketch_packs where number = 0 order by first"))
        assert packs == [(1, 16), (17, 32), (33, 48)]
        assert [seq for (seq,) in connection.execute("select seq from sketches")] == [49, 50]
        assert set(dict(kept.alike(7))) == set(range(1, 51)) - {7}
        connection.execute("delete from sketch_packs where first = 17; delete from sketches where seq = 50")
        row = ", ".join(["?1", "''", "cast(?1 as blob)", "x''", "x''", "null", *["''"] * 7, *["0"] * 3, "''", "1"])
        connection.executemany(f"insert into messages values ({row})", [(seq,) for seq in range(1, 52)])
        assert list(kept.missing()) == [*range(17, 33), 50, 51]
    finally:
        connection.execute("rollback")


def test_columns_hold_those_with_bands_first() -> None:
    made = columns([(7, b"shortkey"), (8, b""), (9, b"K" * 8 + b"aaaabbbb"), (3, b"L" * 8 + b"ccccdddd")])
    assert made.seqs == b"\x03\0\0\0\x09\0\0\0\x07\0\0\0"
    assert made.keys == b"L" * 8 + b"K" * 8 + b"shortkey"
    assert made.bands == (b"ccccaaaa", b"ddddbbbb")
    assert columns([]) == (b"", b"", ())


@given(st.lists(band, max_size=20), band)
def test_a_value_is_found_where_values_begin(values: list[bytes], value: bytes) -> None:
    assert place(b"".join(values), value) == (values.index(value) if value in values else -1)


def test_an_archive_that_is_older_gets_the_tables_when_it_is_written(tmp_path) -> None:
    path = tmp_path / "archive.sqlite"
    old = connect(path, write=True, create=True)
    old.execute("drop table sketches; drop table sketch_packs")
    old.close()
    reading = connect(path, write=False)
    assert not SqliteSketches(reading).kept
    reading.close()
    connect(path, write=True).close()
    reading = connect(path, write=False)
    assert SqliteSketches(reading).kept
    reading.close()
