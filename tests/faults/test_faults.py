"""What disks, permissions, other programs and other users do: a clear message, no traceback, the rest goes on, nothing stored is harmed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import apsw
import pytest

from mailloom.archive import open_archive
from mailloom.archive.digest import digest, overall
from mailloom.archive.doctor import examine
from mailloom.cli import main
from mailloom.run import ingest as running
from mailloom.run.ingest import Books, ingest
from mailloom.stores.sqlite import ArchiveError
from mailloom.synth import generate, shape_of, write
from mailloom.wire import open_for_writing

MAILS = 40


def mail(number: int, body: bytes = b"") -> bytes:
    return (
        b"From: Ann <ann@example.org>\nTo: bo@example.com\nDate: Mon, 4 Mar 2024 09:%02d:00 +0000\nSubject: number %d\n"
        b"Message-ID: <%d@example.org>\n\nThis is mail %d.\n%b" % (number % 60, number, number, number, body)
    )


def box(*numbers: int) -> bytes:
    return b"".join(b"From ann@example.org Mon Mar  4 09:00:00 2024\n" + mail(number) + b"\n" for number in numbers)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    room = tmp_path_factory.mktemp("mail")
    write(room / "mail", generate(MAILS, 5, shape_of("size=2KB,attachments=0")), "eml")
    return room / "mail" / "mail"


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = tmp_path_factory.mktemp("made") / "archive"
    run(archive, source)
    return archive


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    """An archive that holds mail already."""
    return Path(shutil.copytree(made, tmp_path / "archive"))


def run(archive: Path, *sources: Path) -> Books:
    with open_for_writing(archive) as stores:
        books = ingest([str(source) for source in sources], stores)
    assert books.balanced
    return books


def state(archive: Path) -> str:
    with open_archive(archive) as opened:
        return overall(digest(opened, raw=True))


def messages(archive: Path) -> int:
    with open_archive(archive) as opened:
        return len(opened)


def sound(archive: Path) -> None:
    with open_archive(archive) as opened:
        assert [finding for finding in examine(opened, deep=True) if not finding.ok] == []


def reasons(archive: Path) -> dict[str, str]:
    sql = "select path, reason from deliveries where state = 'rejected'"
    with open_archive(archive) as opened:
        return dict(opened.connection.execute(sql).fetchall())


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def mailloom(*words: str | Path) -> Said:
    """The command, in this process: a start of Python each would take most of the time. What it doesn't expect goes up."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        patch.setattr(sys, "argv", ["mailloom", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return Said(ended.value.code, out.getvalue(), errors.getvalue())


def refused(archive: Path, source: Path, *words: str) -> str:
    """The one line that `ingest` says with exit code 2; it has to name the archive and what is said in `words`."""
    done = mailloom("ingest", source, "--archive", archive, "--jobs", "1")
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("mailloom: ")
    for word in (str(archive), *words):
        assert word in done.stderr, done.stderr
    return done.stderr


# ------------------------------------------------------------------------------------------------ permissions
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2


