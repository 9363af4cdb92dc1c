"""Header fields: folding, encoded words, ids, dates and parameters, whole and broken."""

from __future__ import annotations

import email.header
import email.utils
from datetime import UTC, datetime, timedelta, timezone

import pytest
from effort import linear
from hypothesis import example, given
from hypothesis import strategies as st

from mailloom.mail.model import Date
from mailloom.mail.parts import header


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" Hello\r\n\tagain\r\n  and again ", "Hello again and again"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?iso-8859-1?Q?a?= =?iso-8859-1?Q?b?=", "ab"),
        (b"=?iso-8859-1?Q?a_?=\r\n =?utf-8?Q?b?= c", "a b c"),
        (b"x =?utf-8?q?a?= y =?utf-8?q?b?= z", "x a y b z"),
        # Split inside a character, in both encodings, and inside four base64 letters.
        (b"=?utf-8?q?Gr=C3?= =?utf-8?q?=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"),
        (b"=?utf-8?b?R3LDv?= =?utf-8?b?MOfZQ==?=", "Grüße"),
        (b"=?utf-8?b?R3I=?= =?utf-8?b?w7w=?=", "Grü"),
        # No padding, blanks inside, no blank around, a question mark and a language.
        (b"=?utf-8?b?R3LDvMOfZQ?=", "Grüße"),
        (b"=?utf-8?q?two words?=", "two words"),
        (b"a=?utf-8?q?b?=c", "abc"),
        (b"=?utf-8?q?why?_=C3=BC?=", "why? ü"),
        (b"=?utf-8*de?q?=C3=BC?=", "ü"),
        # Broken ones stay, a word in an unknown charset is read as well as can be.
        (b"=?utf-8?q?never closed", "=?utf-8?q?never closed"),
        (b"=?utf-8?x?no?=", "=?utf-8?x?no?="),
        (b"=?x-klingon?q?nuqneH?=", "nuqneH"),
        (b"=?utf-8?b?!!!?=", ""),
        ("Grüße".encode(), "Grüße"),
        ("Grüße aus Köln".encode("latin-1"), "Grüße aus Köln"),
        (b"=?iso-8859-1?q?Gr=FC" + "ß".encode("latin-1") + b"e?=", "Grüße"),
        # A decoded line break is no line break; NUL and other controls are nothing.
        (b"=?utf-8?q?x=0D=0ABcc:_victim@example.com?=", "x Bcc: victim@example.com"),
        (b"a\0b\x07c", "abc"),
        (b"", ""),
    ],
)
def test_decode(value: bytes, text: str) -> None:
    assert header.decode(value) == text


def test_raw_bytes_are_read_in_the_charset_of_the_message() -> None:
    assert header.decode("Привет".encode("koi8-r"), "koi8-r") == "Привет"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs")), min_size=1, max_size=60))
def test_what_the_standard_library_encodes_comes_back(text: str) -> None:
    coded = email.header.Header(text, "utf-8").encode()
    assert header.decode(coded.encode("ascii")) == text


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "koi8-r", "x-none"]))
@example(b"=?utf-7?q?+2AA-?=", "")
@example(b"=?utf-8?q?=0A=0D?= \x85", "")
def test_no_bytes_raise_and_no_control_survives(value: bytes, hint: str) -> None:
    text = header.decode(value, hint)
    text.encode()
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" for c in text)
    header.params(value)
    header.ids(text)
    header.date(text)


def test_fields_in_order() -> None:
    block = b"From: a\r\nSUBJECT : b\r\n c\r\nbroken line\r\nX-Empty:\r\nSubject: =?utf-8?q?d?=\r\n"
    expected = [("from", "a"), ("subject", "b c"), ("x-empty", ""), ("subject", "=?utf-8?q?d?=")]
    assert header.fields(block) == expected
    assert header.fields(block + b"X: \xc3\xa9\r\n") == [*expected, ("x", "é")]


@given(
    st.lists(
        st.sampled_from(["A", "b: c", "From:", " ", "\t", "\n", "\r\n", "\r", "\0", ":", "x", "=?utf-8?q?x?=", "é"]),
        max_size=20,
    )
)
def test_fields_are_the_raw_ones_unfolded(tokens: list[str]) -> None:
    block = "".join(tokens).encode()
    assert header.fields(block) == [(n.lower().decode(), header.unfolded(v)) for n, v in header.raw_fields(block)]


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("<a@b.example>", ("a@b.example",)),
        ("<a@b.example><c@d.example>\t<e@f.example>", ("a@b.example", "c@d.example", "e@f.example")),
        ("<a @ b(comment).example >", ("a@b.example",)),
        ("Your message of Monday <a@b.example> (Ann's)", ("a@b.example",)),
        ("a@b.example", ("a@b.example",)),
        ("a@b.example, c@d.example", ("a@b.example", "c@d.example")),
        ("y", ("y",)),
        ("your mail of Monday", ()),
        ("<a@b.example", ("a@b.example",)),
        ("<a@b.example <c@d.example>", ("a@b.example", "c@d.example")),
        ("<>", ()),
        ("", ()),
        ("<" + "x" * 2000 + ">", ()),
    ],
)
def test_ids(value: str, ids: tuple[str, ...]) -> None:
    assert header.ids(value) == ids


