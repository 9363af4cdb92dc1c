"""An archive in DuckDB: SQL over its tables, and the membership of threads for millions of messages.

Messages are read from the Parquet copy where it lies; what SQLite holds is handed over as Arrow, and only the tables that a
query names. DuckDB then loses all access to other files, so a query can read the archive and nothing else.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from mailloom.archive.reading import Archive
from mailloom.ports import UserError
from mailloom.schema import arrow_line, arrow_schema, unpack
from mailloom.stores.parquet import table as arrow_table
from mailloom.stores.sqlite import Connection
from mailloom.stores.sqlite.epochs import current_key

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

CHUNK = 20_000  # rows that cross from SQLite to DuckDB at a time: bounds memory, and is large enough for Arrow to pay
WAITING_CHUNK = 1_000  # the same for whole records, which are some 10 KB each
MAX_JUMPS = 64  # each jump halves every path, so 2 ** 64 nodes; only a damaged archive has a cycle


class QueryError(UserError):
    """The query is not one that can be answered; the message says what is wrong with it."""


class Answer(NamedTuple):
    """What a query gave: names of columns, and rows as they come."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


TABLES = {
    "messages": "one row a message: all columns of its record, sent (timestamp), thread, topic",
    "threads": "message, thread (its conversation's id), topic",
    "nested": "messages inside messages: message, path, kind, depth, from, date, subject, text, ...",
    "attachments": "message, part, name, type, size, sha256, content_id, inline, inside",
    "segments": "message, kind, start, end, level, rule, confidence",
    "problems": "message, kind, place, detail",
    "people": "key, name, role (from, author, to, cc), mails",
    "deliveries": "one row an arrival: source, path, start, length, state, message, folder, reason, read_at, ...",
    "copies": "the deliveries that have a message",
}
"""The tables of `mailloom sql`, with what a user is told of them."""

_INSIDE = {
    "nested": "select id as message, unnest(nested, recursive := true) from _messages",
    "attachments": "select id as message, unnest(attachments, recursive := true) from _messages",
    "segments": "select id as message, unnest(segments, recursive := true) from _messages",
    "problems": """select message, p.kind as kind, p."where" as place, p.detail as detail
      from (select id as message, unnest(problems) as p from _messages)""",
}
_DELIVERIES = """select sources.name, path, start, length, generation, state, message, raw_sha256, folder, labels, flags, received_at,
  reason, version, read_at, stored_at, cast(trace as text)
  from deliveries join sources on sources.id = deliveries.source where deliveries.scope = ?"""


