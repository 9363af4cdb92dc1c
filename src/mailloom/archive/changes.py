"""What is different between two epochs of the same mail: which conversations were joined, split or regrouped, and by which links.

Both memberships are compared in DuckDB, so in bounded memory. Conversations hang together that share a message; what hangs together
and is not the same on both sides is one change.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from mailloom.archive.analyse import CHUNK, Analysis
from mailloom.mail.model import MessageId
from mailloom.ports import Link, NodeName
from mailloom.stores.sqlite import Connection
from mailloom.thread.encoding import load_stated

LOOKED_AT = 2000
"""Messages of one change that are looked at: bounds memory and time where rules gone wrong join everything."""
NAMED = 8  # conversations of one change that are named


class Side(NamedTuple):
    """One of the two epochs: where its tables are, and what their column `scope` holds."""

    connection: Connection
    scope: str


class Counts(NamedTuple):
    """`restated` messages state now what they didn't before; `renamed` ones are in a conversation of another id; `joined`, `split`
    and `regrouped` (neither alone) are changes.
    """

    messages: int
    restated: int
    before: int
    after: int
    renamed: int
    joined: int
    split: int
    regrouped: int


class Part(NamedTuple):
    """A conversation of a change: its id, and how many messages of the change are in it."""

    thread: MessageId
    messages: int


class Change(NamedTuple):
    """Conversations that became others. `kind` is joined (one is left), split (there was one) or regrouped; `messages` are in it,
    `renamed` of them in a conversation of another id. `before` and `after` are conversations, the largest first, as far as
    NAMED goes, of all that `befores` and `afters` count. `joins` are the kinds of links that hold together now what was apart, `parts` those that held together
    what is apart now, each with how often, as far as LOOKED_AT messages go.
    """

    kind: str
    oldest: MessageId
    messages: int
    renamed: int
    before: tuple[Part, ...]
    befores: int
    after: tuple[Part, ...]
    afters: int
    joins: dict[str, int]
    parts: dict[str, int]


class _Group(NamedTuple):
    part: bytes
    messages: int
    renamed: int
    befores: int
    afters: int

    @property
    def kind(self) -> str:
        if (self.befores > 1) == (self.afters > 1):
            return "regrouped"
        return "joined" if self.befores > 1 else "split"


class Changes:
    """The comparison of two epochs, `old` and `new`, of one state of an archive."""

    def __init__(self, analysis: Analysis, old: Side, new: Side, messages: int, restated: int) -> None:
        self.duck, self.old, self.new = analysis.duck, old, new
        analysis.membership("_was", *old)
        analysis.membership("_now", *new)
        for statement in _COMPARED:
            self.duck.execute(statement)
        self._connect()
        self.duck.execute(_GROUPED)
        before, after = (
            int(self._one(f"select count(distinct thread) from {table}")[0])  # noqa: S608  constants only
            for table in ("_was", "_now")
        )
        self.counts = Counts(messages, restated, before, after, *self._one(_COUNTED))

    def _one(self, sql: str) -> Any:
        return self.duck.execute(sql).fetchall()[0]

    def _connect(self) -> None:
        """Label each pair with the smallest conversation that it hangs together with: the least of its neighbours', then that
        one's own label, which doubles the way each time.
        """
        while True:
            for statement in _CONNECTED:
                self.duck.execute(statement)
            moved = self._one(
                "select count(*) from _next join _changed using (was, now) where _next.part <> _changed.part"
            )
            self.duck.execute("drop table _changed; alter table _next rename to _changed")
            if not moved[0]:
                return

    def __iter__(self) -> Iterator[Change]:
        return self.largest(None)

    def largest(self, most: int | None) -> Iterator[Change]:
        """The changes, those of most messages first. Read them to the end before anything else is asked."""
        result = self.duck.execute(_MEMBERS, [most])

        def rows() -> Iterator[Any]:
            while some := result.fetchmany(CHUNK):
                yield from some

        for group, members in groupby(rows(), itemgetter(0, 1, 2, 3, 4)):
            yield self._change(_Group(*group), [row[5:] for row in _first(members, LOOKED_AT)])

    def renamed(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Each conversation that is another now, with what became of it: entries of the feed."""
        result = self.duck.execute(_RENAMED)
        while some := result.fetchmany(CHUNK):
            yield from some

    def _change(self, group: _Group, rows: Sequence[tuple[bytes, ...]]) -> Change:
        was, now = ({MessageId(row[0]): row[i] for row in rows} for i in (1, 2))
        return Change(
            kind=group.kind,
            oldest=MessageId(group.part),
            messages=group.messages,
            renamed=group.renamed,
            before=_named(was),
            befores=group.befores,
            after=_named(now),
            afters=group.afters,
            joins=_across(self.new, was),
            parts=_across(self.old, now),
        )


