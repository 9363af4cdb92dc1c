"""Address fields, as standards have them and as clients write them."""

from __future__ import annotations

import re

import pytest
from effort import linear
from hypothesis import example, given
from hypothesis import strategies as st

from mailloom.mail.people import address
from mailloom.mail.people.address import addresses, folded, key


def seen(value: str) -> list[tuple[str, str]]:
    return [(one.name, one.address) for one in addresses(value)]


ANN = ("Ann", "ann@example.org")
BOB = ("", "bob@example.net")


@pytest.mark.parametrize(
    ("value", "boxes"),
    [
        ("Ann <ann@example.org>, bob@example.net", [ANN, BOB]),
        ('"Ann"  <ann@example.org> , <bob@example.net>', [ANN, BOB]),
        ('"Doe, Ann" <ann@example.org>', [("Doe, Ann", "ann@example.org")]),
        ("Doe, Ann <ann@example.org>", [("Doe, Ann", "ann@example.org")]),
        (r'"Ann \"the\" Doe" <ann@example.org>', [('Ann "the" Doe', "ann@example.org")]),
        ("ann@example.org (Ann)", [ANN]),
        ("ann@example.org (Ann (of Example))", [("Ann (of Example)", "ann@example.org")]),
        ("Ann (work) <ann@example.org>", [ANN]),
        ("Ann ann@example.org", [ANN]),
        ("Ann <ann@example.org", [ANN]),
        ("Ann <ann@example.org, bob@example.net", [ANN, BOB]),
        ("ann@example.org; bob@example.net", [("", "ann@example.org"), BOB]),
        ("<ann@example.org> <bob@example.net>", [("", "ann@example.org"), BOB]),
        ("Ann <<ann@example.org>>", [ANN]),
        ('"Ann <ann@example.org>, "Bob" <bob@example.net>', [ANN, ("Bob", "bob@example.net")]),
        ('Ann" <ann@example.org>', [ANN]),
        ("(Ann <ann@example.org>", [ANN]),
        ("mailto:ann@example.org", [("", "ann@example.org")]),
        ("Ann <mailto:ann@example.org>", [ANN]),
        ("Ann [mailto:ann@example.org]", [ANN]),
        ("'Ann' <'ann@example.org'>", [ANN]),
        ("Ann <@relay.example,@other.example:ann@example.org>", [ANN]),
        ("Ann <ann @ example . org>", [ANN]),
        ("ann @ example.org", [("", "ann@example.org")]),
        ('"ann smith"@example.org', [("", '"ann smith"@example.org')]),
        ("Ann < ann(c)@example.org >", [ANN]),
        ('"Ann via list" <list@example.org>', [("Ann via list", "list@example.org")]),
        ("=?utf-8?q?Doe=2C_Ann?= <ann@example.org>", [("Doe, Ann", "ann@example.org")]),
        ("=?utf-8?q?A?= =?utf-8?q?nn?= <ann@example.org>", [ANN]),
        ('"=?utf-8?q?Ann?=" <ann@example.org>', [ANN]),
        ("=?utf-8?q?Doe,_Ann?= <ann@example.org>", [("Doe, Ann", "ann@example.org")]),
        ("=?utf-8?q?Ann_=3Cann=40example=2Eorg=3E?=", [ANN]),
        ("ann@example.org (=?utf-8?q?=C3=84nn?=)", [("Änn", "ann@example.org")]),
        ("Jürgen <jürgen@exämple.example>", [("Jürgen", "jürgen@exämple.example")]),
        ("Ann @ Home <ann@example.org>", [("Ann @ Home", "ann@example.org")]),
        ("Ann </O=EXAMPLE/OU=A/CN=ann>", [("Ann", "/O=EXAMPLE/OU=A/CN=ann")]),
        ("root", [("root", "")]),
        ("Ann <Ann <ann@example.org>>", [ANN]),
        ("\"'Ann'\" <ann@example.org>", [ANN]),
        ("'Ann' via Plans <plans@example.org>", [("'Ann' via Plans", "plans@example.org")]),
        ("ann@example.org <ann@example.org>", [("", "ann@example.org")]),
        ("\"'ann@example.org'\" <ann@example.org>", [("", "ann@example.org")]),
        ("Ann [SMTP:ann@example.org]", [ANN]),
        ("ann@example.org bob@example.net", [("", "ann@example.org"), BOB]),
        ("Ann ann@example.org; bob@example.net", [ANN, BOB]),
        (
            "Foo <foo@example.org> on behalf of Bar <bar@example.net>",
            [("Foo", "foo@example.org"), ("on behalf of Bar", "bar@example.net")],
        ),
        ("ann at example.org (Ann)", [("Ann", "ann at example.org")]),
        ("Ann <ann at example.org>", [("Ann", "ann at example.org")]),
        ("Ann Lee/Sales/Example@Example", [("Ann Lee/Sales/Example@Example", "")]),
        ("/O=EXAMPLE/OU=A/CN=RECIPIENTS/CN=ann", [("/O=EXAMPLE/OU=A/CN=RECIPIENTS/CN=ann", "")]),
        (r'"a\"b <c>"@example.org', [("", r'"a\"b <c>"@example.org')]),
        (r'Ann <"a\"b <c>(d)"@example.org>', [("Ann", r'"a\"b <c>(d)"@example.org')]),
        (
            "Lee, Ann <ann@example.org>; Ray, Bob <bob@example.net>",
            [("Lee, Ann", "ann@example.org"), ("Ray, Bob", "bob@example.net")],
        ),
        ("<>", []),
        (" , ;, ", []),
        ("", []),
    ],
)
def test_forms(value: str, boxes: list[tuple[str, str]]) -> None:
    assert seen(value) == boxes


