"""The reading side of an embedded archive: messages by name, conversations, evidence. Whatever is read of threads is read in the epoch
that counts at that instant; hold a snapshot where more than one call hangs on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, ClueName, Edit, FeedEntry, KeyItem, Node, NodeName, Place, Soft, Stated, Summary
from mailloom.stores.sqlite import epochs
from mailloom.stores.sqlite.connection import Connection, told
from mailloom.stores.sqlite.conversations import conversation_of, members_of
from mailloom.stores.sqlite.deliveries import SqliteDeliveryReader
from mailloom.stores.sqlite.sketches import SqliteSketches
from mailloom.stores.sqlite.threads import SqliteThreads
from mailloom.stores.sqlite.whole import SqliteWholeReader
from mailloom.thread.encoding import load_stated
from mailloom.thread.keys import MAX_ID, MIN_ID, key_name

_SUMMARY = "id, date, subject, sender, message_id, attachments, nested, problems from messages"


class SqliteReader:
    """Implements ports.Reader for one scope. The connection may be another's, and in a transaction of its own."""

    def __init__(self, connection: Connection, scope: str = "") -> None:
        self.connection, self.scope = connection, scope
        self.folder = Path(connection.filename).parent  # who explains an error may have closed the connection before
        self.messages = SqliteMessageReader(connection, scope)
        self.threads = SqliteThreadReader(connection, scope)
        self.deliveries = SqliteDeliveryReader(connection, scope)
        self.whole = SqliteWholeReader(connection, scope)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self.connection:
            yield

    def explain(self, error: BaseException) -> None:
        if isinstance(error, apsw.Error):
            with told(self.folder):
                raise error

    def close(self) -> None:
        self.connection.close()


# ------------------------------------------------------------------------------------------------ messages
class SqliteMessageReader:
    """Implements ports.MessageReader."""

    def __init__(self, connection: Connection, scope: str) -> None:
        self.connection, self.scope = connection, scope

    def _keyed(self, messages: Collection[MessageId]) -> list[tuple[str, MessageId]]:
        return [(self.scope, message) for message in messages]

    def between(self, low: MessageId, high: MessageId, limit: int) -> list[MessageId]:
        sql = "select id from messages where scope = ? and id between ? and ? order by id limit ?"
        return [MessageId(row[0]) for row in self.connection.execute(sql, (self.scope, low, high, limit))]

    def called(self, names: Collection[str], limit: int) -> dict[str, list[MessageId]]:
        sql = "select id from messages where scope = ? and message_id = ? order by id limit ?"
        found = {
            name: [MessageId(row[0]) for row in self.connection.execute(sql, (self.scope, name, limit))]
            for name in names
            if name
        }
        return {name: messages for name, messages in found.items() if messages}

    def neighbours(self, message: MessageId) -> tuple[MessageId | None, MessageId | None]:
        near = "select id from messages where scope = ? and id {} ? order by id {} limit 1"
        before, after = (
            self.connection.execute(sql, (self.scope, message)).get
            for sql in (near.format("<", "desc"), near.format(">", "asc"))
        )
        return before, after

    def summaries(self, messages: Collection[MessageId]) -> dict[MessageId, Summary]:
        rows = self.connection.executemany(f"select {_SUMMARY} where scope = ? and id = ?", self._keyed(messages))
        return {row[0]: Summary(*row) for row in rows}

    def bodies(self, messages: Collection[MessageId]) -> dict[MessageId, bytes]:
        sql = "select id, body from messages join bodies using (seq) where scope = ? and id = ?"
        return dict(self.connection.executemany(sql, self._keyed(messages)))

    def subjects(self, messages: Collection[MessageId]) -> dict[MessageId, str]:
        sql = "select id, base_subject from messages where scope = ? and id = ?"
        return dict(self.connection.executemany(sql, self._keyed(messages)))

    def marked(self, messages: Collection[MessageId], mark: str) -> set[MessageId]:
        sql = "select id from messages where scope = ? and id = ? and instr(' ' || marks || ' ', ?)"
        found = self.connection.executemany(sql, [(*key, f" {mark} ") for key in self._keyed(messages)])
        return {MessageId(row[0]) for row in found}

    def twins(self, messages: Collection[MessageId]) -> dict[MessageId, list[MessageId]]:
        hashes = list(
            self.connection.executemany(
                "select id, twin from messages where scope = ? and id = ?", self._keyed(messages)
            )
        )
        sql = "select message from links where scope = ? and key = ? and message <> ? order by message"
        twins = {}
        with self.connection:
            scope = epochs.current_key(self.connection, self.scope)
            for message, twin in hashes:
                found = self.connection.execute(sql, (scope, key_name("twin", twin), message))
                if others := [MessageId(row[0]) for row in found]:
                    twins[MessageId(message)] = others
        return twins

    def reusing(self, message: MessageId, limit: int) -> list[tuple[MessageId, bool]]:
        sql = """select o.id, o.base_subject = m.base_subject from messages m join messages o using (scope, message_id)
          where scope = ?1 and m.id = ?2 and o.id <> ?2 and length(message_id) between ?3 and ?4 order by o.id limit ?5"""
        rows = self.connection.execute(sql, (self.scope, message, MIN_ID, MAX_ID, limit))
        return [(MessageId(other), bool(same)) for other, same in rows]

    def alike(self, message: MessageId) -> list[tuple[int, MessageId]]:
        sketches = SqliteSketches(self.connection)
        seq = self.connection.execute("select seq from messages where scope = ? and id = ?", (self.scope, message)).get
        shared = dict(sketches.alike(seq)) if sketches.kept and seq is not None else {}
        sql = "select seq, id from messages where seq = ? and scope = ?"
        rows = self.connection.executemany(sql, [(other, self.scope) for other in shared])
        return [(shared[at], MessageId(other)) for at, other in rows]


