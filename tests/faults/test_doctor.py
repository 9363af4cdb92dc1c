"""Break one thing at a time in a small archive: doctor names exactly that, and mends what can be mended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from mailloom.archive import open_archive
from mailloom.archive.digest import digest, overall
from mailloom.archive.doctor import CHECKS, examine, mend
from mailloom.run.ingest import ingest
from mailloom.synth import generate, shape_of, write
from mailloom.wire import open_for_writing

MAILS = 60


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of made-up mail, of two scattered months so that it has several Parquet files."""
    room = tmp_path_factory.mktemp("doctor")
    write(room / "mail", generate(MAILS, 7, shape_of("per_day=2,again=0.1,lost=0.2")), "eml")
    with open_for_writing(room / "archive") as stores:
        ingest([str(room / "mail" / "mail")], stores)
    return room / "archive"


@pytest.fixture
def archive(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "archive"))


@pytest.fixture(scope="session")
def before(sound: Path) -> str:
    """The digest of the archive before anything is broken."""
    return whole(sound)


def faults(archive: Path, *, deep: bool = True) -> dict[str, str]:
    with open_archive(archive) as opened:
        findings = list(examine(opened, deep=deep))
    assert [finding.check for finding in findings] == list(CHECKS)
    assert all(finding.found for finding in findings)
    assert all(bool(finding.mend) != finding.ok for finding in findings), "a fault says how to mend it"
    return {finding.check: finding.found for finding in findings if not finding.ok}


def whole(archive: Path) -> str:
    with open_archive(archive) as opened:
        return overall(digest(opened))


def change(archive: Path, *statements: str) -> None:
    connection = apsw.Connection(str(archive / "archive.sqlite"))
    for statement in statements:
        connection.execute(statement)
        assert connection.changes() or "select" in statement, f"nothing was broken by {statement}"
    connection.close()


def a_parquet(archive: Path) -> Path:
    return min((archive / "messages").glob("month=*/*.parquet"))


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def test_a_sound_archive_has_no_faults(archive: Path) -> None:
    assert faults(archive) == {}
    assert faults(archive, deep=False) == {}
    assert len(sorted((archive / "messages").glob("month=*/*.parquet"))) > 1


A_MESSAGE = "(select id from messages order by seq limit 1 offset 5)"
LATER = "(select name from nodes where name < x'01' and parent <> name order by name limit 1)"
NOT_DEAD = "(select name from nodes where name >= x'01' order by name limit 1)"
BROKEN: dict[str, tuple[tuple[str, ...] | Callable[[Path], None], set[str]]] = {
    "a message's entry of the full text": (("delete from words where rowid = 3",), {"words"}),
    "an entry of no message": (("insert into words (rowid, subject) values (99999, 'x')",), {"words"}),
    "a record": (("delete from bodies where seq = 3",), {"records"}),
    "a sketch": (("delete from sketches where seq = 3",), {"sketches"}),
    "a sketch's bytes": (("update sketches set sketch = zeroblob(8) where seq = 3",), {"sketches"}),
    "the table of sketches": (lambda archive: drop(archive, "sketch_packs"), {"sketches"}),
    "a record of no message": (("insert into bodies select 99999, body from bodies where seq = 3",), {"records"}),
    "a record's bytes": (("update bodies set body = substr(body, 1, 40) where seq = 3",), {"records"}),
    "a record swapped": (
        ("update bodies set body = (select body from bodies where seq = 4) where seq = 3",),
        {"records"},
    ),
    "evidence": ((f"delete from stated where message = {A_MESSAGE}",), {"evidence", "conversations"}),
    "evidence of no message": (
        ("insert into stated select scope, zeroblob(16), body from stated limit 1",),
        {"evidence", "conversations"},
    ),
    "the way back from a key": (("delete from links where key = (select key from links limit 1)",), {"evidence"}),
    "a node": ((f"delete from nodes where name = {LATER}",), {"nodes", "conversations"}),
    "a key's node": (("delete from nodes where name = (select key from links limit 1)",), {"nodes"}),
    "a node that hangs on a larger one": (
        (f"update nodes set parent = cast(x'02' || zeroblob(16) as blob) where name = {LATER}",),
        {"nodes", "conversations"},
    ),
    "a message parted": ((f"update nodes set parent = name where name = {LATER}",), {"conversations"}),
    "a message in another conversation": (
        (
            f"""update nodes set conv = (select name from nodes n where name < x'01' and parent = name
              and name <> (select parent from nodes where name = {LATER}) order by name desc limit 1) where name = {LATER}""",
        ),
        {"conversations"},
    ),
    "a key dead": ((f"update nodes set dead = 1 where name = {NOT_DEAD}",), {"conversations"}),
    "a soft link": (("update soft set live = 0 where live",), {"conversations"}),
    "a node of no message": (
        (
            "insert into nodes select scope, cast(x'00' || zeroblob(16) as blob), parent, conv, dead, owners, senders, subjects, asked from nodes limit 1",
        ),
        {"nodes"},
    ),
    "a conversation that is nowhere": (
        (f"update nodes set conv = cast(x'00' || zeroblob(16) as blob) where name = {LATER}",),
        {"nodes", "conversations"},
    ),
    "evidence of another message": (
        (
            f"update stated set body = (select max(body) from stated where message <> {A_MESSAGE}) where message = {A_MESSAGE}",
        ),
        {"evidence", "conversations"},
    ),
    "the owners of a clue": (("delete from clues where owners <> x''",), {"conversations"}),
    "an ask": (("delete from asks",), {"conversations"}),
    "that a clue is asked": (("update clues set asked = 0",), {"conversations"}),
    "a mark": ((f"insert into marks select '', {A_MESSAGE}, 1",), {"marks", "conversations"}),
    "a Parquet file": (lambda archive: a_parquet(archive).unlink(), {"parquet"}),
    "a Parquet file's end": (
        lambda archive: a_parquet(archive).write_bytes(a_parquet(archive).read_bytes()[:-9]),
        {"parquet"},
    ),
    "a Parquet file of others": (
        lambda archive: shutil.copy(sorted((archive / "messages").glob("*/*.parquet"))[1], a_parquet(archive)) and None,
        {"parquet"},
    ),
    "a Parquet file's name": (("delete from files where name = (select min(name) from files)",), {"parquet", "rests"}),
    "Parquet not written": (("delete from files",), {"parquet", "rests"}),
    "a file nobody names": (
        lambda archive: (a_parquet(archive).parent / "0.parquet.part").write_bytes(b"x") and None,
        {"rests"},
    ),
}
HOPELESS: dict[str, tuple[tuple[str, ...] | Callable[[Path], None], set[str]]] = {
    "a delivery": (
        (
            """delete from deliveries where message = (select message from deliveries where message not null group by message
              having count(*) = 1 limit 1)""",
        ),
        {"books", "copies"},
    ),
    "a delivery in no known state": (
        ("update deliveries set state = 'odd' where state = 'duplicate'",),
        {"books"},
    ),
    "a rejection without a reason": (
        (
            "insert into deliveries select scope, source, 'x', start, generation, length, size, mtime_ns, 'rejected', null, x'', folder, labels, flags, received_at, trace, '', version, read_at, stored_at from deliveries limit 1",
        ),
        {"deliveries"},
    ),
    "a source": (("delete from sources",), {"books"}),
    "the place of raw bytes": (("delete from raws where sha256 = (select min(sha256) from raws)",), {"raw"}),
    "a byte of raw mail": (lambda archive: flip(archive / "raw" / "000001.zst", 2000), {"raw"}),
    "the end of a pack": (
        lambda archive: (
            (archive / "raw" / "000001.zst").write_bytes((archive / "raw" / "000001.zst").read_bytes()[:-5]) and None
        ),
        {"raw"},
    ),
    "a pack": (lambda archive: (archive / "raw" / "000001.zst").unlink(), {"raw"}),
}


