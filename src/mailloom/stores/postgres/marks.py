"""What settle works by and leaves behind: marks, soft links, the feed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mailloom.mail.model import MessageId
from mailloom.ports import FeedEntry, Soft
from mailloom.stores.postgres.scoped import Asked, Scoped, storable

_DRAW = """insert into soft select %s, n.*
  from unnest(%b::bytea[], %b::bytea[], %b::boolean[], %b::text[], %b::integer[], %b::text[]) n (source, target, live, kind, weight, detail)
  on conflict (scope, source, target) do update set
    live = excluded.live, kind = excluded.kind, weight = excluded.weight, detail = excluded.detail"""
# By source and by target apart: one condition with "or" would be answered by a walk through the scope's links.
SOFT = "source, target, live, kind, weight, detail"
_DRAWN = f"""select {SOFT} from soft where scope = %(scope)s and source = any(%(messages)b)
  union select {SOFT} from soft where scope = %(scope)s and target = any(%(messages)b)"""  # noqa: S608  constants only
_MARK = """insert into marks select %s, n, nextval('mark_versions') from unnest(%b::bytea[]) n order by n
  on conflict (scope, message) do update set version = excluded.version"""
_UNMARK = """delete from marks using unnest(%b::bytea[], %b::bigint[]) n (message, version)
  where scope = %s and marks.message = n.message and marks.version = n.version"""
_TELL = """insert into feed (scope, at, old, new, why)
  select %s, %s, n.* from unnest(%b::bytea[], %b::bytea[], %b::text[]) n (old, new, why)"""


class PostgresMarks:
    """Implements ports.SoftLinks, and ports.Marks but for `place`."""

    def __init__(self, scoped: Scoped) -> None:
        self.scoped = scoped

    def draw(self, rows: Sequence[Soft]) -> None:
        last = {(row.source, row.target): row for row in rows}
        if last:
            source, target, live, kind, weight, detail = zip(*(last[key] for key in sorted(last)), strict=True)
            says = (list(kind), list(weight), [storable(text) for text in detail])
            self.scoped.write(_DRAW, (self.scoped.scope, list(source), list(target), list(live), *says))

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        return drawn(self.scoped, messages)

    def mark(self, messages: Collection[MessageId]) -> None:
        if messages:
            self.scoped.write(_MARK, (self.scoped.scope, sorted(set(messages))))

    def dirty(self, limit: int) -> Mapping[MessageId, int]:
        query = "select message, version from marks where scope = %s order by version, message limit %s"
        return {MessageId(message): version for message, version in self.scoped.rows(query, (self.scoped.scope, limit))}

    def unmark(self, marks: Mapping[MessageId, int]) -> None:
        if marks:
            rows = sorted(marks.items())
            columns = ([message for message, _ in rows], [version for _, version in rows])
            self.scoped.write(_UNMARK, (*columns, self.scoped.scope))

    def tell(self, entries: Sequence[FeedEntry]) -> None:
        if entries:
            columns = ([e.old for e in entries], [b"".join(e.new) for e in entries], [e.why for e in entries])
            self.scoped.write(_TELL, (self.scoped.scope, self.scoped.clock(), *columns))


def drawn(asked: Asked, messages: Collection[MessageId]) -> list[Soft]:
    """The soft links from and to these messages."""
    rows = asked.rows(_DRAWN, {"scope": asked.scope, "messages": list(messages)}) if messages else ()
    return [soft_of(row) for row in rows]


def soft_of(row: tuple[Any, ...]) -> Soft:
    """A row of the columns SOFT."""
    source, target, *what = row
    return Soft(MessageId(source), MessageId(target), *what)
