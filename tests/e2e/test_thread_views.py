"""`mailloom thread` and its like on mail with something missing, held or split: what a reader sees, in text and in JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner, Result

from mailloom.archive import open_archive
from mailloom.cli import draw, group
from mailloom.run.ingest import ingest
from mailloom.wire import open_for_writing

OFFER = "We can deliver forty penguins by the end of the month."
ANSWER = "That is two weeks later than what we had agreed in March."


def mail(
    name: str, subject: str, text: str, *, day: int, cites: str = "", sender: str = "Bo Ray <bo@example.net>"
) -> bytes:
    ids = [f"<{one}@example.org>" for one in cites.split()]
    head = [
        f"From: {sender}",
        "To: team@example.org",
        f"Subject: {subject}",
        f"Date: Wed, {day:02} Jan 2025 10:00:00 +0000",
        f"Message-ID: <{name}@example.org>",
        *([f"In-Reply-To: {ids[-1]}", f"References: {' '.join(ids)}"] if ids else []),
    ]
    return ("\n".join(head) + f"\n\n{text}\n").encode()


def quote(head: str, text: str) -> str:
    return head + "\n" + "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


LOST = quote("On Wed, 1 Jan 2025 at 10:00:00 +0000, Ann Lee <ann@example.org> wrote:", OFFER)
LONGER = quote(
    "On Wed, 1 Jan 2025 at 11:00:00 +0100, Ann Lee <ann@example.org> wrote:", f"{OFFER}\nThe price stays as it is."
)
TWO = f"{ANSWER}\n\n{LOST}"
FOUR = f"So be it.\n\n{quote('On Thu, 2 Jan 2025 at 10:00:00 +0000, Bo Ray <bo@example.net> wrote:', TWO)}"
MAILS = {
    "2": mail("2", "Re: Penguins", TWO, day=2, cites="lost"),
    "3": mail("3", "Re: Penguins", f"Fine with us here in the south.\n\n{LONGER}", day=3, cites="lost", sender="Cy <cy@example.com>"),
    "4": mail("4", "Re: Penguins", FOUR, day=4, cites="lost 2", sender="Di <di@example.com>"),
    "5": mail("5", "Walruses (was: Penguins)", "What about walruses, by the way?", day=5, cites="lost 2 4"),
    "6": mail("6", "Re: Walruses", "Never.", day=6, cites="lost 2 4 5"),
    "rent": mail("twice", "Rent for June", "Here is the rent.", day=10),
    "party": mail("twice", "Party on Friday", "You are all invited.", day=11),
    "lost": mail("9", "Re: Something else", "No.", day=12, cites="twice"),
}  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views")
    (folder / "box").mkdir()
    for name, raw in MAILS.items():
        (folder / "box" / f"{name}.eml").write_bytes(raw)
    with open_for_writing(folder / "a") as stores:
        assert ingest([str(folder / "box")], stores).stored == len(MAILS)
    return folder / "a"


@pytest.fixture
def run(archive: Path) -> Callable[..., Result]:
    def call(*args: str, **env: str) -> Result:
        result = CliRunner(env={"COLUMNS": "100", "MAILLOOM_ARCHIVE": str(archive), **env}).invoke(
            group, list(args), standalone_mode=False
        )
        if result.exception is not None:
            raise result.exception
        assert all(draw.cells(line) <= 100 for line in result.stdout.splitlines() if not line.startswith("{"))
        return result

    return call


def rows(result: Result) -> list[Any]:
    return [orjson.loads(line) for line in result.stdout_bytes.splitlines()]


def test_a_missing_mail_is_drawn_with_what_its_quotes_say(run: Callable[..., Result]) -> None:
    lines = run("thread", "4@example.org").stdout.splitlines()
    assert lines[1].startswith("5 messages, 1 missing (1 recovered), 2025-01-02 to 2025-01-06, thread ")
    assert lines[3] == "Ann Lee  2025-01-01 10:00  (missing; recovered from 2 quotes)"
    assert lines[4:6] == [f"│ {OFFER}", "│ The price stays as it is."]


def test_a_missing_mail_in_json_names_its_copies(run: Callable[..., Result]) -> None:
    ghost, two, *_ = rows(run("thread", "4@example.org", "--json"))
    assert ghost["missing"] == two["parent"] == "lost@example.org"
    known = ghost["recovered"]
    assert known["text"] == f"{OFFER}\nThe price stays as it is."
    assert known["from"] == [{"name": "Ann Lee", "address": "ann@example.org", "key": "ann@example.org", "group": ""}]
    assert known["date"] == "2025-01-01T10:00:00.000Z"
    assert [one["path"] for one in known["quotes"]] == ["1", "1"]
    assert two["id"] in {one["carrier"] for one in known["quotes"]}
    assert known["others"] == []
    (piece,) = known["pieces"]
    assert piece == {"start": 0, "end": len(known["text"]), "quote": 0}


def test_the_library_gives_the_ghost(archive: Path) -> None:
    with open_archive(archive) as opened:
        (root,) = opened.tree(opened.find("4@example.org"))
        assert root.known is not None
        record = opened.record(root.known.quotes[0].carrier)
        quote = root.known.quotes[0]
        assert OFFER in record.message.text[quote.start : quote.end]


def test_an_id_that_two_mails_elsewhere_have_is_not_called_missing(run: Callable[..., Result]) -> None:
    lines = run("thread", "9@example.org").stdout.splitlines()
    assert lines[1].startswith("1 message, 2025-01-12, thread ")
    assert lines[3].startswith("in another thread: ")
    assert lines[3].endswith(" (twice@example.org)")
    ghost, _ = rows(run("thread", "9@example.org", "--json"))
    assert len(ghost["elsewhere"]) == 2


def test_replies_without_headers_hang_below_the_mail_that_both_quote(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    for number, sender in enumerate(("Bo <bo@example.net>", "Cy <cy@example.com>"), 2):
        raw = mail(str(number), "Re: Penguins for the zoo", f"Answer {number}.\n\n{LOST}", day=number, sender=sender)
        (tmp_path / "box" / f"{number}.eml").write_bytes(raw)
    with open_for_writing(tmp_path / "a") as stores:
        ingest([str(tmp_path / "box")], stores)
    with open_archive(tmp_path / "a") as opened:
        (root,) = opened.tree(opened.find("2@example.org"))
        assert root.known is not None
        assert root.known.text == OFFER
        assert len(root.known.quotes) == len(root.children) == 2
    env = {"MAILLOOM_ARCHIVE": str(tmp_path / "a")}
    ghost, *replies = rows(CliRunner(env=env).invoke(group, ["thread", "2@example.org", "--json"]))
    first = min(replies, key=lambda row: row["date"])
    assert ghost["missing"] == f"{first['id']}#1"
    assert {row["parent"] for row in replies} == {ghost["missing"]}


def test_held_mails_are_marked_and_left_out(run: Callable[..., Result]) -> None:
    tree = run("thread", "4@example.org").stdout
    assert tree.count("all of it is in") == 1
    lines = run("thread", "4@example.org", "--inclusive").stdout.splitlines()
    assert lines[1] == "4 of 5 messages hold all text and attachments of the others"
    assert sum("holds 1 other" in line for line in lines) == 1
    assert len(lines) == 3 + 4
    values = {row["message_id"]: row for row in rows(run("thread", "4@example.org", "--json")) if "id" in row}
    assert values["2@example.org"]["held_by"] == values["4@example.org"]["id"]
    assert values["4@example.org"]["held_by"] is None
    listed = rows(run("thread", "4@example.org", "--inclusive", "--json"))
    assert {row["message_id"] for row in listed} == {f"{n}@example.org" for n in (3, 4, 5, 6)}


def test_a_policy_splits_what_is_drawn(run: Callable[..., Result]) -> None:
    lines = run("thread", "6@example.org", "--policy", "subject").stdout.splitlines()
    assert lines[0] == "Walruses (was: Penguins)"
    assert lines[1].startswith("2 messages, 2025-01-05 to 2025-01-06, thread ")
    assert lines[2].startswith("3 more messages in the whole thread ")
    assert not any("Penguins" in line or "missing" in line for line in lines[3:])
    values = rows(run("thread", "6@example.org", "--json", MAILLOOM_THREAD_POLICY="gmail"))
    assert [row["message_id"] for row in values] == ["5@example.org", "6@example.org"]
    assert {row["thread"] for row in values} == {values[0]["id"]}


def test_search_and_export_know_the_policies(run: Callable[..., Result]) -> None:
    (hit,) = rows(run("search", "never", "--json", "--policy", "subject"))
    (whole,) = rows(run("search", "never", "--json"))
    assert hit["thread"] != whole["thread"]
    assert len(rows(run("search", "thread:6@example.org", "--json", "--policy", "subject"))) == 2
    assert run("search", "--count", "thread:6@example.org", "--policy", "gmail").stdout.strip() == "2"
    assert run("search", "--count", "thread:6@example.org").stdout.strip() == "5"
    for policy, count in (("never", 4), ("subject", 5), ("gmail", 5)):
        for evidence in ("all", "headers"):
            values = rows(run("export", "threads", "--policy", policy, "--evidence", evidence))
            assert len({row["thread"] for row in values}) == count
            assert {row["message"] for row in values} > {row["thread"] for row in values}
    assert rows(run("export", "threads", MAILLOOM_THREAD_POLICY="subject")) == rows(
        run("export", "threads", "--policy", "subject")
    )


def test_a_wrong_policy_in_the_environment_is_named(run: Callable[..., Result]) -> None:
    with pytest.raises(click.BadParameter) as caught:
        run("search", "never", MAILLOOM_THREAD_POLICY="outlook")
    told = caught.value.format_message()
    assert "MAILLOOM_THREAD_POLICY" in told
    assert "'never', 'subject', 'gmail'" in told
