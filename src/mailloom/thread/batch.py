"""Everything that messages state -> conversations, all at once. Pure: what one machine and a cluster run to derive every thread again,
and the oracle that the incremental way is held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, ClueName, ClueNote, Edit, KeyItem, NodeName, Stated, Target
from mailloom.thread.components import components
from mailloom.thread.decide import decide, is_asking
from mailloom.thread.edits import Choose, Hand, chosen, places_of
from mailloom.thread.keys import WITHOUT_ITEM, hinted, is_dead, message_node, note_of, noted


def key_items(stated: Iterable[Stated]) -> dict[NodeName, KeyItem]:
    """Every key's item, as the workers build it one note at a time."""
    items: dict[NodeName, KeyItem] = {}
    for s in stated:
        for link in s.links:
            if link.kind not in WITHOUT_ITEM:
                items[link.key] = noted(items.get(link.key, KeyItem()), note_of(s, link))
    return items


def clue_items(stated: Iterable[Stated]) -> dict[ClueName, ClueItem]:
    items: dict[ClueName, ClueItem] = {}
    for s in stated:
        for clue in s.owns:
            items[clue] = hinted(items.get(clue, ClueItem()), ClueNote(clue, owner=s.message))
    return items


def derive(
    stated: Sequence[Stated], *, soft: bool = True, choose: Choose = decide, edits: Iterable[Edit] = ()
) -> tuple[dict[MessageId, MessageId], dict[MessageId, tuple[Target, ...]]]:
    """Each message -> its conversation, and each message's soft links, from everything that all of them state, and
    the hand edits.

    With `soft` off only the hard links count: `export threads --evidence headers`.
    """
    by_id = {s.message: s for s in stated}
    items, clues = key_items(by_id.values()), clue_items(by_id.values())
    hand = Hand(places_of(edits))
    targets = {
        m: chosen(s, clues, by_id, hand, choose if soft and is_asking(s, items) else None) for m, s in by_id.items()
    }
    links: list[tuple[NodeName, NodeName]] = []
    for s in by_id.values():
        node = message_node(s.message)
        links.append((node, node))
        walled = hand.walled(s)
        links += [
            (node, link.key)
            for link in s.links
            if link.key not in walled and not is_dead(items.get(link.key, KeyItem()))
        ]
        links += [(node, message_node(t.target)) for t in targets[s.message]]
    low = components(links)
    return {m: MessageId(low[message_node(m)][1:]) for m in by_id}, targets
