"""Why a mail is in its thread, as values: what it states, what became of each piece, who else was considered, what would change it.

What is said here follows from the archive as it is now. Where a link was drawn by a settle before later mail came, `settled` says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mailloom.archive.reading import Archive
from mailloom.mail.model import MessageId
from mailloom.ports import Ask, ClueItem, ClueName, KeyItem, Link, NodeName, Soft, Stated
from mailloom.thread.decide import Candidate, candidates, is_asking, needed
from mailloom.thread.keys import is_common, is_dead
from mailloom.thread.telling import Says
from mailloom.thread.tree import INDEX_HEAD, INDEX_STEP, topics

AT_A_MINUTE = frozenset({"wrote", "wrote there", "siblings"})  # asks whose value is a minute
LOOKED_AT = 1000  # messages of one key that are told apart into those that have it and those that cite it


class Tie(NamedTuple):
    """A hard link of the mail with the others on its key. `above` is whom its Thread-Index answers, `level` how many answers deep it is.

    `why` a dead one joins nothing: "shared" by automatic mail (`senders` and `subjects` that cite it, as far as they are
    counted), or "reused" by mails with different subjects.
    """

    link: Link
    state: Literal["joins", "alone", "dead"]
    why: Literal["", "shared", "reused"]
    senders: int
    subjects: int
    settled: bool
    having: tuple[MessageId, ...]
    citing: tuple[MessageId, ...]
    level: int = 0
    above: MessageId | None = None


class Likely(NamedTuple):
    """A soft link from this mail (`outward`) or to it, and what speaks for it; `says` is empty where that is not known any more."""

    row: Soft
    outward: bool
    says: tuple[Says, ...]


class Sought(NamedTuple):
    """Asks for one thing, together: `values` different values of it (phrases; else 1), of which `common` are too common to count;
    `found` are the mails that have one. `minute` is since 1970, as the head of a quote says it.
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
    the link that lives is the best of them. `copies` counts deliveries.
    """

    message: MessageId
    thread: MessageId
    members: int
    topic: MessageId
    reply: bool
    ties: tuple[Tie, ...]
    likely: tuple[Likely, ...]
    asking: bool
    asks: tuple[tuple[Ask, ClueItem], ...]
    sought: tuple[Sought, ...]
    considered: tuple[Candidate, ...]
    needs: int
    settled: bool
    twins: tuple[MessageId, ...]
    copies: int


def story(archive: Archive, message: MessageId) -> Story:
    """All that is known of why a message is where it is. Raises NotFoundError."""
    threads = archive.stores.threads
    with archive.connection:  # a snapshot: others may write between two looks
        conversation = archive.conversation(message)
        members = archive.members(conversation)
        topic = _topic(archive, members, message)
        stated = archive.stated([message])[0]
        items = dict(threads.keys({link.key for link in stated.links}))
        ties = tuple(_ties(archive, stated, items))
        clues = threads.clues({ask.clue for ask in stated.asks})
        asking = is_asking(stated, items)
        considered = sorted(_candidates(archive, stated, clues), reverse=True) if asking else []
        likely = [_likely(archive, row, message) for row in sorted(threads.drawn([message]))]
        twins, copies = tuple(archive.twins(message)), len(archive.copies(message))
    needs = needed(stated)
    best = {considered[0].message} if considered and considered[0].weight >= needs else set()
    return Story(
        message=message,
        thread=conversation,
        members=len(members),
        topic=topic,
        reply=stated.reply,
        ties=ties,
        likely=tuple(likely),
        asking=asking,
        asks=tuple((ask, clues.get(ask.clue, ClueItem())) for ask in stated.asks),
        sought=tuple(_sought(stated, clues)),
        considered=tuple(considered),
        needs=needs,
        settled=best == {one.row.target for one in likely if one.outward and one.row.live},
        twins=twins,
        copies=copies,
    )


def _topic(archive: Archive, members: Sequence[MessageId], message: MessageId) -> MessageId:
    sql = "select id, base_subject from messages where scope = ? and id = ?"
    rows = archive.connection.executemany(sql, [(archive.scope, member) for member in members])
    return topics((MessageId(member), subject.encode()) for member, subject in rows).get(message, message)


# ------------------------------------------------------------------------------------------------ hard links
def _ties(archive: Archive, stated: Stated, items: Mapping[NodeName, KeyItem]) -> Iterable[Tie]:
    names = {link.key for link in stated.links}
    nodes, linked = archive.stores.threads.nodes(names), archive.stores.threads.linked(names)
    for link in stated.links:
        item = items.get(link.key, KeyItem())
        others = [other for other in linked.get(link.key, ()) if other != stated.message]
        near = {s.message: s for s in archive.stated(others[:LOOKED_AT])}
        having = {m for m, s in near.items() if any(one.owns and one.key == link.key for one in s.links)}
        dead = is_dead(item)
        why: Literal["", "shared", "reused"] = "" if not dead else "reused" if item.owners else "shared"
        index = link.detail if link.kind == "thread-index" else ""
        yield Tie(
            link,
            state="dead" if dead else "joins" if others else "alone",
            why=why,
            senders=len(item.senders),
            subjects=len(item.subjects),
            settled=link.key not in nodes or nodes[link.key].dead == dead,
            having=tuple(sorted(having)),
            citing=tuple(sorted(set(others) - having)),
            level=max(0, len(index) - INDEX_HEAD) // INDEX_STEP,
            above=_above(index, near.values()) if index else None,
        )


def _above(index: str, others: Iterable[Stated]) -> MessageId | None:
    """The mail whose Thread-Index, in hex, is the longest beginning of this one: the oldest of those that have it."""
    best: tuple[int, Stated] | None = None
    for other in sorted(others, key=lambda s: s.message):
        for link in other.links:
            shorter = link.kind == "thread-index" and len(link.detail) < len(index) and index.startswith(link.detail)
            if shorter and (best is None or len(link.detail) > best[0]):
                best = (len(link.detail), other)
    return best[1].message if best else None


# ------------------------------------------------------------------------------------------------ soft links
def _candidates(archive: Archive, stated: Stated, clues: Mapping[ClueName, ClueItem]) -> list[Candidate]:
    owners: Collection[MessageId] = {owner for item in clues.values() for owner in item.owners}
    return candidates(stated, clues, archive.stores.threads.stated(owners))


def _likely(archive: Archive, row: Soft, message: MessageId) -> Likely:
    """What speaks for a link is told anew, as the row only keeps it as one line."""
    says: tuple[Says, ...] = ()
    if row.live and row.kind:
        source = archive.stated([row.source])[0]
        clues = archive.stores.threads.clues({ask.clue for ask in source.asks})
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
    """How many values these ask for, how many of them are common, and who else has one that isn't. A value is asked for by
    several names, one for each span of days in which it may have been said.
    """
    values = {ask.value for ask in asks}
    common = {ask.value for ask in asks if is_common(clues.get(ask.clue, ClueItem()))}
    found = {m for ask in asks if ask.value not in common for m in clues.get(ask.clue, ClueItem()).owners}
    return len(values), len(common), tuple(sorted(found - {message}))


__all__ = ["Likely", "Sought", "Story", "Tie", "story"]
