"""The reading side of the server profile: messages by name, conversations as readers see them, evidence. What DynamoDB holds of threads
and of deliveries is asked of who is given.

A message that is stored and not placed yet, as its worker is about to or was killed, is a conversation of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from mailloom.mail.model import MessageId
from mailloom.ports import (
    ClueItem,
    ClueName,
    Edit,
    FeedEntry,
    History,
    KeyItem,
    Node,
    NodeName,
    NodeReader,
    Place,
    Soft,
    Stated,
    Summary,
)
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.deliveries import PostgresDeliveryReader
from mailloom.stores.postgres.edits import edits, places
from mailloom.stores.postgres.evidence import linked, stated
from mailloom.stores.postgres.marks import SOFT, drawn, soft_of
from mailloom.stores.postgres.partitions import month_of
from mailloom.stores.postgres.scoped import storable
from mailloom.stores.postgres.snapshot import Snapshot
from mailloom.stores.postgres.whole import PostgresWholeReader
from mailloom.thread.keys import MAX_ID, MIN_ID, key_name

_SAME_DIGITS = 4  # bytes: who lists ids shows 8 digits at least, so no neighbour beyond them matters


class PostgresReader:
    """Implements ports.Reader for one scope over a reader endpoint. For one thread: see snapshot.py.

    `sources` are those that a path may be of; without any, each look-up by path asks all copies.
    """

    def __init__(
        self,
        connections: Connections,
        nodes: NodeReader,
        history: History,
        scope: str = "",
        sources: Sequence[str] = (),
    ) -> None:
        self.state = Snapshot(connections, scope)
        self.messages = PostgresMessageReader(self.state)
        self.threads = PostgresThreadReader(self.state, nodes)
        self.deliveries = PostgresDeliveryReader(self.state, history, sources)
        self.whole = PostgresWholeReader(self.state, nodes)

    def snapshot(self) -> AbstractContextManager[None]:
        """One state of the database. What DynamoDB and the search index say inside is of the moment it is asked."""
        return self.state.hold()

    def explain(self, error: BaseException) -> None:
        """Errors come in words already."""

    def close(self) -> None:
        self.state.connections.close()


def _known(state: Snapshot, messages: Collection[MessageId]) -> dict[str, Any]:
    """Parameters of a query about messages: their partitions follow from their ids."""
    return {"scope": state.scope, "months": sorted({month_of(one) for one in messages}), "ids": list(messages)}


# ------------------------------------------------------------------------------------------------ messages
class PostgresMessageReader:
    """Implements ports.MessageReader."""

    def __init__(self, state: Snapshot) -> None:
        self.state = state

    def _of(
        self, columns: str, messages: Collection[MessageId], more: str = "", **values: Any
    ) -> list[tuple[Any, ...]]:
        if not messages:
            return []
        sql = f"select {columns} from messages where scope = %(scope)s and month = any(%(months)s) and id = any(%(ids)b) {more}"  # noqa: S608
        return self.state.rows(sql, _known(self.state, messages) | values)

    def between(self, low: MessageId, high: MessageId, limit: int) -> list[MessageId]:
        sql = """select id from messages where scope = %s and month between %s and %s and id between %b and %b
          order by id limit %s"""
        rows = self.state.rows(sql, (self.state.scope, month_of(low), month_of(high), low, high, limit))
        return [MessageId(row[0]) for row in rows]

    def called(self, names: Collection[str], limit: int) -> dict[str, list[MessageId]]:
        sql = """select name, id from unnest(%(names)s::text[]) name cross join lateral (
            select id from messages where scope = %(scope)s and left(message_id, 250) = left(name, 250) and message_id = name
            order by id limit %(limit)s) found order by name, id"""
        asked = {storable(name): name for name in names if name}
        found = defaultdict(list)
        for name, message in (
            self.state.rows(sql, {"names": list(asked), "scope": self.state.scope, "limit": limit}) if asked else ()
        ):
            found[asked[name]].append(MessageId(message))
        return dict(found)

    def neighbours(self, message: MessageId) -> tuple[MessageId | None, MessageId | None]:
        low, high = (message[:_SAME_DIGITS] + fill * (16 - _SAME_DIGITS) for fill in (b"\0", b"\xff"))
        values = {"scope": self.state.scope, "from": month_of(low), "to": month_of(high), "id": message}
        near = """(select id from messages where scope = %(scope)s and month between %(from)s and %(to)s
          and id between {} and {} and id <> %(id)b order by id {} limit 1)"""
        sql = f"select {near.format('%(low)b', '%(id)b', 'desc')}, {near.format('%(id)b', '%(high)b', 'asc')}"
        ((before, after),) = self.state.rows(sql, values | {"low": low, "high": high})
        return before, after

    def summaries(self, messages: Collection[MessageId]) -> dict[MessageId, Summary]:
        rows = self._of("id, date, subject, sender, message_id, attachments, nested, problems", messages)
        return {row[0]: Summary(*row) for row in rows}

    def bodies(self, messages: Collection[MessageId]) -> dict[MessageId, bytes]:
        return {MessageId(message): body for message, body in self._of("id, body", messages)}

    def subjects(self, messages: Collection[MessageId]) -> dict[MessageId, str]:
        return {MessageId(message): subject for message, subject in self._of("id, base_subject", messages)}

    def marked(self, messages: Collection[MessageId], mark: str) -> set[MessageId]:
        rows = self._of("id", messages, "and position(%(mark)s in ' ' || marks || ' ') > 0", mark=f" {mark} ")
        return {MessageId(row[0]) for row in rows}

    def twins(self, messages: Collection[MessageId]) -> dict[MessageId, list[MessageId]]:
        with self.state.hold():
            keys = {MessageId(message): key_name("twin", twin) for message, twin in self._of("id, twin", messages)}
            by_key = linked(self.state, set(keys.values()))
        found = {message: [one for one in by_key.get(key, ()) if one != message] for message, key in keys.items()}
        return {message: others for message, others in found.items() if others}

    def reusing(self, message: MessageId, limit: int) -> list[tuple[MessageId, bool]]:
        sql = """select o.id, o.base_subject = m.base_subject from messages m join messages o on o.scope = m.scope
            and left(o.message_id, 250) = left(m.message_id, 250) and o.message_id = m.message_id
          where m.scope = %(scope)s and m.month = any(%(months)s) and m.id = any(%(ids)b) and o.id <> m.id
            and length(m.message_id) between %(least)s and %(most)s order by o.id limit %(limit)s"""
        values = {"least": MIN_ID, "most": MAX_ID, "limit": limit}
        rows = self.state.rows(sql, _known(self.state, [message]) | values)
        return [(MessageId(other), bool(same)) for other, same in rows]

    def alike(self, message: MessageId) -> list[tuple[int, MessageId]]:  # noqa: ARG002
        """No index of sketches is kept here."""
        return []


# ------------------------------------------------------------------------------------------------ threads
class PostgresThreadReader:
    """Implements ports.ThreadReader. Nodes, keys and clues are asked of another store, at once and strongly."""

    def __init__(self, state: Snapshot, nodes: NodeReader) -> None:
        self.state, self.others = state, nodes

    def _rows(self, sql: str, names: Collection[bytes]) -> list[tuple[Any, ...]]:
        return self.state.rows(sql, (self.state.scope, list(names))) if names else []

    def conversations(self, messages: Collection[MessageId]) -> dict[MessageId, MessageId]:
        sql = """select m.id, coalesce(c.conversation, m.id) from messages m
          left join conversations c on c.scope = m.scope and c.message = m.id
          where m.scope = %(scope)s and m.month = any(%(months)s) and m.id = any(%(ids)b)"""
        rows = self.state.rows(sql, _known(self.state, messages)) if messages else []
        return {MessageId(message): MessageId(conversation) for message, conversation in rows}

    def members(self, conversations: Collection[MessageId]) -> dict[MessageId, list[MessageId]]:
        sql = "select conversation, message from conversations where scope = %s and conversation = any(%b) order by message"
        members = defaultdict(list)
        with self.state.hold():
            for conversation, message in self._rows(sql, conversations):
                members[MessageId(conversation)].append(MessageId(message))
            alone = [one for one in conversations if one not in members]
            members.update({one: [one] for one, named in self.conversations(alone).items() if one == named})
        return dict(members)

    def stated(self, messages: Collection[MessageId]) -> dict[MessageId, Stated]:
        return stated(self.state, messages)

    def linked(self, keys: Collection[NodeName]) -> dict[NodeName, list[MessageId]]:
        return linked(self.state, keys)

    def soft(self, messages: Collection[MessageId]) -> list[Soft]:
        sql = f"select {SOFT} from soft where scope = %s and source = any(%b) order by source, target"  # noqa: S608
        return [soft_of(row) for row in self._rows(sql, messages)]

    def drawn(self, messages: Collection[MessageId]) -> list[Soft]:
        return drawn(self.state, messages)

    def nodes(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        with self.others.session():
            return self.others.nodes(names) if names else {}

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]:
        with self.others.session():
            return self.others.keys(names) if names else {}

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]:
        with self.others.session():
            return self.others.clues(names) if names else {}

    def edits(self) -> list[Edit]:
        return edits(self.state)

    def places(self, names: Collection[NodeName]) -> list[Place]:
        return places(self.state, names)

    def unsettled(self, messages: Collection[MessageId]) -> set[MessageId]:
        rows = self._rows("select message from marks where scope = %s and message = any(%b)", messages)
        return {MessageId(row[0]) for row in rows}

    def told(self, messages: Collection[MessageId]) -> list[tuple[int, FeedEntry]]:
        rows = self._rows(
            "select at, old, new, why from feed where scope = %s and old = any(%b) order by seq", messages
        )
        return [
            (at, FeedEntry(MessageId(old), tuple(MessageId(new[i : i + 16]) for i in range(0, len(new), 16)), why))
            for at, old, new, why in rows
        ]
