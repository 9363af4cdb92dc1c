"""A worker writes, then looks. The order of the writes is what makes any interleaving of workers and settle end well.

Nodes, then the evidence; unions, not through dead keys; key items, asks, clue items; then a look at what others did
meanwhile; marks last. *Dirty* is a state, not an event: a replay after a crash finds the same reasons again. A plain reply to a
stored message never is.

How late the look must be (`Pools.look` gives a node as it was at this batch's last write to it, or later):

- What settle stamps while it knows of this message needs no look: after each stamp it reads everything again, evidence first, and
  joins and names all that the message states. It knows of it if the evidence was there before the stamp. So any look after
  `state` finds what settle did without knowing it: for the message's own node and its twins, which can't die, the swing is late enough.
- The flag `dead` is the one stamp after which settle reads nothing. A key may die between its union and that stamp, so a key is
  looked at after the union. Its note is: it never comes before the union of who noted, and it reads item and node in one atomic step.
  If the note comes before settle's last reading of the item, settle counts it; if later, the key bears the conv that settle gave it
  before that reading, or is dead.
- A key that is its own parent is in a pool without messages. It is tied: one write hangs it below the pool of those who state it, and
  notes what they say. That is a union and a note at one instant, provided that they are in that pool by then: all other unions of the
  pool come first, and where one of them fails the key waits. Were it tied beside them, a worker could be left standing with its note
  made and its message still outside. The key might die then, and settle would give no conv to a message that hangs on nothing; the
  union that came at last would bring it in, and the look, as old as the tie, would find nothing odd.
- A note that changes nothing is a reading of the item now, never of what was known of it before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mailloom.mail.model import MessageId
from mailloom.ports import ClueNote, KeyItem, KeyNote, Link, NodeName, Stated, Threads
from mailloom.thread.assign import Joined, assign
from mailloom.thread.decide import is_asking
from mailloom.thread.keys import WITHOUT_ITEM, is_common, is_dead, nodes_of, note_of, own_nodes


def weave(threads: Threads, batch: Sequence[Stated]) -> list[Joined]:
    """Bring a batch of messages into the threads; the pools that were joined. Messages that settle must look at are marked."""
    names = {name for stated in batch for name in nodes_of(stated)}
    threads.enter(names, fresh={name for stated in batch for name in own_nodes(stated)})
    threads.state(batch)
    notes = _notes(batch)
    joined = assign(threads, batch, notes)
    items = {one.old: one.item for one in joined if one.item is not None}
    items.update(_note(threads, [note for key, some in notes.items() if key not in items for note in some]))
    dirty = {s.message for s in batch if any(link.owns and items[link.key].asked for link in keyed(s))}
    dirty |= _ask(threads, [s for s in batch if is_asking(s, items)], items)
    dirty |= _own(threads, batch)
    dirty |= _look(threads, batch, items)
    if dirty:
        threads.mark(dirty)
    return joined


def keyed(stated: Stated) -> Iterable[Link]:
    """The links whose keys have an item, each key once: an id is mostly in In-Reply-To and in References."""
    return {link.key: link for link in stated.links if link.kind not in WITHOUT_ITEM}.values()


def _notes(batch: Sequence[Stated]) -> dict[NodeName, tuple[KeyNote, ...]]:
    notes: dict[NodeName, tuple[KeyNote, ...]] = defaultdict(tuple)
    for s in batch:
        for link in keyed(s):
            notes[link.key] += (note_of(s, link),)
    return notes


def _note(threads: Threads, notes: Sequence[KeyNote]) -> dict[NodeName, KeyItem]:
    return {note.key: after for note, (_, after) in zip(notes, threads.note(notes), strict=True)}


def _ask(threads: Threads, askers: Sequence[Stated], items: dict[NodeName, KeyItem]) -> set[MessageId]:
    """Flags first, then the rows, then the clue items: whoever owns one of them later sees the ask; who owned it before is seen."""
    dirty = set()
    notes = [(s.message, KeyNote(link.key, asked=True)) for s in askers for link in keyed(s) if not link.owns]
    for (message, note), (_, after) in zip(notes, threads.note([n for _, n in notes]), strict=True):
        items[note.key] = after
        if after.owners:
            dirty.add(message)
    threads.ask([(ask.clue, s.message) for s in askers for ask in s.asks])
    hints = [(s.message, ClueNote(ask.clue, asked=True)) for s in askers for ask in s.asks]
    for (message, _), (before, _) in zip(hints, threads.hint([h for _, h in hints]), strict=True):
        if before.owners - {message} and not is_common(before):
            dirty.add(message)
    return dirty


def _own(threads: Threads, batch: Sequence[Stated]) -> set[MessageId]:
    hints = [ClueNote(clue, owner=s.message) for s in batch for clue in s.owns]
    owned = zip(hints, threads.hint(hints), strict=True)
    return {h.owner for h, (_, after) in owned if h.owner is not None and after.asked and h.owner in after.owners}


def _look(threads: Threads, batch: Sequence[Stated], items: dict[NodeName, KeyItem]) -> set[MessageId]:
    """What settle may have done meanwhile: a node with conv or dead, or a key whose item and node disagree. And what edits say of
    these nodes: a worker joins what evidence joins, settle parts it. Edits are read after the unions, and whoever makes one marks
    what is linked to its nodes after it is there: one of both sees the other.
    """
    names = {name for s in batch for name in nodes_of(s)}
    seen = threads.look(names)
    odd = {name for name, node in seen.items() if node.conv is not None or node.dead}
    odd |= {key for key, item in items.items() if is_dead(item) != seen[key].dead}
    odd |= {place.name for place in threads.places(names)}
    return {s.message for s in batch if not odd.isdisjoint(nodes_of(s))}
