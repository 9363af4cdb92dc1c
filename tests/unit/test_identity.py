"""What a message is called: ids in the order of dates, one id for all copies, one base subject for all clients' prefixes."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.identity import FIRST_MS, LAST_MS, REPLY, base_subject, identify, message_id
from mailloom.mail.model import Date, Record
from mailloom.mail.parse import message
from mailloom.mail.parts.mime import scan
from mailloom.schema import parse_id, text_id

hashes = st.binary(min_size=32, max_size=32)
times = st.integers(FIRST_MS, LAST_MS - 1)
any_times = st.one_of(st.none(), st.integers(-(1 << 62), 1 << 62))


def at(ms: int | None) -> Date:
    return Date(ms, None, "")


# ------------------------------------------------------------------------------------------------ ids
@given(ms=any_times, content=hashes)
def test_an_id_is_a_uuid_of_version_8(ms: int | None, content: bytes) -> None:
    """RFC 9562 section 5.8: version 8 in bits 48-51, variant 10 in bits 64-65."""
    uuid = UUID(bytes=message_id(at(ms), content))
    assert (uuid.version, uuid.variant) == (8, RFC_4122)


@given(ms=times, content=hashes)
def test_an_id_begins_with_its_date(ms: int, content: bytes) -> None:
    assert int.from_bytes(message_id(at(ms), content)[:6], "big") == ms


@given(first=times, second=times, one=hashes, two=hashes)
def test_ids_sort_by_date(first: int, second: int, one: bytes, two: bytes) -> None:
    early, late = sorted([first, second])
    if early < late:
        assert message_id(at(early), one) < message_id(at(late), two)


@pytest.mark.parametrize("ms", [None, -1, 0, FIRST_MS - 1, LAST_MS, 1 << 48, 1 << 80])
@given(content=hashes, other=hashes)
def test_what_has_no_date_that_can_be_sorts_behind_everything(ms: int | None, content: bytes, other: bytes) -> None:
    assert message_id(at(ms), content) > message_id(at(LAST_MS - 1), other)


@given(ms=any_times, content=hashes, bit=st.integers(0, 73))
def test_74_bits_of_the_content_tell_ids_apart(ms: int | None, content: bytes, bit: int) -> None:
    changed = (int.from_bytes(content, "big") ^ 1 << (255 - 6 - bit)).to_bytes(32, "big")
    assert message_id(at(ms), content) != message_id(at(ms), changed)


# ------------------------------------------------------------------------------------------------ copies, twins, other mail
MAIL = b"""Received: from a by b; Tue, 4 Jun 2024 10:00:01 +0000
From: Ann <ann@example.org>
To: Bob <bob@example.net>
Subject: lunch
Date: Tue, 4 Jun 2024 10:00:00 +0000
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=x

--x
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Caf=C3=A9 at noon?

--x
Content-Type: application/pdf; name=menu.pdf
Content-Transfer-Encoding: base64

JVBERi0x

