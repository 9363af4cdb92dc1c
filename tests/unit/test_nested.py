"""Nested messages: what a head states, where it ends, how deep it goes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.nested import MAX_DEPTH, MAX_NESTED, heading_fields, inline, people, stated_date
from mailloom.mail.segment import cut


def found(text, subject=""):
    return inline(text, cut(text, (), subject)[0], subject=subject)


def pair(people):
    return [(a.name, a.address) for a in people]


GMAIL = (
    "---------- Forwarded message ---------\nFrom: Ann Lee <ann@example.org>\nDate: Thu, Sep 3, 2026 at 2:14 PM\nSubject: Plan\n"
    "To: Bob <bob@example.net>, <eve@example.net>\nCc: Zoë <zoe@example.com>\n\n\n"
)


def test_a_forward_states_everything():
    text = f"See below.\n\n{GMAIL}old words\n\nmore\n"
    (one,) = found(text)
    assert (one.kind, one.path, one.depth, one.part, one.subject, one.text) == (
        "forwarded",
        "1",
        1,
        -1,
        "Plan",
        "old words\n\nmore",
    )
    assert pair(one.from_) == [("Ann Lee", "ann@example.org")]
    assert pair(one.to) == [("Bob", "bob@example.net"), ("", "eve@example.net")]
    assert pair(one.cc) == [("Zoë", "zoe@example.com")]
    assert one.date.text == "Thu, Sep 3, 2026 at 2:14 PM"
    assert one.date.ms == stated_date("3 Sep 2026 14:14").ms
    assert text[one.start :].startswith("---------- Forwarded")
    assert one.end == len(text)


def test_a_quoted_reply_has_what_its_attribution_states():
    text = (
        "Yes.\n\nOn Thu, Sep 3, 2026 at 2:14 AM Ann Lee <ann@example.org> wrote:\n\n> old words\n>\n> more\n\nbelow\n"
    )
    (one,) = found(text)
    assert (one.kind, one.text) == ("quoted", "old words\n\nmore")
    assert pair(one.from_) == [("Ann Lee", "ann@example.org")]
    assert one.date.text == "Thu, Sep 3, 2026 at 2:14 AM"
    assert text[one.start : one.end].strip().startswith("On Thu")
    assert text[one.end :].strip() == "below"


def test_an_apple_forward_is_quoted_as_a_whole():
    text = "Hi\n\nBegin forwarded message:\n\n> From: Ann <ann@example.org>\n> Subject: Plan\n> Date: 3 September 2026 at 02:14:00 GMT+2\n> To: Bob <bob@example.net>\n>\n> old\n> > older\n"
    (one,) = found(text)
    assert (one.kind, one.subject, one.text) == ("forwarded", "Plan", "old\n> older")
    assert pair(one.to) == [("Bob", "bob@example.net")]


def test_yahoo_writes_the_head_on_one_line():
    text = (
        '   ----- Mensaje reenviado ----- De: Ann Lee <ann@example.org>Para: "bob@example.net" <bob@example.net>CC: Eve <eve@example.net>'
        "Enviado: martes, 3 de septiembre de 2026, 02:14:50 CETAsunto: Plan de paz\n old\n"
    )
    (one,) = found(text)
    assert pair(one.from_) == [("Ann Lee", "ann@example.org")]
    assert [a.address for a in one.to] == ["bob@example.net"]
    assert [a.address for a in one.cc] == ["eve@example.net"]
    assert one.subject == "Plan de paz"
    assert one.text == "old"


def test_outlook_for_mac_states_the_subject_only_in_the_carriers():
    text = '\ufeffOn 03/09/2026 12:46, "Ann Lee" <ann@example.org> wrote:\n\n    old\n\n    more\n'
    (one,) = found(text, "FW: Plan")
    assert (one.kind, one.subject, one.text) == ("forwarded", "Plan", "old\n\nmore")
    (two,) = found(text, "Re: Plan")
    assert (two.kind, two.subject) == ("quoted", "")


def test_a_lotus_notes_forward():
    text = (
        "fyi\n---------------------- Forwarded by Ann Lee/Example on 03/09/2026 02:14 PM ---------------------------\n\n"
        '"Bob Ray" <bob@example.net> on 03/08/2026 01:00:05 PM\nTo:\t"Ann Lee" <ann@example.org>\ncc:\t\nSubject:\tPlan\n\nold\n'
    )
    (one,) = found(text)
    assert (one.kind, one.subject, one.text) == ("forwarded", "Plan", "old")
    assert [a.address for a in one.to] == ["ann@example.org"]


def test_forwards_inside_forwards():
    text = f"top\n\n{GMAIL}middle\n\n{GMAIL.replace('Plan', 'Older plan').replace('ann@', 'zed@')}bottom\n"
    outer, inner = found(text)
    assert (outer.path, outer.text, outer.subject) == ("1", "middle", "Plan")
    assert (inner.path, inner.depth, inner.text, inner.subject) == ("1.1", 2, "bottom", "Older plan")
    assert inner.from_[0].address == "zed@example.org"


def test_quotes_inside_quotes():
    text = "a\n\nOn 3 Sep 2026, at 02:14, Ann <ann@example.org> wrote:\n\n> b\n>\n> On 2 Sep 2026, at 01:13, Bob <bob@example.net> wrote:\n>\n> > c\n"
    outer, inner = found(text)
    assert (outer.path, outer.from_[0].address) == ("1", "ann@example.org")
    assert (inner.path, inner.from_[0].address, inner.text) == ("1.1", "bob@example.net", "c")


def test_siblings_are_counted():
    quote = "On {} Sep 2026, at 02:14, Ann <ann@example.org> wrote:\n> q{}\n\nanswer\n\n"
    text = "".join(quote.format(n, n) for n in (1, 2, 3))
    assert [(n.path, n.text) for n in found(text)] == [("1", "q1"), ("2", "q2"), ("3", "q3")]


def test_no_message_without_a_head():
    assert found("a\n\n> quoted\n\nb\n") == ()
    assert found("plain\n") == ()


@pytest.mark.parametrize(
    ("line", "name", "address", "date"),
    [
        (
            "On 2026-09-03 at 02:14 , Ann Lee <ann@example.org> wrote:",
            "Ann Lee",
            "ann@example.org",
            "2026-09-03 at 02:14",
        ),
        ("Am 03.09.26 um 02:14 schrieb Ann Lee:", "Ann Lee", "", "03.09.26 um 02:14"),
        ("Ann Lee <ann@example.org> kirjoitti 3.9.2026 klo 2.14:", "Ann Lee", "ann@example.org", "3.9.2026 klo 2.14"),
        ("Ann Lee <ann@example.org> writes:", "Ann Lee", "ann@example.org", ""),
        ("Ann Lee wrote:", "Ann Lee", "", ""),
        (
            "On 3 Sep 2026 02:14, Said Wrotek <said@example.org> wrote:",
            "Said Wrotek",
            "said@example.org",
            "3 Sep 2026 02:14",
        ),
        (
            "Op 03-09-2026 02:14 heeft Ann Lee <ann@example.org> het volgende geschreven:",
            "Ann Lee",
            "ann@example.org",
            "03-09-2026 02:14",
        ),
        ("* Ann Lee <ann@example.org> [2026-09-03 02:14:30]:", "Ann Lee", "ann@example.org", "2026-09-03 02:14:30"),
        (
            "On Thu, 3 Sep 2026 02:14:30 +0200, ann@example.org wrote:",
            "",
            "ann@example.org",
            "Thu, 3 Sep 2026 02:14:30 +0200",
        ),
        (
            "Le jeu. 3 sept. 2026 à 02:14, Ann Lee <ann@example.org> a écrit :",
            "Ann Lee",
            "ann@example.org",
            "jeu. 3 sept. 2026 à 02:14",
        ),
        ("2026年9月3日(木) 2:14 Ann Lee <ann@example.org>:", "Ann Lee", "ann@example.org", "2026年9月3日(木) 2:14"),
    ],
)
def test_what_an_attribution_states(line, name, address, date):
    fields = heading_fields(line)
    (one,) = people(fields["from"])
    assert (one.name, one.address) == (name, address)
    assert fields.get("date", "") == date


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Thu, Sep 3, 2026 at 2:14 AM", "3 Sep 2026 02:14"),
        ("Thursday, September 3, 2026 2:14 PM", "3 Sep 2026 14:14"),
        ("September 3, 2026 at 2:14 PM", "3 Sep 2026 14:14"),
        ("3 September 2026 at 14:14:05 GMT+2", "3 Sep 2026 14:14:05 +0200"),
        ("Thu, 3 Sep 2026 02:14:00 +0200", "Thu, 3 Sep 2026 02:14:00 +0200"),
        ("Thu, Sep 3, 2026 at 2:14\u202fAM", "3 Sep 2026 02:14"),
        ("2026-09-03 02:14", "3 Sep 2026 02:14"),
    ],
)
def test_dates_as_clients_write_them(text, same):
    got = stated_date(text)
    assert got.text == text
    assert got.ms is not None
    assert got.ms == stated_date(same).ms


@pytest.mark.parametrize("text", ["", "yesterday", "99/99/9999 99:99", "٣ سبتمبر"])
def test_dates_that_say_nothing(text):
    assert stated_date(text).ms is None
    assert stated_date(text).text == text


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ("Ann Lee [mailto:ann@example.org]", [("Ann Lee", "ann@example.org")]),
        ("ann@example.org<mailto:ann@example.org>", [("", "ann@example.org")]),
        ("Ann <ann@example.org>; Bob <bob@example.net>", [("Ann", "ann@example.org"), ("Bob", "bob@example.net")]),
        ("*Ann Lee* <ann@example.org>", [("Ann Lee", "ann@example.org")]),
        ("", []),
    ],
)
def test_people(value, want):
    assert pair(people(value)) == want


BITS = st.sampled_from(
    [
        GMAIL,
        "On 3 Sep 2026, at 02:14, Ann <ann@example.org> wrote:\n",
        "> q\n",
        "> > r\n",
        "words\n",
        "\n",
        "> On 2 Sep 2026 at 1:00 Bob <b@example.net> wrote:\n",
        "From: a\n",
        "To: <\n",
        "-- \n",
        '"',
        "<a@",
        "12:30 ",
    ]
)


@given(st.lists(BITS, max_size=20), st.sampled_from(["", "Re: x", "Fwd: x"]))
def test_paths_depths_and_spans(bits, subject):
    text = "".join(bits)
    nested = found(text, subject)
    paths = [n.path for n in nested]
    assert len(set(paths)) == len(paths)
    assert [tuple(map(int, p.split("."))) for p in paths] == sorted(tuple(map(int, p.split("."))) for p in paths)
    for one in nested:
        assert one.depth == one.path.count(".") + 1
        parent = one.path.rpartition(".")[0]
        assert not parent or parent in paths
        if not parent:
            assert 0 <= one.start < one.end <= len(text)


def test_below_a_carrier():
    (one,) = inline(GMAIL + "x", cut(GMAIL + "x")[0], path="2.1", depth=3)
    assert (one.path, one.depth) == ("2.1.1", 3)


@pytest.mark.parametrize(
    "unit",
    [
        GMAIL + "x\n",
        "On 3 Sep 2026, at 02:14, A <a@example.org> wrote:\n> q\n\n",
        "> ",
        "From: a@b.example\nTo: c\nSubject: d\n\n",
    ],
)
def test_twice_the_text_is_twice_the_work(unit):
    count = 16_000 // len(unit)
    taken = []
    for size in (count, 4 * count):
        text = unit * size
        start = time.process_time()
        nested = found(text)
        taken.append(time.process_time() - start)
        assert len(nested) <= MAX_NESTED
        assert all(n.depth <= MAX_DEPTH for n in nested)
    assert taken[1] < 9 * taken[0] + 0.05


def test_a_text_says_the_same_however_often_and_however_long():
    head = "On Thu, 3 Sep 2026 at 02:14, Ann Lee <ann@example.org> wrote:\n"
    inner = "On Wed, 2 Sep 2026 at 01:00, Bob <bob@example.net> wrote:\n"
    for words in ("word\n" * 10, "word\n" * 2000):
        text = f"Hi\n\n{head}> {inner}> > deep\n> " + words.replace("\n", "\n> ") + "\n"
        first, again = found(text), found(text)
        assert first == again
        assert [(n.path, n.from_[0].name) for n in first] == [("1", "Ann Lee"), ("1.1", "Bob")]


def test_a_forward_without_a_subject_takes_each_carriers():
    text = "Begin forwarded message:\n\nFrom: Ann <ann@example.org>\nTo: Bob <bob@example.net>\n\nold"
    assert [found(text, subject)[0].subject for subject in ("FW: Plan", "Fwd: Budget", "Plan")] == [
        "Plan",
        "Budget",
        "",
    ]
