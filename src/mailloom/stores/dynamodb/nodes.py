"""Nodes with their key items, and clue items: the half of the threads store that DynamoDB holds.

The rule it keeps: what is known from before is only ever a guess. A guess is good enough for a rough read, which may be old by what ports
say, and as the old value of a compare-and-set, which fails where the guess is wrong. Everything else is read strongly, in the call.

- A node without an item is its own parent; `enter` writes nothing, so a message that begins its thread costs no write.
- A change is computed from the guess and written where the item is, byte for byte, as guessed. That is a strong read of the
  item, too, at that instant. Refused, it is computed again from what is there. Where a change would change nothing there is
  nothing to write that would prove the guess, so the item is read strongly, in the call.
- The guess is what this batch met last (`_known`), else the cache's, else an eventually consistent read; of what is `fresh`, and of
  clues that hardly anybody shares, that it is absent.
- `look` answers from the last change of a name in this batch, or from the strong read that took its place: thread/weave.py says why
  that is late enough, tests/faults/schedule.py plays stores that are as old as this one may be. `enter` begins a batch: what was known is forgotten.

One object serves one thread of work at a time; threads take one each, over one `Dynamo`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import Protocol, TypeVar

from botocore.exceptions import ClientError

from mailloom.ports import (
    ClueItem,
    ClueName,
    ClueNote,
    Fenced,
    KeyItem,
    KeyNote,
    Node,
    NodeName,
    Stamp,
    Tie,
    Transient,
)
from mailloom.stores.dynamodb.items import State, pack, pack_clue, unpack, unpack_clue
from mailloom.stores.dynamodb.statements import FENCED, Change, Dynamo, parts
from mailloom.stores.dynamodb.tables import CLUES, NODES, scope_key
from mailloom.thread.clues import is_shared
from mailloom.thread.keys import hinted, noted, stamped

LEASE = b"\x02lease"
"""Not the name of any node."""
CLUE_DAYS = 90
"""How long a clue item stays after it was last written."""
ROUNDS = 60
"""Compare-and-sets that may lose against others: each time somebody wins, so only a busy item needs many."""
FIRST_WAIT, LONGEST_WAIT = 0.002, 0.25  # seconds between them, with full jitter
DAY_S = 86_400

Key = TypeVar("Key")
Value = TypeVar("Value")
Apply = Callable[[bytes, bytes], bytes | None]
"""(name, value that is there) -> the new value, None for no change. Called again where the value was another one."""


class Cache(Protocol):
    """What was known of items not long ago, by key; b"" is absent. It may forget or be old, and never raises."""

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]: ...
    def put(self, values: Mapping[bytes, bytes]) -> None: ...


class DynamoNodes:
    """Implements ports.Pools, ports.Keys and the items of ports.Clues, for one scope. `clock` gives ms since 1970 UTC.

    A view that `leased` gives raises Fenced on writes once a larger number was leased.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        clock: Callable[[], int],
        scope: str = "",
        *,
        cache: Cache | None = None,
        clue_days: int = CLUE_DAYS,
        lease: int | None = None,
    ) -> None:
        self.dynamo, self.clock, self.scope, self.cache, self.clue_days, self.lease = (
            dynamo,
            clock,
            scope,
            cache,
            clue_days,
            lease,
        )
        self._prefix = scope_key(scope)
        self._known: dict[bytes, bytes] = {}  # by name: nodes and clues have names of different lengths
        self._proved: set[bytes] = set()

    @contextmanager
    def session(self) -> Iterator[None]:
        """No transaction: it only forgets what was known."""
        self._forget()
        yield
        self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._proved.clear()

    # -------------------------------------------------------------------------------------------- the lease
    def leased(self, number: int) -> DynamoNodes:
        """Take the lease with a number that nobody had. Raises Fenced where a larger one was leased already."""
        try:
            self.dynamo.call(
                "update_item",
                TableName=self.dynamo.prefix + NODES,
                Key={"k": {"B": self._prefix + LEASE}},
                UpdateExpression="SET n = :n",
                ConditionExpression="attribute_not_exists(n) OR n <= :n",
                ExpressionAttributeValues={":n": {"N": str(number)}},
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise Fenced(f"settle {number} was overtaken before it began") from None
        self.dynamo.spent.add(self.dynamo.spent.written, NODES, 1)
        return DynamoNodes(
            self.dynamo, self.clock, self.scope, cache=self.cache, clue_days=self.clue_days, lease=number
        )

    def _check(self) -> None:
        """For calls that have nothing to write: writes check the lease themselves."""
        if self.lease is None:
            return
        key = {"k": {"B": self._prefix + LEASE}}
        answer = self.dynamo.call("get_item", TableName=self.dynamo.prefix + NODES, Key=key, ConsistentRead=True)
        self.dynamo.spent.add(self.dynamo.spent.read, NODES, 1)
        if int(answer["Item"]["n"]["N"]) != self.lease:
            raise Fenced(f"settle {self.lease} was overtaken by settle {answer['Item']['n']['N']}")

    # -------------------------------------------------------------------------------------------- pools
    def enter(self, names: Collection[NodeName], *, fresh: Collection[NodeName] = ()) -> None:  # noqa: ARG002
        self._check()
        self._forget()
        self._known.update((name, b"") for name in fresh)

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:
        if rough:
            self._guess(NODES, names)
        else:
            self._read(NODES, names)
        return {name: unpack(name, self._known[name]).node for name in names}

    def look(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        self._read(NODES, [name for name in names if name not in self._proved])
        return {name: unpack(name, self._known[name]).node for name in names}

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        done = [False] * len(changes)
        by_name = _grouped((name, (at, old, new)) for at, (name, old, new) in enumerate(changes))

        def apply(name: bytes, value: bytes) -> bytes | None:
            state = before = unpack(name, value)
            for at, old, new in by_name[name]:
                done[at] = state.node.parent == old
                if done[at]:
                    state = state._replace(node=state.node._replace(parent=new))
            return None if state == before else pack(name, state)

        self._change(NODES, list(by_name), apply)
        return done

    def tie(self, ties: Sequence[Tie]) -> Sequence[KeyItem | None]:
        items: dict[NodeName, KeyItem | None] = {}
        by_name = {tie.key: tie for tie in ties}

        def apply(name: bytes, value: bytes) -> bytes | None:
            node, item = unpack(name, value)
            alone = node.parent == name
            items[name] = reduce(noted, by_name[name].notes, item) if alone else None
            return pack(name, State(node._replace(parent=by_name[name].parent), items[name] or item)) if alone else None

        self._change(NODES, list(by_name), apply)
        return [items[tie.key] for tie in ties]

    def stamp(self, stamps: Sequence[Stamp]) -> None:
        by_name = _grouped((stamp.node, stamp) for stamp in stamps)

        def apply(name: bytes, value: bytes) -> bytes | None:
            state = before = unpack(name, value)
            for stamp in by_name[name]:
                state = state._replace(node=stamped(state.node, stamp))
            return None if state == before else pack(name, state)

        self._change(NODES, list(by_name), apply)

    # -------------------------------------------------------------------------------------------- key items
    def note(self, notes: Sequence[KeyNote]) -> Sequence[tuple[KeyItem, KeyItem]]:
        answers: dict[int, tuple[KeyItem, KeyItem]] = {}
        by_name = _grouped((note.key, (at, note)) for at, note in enumerate(notes))

        def apply(name: bytes, value: bytes) -> bytes | None:
            node, item = before = unpack(name, value)
            for at, note in by_name[name]:
                answers[at] = item, noted(item, note)
                item = answers[at][1]
            return None if item == before.item else pack(name, State(node, item))

        self._change(NODES, list(by_name), apply)
        return [answers[at] for at in range(len(notes))]

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]:
        self._read(NODES, names)
        items = {name: unpack(name, self._known[name]).item for name in names}
        return {name: item for name, item in items.items() if item != KeyItem()}

    # -------------------------------------------------------------------------------------------- clue items
    def hint(self, notes: Sequence[ClueNote]) -> Sequence[tuple[ClueItem, ClueItem]]:
        answers: dict[int, tuple[ClueItem, ClueItem]] = {}
        by_name = _grouped((note.clue, (at, note)) for at, note in enumerate(notes))

        def apply(name: bytes, value: bytes) -> bytes | None:
            item = before = unpack_clue(value)
            for at, note in by_name[name]:
                answers[at] = item, hinted(item, note)
                item = answers[at][1]
            return None if item == before else pack_clue(item)

        self._change(CLUES, list(by_name), apply)
        return [answers[at] for at in range(len(notes))]

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]:
        self._read(CLUES, names)
        return {name: unpack_clue(self._known[name]) for name in names if self._known[name]}

    # -------------------------------------------------------------------------------------------- reading
    def _read(self, table: str, names: Collection[bytes]) -> None:
        """Strongly, into what is known."""
        if not names:
            return
        found = self.dynamo.read(table, [self._prefix + name for name in dict.fromkeys(names)])
        self._known.update((name, found.get(self._prefix + name, b"")) for name in names)

    def _guess(self, table: str, names: Collection[bytes]) -> None:
        """What these are, or were: from what is known, the cache, a read that may be old, in this order."""
        missing = [name for name in dict.fromkeys(names) if name not in self._known]
        if table == CLUES:
            self._known.update((name, b"") for name in missing if not is_shared(name))
            missing = [name for name in missing if is_shared(name)]
        if missing and self.cache is not None:
            cached = self.cache.get([self._prefix + name for name in missing])
            self._known.update((key[len(self._prefix) :], value) for key, value in cached.items())
            missing = [name for name in missing if name not in self._known]
        if missing:
            found = self.dynamo.read(table, [self._prefix + name for name in missing], strong=False)
            self._known.update((name, found.get(self._prefix + name, b"")) for name in missing)
            self._remember(missing)

    def _remember(self, names: Iterable[bytes]) -> None:
        """In the cache, for others: keys and roots are met again, of clues those that many share."""
        if self.cache is not None:
            self.cache.put({self._prefix + name: self._known[name] for name in names})

    # -------------------------------------------------------------------------------------------- changing
    def _change(self, table: str, names: Sequence[bytes], apply: Apply) -> None:
        """Apply a change to each item, atomically: what `apply` was called with last is what was there, in this call.

        Under a lease the items are written in the order of names, some at a time: settle's order of stamps matters where it dies.
        """
        if not names:
            self._check()
        self._guess(table, names)
        size = len(names) if self.lease is None else FENCED
        for some in parts(names, max(size, 1)):
            self._change_some(table, some, apply)
        self._remember(n for n in names if (is_shared(n) if table == CLUES else n[0] == 1))

    def _change_some(self, table: str, names: list[bytes], apply: Apply) -> None:
        sure: set[bytes] = set()  # read in this call, or brought by a refusal
        todo = names
        for turn in range(ROUNDS):
            if turn > 1:
                self.dynamo.sleep(self.dynamo.dice() * min(LONGEST_WAIT, FIRST_WAIT * 2.0**turn))
            until = self.clock() // 1000 + self.clue_days * DAY_S if table == CLUES else None
            changes, same = [], []
            for name in todo:
                old = self._known[name]
                new = apply(name, old)
                if new is not None:
                    changes.append(Change(self._prefix + name, old, new, until))
                elif name not in sure:
                    same.append(name)
            todo = self._write(table, changes, sure) + self._confirm(table, same, sure)
            if not todo:
                break
        else:
            raise Transient(f"{len(todo)} items of {self.dynamo.prefix}{table} are changed by others all the time")
        if table == NODES:
            self._proved.update(names)

    def _write(self, table: str, changes: Sequence[Change], sure: set[bytes]) -> list[bytes]:
        """The names of those that must be computed again: now it is known what is there."""
        if not changes:
            return []
        if self.lease is None:
            refused = self.dynamo.write(table, changes)
            again = [change for change in changes if change.key in refused]
        else:
            refused = self.dynamo.write_fenced(table, changes, (NODES, self._prefix + LEASE, self.lease))
            again = list(changes) if refused else []  # all or none
        at = len(self._prefix)
        open_ = {change.key for change in again}
        self._known.update((c.key[at:], c.new) for c in changes if c.key not in open_)
        told = {key[at:]: value for key, value in refused.items() if value is not None}
        self._known.update(told)
        untold = [key[at:] for key, value in refused.items() if value is None]
        self._read(table, untold)
        sure.update(told, untold)
        return [change.key[at:] for change in again]

    def _confirm(self, table: str, names: Sequence[bytes], sure: set[bytes]) -> list[bytes]:
        """The same for those that the guess says need no change: the names where it was wrong."""
        if not names:
            return []
        if self.lease is not None:
            self._check()
        guessed = {name: self._known[name] for name in names}
        self._read(table, names)
        sure.update(names)
        return [name for name in names if self._known[name] != guessed[name]]


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return groups
