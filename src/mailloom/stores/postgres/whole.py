"""All of one scope of a database, as it is read from one end to the other by cursors on the server. Text is in the order of its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mailloom.mail.model import MessageId
from mailloom.ports import Listed, Member, NodeName, NodeReader, Person, Same, Soft
from mailloom.stores.postgres.snapshot import Snapshot
from mailloom.thread.keys import MAX_ID, MIN_ID

KEYS_AT_ONCE = 1000  # links whose keys are looked up together

_LISTED = "select id, message_id, base_subject from messages where scope = %s order by id"
_BODIES = "select id, body from messages where scope = %s order by id"
_STORED = "select body from messages where scope = %s"
_MEMBERS = """select id, thread, first_value(id) over (partition by thread, base_subject order by id) from (
    select m.id, coalesce(c.conversation, m.id) as thread, m.base_subject
    from messages m left join conversations c on c.scope = m.scope and c.message = m.id where m.scope = %s) as placed
  order by id"""
_EVIDENCE = "select message, body from stated where scope = %s order by message"
_HARD = "select key, message from linked where scope = %s order by key, message"
_SOFT = "select source, target, live, kind, weight, detail from soft where scope = %s and live order by source, target"
_COPIED = """select content_hash, {0} from copies c join messages m on m.scope = c.scope and m.month = c.month and m.id = c.message
  where c.scope = %s order by message, {0}"""
_PEOPLE = 'select key, name, role, mails from people where scope = %s order by key collate "C", name collate "C", role'
_REPEATED = """select message, count(*), (sum(length) - min(length))::int8 from copies where scope = %s
  group by message having count(*) > 1"""
_IS_ID = f"length(message_id) between {MIN_ID} and {MAX_ID}"
_EQUAL: dict[Same, tuple[str, str]] = {
    "twins": ("twin", "group by twin having count(*) > 1"),
    "variants": ("message_id, base_subject", f"and {_IS_ID} group by 1, 2 having count(distinct twin) > 1"),
    "reused": ("message_id", f"and {_IS_ID} group by 1 having count(distinct base_subject) > 1"),
}


class PostgresWholeReader:
    """Implements ports.WholeReader."""

    def __init__(self, state: Snapshot, nodes: NodeReader) -> None:
        self.state, self.nodes = state, nodes

    def _each(self, sql: str) -> Iterator[tuple[Any, ...]]:
        return self.state.each(sql, (self.state.scope,))

    def count(self) -> int:
        with self.state.hold():  # which gives it time
            return int(self.state.rows("select count(*) from messages where scope = %s", (self.state.scope,))[0][0])

    def stored(self) -> Iterator[bytes]:
        return (body for (body,) in self._each(_STORED))

    def bodies(self) -> Iterator[tuple[MessageId, bytes]]:
        return ((MessageId(message), body) for message, body in self._each(_BODIES))

    def listed(self) -> Iterator[Listed]:
        return map(Listed._make, self._each(_LISTED))

    def members(self) -> Iterator[Member]:
        return map(Member._make, self._each(_MEMBERS))

    def evidence(self) -> Iterator[tuple[MessageId, bytes]]:
        return ((MessageId(message), body) for message, body in self._each(_EVIDENCE))

    def hard_links(self) -> Iterator[tuple[NodeName, MessageId]]:
        """Which keys are dead, the other store tells: one read of every key."""
        links = self._each(_HARD)
        while some := list(islice(links, KEYS_AT_ONCE)):
            with self.nodes.session():
                nodes = self.nodes.nodes({key for key, _ in some})
            yield from ((key, MessageId(message)) for key, message in some if key not in nodes or not nodes[key].dead)

    def soft_links(self) -> Iterator[Soft]:
        return map(Soft._make, self._each(_SOFT))

    def traces(self) -> Iterator[tuple[bytes, bytes]]:
        return ((content, trace) for content, trace in self._each(_COPIED.format("trace")))

    def raws(self) -> Iterator[tuple[bytes, bytes]]:
        return ((content, raw) for content, raw in self._each(_COPIED.format("raw_sha256")))

    def people(self) -> Iterator[Person]:
        return map(Person._make, self._each(_PEOPLE))

    def repeated(self) -> Iterator[tuple[MessageId, int, int]]:
        return ((MessageId(message), count, spare) for message, count, spare in self._each(_REPEATED))

    def equal(self, same: Same) -> Iterator[tuple[tuple[object, ...], MessageId, int]]:
        key, chosen = _EQUAL[same]
        sql = f"""select {key}, id, size from (select {key} from messages where scope = %(scope)s {chosen}) as chosen
          join messages using ({key}) where scope = %(scope)s order by {key}, id"""  # noqa: S608  constants only
        for *value, message, size in self.state.each(sql, {"scope": self.state.scope}):
            yield tuple(value), MessageId(message), size
