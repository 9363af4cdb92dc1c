"""Which conversation each message is in, as readers see it: a table that is kept equal to what the nodes say.

A message's conversation is its node's `conv`, else the root of its pool. Nodes and this table are in two stores, so the rule is *write,
then look*: a row is written by what was known of the nodes, and then the root that it names is read strongly; has it moved, the row is
written again. Why that is enough, whoever writes at the same time and dies at any point:

- A root R gives way only by a swing, and before it R stands in `moves`. Who finds it there and R not a root any more brings all rows that
  name R up to date, looks again, and only then takes it out. A row that names R was either written before that, and is found; or
  after, and then its writer's look comes after the swing, and sees it.
- R in `moves` and still a root is left there: its swing may come yet.
- `conv` is set by settle alone, which calls `place` for whom it changed, afterwards. A row that a worker could insert, as none was there, is
  therefore right as far as conv goes, or settle will write it; so a new message's own node need not be read. Where a row was there
  already, conv is looked at like a root.
- Rows that name R are brought up to date together, by what R's node says. Had settle parted some of them from R before the look, R
  would have its conv by then, as every part of a pool of several has: then each of those rows is written again by its own node.
- A worker that dies before the end of `place` has not finished its messages, so they come again; settle, its marks. But another may
  have finished the same message meanwhile: so a worker that changes a row that was there enters its message in `moves`, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mailloom.mail.model import MessageId
from mailloom.ports import NodeName, Pools
from mailloom.stores.postgres.scoped import Scoped
from mailloom.thread.assign import roots
from mailloom.thread.keys import message_node

SOME = 1000  # moves that are worked off at a time
PATIENCE = 60.0
"""Seconds after which a worker takes others' moves for left behind: before, whoever made them is about to work them off."""

_INSERT = """insert into conversations select %s, n.* from unnest(%b::bytea[], %b::bytea[]) n (message, conversation)
  order by n.message on conflict do nothing returning message"""
_WRITE = """insert into conversations as c select %s, n.* from unnest(%b::bytea[], %b::bytea[]) n (message, conversation)
  order by n.message on conflict (scope, message) do update set conversation = excluded.conversation
  where c.conversation <> excluded.conversation"""
# A worker leaves word of which rows it changed: should it die before the look, nobody may have a reason to place these again.
_CHANGE = f"""with written as ({_WRITE} returning message, conversation)
  insert into moves (scope, message, target) select %s, message, conversation from written order by message
  on conflict (scope, message) do update set target = coalesce(moves.target, excluded.target)"""  # noqa: S608  constants only
# Rows are locked in the order of their keys, so that two who bring the same ones up to date wait, and don't deadlock.
_MOVE = """with held as (
    select c.message, n.conversation from conversations c
    join unnest(%b::bytea[], %b::bytea[]) n (root, conversation) on c.conversation = n.root
    where c.scope = %s order by c.message for no key update of c)
  update conversations c set conversation = held.conversation from held where c.scope = %s and c.message = held.message
  returning c.message"""
_WENT = """update moves set target = n.conversation from unnest(%b::bytea[], %b::bytea[]) n (root, conversation)
  where scope = %s and message = n.root"""
_NAMING = "select message from conversations where scope = %s and conversation = any(%b)"
_ENTER = "insert into moves (scope, message) select %s, n from unnest(%b::bytea[]) n order by n on conflict do nothing"
_MOVES = """select message, target from moves where scope = %(scope)s and message = any(%(mine)b) union
  (select message, target from moves where scope = %(scope)s and at < now() - make_interval(secs => %(older)s) order by at limit %(some)s)"""
_LATER = "update moves set at = now() where scope = %s and message = any(%b)"
_LEAVE = "delete from moves where scope = %s and message = any(%b)"


