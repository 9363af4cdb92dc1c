"""The embedded archive, a folder, put together from its stores.

ARCHIVE/archive.sqlite        ledger, messages, threads, full text
ARCHIVE/messages/month=*/     the Parquet copy
ARCHIVE/raw/*.zst             the bytes as they came
ARCHIVE/lock                  held by the one who writes
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Copy, Frame
from mailloom.schema import unpack
from mailloom.stores import parquet
from mailloom.stores.files import Packs
from mailloom.stores.sqlite import ArchiveError, Connection, SqliteRecords, SqliteThreads, connect, epochs, told
from mailloom.stores.sqlite.connection import BUSY_MS
from mailloom.stores.sqlite.reading import SqliteReader
from mailloom.stores.sqlite.search import SqliteFinder
from mailloom.thread.keys import RULES
from mailloom.wire.clock import now_ms

FIRST_MONTH, LAST_MONTH = 1980, 2040
"""Years that get a Parquet partition a month; what is dated outside goes to month=other."""

_MONTH = f"""case when date >= unixepoch('{FIRST_MONTH}-01-01') * 1000 and date < unixepoch('{LAST_MONTH}-01-01') * 1000
  then strftime('%Y-%m', date / 1000, 'unixepoch') else '{parquet.OTHER}' end"""

TIDY_MS = 1_000  # how long the end of a run waits for readers of an older state


class EmbeddedRaws:
    """Implements ports.Raws: packs on disk, their index in the database."""

    def __init__(self, packs: Packs, records: SqliteRecords) -> None:
        self.packs, self.records = packs, records

    def keep(self, frames: Sequence[Frame]) -> None:
        known = self.records.located({sha for frame in frames for sha, _, _ in frame.mails})
        new = [frame for frame in frames if any(sha not in known for sha, _, _ in frame.mails)]
        self.records.locate(self.packs.append(new))


class Embedded:
    """The stores of one archive folder, for one scope. Implements flow.commit.Stores."""

    def __init__(self, folder: Path, connection: Connection, scope: str = "") -> None:
        self.folder, self.connection, self.scope = folder, connection, scope
        self.threads = SqliteThreads(connection, now_ms, scope)
        self.records = SqliteRecords(connection, now_ms, scope)
        self.messages = self.records
        self.ledger = self.records
        self.packs = Packs(folder / "raw")
        self.raws = EmbeddedRaws(self.packs, self.records)
        self.reader = SqliteReader(connection, scope)
        self.finder = SqliteFinder(connection, scope)

    @contextmanager
    def unit(self) -> Iterator[None]:
        """One transaction over everything; the pack is rewound with it."""
        mark = self.packs.number, self.packs.end
        try:
            with self.threads.session():
                yield
        except BaseException:
            self.packs.rewind(*mark)
            raise

    # -------------------------------------------------------------------------------------------- the Parquet copy
    def waiting(self) -> int:
        """Messages that are not in Parquet yet."""
        last = self.connection.execute("select max(seq) from messages").get or 0
        return int(last - self._copied())

    def _copied(self) -> int:
        return int(self.connection.execute("select max(last) from files").get or 0)

    def copy(self) -> None:
        """Write the waiting messages to Parquet, by month, and name the files. A crash leaves either all of it or none."""
        first, last = self._copied() + 1, self.connection.execute("select max(seq) from messages").get or 0
        if last < first:
            return
        root = self.folder / "messages"
        written = parquet.write(root, self._rows(first, int(last)), f"{first:010}-{last:010}")
        with self.threads.session():
            self.connection.executemany(
                "insert or replace into files values (?, ?, ?, ?, ?)", [(*w, first, last) for w in written]
            )
            self.records.sketches.pack()
        self._sweep(root)

    def _rows(self, first: int, last: int) -> Iterator[tuple[str, bytes]]:
        sql = f"""select {_MONTH} as month, seq from messages where seq between ? and ?
          order by month, id, scope"""  # noqa: S608  constants only
        body = self.connection.cursor()
        for month, seq in self.connection.execute(sql, (first, last)):
            yield month, unpack(body.execute("select body from bodies where seq = ?", (seq,)).get)

    def _sweep(self, root: Path) -> None:
        """Remove Parquet files that a crash left unnamed."""
        named = {row[0] for row in self.connection.execute("select name from files")}
        for path in root.glob("month=*/*"):
            if str(path.relative_to(root)) not in named:
                path.unlink()

    def tidy(self) -> None:
        """Bring the write-ahead log into the database, as far as readers let it: a long one is not waited for."""
        self.connection.set_busy_timeout(TIDY_MS)
        self.connection.execute("pragma wal_checkpoint(truncate)")
        self.connection.set_busy_timeout(BUSY_MS)

    # -------------------------------------------------------------------------------------------- epochs of threads
    def sweep(self) -> None:
        """Take away what a re-thread that was stopped left over: threads that don't count."""
        epochs.sweep(self.connection, self.scope)

    def outdated(self) -> str:
        """In words, if the threads were derived by other rules than this version's; else ""."""
        made_by = epochs.rules(self.connection, self.scope)
        if made_by in (RULES, None):
            return ""
        return f"threads were derived by rules {made_by or 'without a version'}, this mailloom has rules {RULES}"

    # -------------------------------------------------------------------------------------------- rejected mail
    def rejected(self, size: int) -> Iterator[list[tuple[Origin, int, bytes]]]:
        """Rejected mail whose bytes were kept, `size` at a time: origin, generation of its place, bytes."""
        found = self.records.rejected()
        for start in range(0, len(found), size):
            some = []
            for origin, generation, sha in found[start : start + size]:
                if where := self.records.located([sha]):
                    some.append((origin, generation, self.packs.read(sha, where[sha])))
            yield some

    # -------------------------------------------------------------------------------------------- where a mail is
    def raw(self, copy: Copy) -> bytes | None:
        """The bytes of a delivery; None where they aren't kept. Raises RawError where they are lost."""
        where = self.records.located([copy.raw_sha256]).get(copy.raw_sha256)
        return None if where is None else self.packs.read(copy.raw_sha256, where)

    def raw_at(self, copy: Copy) -> str:
        """Where those are, for people; "" where they aren't kept."""
        where = self.records.located([copy.raw_sha256]).get(copy.raw_sha256)
        if where is None:
            return ""
        return f"raw/{where.pack:06}.zst, frame at {where.frame:,}, bytes {where.start:,}-{where.start + where.length:,} inside"

    def analysed_at(self, message: MessageId) -> str:
        """Where the Parquet copy of a message is, for people; "" for a message that is not there."""
        sql = f"select seq, {_MONTH} from messages where scope = ? and id = ?"  # noqa: S608  constants only
        row = self.connection.execute(sql, (self.scope, message)).fetchone()
        if row is None:
            return ""
        name = self.connection.execute(
            "select name from files where first <= ?1 and last >= ?1 and month = ?2", row
        ).get
        return f"messages/{name}" if name else "not yet: the next ingest, or the end of the running one, writes it"

    # -------------------------------------------------------------------------------------------- figures
    def count(self) -> int:
        return int(self.connection.execute("select count(*) from messages where scope = ?", (self.scope,)).get)

    def conversations(self) -> int:
        """How many conversations there are: those that are named, and the pools whose root names them."""
        sql = """select (select count(distinct conv) from nodes where scope = ?1 and conv is not null and name < x'01')
          + (select count(*) from nodes where scope = ?1 and parent = name and conv is null and name < x'01')"""
        with self.connection:
            count = self.connection.execute(sql, (self.threads.scope,)).get
        return int(count)

    def disk(self) -> int:
        """Bytes of the archive's files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def close(self) -> None:
        self.connection.close()


@contextmanager
def open_for_writing(folder: Path, scope: str = "") -> Iterator[Embedded]:
    """Open an archive, made where it is absent, as its only writer. Raises ArchiveError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _own(folder)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ArchiveError(
            f"{folder} can't be used as an archive: {error.strerror}; check the path and its permissions (a folder is wanted)"
        ) from None
    try:
        with told(folder):
            _hold(lock, folder)
            stores = Embedded(folder, connect(folder / "archive.sqlite", write=True, create=True), scope)
            try:
                epochs.begin(stores.connection, scope, RULES)
                pack, end = stores.connection.execute(
                    "select pack, max(frame + size) from raws where pack = (select max(pack) from raws)"
                ).get or (1, 0)
                stores.packs.open(pack or 1, end or 0)
                yield stores
            finally:
                stores.close()
    finally:
        os.close(lock)


def _own(folder: Path) -> None:
    """An archive is made in a folder of its own: among mail it would be a source of itself, and among anything else not be told apart from it."""
    names = {path.name for path in folder.iterdir()}
    other = sorted(name for name in names - {"lock"} if not name.startswith("."))
    if other and "archive.sqlite" not in names:
        raise ArchiveError(
            f"{folder} is no archive and not empty ({other[0]} is in it): give the archive a folder of its own by --archive"
        )


def _hold(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise ArchiveError(
            f"another mailloom (process {holder}) is writing to {folder}: wait for it to end, or use another --archive"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def open_for_reading(folder: Path, scope: str = "") -> Embedded:
    """Open an archive that exists, while others read or write it. Raises ArchiveError."""
    return Embedded(folder, connect(folder / "archive.sqlite", write=False), scope)
