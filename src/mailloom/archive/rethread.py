"""Re-threading: derive all threads again from the stored records, by the rules of this version; tell what changes; switch at once.

The rule it keeps: until the switch nobody sees anything of it, after it nobody sees anything else, and it is one write. Records
are read in the order of time and some hundred at a time; both memberships are compared by DuckDB, within a limit of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeAlias

from mailloom.archive.analyse import Analysis
from mailloom.archive.changes import Changes, Side
from mailloom.archive.reading import Archive
from mailloom.mail.model import MessageId
from mailloom.ports import Stated
from mailloom.schema import read_record
from mailloom.stores.sqlite import Connection, SqliteThreads, connect, epochs
from mailloom.stores.sqlite.connection import transaction
from mailloom.thread.encoding import dump_stated
from mailloom.thread.evidence import evidence
from mailloom.thread.keys import RULES
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave
from mailloom.wire import Embedded, now_ms

BATCH = 256  # messages that are read, stated and woven at a time
MEMORY = "400MB"  # for DuckDB, which compares the memberships

Sealed: TypeAlias = list[tuple[MessageId, bytes | None]]
Restated: TypeAlias = list[tuple[MessageId, Stated | None]]
Spread: TypeAlias = Callable[[Callable[[Sealed], Restated], Iterable[Sealed]], Iterable[Restated]]
"""How batches are worked on: builtin map, or one over many processes (run.pool.spread)."""
Progress: TypeAlias = Callable[[int], None]


class Derived(NamedTuple):
    """How many messages were read, and how many of them state now what they didn't before."""

    messages: int
    restated: int


@contextmanager
def rethread(stores: Embedded, *, spread: Spread = map, progress: Progress | None = None) -> Iterator[Changes]:
    """Derive all threads again, give what changes, and switch when the block ends; if it raises, all stays as it was.

    with open_for_writing(folder) as stores, rethread(stores) as changes:
        print(changes.counts)

    `progress` is told how many messages were read. What a stopped run left over, the next one or the next ingest sweeps away.
    """
    connection, scope = stores.connection, stores.scope
    number = epochs.reserve(connection, scope)
    old = SqliteThreads(connection, now_ms, scope, epochs.current(connection, scope))
    new = SqliteThreads(connection, now_ms, scope, number)
    derived = _derive(connection, old, new, spread, progress)
    # One transaction, so that what was compared is what is switched.
    with transaction(connection), Analysis(Archive(stores), memory=MEMORY) as analysis:
        changes = Changes(analysis, Side(connection, old.scope), Side(connection, new.scope), *derived)
        yield changes
        now = now_ms()
        connection.executemany(
            "insert into feed (scope, at, old, new, why) values (?, ?, ?, ?, 'rethread')",
            ((scope, now, was, b"".join(after)) for was, after in changes.renamed()),
        )
        epochs.switch(connection, scope, number, RULES)
    epochs.sweep(connection, scope)
    stores.tidy()


@contextmanager
def preview(archive: Archive, *, spread: Spread = map, progress: Progress | None = None) -> Iterator[Changes]:
    """What `rethread` would change. The archive is only read, in one state of it, and others may write to it meanwhile; the new
    threads are derived in a temporary file.
    """
    with TemporaryDirectory(prefix="mailloom-") as room, Analysis(archive, memory=MEMORY) as analysis:
        aside = connect(Path(room) / "threads.sqlite", write=True, create=True)
        try:
            aside.execute("pragma synchronous=off")
            old = SqliteThreads(
                archive.connection, now_ms, archive.scope, epochs.current(archive.connection, archive.scope)
            )
            new = SqliteThreads(aside, now_ms, archive.scope, 0)
            derived = _derive(archive.connection, old, new, spread, progress)
            yield Changes(analysis, Side(archive.connection, old.scope), Side(aside, new.scope), *derived)
        finally:
            aside.close()


def _derive(
    records: Connection, old: SqliteThreads, new: SqliteThreads, spread: Spread, progress: Progress | None
) -> Derived:
    """Fill an empty epoch from the records. Threads hang on the records, the hand edits and the rules."""
    messages = restated = 0
    with new.session():
        for edit in old.edits():
            new.put(edit)
    for some in spread(state, _sealed(records, new.plain)):
        before = old.stated([message for message, _ in some])
        # A record that can't be read any more is no reason to lose what its message stated.
        stated = [s for message, again in some if (s := again or before.get(message)) is not None]
        with new.session():
            weave(new, stated)
        messages += len(some)
        restated += sum(s.message not in before or dump_stated(before[s.message]) != dump_stated(s) for s in stated)
        if progress:
            progress(messages)
    settle(new)
    return Derived(messages, restated)


def _sealed(connection: Connection, scope: str) -> Iterator[Sealed]:
    """All records in the order of time. No cursor stays open between two batches: it would keep the log from being written back."""
    sql = (
        """select id, body from messages left join bodies using (seq) where scope = ? and id > ? order by id limit ?"""
    )
    last = b""
    while some := [(MessageId(m), body) for m, body in connection.execute(sql, (scope, last, BATCH))]:
        yield some
        last = some[-1][0]


def state(some: Sealed) -> Restated:
    """What messages state by the rules of this version; None where the record is lost or damaged. Pure: worker processes do it."""
    return [(message, _stated(message, body)) for message, body in some]


def _stated(message: MessageId, body: bytes | None) -> Stated | None:
    record = read_record(body) if body is not None else None
    return evidence(record) if record is not None and record.id == message else None
