"""A deterministic scheduler: the real weave and settle, stopped before every single step that they take on the store.

The store gives as little as `ports` lets it: a rough read may be any old state of each node, and a look is as old as this worker's last
write to the node.

`Steps` stands between them and the store. It splits each batch into calls of one item, as a store may ("each item is atomic,
a batch need not be"), and gives control back before each. An `Actor` is one worker or one settle that goes on step by
step, can be left standing as long as one likes, and can be killed between any two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import Any

from greenlet import greenlet

from mailloom.mail.model import MessageId
from mailloom.ports import (
    ClueItem,
    ClueName,
    ClueNote,
    Edit,
    FeedEntry,
    Fenced,
    KeyItem,
    KeyNote,
    Node,
    NodeName,
    Place,
    Soft,
    Stamp,
    Stated,
    Threads,
    Tie,
)
from mailloom.stores.memory import MemoryThreads


class _Past(dict[NodeName, Node]):
    """Nodes with all that each has ever been: virtual at first."""

    def __init__(self) -> None:
        self.past: dict[NodeName, list[Node]] = {}

    def __setitem__(self, name: NodeName, node: Node) -> None:
        self.past.setdefault(name, [Node(name)]).append(node)
        super().__setitem__(name, node)

    def setdefault(self, name: NodeName, node: Node) -> Node:  # type: ignore[override]
        if name not in self:
            self[name] = node
        return self[name]


class Remembering(MemoryThreads):
    """A store whose nodes can be read as they were at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = _Past()


class Actor:
    """A worker or a settle. `work` gets the store that it is to work on. Of what a rough read could tell, `seed` chooses."""

    def __init__(
        self, name: str, store: MemoryThreads, work: Callable[[Threads], object], *, fine: bool = True, seed: int = 0
    ) -> None:
        self.name = name
        self.taken = 0
        self.fenced = False
        self._greenlet = greenlet(lambda: work(Steps(store, self._stop, fine=fine, old=Random(seed))))
        self._greenlet.switch()  # to just before the first step

    @property
    def ended(self) -> bool:
        return bool(self._greenlet.dead)

    def _stop(self) -> None:
        parent = self._greenlet.parent
        assert parent is not None
        parent.switch()

    def step(self) -> bool:
        """One step on the store and all the thinking up to the next; False where it has ended."""
        if self.ended:
            return False
        self.taken += 1
        try:
            self._greenlet.switch()
        except Fenced:
            self.fenced = True
        return not self.ended

    def run(self, steps: int | None = None) -> bool:
        """So many steps, or to the end; False where it has ended."""
        while not self.ended and steps != 0:
            self.step()
            steps = None if steps is None else steps - 1
        return not self.ended

    def crash(self) -> None:
        """It never goes on: what it has written stays, what it knew is lost."""
        self._greenlet.throw()


