"""Messages, with the whole record, what is inside them, their people, and the provenance of each copy.

The rule it keeps: a message's rows are all written by the transaction that inserts the message, so a row that is there is complete, and
people are counted for a message once however often it comes. Rows are written in the order of their keys, tables always in the same order, so
that two workers with the same mails wait for each other and never in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from typing import Any, TypeAlias

import orjson

from mailloom.mail.model import MessageId
from mailloom.ports import Delivery, Row, Words
from mailloom.schema import unpack
from mailloom.stores.postgres.partitions import month_of
from mailloom.stores.postgres.scoped import Scoped, Stage, stage, storable

Entry: TypeAlias = tuple[Row, Words, Sequence[tuple[str, str, str]]]
Values: TypeAlias = tuple[Any, ...]

_MESSAGES = Stage(
    "new_messages",
    "month int4, id bytea, content_hash bytea, twin bytea, date int8, subject text, base_subject text, sender text, message_id text, "
    "list_id text, marks text, charsets text, size int8, attachments int4, nested int4, problems text, body bytea, sketch bytea",
)
_PEOPLE = Stage("new_people", "message bytea, person bytea, key text, name text, role text")
_NESTED = Stage(
    "new_nested",
    "month int4, message bytea, path text, kind text, depth int4, message_id text, sender text, date int8, subject text",
)
_ATTACHMENTS = Stage(
    "new_attachments",
    "month int4, message bytea, path text, number int4, part int4, name text, type text, size int8, sha256 bytea, inline bool, inside text",
)
_COPIES = Stage(
    "new_copies",
    "month int4, message bytea, place bytea, source text, path text, start int8, generation int4, length int8, size int8, mtime_ns int8, "
    "state text, raw_sha256 bytea, folder text, labels text, flags text, received_at int8, trace bytea, reason text, version text, "
    "read_at int8",
)

# Who inserts a message counts its people and owes its end. A part of the statement that writes sees nothing of what others write: it is told
# by `new` alone what was inserted.
_PUT = """with new as (
    insert into messages select %(scope)s, n.*, %(now)s from new_messages n order by id on conflict do nothing returning id),
  owed as (insert into unfinished select %(scope)s, id from new order by id on conflict do nothing),
  counted as (
    select person, min(key) as key, min(name) as name, min(role) as role, count(*) as mails
    from new_people join new on id = message group by person)
  insert into people select %(scope)s, counted.* from counted order by person
    on conflict (scope, person) do update set mails = people.mails + excluded.mails"""
_INSIDE = "insert into {0} select %(scope)s, n.* from new_{0} n order by message, path on conflict do nothing"
_FINISHED = """select id from messages m where scope = %s and month = any(%b) and id = any(%b)
  and not exists (select from unfinished u where u.scope = m.scope and u.message = m.id)"""
_WHAT = "length size mtime_ns state raw_sha256 folder labels flags received_at trace reason version read_at stored_at"
_KEEP = f"""insert into copies select %(scope)s, n.*, %(now)s from new_copies n order by message, place
  on conflict (scope, message, place, month) do update set
  {", ".join(f"{name} = excluded.{name}" for name in _WHAT.split())}"""  # noqa: S608  constants only
# Whoever brings copies of the same message waits here, so that one of them is the stored one.
_HOLD = """select from messages where scope = %s and month = any(%b) and id = any(%b) order by id for no key update"""
_STORED = """select message, place from copies where scope = %s and month = any(%b) and message = any(%b) and state = 'stored'"""


class PostgresMessages:
    """Implements ports.Messages. Full text is a search index's."""

    def __init__(self, scoped: Scoped) -> None:
        self.scoped = scoped

    def finished(self, ids: Collection[MessageId]) -> set[MessageId]:
        if not ids:
            return set()
        months = sorted({month_of(one) for one in ids})
        rows = self.scoped.rows(_FINISHED, (self.scoped.scope, months, list(ids)))
        return {MessageId(row[0]) for row in rows}

    def put(self, rows: Sequence[Entry]) -> None:
        if not rows:
            return
        values = {"scope": self.scoped.scope, "now": self.scoped.clock()}
        inside = [one for entry in rows for one in _inside(entry[0])]
        with self.scoped.transaction() as connection:
            stage(connection, _MESSAGES, (_message(row) for row, _, _ in rows))
            stage(connection, _PEOPLE, _people(rows))
            connection.execute(_PUT, values)
            for into in (_NESTED, _ATTACHMENTS):
                some = [row for where, row in inside if where is into]
                if some:
                    stage(connection, into, some)
                    connection.execute(_INSIDE.format(into.name.removeprefix("new_")).encode(), values)

    def finish(self, ids: Collection[MessageId]) -> None:
        if ids:
            delete = "delete from unfinished where scope = %s and message = any(%b)"
            self.scoped.write(delete, (self.scoped.scope, sorted(ids)))