@contextlib.contextmanager
def ordinary_rights() -> Iterator[None]:
    """Root without the two capabilities that make permissions void (capabilities(7)); nothing to do for anybody else."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    rights = (ctypes.c_uint32 * 6)()
    if libc.capget(header, rights) != 0:
        pytest.skip("this system has no capabilities, so root can read everything")
    before = rights[0]
    rights[0] = before & ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    assert libc.capset(header, rights) == 0
    try:
        yield
    finally:
        rights[0] = before
        assert libc.capset(header, rights) == 0


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="rights are taken from root by Linux's capabilities")


@needs_linux
def test_what_may_not_be_read_is_rejected_and_taken_once_it_may(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    (place / "closed").mkdir(parents=True)
    for number in range(3):
        (place / f"{number}.eml").write_bytes(mail(number))
    (place / "box").write_bytes(box(11, 12))
    (place / "closed" / "a.eml").write_bytes(mail(21))
    shut = [place / "1.eml", place / "box", place / "closed"]
    for path in shut:
        path.chmod(0)
    with ordinary_rights():
        books = run(archive, place)
    assert (books.received, books.stored, books.rejected) == (5, 2, 3)
    said = reasons(archive)
    assert set(said) == {"1.eml", "box", "closed"}
    for path in shut:
        assert said[path.name] == f"permission denied: {path} (make it readable for this user, or run as its owner)"
        path.chmod(0o700)
    books = run(archive, place)
    assert (books.received, books.stored, books.rejected, books.unchanged) == (4, 4, 0, 2)
    assert set(reasons(archive)) <= {"closed"}, "the folder itself had a row"
    sound(archive)


@needs_linux
def test_an_archive_that_may_not_be_written_is_said_and_stays(archive: Path, source: Path, tmp_path: Path) -> None:
    before = state(archive)
    (tmp_path / "closed").mkdir(mode=0o500)
    for path in (archive, archive / "archive.sqlite"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    with ordinary_rights():
        with pytest.raises(ArchiveError, match="check the"), open_for_writing(tmp_path / "closed" / "archive"):
            pass
        with pytest.raises(ArchiveError, match=f"{archive}.*check the"):
            run(archive, source)
        assert state(archive) == before, "it can be read all the same"
    archive.chmod(0o700)
    with ordinary_rights(), pytest.raises(ArchiveError, match=r"can't be (opened|written).*permissions"):
        run(archive, source)
    (archive / "archive.sqlite").chmod(0o600)
    assert state(archive) == before
    sound(archive)


# ------------------------------------------------------------------------------------------------ no room
def test_a_full_disk_stops_the_ingest_and_room_completes_it(source: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk can't be mounted here (that needs root)")
    try:
        archive = disk / "archive"
        run(archive, source)
        earlier = messages(archive)
        (tmp_path / "box").write_bytes(b"".join(box(n) + os.urandom(4000).hex().encode() + b"\n\n" for n in range(600)))
        said = refused(archive, tmp_path / "box", "run the same command again")
        assert "full" in said or "No space" in said or "no room" in said
        stored = messages(archive)
        assert stored >= earlier
        subprocess.run(["mount", "-o", "remount,size=60m", str(disk)], check=True)
        assert run(archive, tmp_path / "box").stored == 600 - (stored - earlier)
        sound(archive)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), resource.RLIM_INFINITY))
from mailloom.cli import main
main()
"""


