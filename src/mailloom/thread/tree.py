"""One conversation's messages -> parent and child, with ghosts for the missing.

A message's parent is its single In-Reply-To, else its last reference, else the first id in a garbled In-Reply-To, else the
target of its strongest live soft link. An id that no message here owns is a ghost; what stands before it in the references is its
own parent. Cycles are broken at the edge that the latest message states. Children are in the order of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from mailloom.mail.model import Address, Date, MessageId
from mailloom.ports import Link, NodeName, Soft, Stated
from mailloom.thread import index
from mailloom.thread.components import top
from mailloom.thread.keys import message_node


class Quote(NamedTuple):
    """One copy of a missing mail: which of its carrier's nested messages it is (`path`, "" for a quote that nobody introduces), and
    its span there, as in model.Nested.
    """

    carrier: MessageId
    path: str
    start: int
    end: int


class Piece(NamedTuple):
    """text[start:end] of a Ghost is from its quotes[quote]."""

    start: int
    end: int
    quote: int


@dataclass(frozen=True, slots=True)
class Ghost:
    """What copies inside other mails say of a mail that is not here; see thread/ghosts.py.

    `text` is what its author wrote, as far as anybody quoted it, put together from `pieces`; `quotes` are the copies that agree on
    who wrote and when, the fullest first; `others` are copies in the same place that say other, and are not in the text. `exact`:
    a copy came with the missing id itself, as an attached mail does.
    """

    from_: tuple[Address, ...]
    date: Date
    subject: str
    text: str
    pieces: tuple[Piece, ...]
    quotes: tuple[Quote, ...]
    others: tuple[Quote, ...] = ()
    exact: bool = False


@dataclass(slots=True)
class Twig:
    """A message of the tree, or a ghost: a mail that is cited or quoted and not here (`message` is None; `cited` is its id, ""
    where only quotes tell of it; `known` is what they say). `elsewhere` are messages of other conversations that have the cited id:
    where several mails were given one id, nobody can tell which is meant.
    """

    message: MessageId | None
    cited: str
    known: Ghost | None = None
    elsewhere: tuple[MessageId, ...] = ()
    children: list[Twig] = field(default_factory=list)

    @property
    def ghost(self) -> bool:
        return self.message is None


class Edges(NamedTuple):
    """Who hangs below whom: (child, parent) as ids and Thread-Index state it and as soft links do, in the order of their
    messages' age, and what ghosts are called.
    """

    hard: list[tuple[NodeName, NodeName]]
    soft: list[tuple[NodeName, NodeName]]
    labels: dict[NodeName, str]


def tree(stated: Sequence[Stated], soft: Iterable[Soft] = ()) -> list[Twig]:
    """The forest of a conversation: mostly one tree. `soft` are live soft links among its messages."""
    stated_edges = edges(stated, soft)
    return hang(twigs_of(stated, stated_edges.labels), parents([*stated_edges.hard, *stated_edges.soft]))


def twigs_of(stated: Iterable[Stated], labels: Mapping[NodeName, str]) -> dict[NodeName, Twig]:
    """A twig for each message, and for each ghost by its id."""
    twigs = {message_node(s.message): Twig(s.message, "") for s in stated}
    twigs.update((name, Twig(None, label)) for name, label in labels.items())
    return twigs


def edges(stated: Sequence[Stated], soft: Iterable[Soft] = ()) -> Edges:
    by_age = sorted(stated, key=lambda s: s.message)
    owner = _owners(by_age)
    targets = _strongest(soft, {s.message for s in by_age})
    indexed = _by_index(by_age)
    found = Edges([], [], {})
    for s in by_age:
        chain = [(owner.get(link.key, link.key), link.detail) for link in _chain(s)]
        at = message_node(s.message)
        found.labels.update((name, detail) for name, detail in chain if name[0] == 1)
        if not chain and s.message in indexed:
            found.hard.append((at, indexed[s.message]))
        elif not chain and s.message in targets:
            found.soft.append((at, message_node(targets[s.message])))
        for name, _ in reversed(chain):
            if name != at:
                found.hard.append((at, name))
                at = name
                if name[0] == 0:
                    break  # what is above a message that is here, it says itself
    return found


def _owners(by_age: Sequence[Stated]) -> dict[NodeName, NodeName]:
    """Each owned key -> the oldest message here that owns it."""
    owner: dict[NodeName, NodeName] = {}
    for s in by_age:
        for link in s.links:
            if link.owns and link.kind != "twin":
                owner.setdefault(link.key, message_node(s.message))
    return owner


def _chain(stated: Stated) -> list[Link]:
    """Ids that a message cites, the farthest ancestor first, its parent last."""
    replies = [link for link in stated.links if link.kind == "in-reply-to"]
    references = [link for link in stated.links if link.kind == "references"]
    if len(replies) == 1 or (replies and not references):
        return [link for link in references if link.key != replies[0].key] + replies[:1]
    return references


def _by_index(by_age: Sequence[Stated]) -> dict[MessageId, NodeName]:
    """The nearest above each message by Thread-Index that is here."""
    values = {m.message: link.detail for m in by_age for link in m.links if link.kind == "thread-index"}
    owner: dict[str, MessageId] = {}
    for message, value in values.items():
        owner.setdefault(value, message)
    nearest = {m: next((owner[one] for one in index.above(value) if one in owner), None) for m, value in values.items()}
    return {message: message_node(parent) for message, parent in nearest.items() if parent is not None}


def _strongest(soft: Iterable[Soft], here: set[MessageId]) -> dict[MessageId, MessageId]:
    best: dict[MessageId, Soft] = {}
    for row in soft:
        if row.live and row.source in here and row.target in here:
            known = best.get(row.source)
            if known is None or (row.weight, row.target) > (known.weight, known.target):
                best[row.source] = row
    return {source: row.target for source, row in best.items()}


def parents(stated: Iterable[tuple[NodeName, NodeName]]) -> dict[NodeName, NodeName]:
    """The first parent stated for each node, but for edges that would close a cycle. Hard edges come first, each kind in the order
    of its messages' age, so the edge that closes a cycle is the latest.
    """
    parent: dict[NodeName, NodeName] = {}
    tops: dict[NodeName, NodeName] = {}
    for child, above in stated:
        if child not in parent and top(tops, child) != top(tops, above):
            parent[child] = above
            tops[top(tops, child)] = top(tops, above)
    return parent


def hang(twigs: Mapping[NodeName, Twig], parent: Mapping[NodeName, NodeName]) -> list[Twig]:
    """Each twig below its parent, children in the order of time; the roots."""
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


def below(*tops: Twig) -> Iterator[Twig]:
    """Some twigs and all below them, a parent before its children."""
    work = list(tops)
    while work:
        twig = work.pop()
        yield twig
        work += twig.children
