"""Hand edits: which links count, and which are added, where somebody said by hand what belongs together. Pure.

A split is a wall between two sets of nodes. A message is on the inside if it was there when the wall was built; one that the wall doesn't name
is on the inside if it states any key from there, so a reply that comes years later is where it belongs, without a look at who is in
which thread. Keys from the other side don't count; for whom that leaves alone there is a link to the message that was split off. A join is a link between
two messages, and no wall stands in its way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, ClueName, Edit, NodeName, Place, Stated, Target
from mailloom.thread.keys import message_node

JOIN, SPLIT = "join", "split"
HAND = "hand"
"""The kind of a soft link that an edit draws: it lives as the others do, and is withdrawn as they are."""
WEIGHT = 1000
Choose = Callable[[Stated, Mapping[ClueName, ClueItem], Mapping[MessageId, Stated]], tuple[Target, ...]]


def places_of(edits: Iterable[Edit]) -> Iterator[Place]:
    """Where edits name nodes, but for those that were taken back."""
    for edit in edits:
        if edit.undone is None:
            for names, inside in ((edit.inside, True), (edit.outside, False)):
                for name in names:
                    yield Place(name, edit.number, edit.kind, inside, edit.message, edit.target)


class Hand:
    """What edits say of some messages: made from the places of their nodes and keys. One that says nothing is false."""

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self.at: dict[NodeName, set[Place]] = defaultdict(set)
        for place in places:
            self.at[place.name].add(place)

    def __bool__(self) -> bool:
        return bool(self.at)

    def own(self, message: MessageId) -> Iterable[Place]:
        """The places of a message's own node."""
        return self.at.get(message_node(message), ())

    def touches(self, stated: Stated) -> bool:
        """Whether any edit names a message or a key that it states."""
        return any(self.own(stated.message)) or any(link.key in self.at for link in stated.links)

    def sides(self, stated: Stated) -> dict[int, bool]:
        """The splits that a message has to do with -> whether it is on their inside."""
        sides: dict[int, bool] = defaultdict(bool)
        for link in stated.links:
            for place in self.at.get(link.key, ()):
                sides[place.number] |= place.inside
        sides.update((place.number, place.inside) for place in self.own(stated.message) if place.kind == SPLIT)
        return dict(sides)

    def walled(self, stated: Stated) -> dict[NodeName, int]:
        """The keys that a message states and that don't count for it -> the split that says so."""
        if not self.at:
            return {}
        sides = self.sides(stated)
        return {
            link.key: place.number
            for link in stated.links
            for place in self.at.get(link.key, ())
            if place.inside != sides[place.number]
        }

    def apart(self, stated: Stated, other: Stated) -> bool:
        """Whether a wall is between two messages."""
        mine, yours = self.sides(stated), self.sides(other)
        return any(mine[number] != yours[number] for number in mine.keys() & yours.keys())

    def may_find(self, stated: Stated, other: Stated) -> bool:
        """Whether a message may get a soft link to another. What was split off by hand was to be on its own: it looks for nobody
        beyond its side, else it would go on to the next best.
        """
        inside = {place.number for place in self.own(stated.message) if place.kind == SPLIT and place.inside}
        return inside <= self.sides(other).keys() and not self.apart(stated, other)

    def drawn(self, stated: Stated, known: Mapping[MessageId, Stated]) -> Iterator[Target]:
        """The links that edits add to a message's own, to messages that are `known`."""
        for place in self.own(stated.message):
            if place.kind == JOIN and place.inside and place.target in known:
                yield Target(place.target, HAND, WEIGHT, JOIN)
        sides = self.sides(stated)
        heads = {
            place.target
            for link in stated.links
            for place in self.at.get(link.key, ())
            if sides[place.number] and not place.inside
        }
        for head in sorted(heads - {stated.message}):
            if head in known and not self.apart(stated, known[head]):
                yield Target(head, HAND, WEIGHT, SPLIT)


def seen(stated: Stated, hand: Hand) -> Stated:
    """What a message states, as its tree shows it: without the ids behind a wall, which would be told as missing though they are not."""
    walled = hand.walled(stated)
    if not walled:
        return stated
    kept = [link for link in stated.links if link.key not in walled or link.kind == "thread-index"]
    return stated._replace(links=tuple(kept))


def chosen(
    stated: Stated,
    clues: Mapping[ClueName, ClueItem],
    known: Mapping[MessageId, Stated],
    hand: Hand,
    choose: Choose | None,
) -> tuple[Target, ...]:
    """The soft links of a message: what `choose` makes of its clues (None if it doesn't ask), as far as no wall is between, and what
    edits add. `hand` must know the message, the owners of its clues and whom its edits name; `known` has their statements.
    """
    if not hand:
        return choose(stated, clues, known) if choose else ()
    links: dict[MessageId, Target] = {}
    if choose:
        owners = {owner for ask in stated.asks for owner in clues.get(ask.clue, ClueItem()).owners if owner in known}
        near = {owner: known[owner] for owner in sorted(owners) if hand.may_find(stated, known[owner])}
        found = [target for target in choose(stated, clues, near) if target.target in near]
        links.update((target.target, target) for target in _one_side(found, near, hand))
    links.update((target.target, target) for target in hand.drawn(stated, known))
    return tuple(links.values())


def _one_side(found: Sequence[Target], near: Mapping[MessageId, Stated], hand: Hand) -> list[Target]:
    """A message that no wall names may have links to both sides of one: as with keys, the inside is where it belongs."""
    sides = [(target, hand.sides(near[target.target])) for target in found]
    within = {number for _, side in sides for number, inside in side.items() if inside}
    return [target for target, side in sides if not any(number in within and not side[number] for number in side)]