def _first(rows: Iterator[Any], most: int) -> list[Any]:
    """The first rows, the rest read and left."""
    return [row for number, row in enumerate(rows) if number < most]


def _named(conversation: Mapping[MessageId, bytes]) -> tuple[Part, ...]:
    sizes = sorted(Counter(conversation.values()).items(), key=lambda item: (-item[1], item[0]))
    return tuple(Part(MessageId(name), messages) for name, messages in sizes[:NAMED])


def _across(side: Side, group: Mapping[MessageId, bytes]) -> dict[str, int]:
    """The kinds of links that live in an epoch between messages of different groups (those that they form in the other epoch),
    each with how many messages state one. A message counts once, by its first such link; In-Reply-To comes before References.
    """
    links = _links(side, group)
    groups: dict[NodeName, set[bytes]] = defaultdict(set)
    for message, link in links:
        groups[link.key].add(group[message])
    across = {key for key, some in groups.items() if len(some) > 1 and not _dead(side, key)}
    cited = {link.key for _, link in links if not link.owns}
    kind: dict[bytes, str] = {}
    for message, link in links:
        # Who owns a key that others cite is found by them; where nobody cites it (twins), all who own it join.
        if link.key in across and not (link.owns and link.key in cited):
            kind.setdefault(message, link.kind)
    soft = "select source, target, kind from soft where scope = ? and source = ? and live"
    for source, target, what in side.connection.executemany(soft, [(side.scope, m) for m in group]):
        if target in group and group[target] != group[source]:
            kind.setdefault(source, what)
    return dict(Counter(kind.values()).most_common())


def _links(side: Side, group: Iterable[MessageId]) -> list[tuple[MessageId, Link]]:
    sql = "select message, body from stated where scope = ? and message = ?"
    found = side.connection.executemany(sql, [(side.scope, m) for m in group])
    return [(m, link) for m, body in found for link in load_stated(m, body).links]


def _dead(side: Side, key: NodeName) -> bool:
    sql = "select dead from nodes where scope = ? and name = ?"
    return bool(side.connection.execute(sql, (side.scope, key)).get)


# ------------------------------------------------------------------------------------------------ in SQL
_COMPARED = (
    """create temp table _pairs as select o.thread as was, n.thread as now, count(*) as messages
      from _was o join _now n using (message) group by all""",
    """create temp table _changed as select *, was as part from _pairs
      qualify was <> now or count(*) over (partition by was) > 1 or count(*) over (partition by now) > 1""",
    "drop table _pairs",
)
_CONNECTED = (
    """create temp table _least as select was, now, messages, min(least) over (partition by was) as part
      from (select *, min(part) over (partition by now) as least from _changed)""",
    """create temp table _next as select l.was, l.now, l.messages, coalesce(p.part, l.part) as part
      from _least l left join (select was, min(part) as part from _least group by was) p on p.was = l.part""",
    "drop table _least",
)
_GROUPED = """create temp table _groups as select part, sum(messages)::bigint as messages,
  coalesce(sum(messages) filter (was <> now), 0)::bigint as renamed, count(distinct was) as befores, count(distinct now) as afters
  from _changed group by part"""
_COUNTED = """select coalesce(sum(renamed), 0)::bigint, count(*) filter (afters = 1 and befores > 1),
  count(*) filter (befores = 1 and afters > 1), count(*) filter ((befores > 1) = (afters > 1)) from _groups"""
_MEMBERS = """select g.part, g.messages, g.renamed, g.befores, g.afters, message, o.thread, n.thread
  from (select * from _groups order by renamed desc, part limit ?) g join _changed c using (part)
    join _was o on o.thread = c.was join _now n using (message) where n.thread = c.now
  order by g.renamed desc, g.part, message"""
_RENAMED = """select was, list(distinct now order by now) from _changed group by was
  having count(*) > 1 or min(now) <> was order by was"""
