"""Threads put right by hand, as a user does it: split, join, undo, what comes later, and that nothing of it is ever lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import apsw
import click
import orjson
import pytest
from click.testing import CliRunner, Result

from mailloom.archive import open_archive
from mailloom.archive.digest import digest, overall
from mailloom.cli import group
from mailloom.mail.model import MessageId
from mailloom.ports import UserError
from mailloom.run.ingest import ingest
from mailloom.wire import open_for_writing


def mail(number: int, subject: str, *refs: int, text: str = "") -> bytes:
    """A mail of that day of January that answers the last of `refs`."""
    ids = [f"<{ref}@example.org>" for ref in refs]
    answers = f"In-Reply-To: {ids[-1]}\nReferences: {' '.join(ids)}\n" if ids else ""
    return f"""From: Ann Lee <ann@example.org>
To: Bo Ray <bo@example.net>
Subject: {subject}
Date: {number:02} Jan 2024 10:00:00 +0000
Message-ID: <{number}@example.org>
{answers}
{text or f"The text of number {number}."}
""".encode()


FIRST = [
    mail(1, "Trip to Rome"),
    mail(2, "Re: Trip to Rome", 1),
    mail(3, "Re: Trip to Rome", 1, 2),
    mail(4, "Re: Trip to Rome", 1),
    mail(5, "Hotel bill"),
    mail(6, "Re: Hotel bill", 5),
]
LATE = [mail(7, "Re: Trip to Rome", 1, 2, 3), mail(8, "Re: Trip to Rome", 1, 4)]


def put(folder: Path, mails: Sequence[bytes]) -> Path:
    folder.mkdir(parents=True)
    for number, raw in enumerate(mails):
        (folder / f"{number}.eml").write_bytes(raw)
    return folder


def bring(archive: Path, source: Path) -> None:
    with open_for_writing(archive) as stores:
        assert ingest([str(source)], stores).balanced


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    bring(tmp_path / "archive", put(tmp_path / "first", FIRST))
    return tmp_path / "archive"


@pytest.fixture
def run(archive: Path) -> Callable[..., Result]:
    def call(*args: str) -> Result:
        env = {"COLUMNS": "100", "MAILLOOM_ARCHIVE": str(archive)}
        result = CliRunner(env=env).invoke(group, list(args), standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        return result

    return call


def groups(archive: Path) -> list[list[int]]:
    """The numbers of the mails of each conversation."""
    found: dict[MessageId, list[int]] = {}
    with open_archive(archive) as opened:
        for message, conversation, _ in opened.threads():
            found.setdefault(conversation, []).append(int(opened.summary(message).message_id.split("@")[0]))
    return sorted(sorted(group) for group in found.values())


def hashes(archive: Path) -> dict[str, str]:
    with open_archive(archive) as opened:
        tables = digest(opened)
    return {**{table.table: table.sha256 for table in tables}, "all": overall(tables)}


def of(number: int) -> str:
    return f"{number}@example.org"


def rows(result: Result) -> list[Any]:
    return [orjson.loads(line) for line in result.stdout_bytes.splitlines()]


# ------------------------------------------------------------------------------------------------ what it does
def test_split_takes_a_message_and_what_answers_it(run: Callable[..., Result], archive: Path) -> None:
    said = run("thread", of(2), "--split").stdout
    assert re.match(r"edit 1: [0-9a-f]{8} and what answers it are thread [0-9a-f]{8}, 2 messages\n", said)
    assert re.search(r"the rest is thread [0-9a-f]{8}, 2 messages\n`mailloom thread --undo 1` takes it back", said)
    assert groups(archive) == [[1, 4], [2, 3], [5, 6]]
    assert "missing" not in run("thread", of(3)).stdout


def test_a_late_answer_goes_where_it_belongs(run: Callable[..., Result], archive: Path, tmp_path: Path) -> None:
    run("thread", of(2), "--split")
    bring(archive, put(tmp_path / "late", LATE))
    assert groups(archive) == [[1, 4, 8], [2, 3, 7], [5, 6]]
    assert run("doctor").stdout.rstrip().endswith("is sound")


def test_join_makes_two_conversations_one(run: Callable[..., Result], archive: Path) -> None:
    assert "edit 1: both are thread" in run("thread", of(6), "--join", of(3)).stdout
    assert groups(archive) == [[1, 2, 3, 4, 5, 6]]


def test_undo_is_as_if_nothing_had_been_said(run: Callable[..., Result], archive: Path) -> None:
    before = hashes(archive)
    run("thread", of(2), "--split")
    run("thread", of(6), "--join", of(3))
    assert groups(archive) == [[1, 4], [2, 3, 5, 6]]
    assert hashes(archive) != before
    assert "edit 1 is taken back" in run("thread", "--undo", "1").stdout
    run("thread", "--undo", "2")
    run("thread", "--undo", "2")
    assert groups(archive) == [[1, 2, 3, 4], [5, 6]]
    assert hashes(archive) == before


def test_edits_are_listed(run: Callable[..., Result]) -> None:
    assert "nothing was split or joined" in run("thread", "--edits").stderr
    run("thread", of(2), "--split")
    run("thread", of(6), "--join", of(3))
    run("thread", "--undo", "1")
    one, two = run("thread", "--edits").stdout.splitlines()
    assert re.match(r"  1  \d{4}-\d\d-\d\d \d\d:\d\d  taken back: split off [0-9a-f]{8} Re: Trip to", one)
    assert re.search(r"joined [0-9a-f]{8} Re: Hotel bill with [0-9a-f]{8} Re: Trip to", two)
    assert max(len(one), len(two)) <= 100
    values = rows(run("thread", "--edits", "--json"))
    assert [(v["number"], v["kind"], v["messages"]) for v in values] == [(1, "split", [2, 2]), (2, "join", [1, 1])]
    assert values[0]["undone"] is not None
    assert values[1]["undone"] is None


def test_explain_and_the_feed_say_that_it_was_by_hand(run: Callable[..., Result], archive: Path) -> None:
    run("thread", of(2), "--split")
    run("thread", of(6), "--join", of(4))
    assert "split off by hand, with what answers it (edit 1)" in run("explain", of(2)).stdout
    assert "not used: kept apart by hand (edit 1)" in run("explain", of(3)).stdout
    words = " ".join(run("explain", of(4)).stdout.split())
    assert "kept apart by hand from" in words
    assert "joined by hand with" in words
    (value,) = rows(run("explain", of(3), "--json"))
    assert value["edits"] == [{"number": 1, "kind": "split", "inside": True, "other": value["thread"]}]
    states = {link["value"]: link["state"] for link in value["links"]}
    assert (states[of(1)], states[of(2)]) == ("apart", "joins")
    with open_archive(archive) as opened:
        assert [why for (why,) in opened.connection.execute("select why from feed order by seq")][-2:] == [
            "parted by hand",
            "joined by hand",
        ]


def test_json_tells_the_edit_and_the_threads(run: Callable[..., Result]) -> None:
    (value,) = rows(run("thread", of(2), "--split", "--json"))
    assert (value["number"], value["kind"], value["messages"]) == (1, "split", [2, 2])
    assert value["thread"] == value["message"] != value["other_thread"]


# ------------------------------------------------------------------------------------------------ what can't be done
@pytest.mark.parametrize(
    ("args", "error", "said"),
    [
        ([of(1), "--split"], UserError, "begins its thread"),
        ([of(1), "--join", of(3)], UserError, "in one thread already"),
        ([of(1), "--join", of(1)], UserError, "in one thread already"),
        ([of(1), "--join", of(99)], UserError, "no message is called"),
        (["--undo", "7"], UserError, "there is no edit 7"),
        (["--split"], click.UsageError, "need a mail's ID"),
        ([of(1), "--edits"], click.UsageError, "take none"),
        ([of(1), "--split", "--join", of(5)], click.UsageError, "one at a time"),
        ([of(1), "--split", "--inclusive"], click.UsageError, "leave them out"),
        ([], click.UsageError, "which mail's thread"),
    ],
)
def test_what_makes_no_sense_is_told(
    run: Callable[..., Result], archive: Path, args: list[str], error: type[Exception], said: str
) -> None:
    before = hashes(archive)
    with pytest.raises(error, match=re.escape(said)):
        run("thread", *args)
    assert hashes(archive) == before


def test_a_split_against_a_join_names_the_join(run: Callable[..., Result]) -> None:
    run("thread", of(5), "--join", of(1))
    with pytest.raises(UserError, match="--undo 1"):
        run("thread", of(5), "--split")


@pytest.mark.parametrize("args", [[of(1), "--split"], [of(1), "--join", of(2)], ["--undo", "1"], ["--edits"]])
def test_an_archive_that_is_not_there_is_not_made(args: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(group, ["thread", *args, "-a", str(tmp_path / "no")], standalone_mode=False)
    assert "no archive at" in str(result.exception)
    assert not (tmp_path / "no").exists()


def test_while_somebody_writes_an_edit_waits_for_another_time(run: Callable[..., Result], archive: Path) -> None:
    with open_for_writing(archive), pytest.raises(UserError, match="is writing to"):
        run("thread", of(2), "--split")


# ------------------------------------------------------------------------------------------------ what is kept
def test_the_same_mail_and_edits_in_any_order_are_the_same(
    run: Callable[..., Result], archive: Path, tmp_path: Path
) -> None:
    """An archive that gets the edits before any mail, and the mail one by one from the last: the same, to the last hash."""
    run("thread", of(2), "--split")
    run("thread", of(6), "--join", of(3))
    bring(archive, put(tmp_path / "late", LATE))
    other = tmp_path / "other"
    with open_archive(archive) as opened, open_for_writing(other) as stores, stores.threads.session():
        for edit in opened.edits():
            stores.threads.put(edit)
    for number, raw in enumerate(reversed([*FIRST, *LATE])):
        bring(other, put(tmp_path / f"other{number}", [raw]))
    assert groups(other) == groups(archive) == [[1, 4, 8], [2, 3, 5, 6, 7]]
    mine, theirs = hashes(archive), hashes(other)
    assert mine == theirs


def test_doctor_keeps_them_when_it_derives_threads_anew(run: Callable[..., Result], archive: Path) -> None:
    run("thread", of(2), "--split")
    run("thread", of(6), "--join", of(3))
    before = hashes(archive)
    connection = apsw.Connection(str(archive / "archive.sqlite"))
    connection.execute("update nodes set conv = null; delete from soft; delete from edit_names where number = 1")
    connection.close()
    found = run("doctor").stdout
    assert "FAULT  conversations" in found
    assert "1 hand edits are not found by all their names" in " ".join(found.split())
    run("doctor", "--repair")
    assert run("doctor").stdout.rstrip().endswith("is sound")
    assert hashes(archive) == before


def test_an_archive_of_version_1_is_read_as_it_is_and_gets_what_it_lacks(
    run: Callable[..., Result], archive: Path
) -> None:
    script = files("mailloom.stores.sqlite").joinpath("schema.sql").read_text(encoding="utf-8")
    later = re.findall(r"^CREATE TABLE (\w+)", script.split("-- Since version 2")[1], re.MULTILINE)
    assert {"edits", "edit_names"} <= set(later)
    before = hashes(archive)
    connection = apsw.Connection(str(archive / "archive.sqlite"))
    for table in later:
        connection.execute(f"drop table {table}")
    connection.execute("pragma user_version=1")
    connection.close()
    assert hashes(archive) == before
    assert "nothing was split or joined" in run("thread", "--edits").stderr
    assert "Joined by" in run("explain", of(2)).stdout
    assert run("doctor").stdout.rstrip().endswith("is sound")
    connection = apsw.Connection(str(archive / "archive.sqlite"))
    assert connection.pragma("user_version") == 1, "reading changes nothing"
    run("thread", of(2), "--split")
    assert connection.pragma("user_version") == 2
    connection.close()
    assert groups(archive) == [[1, 4], [2, 3], [5, 6]]
