"""The structure of mails: against the standard library on well-formed ones, by hand on broken ones, and at every cut."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import quopri
from collections.abc import Callable
from email.message import Message as StandardMessage

import pytest
from effort import linear
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.parts.mime import Limits, Mime, safe_name, scan

# ---------------------------------------------------------------- well-formed mails, made at random

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=80
)
FILE_NAME = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=20)


@st.composite
def leaves(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(["text/plain", "text/html", "application/pdf", "image/png"]))
    encoding = draw(st.sampled_from(["7bit", "quoted-printable", "base64", "8bit"]))
    data = draw(TEXT).encode() if kind.startswith("text") else draw(st.binary(max_size=200))
    if encoding == "7bit":
        data = data.decode("ascii", "ignore").encode().replace(b"\r", b"").replace(b"\0", b"")
    if encoding == "8bit":
        data = data.replace(b"\r", b"").replace(b"\0", b"")
    coded = {
        "quoted-printable": lambda: quopri.encodestring(data, quotetabs=True).replace(b"\r", b"=0D"),
        "base64": lambda: base64.encodebytes(data),
    }.get(encoding, lambda: data)()
    # A line that would be somebody's boundary is no business of this test.
    coded = coded.replace(b"\n--", b"\n-") if not coded.startswith(b"--") else b" " + coded.replace(b"\n--", b"\n-")
    head = f"Content-Type: {kind}; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n"
    if draw(st.booleans()):
        name = base64.b64encode(draw(FILE_NAME).encode()).decode()
        head += f'Content-Disposition: attachment; filename="=?utf-8?b?{name}?="\n'
    return head.encode() + b"\n" + coded


def joined(children: list[bytes], kind: str, boundary: str, preamble: bool) -> bytes:
    head = f'Content-Type: multipart/{kind};\n boundary="{boundary}"\n\n'.encode()
    line = f"--{boundary}".encode()
    body = b"".join(line + b"\n" + child + b"\n" for child in children)
    return (
        head
        + (b"For old programs.\n" if preamble else b"")
        + body
        + line
        + b"--\n"
        + (b"\nEpilogue\n" if preamble else b"")
    )


BOUNDARY = st.text("abcXYZ09=_-.", min_size=1, max_size=20).filter(lambda t: not t.endswith("-"))


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> bytes:
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(leaves())
    children = draw(st.lists(trees(depth - 1), min_size=1, max_size=3))
    # Boundaries may begin with each other's letters, but an inner one must not be an outer one's own.
    boundary = f"{'=' * depth}{draw(BOUNDARY)}{depth}"
    return joined(children, draw(st.sampled_from(["mixed", "alternative", "related"])), boundary, draw(st.booleans()))


def standard_parts(message: StandardMessage) -> list[StandardMessage]:
    return list(message.walk())


def without_end(data: bytes) -> bytes:
    return data.rstrip(b"\r\n")


@given(trees(), st.sampled_from([b"\n", b"\r\n"]))
def test_agrees_with_the_standard_library(tree: bytes, line_end: bytes) -> None:
    raw = b"From: ann@example.org\nSubject: x\nMIME-Version: 1.0\n" + tree
    raw = raw.replace(b"\n", line_end)
    expected = standard_parts(email.message_from_bytes(raw, policy=email.policy.compat32))
    mime = scan(raw)
    assert [part.type for part in mime.parts] == [part.get_content_type() for part in expected]
    assert mime.problems == ()
    for part, other in zip(mime.parts, expected, strict=True):
        if part.multipart:
            continue
        payload = other.get_payload(decode=True)
        assert isinstance(payload, bytes)
        ours = mime.payload(part.index)
        if part.encoding != "base64":  # "=0D" before a line end is one more way to write a line end
            payload, ours = payload.replace(b"\r\n", b"\n"), ours.replace(b"\r\n", b"\n")
        assert without_end(ours) == without_end(payload)
        ours = [(name, value.split()) for name, value in mime.fields(part.index)]
        assert ours == [(name.lower(), value.encode().split()) for name, value in other.items()]


@given(trees())
def test_line_breaks_are_no_content(tree: bytes) -> None:
    lf = scan(b"Subject: x\n" + tree)
    crlf = scan((b"Subject: x\n" + tree).replace(b"\n", b"\r\n"))
    assert [p.type for p in lf.parts] == [p.type for p in crlf.parts]
    for part in lf.parts:
        if not part.multipart:
            assert lf.payload(part.index) == crlf.payload(part.index)
            assert lf.text(part.index) == crlf.text(part.index)


# ---------------------------------------------------------------- broken ones

SAMPLE = b"""From: Ann <ann@example.org>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary="outer-inner"