@pytest.mark.parametrize("limit", [150_000, 400_000, 900_000])
def test_a_file_that_may_not_grow_further_stops_the_ingest_and_harms_nothing(
    limit: int, archive: Path, tmp_path: Path
) -> None:
    """Whichever file meets it first: the database, its log, a pack or a Parquet file."""
    earlier = messages(archive)
    (tmp_path / "box").write_bytes(b"".join(box(n) + os.urandom(1000).hex().encode() + b"\n\n" for n in range(600)))
    command = [sys.executable, "-c", LIMITED, str(limit), "ingest", str(tmp_path / "box"), "--archive", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 2, done.stderr
    assert str(archive) in done.stderr
    assert "run the same command again" in done.stderr
    run(archive, tmp_path / "box")
    sound(archive)
    assert messages(archive) == earlier + 600


@pytest.mark.parametrize("where", ["pack", "parquet"])
def test_no_room_in_the_middle_of_a_run_leaves_what_was_committed(
    where: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "box").write_bytes(box(*range(100, 130)))
    monkeypatch.setattr(running, "BATCH_MAILS", 8)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if where == "pack":
            patch.setattr("mailloom.stores.files.os.fsync", full)
        else:
            patch.setattr("mailloom.stores.parquet.write", full)
        with pytest.raises(ArchiveError, match=f"{archive}.*No space left.*run the same command again"):
            run(archive, tmp_path / "box")
    books = run(archive, tmp_path / "box")
    assert books.stored == (30 if where == "pack" else 0)
    sound(archive)


# ------------------------------------------------------------------------------------------------ damaged and hostile sources
def test_a_cut_gzip_gives_what_is_whole_and_the_rest_once_it_is(archive: Path, tmp_path: Path) -> None:
    whole = gzip.compress(box(*range(100, 160)))
    file = tmp_path / "box.gz"
    file.write_bytes(whole[: len(whole) * 2 // 3])
    books = run(archive, file)
    assert books.rejected == 1
    assert 0 < books.stored < 60
    (reason,) = reasons(archive).values()
    assert reason.startswith("gzip: cut off after ")
    assert run(archive, file).unchanged == 1
    file.write_bytes(whole)
    again = run(archive, file)
    assert books.stored + again.stored == 60
    assert again.rejected == 0
    sound(archive)


def test_a_half_copied_tar_is_complete_in_the_end(archive: Path, tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(100, 110):
            info = tarfile.TarInfo(f"{number}.eml")
            info.size = len(mail(number, b"x" * 900))
            tar.addfile(info, io.BytesIO(mail(number, b"x" * 900)))
    file = tmp_path / "all.tar"
    for end in (700, 5000, 12_345, len(out.getvalue())):
        file.write_bytes(out.getvalue()[:end])
        run(archive, file)
        sound(archive)
    assert "" not in reasons(archive), "that it was cut is not so any more"
    with open_archive(archive) as opened:
        whole = [r for r in opened.records() if r.message.text.endswith("x" * 900) or "x" * 900 in r.message.text]
    assert len(whole) == 10


def test_bombs_and_traversal_are_refused_in_words_and_the_rest_comes(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    (place / "bomb.eml.gz").write_bytes(gzip.compress(mail(1, b"x" * (60 << 20))))
    with zipfile.ZipFile(place / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.eml", mail(2, b"x" * (60 << 20)))
        file.writestr("../../../../etc/evil.eml", mail(3))
        file.writestr("/etc/evil.eml", mail(4))
    with tarfile.open(place / "links.tar", "w") as tar:
        for name, kind, target in (("a", tarfile.SYMTYPE, "/etc/passwd"), ("b", tarfile.LNKTYPE, "../../etc/passwd")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    (place / "z.eml").write_bytes(mail(5))
    books = run(archive, place)
    assert (books.received, books.stored, books.rejected) == (7, 3, 4)
    said = reasons(archive)
    assert said["bomb.eml.gz"] == "gzip: inflates more than 500-fold"
    assert said["bomb.zip!bomb.eml"] == "zip: inflates more than 500-fold"
    assert said["links.tar!a"] == "tar: a link to /etc/passwd, not followed"
    assert not Path("/etc/evil.eml").exists()
    assert not (tmp_path / "etc").exists()
    sound(archive)


def test_a_disk_that_fails_while_reading_is_said_and_tried_again(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reading ends there; the next run reads on from there."""
    file = tmp_path / "box"
    file.write_bytes(b"".join(box(n) for n in range(100, 200)) * 80)
    sane = io.FileIO.read

    class Failing(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            if self.tell() >= 1 << 20:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return sane(self, size)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["mailloom.sources.walk"], "io", SimpleNamespace(FileIO=Failing, BytesIO=io.BytesIO))
        books = run(archive, file)
    assert books.rejected == 1
    assert reasons(archive)[""].startswith("Input/output error")
    again = run(archive, file)
    assert books.received - 1 + again.received == 8_000
    assert again.rejected == 0
    assert run(archive, file).unchanged == 1
    sound(archive)


# ------------------------------------------------------------------------------------------------ odd archives
def test_an_archive_of_a_newer_version_is_left_alone(archive: Path, source: Path) -> None:
    database = archive / "archive.sqlite"
    connection = apsw.Connection(str(database))
    connection.execute("pragma user_version=99")
    connection.close()
    before = database.read_bytes()
    refused(archive, source, "newer mailloom", "99", "update mailloom")
    for command in (["search", "x"], ["stats"], ["doctor"], ["digest"]):
        done = mailloom(*command, "--archive", archive)
        assert done.returncode == 2
        assert "update mailloom" in done.stderr
    assert database.read_bytes() == before


def test_the_file_of_another_program_is_left_alone(source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    database = archive / "archive.sqlite"
    connection = apsw.Connection(str(database))
    connection.execute("create table theirs (x); insert into theirs values (1)")
    connection.close()
    before = database.read_bytes()
    refused(archive, source, "another program", "choose another folder")
    assert database.read_bytes() == before
    database.write_bytes(b"a diary, not a database " * 999)
    refused(archive, source, "not an archive of mailloom")
    assert database.read_bytes() == b"a diary, not a database " * 999


def test_a_path_that_is_a_file_or_lies_below_one_is_said(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(tmp_path / "file", source, "check the path")
    refused(tmp_path / "file" / "archive", source, "check the path")
    assert mailloom("search", "x", "--archive", tmp_path / "file").returncode == 2
    assert mailloom("search", "x", "--archive", tmp_path / "nowhere").returncode == 2
    assert (tmp_path / "file").read_text() == "mine"


def test_a_damaged_database_is_said_by_every_command(archive: Path, source: Path) -> None:
    database = archive / "archive.sqlite"
    whole = database.read_bytes()
    pages = len(whole) // 4096
    said = 0
    for page in (1, *range(2, pages, max(1, pages // 6))):
        database.write_bytes(whole[: page * 4096] + b"\xa5" * 8192 + whole[page * 4096 + 8192 :])
        for command in (["search", "the"], ["ingest", str(source.parent), "--jobs", "1"], ["digest"]):
            done = mailloom(*command, "--archive", archive)
            if done.returncode == 2:
                said += 1
                assert str(archive) in done.stderr
                assert "damaged" in done.stderr or "can't be read" in done.stderr, done.stderr
    assert said > 3


@pytest.mark.parametrize("kept", [0, 50, 4096, 30_000])
def test_a_database_cut_short_is_said(kept: int, archive: Path, source: Path) -> None:
    database = archive / "archive.sqlite"
    whole = database.read_bytes()
    for rest in ("archive.sqlite-wal", "archive.sqlite-shm"):
        (archive / rest).unlink(missing_ok=True)
    database.write_bytes(whole[:kept])
    done = mailloom("search", "the", "--archive", archive)
    assert done.returncode == 2
    assert str(archive) in done.stderr
    if kept:
        refused(archive, source)


# ------------------------------------------------------------------------------------------------ two at once
def test_a_second_ingest_is_sent_away_and_harms_nothing(archive: Path, source: Path, tmp_path: Path) -> None:
    before = state(archive)
    (tmp_path / "box").write_bytes(box(*range(100, 110)))
    with open_for_writing(archive) as stores:
        said = refused(archive, tmp_path / "box", f"process {os.getpid()}", "wait for it to end")
        assert "is writing to" in said
        assert mailloom("search", "the", "--archive", archive).returncode in {0, 1}, "reading goes on"
        ingest([str(tmp_path / "box")], stores)
    assert state(archive) != before
    assert run(archive, tmp_path / "box").unchanged == 1
    sound(archive)


def test_readers_see_only_whole_batches_while_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    (tmp_path / "box").write_bytes(box(*range(400)))
    monkeypatch.setattr(running, "BATCH_MAILS", 10)
    with open_for_writing(archive):
        pass
    done = threading.Event()
    seen: list[list[int]] = [[] for _ in range(3)]
    failures: list[BaseException] = []

    def read(counts: list[int]) -> None:
        try:
            while not done.is_set():
                with open_archive(archive) as opened, opened.connection:
                    count = len(opened)
                    one = opened.connection.execute
                    assert count % 10 == 0, "a batch is seen whole or not at all"
                    assert one("select count(*) from deliveries where state = 'stored'").get == count
                    assert one("select count(*) from bodies").get == count
                    assert one("select count(*) from words_docsize").get == count
                    assert one("select count(*) from nodes where name < x'01'").get == count
                    for raw in one("select pack, max(frame + size) from raws group by pack"):
                        assert opened.stores.packs.path(raw[0]).stat().st_size >= raw[1], (
                            "bytes come before their index"
                        )
                    counts.append(count)
                with open_archive(archive) as opened:
                    for hit in opened.search("mail", 3):
                        assert hit.record.message.text
                        assert opened.tree(hit.conversation)
                        assert opened.raw(hit.record.id)
        except BaseException as error:  # a thread's failure is the test's
            failures.append(error)

    readers = [threading.Thread(target=read, args=(counts,)) for counts in seen]
    for reader in readers:
        reader.start()
    try:
        with open_for_writing(archive) as stores:
            ingest([str(tmp_path / "box")], stores, progress=lambda _: time.sleep(0.002))
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    for counts in seen:
        assert counts == sorted(counts)
        assert len(set(counts)) > 2, "it read while the other wrote"
    sound(archive)
