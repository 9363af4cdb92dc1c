"""What an address is: valid or not, and the other names of its mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.parse import parse
from mailloom.mail.people.address import key
from mailloom.mail.people.mailbox import identities, valid


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org", "a+b@example.org", "ann.lee@example", "!#$%&'*+-/=?^_`{|}~@example.org", '"ann lee"@example.org', r'"a\"b"@example.org', '""@example.org',
        "ann@[192.0.2.1]", "ann@[IPv6:2001:db8::1]", "ann@[IPv6:2001:db8:1:2:3:4:5:6]", "ann@[IPv6:::ffff:192.0.2.1]", "jürgen@bücher.example",
        "ann@xn--bcher-kva.example", "ann@a-b.example", "ann@1.example", "a" * 64 + "@example.org", "用户@例子.example",
    ],
)  # fmt: skip
def test_valid(address: str) -> None:
    assert valid(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "ann", "@example.org", "ann@", "ann@.example", "ann@example.", "ann@exam ple.org", "ann lee@example.org", ".ann@example.org", "ann.@example.org",
        "a..b@example.org", "ann@-a.example", "ann@a-.example", "ann@a_b.example", "ann(c)@example.org", "ann@[192.0.2]", "ann@[192.0.2.256]", "ann@[IPv6:1::2::3]",
        "ann@[IPv6:1:2:3:4:5:6:7]", "ann@[IPv6:1:2:3:4:5:6::8]", "ann@[x:y]", "a" * 65 + "@example.org", "ü" * 33 + "@example.org", "ann@" + "a" * 64 + ".example",
        "ann@" + ".".join(["a" * 60] * 5), "a@b@example.org", "/O=EXAMPLE/CN=ann", "ann@xn--example", "ann@example.org\n", '"a"b@example.org', '"a@example.org', "ann at example.org",
    ],
)  # fmt: skip
def test_not_valid(address: str) -> None:
    assert not valid(address)


def test_a_field_with_an_address_that_mail_cannot_be_sent_to_has_a_problem() -> None:
    one = parse(b"From: Ann <ann@example.org>\nTo: a..b@example.org, bob@example.net\n\nx")
    assert [(p.kind, p.where, p.detail) for p in one.problems] == [("address not valid", "to", "a..b@example.org")]


@pytest.mark.parametrize(
    ("address", "further"),
    [
        ("ann@example.org", []),
        ("Ann@Example.org", [("folded", "ann@example.org")]),
        ("ann+lists@example.org", [("tagged", "ann@example.org")]),
        ("Ann.Lee+x@gmail.com", [("folded", "ann.lee+x@gmail.com"), ("provider", "annlee@gmail.com")]),
        ("annlee@googlemail.com", [("provider", "annlee@gmail.com")]),
        ("ann_lee@protonmail.com", [("provider", "annlee@proton.me")]),
        ("ann@me.com", [("provider", "ann@icloud.com")]),
        ("+x@gmail.com", []),
        ("+x@example.org", []),
        ('"a+b"@example.org', []),
        ("SRS0=ab1c=de=example.org=ann@relay.example", [("folded", "srs0=ab1c=de=example.org=ann@relay.example"), ("sender", "ann@example.org")]),
        ("srs1=xy=fwd.example==ab=de=example.org=ann@relay.example", [("sender", "ann@example.org")]),
        ("prvs=1234567890=ann@example.org", [("sender", "ann@example.org")]),
        ("btv1==12345==ann@example.org", [("sender", "ann@example.org")]),
        ("/O=EX/OU=A/CN=RECIPIENTS/CN=ANN", [("exchange", "/o=ex/ou=a/cn=recipients/cn=ann")]),
        ("imceaex-_o=EX_OU=A_CN=RECIPIENTS_CN=ann+20lee@example.org", [("exchange", "/o=ex/ou=a/cn=recipients/cn=ann lee")]),
        ("", []),
        ("ann", []),
    ],
)  # fmt: skip
def test_identities(address: str, further: list[tuple[str, str]]) -> None:
    found = [(one.kind, one.key) for one in identities(address)]
    assert [one for one in found if one[0] != "folded" or one in further] == further


@given(st.text(max_size=60), st.sampled_from(["@gmail.com", "@example.org", "@googlemail.com", "", "@proton.me"]))
def test_further_keys_are_keys_and_not_their_own(text: str, domain: str) -> None:
    address = text + domain
    valid(address)
    found = identities(address)
    assert key(address) not in {one.key for one in found}
    assert len({one.key for one in found}) == len(found)
    for one in found:
        assert one.key
        assert one.kind == "exchange" or key(one.key) == one.key


@pytest.mark.parametrize("unit", ["a.", "a=", "srs0=", "prvs=", "+20", ".", "[", "::", "a+", '"'])
def test_long_addresses_cost_no_more_than_their_length(unit: str) -> None:
    for address in (unit * 20_000 + "@example.org", "ann@" + unit * 20_000):
        valid(address)
        identities(address)
