"""The threads store over SQLite: a write-back view of the nodes for the length of one transaction.

Inside BEGIN IMMEDIATE nobody else writes, so a batch's nodes are read once, changed in memory, and written once at its end.
Callers hold `session()` around every call; the view never outlives it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

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
from mailloom.ports.scope import checked
from mailloom.stores.sqlite import epochs
from mailloom.stores.sqlite.connection import Connection, transaction
from mailloom.thread.encoding import dump_stated, load_stated
from mailloom.thread.keys import hinted, noted, stamped

_NODE = "select name, parent, conv, dead, owners, senders, subjects, asked from nodes where scope = ? and name = ?"
_NO_ITEM, _NO_CLUE = KeyItem(), ClueItem()


class _View:
    """The nodes and key items of one transaction, and which of them changed."""

    def __init__(self) -> None:
        self.nodes: dict[NodeName, Node] = {}
        self.items: dict[NodeName, KeyItem] = {}
        self.new: set[NodeName] = set()
        self.changed: set[NodeName] = set()


class SqliteThreads:
    """Implements ports.Threads over a connection and a scope, in the epoch that is the current one, or in one that is being made:
    that one tells the feed nothing.

    `plain` is the scope as users know it, `scope` what the column of that name holds in the thread tables (epochs.py).
    """

    def __init__(
        self, connection: Connection, clock: Callable[[], int], scope: str = "", epoch: int | None = None
    ) -> None:
        self.connection, self.clock, self.plain, self.epoch = connection, clock, checked(scope), epoch
        self.key = None if epoch is None else epochs.key_of(scope, epoch)
        self.view = _View()
        self.lease_number: int | None = None

    @property
    def scope(self) -> str:
        """Inside a session it is read once; outside others may switch at any time, so it is read each time."""
        return epochs.current_key(self.connection, self.plain) if self.key is None else self.key

    @contextmanager
    def session(self) -> Iterator[None]:
        """One transaction. What was changed is written at its end; nothing of it is kept where it fails."""
        self.view = _View()
        with transaction(self.connection):
            self.key = self.scope
            try:
                yield
                self.flush()
            finally:
                self.key = None if self.epoch is None else self.key

    def flush(self) -> None:
        view = self.view
        rows = [self._row(name) for name in view.new]
        self.connection.executemany("insert into nodes values (?, ?, ?, ?, ?, ?, ?, ?, ?)", sorted(rows))
        changed = [self._row(name) for name in view.changed - view.new]
        self.connection.executemany("insert or replace into nodes values (?, ?, ?, ?, ?, ?, ?, ?, ?)", sorted(changed))
        view.new.clear()
        view.changed.clear()

    def lease(self) -> SqliteThreads:
        sql = "insert into meta values (?, 1) on conflict do update set value = value + 1 returning value"
        leased = SqliteThreads(self.connection, self.clock, self.plain, self.epoch)
        with transaction(self.connection):
            leased.lease_number = self.connection.execute(sql, (f"lease {self.plain}",)).get
        return leased

    def _check(self) -> None:
        if self.lease_number is not None:
            now = self.connection.execute("select value from meta where name = ?", (f"lease {self.plain}",)).get
            if now != self.lease_number:
                raise Fenced(f"settle {self.lease_number} was overtaken by settle {now}")

    # -------------------------------------------------------------------------------------------- pools
    def _load(self, names: Iterable[NodeName]) -> None:
        view = self.view
        missing = [(self.scope, name) for name in names if name not in view.nodes]
        for name, parent, conv, dead, owners, senders, subjects, asked in self.connection.executemany(_NODE, missing):
            view.nodes[name] = Node(parent, conv, bool(dead))
            if owners or senders or asked:
                view.items[name] = KeyItem(_split(owners), _split(senders), _split(subjects), bool(asked))

    def _row(self, name: NodeName) -> tuple[object, ...]:
        node, item = self.view.nodes[name], self.view.items.get(name, _NO_ITEM)
        owners, senders, subjects = (b"".join(sorted(hashes)) for hashes in item[:3])
        return (self.scope, name, node.parent, node.conv, int(node.dead), owners, senders, subjects, int(item.asked))

    def enter(self, names: Collection[NodeName], *, fresh: Collection[NodeName] = ()) -> None:  # noqa: ARG002
        self._check()
        self._load(names)
        for name in names:
            if name not in self.view.nodes:
                self.view.nodes[name] = Node(name)
                self.view.new.add(name)

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:  # noqa: ARG002
        self._load(names)
        known = self.view.nodes
        return {name: known[name] for name in names if name in known}

    def look(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        return self.nodes(names)

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        self._check()
        self._load(name for name, _, _ in changes)
        done = []
        for name, old, new in changes:
            node = self.view.nodes[name]
            done.append(node.parent == old)
            if node.parent == old:
                self.view.nodes[name] = Node(new, node.conv, node.dead)
                self.view.changed.add(name)
        return done

    def tie(self, ties: Sequence[Tie]) -> Sequence[KeyItem | None]:
        """Nobody else writes meanwhile, so one after the other is one step."""
        done = self.swing([(tie.key, tie.key, tie.parent) for tie in ties])
        self.note([note for tie, one in zip(ties, done, strict=True) if one for note in tie.notes])
        items = self.view.items
        return [items.get(tie.key, _NO_ITEM) if one else None for tie, one in zip(ties, done, strict=True)]

    def stamp(self, stamps: Sequence[Stamp]) -> None:
        self._check()
        self._load(stamp.node for stamp in stamps)
        for stamp in stamps:
            self.view.nodes[stamp.node] = stamped(self.view.nodes[stamp.node], stamp)
            self.view.changed.add(stamp.node)

    # -------------------------------------------------------------------------------------------- evidence
    def state(self, stated: Sequence[Stated]) -> None:
        self._check()
        rows = sorted((self.scope, s.message, dump_stated(s)) for s in stated)
        self.connection.executemany("insert or replace into stated values (?, ?, ?)", rows)
        back = sorted((self.scope, link.key, s.message) for s in stated for link in s.links)
        self.connection.executemany("insert or ignore into links values (?, ?, ?)", back)

    def stated(self, messages: Collection[MessageId]) -> Mapping[MessageId, Stated]:
        sql = "select message, body from stated where scope = ? and message = ?"
        found = self.connection.executemany(sql, [(self.scope, m) for m in messages])
        return {message: load_stated(message, body) for message, body in found}

    def linked(self, keys: Collection[NodeName]) -> Mapping[NodeName, Sequence[MessageId]]:
        linked = defaultdict(list)
        sql = "select key, message from links where scope = ? and key = ?"
        for key, message in self.connection.executemany(sql, [(self.scope, key) for key in keys]):
            linked[key].append(message)
        return linked

    # -------------------------------------------------------------------------------------------- key items
    def note(self, notes: Sequence[KeyNote]) -> Sequence[tuple[KeyItem, KeyItem]]:
        self._check()
        view = self.view
        self._load({note.key for note in notes})
        changes = []
        for note in notes:
            before = view.items.get(note.key, _NO_ITEM)
            after = noted(before, note)
            if after != before:
                view.items[note.key] = after
                view.changed.add(note.key)
            changes.append((before, after))
        return changes

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]:
        self._load(names)
        return {name: self.view.items[name] for name in names if name in self.view.items}

    # -------------------------------------------------------------------------------------------- clues
    def ask(self, asks: Iterable[tuple[ClueName, MessageId]], *, withdraw: bool = False) -> None:
        self._check()
        rows = sorted((self.scope, clue, message) for clue, message in asks)
        if withdraw:
            self.connection.executemany("delete from asks where scope = ? and clue = ? and message = ?", rows)
        else:
            self.connection.executemany("insert or ignore into asks values (?, ?, ?)", rows)

    def asking(self, clues: Collection[ClueName]) -> Mapping[ClueName, Collection[MessageId]]:
        rows = defaultdict(set)
        sql = "select clue, message from asks where scope = ? and clue = ?"
        for clue, message in self.connection.executemany(sql, [(self.scope, clue) for clue in clues]):
            rows[clue].add(message)
        return rows

    def hint(self, notes: Sequence[ClueNote]) -> Sequence[tuple[ClueItem, ClueItem]]:
        self._check()
        stored = self.clues({note.clue for note in notes})
        items = dict(stored)
        changes = []
        for note in notes:
            before = items.get(note.clue, _NO_CLUE)
            items[note.clue] = after = hinted(before, note)
            changes.append((before, after))
        rows = [
            (self.scope, clue, b"".join(sorted(item.owners)), item.asked)
            for clue, item in sorted(items.items())
            if item is not stored.get(clue)
        ]
        self.connection.executemany("insert or replace into clues values (?, ?, ?, ?)", rows)
        return changes

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]:
        sql = "select name, owners, asked from clues where scope = ? and name = ?"
        found = self.connection.executemany(sql, [(self.scope, name) for name in names])
        return {
            name: ClueItem(frozenset(map(MessageId, _split(owners, 16))), bool(asked)) for name, owners, asked in found
        }

    # -------------------------------------------------------------------------------------------- soft links, marks, feed
    def draw(self, rows: Sequence[Soft]) -> None:
        self._check()
        values = sorted((self.scope, r.source, r.target, int(r.live), r.kind, r.weight, r.detail) for r in rows)
        self.connection.executemany("insert or replace into soft values (?, ?, ?, ?, ?, ?, ?)", values)

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        rows = {}
        # Left alone, SQLite looks for a target through all links of the scope: it knows no sizes.
        for where in ("where scope = ? and source = ?", "indexed by soft_target where scope = ? and target = ?"):
            sql = f"select source, target, live, kind, weight, detail from soft {where}"  # noqa: S608  constants
            for source, target, live, *what in self.connection.executemany(sql, [(self.scope, m) for m in messages]):
                rows[source, target] = Soft(source, target, bool(live), *what)
        return list(rows.values())

    def mark(self, messages: Collection[MessageId]) -> None:
        self._check()
        sql = "insert into meta values ('mark', 1) on conflict do update set value = value + 1 returning value"
        version = self.connection.execute(sql).get
        rows = sorted((self.scope, message, version) for message in messages)
        self.connection.executemany("insert or replace into marks values (?, ?, ?)", rows)

    def dirty(self, limit: int) -> Mapping[MessageId, int]:
        sql = "select message, version from marks where scope = ? order by version, message limit ?"
        return dict(self.connection.execute(sql, (self.scope, limit)))

    def unmark(self, marks: Mapping[MessageId, int]) -> None:
        self._check()
        rows = [(self.scope, message, version) for message, version in marks.items()]
        self.connection.executemany("delete from marks where scope = ? and message = ? and version = ?", rows)

    def tell(self, entries: Sequence[FeedEntry]) -> None:
        self._check()
        if self.epoch is not None:
            return
        rows = [(self.plain, self.clock(), entry.old, b"".join(entry.new), entry.why) for entry in entries]
        self.connection.executemany("insert into feed (scope, at, old, new, why) values (?, ?, ?, ?, ?)", rows)

    def place(self, messages: Collection[MessageId]) -> None:
        """Readers follow the nodes."""

    # -------------------------------------------------------------------------------------------- hand edits
    def put(self, edit: Edit) -> bool:
        self._check()
        joined = [b"".join(sorted(names)) for names in (edit.inside, edit.outside)]
        row = (self.plain, edit.number, edit.kind, edit.message, edit.target, *joined, edit.at, edit.undone)
        self.connection.execute("insert or ignore into edits values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        if edit != self._edit("number = ?", edit.number)[0]:
            return False
        names = sorted((self.plain, n, edit.number, int(n in edit.inside)) for n in edit.inside | edit.outside)
        self.connection.executemany("insert or ignore into edit_names values (?, ?, ?, ?)", names)
        return True

    def undo(self, number: int, at: int) -> None:
        self._check()
        sql = "update edits set undone = ? where scope = ? and number = ? and undone is null"
        self.connection.execute(sql, (at, self.plain, number))

    def edits(self) -> Sequence[Edit]:
        return self._edit("true")

    def _edit(self, condition: str, *values: int) -> list[Edit]:
        sql = f"""select number, kind, message, target, inside, outside, at, undone from edits
          where scope = ? and {condition} order by number"""  # noqa: S608  not from outside
        return [
            Edit(number, kind, message, target, _split(inside, 17), _split(outside, 17), at, undone)
            for number, kind, message, target, inside, outside, at, undone in self.connection.execute(
                sql, (self.plain, *values)
            )
        ]

    def places(self, names: Iterable[NodeName]) -> Collection[Place]:
        if self.connection.execute("select 1 from edits where scope = ? limit 1", (self.plain,)).get is None:
            return ()
        sql = """select name, number, kind, edit_names.inside, message, target from edit_names join edits using (scope, number)
          where scope = ? and name = ? and undone is null"""
        found = self.connection.executemany(sql, [(self.plain, name) for name in set(names)])
        return [Place(name, number, kind, bool(inside), m, t) for name, number, kind, inside, m, t in found]


def _split(joined: bytes, size: int = 8) -> frozenset[bytes]:
    return frozenset(joined[i : i + size] for i in range(0, len(joined), size))
