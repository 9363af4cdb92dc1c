"""The threads store in memory: small, for tests and for trying things out; every call is atomic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

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
    Tie,
)
from mailloom.thread.edits import places_of
from mailloom.thread.keys import hinted, noted, stamped


def _free() -> None:
    """No lease was taken: anybody may write."""


class MemoryThreads:
    """Implements ports.Threads. `check` runs before every write: a leased view's raises Fenced."""

    def __init__(self, shared: MemoryThreads | None = None, check: Callable[[], None] = _free) -> None:
        self.check = check
        if shared is not None:
            self.__dict__.update({**shared.__dict__, "check": check})
            return
        self.pool: dict[NodeName, Node] = {}
        self.evidence: dict[MessageId, Stated] = {}
        self.back: dict[NodeName, set[MessageId]] = defaultdict(set)
        self.key_items: dict[NodeName, KeyItem] = {}
        self.clue_items: dict[ClueName, ClueItem] = {}
        self.ask_rows: dict[ClueName, set[MessageId]] = defaultdict(set)
        self.soft_rows: dict[tuple[MessageId, MessageId], Soft] = {}
        self.marks: dict[MessageId, int] = {}
        self.feed: list[FeedEntry] = []
        self.edit_rows: dict[int, Edit] = {}
        self.counters = {"mark": 0, "lease": 0}

    def session(self) -> AbstractContextManager[None]:
        return nullcontext()

    def lease(self) -> MemoryThreads:
        self.counters["lease"] += 1
        mine = self.counters["lease"]

        def check() -> None:
            if self.counters["lease"] != mine:
                raise Fenced(f"settle {mine} was overtaken by settle {self.counters['lease']}")

        return MemoryThreads(self, check)

    def enter(self, names: Collection[NodeName], *, fresh: Collection[NodeName] = ()) -> None:  # noqa: ARG002
        self.check()
        for name in names:
            self.pool.setdefault(name, Node(name))

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:  # noqa: ARG002
        return {name: self.pool[name] for name in names if name in self.pool}

    def look(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        return self.nodes(names)

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        self.check()
        done = []
        for name, old, new in changes:
            node = self.pool[name]
            done.append(node.parent == old)
            if node.parent == old:
                self.pool[name] = node._replace(parent=new)
        return done

    def tie(self, ties: Sequence[Tie]) -> Sequence[KeyItem | None]:
        self.check()
        items: list[KeyItem | None] = []
        for tie in ties:
            (done,) = self.swing([(tie.key, tie.key, tie.parent)])
            if done:
                self.note(tie.notes)
            items.append(self.key_items.get(tie.key, KeyItem()) if done else None)
        return items

    def stamp(self, stamps: Sequence[Stamp]) -> None:
        self.check()
        for stamp in stamps:
            self.pool[stamp.node] = stamped(self.pool[stamp.node], stamp)

    def state(self, stated: Sequence[Stated]) -> None:
        self.check()
        for s in stated:
            self.evidence[s.message] = s
        for s in stated:
            for link in s.links:
                self.back[link.key].add(s.message)

    def stated(self, messages: Collection[MessageId]) -> Mapping[MessageId, Stated]:
        return {m: self.evidence[m] for m in messages if m in self.evidence}

    def linked(self, keys: Collection[NodeName]) -> Mapping[NodeName, Sequence[MessageId]]:
        return {key: sorted(self.back[key]) for key in keys if key in self.back}

    def note(self, notes: Sequence[KeyNote]) -> Sequence[tuple[KeyItem, KeyItem]]:
        self.check()
        changes = []
        for note in notes:
            before = self.key_items.get(note.key, KeyItem())
            self.key_items[note.key] = noted(before, note)
            changes.append((before, self.key_items[note.key]))
        return changes

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]:
        return {name: self.key_items[name] for name in names if name in self.key_items}

    def ask(self, asks: Iterable[tuple[ClueName, MessageId]], *, withdraw: bool = False) -> None:
        self.check()
        for clue, message in asks:
            if withdraw:
                self.ask_rows[clue].discard(message)
            else:
                self.ask_rows[clue].add(message)

    def asking(self, clues: Collection[ClueName]) -> Mapping[ClueName, Collection[MessageId]]:
        return {clue: set(self.ask_rows[clue]) for clue in clues if clue in self.ask_rows}

    def hint(self, notes: Sequence[ClueNote]) -> Sequence[tuple[ClueItem, ClueItem]]:
        self.check()
        changes = []
        for note in notes:
            before = self.clue_items.get(note.clue, ClueItem())
            self.clue_items[note.clue] = hinted(before, note)
            changes.append((before, self.clue_items[note.clue]))
        return changes

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]:
        return {name: self.clue_items[name] for name in names if name in self.clue_items}

    def draw(self, rows: Sequence[Soft]) -> None:
        self.check()
        for row in rows:
            self.soft_rows[row.source, row.target] = row

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        wanted = set(messages)
        return [row for row in self.soft_rows.values() if row.source in wanted or row.target in wanted]

    def mark(self, messages: Collection[MessageId]) -> None:
        self.check()
        for message in sorted(messages):
            self.counters["mark"] += 1
            self.marks[message] = self.counters["mark"]

    def dirty(self, limit: int) -> Mapping[MessageId, int]:
        return dict(sorted(self.marks.items(), key=lambda mark: mark[1])[:limit])

    def unmark(self, marks: Mapping[MessageId, int]) -> None:
        self.check()
        for message, version in marks.items():
            if self.marks.get(message) == version:
                del self.marks[message]

    def tell(self, entries: Sequence[FeedEntry]) -> None:
        self.check()
        self.feed += entries

    def place(self, messages: Collection[MessageId]) -> None:
        """Readers follow the nodes."""

    def put(self, edit: Edit) -> bool:
        self.check()
        return self.edit_rows.setdefault(edit.number, edit) == edit

    def undo(self, number: int, at: int) -> None:
        self.check()
        edit = self.edit_rows[number]
        self.edit_rows[number] = edit._replace(undone=at if edit.undone is None else edit.undone)

    def edits(self) -> Sequence[Edit]:
        return [edit for _, edit in sorted(self.edit_rows.items())]

    def places(self, names: Iterable[NodeName]) -> Collection[Place]:
        wanted = set(names)
        return [place for place in places_of(self.edit_rows.values()) if place.name in wanted]
