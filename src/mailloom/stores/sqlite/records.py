"""Messages, people, ledger and the index of raw mail: what a commit writes, in the caller's transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Delivery, Located, Row, Words
from mailloom.stores.sqlite.connection import Connection
from mailloom.stores.sqlite.sketches import SqliteSketches

_MESSAGE = f"insert into messages values ({', '.join('?' * 18)})"  # noqa: S608  question marks only
_WHAT = "length size mtime_ns message raw_sha256 folder labels flags received_at trace reason version read_at stored_at"
# A delivery that is read again after it was stored is still the one that was stored.
_DELIVERY = f"""insert into deliveries values ({", ".join("?" * 20)}) on conflict do update set
  {", ".join(f"{name} = excluded.{name}" for name in _WHAT.split())},
  state = case when state = 'stored' and message = excluded.message then state else excluded.state end"""  # noqa: S608

_CONTAINER = """select generation, size, mtime_ns, read_to, complete, fingerprint from containers
  where scope = ? and source = ? and path = ?"""
_SINGLE = """select generation, size, mtime_ns, length(raw_sha256) from deliveries
  where scope = ? and source = ? and path = ? and start = 0 order by generation desc limit 1"""


class Seen(Protocol):
    """A file on disk, as far as the ledger knows one (sources.Place)."""

    @property
    def source(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def mtime_ns(self) -> int: ...


class SqliteRecords:
    """Implements ports.Messages and ports.Ledger, and keeps where raw mail lies, for one scope. The caller holds the
    transaction; the clock gives milliseconds since 1970 UTC.
    """

    def __init__(self, connection: Connection, clock: Callable[[], int], scope: str = "") -> None:
        self.connection, self.clock, self.scope = connection, clock, scope
        self.sketches = SqliteSketches(connection)
        self.sources: dict[str, int] = {}
        self.fresh: set[int] = set()

    # -------------------------------------------------------------------------------------------- messages
    def finished(self, ids: Collection[MessageId]) -> set[MessageId]:
        sql = "select id from messages where scope = ? and id = ? and finished"
        return {MessageId(row[0]) for row in self.connection.executemany(sql, [(self.scope, i) for i in ids])}

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None:
        present = {
            row[0]
            for row in self.connection.executemany(
                "select id from messages where scope = ? and id = ?", [(self.scope, row.id) for row, _, _ in rows]
            )
        }
        first = (self.connection.execute("select max(seq) from messages").get or 0) + 1
        new = [entry for entry in rows if entry[0].id not in present]
        numbered = list(enumerate(new, first))
        self.connection.executemany(_MESSAGE, ((seq, self.scope, *row[:-3], 0) for seq, (row, _, _) in numbered))
        self.connection.executemany(
            "insert into bodies values (?, ?)", ((seq, row.body) for seq, (row, _, _) in numbered)
        )
        self.sketches.put((seq, row.sketch) for seq, (row, _, _) in numbered)
        self.connection.executemany(
            "insert into words (rowid, subject, sender, recipients, new, old, names) values (?, ?, ?, ?, ?, ?, ?)",
            ((seq, *words) for seq, (_, words, _) in numbered),
        )
        people = Counter(person for _, _, people in new for person in people)
        self.connection.executemany(
            "insert into people values (?, ?, ?, ?, ?) on conflict do update set mails = mails + excluded.mails",
            sorted((self.scope, *person, count) for person, count in people.items()),
        )

    def finish(self, ids: Collection[MessageId]) -> None:
        sql = "update messages set finished = 1 where scope = ? and id = ?"
        self.connection.executemany(sql, [(self.scope, i) for i in ids])

    # -------------------------------------------------------------------------------------------- ledger
    def source(self, name: str) -> int:
        """The number of a source, given when it is first seen."""
        if name not in self.sources:
            before = self.connection.total_changes()
            self.connection.execute("insert or ignore into sources (scope, name) values (?, ?)", (self.scope, name))
            found = self.connection.execute(
                "select id from sources where scope = ? and name = ?", (self.scope, name)
            ).get
            self.sources[name] = int(found)
            if self.connection.total_changes() > before:
                self.fresh.add(int(found))
        return self.sources[name]

    def begin(self) -> None:
        """A run begins: what is fresh is a source that this run is the first to read, so that its places need no look-up."""
        self.sources.clear()
        self.fresh.clear()

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        now = self.clock()
        self.connection.executemany(_DELIVERY, [self._delivery(delivery, now) for delivery in deliveries])

    def _delivery(self, delivery: Delivery, now: int) -> tuple[object, ...]:
        o = delivery.origin
        place = (self.scope, self.source(o.source), o.path, o.start, delivery.generation, o.length, o.size, o.mtime_ns)
        what = (delivery.state, delivery.message, delivery.raw_sha256)
        copy = (o.folder, " ".join(o.labels), o.flags, o.received_at, delivery.trace)
        return (*place, *what, *copy, delivery.reason, delivery.version, delivery.read_at, now)

    def rejected(self) -> list[tuple[Origin, int, bytes]]:
        """Rejected deliveries whose bytes were kept: origin, generation of the place, SHA-256."""
        sql = """select sources.name, path, start, length, size, mtime_ns, received_at, folder, labels, flags, generation, raw_sha256
          from deliveries join sources on sources.id = source
          where deliveries.scope = ? and state = 'rejected' and length(raw_sha256) > 0 order by 1, 2, 3"""
        rows = self.connection.execute(sql, (self.scope,))
        return [
            (
                Origin(source, path, start, length, size, mtime, at, folder, tuple(labels.split()), flags),
                generation,
                sha,
            )
            for source, path, start, length, size, mtime, at, folder, labels, flags, generation, sha in rows
        ]

    # -------------------------------------------------------------------------------------------- places
    def known(self, place: Seen, fingerprint: Callable[[Any, int], bytes]) -> tuple[int, int | None]:
        """A file on disk -> (its generation, what the walk shall do): None to read all of it, -1 to leave it, else the offset
        from which to go on in a container that was not read to its end, or has grown since.
        """
        source = self.source(place.source)
        if source in self.fresh:
            return 0, None
        key = (self.scope, source, place.path)
        same = (place.size, place.mtime_ns)
        row = self.connection.execute(_CONTAINER, key).get
        if row is not None:
            generation, size, mtime_ns, read_to, complete, fingerprint_then = row
            if (size, mtime_ns) == same:
                return generation, -1 if complete else read_to
            try:
                grown = place.size >= read_to and fingerprint(place, read_to) == fingerprint_then
            except OSError:
                return generation, None  # the walk says why it can't be read
            return (generation, read_to) if grown else (generation + 1, None)
        row = self.connection.execute(_SINGLE, key).get
        if row is None:
            return 0, None
        generation, size, mtime_ns, kept = row
        if not kept:
            return generation, None  # what couldn't be read before is tried again
        return (generation, -1) if (size, mtime_ns) == same else (generation + 1, None)

    def next_generation(self, source: str) -> int:
        """The generation of a source whose content nobody has seen before."""
        sql = "select coalesce(max(generation) + 1, 0) from deliveries where scope = ? and source = ?"
        return int(self.connection.execute(sql, (self.scope, self.source(source))).get)

    def forget(self, place: Seen, generation: int) -> None:
        """The row that says of a container as a whole why nothing (more) could be had of it: it is being read again."""
        key = (self.scope, self.source(place.source), place.path, generation)
        sql = """delete from deliveries where scope = ? and source = ? and path = ? and start = 0 and generation = ?
          and state = 'rejected' and raw_sha256 = x''"""
        self.connection.execute(sql, key)

    def read_to(self, place: Seen, generation: int, upto: int, complete: bool, fingerprint: bytes) -> None:
        """How far a container was read, in the transaction that stores what was read."""
        key = (self.scope, self.source(place.source), place.path, generation)
        row = (*key, place.size, place.mtime_ns, upto, int(complete), fingerprint)
        self.connection.execute("insert or replace into containers values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    # -------------------------------------------------------------------------------------------- raw mail
    def located(self, hashes: Collection[bytes]) -> dict[bytes, Located]:
        sql = "select sha256, pack, frame, size, start, length from raws where sha256 = ?"
        return {sha: Located(*where) for sha, *where in self.connection.executemany(sql, [(h,) for h in hashes])}

    def locate(self, where: Iterable[tuple[bytes, Located]]) -> None:
        rows = sorted((sha, *located) for sha, located in where)
        self.connection.executemany("insert or ignore into raws values (?, ?, ?, ?, ?, ?)", rows)
