"""Hand edits, and the way back to them from the nodes that they name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from mailloom.mail.model import MessageId
from mailloom.ports import Edit, NodeName, Place
from mailloom.stores.postgres.scoped import Asked, Scoped

_NAME = 17  # bytes of a node's name
_PUT = "insert into edits values (%s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing"
_PUT_NAMES = """insert into edit_names select %s, n.name, %s, n.inside from unnest(%b::bytea[], %b::boolean[]) n (name, inside)
  order by n.name on conflict do nothing"""
_EDITS = "select number, kind, message, target, inside, outside, at, undone from edits where scope = %s"
_PLACES = """select name, number, kind, n.inside, message, target from edit_names n join edits using (scope, number)
  where n.scope = %s and name = any(%b) and undone is null"""


class PostgresEdits:
    """Implements ports.Edits."""

    def __init__(self, scoped: Scoped) -> None:
        self.scoped = scoped

    def put(self, edit: Edit) -> bool:
        scope = self.scoped.scope
        joined = [b"".join(sorted(names)) for names in (edit.inside, edit.outside)]
        row = (scope, edit.number, edit.kind, edit.message, edit.target, *joined, edit.at, edit.undone)
        names = sorted(edit.inside | edit.outside)
        with self.scoped.transaction() as connection:
            connection.execute(_PUT.encode(), row)
            found = connection.execute(
                f"{_EDITS} and number = %s".encode(), (scope, edit.number), binary=True
            ).fetchone()
            if found is None or _edit(found) != edit:
                return False
            if names:
                inside = [name in edit.inside for name in names]
                connection.execute(_PUT_NAMES.encode(), (scope, edit.number, names, inside))
        return True

    def undo(self, number: int, at: int) -> None:
        update = "update edits set undone = %s where scope = %s and number = %s and undone is null"
        self.scoped.write(update, (at, self.scoped.scope, number))

    def edits(self) -> Sequence[Edit]:
        return edits(self.scoped)

    def places(self, names: Iterable[NodeName]) -> Collection[Place]:
        if not self.scoped.rows("select 1 from edits where scope = %s limit 1", (self.scoped.scope,)):
            return ()
        return places(self.scoped, set(names))


def edits(asked: Asked) -> list[Edit]:
    """All of them, in the order of numbers."""
    return [_edit(row) for row in asked.rows(f"{_EDITS} order by number", (asked.scope,))]


def places(asked: Asked, names: Collection[NodeName]) -> list[Place]:
    """Where edits in force name these nodes."""
    rows = asked.rows(_PLACES, (asked.scope, sorted(names))) if names else ()
    return [Place(name, number, kind, inside, MessageId(m), MessageId(t)) for name, number, kind, inside, m, t in rows]


def _edit(row: tuple[Any, ...]) -> Edit:
    number, kind, message, target, inside, outside, at, undone = row
    sides = [frozenset(names[i : i + _NAME] for i in range(0, len(names), _NAME)) for names in (inside, outside)]
    return Edit(number, kind, MessageId(message), MessageId(target), sides[0], sides[1], at, undone)
