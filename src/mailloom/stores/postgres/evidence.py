"""What messages state, the way back from a key to them, and who asks for which clue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from mailloom.mail.model import MessageId
from mailloom.ports import ClueName, NodeName, Stated
from mailloom.stores.postgres.partitions import month_of
from mailloom.stores.postgres.scoped import Asked, Scoped, Stage, stage, storable
from mailloom.thread.encoding import dump_stated, load_stated

_STATED = Stage("new_stated", "month int4, message bytea, body bytea")
_LINKS = Stage("new_links", "month int4, message bytea, key bytea, kind text, owns bool, detail text, weight int4")
# Evidence before the way back to it, as the other stores write them. What a message states never changes, but a later version may read more
# out of it.
_WRITE = (
    """insert into stated select %(scope)s, n.* from new_stated n order by message
      on conflict (scope, message, month) do update set body = excluded.body where stated.body <> excluded.body""",
    "insert into links select %(scope)s, n.* from new_links n order by message, key, kind, owns on conflict do nothing",
    "insert into linked select distinct %(scope)s, key, message from new_links order by key, message on conflict do nothing",
)
_LINKED = "select key, message from linked where scope = %s and key = any(%b) order by key, message"


class PostgresEvidence:
    """Implements ports.Evidence, and the half of ports.Clues that has a row for each asker."""

    def __init__(self, scoped: Scoped) -> None:
        self.scoped = scoped

    def state(self, stated: Sequence[Stated]) -> None:
        last = {s.message: s for s in stated}
        links = (
            (month_of(s.message), s.message, link.key, link.kind, link.owns, storable(link.detail), link.weight)
            for s in last.values()
            for link in s.links
        )
        with self.scoped.transaction() as connection:
            stage(connection, _STATED, ((month_of(s.message), s.message, dump_stated(s)) for s in last.values()))
            stage(connection, _LINKS, links)
            for statement in _WRITE:
                connection.execute(statement.encode(), {"scope": self.scoped.scope})

    def stated(self, messages: Collection[MessageId]) -> Mapping[MessageId, Stated]:
        return stated(self.scoped, messages)

    def linked(self, keys: Collection[NodeName]) -> Mapping[NodeName, Sequence[MessageId]]:
        return linked(self.scoped, keys)

    def ask(self, asks: Iterable[tuple[ClueName, MessageId]], *, withdraw: bool = False) -> None:
        rows = sorted(set(asks))
        if not rows:
            return
        columns = ([clue for clue, _ in rows], [message for _, message in rows])
        if withdraw:
            self.scoped.write(_WITHDRAW, (*columns, self.scoped.scope))
        else:
            self.scoped.write(_ASK, (self.scoped.scope, *columns))

    def asking(self, clues: Collection[ClueName]) -> Mapping[ClueName, Collection[MessageId]]:
        asking: dict[ClueName, set[MessageId]] = defaultdict(set)
        if clues:
            query = "select clue, message from asks where scope = %s and clue = any(%b)"
            for clue, message in self.scoped.rows(query, (self.scoped.scope, list(clues))):
                asking[clue].add(MessageId(message))
        return asking


def stated(asked: Asked, messages: Collection[MessageId]) -> dict[MessageId, Stated]:
    """What these messages stated; who is absent is left out."""
    if not messages:
        return {}
    query = "select message, body from stated where scope = %s and month = any(%b) and message = any(%b)"
    months = sorted({month_of(message) for message in messages})
    found = asked.rows(query, (asked.scope, months, list(messages)))
    return {MessageId(message): load_stated(MessageId(message), body) for message, body in found}


def linked(asked: Asked, keys: Collection[NodeName]) -> dict[NodeName, list[MessageId]]:
    """The messages that own or cite each key, the oldest first."""
    found: dict[NodeName, list[MessageId]] = defaultdict(list)
    for key, message in asked.rows(_LINKED, (asked.scope, list(keys))) if keys else ():
        found[key].append(MessageId(message))
    return found


_ASK = "insert into asks select %s, n.* from unnest(%b::bytea[], %b::bytea[]) n (clue, message) on conflict do nothing"
_WITHDRAW = """delete from asks using unnest(%b::bytea[], %b::bytea[]) n (clue, message)
  where scope = %s and asks.clue = n.clue and asks.message = n.message"""
