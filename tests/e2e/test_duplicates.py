"""Mail that says the same, of every kind: found whatever the order, told to a user, and no thread is torn or made by it."""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise, permutations
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mailloom.archive import alike, open_archive
from mailloom.archive.duplicates import KINDS, groups
from mailloom.archive.export import export
from mailloom.cli import group
from mailloom.mail.model import MessageId
from mailloom.run import ingest as run
from mailloom.run.ingest import ingest
from mailloom.stores.sqlite import sketches
from mailloom.wire import open_for_writing

DICE = random.Random(4)
TEXT = ["".join(DICE.choices("abcdefghijklmnop", k=5)) for _ in range(120)]


def mail(name: str, text: Sequence[str], subject: str = "Figures", *more: str, day: int = 4, footer: str = "") -> bytes:
    head = [
        "From: Ann <ann@example.org>",
        "To: bo@example.com",
        f"Subject: {subject}",
        f"Date: Mon, {day} Mar 2024 10:00:00 +0000",
        f"Message-ID: <{name}@example.org>",
        *more,
    ]
    body = "\n".join(" ".join(text[at : at + 12]) for at in range(0, len(text), 12))
    return ("\n".join(head) + f"\n\n{body}\n{footer}").encode()


def changed(text: Sequence[str], words: int, seed: int) -> list[str]:
    """The text with so many of its words replaced by others."""
    out, dice = list(text), random.Random(seed)
    for number, at in enumerate(dice.sample(range(len(out)), words)):
        out[at] = f"new{seed}x{number}"
    return out


LISTED = "\n_______________________________________________\ndev mailing list\ndev@lists.example.net\nhttps://lists.example.net/dev\n"
MAILS = {
    "first.eml": mail("first", TEXT),
    "again.eml": mail("first", TEXT),
    "twin.eml": mail("invented", TEXT),
    "listed.eml": mail("first", TEXT, "[dev] Figures", footer=LISTED),
    "reused.eml": mail("first", TEXT[::-1], "Another matter"),
    "edited.eml": mail("edited", changed(TEXT, 4, 1), "Figures, corrected", day=5),
    "far.eml": mail("far", changed(TEXT, 50, 2), "Figures of others", day=6),
    "note.eml": mail("note", ["Thanks", "fine"], "Lunch", day=7),
    "same note.eml": mail("note2", ["thanks,", "FINE"], "Re: Lunch", day=8),
    "other note.eml": mail("note3", ["Thanks", "fine"], "Dinner", day=9),
    "empty.eml": mail("empty", [], "Nothing", day=10),
    "empty too.eml": mail("empty2", [], "Nothing", day=11),
}


def archive_of(room: Path, mails: dict[str, bytes] = MAILS, batch: int = 256) -> Path:
    """Mails in one folder each, so that they come in the order of the dict."""
    for number, (name, raw) in enumerate(mails.items()):
        folder = room / "mail" / f"{number:05}"
        folder.mkdir(parents=True)
        (folder / name).write_bytes(raw)
    with open_for_writing(room / "archive") as stores:
        ingest([str(room / "mail")], stores)
    return room / "archive"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return archive_of(tmp_path_factory.mktemp("duplicates"))


def named(archive: Path) -> dict[MessageId, str]:
    """A name of each message: the file that it was stored from."""
    with open_archive(archive) as opened:
        rows = opened.connection.execute("select message, path from deliveries where state = 'stored'")
        return {MessageId(message): path.rpartition("/")[2].removesuffix(".eml") for message, path in rows}


def of(archive: Path, name: str, threshold: float = 0.8) -> list[tuple[str, str]]:
    names = named(archive)
    with open_archive(archive) as opened:
        message = next(m for m, one in names.items() if one == name)
        return [(one.kind, names[one.other]) for one in opened.duplicates(message, threshold)]


def all_groups(archive: Path, threshold: float = 0.8) -> list[tuple[str, tuple[str, ...], int]]:
    names = named(archive)
    with open_archive(archive) as opened:
        return [
            (g.kind, (names[g.first], *(names[one.other] for one in g.others)), g.mails)
            for kind in KINDS
            for g in groups(opened, kind, threshold)
        ]


# ------------------------------------------------------------------------------------------------ what is found
def test_of_one_mail(archive: Path) -> None:
    found = of(archive, "first")
    assert found[0] == ("twins", "twin")
    assert set(found[1:]) == {("variants", "listed"), ("reused", "reused"), ("near", "edited")}
    assert of(archive, "note") == [("near", "same note")]
    assert of(archive, "other note") == []
    assert of(archive, "empty") == []
    assert set(of(archive, "edited")) == {("near", "first"), ("near", "twin"), ("near", "listed")}


