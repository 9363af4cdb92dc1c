"""Nested messages: what a head states, where it ends, how deep it goes."""

from __future__ import annotations

import pytest
from effort import linear
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.cut.quote import unquote
from mailloom.mail.cut.segment import cut
from mailloom.mail.inside.nested import _SIGN, MAX_DEPTH, MAX_NESTED, _unquoted, inline
from mailloom.mail.inside.when import when


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
    assert one.date.ms == when("3 Sep 2026 14:14").ms
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
    def bounded(text):
        nested = found(text)
        assert len(nested) <= MAX_NESTED
        assert all(n.depth <= MAX_DEPTH for n in nested)

    linear(bounded, lambda n: unit * n, 16_000 // len(unit))


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


@given(st.text(st.sampled_from("> \t\nab\0"), max_size=40))
def test_a_text_is_unquoted_like_its_lines(text):
    assert _unquoted(text) == _SIGN.sub("\n", "\n" + text)[1:]
    if "    " not in text and "\t" not in text:
        assert _unquoted(text) == "\n".join(map(unquote, text.split("\n")))


def test_a_quote_goes_on_behind_the_answers_inside_it():
    text = (
        "On Mon, 4 Mar 2024 at 16:31, Ann <ann@example.org> wrote:\n\nHello Ann,\n\n> first?\n\nyes\n\n"
        "> On Sun, 3 Mar 2024, Bob wrote:\n>> old\n> second?\n\nno\n"
    )
    ann, bob = inline(text, cut(text)[0])
    assert ann.text == "first?\n\nOn Sun, 3 Mar 2024, Bob wrote:\n> old\nsecond?"
    assert text[ann.start : ann.end].startswith("On Mon")
    assert text[ann.start : ann.end].rstrip().endswith("second?")
    assert (bob.path, bob.text) == ("1.1", "old")


def test_a_quote_ends_at_the_next_head_of_its_level():
    text = (
        "On Mon, 4 Mar 2024 at 16:31, Ann <ann@example.org> wrote:\n> hers\n\nyes\n\n"
        "On Mon, 4 Mar 2024 at 17:40, Bob <bob@example.org> wrote:\n> his\n\nno\n\n> his, too\n"
    )
    assert [one.text for one in inline(text, cut(text)[0])] == ["hers", "his\n\nhis, too"]


@given(st.lists(st.sampled_from(["> q{}", "> > d{}", "mine {}", ""]), max_size=12))
def test_all_that_is_quoted_below_an_attribution_is_its_messages(lines):
    lines = [line.format(n) for n, line in enumerate(lines)]
    text = "\n".join(["On Mon, 4 Mar 2024 at 16:31, Ann <ann@example.org> wrote:", "> q", *lines, ""])
    (ann,) = inline(text, cut(text)[0])
    said = [line for line in ann.text.split("\n") if line]
    assert said == ["q", *(line[2:] for line in lines if line[:1] == ">")]


def test_an_attribution_directly_above_another_begins_the_quote():
    text = (
        'Will do.\n\nOn Fri, Sep 20, 2019 at 10:01 PM +0200, "Ann Lee" <ann@example.org> wrote:\n\n'
        "On 9/20/19 12:55 PM, Bob Ray wrote:\n> old\n\nhers\n"
    )
    segments = cut(text)[0]
    assert "".join(text[s.start : s.end] for s in segments if s.kind == "new").strip() == "Will do."
    assert [(one.path, one.from_[0].name) for one in inline(text, segments)] == [("1", "Ann Lee"), ("1.1", "Bob Ray")]
