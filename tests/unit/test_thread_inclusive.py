"""Inclusive mails: nothing is lost by reading only them, and none of them could be left out."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from textwrap import wrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.identity import identify
from mailloom.mail.model import Record
from mailloom.mail.parse import message
from mailloom.mail.parts.mime import scan
from mailloom.thread.evidence import evidence
from mailloom.thread.inclusive import held
from mailloom.thread.tree import tree
from mailloom.thread.wording import RUN, covers, run_set, wording

BEGIN = datetime(2024, 6, 3, 9, 0, tzinfo=UTC)


@dataclass
class Mail:
    """A mail of a made-up talk: its lines with quote marks, what is attached to it."""

    number: int
    lines: list[str]
    parent: Mail | None = None
    files: tuple[str, ...] = ()
    sender: str = ""
    at: datetime | None = None
    record: Record = field(init=False)

    def __post_init__(self):
        self.sender = self.sender or f"Person{self.number} Name{self.number} <p{self.number}@example.org>"
        self.at = self.at or BEGIN + timedelta(minutes=10 * self.number)
        head = [
            f"From: {self.sender}",
            "To: team@example.org",
            f"Subject: {'Re: ' if self.parent else ''}the plan",
            f"Date: {format_datetime(self.at)}",
            f"Message-ID: <{self.number}@example.org>",
        ]
        if self.parent is not None:
            head.append(f"In-Reply-To: <{self.parent.number}@example.org>")
        text = "\n".join(self.lines) + "\n"
        if self.files:
            head.append("Content-Type: multipart/mixed; boundary=bb")
            parts = [f"Content-Type: text/plain; charset=utf-8\n\n{text}"]
            parts += [
                f"Content-Type: application/octet-stream; name={name}\nContent-Disposition: attachment\n"
                f"Content-Transfer-Encoding: base64\n\n{b64encode(name.encode()).decode()}\n"
                for name in self.files
            ]
            text = "".join(f"--bb\n{part}\n" for part in parts) + "--bb--\n"
        else:
            head.append("Content-Type: text/plain; charset=utf-8")
        mime = scan(("\n".join(head) + "\n\n" + text).encode())
        self.record = identify(mime, message(mime))

    def says(self) -> str:
        return f"On {format_datetime(self.at)}, {self.sender} wrote:"

    def quote(self) -> list[str]:
        return [self.says(), *(f"> {line}".rstrip() for line in self.lines)]


def reply(number, parent, own, *, quote=None, files=(), sender=""):
    lines = [*own, "", *(parent.quote() if quote is None else quote)]
    return Mail(number, lines, parent, tuple(files), sender)


def read(*mails):
    """Numbers of the mails to read, and of those held: number -> holder."""
    by_id = {m.record.id: m for m in mails}
    found = held(tree([evidence(m.record) for m in mails]), lambda name: by_id[name].record)
    return (
        sorted(m.number for m in mails if m.record.id not in found),
        {by_id[a].number: by_id[b].number for a, b in found.items()},
    )


def said(number, lines=2):
    return [" ".join(f"w{number}x{line}x{n}" for n in range(8)) for line in range(lines)]


ROOT = Mail(0, said(0))


def test_the_last_of_a_chain_that_quotes_all_holds_all():
    one = reply(1, ROOT, said(1))
    two = reply(2, one, said(2))
    assert read(ROOT, one, two) == ([2], {0: 2, 1: 2})


def test_each_end_of_a_fork_is_read():
    assert read(ROOT, reply(1, ROOT, said(1)), reply(2, ROOT, said(2)))[0] == [1, 2]


def test_a_mail_that_nobody_quotes_whole_is_read():
    part = ROOT.quote()[:2]
    assert read(ROOT, reply(1, ROOT, said(1), quote=part)) == ([0, 1], {})
    assert read(ROOT, reply(1, ROOT, said(1), quote=[])) == ([0, 1], {})


def test_words_in_a_reply_s_own_text_are_no_quote():
    assert read(ROOT, reply(1, ROOT, [*said(0), *said(1)], quote=[])) == ([0, 1], {})


@pytest.mark.parametrize("edit", ["w0x1x3", "w0x0x0", "w0x1x7"])
def test_a_changed_word_anywhere_in_the_quote_makes_it_another_text(edit):
    quote = [line.replace(edit, "other") for line in ROOT.quote()]
    assert quote != ROOT.quote()
    assert read(ROOT, reply(1, ROOT, said(1), quote=quote)) == ([0, 1], {})


def test_a_word_put_into_a_line_is_an_edit_and_an_answer_between_lines_is_none():
    edited = [line.replace("w0x1x3", "w0x1x3 not") for line in ROOT.quote()]
    assert read(ROOT, reply(1, ROOT, said(1), quote=edited)) == ([0, 1], {})
    head, first, second = ROOT.quote()
    assert read(ROOT, reply(1, ROOT, [], quote=[head, first, "", *said(1), "", second])) == ([1], {0: 1})


def test_a_quote_may_be_folded_anew():
    text = " ".join(" ".join(said(0)).split())
    quote = [ROOT.says(), *(f"> {line}" for line in wrap(text, 31))]
    assert read(ROOT, reply(1, ROOT, said(1), quote=quote)) == ([1], {0: 1})


def test_attachments_must_be_there_as_well_in_a_mail_that_is_read():
    root = Mail(0, said(0), files=("plan.pdf",))
    one = reply(1, root, said(1))
    assert read(root, one) == ([0, 1], {})
    two = reply(2, one, said(2), files=("plan.pdf",))
    assert read(root, one, two) == ([2], {0: 2, 1: 2})
    other = reply(2, root, said(2), quote=[], files=("plan.pdf",))
    assert read(root, one, other) == ([1, 2], {0: 1})


def test_a_mail_is_held_only_by_one_that_is_read():
    one = reply(1, ROOT, said(1))
    cut = [one.says(), *(f"> {line}" for line in said(1))]
    two = reply(2, one, said(2), quote=cut)
    assert read(ROOT, one, two) == ([0, 2], {1: 2}), "one alone held the first, so the first is read in its place"


def test_a_quote_of_what_is_not_here_must_not_be_lost():
    ghost = Mail(0, said(0))
    one = reply(1, ghost, said(1))
    cut = [one.says(), *(f"> {line}" for line in said(1))]
    assert read(one, reply(2, one, said(2), quote=cut)) == ([1, 2], {})
    assert read(one, reply(2, one, said(2))) == ([2], {1: 2})
    elsewhere = reply(1, ROOT, said(1), quote=Mail(5, said(5)).quote())
    assert read(ROOT, elsewhere, reply(2, elsewhere, said(2), quote=cut)) == ([0, 1, 2], {})


def test_few_words_count_only_where_their_author_is_named():
    yes = Mail(0, ["Yes, please."])
    assert read(yes, reply(1, yes, said(1))) == ([1], {0: 1})
    other = Mail(1, ["Yes, please."])
    assert read(yes, other, reply(2, other, said(2))) == ([0, 2], {1: 2})
    other = Mail(1, ["Yes, please."], at=yes.at)
    assert read(yes, other, reply(2, other, said(2))) == ([0, 2], {1: 2}), "in the same minute, too"
    nobody = reply(1, yes, said(1), quote=["> Yes, please."])
    assert read(yes, nobody) == ([0, 1], {})
    more = reply(1, yes, said(1), quote=[yes.says(), "> Yes, please.", "> Never."])
    assert read(yes, more) == ([0, 1], {})


def test_few_words_again_by_the_same_person_are_another_mail():
    early, late = Mail(0, ["Yes."], sender="Ann <ann@example.org>"), Mail(1, ["Yes."], sender="Ann <ann@example.org>")
    assert read(early, late, reply(2, late, said(2))) == ([0, 2], {1: 2})


def test_what_is_forwarded_must_be_carried_on():
    forward = ["-------- Forwarded Message --------", "From: Ann Lee <ann@example.org>", "Date: Mon, 3 Jun 2024 08:00:00 +0000", "Subject: news", "To: bob@example.net", "", *said(7)]  # fmt: skip
    one = Mail(1, [*said(1), "", *forward])
    short = [one.says(), *(f"> {line}" for line in said(1))]
    assert read(one, reply(2, one, said(2), quote=short)) == ([1, 2], {})
    assert read(one, reply(2, one, said(2))) == ([2], {1: 2})


def test_of_twins_one_is_read_or_held():
    one, other = Mail(1, said(1)), Mail(1, said(1))
    other.record = renamed(other)
    other.number = 9
    first, second = (m.number for m in sorted([one, other], key=lambda m: m.record.id))
    assert read(one, other) == ([first], {second: first})
    answer = reply(2, one, said(2))
    assert read(one, other, answer) == ([2], {1: 2, 9: 2})


def renamed(mail):
    """The same mail with another id."""
    head = f"From: {mail.sender}\nTo: team@example.org\nSubject: the plan\nDate: {format_datetime(mail.at)}\nMessage-ID: <other@example.org>\nContent-Type: text/plain; charset=utf-8\n\n"
    mime = scan((head + "\n".join(mail.lines) + "\n").encode())
    return identify(mime, message(mime))


def test_each_mail_is_loaded_a_few_times():
    mails = [ROOT]
    for number in range(1, 300):
        mails.append(reply(number, mails[-1], said(number, 1), quote=mails[-1].quote()[:4]))
    loaded = 0

    by_id = {m.record.id: m.record for m in mails}

    def load(name):
        nonlocal loaded
        loaded += 1
        return by_id[name]

    held(tree([evidence(r) for r in by_id.values()]), load)
    assert loaded <= 6 * len(mails)


# ------------------------------------------------------------------------------------------------ any talk
STEP = st.tuples(
    st.integers(0, 9),  # which mail it answers
    st.sampled_from(["full", "folded", "cut", "edited", "own", "none"]),
    st.booleans(),  # answers above or below the quote
    st.sets(st.sampled_from(["a.pdf", "b.pdf"]), max_size=1),
    st.integers(1, 3),
)


def talk(steps):
    mails = [Mail(0, said(0))]
    for number, (to, how, below, files, count) in enumerate(steps, 1):
        parent = mails[to % len(mails)]
        head, *body = parent.quote()
        if how == "folded":
            body = [
                f"{line[: len(line) - len(line.lstrip('> '))]}{part}"
                for line in body
                for part in (wrap(line.lstrip("> "), 30) or [""])
            ]
        elif how == "cut":
            body = body[: len(body) // 2]
        elif how == "edited":
            body = [line.replace("x3", "x3edited") for line in body]
        elif how == "own":
            body = [line for line in body if not line.startswith("> >")]
        quote = [] if how == "none" else [head, *body]
        own = said(number, count)
        mails.append(Mail(number, [*quote, "", *own] if below else [*own, "", *quote], parent, tuple(files)))
    return mails


def old_words(mail):
    return {w for line in mail.lines if line.startswith(">") for w in line.split() if w[:1] == "w" and "x" in w}


def own_words(mail):
    return {w for line in mail.lines if not line.startswith(">") for w in line.split() if w[:1] == "w" and "x" in w}


def oracle(mails):
    """By sets of words, each of which is in one mail's own text alone; every later mail is tried."""
    to_read = []
    for mail in reversed(mails):
        above, words = mail.parent, set()
        while above is not None:
            words |= own_words(above) | old_words(above)
            above = above.parent
        files = {name for one in to_read for name in one.files}
        holds = any(own_words(mail) <= old_words(one) and old_words(mail) <= old_words(one) | words for one in to_read)
        if not (holds and set(mail.files) <= files):
            to_read.append(mail)
    return sorted(mail.number for mail in to_read)