def test_of_very_many_ids_the_first_and_the_last_stay() -> None:
    found = header.ids(" ".join(f"<{i}@x.example>" for i in range(5000)))
    assert len(found) == header.IDS_FIRST + header.IDS_LAST
    assert found[0] == "0@x.example"
    assert found[-1] == "4999@x.example"


MORNING = datetime(2026, 9, 3, 2, 14, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("value", "moment", "zone"),
    [
        ("Thu, 03 Sep 2026 02:14:00 +0200", MORNING, 120),
        ("Thu, 3 Sep 2026 02:14:00 +0200 (CEST)", MORNING, 120),
        ("3 sep 26 02:14 CEST", MORNING, 120),
        ("Thu,03 Sep 2026 02:14:00 +02:00", MORNING, 120),
        ("Thu, 3 Sep 2026 02:14:00 GMT+0200", MORNING, 120),
        ("Thu Sep  3 02:14:00 2026 +0200", MORNING, 120),
        ("Thu Sep 3 02:14:00 CEST 2026", MORNING, 120),
        ("2026-09-03T02:14:00+02:00", MORNING, 120),
        ("2026-09-03 00:14:00Z", MORNING, 0),
        ("03-Sep-2026 02.14.00 +0200", MORNING, 120),
        ("Thu, 03 Sep 2026 00:14:00 -0000", MORNING, None),
        ("Thu, 03 Sep 2026 00:14:00", MORNING, None),
        ("Thursday, September 3, 2026 12:14 AM", MORNING, None),
        ("9/3/2026 12:14:00 AM", MORNING, None),
        ("13/9/2026 00:14", MORNING + timedelta(days=10), None),
        ("Thu, 03 Sep 2026 00:14:60 GMT", MORNING + timedelta(minutes=1), 0),
        ("Wed, 3 Sep 103 00:14:00 GMT", datetime(2003, 9, 3, 0, 14, tzinfo=UTC), 0),
        ("Wed, 3 Sep 97 00:14:00 EST", datetime(1997, 9, 3, 5, 14, tzinfo=UTC), -300),
    ],
)
def test_dates(value: str, moment: datetime, zone: int | None) -> None:
    found = header.date(value)
    assert (found.ms, found.zone, found.text) == (int(moment.timestamp() * 1000), zone, value)


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "Tue, 99 Foo 99999 77:88:99 +9999", "Thu, 31 Feb 2026 02:14:00 +0200", "3 Sep 2026 24:00:00 GMT", "3 Sep 1776 02:14 GMT",
     "Thu, 03 Sep 2026 02:14:00 +9900", "9/3/2026 02:14", "3 Sep 2026", "1" * 10_000, "3 Sep 2026 13:14 PM", "mar 16 mag 2023 10:36"],
)  # fmt: skip
def test_no_dates(value: str) -> None:
    assert header.date(value) == Date(None, None, value)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)), st.integers(-14 * 60, 14 * 60).filter(lambda m: m))  # noqa: DTZ001
def test_dates_agree_with_the_standard_library(when: datetime, zone: int) -> None:
    when = when.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=zone)))
    found = header.date(email.utils.format_datetime(when))
    assert found.ms == int(when.timestamp()) * 1000
    assert found.zone == zone


