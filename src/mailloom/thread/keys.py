"""Names of keys and clues, and what a key's item says of it. The rules here are functions of the item alone.

A key (a Message-ID, a Thread-Index GUID, a twin hash) joins whoever owns or cites it. Two kinds of keys must not: one that
automatic mail of many senders and subjects cites though nobody has it, and one that was given to two different mails.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from mailloom.ports import ClueItem, ClueNote, KeyItem, KeyNote, Link, Node, NodeName, Stamp, Stated

RULES = "1"
"""The version of the rules: raised whenever the same mail may state other evidence, or the same evidence give other threads. Each
archive says which derived its threads; `mailloom rethread` brings it up to these."""

MIN_ID = 5  # "a@b.c" is the shortest thing that can be unique; "y" and "n" are answers to a mail client's question
MAX_ID = 998  # RFC 5322 section 2.1.1: the longest line
MAX_CITERS = 8
"""A key that nobody owns is dead once it has this many citing senders *and* subjects. In three real sets the smaller of both
is at most 2 for ids that are absent, 4 for ids that are there."""
MAX_OWNER_SUBJECTS = 2
"""A key with owners of two base subjects names two mails."""
MAX_OWNERS = 13
"""A clue with this many owners is common: it tells nobody apart, and nobody writes it again."""

WITHOUT_ITEM = frozenset({"twin"})
"""Kinds of links whose keys can't die: their name is a hash of the whole content, so nobody else can state it by chance."""


def clean_id(stated: str, people: Iterable[str] = ()) -> str:
    """The id as a key, or "" where it can't be one: blanks inside folded away by old gateways don't count, an address of the
    mail's own people is no id (some clients put one into In-Reply-To).
    """
    if not stated:
        return ""
    cleaned = "".join(stated.split()).strip("<>")
    if not MIN_ID <= len(cleaned) <= MAX_ID or cleaned.casefold() in people:
        return ""
    return cleaned


def message_node(message: bytes) -> NodeName:
    return b"\x00" + message


def nodes_of(stated: Stated) -> list[NodeName]:
    """The nodes that a message's evidence touches, its own first."""
    return [message_node(stated.message), *(link.key for link in stated.links)]


def own_nodes(stated: Stated) -> list[NodeName]:
    """The message's node and those of the keys that it owns: nobody has met most of them before."""
    return [message_node(stated.message), *(link.key for link in stated.links if link.owns)]


def key_name(kind: str, value: str | bytes) -> NodeName:
    """17 bytes. 128 bits of SHA-256: nobody can make two ids meet on purpose at a price worth paying."""
    return b"\x01" + _hash(kind, value)[:16]


def short_hash(kind: str, value: str | bytes) -> bytes:
    """8 bytes: enough where a collision only blurs a count."""
    return _hash(kind, value)[:8]


def _hash(*values: str | bytes) -> bytes:
    return sha256(
        b"\0".join([v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in values])
    ).digest()


def is_dead(item: KeyItem) -> bool:
    """Nobody owns it and both lists of citers are full, or its owners have two base subjects. Only ever more of an item
    makes it dead or, by a first owner, alive: which citers were kept when the lists were full doesn't matter.
    """
    if not item.owners:
        return len(item.senders) >= MAX_CITERS and len(item.subjects) >= MAX_CITERS
    return len(item.owners) >= MAX_OWNER_SUBJECTS


def is_owned(item: KeyItem) -> bool:
    """Alive, and a stored message owns it."""
    return bool(item.owners) and not is_dead(item)


def is_common(item: ClueItem) -> bool:
    return len(item.owners) >= MAX_OWNERS


def note_of(stated: Stated, link: Link) -> KeyNote:
    """What a message's link says to its key's item."""
    if link.owns:
        return KeyNote(link.key, owner=stated.subject)
    return KeyNote(link.key, citer=(stated.people[0], stated.subject))


def capped(values: frozenset[bytes], value: bytes, most: int) -> frozenset[bytes]:
    return values if len(values) >= most or value in values else values | {value}


# ------------------------------------------------------------------------------------------------ one atomic change of an item
def noted(item: KeyItem, note: KeyNote) -> KeyItem:
    """A key item with a note applied: what every store makes of it, in whatever way it makes it atomic."""
    owners, senders, subjects, asked = item
    if note.owner is not None:
        owners = capped(owners, note.owner, MAX_OWNER_SUBJECTS)
    if note.citer is not None:
        senders, subjects = capped(senders, note.citer[0], MAX_CITERS), capped(subjects, note.citer[1], MAX_CITERS)
    return KeyItem(owners, senders, subjects, asked or note.asked)


def hinted(item: ClueItem, note: ClueNote) -> ClueItem:
    """A clue item with a note applied; the same item where that changes nothing."""
    owners, asked = item
    if note.owner is not None and len(owners) < MAX_OWNERS and note.owner not in owners:
        return ClueItem(owners | {note.owner}, asked or note.asked)
    return item if asked or not note.asked else ClueItem(owners, asked=True)


def stamped(node: Node, stamp: Stamp) -> Node:
    conv = node.conv if stamp.conv is None else (stamp.conv or None)
    return Node(node.parent, conv, node.dead if stamp.dead is None else stamp.dead)
