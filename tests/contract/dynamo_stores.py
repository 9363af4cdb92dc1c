"""Threads with their nodes and items in DynamoDB, and the rest in memory behind a lock, for tests that need no PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any

from mailloom.stores.dynamodb import DynamoNodes
from mailloom.stores.dynamodb.items import unpack, unpack_clue
from mailloom.stores.dynamodb.tables import CLUES, NODES
from mailloom.stores.memory import MemoryThreads

IN_DYNAMODB = ("enter", "nodes", "look", "swing", "tie", "stamp", "note", "keys", "hint", "clues", "session")
IN_MEMORY = [
    "state",
    "stated",
    "linked",
    "ask",
    "asking",
    "draw",
    "drawn",
    "mark",
    "dirty",
    "unmark",
    "tell",
    "place",
    "put",
    "undo",
    "edits",
    "places",
]


class Halves:
    """Implements ports.Threads: `nodes` is one worker's, `rest` and its lock are everybody's."""

    def __init__(self, nodes: DynamoNodes, rest: MemoryThreads | None = None, lock: Any = None) -> None:
        self.part, self.rest, self.lock = nodes, rest or MemoryThreads(), lock or RLock()
        for name in IN_DYNAMODB:
            setattr(self, name, getattr(nodes, name))
        for name in IN_MEMORY:
            setattr(self, name, self._locked(getattr(self.rest, name)))

    def _locked(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            with self.lock:
                return method(*arguments, **named)

        return call

    def beside(self, nodes: DynamoNodes) -> Halves:
        """Another worker's view."""
        return Halves(nodes, self.rest, self.lock)

    def lease(self) -> Halves:
        with self.lock:
            rest = self.rest.lease()
            number = rest.counters["lease"]
        return Halves(self.part.leased(number), rest, self.lock)

    def in_memory(self) -> MemoryThreads:
        """All of it as a store in memory, to be looked at."""
        dynamo, prefix = self.part.dynamo, self.part._prefix
        copy = MemoryThreads()
        copy.__dict__.update(
            {k: v for k, v in self.rest.__dict__.items() if k not in ("pool", "key_items", "clue_items", "check")}
        )
        names = {b"\x00" + m for m in copy.evidence} | copy.back.keys()
        clues = {c for s in copy.evidence.values() for c in (*s.owns, *(a.clue for a in s.asks))}
        found = dynamo.read(NODES, [prefix + name for name in names])
        for name in names:
            state = unpack(name, found.get(prefix + name, b""))
            copy.pool[name], copy.key_items[name] = state
        for key, value in dynamo.read(CLUES, [prefix + clue for clue in clues]).items():
            copy.clue_items[key[len(prefix) :]] = unpack_clue(value)
        return copy
