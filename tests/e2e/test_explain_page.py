"""`mailloom explain` on five mails of each kind of evidence: docs/explain.md says what the program prints, at any width, and safely."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from explain_page import PAGE, page, told
from explain_scenes import SCENES, mail, quote, to

from mailloom.archive import Archive, open_archive
from mailloom.archive import story as story_module
from mailloom.archive.story import story
from mailloom.cli import draw, group
from mailloom.run.ingest import ingest
from mailloom.wire import open_for_writing

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\u202etxt.exe\u2028"
BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
JSON = "id message_id thread messages topic way copies twins near links soft edits candidates needed settled asking asks looks_for"
JSON_LINK = "kind relation value weight state why settled had_by cited_by continues"
WORDS = "The yellow bicycle stands behind the old mill, and nobody has asked for it since the end of the summer."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("explained")
    return folder / "archive", page(folder)


@pytest.fixture(scope="module")
def archive(made: tuple[Path, str]) -> Iterator[Archive]:
    with open_archive(made[0]) as opened:
        yield opened


@pytest.fixture
def talk(tmp_path: Path) -> Callable[..., Archive]:
    """An archive of these mails, in this order."""

    def make(*mails: bytes) -> Archive:
        for number, raw in enumerate(mails):
            (tmp_path / f"{number}.eml").write_bytes(raw)
            with open_for_writing(tmp_path / "archive") as stores:
                ingest([str(tmp_path / f"{number}.eml")], stores)
        return open_archive(tmp_path / "archive")

    return make


def text(archive: Archive, name: str) -> str:
    return "\n".join(told(archive, name))


def test_the_page_says_what_the_program_prints(made: tuple[Path, str]) -> None:
    assert PAGE.read_text(encoding="utf-8") == made[1], "`python tests/e2e/explain_page.py` writes it anew"


def test_there_are_five_mails_of_each_kind() -> None:
    assert all(len(scene.shown) == 5 for scene in SCENES)


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_it_fits_any_width(archive: Archive, width: int) -> None:
    for scene in SCENES:
        for name, _ in scene.shown:
            lines = told(archive, name, width)
            assert all(draw.cells(line) <= width for line in lines), (name, [x for x in lines if draw.cells(x) > width])


def test_the_kinds_in_the_scenes_are_all_there_are(archive: Archive) -> None:
    kinds = {kind for (kind,) in archive.connection.execute("select distinct kind from soft where live")}
    assert kinds == {"wrote", "text", "siblings", "subject", "replies", "again", "ticket", "series"}


def test_asks_are_never_listed_one_by_one(archive: Archive) -> None:
    told_of = story(archive, archive.find("t2@example.org"))
    assert len(told_of.asks) > 20
    assert len(told_of.sought) == 3
    assert text(archive, "t2").count("\n  - ") == 2


def test_json_has_each_ask_and_each_candidate(made: tuple[Path, str], archive: Archive) -> None:
    result = CliRunner(env={"MAILLOOM_ARCHIVE": str(made[0])}).invoke(group, ["explain", "c21@example.org", "--json"])
    value = orjson.loads(result.stdout)
    assert " ".join(value) == JSON
    assert " ".join(value["links"][0]) == JSON_LINK
    one = story(archive, archive.find("c21@example.org"))
    assert len(value["asks"]) == len(one.asks)
    assert [row["weight"] for row in value["candidates"]] == sorted((c.weight for c in one.considered), reverse=True)
    (link,) = value["soft"]
    assert sum(says["weight"] for says in link["says"]) == link["weight"]
    assert link["detail"] == "; ".join(says["detail"] for says in link["says"])
    assert value["settled"]


def test_a_hostile_name_in_a_quote_and_a_hostile_subject_are_safe(talk: Callable[..., Archive]) -> None:
    head = f"On Wed, 4 May 2022 at 09:15, Eve {ESCAPES} Evil wrote:"
    one = mail("h1", "Eve Evil", "4 May 2022 09:15 +0000", f"Bad {ESCAPES} news", WORDS)
    two = mail("h2", "Bob Baker", "4 May 2022 10:15 +0000", f"Re: Bad {ESCAPES} news", f"So?\n\n{head}\n{quote(WORDS)}")
    with talk(one, two) as archive:
        for name in ("h1", "h2"):
            for width in (60, 100):
                shown = told(archive, name, width)
                assert not any(BAD.search(line) for line in shown)
                assert all(draw.cells(line) <= width for line in shown)
        assert "follows" in text(archive, "h2")


def test_better_evidence_that_came_later_is_told(talk: Callable[..., Archive]) -> None:
    """A reply followed another under the same subject, until what it quotes came."""
    first = mail("x1", "Ann Ash", "1 May 2022 09:00 +0000", "Re: Yellow bicycle", "Whose is it?")
    reply = mail("x2", "Ben Bay", "2 May 2022 09:00 +0000", "Re: Yellow bicycle", f"Mine.\n\n{quote(WORDS)}")
    real = mail("x3", "Cy Cob", "1 May 2022 08:00 +0000", "Yellow bicycle", WORDS)
    with talk(first, reply) as archive:
        assert "both replies or forwards, 1 day later" in text(archive, "x2")
        assert "Would follow something better, if it came" in text(archive, "x2")
    with talk(first, reply, real) as archive:
        after = text(archive, "x2")
    assert "phrases that it quotes are that mail's own words" in after
    assert "once; better evidence came" in after
    assert "Also considered, and weaker" in after


def test_the_way_to_the_oldest_and_a_long_chain_of_references(talk: Callable[..., Archive]) -> None:
    chain = [
        mail(f"l{n}", "Ann Ash", f"{n + 1} May 2022 09:00 +0000", "Boat", "It floats.", *_chain(n)) for n in range(12)
    ]
    follower = mail("f", "Ben Bay", "20 May 2022 09:00 +0000", "Re: Ship", f"Mine.\n\n{quote(WORDS)}")
    last = mail("l12", "Cy Cob", "19 May 2022 09:00 +0000", "Ship", WORDS, *_chain(12))
    with talk(*chain, last, follower) as archive:
        long, way = text(archive, "l12"), text(archive, "f")
    assert "References name l0@" in long
    assert "References name l7@" not in long
    assert "its References name 7 more, of which 7 are here" in long
    assert "References name l10@" in long
    assert re.search(
        r"The way to the oldest\n  it follows \w+ \(Cy Cob, .*\)\n  which cites \w+ \(Ann Ash, 2022-05-01", way
    )


def _chain(number: int) -> tuple[str, ...]:
    return (to(*(f"l{n}" for n in range(number))),) if number else ()


def test_what_is_not_told_piece_by_piece_has_its_line(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = text(archive, "w3")
    monkeypatch.setattr(story_module, "TOLD", 0)
    line = " ".join(text(archive, "w3").split())
    assert "    0.67 all 2 phrases" in pieces
    assert "0.67 all" not in line
    assert "; all 2 phrases that it quotes are that mail's own words; one takes part in both" in line


def test_nearly_the_same_text_is_told_and_joins_nobody(talk: Callable[..., Archive]) -> None:
    long = "\n".join(f"{word.title()} is on the list, together with {word}s of every size." for word in WORDS.split())
    one = mail("p1", "Ann Ash", "1 May 2022 09:00 +0000", "Things", long)
    with talk(one, mail("p2", "Ben Bay", "2 Jun 2022 09:00 +0000", "More", long + "\nThat is all.")) as archive:
        shown = text(archive, "p2")
    assert re.search(
        r"Nearly the same text, which alone joins nobody\n  \d\d% \w+ \(Ann Ash, 2022-05-01 09:00\)", shown
    )
    assert "is alone in its thread" in shown


def test_copies_are_counted(talk: Callable[..., Archive]) -> None:
    one = mail("y1", "Ann Ash", "1 May 2022 09:00 +0000", "Boat", "It floats.")
    with talk(one, b"Received: from a.example.org\n" + one) as archive:
        assert "it came 2 times" in text(archive, "y1")
