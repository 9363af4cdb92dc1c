"""Who is in which conversation, read from the nodes of one epoch: a pool's root names it, unless `conv` does.

The functions for one conversation cost its own size, the one for all a pass over all nodes.
"""

from __future__ import annotations

from collections import defaultdict

from mailloom.mail.model import MessageId
from mailloom.stores.sqlite import Connection
from mailloom.thread.components import topics
from mailloom.thread.keys import message_node

_UP = """with recursive up (name, parent) as (
    select name, parent from nodes where scope = ?1 and name = ?2
    union all select n.name, n.parent from nodes n join up on n.scope = ?1 and n.name = up.parent where up.parent <> up.name)
  select name from up where name = parent"""
# "cross join" keeps SQLite from looking through all nodes for each one (it knows no sizes): a pool's cost is then its own size.
_DOWN = """with recursive down (name) as (
    select ?2
    union all select n.name from down cross join nodes n on n.scope = ?1 and n.parent = down.name where n.parent <> n.name)
  select d.name from down d cross join nodes n on n.scope = ?1 and n.name = d.name and n.conv is null
  where d.name < x'01' order by d.name"""


def conversation_of(connection: Connection, epoch: str, message: MessageId) -> MessageId | None:
    """The conversation that a message is in, None for one that is not there."""
    node = message_node(message)
    row = connection.execute("select conv from nodes where scope = ? and name = ?", (epoch, node)).fetchone()
    return MessageId((row[0] or connection.execute(_UP, (epoch, node)).get)[1:]) if row else None


def members_of(connection: Connection, epoch: str, conversation: MessageId) -> list[MessageId]:
    """The messages of a conversation, oldest first."""
    node = message_node(conversation)
    sql = "select name from nodes where scope = ? and conv = ? and name < x'01' order by name"
    named = list(connection.execute(sql, (epoch, node)))
    return [MessageId(row[0][1:]) for row in named or connection.execute(_DOWN, (epoch, node))]


def membership(connection: Connection, scope: str, epoch: str) -> list[tuple[MessageId, MessageId, MessageId]]:
    """(message, conversation, topic) of every message of a scope, ordered by conversation and message."""
    parent: dict[bytes, bytes] = {}
    conv: dict[bytes, bytes] = {}
    rows = connection.execute(
        "select name, parent, conv from nodes where scope = ? and name < x'01' order by name", (epoch,)
    )
    for name, above, override in rows:
        # In the order of names a parent comes before its children, so its root is known already.
        parent[name] = parent.get(above, above)
        if override is not None:
            conv[name] = override
    groups: dict[bytes, list[tuple[MessageId, bytes]]] = defaultdict(list)
    for message, subject in connection.execute("select id, base_subject from messages where scope = ?", (scope,)):
        node = message_node(message)
        groups[conv.get(node) or parent[node]].append((MessageId(message), subject.encode()))
    entries = []
    for node, members in sorted(groups.items()):
        topic = topics(members)
        entries += [(message, MessageId(node[1:]), topic[message]) for message, _ in sorted(members)]
    return entries
