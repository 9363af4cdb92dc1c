"""A mail as a value: headers, body, attachments, messages inside, marks and trace; and that no bytes raise."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from effort import linear
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail import parse as module
from mailloom.mail.model import Message
from mailloom.mail.parse import message, parse, read
from mailloom.mail.people.address import RECIPIENTS

PLAIN = b"""Return-Path: <bounce@example.org>
Delivered-To: bob@example.net
X-Original-To: team@example.net
Received: from a.example by b.example; Thu, 03 Sep 2026 02:14:05 +0200
Received: from c.example by a.example; Thu, 03 Sep 2026 02:14:01 +0200
From: =?utf-8?q?J=C3=BCrgen?= <j@Example.org>
Sender: Office <office@example.org>
Reply-To: team@example.org
To: "Doe, Ann" <ann@example.org>, bob@example.net
Cc: Friends: eve@example.com;
Bcc: secret@example.com
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Thu, 03 Sep 2026 02:14:00 +0200
Message-ID: <three@example.org>
In-Reply-To: <two@example.org>
References: <one@example.org>
 <two@example.org>
Resent-Message-ID: <again@example.org>
X-Original-Message-ID: <before@example.org>
Thread-Index: AQHZAAAAAAAAAAAAAAAAAAAAAAAAAA==
List-Id: Talk <Talk.example.org>
Auto-Submitted: auto-generated; owner=x
X-Gmail-Labels: Inbox,=?utf-8?q?W=C3=A4rme?=
X-Keywords: red blue