# ------------------------------------------------------------------------------------------------ threads
class SqliteThreadReader:
    """Implements ports.ThreadReader."""

    def __init__(self, connection: Connection, scope: str) -> None:
        self.connection, self.scope = connection, scope

    @contextmanager
    def _epoch(self) -> Iterator[str]:
        """What the column `scope` of the thread tables holds, for as long as the block lasts."""
        with self.connection:
            yield epochs.current_key(self.connection, self.scope)

    @property
    def _store(self) -> SqliteThreads:
        """A new one each time: what it has read it keeps."""
        return SqliteThreads(self.connection, _no_clock, self.scope)

    def conversations(self, messages: Collection[MessageId]) -> dict[MessageId, MessageId]:
        with self._epoch() as epoch:
            found = {message: conversation_of(self.connection, epoch, message) for message in messages}
        return {message: conversation for message, conversation in found.items() if conversation is not None}

    def members(self, conversations: Collection[MessageId]) -> dict[MessageId, list[MessageId]]:
        with self._epoch() as epoch:
            found = {conversation: members_of(self.connection, epoch, conversation) for conversation in conversations}
        return {conversation: members for conversation, members in found.items() if members}

    def stated(self, messages: Collection[MessageId]) -> dict[MessageId, Stated]:
        sql = "select message, body from stated where scope = ? and message = ?"
        with self._epoch() as scope:
            found = self.connection.executemany(sql, [(scope, m) for m in messages])
            return {message: load_stated(MessageId(message), body) for message, body in found}

    def linked(self, keys: Collection[NodeName]) -> dict[NodeName, list[MessageId]]:
        linked = defaultdict(list)
        sql = "select key, message from links where scope = ? and key = ? order by message"
        with self._epoch() as scope:
            for key, message in self.connection.executemany(sql, [(scope, key) for key in keys]):
                linked[key].append(MessageId(message))
        return dict(linked)

    def soft(self, messages: Collection[MessageId]) -> list[Soft]:
        sql = "select source, target, live, kind, weight, detail from soft where scope = ? and source = ?"
        with self._epoch() as scope:
            found = self.connection.executemany(sql, [(scope, m) for m in messages])
            return [Soft(MessageId(s), MessageId(t), bool(live), *what) for s, t, live, *what in found]

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        with self._epoch():
            return self._store.drawn(messages)

    def nodes(self, names: Collection[NodeName]) -> dict[NodeName, Node]:
        with self._epoch():
            return dict(self._store.nodes(names))

    def keys(self, names: Collection[NodeName]) -> dict[NodeName, KeyItem]:
        with self._epoch():
            return dict(self._store.keys(names))

    def clues(self, names: Collection[ClueName]) -> dict[ClueName, ClueItem]:
        with self._epoch():
            return dict(self._store.clues(names))

    def edits(self) -> Sequence[Edit]:
        return self._store.edits()

    def places(self, names: Collection[NodeName]) -> Collection[Place]:
        return self._store.places(names)

    def unsettled(self, messages: Collection[MessageId]) -> set[MessageId]:
        sql = "select message from marks where scope = ? and message = ?"
        with self._epoch() as scope:
            found = self.connection.executemany(sql, [(scope, m) for m in messages])
            return {MessageId(row[0]) for row in found}

    def told(self, messages: Collection[MessageId]) -> list[tuple[int, FeedEntry]]:
        sql = "select at, old, new, why, seq from feed where scope = ? and old = ? order by seq"
        rows = list(self.connection.executemany(sql, [(self.scope, m) for m in messages]))
        return [
            (at, FeedEntry(MessageId(old), tuple(MessageId(new[i : i + 16]) for i in range(0, len(new), 16)), why))
            for at, old, new, why, _ in sorted(rows, key=lambda row: row[-1])
        ]


def _no_clock() -> int:
    raise AssertionError("a reader writes nothing")
