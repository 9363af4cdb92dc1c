"""What a mail states of its thread: which ids count, what a Thread-Index says, which clues it owns and asks for."""

from __future__ import annotations

from base64 import b64encode

import pytest

from mailloom.mail.identity import identify
from mailloom.mail.parse import message
from mailloom.mail.parts.mime import scan
from mailloom.ports import KeyItem, Link, Stated
from mailloom.thread.decide import is_asking
from mailloom.thread.evidence import FIRST_REFERENCES, LAST_REFERENCES, MAX_PEOPLE, evidence
from mailloom.thread.index import guid as guid_of
from mailloom.thread.keys import clean_id, key_name, short_hash

GUID = bytes(range(16, 32))
HEAD = b"\x01" + b"\xd9\x12\x34\x56\x78" + GUID


def of(*fields: str, body: str = "Hello.\n") -> Stated:
    """What a mail with these header fields states; From, To and Date are there unless given."""
    given = {field.partition(":")[0].lower() for field in fields}
    usual = ["From: Ann <ann@example.org>", "To: bob@example.net", "Date: Tue, 4 Jun 2024 10:00:00 +0000"]
    head = [*fields, *(field for field in usual if field.partition(":")[0].lower() not in given)]
    mime = scan(("\n".join(head) + "\n\n" + body).encode())
    return evidence(identify(mime, message(mime)))


def hard(stated: Stated) -> list[tuple[str, str]]:
    """(kind, id) of the links that are ids."""
    return [(link.kind, link.detail) for link in stated.links if link.kind not in {"twin", "thread-index"}]


# ------------------------------------------------------------------------------------------------ ids
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1234@example.org", "1234@example.org"),
        ("12 34@exam\tple.org", "1234@example.org"),
        ("<1234@example.org>", "1234@example.org"),
        ("MixedCase@Example.org", "MixedCase@Example.org"),
        ("no-at-sign", "no-at-sign"),
        ("", ""),
        ("y", ""),
        ("n", ""),
        ("a@b", ""),
        ("a@b.c", "a@b.c"),
        ("<   >", ""),
        ("x" * 998, "x" * 998),
        ("x" * 999, ""),
    ],
)
def test_an_id_is_cleaned_or_dropped(written: str, kept: str) -> None:
    assert clean_id(written) == kept


@pytest.mark.parametrize("field", ["From", "To", "Cc"])
def test_an_address_of_the_mails_people_is_no_id(field: str) -> None:
    stated = of("Message-ID: <own@example.org>", f"{field}: Carl <carl@example.org>", "In-Reply-To: <CARL@example.org>")
    assert hard(stated) == [("message-id", "own@example.org")]


def test_a_mail_does_not_cite_itself() -> None:
    stated = of("Message-ID: <own@example.org>", "In-Reply-To: <own@example.org>", "References: <own@example.org>")
    assert hard(stated) == [("message-id", "own@example.org")]


def test_a_mail_owns_its_id_and_cites_the_others() -> None:
    stated = of(
        "Message-ID: <own@example.org>",
        "In-Reply-To: <parent@example.org>",
        "References: <root@example.org>\n <mid@example.org>",
    )
    links = {link.detail: link for link in stated.links}
    assert links["own@example.org"] == Link("message-id", key_name("id", "own@example.org"), True, "own@example.org")
    assert links["parent@example.org"] == Link(
        "in-reply-to", key_name("id", "parent@example.org"), False, "parent@example.org"
    )
    assert [link.detail for link in stated.links if link.kind == "references"] == [
        "root@example.org",
        "mid@example.org",
    ]


def test_one_id_is_one_key_wherever_it_stands() -> None:
    owner, citer = of("Message-ID: <a.b@example.org>"), of("References: <a. b@example.org>")
    assert owner.links[0].key in {link.key for link in citer.links}


