"""The server profile's threads and messages: each part in the store that fits it, together what flow/ and thread/ ask for.

Nodes, key items and clue items are in one store (DynamoDB), where millions of compare-and-sets cost what they use; evidence, marks, edits
and what readers see are in PostgreSQL. Every call is durable when it returns, and session() is no transaction: nothing in thread/
needs more than that each item is atomic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self

from mailloom.mail.model import MessageId
from mailloom.ports import (
    ClueItem,
    ClueName,
    ClueNote,
    Delivery,
    Edit,
    FeedEntry,
    KeyItem,
    KeyNote,
    Keys,
    Ledger,
    Messages,
    Node,
    NodeName,
    Place,
    Pools,
    Row,
    Sink,
    Soft,
    Stamp,
    Stated,
    Tie,
    Words,
)
from mailloom.stores.postgres.conversations import PostgresConversations
from mailloom.stores.postgres.edits import PostgresEdits
from mailloom.stores.postgres.evidence import PostgresEvidence
from mailloom.stores.postgres.marks import PostgresMarks
from mailloom.stores.postgres.messages import PostgresCopies
from mailloom.stores.postgres.scoped import Scoped


class Nodes(Pools, Keys, Protocol):
    """The half of the threads that has nodes and items."""

    def hint(self, notes: Sequence[ClueNote]) -> Sequence[tuple[ClueItem, ClueItem]]: ...
    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]: ...
    def session(self) -> AbstractContextManager[None]: ...

    def leased(self, number: int) -> Self:
        """A view whose writes raise Fenced once a larger number was leased."""
        ...


class ServerThreads:
    """Implements ports.Threads over nodes and a scope of PostgreSQL."""

    def __init__(self, nodes: Nodes, scoped: Scoped) -> None:
        self._nodes, self._scoped = nodes, scoped
        self._evidence, self._marks, self._edits = (
            PostgresEvidence(scoped),
            PostgresMarks(scoped),
            PostgresEdits(scoped),
        )
        self._conversations = PostgresConversations(scoped, nodes)

    def session(self) -> AbstractContextManager[None]:
        return self._nodes.session()

    def lease(self) -> ServerThreads:
        """PostgreSQL counts the leases; from then on nobody writes there under an older one, and once the nodes know, nowhere. What a worker
        that died left of `place` is done first.
        """
        scoped = self._scoped.leased()
        leased = ServerThreads(self._nodes.leased(scoped.lease or 0), scoped)
        leased._conversations.catch_up()
        return leased

    # -------------------------------------------------------------------------------------------- nodes and items
    def enter(self, names: Collection[NodeName], *, fresh: Collection[NodeName] = ()) -> None:
        self._nodes.enter(names, fresh=fresh)

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:
        return self._nodes.nodes(names, rough=rough)

    def look(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        return self._nodes.look(names)

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        """A message's node that was its own parent names a conversation, whose rows must follow, even if we die now."""
        self._conversations.moving({MessageId(name[1:]) for name, old, _ in changes if name == old and name[0] == 0})
        return self._nodes.swing(changes)

    def tie(self, ties: Sequence[Tie]) -> Sequence[KeyItem | None]:
        return self._nodes.tie(ties)

    def stamp(self, stamps: Sequence[Stamp]) -> None:
        self._nodes.stamp(stamps)

    def note(self, notes: Sequence[KeyNote]) -> Sequence[tuple[KeyItem, KeyItem]]:
        return self._nodes.note(notes)

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]:
        return self._nodes.keys(names)

    def hint(self, notes: Sequence[ClueNote]) -> Sequence[tuple[ClueItem, ClueItem]]:
        return self._nodes.hint(notes)

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]:
        return self._nodes.clues(names)

    # -------------------------------------------------------------------------------------------- PostgreSQL
    def state(self, stated: Sequence[Stated]) -> None:
        self._evidence.state(stated)

    def stated(self, messages: Collection[MessageId]) -> Mapping[MessageId, Stated]:
        return self._evidence.stated(messages)

    def linked(self, keys: Collection[NodeName]) -> Mapping[NodeName, Sequence[MessageId]]:
        return self._evidence.linked(keys)

    def ask(self, asks: Iterable[tuple[ClueName, MessageId]], *, withdraw: bool = False) -> None:
        self._evidence.ask(asks, withdraw=withdraw)

    def asking(self, clues: Collection[ClueName]) -> Mapping[ClueName, Collection[MessageId]]:
        return self._evidence.asking(clues)

    def draw(self, rows: Sequence[Soft]) -> None:
        self._marks.draw(rows)

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        return self._marks.drawn(messages)

    def mark(self, messages: Collection[MessageId]) -> None:
        self._marks.mark(messages)

    def dirty(self, limit: int) -> Mapping[MessageId, int]:
        return self._marks.dirty(limit)

    def unmark(self, marks: Mapping[MessageId, int]) -> None:
        self._marks.unmark(marks)

    def tell(self, entries: Sequence[FeedEntry]) -> None:
        self._marks.tell(entries)

    def place(self, messages: Collection[MessageId]) -> None:
        self._conversations.place(messages)

    def put(self, edit: Edit) -> bool:
        return self._edits.put(edit)

    def undo(self, number: int, at: int) -> None:
        self._edits.undo(number, at)

    def edits(self) -> Sequence[Edit]:
        return self._edits.edits()

    def places(self, names: Iterable[NodeName]) -> Collection[Place]:
        return self._edits.places(names)


class ServerMessages:
    """Implements ports.Messages: PostgreSQL, and after it each sink, before a message is finished. So who is finished is everywhere."""

    def __init__(self, messages: Messages, sinks: Sequence[Sink]) -> None:
        self._messages, self._sinks = messages, sinks

    def finished(self, ids: Collection[MessageId]) -> Collection[MessageId]:
        return self._messages.finished(ids)

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None:
        self._messages.put(rows)
        for sink in self._sinks:
            sink.put(rows)

    def finish(self, ids: Collection[MessageId]) -> None:
        self._messages.finish(ids)


class ServerLedger:
    """Implements ports.Ledger: a copy's provenance, and then what became of the delivery. So who is told to be stored has its copy."""

    def __init__(self, copies: PostgresCopies, ledger: Ledger) -> None:
        self._copies, self._ledger = copies, ledger

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        self._ledger.deliver(self._copies.keep(deliveries))