Hello
"""


def test_headers() -> None:
    one = parse(PLAIN)
    assert one.message_id == "three@example.org"
    assert one.in_reply_to == ("two@example.org",)
    assert one.in_reply_to_text == "<two@example.org>"
    assert one.references == ("one@example.org", "two@example.org")
    assert one.aliases == ("again@example.org", "before@example.org")
    assert one.thread_index == base64.b64decode("AQHZAAAAAAAAAAAAAAAAAAAAAAAAAA==")
    assert one.date.ms == 1788394440000
    assert one.subject == "Grüße"
    assert [(a.name, a.key) for a in one.from_] == [("Jürgen", "j@example.org")]
    assert [a.key for a in one.sender + one.reply_to] == ["office@example.org", "team@example.org"]
    assert [a.name for a in one.to] == ["Doe, Ann", ""]
    assert [(a.key, a.group) for a in one.cc] == [("eve@example.com", "Friends")]
    assert one.list_id == "talk.example.org"
    assert one.auto_submitted == "auto-generated"
    assert one.marks == ("automatic", "list")
    assert (one.text, one.text_origin) == ("Hello", "plain")
    assert one.problems == ()
    assert next(iter(one.headers)) == ("return-path", "<bounce@example.org>")
    assert ("subject", "Grüße") in one.headers
    assert len(list(one.headers)) == 23


def test_trace() -> None:
    trace = parse(PLAIN).trace
    assert [r.split(" ")[1] for r in trace.received] == ["a.example", "c.example"]
    assert trace.return_path == "bounce@example.org"
    assert trace.delivered_to == ("bob@example.net", "team@example.net")
    assert [a.key for a in trace.bcc] == ["secret@example.com"]
    assert trace.labels == ("Inbox", "Wärme", "red", "blue")


def test_the_three_ways_agree() -> None:
    mime, one = read(PLAIN)
    assert one == parse(PLAIN) == message(mime)


def attached(kind: str, name: str, inside: bytes, coded: bool = False) -> bytes:
    head = f"Content-Type: {kind}" + (f"; name={name}" if name else "") + "\n"
    if coded:
        return head.encode() + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(inside)
    return head.encode() + b"\n" + inside


def carrier(subject: str, *parts: bytes, boundary: str = "b") -> bytes:
    line = f"--{boundary}\n".encode()
    head = f"From: Ann <ann@example.org>\nMessage-ID: <{subject}@example.org>\nSubject: {subject}\n"
    text = b"Content-Type: text/plain\n\ntext of " + subject.encode()
    body = b"\n".join(line + part for part in (text, *parts))
    return (
        f"{head}Content-Type: multipart/mixed; boundary={boundary}\n\n".encode() + body + f"\n--{boundary}--\n".encode()
    )


SMALL = b"From: Eve <eve@example.com>\nTo: ann@example.org\nSubject: small\nDate: Thu, 03 Sep 2026 02:14:00 +0200\n\nlittle\n"


def test_attachments() -> None:
    picture = b"Content-Type: image/png\nContent-Disposition: inline; filename=a.png\nContent-ID: <p@example.org>\nContent-Transfer-Encoding: base64\n\niVBORw=="
    file = (
        b"Content-Type: application/pdf\nContent-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.pdf\n\n%PDF"
    )
    one = parse(carrier("x", picture, file))
    assert one.text == "text of x"
    assert [(a.part, a.name, a.type, a.size, a.inline) for a in one.attachments] == [
        (2, "a.png", "image/png", 4, True), (3, "Grüße.pdf", "application/pdf", 4, False),
    ]  # fmt: skip
    assert one.attachments[0].content_id == "p@example.org"
    assert one.attachments[1].sha256 == sha256(b"%PDF").hexdigest()


@pytest.mark.parametrize(
    "part",
    [
        attached("message/rfc822", "", SMALL),
        attached("message/rfc822", "", SMALL, coded=True),
        attached("message/global", "", SMALL),
        attached("application/octet-stream", "mail.eml", SMALL, coded=True),
        attached("application/octet-stream", "", SMALL, coded=True),
        attached("message/rfc822", "", b"From ann@example.org Thu Sep  3 02:14:00 2026\n" + SMALL),
    ],
)
def test_attached_messages(part: bytes) -> None:
    one = parse(carrier("x", part))
    assert [(n.path, n.kind, n.depth, n.subject, n.text, n.part) for n in one.nested] == [
        ("1", "attached", 1, "small", "little", 2)
    ]
    assert [a.key for a in one.nested[0].from_ + one.nested[0].to] == ["eve@example.com", "ann@example.org"]
    assert one.nested[0].date.ms == 1788394440000
    assert [a.part for a in one.attachments] == [2]


def test_files_that_only_hold_text() -> None:
    for part in (
        attached("application/octet-stream", "notes.txt", SMALL, coded=True),
        attached("application/octet-stream", "", b"just bytes", coded=True),
        attached("message/rfc822", "", b"\n"),
        attached("application/octet-stream", "mail.eml", b"not a mail"),
    ):
        assert parse(carrier("x", part)).nested == ()


def test_messages_in_messages_in_messages() -> None:
    inner = carrier("c", attached("message/rfc822", "", SMALL), attached("image/png", "a.png", b"x"), boundary="c")
    middle = carrier(
        "b", attached("message/rfc822", "", inner, coded=True), attached("message/rfc822", "", SMALL), boundary="bb"
    )
    one = parse(carrier("a", attached("message/rfc822", "", middle)))
    assert [(n.path, n.depth, n.subject) for n in one.nested] == [
        ("1", 1, "b"), ("1.1", 2, "c"), ("1.1.1", 3, "small"), ("1.2", 2, "small"),
    ]  # fmt: skip
    assert one.nested[1].message_id == "c@example.org"
    assert [a.name for a in one.nested[1].attachments] == ["", "a.png"]


def test_attached_messages_come_before_those_in_the_text() -> None:
    text = b"Content-Type: text/plain\n\nsee below\n\n---------- Forwarded message ---------\nFrom: Bob <bob@example.net>\nDate: Thu, Sep 3, 2026 at 2:14 AM\nSubject: inline one\nTo: <ann@example.org>\n\nforwarded text\n"
    raw = (
        b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n"
        + text
        + b"--b\n"
        + attached("message/rfc822", "", SMALL)
        + b"\n--b--\n"
    )
    one = parse(raw)
    assert [(n.path, n.kind, n.subject) for n in one.nested] == [
        ("1", "attached", "small"),
        ("2", "forwarded", "inline one"),
    ]
    around = parse(carrier("y", attached("message/rfc822", "", raw.replace(b"=b", b"=z").replace(b"--b", b"--z"))))
    assert [(n.path, n.kind) for n in around.nested] == [("1", "attached"), ("1.1", "attached"), ("1.2", "forwarded")]


@pytest.mark.parametrize(
    ("head", "marks"),
    [
        (b"From: ann@example.org\n", ()),
        (b"From: no-reply@example.org\n", ("no-reply",)),
        (b"From: donotreply@example.org\n", ("no-reply",)),
        (b"From: noreplyment@example.org\n", ()),
        (b"From: Support <Support@example.org>\n", ("role",)),
        (b"From: MAILER-DAEMON@example.org\n", ("bounce",)),
        (b"Auto-Submitted: no\n", ()),
        (b"Auto-Submitted: Auto-Replied\n", ("automatic",)),
        (b"List-Id: <x.example.org>\n", ("list",)),
        # What servers and lists change on the way marks nothing: copies would differ.
        (b"Precedence: bulk\nReturn-Path: <>\nList-Post: <mailto:x@example.org>\nX-Auto-Response-Suppress: All\n", ()),
    ],
)
def test_marks(head: bytes, marks: tuple[str, ...]) -> None:
    assert parse(head + b"Subject: x\n\ntext\n").marks == marks


def test_a_delivery_report_is_a_bounce() -> None:
    report = b"From: x@example.org\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nfailed\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n--b\nContent-Type: message/rfc822\n\nSubject: mine\n\nx\n--b--\n"
    one = parse(report)
    assert one.marks == ("report", "bounce")
    assert [n.subject for n in one.nested] == ["mine"]


def test_repeated_and_missing_fields() -> None:
    one = parse(b"Subject:\nSubject: second\nTo: ann@example.org\nTo: bob@example.net\nDate: never\n\n")
    assert one.subject == "second"
    assert [a.key for a in one.to] == ["ann@example.org", "bob@example.net"]
    assert [(p.kind, p.where) for p in one.problems] == [
        ("repeated field", "to"),
        ("repeated field", "subject"),
        ("date not read", "date"),
    ]
    assert parse(b"").message_id == ""


def test_raw_8_bit_headers_are_read_in_the_charset_of_the_body() -> None:
    raw = (
        b"Subject: "
        + "Привет".encode("koi8-r")
        + b"\nContent-Type: text/plain; charset=koi8-r\n\n"
        + "да".encode("koi8-r")
    )
    assert (parse(raw).subject, parse(raw).text) == ("Привет", "да")


def test_injection_stays_in_its_field() -> None:
    one = parse(b"From: a@example.org\nSubject: =?utf-8?q?x=0D=0ABcc:_v@example.com=0D=0A=0D=0Aboo?=\n\nbody")
    assert one.subject == "x Bcc: v@example.com boo"
    assert one.trace.bcc == ()
    assert [name for name, _ in one.headers] == ["from", "subject"]


@pytest.mark.parametrize("text", ["", "!!", "AQ", "x" * 2000, "é", "AAAAA"])
def test_broken_thread_index(text: str) -> None:
    assert len(parse(f"Thread-Index: {text}\n\n".encode()).thread_index) <= 1


def test_limits_are_told() -> None:
    many = b"Cc: " + b",\n ".join(b"u%d@example.com" % i for i in range(RECIPIENTS + 10)) + b"\n\nx"
    one = parse(many)
    assert len(one.cc) == RECIPIENTS
    assert [p.kind for p in one.problems] == ["too many recipients"]
    ids = parse(b"References: " + b"\n ".join(b"<%d@example.org>" % i for i in range(3000)) + b"\n\nx")
    assert (ids.references[0], ids.references[-1], len(ids.references)) == ("0@example.org", "2999@example.org", 500)
    assert [p.kind for p in ids.problems] == ["too many ids"]
    deep = parse(b"From: ann@example.org\n" + b"Content-Type: message/rfc822\n\n" * 100 + b"hi")
    assert len(deep.nested) == module.NESTED_DEPTH
    assert "messages nested too deep" in {p.kind for p in deep.problems}
    digest = (
        b"Content-Type: multipart/digest; boundary=x\n\n"
        + b"--x\n\nSubject: s\n\np\n" * (module.NESTED_MESSAGES + 5)
        + b"--x--\n"
    )
    assert len(parse(digest).nested) == module.NESTED_MESSAGES
    assert "too many attached messages" in {p.kind for p in parse(digest).problems}


WHOLE = carrier(
    "a",
    attached("message/rfc822", "", carrier("b", attached("message/rfc822", "", SMALL), boundary="bb")),
    attached("text/html", "", b"<p>x"),
)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_every_cut(line_end: bytes) -> None:
    raw = (PLAIN.rstrip() + b"\n\n" + WHOLE).replace(b"\n", line_end)
    for cut in range(0, len(raw), 3):
        parse(raw[:cut])
    raw = WHOLE.replace(b"\n", line_end)
    for cut in range(0, len(raw), 2):
        parse(raw[:cut])


def test_line_breaks_are_no_content() -> None:
    for raw in (PLAIN, WHOLE):
        assert parse(raw) == parse(raw.replace(b"\n", b"\r\n"))


@given(st.binary(max_size=300), st.integers(0, len(WHOLE)))
def test_any_bytes(noise: bytes, at: int) -> None:
    parse(noise)
    one = parse(WHOLE[:at] + noise + WHOLE[at:])
    assert one == parse(WHOLE[:at] + noise + WHOLE[at:])
    texts = [one.subject, one.text, one.list_id, *(n.text for n in one.nested), *(value for _, value in one.headers)]
    "".join(texts).encode()
    assert len({n.path for n in one.nested}) == len(one.nested)


def test_messages_in_messages_cost_what_their_bytes_cost() -> None:
    linear(parse, lambda n: b"From: ann@example.org\n" + b"Content-Type: message/rfc822\n\n" * n + b"x" * n * 30, 2000)


def test_a_limit_on_messages_in_a_text_is_told() -> None:
    ladder = ""
    for level in range(16):
        head = f"On Thu, 3 Sep 2026 at 02:{level:02}, Ann <ann@example.org> wrote:"
        ladder = f"words {level}\n\n{head}\n" + "".join(f"> {line}\n" for line in (ladder or "first").split("\n"))
    deep = parse(f"Subject: s\n\n{ladder}".encode())
    assert max(n.depth for n in deep.nested) == 12
    assert "messages nested too deep" in {p.kind for p in deep.problems}
    line = "On Thu, 3 Sep 2026 at 02:14, Ann <ann@example.org> wrote:\n> q\n\nyes\n\n"
    many = parse(f"Subject: s\n\n{line * 501}".encode())
    assert (len(many.nested), [p.kind for p in many.problems]) == (500, ["too many messages in a text"])
    assert parse(f"Subject: s\n\n{line * 500}".encode()).problems == ()


def part(kind: str, text: str) -> str:
    return f"--b\nContent-Type: {kind}\n\n{text}\n"


def multi(kind: str, *parts: str) -> Message:
    return parse(f"From: x@example.org\nContent-Type: multipart/{kind}; boundary=b\n\n{''.join(parts)}--b--\n".encode())


STATUS = "Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; {}@example.org\nAction: {}\nStatus: 5.1.1\n"


@pytest.mark.parametrize(
    ("kind", "parts", "marks"),
    [
        ("signed; protocol=x", [part("text/plain", "x"), part("application/pgp-signature", "y")], ("signed",)),
        ("encrypted; protocol=x", [part("application/pgp-encrypted", "Version: 1")], ("encrypted",)),
        ("report", [part("text/plain", "x"), part("message/delivery-status", STATUS.format("a", "failed"))], ("report", "bounce")),
        ("report", [part("text/plain", "x"), part("message/delivery-status", STATUS.format("a", "delayed"))], ("report", "bounce")),
        ("report", [part("text/plain", "x"), part("message/delivery-status", STATUS.format("a", "Delivered"))], ("report", "receipt")),
        (
            "report",
            [part("message/delivery-status", STATUS.format("a", "relayed") + "\n" + STATUS.format("b", "failed"))],
            ("report", "bounce"),
        ),
        ("report", [part("message/global-delivery-status", "what is this")], ("report", "bounce")),
        ("report", [part("text/plain", "x"), part("message/disposition-notification", "Disposition: x")], ("report", "receipt")),
        ("report; report-type=feedback-report", [part("message/feedback-report", "Feedback-Type: abuse")], ("report",)),
        ("report", [part("text/plain", "x")], ("report",)),
        ("alternative", [part("text/plain", "x"), part("text/calendar; method=REQUEST", "BEGIN:VCALENDAR")], ("calendar",)),
        ("mixed", [part("text/plain", "x"), part("application/ics; name=a.ics", "BEGIN:VCALENDAR")], ("calendar",)),
        ("mixed", [part("text/plain", "x"), part("text/html", "y")], ()),
    ],
)  # fmt: skip
def test_marks_tell_what_kind_of_mail_it_is(kind: str, parts: list[str], marks: tuple[str, ...]) -> None:
    assert multi(kind, *parts).marks == marks


def test_what_a_report_is_about_is_nested() -> None:
    one = multi(
        "report", part("text/plain", "failed"), part("text/rfc822-headers", "Subject: mine\nFrom: me@example.org")
    )
    assert [(n.subject, n.from_[0].key, n.text, n.part) for n in one.nested] == [("mine", "me@example.org", "", 2)]
    assert (one.text, one.problems) == ("failed", ())
    whole = multi("report", part("text/plain", "failed"), part("message/rfc822", "Subject: mine\n\nhello"))
    assert [(n.subject, n.text) for n in whole.nested] == [("mine", "hello")]


def test_what_cannot_be_decoded_is_kept_and_told() -> None:
    one = parse(b"Content-Type: application/x-y; name=f\nContent-Transfer-Encoding: x-strange\n\nsome bytes")
    assert [(a.name, a.size) for a in one.attachments] == [("f", 10)]
    assert [p.kind for p in one.problems] == ["unknown transfer encoding"]
