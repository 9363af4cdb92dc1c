"""The server profile's stores over a real PostgreSQL, with nodes in memory that others can share."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from mailloom.mail.model import MessageId
from mailloom.ports import Fenced
from mailloom.stores.memory import MemoryThreads
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.migrate import migrate
from mailloom.stores.postgres.partitions import make
from mailloom.stores.postgres.scoped import Scoped
from mailloom.wire.servers import Nodes, ServerThreads


class MemoryNodes(MemoryThreads):
    """Implements wire.servers.Nodes."""

    def leased(self, number: int) -> MemoryNodes:
        self.counters["lease"] = max(number, self.counters["lease"])

        def check() -> None:
            if self.counters["lease"] > number:
                raise Fenced(f"settle {number} was overtaken by settle {self.counters['lease']}")

        return MemoryNodes(self, check)


def database(url: str, first: int = 202301, last: int = 202312) -> Connections:
    """A database with tables, and partitions for a year."""
    connections = Connections(url, size=12)
    migrate(connections)
    make(connections, first, last)
    return connections


def threads_in(
    connections: Connections, scope: str = "", nodes: Nodes | None = None, clock: Callable[[], int] = lambda: 0
) -> ServerThreads:
    return ServerThreads(nodes or MemoryNodes(), Scoped(connections, scope, clock))


def placed(connections: Connections, scope: str = "") -> dict[MessageId, MessageId]:
    """The conversations that readers see."""
    with connections.take() as connection:
        query = "select message, conversation from conversations where scope = %s"
        return {MessageId(m): MessageId(c) for m, c in connection.execute(query, (scope,), binary=True)}


class LockedNodes(MemoryNodes):
    """The same for several threads: each call is atomic."""

    def __init__(self, shared: MemoryThreads | None = None, check: Callable[[], None] = lambda: None) -> None:
        self.lock = RLock()
        super().__init__(shared, check)

    def leased(self, number: int) -> LockedNodes:
        return LockedNodes(self, super().leased(number).check)


def _one_at_a_time(name: str) -> Callable[..., Any]:
    method = getattr(MemoryNodes, name)

    def locked(self: LockedNodes, *values: Any, **named: Any) -> Any:
        with self.lock:
            return method(self, *values, **named)

    return locked


for _name in ("enter", "nodes", "look", "swing", "tie", "stamp", "note", "keys", "hint", "clues"):
    setattr(LockedNodes, _name, _one_at_a_time(_name))