def test_groups() -> None:
    found = addresses("Team: Ann <ann@example.org>, bob@example.net;, nobody:;, eve@example.com")
    assert [(one.address, one.group) for one in found] == [
        ("ann@example.org", "Team"), ("bob@example.net", "Team"), ("", "nobody"), ("eve@example.com", ""),
    ]  # fmt: skip
    assert [one.group for one in addresses("undisclosed-recipients:;")] == ["undisclosed-recipients"]
    assert [one.group for one in addresses("undisclosed-recipients:")] == ["undisclosed-recipients"]


@pytest.mark.parametrize(
    ("written", "joined"),
    [
        ("Ann@Example.ORG", "Ann@example.org"),
        ("ann@example.org.", "ann@example.org"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("ann@bücher。example", "ann@xn--bcher-kva.example"),
        ("ann@straße.example", "ann@xn--strae-oqa.example"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@ΟΔΟΣ.example", "ann@xn--pxavbq.example"),
        ("ann@bü\u00adch\u200ber.example", "ann@xn--bcher-kva.example"),
        ("ann@ｅｘａｍｐｌｅ．ｏｒｇ", "ann@example.org"),
        ("ann at example.org", "ann@example.org"),
        ('"ann smith"@example.org', '"ann smith"@example.org'),
        ("a@b@example.org", "a@b@example.org"),
        ("ann", ""), ("@example.org", ""), ("ann@", ""), ("ann smith@example.org", ""), ("ann@exam ple.org", ""),
        ("/O=EXAMPLE/CN=ann", ""), ("", ""), ("a" * 2000 + "@example.org", ""), ("ann@" + "ü" * 300, ""), ("ann@ü" + "a" * 70, ""),
    ],
)  # fmt: skip
def test_key(written: str, joined: str) -> None:
    assert key(written) == joined
    assert key(joined) == joined


@given(
    st.text(st.characters(min_codepoint=0xE0, max_codepoint=0x24F, categories=("Ll", "Lu")), min_size=1, max_size=10)
)
def test_a_domain_in_letters_and_in_its_a_label_is_one(label: str) -> None:
    """What the standard library's codec (IDNA 2003) makes of it, for letters that IDNA 2008 maps alike."""
    try:
        coded = f"{label}.example".encode("idna").decode()
    except UnicodeError:
        return
    if coded.startswith("xn--"):
        assert key(f"ann@{label}.example") == f"ann@{coded}" == key(f"ann@{coded.upper()}")


def test_folded() -> None:
    assert folded(key("Ann.Smith@Example.ORG")) == "ann.smith@example.org"


NAME = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Zs", "Cs"), exclude_characters="'=<"),
    min_size=1,
    max_size=20,
)
LOCAL = st.text("abcXYZ019.!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=12).filter(
    lambda t: t[0] not in "'`" and t[-1] not in "'`"
)
DOMAIN = st.text("abcXYZ019-", min_size=1, max_size=12).map(lambda t: f"d{t}.example")


@given(st.lists(st.tuples(NAME, LOCAL, DOMAIN), min_size=1, max_size=5))
def test_quoted_names_and_addresses_come_back(boxes: list[tuple[str, str, str]]) -> None:
    written = [(re.sub(r'(["\\])', r"\\\1", name), f"{local}@{domain}") for name, local, domain in boxes]
    value = ", ".join(f'"{name}" <{box}>' for name, box in written)
    assert seen(value) == [(name, f"{local}@{domain}") for name, local, domain in boxes]


@given(st.text(max_size=200))
@example("<" * 50)
@example("a:b:c;;:")
@example("\x85@\x85")
@example("a@\u00af")
@example("a@\uff20")
def test_no_text_raises(value: str) -> None:
    for one in addresses(value):
        assert one.key == key(one.address)
        assert key(one.key) == one.key


@given(
    st.lists(
        st.sampled_from(
            [
                "Ann ",
                "<ann@example.org>",
                '"',
                "\\",
                "(",
                ")",
                "<",
                ">",
                ",",
                ";",
                ":",
                "@",
                "=?utf-8?q?x?=",
                " ",
                "b@example.net",
                "[mailto:",
                "]",
            ]
        ),
        max_size=25,
    )
)
def test_no_mixture_of_marks_raises(tokens: list[str]) -> None:
    addresses("".join(tokens))


def test_recipients_are_limited() -> None:
    value = ", ".join(f'"N, {i}" <u{i}@example.com>' for i in range(address.RECIPIENTS + 50))
    assert len(addresses(value)) == address.RECIPIENTS
    assert len(addresses(value, 3)) == 3
    assert len(addresses("x y z;" * 10, 3)) == 3


@pytest.mark.parametrize(
    "unit",
    ["(", '"', "<", "[", "\\", "=?a?q?", "=?a?q?b ", "a@", ",", ":", ";", '"(', "<a@", "(a)", '" <a@b>, ', " ", "[mailto:", '\\"', '"\\', "a,", "=?a?q?b?=", "@", "<>",
     "a b ", "a: ", "()", ">", "a@b (", "'"],
)  # fmt: skip
def test_linear(unit: str) -> None:
    linear(addresses, lambda n: unit * n + " x@example.org", 8_000 // len(unit))
