"""Messages that say the same, of one message or of all of an archive.

Kinds, from the most alike: *copies* are deliveries of one message; *twins* are messages equal but for their ids; *variants* have the
Message-ID and the base subject of another, and other content, as what a list's footer was added to; *reused* is a Message-ID that
stands on mail with another subject; *near* is nearly the same text under another id. No thread is made of likeness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from mailloom.archive.reading import Archive
from mailloom.mail.model import MessageId
from mailloom.ports import ALIKE, Same, UserError

Kind = Literal["copies", "twins", "variants", "reused", "near"]
KINDS: tuple[Kind, ...] = get_args(Kind)
THRESHOLD = 0.8
"""Where two mails are near duplicates: docs/duplicates.md has what was measured at this and other values."""
COMPARED = 200
"""Others of a kind that one message is compared with: those with the most bands in common, the oldest of them first."""


class Duplicate(NamedTuple):
    """Another message that says the same. `similarity` is the Jaccard similarity of what their authors typed, 0 to 1."""

    kind: Kind
    other: MessageId
    similarity: float


class Group(NamedTuple):
    """Messages that say the same as `first`, their oldest; of kind copies, its deliveries, and no others.

    `mails` includes the first; `spare` is how many bytes of raw mail all but one of them take.
    """

    kind: Kind
    first: MessageId
    mails: int
    spare: int
    others: tuple[Duplicate, ...]


# ------------------------------------------------------------------------------------------------ of one message
def duplicates(archive: Archive, message: MessageId, threshold: float = THRESHOLD) -> list[Duplicate]:
    """Twins, variants, mails that reuse its Message-ID, then near duplicates of at least `threshold` (0 to 1), the
    most alike first; each other message once, at most COMPARED of a kind. Its copies are `archive.copies(message)`.
    """
    with archive.snapshot():  # sketches move when they are packed
        twins = archive.twins(message)
        told = {message, *twins}
        same_id = [(kind, other) for kind, other in _same_id(archive, message) if other not in told]
        told |= {other for _, other in same_id}
        shares = likenesses(archive, message, [other for _, other in same_id])
        near = sorted(_near(archive, message, told, threshold), key=lambda one: (-one[1], one[0]))
    return [
        *(Duplicate("twins", twin, 1.0) for twin in twins[:COMPARED]),
        *(Duplicate(kind, other, share) for (kind, other), share in zip(same_id, shares, strict=True)),
        *(Duplicate("near", other, share) for other, share in near),
    ]


def _same_id(archive: Archive, message: MessageId) -> list[tuple[Kind, MessageId]]:
    found = archive.messages.reusing(message, COMPARED)
    return [("variants" if same else "reused", other) for other, same in found]


def _near(
    archive: Archive, message: MessageId, told: set[MessageId], threshold: float
) -> Iterator[tuple[MessageId, float]]:
    met = archive.messages.alike(message)
    ranked = sorted((-shared, other) for shared, other in met if other not in told)[:COMPARED]
    equal = [other for bands, other in ranked if -bands >= ALIKE]
    like = [other for bands, other in ranked if -bands < ALIKE]
    yield from ((other, 1.0) for other in equal)
    shares = zip(like, likenesses(archive, message, like), strict=True)
    yield from ((other, share) for other, share in shares if share >= threshold)


def likenesses(archive: Archive, one: MessageId, others: Sequence[MessageId]) -> list[float]:
    """How alike what its author typed is to what those of the others did."""
    if not others:  # numpy takes longer to load than all the rest
        return []
    from mailloom.thread.near import likeness, text_of

    mine = text_of(archive.record(one))
    return [likeness(mine, text_of(archive.record(other))) for other in others]


# ------------------------------------------------------------------------------------------------ of an archive
NO_SKETCHES = (
    "near duplicates are not looked for on servers, which keep no sketches to find them by (docs/duplicates.md)"
)


def kinds(archive: Archive) -> tuple[Kind, ...]:
    """Those that can be found in an archive."""
    return KINDS if not archive.on_servers else tuple(kind for kind in KINDS if kind != "near")


def groups(archive: Archive, kind: Kind, threshold: float = THRESHOLD) -> list[Group]:
    """All groups of a kind, the one of the most messages first. Memory is some 300 bytes a message of the archive at most.

    Raises UserError for a kind that is not among `kinds(archive)`.
    """
    if kind not in kinds(archive):
        raise UserError(f"{NO_SKETCHES}: ingest what you want to compare into a folder, and ask there")
    with archive.snapshot():  # as above
        if kind == "copies":
            found = list(_copies(archive))
        elif kind == "near":
            found = list(_near_groups(archive, threshold))
        else:
            found = list(_equal(archive, kind))
    return sorted(found, key=lambda group: (-group.mails, -group.spare, group.first))


def _copies(archive: Archive) -> Iterator[Group]:
    for message, count, spare in archive.whole.repeated():
        yield Group("copies", message, count, spare, ())


_SAME: tuple[Same, ...] = ("twins", "variants")


def _equal(archive: Archive, kind: Same) -> Iterator[Group]:
    """Groups by what is equal in the messages' rows."""
    members: dict[tuple[object, ...], list[tuple[MessageId, int]]] = defaultdict(list)
    for value, message, size in archive.whole.equal(kind):
        members[value].append((message, size))
    for (first, _), *rest in members.values():
        others = [message for message, _ in rest]
        shares = [1.0] * len(others) if kind == "twins" else likenesses(archive, first, others)
        yield _group(kind, first, list(zip(others, shares, strict=True)), sum(size for _, size in rest))


def _group(kind: Kind, first: MessageId, others: Sequence[tuple[MessageId, float]], spare: int) -> Group:
    return Group(kind, first, 1 + len(others), spare, tuple(Duplicate(kind, m, share) for m, share in others))


def _near_groups(archive: Archive, threshold: float) -> Iterator[Group]:
    """Twins and variants count once, as their oldest: also the variant of a twin."""
    from mailloom.archive.alike import cluster
    from mailloom.thread.components import components

    same = [group for kind in _SAME for group in _equal(archive, kind)]
    oldest = components((group.first, other.other) for group in same for other in group.others)
    once = {MessageId(message) for message, first in oldest.items() if message != first}
    for first, others, spare in cluster(archive, once, threshold):
        yield _group("near", first, others, spare)
