"""Nodes and items as the one binary attribute that DynamoDB keeps of each, and back.

A write compares the whole of it, byte for byte, so the same state must always give the same bytes: sets are sorted. What is absent is
b"": a node that is its own parent, with no conv, not dead, its key item empty; a clue that nobody noted.

    node   flags (1 parent, 2 conv, 4 dead, 8 asked), counts of owners, senders, subjects (1 byte each),
           parent and conv (17 bytes each, where the flag is set), then the hashes (8 bytes each)
    clue   flags (1 asked), then the owners (16 bytes each)
"""

from __future__ import annotations

from typing import NamedTuple

from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, KeyItem, Node, NodeName

_PARENT, _CONV, _DEAD, _ASKED = 1, 2, 4, 8
_NAME, _HASH, _ID = 17, 8, 16


class State(NamedTuple):
    """A node with its key item."""

    node: Node
    item: KeyItem


def pack(name: NodeName, state: State) -> bytes:
    node, (owners, senders, subjects, asked) = state
    own = node.parent == name
    flags = (
        (0 if own else _PARENT) | (_CONV if node.conv else 0) | (_DEAD if node.dead else 0) | (_ASKED if asked else 0)
    )
    head = bytes((flags, len(owners), len(senders), len(subjects)))
    return b"".join(
        [head, b"" if own else node.parent, node.conv or b"", *sorted(owners), *sorted(senders), *sorted(subjects)]
    )


def unpack(name: NodeName, data: bytes) -> State:
    if not data:
        return State(Node(name), KeyItem())
    flags, *counts = data[:4]
    at = 4
    parent, conv = name, None
    if flags & _PARENT:
        parent, at = data[at : at + _NAME], at + _NAME
    if flags & _CONV:
        conv, at = data[at : at + _NAME], at + _NAME
    hashes = [data[i : i + _HASH] for i in range(at, len(data), _HASH)]
    first, second = counts[0], counts[0] + counts[1]
    item = KeyItem(
        frozenset(hashes[:first]), frozenset(hashes[first:second]), frozenset(hashes[second:]), bool(flags & _ASKED)
    )
    return State(Node(parent, conv, bool(flags & _DEAD)), item)


def pack_clue(item: ClueItem) -> bytes:
    return b"".join([b"\x01" if item.asked else b"\x00", *sorted(item.owners)])


def unpack_clue(data: bytes) -> ClueItem:
    if not data:
        return ClueItem()
    owners = [MessageId(data[i : i + _ID]) for i in range(1, len(data), _ID)]
    return ClueItem(frozenset(owners), data[0] == 1)
