"""`ingest` run again and again on sources that grow, change, vanish and overlap: every mail once, and the books balance over all runs."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mailloom.archive import Archive, open_archive
from mailloom.archive.doctor import examine
from mailloom.flow.transform import transform
from mailloom.run import ingest as running
from mailloom.run.ingest import Books, Given, Options, ingest, retry
from mailloom.sources import SourceError
from mailloom.wire import open_for_writing

FROM_LINE = b"From ann@example.org Mon Mar  4 09:00:00 2024\n"


def mail(number: int, body: bytes = b"") -> bytes:
    return (
        b"From: Ann <ann@example.org>\nTo: bo@example.com\nDate: Mon, 4 Mar 2024 09:%02d:00 +0000\nSubject: number %d\n"
        b"Message-ID: <%d@example.org>\n\nThis is mail %d.\n%b" % (number % 60, number, number, number, body)
    )


def box(*numbers: int) -> bytes:
    return b"".join(FROM_LINE + mail(number) + b"\n" for number in numbers)


def run(archive: Path, *sources: Path | str, **more) -> Books:
    with open_for_writing(archive) as stores:
        books = ingest([str(source) for source in sources], stores, **more)
    assert books.balanced
    sound(archive)
    return books


def sound(archive: Path) -> None:
    with open_archive(archive) as opened:
        assert [finding for finding in examine(opened, deep=True) if not finding.ok] == []


def told(books: Books) -> tuple[int, int, int, int, int]:
    return books.received, books.stored, books.duplicate, books.rejected, books.unchanged


def rows(archive: Path, columns: str = "path, start, generation, state") -> list[tuple[object, ...]]:
    with open_archive(archive) as opened:
        return list(
            opened.connection.execute(f"select {columns} from deliveries order by source, path, start, generation")
        )


def subjects(archive: Path) -> list[str]:
    with open_archive(archive) as opened:
        return sorted(record.message.subject for record in opened.records())


def reasons(archive: Path) -> list[str]:
    with open_archive(archive) as opened:
        return [row[0] for row in opened.connection.execute("select reason from deliveries where state = 'rejected'")]


def mailloom(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "mailloom", *map(str, words)]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=120)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


# ------------------------------------------------------------------------------------------------ mboxes
def test_a_grown_mbox_gives_only_what_is_new(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "box"
    file.write_bytes(box(1, 2, 3))
    assert told(run(archive, file)) == (3, 3, 0, 0, 0)
    assert told(run(archive, file)) == (0, 0, 0, 0, 1)
    file.write_bytes(box(1, 2, 3, 4, 5))
    assert told(run(archive, file)) == (2, 2, 0, 0, 0)
    assert told(run(archive, file)) == (0, 0, 0, 0, 1)
    assert subjects(archive) == [f"number {n}" for n in (1, 2, 3, 4, 5)]
    assert {row[2] for row in rows(archive)} == {0}


@pytest.mark.parametrize("kept", range(6, len(FROM_LINE + mail(3)), 17))
def test_an_mbox_caught_inside_its_last_mail_is_whole_in_the_end(kept: int, archive: Path, tmp_path: Path) -> None:
    """Whatever was there of the third mail at the first run stays, as it was stored; the whole one comes with the second."""
    file = tmp_path / "box"
    file.write_bytes(box(1, 2) + (FROM_LINE + mail(3))[:kept])
    first = run(archive, file)
    assert (first.received, first.stored) in {(3, 3), (3, 2), (2, 2)}
    file.write_bytes(box(1, 2, 3, 4))
    second = run(archive, file)
    assert second.stored >= 2
    assert second.received <= 3
    with open_archive(archive) as opened:
        texts = {record.message.text.strip() for record in opened.records()}
    assert {f"This is mail {n}." for n in (1, 2, 3, 4)} <= texts
    assert run(archive, file).unchanged == 1


def test_a_rewritten_mbox_is_read_anew_and_what_it_held_stays(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "box"
    file.write_bytes(box(1, 2, 3))
    run(archive, file)
    file.write_bytes(box(9, 2, 8, 7))
    assert told(run(archive, file)) == (4, 3, 1, 0, 0)
    assert subjects(archive) == [f"number {n}" for n in (1, 2, 3, 7, 8, 9)]
    assert len(rows(archive)) == 7
    file.write_bytes(box(9))
    assert told(run(archive, file)) == (1, 0, 1, 0, 0)
    assert len(rows(archive)) == 8


def test_a_run_that_ended_within_an_mbox_goes_on_there(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "BATCH_MAILS", 4)
    file = tmp_path / "box"
    file.write_bytes(box(*range(20)))

    def stop(books: Books) -> None:
        if books.received >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_for_writing(archive) as stores:
        ingest([str(file)], stores, progress=stop)
    assert len(rows(archive)) == 8
    assert told(run(archive, file)) == (12, 12, 0, 0, 0)
    assert told(run(archive, file)) == (0, 0, 0, 0, 1)


def test_a_run_that_ended_after_the_last_mail_of_an_mbox_leaves_it_alone_in_the_end(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "BATCH_MAILS", 4)
    file = tmp_path / "box"
    file.write_bytes(box(*range(4)))

    def stop(books: Books) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_for_writing(archive) as stores:
        ingest([str(file)], stores, progress=stop)
    assert told(run(archive, file)) == (0, 0, 0, 0, 0)
    assert told(run(archive, file)) == (0, 0, 0, 0, 1)


# ------------------------------------------------------------------------------------------------ files
def test_a_touched_file_is_a_duplicate_and_a_changed_one_is_new(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "in" / "a.eml"
    file.parent.mkdir()
    file.write_bytes(mail(1))
    assert told(run(archive, file.parent)) == (1, 1, 0, 0, 0)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    assert told(run(archive, file.parent)) == (1, 0, 1, 0, 0)
    assert told(run(archive, file.parent)) == (0, 0, 0, 0, 1)
    file.write_bytes(mail(2))
    assert told(run(archive, file.parent)) == (1, 1, 0, 0, 0)
    assert [row[2:] for row in rows(archive)] == [(0, "stored"), (1, "duplicate"), (2, "stored")]


def test_flags_and_moves_within_a_maildir_are_no_new_mail(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (place / name).mkdir(parents=True)
    (place / "new" / "1700000001.M1P1.host").write_bytes(mail(1))
    (place / "cur" / "1700000002.M1P1.host:2,S").write_bytes(mail(2))
    (place / "tmp" / "1700000003.M1P1.host").write_bytes(mail(3)[:50])
    assert told(run(archive, place)) == (2, 2, 0, 0, 0)
    (place / "new" / "1700000001.M1P1.host").rename(place / "cur" / "1700000001.M1P1.host:2,FRS")
    (place / "cur" / "1700000002.M1P1.host:2,S").rename(place / "cur" / "1700000002.M1P1.host:2,ST")
    assert told(run(archive, place)) == (0, 0, 0, 0, 2)


def test_a_unique_name_that_a_maildir_has_twice_is_two_deliveries(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "Maildir"
    for name in ("cur", "new", "tmp"):
        (place / name).mkdir(parents=True)
    (place / "new" / "1700000001.M1P1.host").write_bytes(mail(1))
    (place / "cur" / "1700000001.M1P1.host:2,S").write_bytes(mail(2))
    assert told(run(archive, place)) == (2, 2, 0, 0, 0)
    assert len(rows(archive)) == 2


def test_names_that_look_alike_when_escaped_are_two_places(archive: Path, tmp_path: Path) -> None:
    place = os.fsencode(tmp_path / "in")
    os.mkdir(place)
    for number, name in enumerate((b"\xff.eml", b"\\xff.eml", b"\\x5cxff.eml", b"\n.eml", b"\\x0a.eml")):
        with open(place + b"/" + name, "wb") as file:
            file.write(mail(number))
    assert told(run(archive, tmp_path / "in")) == (5, 5, 0, 0, 0)
    assert len(rows(archive)) == 5


def test_members_of_one_name_are_each_a_place(archive: Path, tmp_path: Path) -> None:
    def packed(*members: tuple[str, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as file:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
        return out.getvalue()

    inner = [packed(("a.eml", mail(n)), ("a.eml.gz", gzip.compress(mail(n + 1)))) for n in (1, 3)]
    (tmp_path / "all.tar").write_bytes(
        packed(
            ("in.tar", inner[0]),
            ("in.tar", inner[1]),
            ("a.eml.gz", gzip.compress(mail(5))),
            ("a.eml.gz", gzip.compress(mail(6))),
        )
    )
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        for name, number in (
            ("a", 11),
            ("a", 12),
            ("a#2", 13),
            ("cur/1700000001.M1.h:2,S", 14),
            ("cur/1700000001.M1.h:2,R", 15),
        ):
            file.writestr(name, mail(number))
        file.writestr("box", box(16))
        file.writestr("box", box(17))
    books = run(archive, tmp_path / "all.tar", tmp_path / "all.zip")
    assert told(books) == (13, 13, 0, 0, 0)
    assert len(rows(archive)) == 13


# ------------------------------------------------------------------------------------------------ sources that overlap
def test_a_source_named_twice_is_read_once(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    for number in range(300):  # more than a batch
        (place / f"{number}.eml").write_bytes(mail(number))
    assert told(run(archive, place, f"{place}/", f"{place}/../in")) == (300, 300, 0, 0, 0)
    assert {row[3] for row in rows(archive)} == {"stored"}


def test_sources_that_overlap_give_each_copy_its_row(archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "in"
    (place / "sub").mkdir(parents=True)
    (place / "a.eml").write_bytes(mail(1))
    (place / "sub" / "b.eml").write_bytes(mail(2))
    assert told(run(archive, place, place / "sub", place / "a.eml")) == (4, 2, 2, 0, 0)
    assert told(run(archive, place / "sub")) == (0, 0, 0, 0, 1)
    with open_archive(archive) as opened:
        assert [len(opened.copies(record.id)) for record in opened.records()] == [2, 2]


# ------------------------------------------------------------------------------------------------ standard input
def test_standard_input_may_be_an_mbox_or_a_mail_and_each_run_keeps_its_rows(archive: Path) -> None:
    def stream(data: bytes) -> dict[str, int]:
        done = mailloom("ingest", "-", "--archive", archive, "--json", "--jobs", "1", stdin=data)
        assert done.returncode == 0, done.stderr
        books = json.loads(done.stdout)
        assert books["balanced"]
        sound(archive)
        return {key: books[key] for key in ("received", "stored", "duplicate", "rejected", "messages")}

    assert stream(box(1, 2)) == {"received": 2, "stored": 2, "duplicate": 0, "rejected": 0, "messages": 2}
    assert stream(box(1, 2)) == {"received": 2, "stored": 0, "duplicate": 2, "rejected": 0, "messages": 2}
    assert stream(mail(3)) == {"received": 1, "stored": 1, "duplicate": 0, "rejected": 0, "messages": 3}
    assert stream(b"") == {"received": 0, "stored": 0, "duplicate": 0, "rejected": 0, "messages": 3}
    states = [row[3] for row in rows(archive)]
    assert sorted(states) == ["duplicate", "duplicate", "foreign", "stored", "stored", "stored"]


# ------------------------------------------------------------------------------------------------ the command
def test_the_books_as_json_and_as_text(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, data in (
        ("a.eml", mail(1)),
        ("b.eml", mail(1)),
        ("c.eml", mail(2)),
        ("picture.jpg", b"\xff\xd8\xff\xe0" * 9),
    ):
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in" / "link.eml").symlink_to("a.eml")
    done = mailloom("ingest", tmp_path / "in", "--archive", archive, "--json")
    assert done.returncode == 0
    books = json.loads(done.stdout)
    expected = {
        "received": 4,
        "stored": 2,
        "duplicate": 1,
        "rejected": 1,
        "pending": 0,
        "foreign": 1,
        "unchanged": 0,
        "messages": 2,
        "threads": 2,
    }
    assert {key: books[key] for key in expected} == expected
    assert books["balanced"] is True
    assert books["disk"] > 0
    text = mailloom("ingest", tmp_path / "in", "--archive", archive).stdout.decode()
    assert text.startswith("received 1 = stored 0 + duplicate 0 + rejected 1 + pending 0\n"), text
    assert "unchanged 4" in text
    said = mailloom("rejected", "--archive", archive).stdout.decode()
    assert "a link, not followed" in said
    assert str(tmp_path / "in" / "link.eml") in said.replace("\n", "").replace(" ", "")


def test_a_source_that_is_not_there_is_a_clear_message_and_exit_code_2(archive: Path, tmp_path: Path) -> None:
    done = mailloom("ingest", tmp_path / "nowhere", "--archive", archive)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"mailloom: no such file or folder: {tmp_path}/nowhere")
    assert mailloom("ingest", "--archive", archive).returncode == 2
    assert mailloom("ingest", tmp_path, "--jobs", "0", "--archive", archive).returncode == 2


def test_what_came_before_a_source_that_is_not_there_is_stored(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(mail(1))
    with pytest.raises(SourceError):
        run(archive, tmp_path / "a.eml", tmp_path / "nowhere")
    assert told(run(archive, tmp_path / "a.eml")) in {(1, 1, 0, 0, 0), (0, 0, 0, 0, 1)}


def test_ctrl_c_stops_at_once_and_the_same_command_goes_on(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "box"
    file.write_bytes(box(*range(2000)))
    command = [sys.executable, "-m", "mailloom", "ingest", str(file), "--jobs", "2", "--archive", str(archive)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    while process.poll() is None and not (archive / "raw" / "000001.zst").exists():
        time.sleep(0.005)  # it needs the processor more
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert b"Traceback" not in said, said
    if process.returncode != 0:  # it was not through already
        assert process.returncode == 130
        assert said.strip() == b"stopped; what was stored stays, the same command goes on from there"
    assert mailloom(*command[3:]).returncode == 0
    sound(archive)
    assert len(rows(archive)) == 2000


# ------------------------------------------------------------------------------------------------ what a mail may do
def test_a_mail_above_the_limit_is_refused_with_its_place_and_taken_when_the_limit_is_raised(
    archive: Path, tmp_path: Path
) -> None:
    file = tmp_path / "box"
    file.write_bytes(box(1) + FROM_LINE + mail(2, b"x" * 5000) + b"\n" + box(3))
    (tmp_path / "large.eml").write_bytes(mail(4, b"x" * 5000))
    books = run(archive, file, tmp_path / "large.eml", options=Options(max_mail=2000))
    assert told(books) == (4, 2, 0, 2, 0)
    refused = rows(archive, "path, start, length, state, reason")[1]
    assert refused[1] == len(box(1)) + len(FROM_LINE) or refused[1] == len(box(1))
    assert refused[2] > 5000
    assert refused[3] == "rejected"
    assert "2,000 are allowed" in str(refused[4])
    assert all("are allowed" in reason for reason in reasons(archive))


@pytest.mark.parametrize("size", [10, 2 << 20], ids=["small", "large"])
def test_a_file_that_vanishes_while_reading_is_refused_and_taken_when_it_is_back(
    size: int, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file is opened by the walk, a large one by whoever works on it."""
    place = tmp_path / "in"
    place.mkdir()
    for number in range(3):
        (place / f"{number}.eml").write_bytes(mail(number, b"x" * size + b"\n"))
    gone, away = place / "1.eml", tmp_path / "away"
    walk = running.walk

    def losing(*args, **more) -> Iterator[object]:
        for found in walk(*args, **more):
            if gone.exists():
                gone.rename(away)  # listed, and in the large case handed out already or not
            yield found

    monkeypatch.setattr(running, "walk", losing)
    assert told(run(archive, place)) == (3, 2, 0, 1, 0)
    assert reasons(archive) == [f"vanished while reading: {gone} (run again if it came back)"]
    monkeypatch.undo()
    away.rename(gone)
    assert told(run(archive, place)) == (1, 1, 0, 0, 2)
    assert reasons(archive) == []


