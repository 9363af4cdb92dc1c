"""All of an embedded archive, as it is read from one end to the other: each query is in the order of its table's key, by an index, so
that SQLite sorts nothing and memory doesn't grow.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailloom.mail.model import MessageId
from mailloom.ports import Listed, Member, Person, Same, Soft
from mailloom.stores.sqlite.connection import Connection
from mailloom.stores.sqlite.conversations import membership
from mailloom.stores.sqlite.epochs import current_key
from mailloom.thread.keys import MAX_ID, MIN_ID

_LISTED = "select id, message_id, base_subject from messages where scope = ? order by id"
_BODIES = "select id, body from messages join bodies using (seq) where scope = ? order by id"
_STORED = "select body from messages join bodies using (seq) where scope = ? order by seq"
_EVIDENCE = "select message, body from stated where scope = ? order by message"
_HARD = """select links.key, links.message from links join nodes on nodes.scope = links.scope and nodes.name = links.key
  where links.scope = ? and not nodes.dead order by links.key, links.message"""
_SOFT = (
    """select source, target, live, kind, weight, detail from soft where scope = ? and live order by source, target"""
)
_TRACES = """select content_hash, cast(trace as blob) from deliveries d join messages m on m.scope = d.scope and m.id = d.message
  where d.scope = ? and message > x'' order by message, trace"""
_RAWS = """select content_hash, raw_sha256 from deliveries d join messages m on m.scope = d.scope and m.id = d.message
  where d.scope = ? and message > x'' order by message, raw_sha256"""
_PEOPLE = "select key, name, role, mails from people where scope = ? order by key"
_REPEATED = """select message, count(*), sum(length) - min(length) from deliveries indexed by deliveries_message
  where scope = ? and message > x'' group by message having count(*) > 1"""
_IS_ID = f"length(message_id) between {MIN_ID} and {MAX_ID}"
# A group's key, and what makes it one: each is a pass over an index or one sort.
_EQUAL: dict[Same, tuple[str, str]] = {
    "twins": ("twin", "select twin from messages where scope = ?1 group by twin having count(*) > 1"),
    "variants": (
        "message_id, base_subject",
        f"""select message_id, base_subject from messages where scope = ?1 and {_IS_ID}
          group by message_id, base_subject having count(distinct twin) > 1""",  # noqa: S608  constants only
    ),
    "reused": (
        "message_id",
        f"""select message_id from messages where scope = ?1 and {_IS_ID}
          group by message_id having count(distinct base_subject) > 1""",  # noqa: S608  constants only
    ),
}


class SqliteWholeReader:
    """Implements ports.WholeReader."""

    def __init__(self, connection: Connection, scope: str) -> None:
        self.connection, self.scope = connection, scope

    @property
    def _epoch(self) -> str:
        return current_key(self.connection, self.scope)

    def count(self) -> int:
        return int(self.connection.execute("select count(*) from messages where scope = ?", (self.scope,)).get)

    def stored(self) -> Iterator[bytes]:
        for (body,) in self.connection.cursor().execute(_STORED, (self.scope,)):
            yield body

    def bodies(self) -> Iterator[tuple[MessageId, bytes]]:
        for message, body in self.connection.cursor().execute(_BODIES, (self.scope,)):
            yield MessageId(message), body

    def listed(self) -> Iterator[Listed]:
        return map(Listed._make, self.connection.cursor().execute(_LISTED, (self.scope,)))

    def members(self) -> Iterator[Member]:
        return membership(self.connection, self.scope, self._epoch)

    def evidence(self) -> Iterator[tuple[MessageId, bytes]]:
        for message, body in self.connection.cursor().execute(_EVIDENCE, (self._epoch,)):
            yield MessageId(message), body

    def hard_links(self) -> Iterator[tuple[bytes, MessageId]]:
        for key, message in self.connection.cursor().execute(_HARD, (self._epoch,)):
            yield key, MessageId(message)

    def soft_links(self) -> Iterator[Soft]:
        for source, target, live, *what in self.connection.cursor().execute(_SOFT, (self._epoch,)):
            yield Soft(MessageId(source), MessageId(target), bool(live), *what)

    def traces(self) -> Iterator[tuple[bytes, bytes]]:
        yield from self.connection.cursor().execute(_TRACES, (self.scope,))

    def raws(self) -> Iterator[tuple[bytes, bytes]]:
        yield from self.connection.cursor().execute(_RAWS, (self.scope,))

    def people(self) -> Iterator[Person]:
        return map(Person._make, self.connection.cursor().execute(_PEOPLE, (self.scope,)))

    def repeated(self) -> Iterator[tuple[MessageId, int, int]]:
        for message, count, spare in self.connection.cursor().execute(_REPEATED, (self.scope,)):
            yield MessageId(message), count, spare

    def equal(self, same: Same) -> Iterator[tuple[tuple[object, ...], MessageId, int]]:
        key, chosen = _EQUAL[same]
        sql = f"""select {key}, id, size from ({chosen}) join messages using ({key}) where scope = ?1 order by {key}, id"""  # noqa: S608
        for *value, message, size in self.connection.cursor().execute(sql, (self.scope,)):
            yield tuple(value), MessageId(message), size
