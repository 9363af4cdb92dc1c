"""The talks that trip threaders, each in every order of arrival: which mails are one conversation.

Every mail is written as text and goes the whole way: parse, identify, evidence, weave, settle.
"""

from __future__ import annotations

from base64 import b64encode
from itertools import islice, permutations
from random import Random
from typing import NamedTuple

import pytest

from mailloom.mail.identity import identify
from mailloom.mail.mime import scan
from mailloom.mail.model import MessageId
from mailloom.mail.parse import message
from mailloom.ports import Stated
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.batch import derive
from mailloom.thread.evidence import evidence
from mailloom.thread.keys import MAX_CITERS, message_node
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

MAX_ORDERS = 120


class Case(NamedTuple):
    """Mails by a short name, as header lines; `groups` says which of them belong together."""

    name: str
    mails: dict[str, list[str]]
    groups: list[str]


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
            "c": ["Message-ID: <c@ex.org>", "In-Reply-To: <same@ex.org>"],
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
    ),
    Case(
        "the reply button used for a new topic",
        {
            "a": ["Message-ID: <a@ex.org>", "Subject: lunch on Monday"],
            "b": ["Message-ID: <b@ex.org>", "Subject: a quite different thing", "References: <a@ex.org>"],
        },
        ["a b"],
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
    ),
]


def statement(name: str, fields: list[str]) -> Stated:
    """The evidence of one mail; what it leaves out is the same in all, but a date of its own for each name."""
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
    mime = scan(("\n".join(head) + f"\n\nHello from {'an export' if twin else name}.\n").encode())
    return evidence(identify(mime, message(mime)))


def conversations(store: MemoryThreads, messages: list[MessageId]) -> dict[MessageId, MessageId]:
    def root(name: bytes) -> bytes:
        while store.pool[name].parent != name:
            name = store.pool[name].parent
        return name

    return {m: MessageId((store.pool[message_node(m)].conv or root(message_node(m)))[1:]) for m in messages}


def orders(mails: list[Stated]) -> list[tuple[Stated, ...]]:
    if len(mails) <= 5:
        return [*islice(permutations(mails), MAX_ORDERS)]
    r = Random(len(mails))
    return [tuple(r.sample(mails, len(mails))) for _ in range(30)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_in_every_order_of_arrival(case: Case) -> None:
    stated = {name: statement(name, fields) for name, fields in case.mails.items()}
    want = {}
    for group in case.groups:
        members = [stated[name].message for name in group.split()]
        want.update(dict.fromkeys(members, min(members)))
    assert derive([*stated.values()])[0] == want
    for order in orders([*stated.values()]):
        for settles in ("at the end", "after each"):
            store = MemoryThreads()
            for s in order:
                weave(store, [s])
                if settles == "after each":
                    settle(store)
            settle(store)
            assert conversations(store, [*want]) == want, (
                [n for s in order for n, o in stated.items() if o is s],
                settles,
            )