def test_a_threshold_that_is_no_number_is_refused(archive: Path) -> None:
    with pytest.raises(click.BadParameter):
        CliRunner().invoke(
            group,
            ["duplicates", "-a", str(archive), "--threshold", "nan"],
            standalone_mode=False,
            catch_exceptions=False,
        )


def test_likeness_is_what_it_says_and_the_threshold_is_kept(archive: Path) -> None:
    names = named(archive)
    with open_archive(archive) as opened:
        first = next(m for m, one in names.items() if one == "first")
        likeness = {names[one.other]: one.similarity for one in opened.duplicates(first)}
    runs = [set(pairwise(text)) for text in (TEXT, changed(TEXT, 4, 1))]
    assert likeness["edited"] == pytest.approx(len(runs[0] & runs[1]) / len(runs[0] | runs[1]))
    assert likeness["listed"] == 1.0
    assert ("near", "edited") not in of(archive, "first", 0.99)
    assert ("near", "far") not in of(archive, "first", 0.5)


def test_of_the_archive(archive: Path) -> None:
    """What twins and variants say again counts once among the near ones."""
    found = all_groups(archive)
    assert [g for g in found if g[0] == "copies"] == [("copies", ("first",), 2)]
    assert [set(g[1]) for g in found if g[0] == "twins"] == [{"first", "twin"}]
    assert [set(g[1]) for g in found if g[0] == "variants"] == [{"first", "listed"}]
    assert [set(g[1]) for g in found if g[0] == "reused"] == [{"first", "listed", "reused"}]
    near = [set(g[1]) for g in found if g[0] == "near"]
    assert {"note", "same note"} in near
    assert len(near) == 2
    (edited,) = [g for g in near if "edited" in g]
    assert len(edited & {"first", "twin", "listed"}) == 1
    assert len(edited) == 2


