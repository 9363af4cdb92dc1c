"""What settle works by and leaves behind: marks, soft links, the feed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from mailloom.mail.model import MessageId
from mailloom.ports import FeedEntry, Soft
from mailloom.stores.postgres.scoped import Scoped, storable

_DRAW = """insert into soft select %s, n.*
  from unnest(%b::bytea[], %b::bytea[], %b::boolean[], %b::text[], %b::integer[], %b::text[]) n (source, target, live, kind, weight, detail)
  on conflict (scope, source, target) do update set
    live = excluded.live, kind = excluded.kind, weight = excluded.weight, detail = excluded.detail"""
# By source and by target apart: one condition with "or" would be answered by a walk through the scope's links.
_DRAWN = """select source, target, live, kind, weight, detail from soft where scope = %(scope)s and source = any(%(messages)b)
  union select source, target, live, kind, weight, detail from soft where scope = %(scope)s and target = any(%(messages)b)"""
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
        if not messages:
            return ()
        rows = self.scoped.rows(_DRAWN, {"scope": self.scoped.scope, "messages": list(messages)})
        return [Soft(MessageId(source), MessageId(target), *what) for source, target, *what in rows]

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
