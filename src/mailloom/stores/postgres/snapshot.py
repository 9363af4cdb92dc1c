"""How readers reach a database: each call by itself, or many of them in one state of it.

One thread at a time: a snapshot is a transaction of one connection, which every call inside it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mailloom.stores.postgres.connection import Connection, Connections

CHUNK = 2000  # rows that cross at a time where all are read: bounds memory
# Who reads all of an archive, or prints it into a pager, may take his time. Vacuum waits for him, so not for ever.
_PATIENCE = """select set_config('statement_timeout', '3600s', true), set_config('idle_in_transaction_session_timeout', '3600s', true)"""

Values = Sequence[Any] | Mapping[str, Any]


class Snapshot:
    """The connections of a reader endpoint and a scope. Raises Transient and UserError as connection.py tells them."""

    def __init__(self, connections: Connections, scope: str) -> None:
        self.connections, self.scope = connections, scope
        self.held: Connection | None = None
        self.cursors = 0

    @contextmanager
    def take(self) -> Iterator[Connection]:
        """The snapshot's connection, or any outside of one."""
        if self.held is not None:
            yield self.held
            return
        with self.connections.take() as connection:
            yield connection

    @contextmanager
    def hold(self) -> Iterator[None]:
        """One state of the database for all calls inside. May be nested."""
        if self.held is not None:
            yield
            return
        with self.connections.take() as connection:
            connection.execute("begin isolation level repeatable read, read only")
            try:
                connection.execute(_PATIENCE)
                self.held = connection
                yield
            finally:
                self.held = None
                if not connection.closed:
                    connection.rollback()

    def rows(self, statement: str, values: Values) -> list[tuple[Any, ...]]:
        """The answer to a query."""
        with self.take() as connection:
            return connection.execute(statement.encode(), values, binary=True).fetchall()

    def each(self, statement: str, values: Values) -> Iterator[tuple[Any, ...]]:
        """The answer to a query, CHUNK rows in memory. Outside of a snapshot it is one of its own, for as long as it is read."""
        with self.hold():
            assert self.held is not None
            self.cursors += 1
            with self.held.cursor(name=f"reading_{self.cursors}", binary=True) as cursor:
                cursor.itersize = CHUNK
                yield from cursor.execute(statement.encode(), values)