@given(st.lists(STEP, max_size=9))
def test_any_talk_is_read_whole_and_with_as_few_mails_as_can_be(steps):
    mails = talk(steps)
    to_read, found = read(*mails)
    left = {w for m in mails if m.number in to_read for w in own_words(m) | old_words(m)}
    assert left >= {w for m in mails for w in own_words(m)}
    assert {name for m in mails if m.number in to_read for name in m.files} == {name for m in mails for name in m.files}
    assert all(holder in to_read and holder > number for number, holder in found.items())
    assert to_read == oracle(mails)


WORDS = st.lists(st.sampled_from("abc"), min_size=RUN, max_size=14)


@given(WORDS, WORDS, st.sets(st.integers(1, 13), max_size=3))
def test_covered_is_each_word_in_a_run_of_the_other(one, other, cuts):
    lines = " ".join(f"{w}\n" if n in cuts else w for n, w in enumerate(one))
    mine, theirs = wording(lines), wording(" ".join(other))
    n = len(one)
    spans = [
        (i, i + RUN)
        for i in range(n - RUN + 1)
        if any(other[j : j + RUN] == one[i : i + RUN] for j in range(len(other)))
    ]
    words = all(any(a <= i < b for a, b in spans) for i in range(n))
    joints = all(i in cuts or any(a <= i and i + 1 < b for a, b in spans) for i in range(n - 1))
    assert covers(run_set([theirs]), mine) == (words and joints)
