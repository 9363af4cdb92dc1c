"""Making a hand edit, and taking it back: from a conversation as it is to the names that an edit is made of, and into the store.

The edit is written first and then whoever is linked to its nodes is marked, so that a worker that brings such a message at the same time
either sees the edit or is seen. Doing it again after a crash is doing it once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from mailloom.mail.model import MessageId
from mailloom.ports import Edit, Evidence, NodeName, Soft, Stated, Threads, UserError
from mailloom.thread.edits import JOIN, SPLIT, Hand, seen
from mailloom.thread.keys import key_name, message_node
from mailloom.thread.tree import Twig, below, tree


def whom(threads: Evidence, names: Iterable[NodeName]) -> set[MessageId]:
    """The messages that these nodes are of, and those that state these keys."""
    every = set(names)
    messages = {MessageId(name[1:]) for name in every if name[0] == 0}
    return messages.union(*threads.linked({name for name in every if name[0] == 1}).values())


def make(threads: Threads, edit: Edit) -> Edit:
    """Store an edit under the next free number, and mark whom it touches. As it was stored, if the same one is in force already."""
    while True:
        there = threads.edits()
        same = [e for e in there if e.undone is None and e._replace(number=0, at=0) == edit._replace(number=0, at=0)]
        made = same[0] if same else edit._replace(number=1 + max((e.number for e in there), default=0))
        if same or threads.put(made):
            break
    threads.mark(whom(threads, made.inside | made.outside))
    return made


def take_back(threads: Threads, number: int, at: int) -> Edit:
    """Undo an edit, and mark whom it touched. Raises UserError for a number that none has."""
    edit = next((e for e in threads.edits() if e.number == number), None)
    if edit is None:
        raise UserError(f"there is no edit {number}: `mailloom thread --edits` lists them")
    threads.undo(number, at)
    threads.mark(whom(threads, edit.inside | edit.outside))
    return edit


# ------------------------------------------------------------------------------------------------ what an edit says
def join(one: MessageId, other: MessageId, at: int) -> Edit:
    """These two belong together. The later hangs on the earlier, whichever is named first. Without its number."""
    later, earlier = max(one, other), min(one, other)
    return Edit(0, JOIN, later, earlier, frozenset({message_node(later)}), frozenset({message_node(earlier)}), at)


def split(message: MessageId, members: Sequence[Stated], soft: Collection[Soft], hand: Hand, at: int) -> Edit:
    """A message and what answers it, on one side; the rest of its conversation on the other. Without its number.

    `members` are all of the conversation, `soft` the soft links from them. Raises UserError where there is no rest, or where a join by hand
    would stand against it.
    """
    inside, ghosts = _answers(message, [seen(s, hand) for s in members], soft)
    if len(inside) == len(members):
        raise UserError(f"{message.hex()} begins its thread, all the rest answers it: split off one of the answers")
    for place in (place for s in members for place in hand.own(s.message) if place.kind == JOIN):
        if (place.message in inside) != (place.target in inside):
            raise UserError(
                f"{message.hex()} can't be split off: {place.message.hex()} and {place.target.hex()} were joined by hand;"
                f" `mailloom thread --undo {place.number}` takes that back"
            )
    stated = {link.key for s in members for link in s.links}
    theirs = {link.key for s in members if s.message not in inside for link in s.links if link.owns}
    ours = {link.key for s in members if s.message in inside for link in s.links if link.owns} | (ghosts & stated)
    ours -= theirs
    return Edit(
        number=0,
        kind=SPLIT,
        message=message,
        target=message,
        inside=frozenset(map(message_node, inside)) | ours,
        outside=frozenset(message_node(s.message) for s in members if s.message not in inside) | (stated - ours),
        at=at,
    )


def _answers(
    message: MessageId, members: Sequence[Stated], soft: Collection[Soft]
) -> tuple[set[MessageId], set[NodeName]]:
    """A message and what is below it in the tree, twins and copies of these with what is below them, and what is below a missing
    message but was joined only because it likely answers one of these; and the keys of the missing among them.
    """
    by_id = {s.message: s for s in members}
    twigs: dict[MessageId, Twig] = {}
    root: dict[MessageId, Twig] = {}
    for top in tree(members, soft):
        for twig in below(top):
            if twig.message is not None:
                twigs[twig.message], root[twig.message] = twig, top
    same: dict[NodeName, list[MessageId]] = defaultdict(list)
    for s in members:
        for link in s.links:
            if link.owns and link.kind != "thread-index":  # two that begin a talk in one Outlook thread are two
                same[link.key].append(s.message)
    likely: dict[MessageId, list[MessageId]] = defaultdict(list)
    for row in soft:
        top = root.get(row.source, root[message])
        if row.live and top.ghost and top is not root[message]:
            likely[row.target] += [twig.message for twig in below(top) if twig.message is not None]
    inside: set[MessageId] = set()
    ghosts: set[NodeName] = set()
    todo = [message]
    while todo:
        for twig in below(twigs[todo.pop()]):
            if twig.message is None:
                ghosts.add(key_name("id", twig.cited))
            elif twig.message not in inside:
                inside.add(twig.message)
                copies = [m for link in by_id[twig.message].links if link.owns for m in same.get(link.key, ())]
                todo += [m for m in (*copies, *likely[twig.message]) if m not in inside]
    return inside, ghosts