class PostgresCopies:
    """Where the copies of messages came from: what of a delivery must be there before its ledger says stored or duplicate."""

    def __init__(self, scoped: Scoped) -> None:
        self.scoped = scoped

    def keep(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Store a row for each delivery of a message, or bring it up to date; the deliveries as they are to be told.

        Of a message's copies exactly one is stored, the others are duplicates, whatever those believed who brought them: two workers may
        have had the same mail, or one died between finishing the message and telling the ledger.
        """
        copies: dict[tuple[MessageId, bytes], Delivery] = {}
        for delivery in deliveries:
            if delivery.message is not None:
                copies.setdefault((delivery.message, _place(delivery)), delivery)
        if not copies:
            return list(deliveries)
        months, messages = sorted({month_of(m) for m, _ in copies}), sorted({m for m, _ in copies})
        where = (self.scoped.scope, months, messages)
        with self.scoped.transaction() as connection:
            connection.execute(_HOLD.encode(), where)
            found = connection.execute(_STORED.encode(), where, binary=True).fetchall()
            stored = {MessageId(message): place for message, place in found}
            for (message, place), _ in sorted(copies.items(), key=lambda copy: copy[1].state != "stored"):
                stored.setdefault(message, place)
            states = {(m, place): "stored" if stored[m] == place else "duplicate" for m, place in copies}
            stage(connection, _COPIES, (_copy(d, m, place, states[m, place]) for (m, place), d in copies.items()))
            connection.execute(_KEEP.encode(), {"scope": self.scoped.scope, "now": self.scoped.clock()})
        return [d if d.message is None else d._replace(state=states[d.message, _place(d)]) for d in deliveries]


def _message(row: Row) -> Values:
    texts = map(storable, (row.subject, row.base_subject, row.sender, row.message_id, row.list_id, row.marks))
    counts = (row.size, row.attachments, row.nested, storable(row.problems), row.body, row.sketch)
    head = (month_of(row.id), row.id, row.content_hash, row.twin, row.date)
    return (*head, *texts, storable(row.charsets), *counts)


def _people(rows: Sequence[Entry]) -> Iterator[Values]:
    for row, _, people in rows:
        for person in people:
            key, name, role = map(storable, person)
            yield row.id, sha256(f"{key}\0{name}\0{role}".encode()).digest()[:16], key, name, role


def _place(delivery: Delivery) -> bytes:
    o = delivery.origin
    # One key may hold the same bytes as several versions: each is a delivery, and one of them is stored.
    version = f"{delivery.object}\0" if delivery.object else ""
    where = f"{o.source}\0{o.path}\0{o.start}\0{delivery.generation}\0{version}".encode("utf-8", "surrogatepass")
    return sha256(where + delivery.raw_sha256).digest()[:16]


def _copy(delivery: Delivery, message: MessageId, place: bytes, state: str) -> Values:
    o = delivery.origin
    where = (month_of(message), message, place, storable(o.source), storable(o.path), o.start, delivery.generation)
    what = (o.length, o.size, o.mtime_ns, state, delivery.raw_sha256)
    copy = (storable(o.folder), storable(" ".join(o.labels)), storable(o.flags), o.received_at, delivery.trace)
    return (*where, *what, *copy, storable(delivery.reason), delivery.version, delivery.read_at)


# ------------------------------------------------------------------------------------------------ what is inside a message
def _inside(row: Row) -> Iterator[tuple[Stage, Values]]:
    """Rows of nested messages and of attachments, out of the record. Most mail has neither, and is not unpacked."""
    if not row.nested and not row.attachments:
        return
    record = orjson.loads(unpack(row.body))
    where = (month_of(row.id), row.id)
    yield from _files(where, "", record["attachments"])
    for one in record["nested"]:
        path = storable(one["path"])
        sender = one["from"][0]["key"] or one["from"][0]["name"] if one["from"] else ""
        said = (storable(one["message_id"]), storable(sender), one["date"], storable(one["subject"]))
        yield _NESTED, (*where, path, one["kind"], one["depth"], *said)
        yield from _files(where, path, one["attachments"])


def _files(where: Values, path: str, attachments: Sequence[dict[str, Any]]) -> Iterator[tuple[Stage, Values]]:
    for number, a in enumerate(attachments):
        what = (a["part"], storable(a["name"]), storable(a["type"]), a["size"], bytes.fromhex(a["sha256"]))
        yield _ATTACHMENTS, (*where, path, number, *what, a["inline"], a["inside"])
