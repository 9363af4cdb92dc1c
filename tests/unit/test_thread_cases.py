"""The talks that trip threaders, each in every order of arrival: which mails are one conversation, and which one topic.

Every mail is written as text and goes the whole way: transform, weave, settle.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from itertools import permutations
from random import Random
from types import MappingProxyType
from typing import NamedTuple

import pytest

from mailloom.flow.transform import transform
from mailloom.mail.model import MessageId, Origin, Record
from mailloom.ports import Stated
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.batch import derive
from mailloom.thread.components import topics
from mailloom.thread.keys import MAX_CITERS, message_node
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

ALL_ORDERS = 6  # mails up to which every order is tried; of more, some


class Case(NamedTuple):
    """Mails by a short name, as header lines; `groups` says which of them belong together, `topics` which have a subject in common
    as well, where that is not the same. `bodies` are texts that differ from the usual one.
    """

    name: str
    mails: dict[str, list[str]]
    groups: list[str]
    topics: list[str] | None = None
    bodies: Mapping[str, str] = MappingProxyType({})


def index(more: bytes = b"") -> str:
    return "Thread-Index: " + b64encode(b"\x01\xd9\x12\x34\x56\x78" + bytes(range(16)) + more).decode()


ASKED = [f"Message-ID: <robot{n}@example.org>" for n in range(MAX_CITERS)]
CASES = [
    Case(
        "In-Reply-To only",
        {"a": ["Message-ID: <a@ex.org>"], "b": ["Message-ID: <b@ex.org>", "In-Reply-To: <a@ex.org>"]},
        ["a b"],
    ),
    Case(
        "a long way of References, each mail naming only its parent",
        {
            "a": ["Message-ID: <a@ex.org>"],
            "b": ["Message-ID: <b@ex.org>", "References: <a@ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "References: <b@ex.org>"],
            "d": ["Message-ID: <d@ex.org>", "References: <c@ex.org>"],
        },
        ["a b c d"],
    ),
    Case(
        "siblings of a missing parent",
        {
            "a": ["Message-ID: <a@ex.org>", "In-Reply-To: <ghost@ex.org>"],
            "b": ["Message-ID: <b@ex.org>", "References: <other@ex.org> <ghost@ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <elsewhere@ex.org>"],
        },
        ["a b", "c"],
    ),
    Case(
        "the late root",
        {
            "reply": ["Message-ID: <r@ex.org>", "In-Reply-To: <root@ex.org>", "Date: Tue, 4 Jun 2024 09:00:00 +0000"],
            "again": ["Message-ID: <s@ex.org>", "In-Reply-To: <root@ex.org>", "Date: Tue, 4 Jun 2024 09:30:00 +0000"],
            "root": ["Message-ID: <root@ex.org>", "Date: Tue, 4 Jun 2024 12:00:00 +0000"],
        },
        ["reply again root"],
    ),
    Case(
        "Outlook with a Thread-Index only",
        {
            "root": [index()],
            "reply": [index(b"12345"), "Subject: RE: x"],
            "deep": [index(b"1234567890"), "Subject: RE: x"],
            "other": ["Thread-Index: " + b64encode(b"\x01" + bytes(5) + b"\x07" * 16).decode()],
            "broken": ["Thread-Index: AAAA"],
        },
        ["root reply deep", "other", "broken"],
    ),
    Case(
        "an address where an id should be",
        {
            "a": ["Message-ID: <a@ex.org>", "To: bob@example.net", "In-Reply-To: <bob@example.net>"],
            "b": ["Message-ID: <b@ex.org>", "To: bob@example.net", "In-Reply-To: bob@example.net"],
            "c": ["Message-ID: <c@ex.org>", "Cc: bob@example.net", "References: <BOB@example.net>"],
        },
        ["a", "b", "c"],
    ),
    Case(
        "an id given to two mails",
        {
            "rent": ["Message-ID: <same@ex.org>", "Subject: rent for June"],
            "party": ["Message-ID: <same@ex.org>", "Subject: party on Friday"],
            "yes": ["Message-ID: <y@ex.org>", "In-Reply-To: <same@ex.org>", "Subject: Re: party on Friday"],
            "lost": ["Message-ID: <l@ex.org>", "In-Reply-To: <same@ex.org>", "Subject: Re: something else"],
        },
        ["rent", "party yes", "lost"],
    ),
    Case(
        "variants: one id, a list's tag added to the subject",
        {
            "a": ["Message-ID: <same@ex.org>", "Subject: rent for June"],
            "b": ["Message-ID: <same@ex.org>", "Subject: [house] rent for June", "List-Id: <house.ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <same@ex.org>", "Subject: Re: rent for June"],
        },
        ["a b c"],
    ),
    Case(
        "twins: an export has invented the ids",
        {"a": ["Message-ID: <export1@ex.org>"], "b": ["Message-ID: <export2@ex.org>"], "c": ["Subject: not the same"]},
        ["a b", "c"],
    ),
    Case(
        "a cycle of two and one of three",
        {
            "a": ["Message-ID: <a@ex.org>", "In-Reply-To: <b@ex.org>"],
            "b": ["Message-ID: <b@ex.org>", "In-Reply-To: <a@ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "References: <d@ex.org>"],
            "d": ["Message-ID: <d@ex.org>", "References: <e@ex.org>"],
            "e": ["Message-ID: <e@ex.org>", "References: <c@ex.org>"],
        },
        ["a b", "c d e"],
    ),
    Case(
        "a mail that answers itself",
        {
            "a": ["Message-ID: <a@ex.org>", "In-Reply-To: <a@ex.org>", "References: <a@ex.org>"],
            "b": ["Message-ID: <b@ex.org>"],
        },
        ["a", "b"],
    ),
    Case(
        "a bridge that joins two threads",
        {
            "a": ["Message-ID: <a@ex.org>"],
            "a2": ["Message-ID: <a2@ex.org>", "In-Reply-To: <a@ex.org>"],
            "b": ["Message-ID: <b@ex.org>"],
            "b2": ["Message-ID: <b2@ex.org>", "In-Reply-To: <b@ex.org>"],
            "bridge": ["Message-ID: <br@ex.org>", "References: <a2@ex.org> <b2@ex.org>"],
        },
        ["a a2 b b2 bridge"],
    ),
    Case(
        "References cut by a client: the middle is missing, then the front",
        {
            "root": ["Message-ID: <1@ex.org>"],
            "two": ["Message-ID: <2@ex.org>", "References: <1@ex.org>"],
            "three": ["Message-ID: <3@ex.org>", "References: <1@ex.org> <2@ex.org>"],
            "four": ["Message-ID: <4@ex.org>", "References: <1@ex.org> <3@ex.org>"],
            "five": ["Message-ID: <5@ex.org>", "References: <4@ex.org>"],
        },
        ["root two three four five"],
    ),
    Case(
        "a bogus id shared by automatic mail",
        {
            f"m{n}": [
                f"From: robot{n}@example.org",
                f"Subject: report {n} ready",
                "In-Reply-To: <0000@ex.org>",
                ASKED[n],
            ]
            for n in range(8)
        },
        [f"m{n}" for n in range(8)],
    ),
    Case(
        "a mailing with one ghost: many subjects, but one sender",
        {f"m{n}": [f"Subject: report {n} ready", "In-Reply-To: <0000@ex.org>", ASKED[n]] for n in range(8)},
        [" ".join(f"m{n}" for n in range(8))],
        [f"m{n}" for n in range(8)],
    ),
    Case(
        "the subject is edited in the same talk",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: lunch on Monday"],
            "b": [
                "Message-ID: <b@ex.org>",
                "Subject: dinner instead (was: lunch on Monday)",
                "In-Reply-To: <a@ex.org>",
            ],
            "c": ["Message-ID: <c@ex.org>", "Subject: Re: dinner instead", "In-Reply-To: <b@ex.org>"],
        },
        ["a b c"],
        ["a", "b c"],
    ),
    Case(
        "the reply button used for a new topic",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: lunch on Monday"],
            "b": ["Message-ID: <b@ex.org>", "Subject: a quite different thing", "References: <a@ex.org>"],
        },
        ["a b"],
        ["a", "b"],
    ),
    Case(
        "nothing but a subject: people that met before, and strangers",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: lunch on Monday", "From: ann@example.org", "To: bob@example.net"],
            "b": [
                "Message-ID: <b@ex.org>",
                "Subject: Re: lunch on Monday",
                "From: bob@example.net",
                "To: ann@example.org",
            ],
            "c": [
                "Message-ID: <c@ex.org>",
                "Subject: Re: lunch on Monday",
                "From: eve@example.com",
                "To: mallory@example.com",
            ],
            "d": [
                "Message-ID: <d@ex.org>",
                "Subject: lunch on Monday",
                "From: carl@example.com",
                "To: dora@example.com",
            ],
        },
        ["a b", "c", "d"],
    ),
    Case(
        "a real parent comes and the subject no longer counts",
        {
            "old": ["Message-ID: <old@ex.org>", "Subject: status report"],
            "parent": ["Message-ID: <p@ex.org>", "Subject: the real thing", "Date: Wed, 5 Jun 2024 10:00:00 +0000"],
            "reply": [
                "Message-ID: <r@ex.org>",
                "Subject: Re: status report",
                "In-Reply-To: <p@ex.org>",
                "Date: Thu, 6 Jun 2024 10:00:00 +0000",
            ],
        },
        ["old", "parent reply"],
        ["old", "parent", "reply"],
    ),
    Case(
        "a digest is a talk of its own, and brings none together",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: lunch on Monday"],
            "b": ["Message-ID: <b@ex.org>", "Subject: rent for June"],
            "c": ["Message-ID: <c@ex.org>", "Subject: Re: rent for June", "In-Reply-To: <b@ex.org>"],
            "digest": [
                "Message-ID: <d@ex.org>",
                "Subject: house Digest, Vol 3, Issue 4",
                "From: house-request@example.org",
                "Content-Type: multipart/digest; boundary=dd",
            ],
        },
        ["a", "b c", "digest"],
        bodies={
            "digest": "".join(
                f"--dd\n\nMessage-ID: <{one}@ex.org>\nSubject: {subject}\nFrom: ann@example.org\n{more}\nHello from {one}.\n\n"
                for one, subject, more in (
                    ("a", "lunch on Monday", ""),
                    ("b", "rent for June", ""),
                    ("c", "Re: rent for June", "In-Reply-To: <b@ex.org>\n"),
                )
            )
            + "--dd--\n"
        },
    ),
    Case(
        "a digest as one text, and the answer to it",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: lunch on Monday"],
            "b": ["Message-ID: <b@ex.org>", "Subject: rent for June"],
            "digest": ["Message-ID: <d@ex.org>", "Subject: house Digest, Vol 3, Issue 4", "From: house@example.org"],
            "reply": [
                "Message-ID: <r@ex.org>",
                "Subject: Re: house Digest, Vol 3, Issue 4",
                "In-Reply-To: <d@ex.org>",
            ],
        },
        ["a", "b", "digest reply"],
        bodies={
            "digest": "Today's Topics:\n\n   1. lunch on Monday\n   2. rent for June\n\n"
            "----------------------------------------------------------------------\n\n"
            "Message: 1\nDate: Tue, 4 Jun 2024 10:37:00 +0000\nFrom: ann@example.org\nSubject: lunch on Monday\nMessage-ID: <a@ex.org>\n\nHello from a.\n\n"
            "------------------------------\n\n"
            "Message: 2\nDate: Tue, 4 Jun 2024 10:38:00 +0000\nFrom: ann@example.org\nSubject: rent for June\nMessage-ID: <b@ex.org>\n\nHello from b.\n"
        },
    ),
    Case(
        "resent: the original's, by whichever id it is answered",
        {
            "a": ["Message-ID: <a@ex.org>"],
            "resent": ["Message-ID: <a@ex.org>", "Resent-Message-ID: <again@ex.org>", "Resent-From: bob@example.net"],
            "b": ["Message-ID: <b@ex.org>", "In-Reply-To: <again@ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <a@ex.org>"],
        },
        ["a resent b c"],
    ),
    Case(
        "a gateway gave a new id and kept the old one beside it",
        {
            "a": ["Message-ID: <new@ex.org>", "X-Original-Message-ID: <old@ex.org>"],
            "b": ["Message-ID: <b@ex.org>", "In-Reply-To: <old@ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <new@ex.org>"],
        },
        ["a b c"],
    ),
    Case(
        "variants: one id, a list's footer below the text",
        {
            "a": ["Message-ID: <same@ex.org>", "Subject: rent for June"],
            "b": ["Message-ID: <same@ex.org>", "Subject: rent for June"],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <same@ex.org>", "Subject: Re: [house] rent for June"],
        },
        ["a b c"],
        bodies={
            "b": "Hello from a.\n\n_______________________________________________\nhouse mailing list\nhouse@example.org\n"
        },
    ),
    Case(
        "a list's tag in front of all replies, which cite the mail without it",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: rent for June"],
            "b": ["Message-ID: <b@ex.org>", "In-Reply-To: <a@ex.org>", "Subject: [house] Re: rent for June"],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <b@ex.org>", "Subject: AW: [house] Re: rent for June"],
        },
        ["a b c"],
    ),
    Case(
        "an id inside a garbled In-Reply-To",
        {
            "a": ["Message-ID: <a-long-one@ex.org>"],
            "b": ["Message-ID: <b@ex.org>", 'In-Reply-To: Your message of "Tue, 4 Jun 2024" <a-long-one@ex.org>'],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: bob's message a-long-one@ex.org of Tuesday"],
            "d": ["Message-ID: <d@ex.org>", "In-Reply-To: bob@example.net's message of Tuesday"],
        },
        ["a b c", "d"],
    ),
    Case(
        "answers to a question of the mail client, where an id should be",
        {
            "a": ["Message-ID: <a@ex.org>", "In-Reply-To: <y>"],
            "b": ["Message-ID: <b@ex.org>", "In-Reply-To: y", "References: <n>"],
        },
        ["a", "b"],
    ),
    Case(
        "an id folded by a gateway",
        {
            "a": ["Message-ID: <a.long.one@ex.org>"],
            "b": ["Message-ID: <b@ex.org>", "References: <a.long.\n one@ex.org>"],
        },
        ["a b"],
    ),
    Case(
        "a subject that comes back",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: lunch on Monday"],
            "b": ["Message-ID: <b@ex.org>", "Subject: dinner", "References: <a@ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "Subject: Re: lunch on Monday", "References: <a@ex.org> <b@ex.org>"],
            "d": ["Message-ID: <d@ex.org>", "Subject: Re: dinner", "References: <b@ex.org>"],
        },
        ["a b c d"],
        ["a c", "b d"],
    ),
    Case(
        "a topic whose first mail comes late, in two talks that a bridge joins",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: rent", "Date: Tue, 4 Jun 2024 08:00:00 +0000"],
            "b": ["Message-ID: <b@ex.org>", "Subject: rent", "Date: Tue, 4 Jun 2024 07:00:00 +0000"],
            "c": ["Message-ID: <c@ex.org>", "Subject: party", "References: <a@ex.org>"],
            "bridge": ["Message-ID: <br@ex.org>", "Subject: Re: party", "References: <c@ex.org> <b@ex.org>"],
        },
        ["a b c bridge"],
        ["a b", "c bridge"],
    ),
    Case(
        "an undated mail never names a talk that has a dated one",
        {
            "a": ["Message-ID: <a@ex.org>", "Date: never"],
            "b": ["Message-ID: <b@ex.org>", "In-Reply-To: <a@ex.org>"],
        },
        ["a b"],
    ),
    Case(
        "a Thread-Index that two mails of other subjects begin",
        {
            "a": [index(), "Subject: rent for June"],
            "b": [index(), "Subject: party on Friday"],
            "c": [index(b"12345"), "Subject: RE: something else"],
        },
        ["a", "b", "c"],
    ),
    Case(
        "Outlook and others in one talk: by ids, by Thread-Index, by both",
        {
            "a": ["Message-ID: <a@ex.org>", index()],
            "b": ["Message-ID: <b@ex.org>", "In-Reply-To: <a@ex.org>"],
            "c": [index(b"12345"), "Subject: RE: x"],
            "d": ["Message-ID: <d@ex.org>", index(b"1234567890"), "In-Reply-To: <gone@ex.org>", "Subject: RE: x"],
        },
        ["a b c d"],
    ),
    Case(
        "twins, each with an answer of its own",
        {
            "a": ["Message-ID: <export1@ex.org>"],
            "b": ["Message-ID: <export2@ex.org>"],
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <export1@ex.org>", "Subject: Re: x"],
            "d": ["Message-ID: <d@ex.org>", "In-Reply-To: <export2@ex.org>", "Subject: Re: x"],
        },
        ["a b c d"],
    ),
    Case(
        "a bogus id that somebody has after all",
        {
            "owner": ["Message-ID: <0000@ex.org>", "Subject: the first report"],
            **{
                f"m{n}": [
                    f"From: robot{n}@example.org",
                    f"Subject: report {n} ready",
                    "In-Reply-To: <0000@ex.org>",
                    ASKED[n],
                ]
                for n in range(8)
            },
        },
        ["owner " + " ".join(f"m{n}" for n in range(8))],
        ["owner", *(f"m{n}" for n in range(8))],
    ),
]


def read(name: str, fields: list[str], body: str) -> tuple[Record, Stated]:
    """One mail; what it leaves out is the same in all, but a date of its own for each name."""
    given = {field.partition(":")[0].lower() for field in fields}
    minute = sum(name.encode()) % 60
    twin = "export" in " ".join(fields)
    usual = [
        "From: ann@example.org",
        "To: bob@example.net",
        "Subject: x",
        f"Date: Tue, 4 Jun 2024 10:{0 if twin else minute:02}:00 +0000",
    ]
    head = [*fields, *(field for field in usual if field.partition(":")[0].lower() not in given)]
    usual_body = f"Hello from {'an export' if twin else name}.\n"
    raw = ("\n".join(head) + f"\n\n{body or usual_body}").encode()
    outcome = transform(raw, Origin("box", name, 0, len(raw), len(raw), 0))
    assert outcome.record is not None
    assert outcome.stated is not None
    return outcome.record, outcome.stated


def named(groups: list[str], stated: dict[str, Stated]) -> dict[MessageId, MessageId]:
    """Each message -> the oldest of its group."""
    members = [[stated[name].message for name in group.split()] for group in groups]
    return {message: min(group) for group in members for message in group}


def conversations(store: MemoryThreads, messages: list[MessageId]) -> dict[MessageId, MessageId]:
    def root(name: bytes) -> bytes:
        while store.pool[name].parent != name:
            name = store.pool[name].parent
        return name

    return {m: MessageId((store.pool[message_node(m)].conv or root(message_node(m)))[1:]) for m in messages}


def by_subject(found: dict[MessageId, MessageId], records: dict[MessageId, Record]) -> dict[MessageId, MessageId]:
    return {
        message: topic
        for name in set(found.values())
        for message, topic in topics(
            (m, records[m].base_subject.encode()) for m, conversation in found.items() if conversation == name
        ).items()
    }


def orders(mails: list[Stated]) -> list[tuple[Stated, ...]]:
    if len(mails) <= ALL_ORDERS:
        return [*permutations(mails)]
    r = Random(len(mails))
    return [tuple(r.sample(mails, len(mails))) for _ in range(60)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_in_every_order_of_arrival(case: Case) -> None:
    mails = {name: read(name, fields, case.bodies.get(name, "")) for name, fields in case.mails.items()}
    stated = {name: s for name, (_, s) in mails.items()}
    records = {record.id: record for record, _ in mails.values()}
    assert len(records) == len(mails), "no two mails of a case are one"
    want = named(case.groups, stated)
    want_topics = named(case.topics or case.groups, stated)
    assert derive([*stated.values()])[0] == want
    for order in orders([*stated.values()]):
        for settles in ("at the end", "after each"):
            store = MemoryThreads()
            for s in order:
                weave(store, [s])
                if settles == "after each":
                    settle(store)
            settle(store)
            told = [n for s in order for n, o in stated.items() if o is s], settles
            found = conversations(store, [*want])
            assert found == want, told
            assert by_subject(found, records) == want_topics, told