--x--
"""


def record(raw: bytes) -> Record:
    mime = scan(raw)
    return identify(mime, message(mime))


def changed(old: bytes, new: bytes) -> Record:
    assert MAIL.count(old) == 1
    return record(MAIL.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Received: from a by b", b"Received: from c by d"),
        (b"Received: from a", b"Delivered-To: bob@example.net\nReceived: from a"),
        (b"Received: from a", b"Bcc: carl@example.com\nReceived: from a"),
        (b"Received: from a", b"X-Keywords: seen\nStatus: RO\nReceived: from a"),
        (b"Received: from a", b"Return-Path: <ann@example.org>\nReceived: from a"),
        (b"Subject: lunch\nDate", b"Subject:  lunch\nDate"),
        (
            b"Subject: lunch\nDate: Tue, 4 Jun 2024 10:00:00 +0000\n",
            b"Date: Tue, 4 Jun 2024 10:00:00 +0000\nSubject: lunch\n",
        ),
        (b"JVBERi0x", b"JVBE\nRi0x"),
        (b"Caf=C3=A9 at", b"Caf=C3=A9=20at"),
    ],
)
def test_a_copy_has_the_same_id(old: bytes, new: bytes) -> None:
    assert changed(old, new).id == record(MAIL).id


def test_a_copy_with_other_line_ends_has_the_same_id() -> None:
    assert record(MAIL.replace(b"\n", b"\r\n")).id == record(MAIL).id


def test_what_a_copy_adds_is_no_part_of_the_hashes() -> None:
    one, two = record(MAIL), changed(b"Received: from a by b", b"Received: from c by d")
    assert (one.content_hash, one.twin, one.base_subject) == (two.content_hash, two.twin, two.base_subject)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Subject: lunch", b"Subject: dinner"),
        (b"From: Ann", b"From: Anna"),
        (b"To: Bob <bob@example.net>", b"To: Bob <bob@example.com>"),
        (b"10:00:00", b"10:00:01"),
        (b"at noon", b"at one"),
        (b"JVBERi0x", b"JVBERi0y"),
        (b"menu.pdf", b"card.pdf"),
        (b"application/pdf", b"application/x-pdf"),
    ],
)
def test_other_content_has_another_id_and_is_no_twin(old: bytes, new: bytes) -> None:
    one, two = record(MAIL), changed(old, new)
    assert one.id != two.id
    assert one.twin != two.twin


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<1@example.org>", b"<2@example.org>"),
        (b"Message-ID:", b"In-Reply-To: <0@example.org>\nMessage-ID:"),
        (b"Message-ID:", b"References: <0@example.org>\nMessage-ID:"),
        (b"Message-ID:", b"Thread-Index: AQHZEjRWeAABAgMEBQYHCAkKCwwNDg8=\nMessage-ID:"),
    ],
)
def test_other_ids_make_a_twin(old: bytes, new: bytes) -> None:
    one, two = record(MAIL), changed(old, new)
    assert one.id != two.id
    assert one.twin == two.twin


# ------------------------------------------------------------------------------------------------ base subjects
LUNCH = [
    "lunch",
    "Lunch",
    "  lunch ",
    "Re: lunch",
    "RE: lunch",
    "re:lunch",
    "Re : lunch",
    "Re:Re: RE: lunch",
    "Re[2]: lunch",
    "Re(3): lunch",
    "Re^4: lunch",
    "Re*2: lunch",
    "Re2: lunch",
    "Fwd: lunch",
    "FW: lunch",
    "Fwd: Re: lunch",
    "lunch (fwd)",
    "Re: lunch (fwd) (fwd)",
    "lunch (was: dinner)",
    "lunch (was: Re: dinner)",
    "(fwd) lunch",
    "[eat] lunch",
    "[eat] Re: lunch",
    "Re: [eat] lunch",
    "Re: [eat] Re: [eat] [all] lunch",
    "[PATCH 1/2] lunch",
    "AW: lunch",
    "Antwort: lunch",
    "WG: lunch",
    "AW: WG: Re: AW: lunch",
    "SV: lunch",
    "VS: lunch",
    "VB: lunch",
    "Antw: lunch",
    "Doorst: lunch",
    "Réf: lunch",
    "RÉF : lunch",
    "TR: lunch",
    "RIF: lunch",
    "RES: lunch",
    "RV: lunch",
    "ENC: lunch",
    "Odp: lunch",
    "PD: lunch",
    "YNT: lunch",
    "İLT: lunch",
    "VÁ: lunch",
    "Továbbítás: lunch",
    "BLS: lunch",
    "ΑΠ: lunch",
    "ΣΧΕΤ: lunch",
    "ΠΡΘ: lunch",
    "Отв: lunch",
    "На: lunch",
    "Пересл: lunch",
    "回复: lunch",
    "回复：lunch",
    "答复: lunch",
    "回覆: lunch",
    "转发: lunch",
    "返信: lunch",
    "転送: lunch",
    "답장: lunch",
    "회신: lunch",
    "전달: lunch",
    "השב: lunch",
    "הועבר: lunch",
    "رد: lunch",
    "إعادة توجيه: lunch",
]


@pytest.mark.parametrize("subject", LUNCH)
def test_every_clients_prefixes_and_tags_lead_to_one_base_subject(subject: str) -> None:
    assert base_subject(subject) == "lunch"


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("", ""),
        ("Re:", ""),
        ("[eat]", "[eat]"),
        ("Re: [eat]", "[eat]"),
        ("Regarding: lunch", "regarding: lunch"),
        ("Note: lunch", "note: lunch"),
        ("lunch [urgent]", "lunch [urgent]"),
        ("lunch (for two)", "lunch (for two)"),
        ("lunch: re: dinner", "lunch: re: dinner"),
        ("ЗАВТРА обед", "завтра обед"),
        ("Straße", "strasse"),
        ("two\n words\t here", "two words here"),
    ],
)
def test_what_is_no_prefix_stays(subject: str, base: str) -> None:
    assert base_subject(subject) == base


@pytest.mark.parametrize(
    ("subject", "is_reply"),
    [
        ("Re: x", True),
        ("[list] AW: x", True),
        ("回复：x", True),
        ("Re[2]: x", True),
        ("x", False),
        ("[list] x", False),
        ("Regarding: x", False),
    ],
)
def test_a_reply_is_told_from_a_beginning(subject: str, is_reply: bool) -> None:
    assert bool(REPLY.match(subject)) == is_reply


@given(
    subject=st.text(max_size=80), prefix=st.sampled_from(["Re: ", "AW: ", "Fwd: ", "[list] Re: ", "回复：", "Re[3]: "])
)
def test_any_subject_keeps_its_base_when_answered(subject: str, prefix: str) -> None:
    if base_subject(subject):
        assert base_subject(prefix + subject) == base_subject(subject)


@given(subject=st.text(alphabet="reRE:[]() \tfwdawx\u0130\u00df", max_size=60))
def test_the_base_of_a_base_is_itself(subject: str) -> None:
    base = base_subject(subject)
    assert base_subject(base) == base


def test_a_ping_pong_of_two_clients_ends() -> None:
    assert base_subject("AW: RE: " * 20 + "lunch") == "lunch"


@pytest.mark.parametrize("piece", ["re: ", "[a] ", "[", "(was: ", "(fwd) ", " ", "re[", "(", "re^1", "İ"])
def test_a_hostile_subject_costs_little(piece: str) -> None:
    """A megabyte of anything is cut before it is looked at, so this ends at once."""
    assert len(base_subject(piece * 200_000)) <= 2_000


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_written_as_a_uuid(one: bytes) -> None:
    assert text_id(one) == str(UUID(bytes=one))
    assert parse_id(text_id(one)) == one
