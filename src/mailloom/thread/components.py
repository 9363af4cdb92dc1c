"""What hangs together, by links or by subject. Pure, and loads nothing: readers use it, too."""

from __future__ import annotations

from collections.abc import Iterable

from mailloom.mail.model import MessageId
from mailloom.ports import NodeName


def components(links: Iterable[tuple[NodeName, NodeName]]) -> dict[NodeName, NodeName]:
    """Each node -> the smallest node of its component, which is its oldest message where it has one."""
    above: dict[NodeName, NodeName] = {}
    for a, b in links:
        low, high = sorted((top(above, a), top(above, b)))
        above[high] = low
    return {node: top(above, node) for node in above}


def top(above: dict[NodeName, NodeName], node: NodeName) -> NodeName:
    """The end of a node's way up, itself where it is new. The way is halved as it is gone (Tarjan and van Leeuwen 1984)."""
    while above.setdefault(node, node) != node:
        above[node] = node = above[above[node]]
    return node


def topics(subjects: Iterable[tuple[MessageId, bytes]]) -> dict[MessageId, MessageId]:
    """(message, base subject's hash) of one conversation -> each message's topic: the oldest message with that subject."""
    oldest: dict[bytes, MessageId] = {}
    entries = sorted(subjects)
    for message, subject in entries:
        oldest.setdefault(subject, message)
    return {message: oldest[subject] for message, subject in entries}
