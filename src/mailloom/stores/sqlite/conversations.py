"""Who is in which conversation, read from the nodes of one epoch: a pool's root names it, unless `conv` does.

The functions for one conversation cost its own size, the one for all a pass over all nodes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from mailloom.mail.model import MessageId
from mailloom.ports import Member
from mailloom.stores.sqlite.connection import Connection
from mailloom.thread.keys import message_node

MAX_JUMPS = 64  # each jump halves every path, so 2 ** 64 nodes; only a damaged archive has a cycle

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


def membership(connection: Connection, scope: str, epoch: str) -> Iterator[Member]:
    """Every message of a scope in the order of messages. Memory is some 80 bytes a message, and a few times that for each topic of
    conversations of more than one message.
    """
    import numpy as np

    names, threads = _threads(connection, epoch)
    _, code, count = np.unique(np.frombuffer(threads, "S16"), return_inverse=True, return_counts=True)
    alone = count[code] == 1
    topics: dict[tuple[int, str], MessageId] = {}
    at = 0
    sql = "select id, base_subject from messages where scope = ? order by id"
    for message, subject in connection.cursor().execute(sql, (scope,)):
        while at < len(names) and names[at : at + 16] < message:
            at += 16
        # A message without a node is a conversation of its own; doctor tells of it.
        thread = threads[at : at + 16] if names[at : at + 16] == message else message
        topic = message
        if thread is not message and not alone[at // 16]:
            topic = topics.setdefault((int(code[at // 16]), subject), message)
        yield Member(MessageId(message), MessageId(thread), MessageId(topic))


def _threads(connection: Connection, epoch: str) -> tuple[bytes, bytes]:
    """The ids of all message nodes, in order, and the conversation of each, joined.

    A message's parent is a message (names of messages are smaller than those of keys, and no parent is larger than its child), so
    paths are followed among messages alone, all at once, each step twice as long as the last.
    """
    import numpy as np

    names, parents, convs, at = bytearray(), bytearray(), bytearray(), array("q")
    sql = "select name, parent, conv from nodes where scope = ? and name < x'01' order by name"
    for number, (name, parent, conv) in enumerate(connection.cursor().execute(sql, (epoch,))):
        names += name[1:]
        parents += parent[1:]
        if conv is not None:
            convs += conv[1:]
            at.append(number)
    # All are 16 bytes long, so numpy's strings, which end at their last byte that isn't zero, compare as bytes do.
    ids, above = np.frombuffer(bytes(names), "S16"), np.frombuffer(bytes(parents), "S16")
    root = np.minimum(np.searchsorted(ids, above), max(0, len(ids) - 1))
    lost = np.flatnonzero(ids[root] != above)
    root[lost] = lost
    for _ in range(MAX_JUMPS):
        further = root[root]
        if (further == root).all():
            break
        root = further
    threads = ids[root]
    threads[lost] = above[lost]
    threads[np.array(at, np.int64)] = np.frombuffer(bytes(convs), "S16")
    return bytes(names), threads.tobytes()
