"""What `explain` says of ids, of what is looked for and of what speaks for a link, word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.archive.story import Sought, Tie
from mailloom.cli.explain_words import answer_line, sought_lines, step_words, tie_line, why_unused
from mailloom.mail.model import MessageId
from mailloom.ports import Link
from mailloom.thread.path import Way
from mailloom.thread.telling import NOBODY_S, QUOTER, WRITER, Says, later, told, zone_of

MINUTE = 28_624_875  # 2024-06-04 09:15
A, B, C = (MessageId(bytes([n]) * 16) for n in (1, 2, 3))


def tie(kind: str, value: str, *, owns: bool = False, **more: object) -> Tie:
    usual = {"state": "joins", "why": "", "senders": 0, "subjects": 0, "settled": True, "having": (), "citing": ()}
    return Tie(Link(kind, b"\x01" + bytes(16), owns, value), **{**usual, **more})


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (Says(1000, "wrote", "Ann", (MINUTE, 120, 0, WRITER, 1)), "it quotes what Ann wrote on 2024-06-04 at 09:15"),
        (
            Says(1000, "wrote", "Ann", (MINUTE, 120, 0, WRITER, 1)),
            "(+0200, the writer's clock), when that mail was sent",
        ),
        (Says(900, "wrote", "Ann", (MINUTE, -330, 0, QUOTER, 2)), "its quote quotes what Ann wrote"),
        (Says(900, "wrote", "Ann", (MINUTE, -330, 0, QUOTER, 2)), "(-0530, the clock of whoever quotes it)"),
        (Says(1000, "wrote", "Ann", (MINUTE, 0, 0, WRITER, 1)), "09:15 UTC, when that mail was sent"),
        (Says(400, "wrote", "Ann", (MINUTE, 60, 0, NOBODY_S, 1)), "when that mail was sent by a clock of another zone"),
        (Says(900, "siblings", "Ann", (MINUTE,)), "both quote what Ann wrote on 2024-06-04 at 09:15"),
        (Says(960, "text", values=(24, 25)), "24 of 25 phrases that it quotes are that mail's own words"),
        (Says(100, "text", values=(1, 25)), "1 of 25 phrases that it quotes is that mail's own words"),
        (Says(333, "text", values=(1, 1)), "the only phrase that it quotes is that mail's own words"),
        (Says(2000, "again", values=(9, 9)), "its sender says all 9 phrases of that mail again"),
        (Says(550, "subject", values=(1, 3 * 1440)), "the same subject, 3 days later"),
        (Says(550, "replies", values=(1, 61)), "the same subject, both replies or forwards, 1 hour later"),
        (Says(550, "subject", values=(0, 5)), "the subject that it had before, 5 minutes later"),
        (Says(1500, "series", "[PATCH 3/5]"), "parts of one series, of which it is [PATCH 3/5]"),
        (Says(100, "people", values=(1, 0)), "one takes part in both"),
        (Says(900, "wrote", "Ann", (MINUTE, 120, 1, WRITER, 1)), "when that mail was sent, within a minute"),
        (Says(100, "people", values=(4, 0)), "4 take part in both"),
        (Says(160, "people", values=(2, 1)), "2 take part in both, and it goes to the one who wrote that mail"),
        (Says(100, "people", values=(0, 0)), "neither names anybody but its sender"),
        (Says(1500, "ticket", values=(1,)), "the same ticket, from the same sender"),
    ],
)
def test_each_piece_of_evidence_in_words(says: Says, words: str) -> None:
    assert words in told(says)
    assert says.detail == told(says)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "in the same minute"), (1, "1 minute later"), (59, "59 minutes later"), (60, "1 hour later"), (89, "1 hour later"),
        (90, "2 hours later"), (1439, "24 hours later"), (1440, "1 day later"), (60 * 1440, "60 days later"), (-30, "30 minutes before"),
    ],
)  # fmt: skip
def test_spans_have_their_largest_unit(minutes: int, words: str) -> None:
    assert later(minutes) == words


@given(st.integers(-14 * 60, 14 * 60))
def test_zones_are_written_as_in_mail(minutes: int) -> None:
    text = zone_of(minutes)
    assert (int(text[0] + "1")) * (int(text[1:3]) * 60 + int(text[3:])) == minutes


def test_an_id_is_told_once_with_all_headers_that_name_it() -> None:
    both = [tie("in-reply-to", "a@example.org"), tie("references", "a@example.org")]
    assert tie_line(both) == "its In-Reply-To and References name a@example.org"
    assert tie_line(both[:1]) == "its In-Reply-To names a@example.org"
    assert tie_line(both[1:]) == "its References name a@example.org"
    assert tie_line([tie("message-id", "b@example.org", owns=True)]) == "its Message-ID is b@example.org"
    alone = tie("message-id", "b@example.org", owns=True, state="alone")
    assert tie_line([alone]) == "its Message-ID, which nobody here cites: b@example.org"
    assert "\x1b" not in tie_line([tie("references", "\x1b[2J@example.org")])


def test_a_thread_index_tells_its_depth_and_what_its_talk_has_in_common() -> None:
    value = "01da00000000" + "0" * 30 + "0b"
    assert tie_line([tie("thread-index", value, owns=True)]).endswith(f"it began conversation {'0' * 30}0b")
    assert "it is 2 deep in conversation" in tie_line([tie("thread-index", value + "ab" * 10, level=2)])


def test_why_an_id_joins_nobody() -> None:
    assert why_unused(tie("references", "a@example.org")) == ""
    shared = why_unused(tie("references", "a@example.org", state="dead", why="shared", senders=8, subjects=8))
    assert "shared by automatic mail" in shared
    assert "8 or more senders" in shared
    assert "given to mails with different subjects" in why_unused(tie("references", "a", state="dead", why="reused"))


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        ("cites", "", "cites B"), ("cited", "", "is cited by B"), ("both cite", "x@example.org\x1b", "cites x@example.org␛, as does B"),
        ("same", "x@example.org", "has the same id as B"), ("same", "", "is the same mail as B"), ("index", "", "shares its Thread-Index with B"),
        ("follows", "", "follows B"), ("followed", "", "is followed by B"),
    ],
)  # fmt: skip
def test_each_step_of_the_way_to_the_oldest(way: Way, value: str, words: str) -> None:
    assert step_words(way, "B", value) == words


def sought(kind: str, what: str = "", minute: int = 0, values: int = 1, common: int = 0, found: tuple = ()) -> Sought:
    return Sought(kind, what, minute, values, common, found)


def test_what_belongs_together_is_one_line() -> None:
    every = [
        sought("wrote there", "Ann Archer", MINUTE, found=(A,)),
        sought("text", values=16),
        sought("subject", "pump"),
        sought("replies", "pump", found=(B,)),
        sought("siblings", "Ann Archer", MINUTE, found=(C,)),
    ]
    told_of = list(sought_lines(every))
    assert [line for _, line in told_of] == [
        "what Ann Archer wrote on 2024-06-04 at 09:15 by some clock, or others who quote it",
        "a mail in which 16 phrases stand that it quotes",
        "mails titled 'pump' (60 days back) and answers to them (16 days back)",
    ]
    assert [one.found for one, _ in told_of] == [(A, C), (), (B,)]


def test_what_has_no_partner_has_its_own_line() -> None:
    lines = [line for _, line in sought_lines([sought("siblings", "Ann", MINUTE), sought("replies", "pump")])]
    assert lines == [
        "who else quotes what Ann wrote on 2024-06-04 at 09:15",
        "answers to mails titled 'pump' (16 days back)",
    ]


@pytest.mark.parametrize(
    ("one", "linked", "words"),
    [
        (sought("text"), (), "none here"),
        (sought("text", found=(A,)), (), "1 mail here"),
        (sought("text", found=(A,)), (A,), "only that one here"),
        (sought("text", found=(A, B, C)), (A,), "2 mails here beside that one"),
        (sought("text", values=9, common=3, found=(A,)), (), "3 of them too common to count; 1 mail here"),
        (sought("subject", common=1), (), "too many mails have that to tell threads apart"),
        (sought("subject", common=1, found=(A,)), (), "too many mails have that; else 1 mail here"),
    ],
)
def test_what_came_of_looking(one: Sought, linked: tuple, words: str) -> None:
    assert answer_line(one, linked) == words