def test_of_very_many_references_the_first_and_the_last_are_kept() -> None:
    ids = [f"{n:05}@example.org" for n in range(300)]
    cited = [i for kind, i in hard(of("References: " + "\n ".join(f"<{i}>" for i in ids))) if kind == "references"]
    assert len(cited) == FIRST_REFERENCES + LAST_REFERENCES
    assert cited == ids[:FIRST_REFERENCES] + ids[-LAST_REFERENCES:]


@pytest.mark.parametrize(
    "garbled",
    [
        "Your message of Tue, 3 Sep 2024 10:00:00 GMT <parent-1@example.org>",
        "parent-1@example.org",
        'Message from Ann <ann@example.org> of "Tue, 3 Sep" <parent-1@example.org>',
    ],
)
def test_an_id_inside_a_garbled_in_reply_to_is_found(garbled: str) -> None:
    assert hard(of(f"In-Reply-To: {garbled}")) == [("in-reply-to", "parent-1@example.org")]


def test_a_mail_without_any_id_still_states_its_content() -> None:
    assert [link.kind for link in of().links] == ["twin"]


# ------------------------------------------------------------------------------------------------ Thread-Index
@pytest.mark.parametrize(
    ("index", "guid"),
    [
        (HEAD, GUID),
        (HEAD + b"12345", GUID),
        (HEAD + b"12345" * 20, GUID),
        (HEAD[:21], b""),
        (b"", b""),
        (b"\x02" + HEAD[1:], b""),
        (HEAD[:6] + bytes(16), b""),
    ],
)
def test_a_thread_index_names_a_guid_or_nothing(index: bytes, guid: bytes) -> None:
    assert guid_of(index) == guid


@pytest.mark.parametrize(("more", "owns"), [(b"", True), (b"12345", False), (b"1234567890", False)])
def test_the_bare_guid_owns_it_and_replies_cite_it(more: bytes, owns: bool) -> None:
    stated = of("Thread-Index: " + b64encode(HEAD + more).decode())
    assert [(link.key, link.owns) for link in stated.links if link.kind == "thread-index"] == [
        (key_name("guid", GUID), owns)
    ]


# ------------------------------------------------------------------------------------------------ twins
def test_twins_share_a_key_and_other_mail_does_not() -> None:
    one, two, other = of("Message-ID: <a1@example.org>"), of("Message-ID: <b2@example.org>"), of("Subject: else")
    assert one.message != two.message
    assert one.links[-1] == two.links[-1]
    assert one.links[-1].key != other.links[-1].key


# ------------------------------------------------------------------------------------------------ people and clues
def test_the_sender_comes_first_among_the_people() -> None:
    stated = of("From: Ann <ann@example.org>", "To: bob@example.net, ann@EXAMPLE.org", "Cc: carl@example.com")
    people = ["ann@example.org", "bob@example.net", "carl@example.com"]
    assert stated.people == tuple(short_hash("person", who) for who in people)


def test_a_mail_without_a_sender_is_not_taken_for_its_recipients() -> None:
    """Else an id that one robot's mail cites would seem to be cited by as many senders as it has recipients."""
    one, two = of("From: ", "To: bob@example.net"), of("From: ", "To: carl@example.com")
    assert one.people[0] == two.people[0]


def test_an_announcement_to_very_many_keeps_some_people() -> None:
    assert len(of("To: " + ",\n ".join(f"p{n}@example.org" for n in range(500))).people) == MAX_PEOPLE


def test_a_reply_asks_while_nobody_owns_what_it_cites() -> None:
    reply = of("Subject: Re: Lunch tomorrow", "In-Reply-To: <parent@example.org>")
    parent = key_name("id", "parent@example.org")
    assert is_asking(reply, {})
    assert is_asking(reply, {parent: KeyItem(senders=frozenset([b"ann"]), subjects=frozenset([b"s"]))})
    assert not is_asking(reply, {parent: KeyItem(owners=frozenset([b"s"]))})
    assert is_asking(reply, {parent: KeyItem(owners=frozenset([b"s", b"t"]))}), "a dead key owns nothing"
    assert not is_asking(of("Subject: Lunch tomorrow"), {}), "without a clue there is nothing to ask for"