class Analysis:
    """A DuckDB in memory beside an archive. Everything it is given is of one state of the archive, whoever writes meanwhile."""

    def __init__(self, archive: Archive, memory: str = "") -> None:
        import duckdb

        self.archive, connection = archive, archive.connection
        self.spill = tempfile.TemporaryDirectory(prefix="mailloom-", ignore_cleanup_errors=True)
        config: dict[str, Any] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
            "temp_directory": self.spill.name,
        }
        if memory:
            config["memory_limit"] = memory
        self.duck: duckdb.DuckDBPyConnection = duckdb.connect(config=config)
        self.made: set[str] = set()
        self.began = not connection.in_transaction
        if self.began:
            connection.execute("begin")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.duck.close()
        self.spill.cleanup()
        if self.began and self.archive.connection.in_transaction:
            self.archive.connection.execute("rollback")

    @property
    def epoch(self) -> str:
        """What the column `scope` of the thread tables holds, in the state that is analysed."""
        return current_key(self.archive.connection, self.archive.scope)

    # -------------------------------------------------------------------------------------------- queries
    def ask(self, query: str) -> Answer:
        """Answer one SELECT. Raises QueryError for anything else, and for what DuckDB can't answer."""
        import duckdb

        try:
            self._admit(query)
            self.load(self.duck.get_table_names(query), membership=_wants_membership(query))
            self.lock()
            result = self.duck.execute(query)
            columns = tuple(column[0] for column in result.description or ())
            first = result.fetchmany(CHUNK)
        except duckdb.Error as error:
            raise QueryError(explained(error)) from None
        return Answer(columns, self._rows(first))

    def _rows(self, first: list[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        import duckdb

        rows = first
        while rows:
            yield from rows
            try:
                rows = self.duck.fetchmany(CHUNK)
            except duckdb.Error as error:  # a cast that fails only at a late row
                raise QueryError(explained(error)) from None

    def _admit(self, query: str) -> None:
        import duckdb

        statements = self.duck.extract_statements(query)
        if len(statements) != 1:
            raise QueryError(f"one query at a time, please: this has {len(statements)}. {_known_tables()}")
        if statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            kind = statements[0].type.name
            raise QueryError(f"only queries that read are answered (SELECT, WITH, DESCRIBE ...), this is {kind}")

    def lock(self) -> None:
        """From here on DuckDB opens the archive's Parquet files and nothing else, and no setting can be changed."""
        if "lock" not in self.made:
            self.made.add("lock")
            self.duck.execute(f"set allowed_paths = {_strings(self._files())}")
            self.duck.execute("set enable_external_access = false; set lock_configuration = true")

    # -------------------------------------------------------------------------------------------- tables
    def load(self, names: Collection[str], *, membership: bool = True) -> None:
        """Make the tables of these names; others are left to DuckDB to complain about.

        Without `membership` the table messages lacks thread and topic, which take a pass over all nodes.
        """
        wanted = {name.strip('"').lower() for name in names}
        if "threads" in wanted or ("messages" in wanted and membership):
            self.once("threads", self._threads)
        if "messages" in wanted or not wanted.isdisjoint(_INSIDE):
            self.once("_messages", self._messages)
        if "messages" in wanted:
            more = (
                ", thread, topic from _messages left join threads on message = id" if membership else " from _messages"
            )
            self.once("messages", lambda: self._view("messages", f"select *, epoch_ms(date) as sent{more}"))
        for name in wanted & _INSIDE.keys():
            self.once(name, lambda name=name: self._view(name, _INSIDE[name]))  # type: ignore[misc]
        if "people" in wanted:
            self.once("people", self._people)
        if not wanted.isdisjoint(("deliveries", "copies")):
            self.once("deliveries", self._deliveries)
        if "copies" in wanted:
            self.once("copies", lambda: self._view("copies", "select * from deliveries where message is not null"))

    def once(self, name: str, make: Callable[[], None]) -> None:
        if name not in self.made:
            self.made.add(name)
            make()

    def _view(self, name: str, sql: str) -> None:
        self.duck.execute(f"create view {name} as {sql}")

    def _files(self) -> list[str]:
        root = self.archive.stores.folder.absolute() / "messages"
        rows = self.archive.connection.execute("select name from files order by name")
        return [str(root / name) for (name,) in rows]

    def _messages(self) -> None:
        """The Parquet files, and what an ingest that runs now has not copied yet."""
        sources = []
        if files := self._files():
            sources.append(f"select * from read_parquet({_strings(files)}, hive_partitioning = false)")  # noqa: S608
        if self.archive.stores.waiting() or not files:
            self.fill("_waiting", arrow_schema(), self._waiting())
            sources.append("from _waiting")
        self._view("_all", " union all by name ".join(sources))
        elsewhere = "select 1 from messages where scope <> ? limit 1"
        if self.archive.connection.execute(elsewhere, (self.archive.scope,)).get is None:
            self._view("_messages", "from _all")
            return
        # The Parquet copy holds every scope's messages: take ours, and one of each that two scopes share.
        self._fed("_mine", {"id": "blob"}, "select id from messages where scope = ?")
        self._view("_messages", "select distinct on (id) * from _all where id in (select id::uuid::varchar from _mine)")

    def _waiting(self) -> Iterator[pa.RecordBatch]:
        sql = """select body from messages join bodies using (seq)
          where scope = ? and seq > (select coalesce(max(last), 0) from files) order by seq"""
        bodies = self.archive.connection.cursor().execute(sql, (self.archive.scope,))
        while chunk := list(islice(bodies, WAITING_CHUNK)):
            lines = b"\n".join(arrow_line(unpack(body)) for (body,) in chunk)
            yield from arrow_table(lines).to_batches()

    def _threads(self) -> None:
        self.once("_threads", lambda: self.membership("_threads", self.archive.connection, self.epoch))
        text = ", ".join(f"{name}::uuid::varchar as {name}" for name in ("message", "thread", "topic"))
        self._view("threads", f"select {text} from _threads")  # noqa: S608  constants only

    def membership(self, table: str, connection: Connection, epoch: str) -> None:
        """A table (message, thread, topic) of every message, as 16-byte ids, by the nodes of an epoch, which may lie in another file.

        A message's parent is a message (names of messages are smaller than those of keys, and no parent is larger than its
        child), so paths are followed among messages alone, all at once, each step twice as long as the last.
        """
        named = {"name": "blob", "parent": "blob", "conv": "blob"}
        nodes = "select name, parent, conv from nodes where scope = ? and name < x'01'"
        self._fed("_nodes", named, nodes, connection, epoch)
        for _ in range(MAX_JUMPS):
            self.duck.execute("""create or replace temp table _jumped as
              select n.name, coalesce(p.parent, n.parent) as parent, n.conv, coalesce(p.parent <> n.parent, false) as moved
              from _nodes n left join _nodes p on p.name = n.parent""")
            self.duck.execute("drop table _nodes; alter table _jumped rename to _nodes")
            if not self.duck.execute("select count(*) from _nodes where moved").fetchall()[0][0]:
                break
        subjects = "select id, base_subject from messages where scope = ?"
        self._fed("_subjects", {"id": "blob", "base_subject": "varchar"}, subjects)
        self.duck.execute(f"""create temp table {table} as
          select id as message, thread, min(id) over (partition by thread, base_subject) as topic from (
            select id, base_subject, coalesce(conv, parent, '\\x00'::blob || id)[2:] as thread
            from _subjects left join _nodes on name = '\\x00'::blob || id)""")  # noqa: S608  constants only
        self.duck.execute("drop table _nodes; drop table _subjects")

    def _people(self) -> None:
        columns = {"key": "varchar", "name": "varchar", "role": "varchar", "mails": "bigint"}
        self._fed("people", columns, "select key, name, role, mails from people where scope = ?")

    def _deliveries(self) -> None:
        times = dict.fromkeys(("received_at", "read_at", "stored_at"), "bigint")
        numbers = dict.fromkeys(("start", "length", "generation"), "bigint")
        names = [
            "source",
            "path",
            "start",
            "length",
            "generation",
            "state",
            "message",
            "raw_sha256",
            "folder",
            "labels",
            "flags",
            "received_at",
            "reason",
            "version",
            "read_at",
            "stored_at",
            "trace",
        ]
        columns = dict.fromkeys(names, "varchar") | times | numbers | {"message": "blob", "raw_sha256": "blob"}
        self._fed("_deliveries", columns, _DELIVERIES)
        stamps = ", ".join(f"epoch_ms({name}) as {name}" for name in times)
        ids = "message::uuid::varchar as message, lower(hex(raw_sha256)) as raw_sha256"
        self._view("deliveries", f"select * replace ({ids}, {stamps}) from _deliveries")  # noqa: S608  constants only

    # -------------------------------------------------------------------------------------------- from SQLite
    def _fed(
        self,
        name: str,
        columns: dict[str, str],
        sql: str,
        connection: Connection | None = None,
        scope: str | None = None,
    ) -> None:
        """A DuckDB table out of an SQLite query, which gets the scope as its only parameter."""
        import pyarrow as pa

        kinds = {"blob": pa.binary(), "varchar": pa.string(), "bigint": pa.int64()}
        schema = pa.schema([(column, kinds[kind]) for column, kind in columns.items()])
        given = self.archive.scope if scope is None else scope
        rows = (connection or self.archive.connection).cursor().execute(sql, (given,))

        def batches() -> Iterator[pa.RecordBatch]:
            while chunk := list(islice(rows, CHUNK)):
                arrays = [
                    pa.array(list(column), kind)
                    for column, kind in zip(zip(*chunk, strict=True), schema.types, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

        self.fill(name, schema, batches())

    def fill(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """A DuckDB table of the batches. What fails while they are read is raised as it is, not as DuckDB words it."""
        import duckdb
        import pyarrow as pa

        failed: list[Exception] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as error:
                failed.append(error)
                raise

        self.duck.register("_given", pa.RecordBatchReader.from_batches(schema, watched()))
        try:
            self.duck.execute(f"create temp table {name} as from _given")
        except duckdb.Error:
            if failed:
                raise failed[0] from None
            raise
        self.duck.unregister("_given")


def explained(error: Exception) -> str:
    """DuckDB's message with what a user can do: the tables that there are, where one was not found."""
    text = str(error).strip()
    if "file system operations are disabled" in text:
        return f"{text}\nA query reads this archive and no other file."
    return f"{text}\n{_known_tables()}" if "Catalog Error" in text or "Parser Error" in text else text


def _known_tables() -> str:
    return f'The tables are {", ".join(TABLES)}; `mailloom sql "describe messages"` lists the columns of one.'


_MEMBERSHIP = re.compile(r"thread|topic|columns|\*")


def _wants_membership(query: str) -> bool:
    """Whether a query may look at thread or topic of messages: said generously, as it only saves time."""
    plain = query.lower().replace("count(*)", "")
    return "select" not in plain or _MEMBERSHIP.search(plain) is not None


def _strings(values: Iterable[str]) -> str:
    return "[" + ", ".join("'" + value.replace("'", "''") + "'" for value in values) + "]"


__all__ = ["TABLES", "Analysis", "Answer", "QueryError"]
