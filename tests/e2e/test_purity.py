"""The same mail gives the same archive: whatever it came in, in which order, by how many processes, in how many runs."""

from __future__ import annotations

import gzip
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mailloom.archive import open_archive
from mailloom.archive.digest import digest
from mailloom.run.ingest import Books, ingest
from mailloom.synth import generate, shape_of, write
from mailloom.wire import open_for_writing

MAILS = 300
SHAPE = "size=2KB,attachments=0.05,again=0.08,late=0.2,delay=80,lost=0.15,missing=0.05,broken=0.1,retopic=0.05"
FROM_LINE = b"From ann@example.org Mon Mar  4 09:00:00 2024\n"


def quoted(raw: bytes) -> bytes:
    """As mboxrd has it."""
    lines = raw.split(b"\n")
    return b"\n".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in lines)


def as_mbox(mails: list[bytes]) -> bytes:
    return b"".join(FROM_LINE + quoted(raw) + (b"\n" if raw.endswith(b"\n") else b"\n\n") for raw in mails)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One .eml a mail: copies, late ones, lost headers, absent parents, broken ones, one that quotes From_ lines."""
    room = tmp_path_factory.mktemp("pure")
    write(room / "synth", generate(MAILS, 11, shape_of(SHAPE)), "eml")
    mail = Path(shutil.move(room / "synth" / "mail", room / "mail"))
    (mail / "quoting.eml").write_bytes(
        b"From: Ann <ann@example.org>\nTo: bo@example.com\nDate: Tue, 5 Mar 2024 10:00:00 +0000\nSubject: a box\n"
        b"Message-ID: <box@example.org>\n\nFrom here on:\n\n>From there on\n\nFrom ann@example.org Mon Mar  4 09:00:00 2024\n"
        b"Subject: inside\n\nend\n"
    )
    return mail


@pytest.fixture(scope="module")
def mails(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.rglob("*.eml"))]


def brought_in(archive: Path, *sources: Path, jobs: int = 1) -> tuple[Books, dict[str, tuple[int, str]]]:
    """The books and the digest, {table: (rows, hash)}."""
    with open_for_writing(archive) as stores:
        books = ingest([str(source) for source in sources], stores, jobs=jobs)
    assert books.balanced
    with open_archive(archive) as opened:
        return books, {table.table: (table.rows, table.sha256) for table in digest(opened)}


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    books, found = brought_in(tmp_path_factory.mktemp("plain") / "archive", folder)
    assert (books.received, books.rejected) == (MAILS + 1, 0)
    assert books.duplicate > 5
    assert found["messages"][0] == books.stored > MAILS * 0.8
    assert found["copies"][0] > found["messages"][0], "copies differ by their trace"
    return found


def shuffled(room: Path, mails: list[bytes]) -> Path:
    dice = random.Random(5)
    for number, raw in enumerate(dice.sample(mails, len(mails))):
        place = room / f"{dice.randrange(7)}" / f"deep {dice.randrange(3)}" / f"{dice.getrandbits(60):x}-{number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(raw)
    return room


def gzipped_box(room: Path, mails: list[bytes]) -> Path:
    (room / "box.mbox.gz").write_bytes(gzip.compress(as_mbox(mails)))
    return room / "box.mbox.gz"


def box(room: Path, mails: list[bytes]) -> Path:
    (room / "box.mboxrd").write_bytes(as_mbox(mails))
    return room / "box.mboxrd"


def gzipped(room: Path, mails: list[bytes]) -> Path:
    for number, raw in enumerate(reversed(mails)):
        (room / f"{number}.eml.gz").write_bytes(gzip.compress(raw))
    return room


def zipped(room: Path, mails: list[bytes]) -> Path:
    with zipfile.ZipFile(room / "all.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for number, raw in enumerate(reversed(mails)):
            file.writestr(f"../{number % 5}/{number}.eml", raw)
    return room / "all.zip"


def tarred(room: Path, mails: list[bytes]) -> Path:
    from io import BytesIO

    with tarfile.open(room / "all.tar.xz", "w:xz") as file:
        for raw in random.Random(2).sample(mails, len(mails)):
            info = tarfile.TarInfo("all/the same name.eml")
            info.size = len(raw)
            file.addfile(info, BytesIO(raw))
    return room / "all.tar.xz"


def maildir(room: Path, mails: list[bytes]) -> Path:
    for box in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp"):
        (room / box).mkdir(parents=True)
    for number, raw in enumerate(reversed(mails)):
        box, flags = (("cur", ":2,S"), ("new", ""), (".Sent/cur", ":2,FRS"))[number % 3]
        (room / box / f"{1_700_000_000 + number}.M{number}P7.host{flags}").write_bytes(raw)
    return room


FORMS: dict[str, Callable[[Path, list[bytes]], Path]] = {
    "shuffled, other names": shuffled,
    "mboxrd": box,
    "mbox.gz": gzipped_box,
    "gzipped one by one": gzipped,
    "zip": zipped,
    "tar.xz, all of one name": tarred,
    "Maildir": maildir,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_form_does_not_matter(
    form: str, mails: list[bytes], expected: dict[str, tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    source = FORMS[form](tmp_path / "in", mails)
    books, found = brought_in(tmp_path / "archive", source)
    assert (books.received, books.rejected) == (len(mails), 0)
    assert found == expected


def test_the_number_of_processes_does_not_matter(
    folder: Path, expected: dict[str, tuple[int, str]], tmp_path: Path
) -> None:
    assert brought_in(tmp_path / "archive", folder, jobs=2)[1] == expected


def test_the_size_of_batches_does_not_matter(
    folder: Path, expected: dict[str, tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailloom.run.ingest.BATCH_MAILS", 7)
    monkeypatch.setattr("mailloom.run.ingest.COPY_AT", 50)
    assert brought_in(tmp_path / "archive", folder)[1] == expected


def test_the_same_again_changes_nothing(
    folder: Path, mails: list[bytes], expected: dict[str, tuple[int, str]], tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    brought_in(archive, folder)
    books, found = brought_in(archive, folder)
    assert (books.received, books.unchanged) == (0, len(mails))
    assert found == expected
    books, found = brought_in(archive, shuffled(tmp_path / "elsewhere", mails))
    assert (books.received, books.stored, books.duplicate) == (len(mails), 0, len(mails))
    assert found == expected


@pytest.mark.parametrize("later_first", [False, True])
def test_halves_in_two_runs_are_the_whole(
    later_first: bool, mails: list[bytes], expected: dict[str, tuple[int, str]], tmp_path: Path
) -> None:
    halves = [mails[: len(mails) // 2], mails[len(mails) // 2 :]]
    if later_first:
        halves.reverse()
    received = 0
    for number, half in enumerate(halves):
        books, found = brought_in(tmp_path / "archive", shuffled(tmp_path / f"half {number}", half))
        received += books.received
    assert received == len(mails)
    assert found == expected


def test_one_bit_of_one_mail_matters(
    folder: Path, mails: list[bytes], expected: dict[str, tuple[int, str]], tmp_path: Path
) -> None:
    """Else the tests above could not fail."""
    changed = [raw.replace(b"end\n", b"enD\n") if b"<box@example.org>" in raw else raw for raw in mails]
    _, found = brought_in(tmp_path / "archive", shuffled(tmp_path / "in", changed))
    assert found["messages"] != expected["messages"]
    assert brought_in(tmp_path / "fewer", shuffled(tmp_path / "less", mails[1:]))[1] != expected


# ------------------------------------------------------------------------------------------------ real mail
@pytest.mark.parametrize(("name", "mails"), [("xdp-newbies", 1941), ("enron-ermis", 1230)])
def test_real_mail_is_all_received(name: str, mails: int, corpus: Path, tmp_path: Path) -> None:
    books, found = brought_in(tmp_path / "archive", corpus / "bulk" / name, jobs=2)
    assert (books.received, books.rejected) == (mails, 0)
    assert found["messages"][0] == books.stored == mails - books.duplicate