class PostgresConversations:
    """The `place` of ports.Marks. `pools` are asked for the nodes."""

    def __init__(self, scoped: Scoped, pools: Pools) -> None:
        self.scoped, self.pools = scoped, pools
        self.mine: set[MessageId] = set()

    def moving(self, messages: Collection[MessageId]) -> None:
        """These roots are about to be hung below others: to be called before. `place` brings up to date who names them."""
        if messages:
            self.scoped.write(_ENTER, (self.scoped.scope, sorted(set(messages))))
            self.mine.update(messages)

    def place(self, messages: Collection[MessageId]) -> None:
        """Bring the rows of these messages up to date, and all rows that name a root which gave way."""
        rest = set(messages)
        if self.scoped.lease is None:
            wanted = self._conversations(rest, rough=True)
            new = self._insert(wanted)
            self._watch({message: wanted[message] for message in new}, ())
            rest -= new
        self._correct(rest)
        self.catch_up(PATIENCE)

    def catch_up(self, older: float = 0.0) -> int:
        """Work off the moves that this store made, and others' that were entered `older` seconds ago; how many were done."""
        done = 0
        left: set[MessageId] = set()
        while True:
            mine = sorted(self.mine) or [MessageId(b"")]
            values = {"scope": self.scoped.scope, "mine": mine, "older": older, "some": SOME}
            found = {MessageId(message): target for message, target in self.scoped.rows(_MOVES, values)}
            done += self._catch_up({m: target for m, target in found.items() if m not in left}, left)
            self.mine.clear()
            if len(found) < SOME or left.issuperset(found):
                return done

    def _catch_up(self, entered: Mapping[MessageId, bytes | None], left: set[MessageId]) -> int:
        """Those that are roots still are left, at the end of the line. `entered` says where the rows of each went, if somebody who died
        before the look brought them there.
        """
        if not entered:
            return 0
        # A batch's own swing of a node is the newest news of it that is needed: who gave way is no root again. Settle's batch may be long ago.
        look = self.pools.look if self.scoped.lease is None else self.pools.nodes
        nodes = look([message_node(m) for m in entered])
        gone = {m for m in entered if (node := nodes.get(message_node(m))) and node.parent != message_node(m)}
        if still := sorted(entered.keys() - gone):
            left.update(still)
            self.scoped.write(_LATER, (self.scoped.scope, still))
        named = sorted(gone | {target for m in gone if (target := entered[m]) is not None})
        # Mostly nobody names it, as it came in the batch that hung it below others; who does from now on will look, and see that it gave way.
        if named and self.scoped.rows(_NAMING, (self.scoped.scope, named)):
            wanted = self._conversations(gone)
            touched = self._move(wanted)
            wrong = {target for m in gone if (target := entered[m]) is not None and target != wanted[m]}
            if wrong:
                touched += [MessageId(row[0]) for row in self.scoped.rows(_NAMING, (self.scoped.scope, sorted(wrong)))]
            if wrong or self._look(wanted, gone):
                self._correct(touched)
        if gone:
            self.scoped.write(_LEAVE, (self.scoped.scope, sorted(gone)))
        return len(gone)

    def _correct(self, messages: Collection[MessageId]) -> None:
        """Write these rows by what their nodes say now."""
        wanted = self._conversations(messages)
        self._write(wanted)
        self._watch(wanted, messages)

    def _watch(self, written: Mapping[MessageId, MessageId], known: Collection[MessageId]) -> None:
        """Look until what was written is right."""
        placed = dict(written)
        while placed and (moved := self._look(placed, known)):
            self._write(moved)
            placed.update(moved)

    # -------------------------------------------------------------------------------------------- the nodes
    def _conversations(self, messages: Iterable[MessageId], *, rough: bool = False) -> dict[MessageId, MessageId]:
        """What the nodes say now, or with `rough` said not long ago."""
        names = {message_node(m) for m in messages}
        if not names:
            return {}
        root = roots(self.pools, names, rough=rough)
        nodes = self.pools.nodes(names, rough=rough)
        return {MessageId(name[1:]): MessageId(_named(name, nodes, root)[1:]) for name in names}

    def _look(self, placed: Mapping[MessageId, MessageId], known: Collection[MessageId]) -> dict[MessageId, MessageId]:
        """Whose row is to be written again: the root that it names has given way, or conv has changed where a row was there."""
        roots_now = {message_node(conversation) for conversation in placed.values()}
        nodes = self.pools.nodes(roots_now | {message_node(m) for m in known})
        gone = {name for name in roots_now if (node := nodes.get(name)) is not None and node.parent != name}
        again = {m for m, conversation in placed.items() if message_node(conversation) in gone}
        again.update(m for m in known if (node := nodes.get(message_node(m))) is not None and node.conv is not None)
        now = self._conversations(again)
        return {m: conversation for m, conversation in now.items() if conversation != placed[m]}

    # -------------------------------------------------------------------------------------------- the rows
    def _insert(self, wanted: Mapping[MessageId, MessageId]) -> set[MessageId]:
        """The messages that had no row."""
        if not wanted:
            return set()
        with self.scoped.transaction() as connection:
            rows = connection.execute(_INSERT.encode(), (self.scoped.scope, *_columns(wanted)), binary=True).fetchall()
        return {MessageId(row[0]) for row in rows}

    def _write(self, wanted: Mapping[MessageId, MessageId]) -> None:
        if wanted and self.scoped.lease is not None:
            self.scoped.write(_WRITE, (self.scoped.scope, *_columns(wanted)))
        elif wanted:
            self.mine.update(wanted)
            self.scoped.write(_CHANGE, (self.scoped.scope, *_columns(wanted), self.scoped.scope))

    def _move(self, wanted: Mapping[MessageId, MessageId]) -> list[MessageId]:
        """Whoever is in the conversation that a message named is in that message's conversation: the messages that were moved."""
        other = {old: new for old, new in wanted.items() if old != new}
        if not other:
            return []
        scope, columns = self.scoped.scope, _columns(other)
        with self.scoped.transaction() as connection:
            rows = connection.execute(_MOVE.encode(), (*columns, scope, scope), binary=True).fetchall()
            connection.execute(_WENT.encode(), (*columns, scope))
        return [MessageId(row[0]) for row in rows]


def _named(name: NodeName, nodes: Mapping[NodeName, Any], root: Mapping[NodeName, NodeName]) -> NodeName:
    node = nodes.get(name)
    return node.conv if node is not None and node.conv is not None else root[name]


def _columns(rows: Mapping[MessageId, MessageId]) -> tuple[list[bytes], list[bytes]]:
    ordered = sorted(rows)
    return list(ordered), [rows[message] for message in ordered]