def test_a_box_that_vanishes_before_its_mails_are_stored_is_stored(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "box"
    file.write_bytes(box(1, 2, 3))
    work = running.work

    def losing(mails: Sequence[Given]) -> object:
        file.unlink()
        return work(mails)

    monkeypatch.setattr(running, "work", losing)
    assert told(run(archive, file)) == (3, 3, 0, 0, 0)


def test_a_box_that_grows_while_it_is_read_is_read_on_next_time(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "box"
    file.write_bytes(box(1, 2, 3))
    walk = running.walk

    def growing(*args, **more) -> Iterator[object]:
        found = walk(*args, **more)
        yield next(found)
        with file.open("ab") as more_mail:
            more_mail.write(box(4, 5))
        yield from found

    monkeypatch.setattr(running, "walk", growing)
    first = run(archive, file)
    monkeypatch.undo()
    second = run(archive, file)
    assert first.stored + second.stored == 5
    assert first.duplicate == second.duplicate == 0
    assert run(archive, file).unchanged == 1


class TestWorkers:
    """Work functions live at the module's top, so that worker processes find them."""

    def test_a_mail_that_kills_its_process_is_the_only_one_rejected(
        self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = tmp_path / "in"
        place.mkdir()
        for number in range(40):
            (place / f"{number:02}.eml").write_bytes(mail(number, b"DEADLY\n" if number in {7, 31} else b""))
        monkeypatch.setattr(running, "BATCH_MAILS", 10)
        monkeypatch.setattr(running, "work", dying)
        assert told(run(archive, place, jobs=2)) == (40, 38, 0, 2, 0)
        assert rows(archive, "path, state") == [
            (f"{n:02}.eml", "rejected" if n in {7, 31} else "stored") for n in range(40)
        ]
        assert reasons(archive) == ["bug: the worker process ended with signal 9 (SIGKILL)"] * 2
        monkeypatch.undo()
        with open_for_writing(archive) as stores:
            books = retry(stores)
        assert told(books) == (2, 2, 0, 0, 0)
        assert reasons(archive) == []
        sound(archive)
        assert told(run(archive, place)) == (0, 0, 0, 0, 40)

    def test_a_bug_of_ours_rejects_one_mail_and_a_later_version_takes_it(
        self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "box").write_bytes(box(1, 2, 3))
        monkeypatch.setattr("mailloom.flow.transform.identify", failing)
        assert told(run(archive, tmp_path / "box")) == (3, 0, 0, 3, 0)
        assert all(reason.startswith("bug: ZeroDivisionError: ") for reason in reasons(archive))
        monkeypatch.undo()
        done = mailloom("rejected", "--retry", "--json", "--archive", archive)
        assert done.returncode == 0
        assert json.loads(done.stdout) == {"tried": 3, "stored": 3, "duplicate": 0, "rejected": 0}
        sound(archive)
        assert told(run(archive, tmp_path / "box")) == (0, 0, 0, 0, 1)

    def test_a_fault_that_is_no_mails_goes_up(
        self, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a.eml").write_bytes(mail(1))
        monkeypatch.setattr(running, "work", failing)
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            run(archive, tmp_path / "a.eml", jobs=2)
        monkeypatch.undo()
        assert told(run(archive, tmp_path / "a.eml")) == (1, 1, 0, 0, 0)


def dying(mails: Sequence[Given]) -> object:
    if any(b"DEADLY" in (given.raw or b"") for given in mails):
        os.kill(os.getpid(), signal.SIGKILL)
    return running.work(mails)


def failing(*_: object) -> object:
    raise ZeroDivisionError


# ------------------------------------------------------------------------------------------------ order
def test_order_changes_neither_rows_nor_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mail in no order must not cost a file a month a batch."""
    from random import Random

    from mailloom.synth import generate, shape_of

    monkeypatch.setattr(running, "BATCH_MAILS", 16)
    mails = [one.raw for one in generate(400, 4, shape_of("size=2KB,attachments=0,per_day=3,crlf=0,broken=0"))]
    shuffled = Random(1).sample(mails, len(mails))
    counted = []
    for name, some in (("in order", mails), ("in none", shuffled)):
        file = tmp_path / f"{name}.mbox"
        file.write_bytes(b"".join(FROM_LINE + raw.replace(b"\nFrom ", b"\n>From ") + b"\n" for raw in some))
        archive = tmp_path / name
        assert run(archive, file).received == 400
        with open_archive(archive) as opened:
            counted.append(
                {
                    **tables(opened),
                    "parquet": len(sorted(archive.rglob("*.parquet"))),
                    "files": len(sorted(archive.rglob("*"))),
                }
            )
    assert counted[0] == counted[1]
    assert counted[0]["parquet"] > 3


def tables(archive: Archive) -> dict[str, int]:
    names = ("messages", "bodies", "deliveries", "links", "stated", "nodes", "people", "raws", "files")
    return {name: archive.connection.execute(f"select count(*) from {name}").get for name in names}


def test_transform_is_the_same_in_any_process() -> None:
    """What the workers rely on: nothing depends on the seed of hash()."""
    code = "import sys; from test_ingest import *; from mailloom.mail.model import Origin; from mailloom.flow.transform import seal; raw = mail(1, b'x ' * 99); sys.stdout.write(repr(seal(transform(raw, Origin('s', 'p', 0, len(raw), 0, 0)))))"
    said = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1
    assert transform is not None