@pytest.mark.parametrize(
    ("value", "main", "params"),
    [
        (b"Text/Plain; Charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        (b' text / plain ; charset = "utf-8" ; format=flowed', "text/plain", {"charset": "utf-8", "format": "flowed"}),
        (b"text/plain; charset=us-ascii (plain; text)", "text/plain", {"charset": "us-ascii"}),
        (b"text/plain charset=utf-8", "text/plain", {"charset": "utf-8"}),
        (b"text/plain; charset=utf-8 format=flowed", "text/plain", {"charset": "utf-8", "format": "flowed"}),
        (b'a/b; name="x;y=z\\".txt"', "a/b", {"name": 'x;y=z".txt'}),
        (b'a/b; name="C:\\Users\\ann.txt"', "a/b", {"name": "C:\\Users\\ann.txt"}),
        (b'a/b; name="my "own" file.txt"; x=y', "a/b", {"name": 'my "own" file.txt', "x": "y"}),
        (b"a/b; name=my own file.txt; x=y", "a/b", {"name": "my own file.txt", "x": "y"}),
        (b'a/b; name="never closed', "a/b", {"name": "never closed"}),
        (b"a/b; name=first; name=second", "a/b", {"name": "first"}),
        (b"a/b;; =x; ;name=y;", "a/b", {"name": "y"}),
        (b'a/b; name="=?utf-8?q?Gr=C3=BC=C3=9Fe.txt?="', "a/b", {"name": "Grüße.txt"}),
        (b"a/b; name==?utf-8?q?a_b.txt?=", "a/b", {"name": "a b.txt"}),
        ('a/b; name="Grüße.txt"'.encode(), "a/b", {"name": "Grüße.txt"}),
        # RFC 2231: charset and language, continuations in any order, encoded and plain ones mixed.
        (b"a/b; name*=utf-8'de'Gr%C3%BC%C3%9Fe.txt", "a/b", {"name": "Grüße.txt"}),
        (b"a/b; name*1*=%BC%C3%9Fe; name*0*=utf-8''Gr%C3; name*2=.txt", "a/b", {"name": "Grüße.txt"}),
        (b'a/b; name*0="one "; name*1="two"', "a/b", {"name": "one two"}),
        (b"a/b; name=plain; name*=utf-8''better", "a/b", {"name": "better"}),
        (b"a/b; name*99999999999999999999=x; name*=%%%", "a/b", {"name": "%%%"}),
        (b"", "", {}),
        (b";", "", {}),
    ],
)
def test_params(value: bytes, main: str, params: dict[str, str]) -> None:
    found, pairs = header.params(value)
    assert (found, dict(pairs)) == (main, params)


HOSTILE = {
    "parameters": lambda n: header.params(b"a/b" + b"".join(b";\n p*%d*=a" % i for i in range(n // 8))),
    "quotes": lambda n: header.params(b"a/b" + b';a="' * (n // 4)),
    "escapes": lambda n: header.params(b'a/b;a="' + b'\\"' * (n // 2)),
    "blanks": lambda n: header.params(b"a/b;" + b" " * n + b"x"),
    "semicolons": lambda n: header.params(b"a/b" + b"; " * (n // 2)),
    "words": lambda n: header.decode(b"=?utf-8?q?ab?= " * (n // 15)),
    "open words": lambda n: header.decode(b"=?utf-8?q?ab " * (n // 13)),
    "base64 words": lambda n: header.decode(b"=?utf-8?b?abc?= " * (n // 16)),
    "folds": lambda n: header.decode(b"a\n " * (n // 3)),
    "brackets": lambda n: header.ids("<" * n),
    "comments": lambda n: header.ids("<" + "(" * n + ">"),
    "ids": lambda n: header.ids("<a@b>" * (n // 5)),
    "date": lambda n: header.date("3 " * n),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_linear(case: str) -> None:
    linear(HOSTILE[case], lambda n: n, 10_000)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("=?utf-8?B?SGVsbG8gd29y", "Hello wor"),  # a server cut the field
        ("Re: =?utf-8?Q?caf=C3=A9_au", "Re: caf\xe9 au"),
        ("a =?utf-8?Q? b c", "a =?utf-8?Q? b c"),
        ("=?utf-8?Q?=3D=3Futf-8=3FQ=3Fcaf=3DC3=3DA9=3F=3D?=", "caf\xe9"),  # encoded twice
        ("=?utf-8?Q?caf=C3?= =?utf-8?Q?=A9?=", "caf\xe9"),
        ("=?utf-8?Q?a?==?utf-8?Q?b?=", "ab"),
        ("=?UTF-8*en?q?x_y?=", "x y"),
        ("=?iso-8859-1?Q?caf=C3=A9?=", "caf\xe9"),  # mislabelled
        ("=?x-none?Q?abc?=", "abc"),
        ("=?utf-8?Q?what=3F_no?yes?=", "what? no?yes"),
    ],
)
def test_broken_encoded_words(written: str, text: str) -> None:
    assert header.words(written) == text


def test_iso_2022_jp_as_it_is_in_a_header() -> None:
    title = "\u4f1a\u8b70\u306e\u4ef6 (Ann)"
    raw = title.encode("iso2022_jp")
    assert header.decode(raw) == title
    assert header.fields(b"Subject: " + raw + b"\nTo: a@example.org\n") == [("subject", title), ("to", "a@example.org")]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (b"attachment; filename=\"utf-8''caf%C3%A9.txt\"", "caf\xe9.txt"),
        (b"attachment; filename=it''s.txt", "it''s.txt"),
        (b"attachment; filename*0*=iso-8859-1'es'%D1and%FA; filename*1*=iso-8859-1'%20r.pdf", "\xd1and\xfa r.pdf"),
        (b"attachment; filename*=''plain.txt", "plain.txt"),
        (b"attachment; filename*1=b.txt; filename*0=a", "ab.txt"),
        (b"attachment; filename=x.txt; filename*=utf-8''%C3%A9.txt", "\xe9.txt"),
    ],
)
def test_names_in_broken_forms(written: bytes, name: str) -> None:
    assert header.params(written)[1]["filename"] == name