def test_the_same_in_every_order_and_packed_or_not(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = {(kind, frozenset(names), mails) for kind, names, mails in all_groups(archive)}
    monkeypatch.setattr(sketches, "PACK_AT", 1)
    monkeypatch.setattr(run, "BATCH_MAILS", 2)
    monkeypatch.setattr(run, "COPY_AT", 3)
    dice = random.Random(8)
    for number in range(3):
        order = list(MAILS.items())
        dice.shuffle(order)
        order.sort(key=lambda item: item[0] == "again.eml")  # the copy last, so that names stay
        other = archive_of(tmp_path / str(number), dict(order))
        assert {(kind, frozenset(names), mails) for kind, names, mails in all_groups(other)} == want
        assert set(of(other, "first")) == set(of(archive, "first"))


def test_a_newsletter_to_many_is_compared_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 letters, each to another name: one group, and about as many comparisons as letters."""
    letters = {f"{n:03}.eml": mail(f"n{n}", ["Dear", f"name{n}", *TEXT], "News", day=1 + n % 28) for n in range(300)}
    letters |= {f"equal{n}.eml": mail(f"e{n}", TEXT[::-1], "Same", day=1 + n % 28) for n in range(50)}
    archive = archive_of(tmp_path, letters)
    compared = []
    monkeypatch.setattr(alike, "alike", lambda a, b: compared.append(1) or len(set(a) & set(b)) / len(set(a) | set(b)))
    found = all_groups(archive)
    assert [mails for kind, _, mails in found if kind == "near"] == [300, 28]
    assert len(compared) < 2 * 300


def test_a_lost_record_is_like_nobody(archive: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(archive, tmp_path / "broken"))
    with open_for_writing(broken) as stores:
        stores.connection.execute(
            "delete from bodies where seq = (select seq from messages where message_id = 'edited@example.org')"
        )
    assert [set(g[1]) for g in all_groups(broken) if g[0] == "near"] == [{"note", "same note"}]


# ------------------------------------------------------------------------------------------------ threads
OPENING = mail("opening", TEXT[60:], "Plan", day=1)
ANSWER = mail(
    "answer", TEXT, "Re: Plan", "In-Reply-To: <opening@example.org>", "References: <opening@example.org>", day=2
)
LAST = mail(
    "last",
    TEXT[:30],
    "Re: Plan",
    "In-Reply-To: <answer@example.org>",
    "References: <opening@example.org> <answer@example.org>",
    day=3,
)
CITES = ("In-Reply-To: <opening@example.org>", "References: <opening@example.org>")
AGAIN = {
    "copies": (ANSWER, True),
    "twins": (mail("other", TEXT, "Re: Plan", *CITES, day=2), True),
    "variants": (mail("answer", TEXT, "[dev] Re: Plan", *CITES, day=2, footer=LISTED), True),
    "reused": (mail("answer", TEXT[::-1], "Cake", day=2), False),
    "near": (mail("elsewhere", changed(TEXT, 3, 5), "Numbers", day=5), False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_duplicate_breaks_a_thread_or_joins_one_by_likeness(tmp_path: Path, kind: str) -> None:
    again, inside = AGAIN[kind]
    mails = {"opening.eml": OPENING, "answer.eml": ANSWER, "last.eml": LAST, "again.eml": again}
    for number, order in enumerate(permutations(mails)):
        archive = archive_of(tmp_path / str(number), {name: mails[name] for name in order})
        names = named(archive)
        with open_archive(archive) as opened:
            threads = {names[m]: opened.conversation(m) for m in names}
            assert len({threads.get(name, threads.get("again")) for name in ("opening", "answer", "last")}) == 1
            if "again" in threads and "answer" in threads:
                assert (threads["again"] == threads["answer"]) is inside
        assert any(g[0] == kind for g in all_groups(archive))


# ------------------------------------------------------------------------------------------------ as a user sees it
def ask(archive: Path, *args: str) -> Result:
    return CliRunner().invoke(group, [*args, "--archive", str(archive)], standalone_mode=False)


def test_the_command_prints_each_kind_with_what_could_be_spared(archive: Path) -> None:
    done = ask(archive, "duplicates")
    assert done.exit_code == 0
    assert "copies    1 message that came more than once; 1 further mail, " in done.stdout
    assert "near      2 groups of mails with nearly the same text" in done.stdout
    assert "again.eml" in "".join(done.stdout.split())  # a long path is folded
    assert "0.87" in done.stdout


def test_the_command_as_json_adds_up(archive: Path) -> None:
    rows = [json.loads(line) for line in ask(archive, "duplicates", "--json").stdout.splitlines()]
    assert {row["kind"] for row in rows} == set(KINDS)
    for row in rows:
        assert row["mails"] == len(row.get("messages") or row["copies"])
        assert row["spare"] > 0
    only = [json.loads(line) for line in ask(archive, "duplicates", "--kind", "reused", "--json").stdout.splitlines()]
    assert [row["kind"] for row in only] == ["reused"]


def test_the_command_of_one_mail(archive: Path) -> None:
    done = ask(archive, "duplicates", "edited@example.org")
    assert done.exit_code == 0
    assert "3 near duplicates" in done.stdout
    alone = ask(archive, "duplicates", "far@example.org")
    assert alone.return_value == 1
    assert "nothing here says the same" in alone.stderr
    rows = [json.loads(line) for line in ask(archive, "duplicates", "note@example.org", "--json").stdout.splitlines()]
    assert [(row["kind"], row["similarity"]) for row in rows] == [("near", 1.0)]


def test_show_tells_them(archive: Path) -> None:
    page = ask(archive, "show", "edited@example.org").stdout
    assert "3 near duplicates: " in page
    assert "(0.87)" in page
    shown = json.loads(ask(archive, "show", "edited@example.org", "--json").stdout)
    assert {one["kind"] for one in shown["duplicates"]} == {"near"}


def test_an_archive_without_sketches_still_tells_the_rest(archive: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(archive, tmp_path / "old"))
    with open_for_writing(old) as stores:
        stores.connection.execute("drop table sketches; drop table sketch_packs")
    assert {g[0] for g in all_groups(old)} == set(KINDS) - {"near"}
    assert ("twins", "twin") in of(old, "first")


def test_who_is_just_as_alike_as_was_asked_is_a_near_duplicate(archive: Path) -> None:
    with open_archive(archive) as opened:
        shares = [one.similarity for group in groups(opened, "near") for one in group.others]
        least = min(share for share in shares if share < 1)
        again = [one.similarity for group in groups(opened, "near", least) for one in group.others]
    assert min(again) == least


def test_export(archive: Path) -> None:
    with open_archive(archive) as opened:
        file = io.BytesIO()
        rows = export(opened, "duplicates", "jsonl", file)
        lines = [json.loads(line) for line in file.getvalue().splitlines()]
        want = sum(g.mails for kind in KINDS if kind != "copies" for g in groups(opened, kind))
    assert rows == len(lines) == want
    assert {line["kind"] for line in lines} == set(KINDS) - {"copies"}


@pytest.mark.parametrize(
    "command", [["search", "Lunch"], *([name, "far@example.org"] for name in ("show", "thread", "where"))]
)
def test_numpy_is_not_loaded_where_nothing_is_to_compare(archive: Path, command: list[str]) -> None:
    """It takes longer to load than a search takes."""
    script = "import sys; from mailloom.cli import group; group.main(sys.argv[1:], standalone_mode=False); print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, *command, "--archive", str(archive)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
