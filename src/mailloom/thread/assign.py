"""Hard links -> pools: a union-find over a store, one compare-and-set at a time.

The rule it keeps: a node's parent is never larger than the node, and a link once made is never taken back. So there are
no cycles, every path ends at the smallest name of its pool, and a stale read only makes a walk longer. A merge swings one
root; members are never rewritten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from mailloom.ports import KeyItem, KeyNote, NodeName, Pools, Stated, Tie
from mailloom.thread.components import components
from mailloom.thread.keys import message_node

SLACK = 3
"""Steps to the root that a path may keep. To shorten one is a write for each node on it, which costs as much as ten rough reads
of one step more; where replies come before what they answer, most paths grow to two steps and are walked a few times."""
ROUGH_LOOKS = 2

Notes = Mapping[NodeName, Sequence[KeyNote]]
"""What a batch's messages note of each key."""
_NOTHING: Notes = MappingProxyType({})


class Joined(NamedTuple):
    """A pool's root `old` was hung below `new`. `item` is a key's after its notes, None where they are still to be made."""

    old: NodeName
    new: NodeName
    item: KeyItem | None = None


def assign(threads: Pools, stated: Sequence[Stated], notes: Notes = _NOTHING) -> list[Joined]:
    """Join each message with the keys that it states, but not through a key that is dead. The nodes must have been entered, and the
    evidence stored. A key that nobody met before gets its `notes` with its parent, in one write.

    An old answer will do as long as it says alive: a key that has died meanwhile is one that dies just before the union, which
    the worker's look at it finds. One that says dead will not: had the key been revived before the evidence was there, settle
    would not know of this message, and the look would find nothing odd.
    """
    keys = {link.key for s in stated for link in s.links}
    read = dict(threads.nodes(keys, rough=True))
    read.update(threads.nodes({key for key, node in read.items() if node.dead}))
    pairs = [
        (message_node(s.message), link.key)
        for s in stated
        for link in s.links
        if link.key in read and not read[link.key].dead
    ]
    return union(threads, pairs, notes)


def union(threads: Pools, pairs: Iterable[tuple[NodeName, NodeName]], notes: Notes = _NOTHING) -> list[Joined]:
    """Put both nodes of each pair into one pool; the roots that gave way.

    A look may be a rough one: pools only grow, so two names that had one root have one now, and a root that has
    another above it by now is refused by its compare-and-set. That tells a store what is there, so the second look may be rough, too; then
    others are so busy here that it pays to know.

    A key of `notes` that gives way does so last, together with its notes: whoever it is paired with is in the pool by then, so that
    no note comes before the union of who noted (thread/weave.py says why it must not).
    """
    joined: list[Joined] = []
    todo = list(pairs)
    looks = 0
    while todo:
        looks += 1
        root = roots(threads, {name for pair in todo for name in pair}, rough=looks <= ROUGH_LOOKS)
        lower = components((root[a], root[b]) for a, b in todo)
        changes = [(high, high, low) for high, low in lower.items() if high != low and high not in notes]
        failed = set()
        for (high, _, low), done in zip(changes, threads.swing(changes), strict=True):
            if done:
                joined.append(Joined(high, low))
            else:
                failed.add(low)
        ties = [
            Tie(high, low, notes[high])
            for high, low in lower.items()
            if high != low and high in notes and low not in failed
        ]
        for tie, item in zip(ties, threads.tie(ties), strict=True):
            if item is not None:
                joined.append(Joined(tie.key, tie.parent, item))
            else:
                failed.add(tie.parent)
        todo = [pair for pair in todo if lower[root[pair[0]]] in failed]
    return joined


def roots(threads: Pools, names: Collection[NodeName], *, rough: bool = False) -> dict[NodeName, NodeName]:
    """The root of each name, or with `rough` one that was its root not long ago. Paths of more than SLACK steps are shortened on the way
    (Tarjan and van Leeuwen 1984), where nobody got in between.
    """
    parent: dict[NodeName, NodeName] = {}
    frontier = set(names)
    while frontier:
        for name, node in threads.nodes(frontier, rough=rough).items():
            parent[name] = node.parent
        frontier = {p for name in frontier if (p := parent[name]) not in parent}
    root: dict[NodeName, NodeName] = {}
    far: dict[NodeName, int] = {}
    short: list[tuple[NodeName, NodeName, NodeName]] = []
    for name in parent:
        path = []
        at = name
        while at not in root and parent[at] != at:
            path.append(at)
            at = parent[at]
        end = root.setdefault(at, at)
        steps = far.setdefault(at, 0)
        for far_off, step in enumerate(reversed(path), steps + 1):
            root[step], far[step] = end, far_off
            if far_off > SLACK:
                short.append((step, parent[step], end))
    if short:
        threads.swing(short)
    return {name: root[name] for name in names}
