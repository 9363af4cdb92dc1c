"""A record -> what it states of its thread: hard links with their keys, and soft evidence (clues.py).

Which headers are trusted, in this order: Message-ID, In-Reply-To, References, ids that resending or rewriting tools keep (names of the same mail), the
Thread-Index of Outlook and Exchange, and the content hash without ids. Hygiene first: an id that can't be one is no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from mailloom.mail.model import Record
from mailloom.ports import Link, Stated
from mailloom.thread import index
from mailloom.thread.clues import clues
from mailloom.thread.keys import clean_id, key_name, short_hash

FIRST_REFERENCES, LAST_REFERENCES = 10, 90  # clients cut at 10-30; lists of 100,000 exist only to hurt
MAX_PEOPLE = 50  # participants that are compared; more than that is an announcement


def evidence(record: Record) -> Stated:
    """Everything that a message states. The same record states the same, wherever and whenever it is asked."""
    message = record.message
    author = message.author or message.from_
    sender = author[0].key if author else ""
    named = (*message.from_, *message.author, *message.to, *message.cc)
    others = dict.fromkeys([a.key for a in named if a.key and a.key != sender])
    # Who reads a list is there whether or not the mail is addressed to it: it may be in Bcc, or go by another of the list's names.
    lists = [f"list {message.list_id}"] if message.list_id else []
    people = (sender, *lists, *others)[:MAX_PEOPLE]
    links = tuple(_hard(record))
    soft = clues(record, cites=any(not link.owns for link in links))
    return Stated(
        message=record.id,
        subject=_subject(record.base_subject),
        people=tuple([_person(key) for key in people]),
        when=message.date.ms,
        links=links,
        owns=soft.owns,
        asks=soft.asks,
        zone=message.date.zone,
        reply=soft.reply,
        own=soft.own,
        quoted=soft.quoted,
    )


# Mails of a thread cite the same ids, share people and subject, and mostly come close together: half of what evidence costs.
@lru_cache(maxsize=2048)
def _id_link(kind: str, name: str, owns: bool) -> Link:
    return Link(kind, key_name("id", name), owns, name)


@lru_cache(maxsize=2048)
def _person(key: str) -> bytes:
    return short_hash("person", key)


@lru_cache(maxsize=512)
def _subject(base_subject: str) -> bytes:
    return short_hash("subject", base_subject)


def _hard(record: Record) -> Iterator[Link]:
    message = record.message
    people = {a.address.casefold() for a in (*message.from_, *message.to, *message.cc)}
    owned = {clean_id(message.message_id, people): "message-id"}
    for alias in message.aliases:
        owned.setdefault(clean_id(alias, people), "alias")
    owned.pop("", None)
    for name, kind in owned.items():
        yield _id_link(kind, name, True)
    replies = message.in_reply_to or tuple(_ids_inside(message.in_reply_to_text))
    for kind, ids in (("in-reply-to", replies), ("references", message.references)):
        for cited in dict.fromkeys([clean_id(stated, people) for stated in _ends(ids)]):
            if cited and cited not in owned:
                yield _id_link(kind, cited, False)
    if guid := index.guid(message.thread_index):
        owns = index.begins(message.thread_index)
        yield Link("thread-index", key_name("guid", guid), owns, message.thread_index.hex())
    yield Link("twin", key_name("twin", record.twin), True, record.twin.hex())


def _ends(ids: tuple[str, ...]) -> tuple[str, ...]:
    """The first ids name the thread's start, the last ones the parents: a cut in the middle loses least."""
    if len(ids) <= FIRST_REFERENCES + LAST_REFERENCES:
        return ids
    return ids[:FIRST_REFERENCES] + ids[-LAST_REFERENCES:]


_ID_INSIDE = re.compile(r"[A-Za-z0-9][\w.$+=%/!#&'*-]{3,200}@[\w.-]{1,200}")


def _ids_inside(garbled: str) -> Iterator[str]:
    """Ids in a garbled In-Reply-To ("Your message of Tue, 3 Sep 2026 <x@y>", "x@y's message"): RFC 822's free phrase form.
    What is an address of a participant is dropped by clean_id.
    """
    yield from _ID_INSIDE.findall(garbled[:2000])
