"""One conversation's messages -> parent and child, with ghosts for the missing.

A message's parent is its single In-Reply-To, else its last reference, else the first id in a garbled In-Reply-To, else the
target of its strongest live soft link. An id that no message here owns is a ghost; what stands before it in the references is its
own parent. Cycles are broken at the edge that the latest message states. Children are in the order of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mailloom.mail.model import MessageId
from mailloom.ports import Link, NodeName, Soft, Stated

INDEX_HEAD, INDEX_STEP = 44, 10
"""Hex digits of a Thread-Index's head, and of what each reply adds."""


@dataclass(slots=True)
class Twig:
    """A message of the tree, or a ghost: an id that is cited and not here (`message` is None, `cited` the id)."""

    message: MessageId | None
    cited: str
    children: list[Twig] = field(default_factory=list)

    @property
    def ghost(self) -> bool:
        return self.message is None


def tree(stated: Sequence[Stated], soft: Iterable[Soft] = ()) -> list[Twig]:
    """The forest of a conversation: mostly one tree. `soft` are live soft links among its messages."""
    by_age = sorted(stated, key=lambda s: s.message)
    owner = _owners(by_age)
    targets = _strongest(soft, {s.message for s in by_age})
    indexed = _by_index(by_age)
    edges: list[tuple[NodeName, NodeName]] = []
    labels: dict[NodeName, str] = {}
    for s in by_age:
        chain = [(owner.get(link.key, link.key), link.detail) for link in _chain(s)]
        at = b"\x00" + s.message
        labels.update((name, detail) for name, detail in chain if name[0] == 1)
        if not chain and s.message in indexed:
            edges.append((at, indexed[s.message]))
        elif not chain and s.message in targets:
            edges.append((at, b"\x00" + targets[s.message]))
        for name, _ in reversed(chain):
            if name != at:
                edges.append((at, name))
                at = name
                if name[0] == 0:
                    break  # what is above a message that is here, it says itself
    parent = _without_cycles(edges)
    twigs = {b"\x00" + s.message: Twig(s.message, "") for s in by_age}
    twigs.update((name, Twig(None, label)) for name, label in labels.items())
    return _hang(twigs, parent)


def _owners(by_age: Sequence[Stated]) -> dict[NodeName, NodeName]:
    """Each owned key -> the oldest message here that owns it."""
    owner: dict[NodeName, NodeName] = {}
    for s in by_age:
        for link in s.links:
            if link.owns and link.kind != "twin":
                owner.setdefault(link.key, b"\x00" + s.message)
    return owner


def _chain(stated: Stated) -> list[Link]:
    """Ids that a message cites, the farthest ancestor first, its parent last."""
    replies = [link for link in stated.links if link.kind == "in-reply-to"]
    references = [link for link in stated.links if link.kind == "references"]
    if len(replies) == 1 or (replies and not references):
        return [link for link in references if link.key != replies[0].key] + replies[:1]
    return references


def _by_index(by_age: Sequence[Stated]) -> dict[MessageId, NodeName]:
    """Thread-Index: each reply adds 5 bytes to its parent's ([MS-OXOMSG] 2.2.1.3), so the longest prefix here is the parent."""
    index = {m.message: link.detail for m in by_age for link in m.links if link.kind == "thread-index"}
    owner: dict[str, MessageId] = {}
    for message, value in index.items():
        owner.setdefault(value, message)
    parents = {}
    for message, value in index.items():
        for end in range(len(value) - INDEX_STEP, INDEX_HEAD - 1, -INDEX_STEP):
            if (parent := owner.get(value[:end])) is not None:
                parents[message] = b"\x00" + parent
                break
    return parents


def _strongest(soft: Iterable[Soft], here: set[MessageId]) -> dict[MessageId, MessageId]:
    best: dict[MessageId, Soft] = {}
    for row in soft:
        if row.live and row.source in here and row.target in here:
            known = best.get(row.source)
            if known is None or (row.weight, row.target) > (known.weight, known.target):
                best[row.source] = row
    return {source: row.target for source, row in best.items()}


def _without_cycles(edges: Sequence[tuple[NodeName, NodeName]]) -> dict[NodeName, NodeName]:
    """The first parent stated for each node, but for edges that would close a cycle. Edges come in the order of their messages'
    age, so the one that closes a cycle is the latest.
    """
    parent: dict[NodeName, NodeName] = {}
    top: dict[NodeName, NodeName] = {}

    def root(node: NodeName) -> NodeName:
        while top.setdefault(node, node) != node:
            top[node] = node = top[top[node]]
        return node

    for child, above in edges:
        if child not in parent and root(child) != root(above):
            parent[child] = above
            top[root(child)] = root(above)
    return parent


def _hang(twigs: dict[NodeName, Twig], parent: dict[NodeName, NodeName]) -> list[Twig]:
    born = {name: name for name in twigs}
    for name in sorted(twigs):  # a ghost is as old as the oldest message below it
        above = parent.get(name)
        while above is not None and name[0] == 0 and above[0] == 1 and born[above] > name:
            born[above] = name
            above = parent.get(above)
    roots = []
    for name in sorted(twigs, key=lambda n: (born[n], n)):
        if name in parent:
            twigs[parent[name]].children.append(twigs[name])
        else:
            roots.append(twigs[name])
    return roots


def topics(subjects: Iterable[tuple[MessageId, bytes]]) -> dict[MessageId, MessageId]:
    """(message, base subject's hash) of one conversation -> each message's topic: the oldest message with that subject."""
    oldest: dict[bytes, MessageId] = {}
    entries = sorted(subjects)
    for message, subject in entries:
        oldest.setdefault(subject, message)
    return {message: oldest[subject] for message, subject in entries}
