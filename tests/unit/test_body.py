"""The body a person read: which parts, in which order, unflowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.parts.mime import scan
from mailloom.mail.text import body as bodies
from mailloom.mail.text.body import body, unflow


def leaf(kind, text, extra=""):
    return f"Content-Type: {kind}\n{extra}\n{text}\n"


def many(kind, *parts, boundary="b"):
    inner = "".join(f"--{boundary}\n{p}\n" for p in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{inner}--{boundary}--\n"


def read(mail):
    return body(scan(mail.encode()))


PLAIN = leaf("text/plain", "plain words")
HTML = leaf("text/html", "<p>html words</p>")
IMAGE = leaf("image/png", "xx", "Content-ID: <i@example.org>\n")
ATTACHED = leaf("text/plain; name=notes.txt", "attached words", "Content-Disposition: attachment; filename=notes.txt\n")


@pytest.mark.parametrize(
    ("mail", "text", "origin", "parts"),
    [
        (PLAIN, "plain words", "plain", {0}),
        (HTML, "html words", "html", {0}),
        ("\nno headers", "no headers", "plain", {0}),
        (many("alternative", PLAIN, HTML), "plain words", "plain", {1, 2}),
        (many("alternative", HTML, PLAIN), "plain words", "plain", {1, 2}),
        (many("alternative", leaf("text/plain", ""), HTML), "html words", "html", {1, 2}),
        (
            many("alternative", leaf("text/plain", "Your email client does not support HTML."), HTML),
            "html words",
            "html",
            {1, 2},
        ),
        (many("alternative", leaf("text/plain", "Der HTML-Teil folgt"), HTML), "Der HTML-Teil folgt", "plain", {1, 2}),
        (many("mixed", PLAIN, ATTACHED), "plain words", "plain", {1}),
        (many("mixed", PLAIN, IMAGE, leaf("text/plain", "second")), "plain words\n\nsecond", "plain", {1, 3}),
        (many("related", HTML, IMAGE), "html words", "html", {1}),
        (
            many(
                "mixed", many("alternative", PLAIN, many("related", HTML, IMAGE, boundary="r"), boundary="a"), ATTACHED
            ),
            "plain words",
            "plain",
            {2, 4},
        ),
        (
            many("related", IMAGE, HTML, leaf("text/html", "<p>root</p>", "Content-ID: <r@example.org>\n")).replace(
                "boundary=b", 'boundary=b; start="<r@example.org>"', 1
            ),
            "root",
            "html",
            {3},
        ),
        (
            many("signed", leaf("text/x-markdown", "*signed*"), leaf("application/pgp-signature", "x")),
            "*signed*",
            "plain",
            {1},
        ),
        (many("signed", leaf("text/x-note", "signed"), leaf("application/pgp-signature", "x")), "signed", "plain", {1}),
        (leaf("text/x-patch", "--- a\n+++ b"), "--- a\n+++ b", "plain", {0}),
        (many("mixed", PLAIN, leaf("text/x-patch", "--- a")), "plain words", "plain", {1}),
        (
            many("alternative", leaf("text/enriched", "<bold>x</bold>"), leaf("text/calendar", "BEGIN:VCALENDAR")),
            "x",
            "plain",
            {1},
        ),
        (leaf("text/calendar", "BEGIN:VCALENDAR"), "", "none", set()),
        (
            many(
                "report",
                PLAIN,
                leaf("message/delivery-status", "Action: failed"),
                leaf("text/rfc822-headers", "Subject: x"),
            ),
            "plain words",
            "plain",
            {1},
        ),
        (many("report", leaf("message/delivery-status", "Action: failed"), PLAIN), "plain words", "plain", {2}),
        (many("parallel", PLAIN, HTML), "plain words\n\nhtml words", "plain", {1, 2}),
        (many("digest", leaf("message/rfc822", "Subject: x\n\ninner")), "", "none", set()),
        (leaf("image/png", "xx"), "", "none", set()),
        (leaf("application/pdf", "xx"), "", "none", set()),
        (many("mixed"), "", "none", set()),
        (leaf("text/plain", "one\r\ntwo\r\n\r\n\r\n"), "one\ntwo", "plain", {0}),
    ],
)
def test_choice(mail, text, origin, parts):
    found = read(mail)
    assert (found.text, found.origin, set(found.parts)) == (text, origin, parts)
    assert found.problems == ()


def test_marks_move_with_their_part():
    quote = leaf("text/html", "a<blockquote>old</blockquote>")
    found = read(many("mixed", PLAIN, quote))
    assert found.text == "plain words\n\na\nold"
    assert [found.text[m.start : m.end] for m in found.marks] == ["old"]


def test_attached_messages_are_not_looked_into():
    found = read(many("mixed", PLAIN, leaf("message/rfc822", "Subject: x\n\ninner")))
    assert found.text == "plain words"


def test_a_longer_body_is_cut_and_told(monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BODY", 8)
    found = read(many("mixed", PLAIN, HTML))
    assert found.text == "plain wo"
    assert {p.kind for p in found.problems} == {"body cut"}


# ---------------------------------------------------------------- format=flowed (RFC 3676)


@pytest.mark.parametrize(
    ("flowed", "text"),
    [
        ("one \ntwo\n", "one two\n"),
        ("one\ntwo", "one\ntwo"),
        ("> one \n> two\n> three", "> one two\n> three"),
        ("> one \n>> two \n>> three", "> one \n>> two three"),
        ("one \n-- \nAnn", "one \n-- \nAnn"),
        (" >not quoted", ">not quoted"),
        (" From here", "From here"),
        ("  two blanks", " two blanks"),
        (">> a\n>b\nc", ">> a\n> b\nc"),
        ("end \n", "end \n".rstrip("\n")),
    ],
)
def test_unflow(flowed, text):
    assert unflow(flowed) == text


def test_delsp():
    assert unflow("漢 \n字", delsp=True) == "漢字"


def test_flowed_is_told_by_the_header():
    assert read(leaf("text/plain; format=flowed", "one \ntwo")).text == "one two"
    assert read(leaf("text/plain; format=flowed; delsp=yes", "on \ne")).text == "one"
    assert read(leaf("text/plain", "one \ntwo")).text == "one \ntwo"


@given(st.lists(st.sampled_from(["word", "> word", ">> word", "", "-- ", "two words"]), max_size=12))
def test_unflow_keeps_every_word(lines):
    text = "\n".join(line + " " if line.endswith("d") else line for line in lines)
    assert unflow(text).replace(">", " ").split() == text.replace(">", " ").split()


@given(
    st.lists(
        st.sampled_from(
            [PLAIN, HTML, IMAGE, ATTACHED, "", "--b\n", "--b--\n", "Content-Type: multipart/mixed; boundary=b\n\n"]
        ),
        max_size=8,
    ),
    st.sampled_from(["mixed", "alternative", "related", "report", "signed", "digest", "x"]),
)
def test_anything(parts, kind):
    found = read(many(kind, *parts))
    assert found.origin in ("plain", "html", "none")
    assert all(0 <= m.start < m.end <= len(found.text) for m in found.marks)