--outer-inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Gr=C3=BC=C3=9Fe =
and more
--outer-inner
Content-Type: text/html

<p>Hi</p>
--outer-inner--
--outer
Content-Type: application/pdf; name=a.pdf
Content-Transfer-Encoding: base64
Content-ID: <one@example.org>

JVBERi0xLjQK
--outer
Content-Type: message/rfc822

Subject: inside

text
--outer--
epilogue
"""


def everything(mime: Mime) -> list[object]:
    seen: list[object] = []
    for part in mime.parts:
        seen += [part, mime.fields(part.index), mime.payload(part.index), mime.text(part.index)]
    return [*seen, mime.problems]


def check(raw: bytes) -> Mime:
    """What holds for any bytes."""
    mime = scan(raw)
    everything(mime)
    assert mime.parts
    assert mime.parts[0].parent == -1
    for part in mime.parts:
        assert 0 <= part.start <= part.body_start <= part.end <= len(raw)
        assert part.parent < part.index
        if part.index:
            above = mime.parts[part.parent]
            assert above.multipart
            assert part.depth == above.depth + 1
            assert above.body_start <= part.start
            assert part.end <= above.end
    return mime


def types(raw: bytes) -> list[str]:
    return [part.type for part in check(raw).parts]


def test_sample() -> None:
    mime = check(SAMPLE)
    assert [part.type for part in mime.parts] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf", "message/rfc822",
    ]  # fmt: skip
    assert mime.text(2) == "Grüße and more"
    assert mime.payload(4) == b"%PDF-1.4\n"
    assert mime.parts[4].name == "a.pdf"
    assert mime.parts[4].content_id == "one@example.org"
    assert mime.payload(5) == b"Subject: inside\n\ntext"
    assert mime.problems == ()


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_every_cut(line_end: bytes) -> None:
    raw = SAMPLE.replace(b"\n", line_end)
    assert [p.type for p in scan(raw).parts] == [p.type for p in scan(SAMPLE).parts]
    assert scan(raw).text(2) == "Grüße and more"
    for cut in range(len(raw)):
        check(raw[:cut])


@given(st.data())
def test_mutated(data: st.DataObject) -> None:
    raw = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw)))
        to = min(len(raw), at + data.draw(st.integers(0, 30)))
        raw[at:to] = data.draw(
            st.sampled_from(
                [
                    b"",
                    b"\n",
                    b"\r",
                    b"\0",
                    b"--outer\n",
                    b"\n--outer--",
                    b'"',
                    b"=",
                    b";",
                    b"\xff",
                    b"Content-Type:",
                    b"base64",
                    b"\n\n",
                ]
            )
        )
    check(bytes(raw))


@given(st.binary(max_size=400))
def test_any_bytes(raw: bytes) -> None:
    check(raw)
    check(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + raw + b"\n--b--")
    for encoding in (b"base64", b"quoted-printable", b"x-uuencode", b"binary", b"9bit"):
        check(b"Content-Transfer-Encoding: " + encoding + b"\n\n" + raw)


def kinds(raw: bytes) -> set[str]:
    return {problem.kind for problem in check(raw).problems}


def test_beginnings() -> None:
    assert check(b"").parts[0].type == "text/plain"
    assert check(b"\nJust a body.\n").text(0) == "Just a body."
    assert check(b"Note: is here\nnot a field\n\nbody").text(0) == "not a field\n\nbody"
    assert check(b"Just a body.\n").text(0) == "Just a body."
    for start in (
        b"\n\n",
        b"\xef\xbb\xbf",
        b"From ann@example.org Thu Sep  3 02:14:00 2026\n",
        b">From ann Thu\n",
        b"\r\n\r\n",
    ):
        mime = check(start + b"From: ann@example.org\nSubject: x\n\nbody\n")
        assert [name for name, _ in mime.fields(0)] == ["from", "subject"]
        assert mime.text(0) == "body"


def test_lines_that_are_no_fields() -> None:
    raw = b"From: ann@example.org\n>From old@example.org\nSubject: x\n\nbody: with colon\n"
    assert [name for name, _ in check(raw).fields(0)] == ["from", "subject"]
    assert check(raw).text(0) == "body: with colon"
    assert kinds(raw) == {"lines in the header that are no fields"}
    assert check(b"Subject: x\nHello Bob,\nhow are you\n\nAnn").text(0) == "Hello Bob,\nhow are you\n\nAnn"


def test_defaults() -> None:
    assert types(b"Content-Type: text\n\nx") == ["text/plain"]
    assert types(b"Content-Type: nonsense here; x=y\n\nx") == ["text/plain"]
    assert types(b"Content-Type: TEXT/HTML\n\nx") == ["text/html"]
    digest = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\n1\n--b\nContent-Type: text/plain\n\n2\n--b--\n"
    assert types(digest) == ["multipart/digest", "message/rfc822", "text/plain"]
    assert check(b"Content-Disposition: X-Odd; filename=a\n\n").parts[0].disposition == "attachment"
    assert check(b"Content-Disposition: filename=a\n\n").parts[0].disposition == ""


def test_boundaries_that_begin_alike() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=x\n\n--xy\n--x\n\nq\n--xy\nr\n--x-\n--x--\n--x\n\nafter\n"
    mime = check(raw)
    assert [p.type for p in mime.parts] == ["multipart/mixed", "text/plain"]
    assert mime.payload(1) == b"q\n--xy\nr\n--x-"


def test_one_boundary_at_two_levels() -> None:
    inner = b"Content-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n"
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + inner + b"--b\n\nthree\n--b--\n"
    mime = check(raw)
    assert [(p.type, p.depth) for p in mime.parts] == [
        ("multipart/mixed", 0), ("multipart/alternative", 1), ("text/plain", 2), ("text/plain", 2), ("text/plain", 1),
    ]  # fmt: skip


def test_boundaries_missing() -> None:
    part = b"--b\nContent-Type: text/html\n\nstill text\n--b--\n"
    assert types(b"Content-Type: multipart/mixed\n\n" + part) == ["multipart/mixed", "text/html"]
    assert kinds(b"Content-Type: multipart/mixed\n\n" + part) == {"multipart without a boundary"}
    assert types(b"Content-Type: multipart/mixed\n\nno part at all") == ["text/plain"]
    assert types(b"Content-Type: multipart/mixed; boundary=a\n\n" + part) == ["text/plain"]
    assert kinds(b"Content-Type: multipart/mixed; boundary=a\n\n" + part) == {
        "no closing boundary",
        "multipart without parts",
    }
    assert types(b"Content-Type: multipart/mixed; boundary=a\n\n--a--\n") == ["multipart/mixed"]
    check(
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\nA: b\n--o--\n"
    )
    # The outer boundary ends an inner multipart that was never closed.
    raw = b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\none\n--o\n\ntwo\n--o--\n"
    assert [(p.type, p.depth) for p in check(raw).parts] == [
        ("multipart/mixed", 0),
        ("multipart/mixed", 1),
        ("text/plain", 2),
        ("text/plain", 1),
    ]
    assert kinds(raw) == {"no closing boundary"}


@pytest.mark.parametrize(
    ("body", "data", "odd"),
    [
        (b"aGVsbG8=", b"hello", False),
        (b"aGVs\r\nbG8=\r\n", b"hello", False),
        (b"aGVsbG8", b"hello", False),
        (b"aGVsbG8=\naGVsbG8=\n", b"hellohello", False),
        (b"!a!G!V!s!", b"hel", True),
        (b"aGVsbG8=\n\n_____\nlist mailing list, see www.example.org\n", b"hello", True),
        (b"aGVsb", b"hel", True),
        (b"aGVsbG8= ignored", b"hello", True),
        (b"Hi Bob, this text was never encoded.\nAnn", b"Hi Bob, this text was never encoded.\nAnn", True),
        (b"aGVs bG8=", b"hello", True),
        (b"====", b"", False),
        (b"", b"", False),
    ],
)
def test_base64(body: bytes, data: bytes, odd: bool) -> None:
    raw = b"Content-Type: application/pdf\nContent-Transfer-Encoding: BASE64\n\n" + body
    assert check(raw).payload(0) == data
    assert bool(kinds(raw)) == odd


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b"a=3Db", b"a=b"),
        (b"a=\nb", b"ab"),
        (b"a= \t\nb", b"ab"),
        (b"a=\r\nb\r\nc", b"ab\nc"),
        (b"a=0D=0Ab", b"a\r\nb"),
        (b"a=ZZb=", b"a=ZZb"),
        (b"a=\rb c\nd", b"ab c\nd"),
    ],
)
def test_quoted_printable(body: bytes, data: bytes) -> None:
    assert check(b"Subject: x\nContent-Transfer-Encoding: Quoted-Printable\n\n" + body).payload(0) == data


def test_uuencoded() -> None:
    data = bytes(range(100))
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, 100, 45))
    head = b"Content-Type: image/png\nContent-Transfer-Encoding: x-uuencode\n\n"
    assert check(head + b"begin 644 a.png\n" + lines + b"`\nend\n").payload(0) == data
    assert check(head + b"nothing of the kind").payload(0) == b"nothing of the kind"
    assert kinds(head + b"begin 644 a\n\xff\xff\xffbroken\nend\n") == {"uuencode"}


def test_trailing_line_breaks_belong_to_the_container() -> None:
    for end in (b"", b"\n", b"\r\n", b"\n\n\n"):
        assert check(b"Subject: x\n\nbody" + end).payload(0) == b"body"


def test_binary_is_left_alone() -> None:
    data = b"\x89PNG\r\n\x1a\n\0"
    assert check(b"Content-Type: image/png\nContent-Transfer-Encoding: binary\n\n" + data).payload(0) == data


def test_html_says_its_charset() -> None:
    raw = (
        b'Content-Type: text/html\n\n<html><meta http-equiv="x" content="text/html; charset=koi8-r">'
        + "Привет".encode("koi8-r")
    )
    assert check(raw).text(0).endswith("Привет")


# ---------------------------------------------------------------- limits and cost


def test_limits_are_told() -> None:
    many = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\np\n" * 100 + b"--x--\n"
    mime = scan(many, Limits(parts=10))
    assert len(mime.parts) == 10
    assert "too many parts" in {p.kind for p in mime.problems}
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(50)) + b"\nend\n"
    mime = scan(deep, Limits(depth=5))
    assert [p.type for p in mime.parts] == ["multipart/mixed"] * 5 + ["application/octet-stream"]
    assert "nested too deep" in {p.kind for p in mime.problems}
    long = b"Subject: " + b"x" * 1000 + b"\nTo: ann@example.org\n\nbody"
    mime = scan(long, Limits(header_bytes=500))
    assert [name for name, _ in mime.fields(0)] == ["subject"]
    assert mime.text(0) == "body"
    assert "header too long" in {p.kind for p in mime.problems}


HEAD = b"Subject: x\nContent-Type: multipart/mixed; boundary=x\n\n"
NESTED = b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n"
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "parts": lambda n: HEAD + b"--x\n\np\n" * (n // 7),
    "parts without a blank line": lambda n: HEAD + b"--x\n" * (n // 4),
    "parts of one long header": lambda n: HEAD + b"--x\nA: b\n" * (n // 9),
    "other boundaries": lambda n: HEAD + b"--xy\n" * (n // 5),
    "deep": lambda n: b"".join(NESTED % (i, i) for i in range(n // 55)),
    "multiparts without a boundary": lambda n: HEAD + b"--x\nContent-Type: multipart/mixed\n\n" * (n // 35),
    "multiparts never found": lambda n: HEAD + b"".join(b"--x\nContent-Type: multipart/mixed; boundary=%d\n\n" % i for i in range(n // 50)),
    "carriage returns": lambda n: HEAD + b"\r" * n,
    "only carriage returns": lambda n: b"\r" * n + b"x",
    "blank lines": lambda n: b"\n" * n,
    "blanks": lambda n: b"Subject: x\n" + b" " * n,
    "garbage in the header": lambda n: b"A: b\n" + b"garbage\nA: b\n" * (n // 13),
    "fields": lambda n: b"A: b\n" * (n // 5),
    "a long line": lambda n: b"x" * n,
    "quoted-printable": lambda n: b"Content-Transfer-Encoding: quoted-printable\n\n" + b"= " * (n // 2),
    "pads": lambda n: b"Content-Transfer-Encoding: base64\n\n" + b"QQ==\n" * (n // 5),
    "equal signs": lambda n: b"Content-Transfer-Encoding: base64\n\n" + b"= " * (n // 2),
    "uuencoded": lambda n: b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + b"#86%A\n" * (n // 6),
    "metas": lambda n: b"Content-Type: text/html\n\n" + b"<meta " * (n // 6),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_linear(case: str) -> None:
    linear(lambda raw: everything(scan(raw)), HOSTILE[case], 12_000)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\windows\\x.exe", "x.exe"),
        ("a\0b\r\n.txt", "a_b_.txt"),
        ("con.txt", "_con.txt"),
        ("NUL", "_NUL"),
        ("console.txt", "console.txt"),
        ("..", "attachment"),
        (".profile", "profile"),
        ("", "attachment"),
        ("a:b|c?.txt", "a_b_c_.txt"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("Grüße.txt", "Grüße.txt"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=400))
def test_any_name_is_made_safe(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe.encode("utf-8", "replace")) <= 202
    assert not set(safe) & set('/\\\0:<>"|?*\n\r')
    assert safe not in {".", ".."}
    assert safe[0] not in ". "
    assert safe_name("x" * 500 + ".pdf").endswith("x.pdf")


def test_a_boundary_line_of_odd_blanks_is_no_boundary() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--\x0b \x0b\ntwo\n--b--\n"
    assert [p.type for p in scan(raw).parts] == ["multipart/mixed", "text/plain"]
