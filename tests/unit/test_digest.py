"""The same mail has the same digest, whatever way it came; other mail has another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailloom.archive import open_archive
from mailloom.archive.digest import Digest, digest, overall
from mailloom.run.ingest import ingest
from mailloom.synth import Mail, generate, shape_of
from mailloom.wire import open_for_writing

TABLES = ["messages", "nested", "evidence", "links", "conversations", "topics", "hand edits", "copies"]
MAILS = 40


@pytest.fixture(scope="module")
def mails() -> list[Mail]:
    return list(generate(MAILS, 3, shape_of("again=0.2,lost=0.2,attached=0.1,broken=0.1")))


def folder(path: Path, raws: Sequence[bytes]) -> Path:
    path.mkdir(parents=True)
    for number, raw in enumerate(raws):
        (path / f"{number:03}.eml").write_bytes(raw)
    return path


def mbox(path: Path, mails: Sequence[Mail]) -> Path:
    from mailloom.synth import write

    write(path, iter(mails), "mbox")
    return path


def archived(archive: Path, *sources: Path, jobs: int = 1) -> Path:
    for source in sources:
        with open_for_writing(archive) as stores:
            assert ingest([str(source)], stores, jobs=jobs).balanced
    return archive


def digested(archive: Path, *, raw: bool = False) -> list[Digest]:
    with open_archive(archive) as opened:
        return digest(opened, raw=raw)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, mails: list[Mail]) -> list[Digest]:
    room = tmp_path_factory.mktemp("plain")
    return digested(archived(room / "archive", folder(room / "mail", [m.raw for m in mails])))


def test_each_table_has_rows(plain: list[Digest], mails: list[Mail]) -> None:
    assert [table.table for table in plain] == TABLES
    rows = {table.table: table.rows for table in plain}
    distinct = len({m.truth.id for m in mails})
    assert rows["hand edits"] == 0
    assert rows["messages"] == rows["evidence"] == rows["conversations"] == rows["topics"] == distinct
    assert rows["copies"] > distinct, "copies of one mail that differ are rows of their own"
    assert rows["nested"]
    assert rows["links"]
    assert len({table.sha256 for table in plain}) == len(TABLES) or rows["conversations"] == rows["topics"]


@pytest.mark.parametrize("seed", range(3))
def test_order_and_names_do_not_matter(seed: int, plain: list[Digest], mails: list[Mail], tmp_path: Path) -> None:
    raws = [m.raw for m in mails]
    random.Random(seed).shuffle(raws)
    assert digested(archived(tmp_path / "archive", folder(tmp_path / "mail", raws))) == plain


def test_halves_and_repeats_do_not_matter(plain: list[Digest], mails: list[Mail], tmp_path: Path) -> None:
    late = folder(tmp_path / "late", [m.raw for m in mails[MAILS // 2 :]])
    early = folder(tmp_path / "early", [m.raw for m in mails[: MAILS // 2]])
    again = folder(tmp_path / "again", [m.raw for m in mails])
    assert digested(archived(tmp_path / "archive", late, early, again, late)) == plain


def test_an_mbox_says_the_same_but_for_raw_bytes(plain: list[Digest], mails: list[Mail], tmp_path: Path) -> None:
    """The mbox has LF where some of the files have CRLF."""
    raws = folder(tmp_path / "mail", [m.raw for m in mails])
    one = digested(archived(tmp_path / "one", raws), raw=True)
    other = digested(archived(tmp_path / "other", mbox(tmp_path / "box", mails)), raw=True)
    assert one[:-1] == other[:-1] == plain
    assert one[-1].table == "raw"
    assert one[-1] != other[-1]


def test_jobs_do_not_matter(plain: list[Digest], mails: list[Mail], tmp_path: Path) -> None:
    raws = folder(tmp_path / "mail", [m.raw for m in mails])
    assert digested(archived(tmp_path / "archive", raws, jobs=2)) == plain


@pytest.mark.parametrize(
    ("change", "tables"),
    [
        ("update bodies set body = (select body from bodies where seq = 2) where seq = 1", {"messages"}),
        ("update stated set body = (select max(body) from stated)", {"evidence"}),
        ("update nodes set dead = 1 where name = (select max(key) from links)", {"links"}),
        ("delete from links where key = (select max(key) from links)", {"links"}),
        ("update soft set live = 0", {"links"}),
        ("update soft set weight = weight + 1", {"links"}),
        ("update nodes set parent = name where name < x'01'", {"conversations", "topics"}),
        ("update messages set base_subject = hex(id)", {"topics"}),
        ("update deliveries set trace = '{}' where message = (select max(message) from deliveries)", {"copies"}),
        ("update deliveries set stored_at = 1, read_at = 1, path = path || 'x', state = 'stored'", set()),
        ("delete from feed; update sources set name = name || 'x'", set()),
    ],
)
def test_each_table_hangs_on_what_it_says(change: str, tables: set[str], mails: list[Mail], tmp_path: Path) -> None:
    import apsw

    archive = archived(tmp_path / "archive", folder(tmp_path / "mail", [m.raw for m in mails]))
    before = digested(archive)
    connection = apsw.Connection(str(archive / "archive.sqlite"))
    connection.execute(change)
    connection.close()
    changed = {old.table for old, new in zip(before, digested(archive), strict=True) if old != new}
    assert changed - {"nested"} == tables
    assert (overall(before) == overall(digested(archive))) == (not tables)


def test_an_empty_archive_has_a_digest(tmp_path: Path) -> None:
    archive = archived(tmp_path / "archive", folder(tmp_path / "mail", []))
    assert [(table.table, table.rows) for table in digested(archive)] == [(name, 0) for name in TABLES]