def drop(archive: Path, table: str) -> None:
    connection = apsw.Connection(str(archive / "archive.sqlite"))
    connection.execute(f"drop table {table}")
    connection.close()


def damage(archive: Path, how: tuple[str, ...] | Callable[[Path], None]) -> None:
    if callable(how):
        how(archive)
    else:
        change(archive, *how)


@pytest.mark.parametrize("what", BROKEN)
def test_what_can_be_mended_is_named_and_mended(what: str, archive: Path, before: str) -> None:
    how, expected = BROKEN[what]
    damage(archive, how)
    found = faults(archive)
    assert set(found) == expected, found
    assert list(mend(archive, found))
    assert faults(archive) == {}
    assert whole(archive) == before, "mended is as it was"


@pytest.mark.parametrize("what", HOPELESS)
def test_what_cannot_be_mended_is_named(what: str, archive: Path) -> None:
    how, expected = HOPELESS[what]
    damage(archive, how)
    assert set(faults(archive)) == expected
    before = (archive / "archive.sqlite").read_bytes()
    list(mend(archive, expected - {"deliveries"}))
    assert set(faults(archive)) == expected
    assert len((archive / "archive.sqlite").read_bytes()) >= len(before), "nothing is thrown away"


def test_a_lost_message_is_made_again_from_raw_mail(archive: Path, before: str) -> None:
    change(archive, "delete from bodies where seq = 3", "delete from messages where seq = 3")
    found = faults(archive)
    assert {"books", "deliveries", "words", "nodes", "evidence", "parquet"} <= set(found)
    list(mend(archive, found))
    assert faults(archive) == {}
    assert whole(archive) == before


def test_everything_derived_can_be_lost_at_once(archive: Path, before: str) -> None:
    tables = ("bodies", "words", "stated", "links", "nodes", "clues", "soft", "files")
    change(archive, *(f"delete from {table}" for table in tables))
    shutil.rmtree(archive / "messages")
    found = faults(archive)
    list(mend(archive, found))
    assert faults(archive) == {}
    assert whole(archive) == before


def test_a_page_of_the_database_overwritten_is_a_fault_and_no_crash(archive: Path) -> None:
    """Whatever page is hit, doctor ends with findings; it may be a table that no check but SQLite's own looks at."""
    change(archive, "select 1")
    path = archive / "archive.sqlite"
    sane = path.read_bytes()
    found = 0
    for page in range(2, len(sane) // 4096, max(1, len(sane) // 4096 // 25)):
        path.write_bytes(sane[: page * 4096] + b"\xa5" * 4096 + sane[(page + 1) * 4096 :])
        with open_archive(archive) as opened:
            found += any(not finding.ok for finding in examine(opened))
    assert found >= 20


def test_mending_while_somebody_writes_is_refused(archive: Path) -> None:
    from mailloom.stores.sqlite import ArchiveError

    with open_for_writing(archive), pytest.raises(ArchiveError, match="is writing"):
        list(mend(archive, ["words"]))
