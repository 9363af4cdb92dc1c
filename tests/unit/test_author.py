"""Who wrote, as each list software and each client on behalf hides it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.identity import identify
from mailloom.mail.parse import message, parse
from mailloom.mail.parts.mime import scan
from mailloom.mail.people.author import authors, behalf, written_by
from mailloom.schema import dump_record, load_record
from mailloom.thread.evidence import evidence
from mailloom.thread.keys import short_hash

LIST = "List-Id: Plans <plans.lists.example.org>\n"


def wrote(head: str) -> list[tuple[str, str]]:
    return [(one.name, one.address) for one in parse(f"{head}Subject: x\n\nHello\n".encode()).author]


@pytest.mark.parametrize(
    ("head", "who"),
    [
        # The usual mail, and the usual list
        ("From: Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        (LIST + "From: Ann Lee <ann@example.org>\nSender: plans-bounces@lists.example.org\n", [("Ann Lee", "ann@example.org")]),
        ("", []),
        # Mailman 2 and 3 ("munge from"): the author in Reply-To
        (LIST + "From: Ann Lee via Plans <plans@lists.example.org>\nReply-To: Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        (LIST + 'From: "Lee, Ann via Plans" <plans@lists.example.org>\nReply-To: Ann Lee <ann@example.org>\n', [("Ann Lee", "ann@example.org")]),
        (LIST + "From: Ann Lee via Plans <plans@lists.example.org>\nReply-To: ann@example.org\n", [("Ann Lee", "ann@example.org")]),
        (LIST + "From: Ann Lee via Plans <plans@lists.example.org>\nReply-To: Plans <plans@lists.example.org>, Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        # ... or in Cc, where answers go to the list
        (LIST + "From: Ann Lee via Plans <plans@lists.example.org>\nReply-To: plans@lists.example.org\nCc: Bob <bob@example.net>, Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        # ... or nowhere
        (LIST + "From: Ann Lee via Plans <plans@lists.example.org>\nReply-To: Plans <plans@lists.example.org>\nCc: Bob <bob@example.net>\n", [("Ann Lee", "")]),
        # Other languages of list software
        (LIST + "From: Ann Lee über Plans <plans@lists.example.org>\nReply-To: Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        # Google Groups
        (LIST + "From: \"'Ann Lee' via Plans\" <plans@example.com>\nX-Original-Sender: ann@example.org\nX-Original-From: Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        (LIST + "From: \"'ann@example.org' via Plans\" <plans@example.com>\nX-Original-Sender: ann@example.org\n", [("", "ann@example.org")]),
        # Sympa
        (LIST + 'From: "Ann Lee (via plans Mailing List)" <plans@lists.example.org>\nX-Original-From: Ann Lee <ann@example.org>\n', [("Ann Lee", "ann@example.org")]),
        # groups.io, the IETF
        (LIST + "From: Ann Lee via groups.io <ann=example.org@groups.io>\n", [("Ann Lee", "ann@example.org")]),
        (LIST + "From: Ann Lee <ann=40example.org@dmarc.ietf.org>\n", [("Ann Lee", "ann@example.org")]),
        # LISTSERV
        ("From: Ann Lee <0000012ab34c-dmarc-request@listserv.example.edu>\nReply-To: Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        ("From: Ann Lee <0000012ab34c-dmarc-request@listserv.example.edu>\nReply-To: Plans <plans@listserv.example.edu>\n", [("Ann Lee", "")]),
        # Gmail, sending for an address that it doesn't know
        ("From: ann.private@gmail.com\nX-Google-Original-From: Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        # A service, and forwarders, are no lists
        ("From: Ann Lee via Example Sign <sign@example.com>\nReply-To: Ann Lee <ann@example.org>\n", [("Ann Lee via Example Sign", "sign@example.com")]),
        ("From: Ann Lee <ann@example.org>\nX-Original-From: Bob <bob@example.net>\n", [("Ann Lee", "ann@example.org")]),
        (LIST + "From: Ann Lee <ann@example.org>\nX-Original-Sender: list@example.net\n", [("Ann Lee", "ann@example.org")]),
        (LIST + "From: Viatrix Lee <v@example.org>\nReply-To: plans@lists.example.org\n", [("Viatrix Lee", "v@example.org")]),
        # On behalf: Sender sent, From wrote (RFC 5322 section 3.6.2)
        ("From: Ann Lee <ann@example.org>\nSender: Bob <bob@example.net>\n", [("Ann Lee", "ann@example.org")]),
        ("From: Bob <bob@example.net> on behalf of Ann Lee <ann@example.org>\n", [("Ann Lee", "ann@example.org")]),
        ('From: "Bob on behalf of Ann Lee" <ann@example.org>\n', [("Ann Lee", "ann@example.org")]),
        ('From: "Bob im Auftrag von Ann Lee" <ann@example.org>\n', [("Ann Lee", "ann@example.org")]),
        ("From: 株式会社 代表取締役 <ann@example.org>\n", [("株式会社 代表取締役", "ann@example.org")]),
        # Several authors (RFC 5322 section 3.6.2)
        ("From: Ann <ann@example.org>, Bob <bob@example.net>\nSender: Ann <ann@example.org>\n", [("Ann", "ann@example.org"), ("Bob", "bob@example.net")]),
    ],
)  # fmt: skip
def test_each_list_and_client(head: str, who: list[tuple[str, str]]) -> None:
    assert wrote(head) == who


def test_an_author_is_a_person_of_the_thread_and_stays_in_the_record() -> None:
    raw = (
        LIST + "From: Ann via Plans <plans@lists.example.org>\nReply-To: Ann <ann@example.org>\nSubject: x\n\nx\n"
    ).encode()
    mime = scan(raw)
    record = identify(mime, message(mime))
    again = load_record(dump_record(record))
    assert [one.key for one in again.message.author] == ["ann@example.org"]
    people = evidence(record).people
    assert people[0] == short_hash("person", "ann@example.org"), "who wrote it, not the list"
    assert len(people) == len({"ann", "the list by its id", "the list by its address"})
    plain = raw.replace(b" via Plans", b"")
    mime = scan(plain)
    record = identify(mime, message(mime))
    assert b'"author":[]' in dump_record(record)
    assert load_record(dump_record(record)).message.author == record.message.from_


def test_copies_that_tell_different_authors_are_different_messages() -> None:
    """A record shows only what its content hash covers."""
    head = LIST + "From: Ann via Plans <plans@lists.example.org>\nMessage-ID: <1@example.org>\n{}\nx\n"
    hashes = set()
    for field in ("", "X-Original-From: Ann <ann@example.org>\n", "X-Original-From: Ann <ann@example.net>\n"):
        mime = scan(head.format(field).encode())
        hashes.add(identify(mime, message(mime)).content_hash)
    assert len(hashes) == 3


NAMES = st.text(st.sampled_from("ab ('\"via on behalf of über\0,;<>@="), max_size=40)


@given(
    NAMES,
    st.sampled_from(["x@example.org", "x=example.org@example.net", "0011223344-dmarc-request@example.org"]),
    NAMES,
)
def test_no_name_raises(name: str, address: str, other: str) -> None:
    head = f"From: {name} <{address}>\nReply-To: {other}\nList-Id: <l.example.org>\nX-Original-From: {other}\n\n"
    one = parse(head.encode())
    assert bool(one.author) == bool(one.from_)
    assert authors((), (), (), {}) == ()
    written_by(name)
    assert len(behalf(one.from_)) <= len(one.from_)
