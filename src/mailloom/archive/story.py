"""Why a mail is in its thread, as values: what it states, what became of each piece, who else was considered, what would change it.

What is said here follows from the archive as it is now. Where a link was drawn by a settle before later mail came, `settled` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mailloom.archive.reading import Archive
from mailloom.mail.model import MessageId
from mailloom.ports import Ask, ClueItem, ClueName, KeyItem, Link, NodeName, Place, Soft, Stated
from mailloom.thread.components import topics
from mailloom.thread.decide import Candidate, candidates, is_asking, needed
from mailloom.thread.edits import HAND, Hand, seen
from mailloom.thread.index import level
from mailloom.thread.keys import is_common, is_dead, nodes_of
from mailloom.thread.path import Step, path
from mailloom.thread.telling import Says

AT_A_MINUTE = frozenset({"wrote", "wrote there", "siblings"})  # asks whose value is a minute
WALKED = 5000  # messages of a thread up to which the way to its oldest is looked for: a fifth of a second
TOLD = 100  # soft links that are told piece by piece: of a mail that thousands follow, the rest has its one line
LOOKED_AT = 1000  # messages of one key that are told apart into those that have it and those that cite it


class Tie(NamedTuple):
    """A hard link of the mail with the others on its key. Its Thread-Index says that it is `level` answers deep; that of `above` is the
    longest beginning of it that is here, `gap` answers between them being missing.

    `why` a dead one joins nothing: "shared" by automatic mail (`senders` and `subjects` that cite it, as far as they are
    counted), or "reused" by mails with different subjects. One that is "apart" is behind the wall of a hand edit, whose number is `wall`.
    """

    link: Link
    state: Literal["joins", "alone", "dead", "apart"]
    why: Literal["", "shared", "reused"]
    senders: int
    subjects: int
    settled: bool
    having: tuple[MessageId, ...]
    citing: tuple[MessageId, ...]
    level: int = 0
    above: MessageId | None = None
    gap: int = 0
    wall: int = 0


class Likely(NamedTuple):
    """A soft link from this mail (`outward`) or to it, and what speaks for it; `says` is empty where that is not known any more."""

    row: Soft
    outward: bool
    says: tuple[Says, ...]


class Sought(NamedTuple):
    """Asks for one thing, together: `values` different values of it (phrases; else 1), of which `common` are too common to count;
    `found` are the mails that have one and may be followed by it. `minute` is since 1970, as the head of a quote says it.
    """

    kind: str
    what: str
    minute: int
    values: int
    common: int
    found: tuple[MessageId, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """`considered` are the candidates for its soft link, best first, and `needs` is what one must reach; `settled` says whether
    the link that lives is the best of them. `way` leads to the oldest message of the thread, () for that one itself and in a thread of more than
    WALKED messages. `edits` has a place of each hand edit that names it or its ids. `near` are mails with nearly the same text and how alike they are, 0 to 1; `copies` counts deliveries.
    """

    message: MessageId
    thread: MessageId
    members: int
    topic: MessageId
    way: tuple[Step, ...]
    reply: bool
    ties: tuple[Tie, ...]
    edits: tuple[Place, ...]
    likely: tuple[Likely, ...]
    asking: bool
    asks: tuple[tuple[Ask, ClueItem], ...]
    sought: tuple[Sought, ...]
    considered: tuple[Candidate, ...]
    needs: int
    settled: bool
    twins: tuple[MessageId, ...]
    near: tuple[tuple[MessageId, float], ...]
    copies: int


def story(archive: Archive, message: MessageId) -> Story:
    """All that is known of why a message is where it is. Raises NotFoundError."""
    threads = archive.evidence
    with archive.snapshot():
        conversation = archive.conversation(message)
        members = archive.members(conversation)
        topic = topics((m, subject.encode()) for m, subject in archive.subjects(members).items()).get(message, message)
        stated = archive.stated([message])[0]
        items = dict(threads.keys({link.key for link in stated.links}))
        hand = archive.by_hand([stated])
        ties = tuple(_ties(archive, stated, items, hand))
        clues = threads.clues({ask.clue for ask in stated.asks})
        asking = is_asking(stated, items)
        considered = sorted(_candidates(archive, stated, clues), reverse=True) if asking else []
        rows = [row for row in threads.drawn([message]) if row.kind != HAND]  # `edits` says more of these
        drawn = sorted(rows, key=lambda row: (row.source != message, row))
        likely = [_likely(archive, row, message, anew=at < TOLD) for at, row in enumerate(drawn)]
        way = tuple(_way(archive, members, message, conversation))
        near = tuple((one.other, one.similarity) for one in archive.duplicates(message) if one.kind == "near")
        twins, copies = tuple(archive.twins(message)), len(archive.copies(message))
    needs = needed(stated)
    best = {considered[0].message} if considered and considered[0].weight >= needs else set()
    return Story(
        message=message,
        thread=conversation,
        members=len(members),
        topic=topic,
        way=way,
        reply=stated.reply,
        ties=ties,
        edits=tuple(_places(hand, stated)),
        likely=tuple(likely),
        asking=asking,
        asks=tuple((ask, clues.get(ask.clue, ClueItem())) for ask in stated.asks),
        sought=tuple(_sought(stated, clues)),
        considered=tuple(considered),
        needs=needs,
        settled=best == {one.row.target for one in likely if one.outward and one.row.live},
        twins=twins,
        near=near,
        copies=copies,
    )


def _way(archive: Archive, members: Sequence[MessageId], start: MessageId, end: MessageId) -> list[Step]:
    if start == end or len(members) > WALKED:
        return []
    stated = archive.stated(members)
    hand = archive.by_hand(stated)
    stated = [seen(s, hand) for s in stated]
    nodes = archive.evidence.nodes({link.key for s in stated for link in s.links})
    dead = {key for key, node in nodes.items() if node.dead}
    return path(stated, archive.soft(members), dead, start, end)


# ------------------------------------------------------------------------------------------------ hard links
def _places(hand: Hand, stated: Stated) -> list[Place]:
    """One place of each edit that names a message or, where none does, its keys."""
    by_number: dict[int, Place] = {}
    for name in reversed(nodes_of(stated)):
        by_number.update((place.number, place) for place in hand.at.get(name, ()))
    return [place for _, place in sorted(by_number.items())]


def _used(archive: Archive, key: NodeName, others: Sequence[MessageId]) -> list[MessageId]:
    """Those for whom a key counts that a hand edit names."""
    stated = archive.stated(others)
    hand = archive.by_hand(stated)
    return [s.message for s in stated if key not in hand.walled(s)]


def _ties(archive: Archive, stated: Stated, items: Mapping[NodeName, KeyItem], hand: Hand) -> Iterable[Tie]:
    walled = hand.walled(stated)
    names = {link.key for link in stated.links}
    nodes, linked = archive.evidence.nodes(names), archive.evidence.linked(names)
    for link in stated.links:
        item = items.get(link.key, KeyItem())
        others = [other for other in linked.get(link.key, ()) if other != stated.message]
        if link.key in hand.at:
            others = _used(archive, link.key, others[:LOOKED_AT])
        near = {s.message: s for s in archive.stated(others[:LOOKED_AT])}
        having = {m for m, s in near.items() if any(one.owns and one.key == link.key for one in s.links)}
        dead = is_dead(item)
        why: Literal["", "shared", "reused"] = "" if not dead else "reused" if item.owners else "shared"
        index = link.detail if link.kind == "thread-index" else ""
        above, reached = _above(index, near.values()) if index else (None, 0)
        yield Tie(
            link,
            state="dead" if dead else "apart" if link.key in walled else "joins" if others else "alone",
            why=why,
            senders=len(item.senders),
            subjects=len(item.subjects),
            settled=link.key not in nodes or nodes[link.key].dead == dead,
            having=tuple(sorted(having)),
            citing=tuple(sorted(set(others) - having)),
            level=level(index),
            above=above,
            gap=level(index) - 1 - reached if above else 0,
            wall=walled.get(link.key, 0),
        )


def _above(index: str, others: Iterable[Stated]) -> tuple[MessageId | None, int]:
    """The mail whose Thread-Index, in hex, is the longest beginning of this one, the oldest of those that have it; how deep that is."""
    best: tuple[MessageId | None, str] = (None, "")
    for other in sorted(others, key=lambda s: s.message):
        for link in other.links:
            shorter = link.kind == "thread-index" and len(link.detail) < len(index) and index.startswith(link.detail)
            if shorter and len(link.detail) > len(best[1]):
                best = (other.message, link.detail)
    return best[0], level(best[1])


# ------------------------------------------------------------------------------------------------ soft links
def _candidates(archive: Archive, stated: Stated, clues: Mapping[ClueName, ClueItem]) -> list[Candidate]:
    owners: Collection[MessageId] = {owner for item in clues.values() for owner in item.owners}
    known = archive.evidence.stated(owners)
    hand = archive.by_hand([stated, *known.values()])
    return candidates(stated, clues, {m: s for m, s in known.items() if not hand or hand.may_find(stated, s)})


def _likely(archive: Archive, row: Soft, message: MessageId, *, anew: bool) -> Likely:
    """What speaks for a link is told anew, as the row only keeps it as one line."""
    says: tuple[Says, ...] = ()
    if anew and row.live:
        source = archive.stated([row.source])[0]
        clues = archive.evidence.clues({ask.clue for ask in source.asks})
        for one in _candidates(archive, source, clues):
            if one.message == row.target and one.weight == row.weight:
                says = one.says
    return Likely(row, row.source == message, says)


def _sought(stated: Stated, clues: Mapping[ClueName, ClueItem]) -> list[Sought]:
    together: dict[tuple[str, str, int], list[Ask]] = {}
    for ask in stated.asks:
        minute = ask.value if ask.kind in AT_A_MINUTE else 0
        together.setdefault((ask.kind, ask.detail, minute), []).append(ask)
    return [Sought(*what, *_answers(stated.message, some, clues)) for what, some in together.items()]


def _answers(
    message: MessageId, asks: Sequence[Ask], clues: Mapping[ClueName, ClueItem]
) -> tuple[int, int, tuple[MessageId, ...]]:
    """How many values these ask for, how many of them are common, and who may be followed for one that isn't. A value is asked for
    by several names, one for each span of days in which it may have been said; a phrase that is common in one is dropped.
    """
    items = [(ask, clues.get(ask.clue, ClueItem())) for ask in asks]
    common = {ask.value for ask, item in items if is_common(item)}
    found: set[MessageId] = set()
    for ask, item in items:
        if is_common(item) or (ask.kind == "text" and ask.value in common):
            continue
        late = ask.kind.startswith("wrote")  # only who is named by a quote may be dated later: clocks are wrong
        found.update(m for m in item.owners if m < message or (late and m != message))
    return len({ask.value for ask in asks}), len(common), tuple(sorted(found))


__all__ = ["Likely", "Sought", "Story", "Tie", "story"]
