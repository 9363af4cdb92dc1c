"""One scope of a database: how every statement of this store reaches it, and how rows get there in bulk.

The rule it keeps: a write under a lease checks the lease's number in its own transaction, with a lock that who takes the lease must wait
for; so either the write is there before the next lease begins, or it raises Fenced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from psycopg import sql

from mailloom.ports import Fenced
from mailloom.stores.postgres.connection import Connection, Connections

LEASE = "settle"
_HELD = "select number from leases where scope = %s and name = %s for share"


class Asked(Protocol):
    """What is asked for rows of one scope: who writes asks the writer, who reads a snapshot of the reader endpoint (snapshot.py)."""

    scope: str

    def rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]: ...


class Stage(NamedTuple):
    """A temporary table that rows are copied into: its columns and their types, as `name type, name type`."""

    name: str
    columns: str

    @property
    def types(self) -> list[str]:
        return [column.split()[1] for column in self.columns.split(", ")]


class Scoped:
    """The connections, the scope that they work on, a clock (ms since 1970 UTC), and the number of the lease, if one was taken."""

    def __init__(
        self, connections: Connections, scope: str, clock: Callable[[], int], lease: int | None = None
    ) -> None:
        self.connections, self.scope, self.clock, self.lease = connections, scope, clock, lease

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A short transaction that writes. Raises Fenced where the lease was lost."""
        with self.connections.take() as connection, connection.transaction():
            if self.lease is not None:
                row = connection.execute(_HELD, (self.scope, LEASE)).fetchone()
                if row != (self.lease,):
                    raise Fenced(f"settle {self.lease} was overtaken by settle {row[0] if row else 'nobody'}")
            yield connection

    def write(self, statement: str, values: Sequence[Any]) -> None:
        """One statement, in a transaction of its own. `values` are as psycopg takes them."""
        if self.lease is not None:
            with self.transaction() as connection:
                connection.execute(statement.encode(), values)
        else:
            with self.connections.take() as connection:
                connection.execute(statement.encode(), values)

    def rows(self, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        with self.connections.take() as connection:
            return connection.execute(statement.encode(), values, binary=True).fetchall()

    def leased(self) -> Scoped:
        """Take the lease: a view on the same whose writes raise Fenced once somebody else has taken it."""
        statement = """insert into leases (scope, name, number) values (%s, %s, 1)
          on conflict (scope, name) do update set number = leases.number + 1 returning number"""
        number = self.rows(statement, (self.scope, LEASE))[0][0]
        return Scoped(self.connections, self.scope, self.clock, int(number))


def stage(connection: Connection, into: Stage, rows: Iterable[Sequence[Any]]) -> None:
    """Copy rows into a temporary table that goes with the transaction. Inside a transaction, once for each table."""
    table = sql.Identifier(into.name)
    create = "create temporary table {} ({}) on commit drop"
    connection.execute(sql.SQL(create).format(table, sql.SQL(into.columns)))
    with connection.cursor().copy(sql.SQL("copy {} from stdin (format binary)").format(table)) as copy:
        copy.set_types(into.types)
        for row in rows:
            copy.write_row(row)


def storable(text: str) -> str:
    """What PostgreSQL's text can hold: no NUL, no lone surrogate."""
    if "\0" in text:
        text = text.replace("\0", " ")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