class Steps:
    """ports.Threads over a MemoryThreads, one item at a time; `stop` is called before each.

    With `fine` off it stops once before each call instead, which is enough to order calls and has far fewer places to stop at.
    Sets are gone through in order, so that a schedule means the same in every process.
    """

    def __init__(
        self, store: MemoryThreads, stop: Callable[[], None], *, fine: bool = True, old: Random | None = None
    ) -> None:
        self.store = store
        self.stop = stop
        self.fine = fine
        self.old = old or Random(0)
        self.seen: dict[NodeName, Node] = {}

    def session(self) -> AbstractContextManager[None]:
        return nullcontext()

    def lease(self) -> Steps:
        self.stop()
        return Steps(self.store.lease(), self.stop, fine=self.fine, old=self.old)

    def _each(self, items: Iterable[Any]) -> list[list[Any]]:
        """The items, split the way that this store splits a batch."""
        kept = sorted(items) if isinstance(items, set | frozenset | dict) else list(items)
        if self.fine:
            return [[item] for item in kept]
        return [kept] if kept else []

    def _write(self, method: Callable[[Any], object], items: Iterable[Any]) -> None:
        for some in self._each(items):
            self.stop()
            method(some)

    def _changes(self, method: Callable[[Any], Sequence[Any]], items: Iterable[Any]) -> list[Any]:
        answers: list[Any] = []
        for some in self._each(items):
            self.stop()
            answers += method(some)
        return answers

    def _read(self, method: Callable[[Any], Mapping[Any, Any]], names: Collection[Any]) -> dict[Any, Any]:
        answers: dict[Any, Any] = {}
        for some in self._each(set(names)):
            self.stop()
            answers.update(method(some))
        return answers

    def enter(self, names: Collection[NodeName], *, fresh: Collection[NodeName] = ()) -> None:
        self.seen.clear()
        self._write(self.store.enter, names)

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:
        return self._read(self._rough if rough else self.store.nodes, names)

    def _rough(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        now = self.store.nodes(names)
        if not isinstance(self.store.pool, _Past):
            return now
        past = self.store.pool.past
        return {name: self.old.choice([now[name], past[name][0], self.old.choice(past[name])]) for name in now}

    def look(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        """As old as it may be."""
        return {**self._read(self.store.nodes, set(names) - self.seen.keys()), **self._known(names)}

    def _known(self, names: Collection[NodeName]) -> dict[NodeName, Node]:
        return {name: self.seen[name] for name in names if name in self.seen}

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        return self._changes(lambda some: self._seeing(self.store.swing(some), [name for name, _, _ in some]), changes)

    def _seeing(self, answers: Sequence[Any], names: Collection[NodeName]) -> Sequence[Any]:
        self.seen.update(self.store.nodes(names))
        return answers

    def tie(self, ties: Sequence[Tie]) -> Sequence[KeyItem | None]:
        return self._changes(lambda some: self._seeing(self.store.tie(some), [tie.key for tie in some]), ties)

    def stamp(self, stamps: Sequence[Stamp]) -> None:
        self._write(self.store.stamp, stamps)

    def state(self, stated: Sequence[Stated]) -> None:
        """All the evidence first, then each way back to it: in the order that the real stores write them."""
        self._write(lambda some: self._put(some, back=False), stated)
        pairs = [(s, link.key) for s in stated for link in s.links]
        self._write(lambda some: self._put(some, back=True), pairs)

    def _put(self, some: list[Any], *, back: bool) -> None:
        self.store.check()
        for item in some:
            if back:
                self.store.back[item[1]].add(item[0].message)
            else:
                self.store.evidence[item.message] = item

    def stated(self, messages: Collection[MessageId]) -> Mapping[MessageId, Stated]:
        return self._read(self.store.stated, messages)

    def linked(self, keys: Collection[NodeName]) -> Mapping[NodeName, Sequence[MessageId]]:
        return self._read(self.store.linked, keys)

    def note(self, notes: Sequence[KeyNote]) -> Sequence[tuple[KeyItem, KeyItem]]:
        return self._changes(lambda some: self._seeing(self.store.note(some), [note.key for note in some]), notes)

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]:
        return self._read(self.store.keys, names)

    def ask(self, asks: Iterable[tuple[ClueName, MessageId]], *, withdraw: bool = False) -> None:
        self._write(lambda some: self.store.ask(some, withdraw=withdraw), asks)

    def asking(self, clues: Collection[ClueName]) -> Mapping[ClueName, Collection[MessageId]]:
        return self._read(self.store.asking, clues)

    def hint(self, notes: Sequence[ClueNote]) -> Sequence[tuple[ClueItem, ClueItem]]:
        return self._changes(self.store.hint, notes)

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]:
        return self._read(self.store.clues, names)

    def draw(self, rows: Sequence[Soft]) -> None:
        self._write(self.store.draw, rows)

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        return self._changes(self.store.drawn, sorted(set(messages)))

    def mark(self, messages: Collection[MessageId]) -> None:
        self._write(self.store.mark, messages)

    def dirty(self, limit: int) -> Mapping[MessageId, int]:
        self.stop()
        return self.store.dirty(limit)

    def unmark(self, marks: Mapping[MessageId, int]) -> None:
        self._write(lambda some: self.store.unmark(dict(some)), sorted(marks.items()))

    def tell(self, entries: Sequence[FeedEntry]) -> None:
        self._write(self.store.tell, entries)

    def place(self, messages: Collection[MessageId]) -> None:
        self._write(self.store.place, messages)

    def put(self, edit: Edit) -> bool:
        self.stop()
        return self.store.put(edit)

    def undo(self, number: int, at: int) -> None:
        self.stop()
        self.store.undo(number, at)

    def edits(self) -> Sequence[Edit]:
        self.stop()
        return self.store.edits()

    def places(self, names: Iterable[NodeName]) -> Collection[Place]:
        return self._changes(self.store.places, sorted(set(names)))
