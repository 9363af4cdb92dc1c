"""The evidence of a message and its candidates -> the soft links that live. Pure, and the only place with weights.

`decide` sees one asking message, the items of the clues that it asks for, and what their owners state. It reads no thread
membership, so its answer depends on the set of mail alone: never on what was joined first.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailloom.mail.model import MessageId
from mailloom.ports import Ask, ClueItem, ClueName, KeyItem, NodeName, Stated, Target
from mailloom.thread.keys import is_common, is_owned, short_hash

DAY_MS = 86_400_000
NOBODY = short_hash("person", "")  # the sender of mail without one: two such mails have nobody in common
SUBJECT_DAYS = 60
WEIGHTS = {"subject": 700, "shared people": 300}
THRESHOLD = 1000
"""In thousandths. A wrong join is worse than a missed one: the subject alone is never enough."""


def is_asking(stated: Stated, items: Mapping[NodeName, KeyItem]) -> bool:
    """A message asks for soft evidence while no key that it cites is alive and owned by a stored message."""
    if not stated.asks:
        return False
    return not any(is_owned(items.get(link.key, KeyItem())) for link in stated.links if not link.owns)


def decide(
    stated: Stated, items: Mapping[ClueName, ClueItem], owners: Mapping[MessageId, Stated]
) -> tuple[Target, ...]:
    """The best candidate that reaches the threshold, or none. Ties go to the latest, as people answer what came last."""
    best: tuple[int, MessageId, Target] | None = None
    for ask in stated.asks:
        item = items.get(ask.clue, ClueItem())
        if is_common(item):
            continue
        for owner in item.owners:
            candidate = owners.get(owner)
            if candidate is None or owner >= stated.message:
                continue
            weight = _weight(stated, ask, candidate)
            if weight >= THRESHOLD and (best is None or (weight, owner) > best[:2]):
                best = (weight, owner, Target(owner, ask.kind, weight, ask.detail))
    return () if best is None else (best[2],)


def _weight(stated: Stated, ask: Ask, candidate: Stated) -> int:
    if stated.when is None or candidate.when is None or stated.when - candidate.when > SUBJECT_DAYS * DAY_MS:
        return 0
    shared = not (set(stated.people) - {NOBODY}).isdisjoint(candidate.people)
    return WEIGHTS[ask.kind] + (WEIGHTS["shared people"] if shared else 0)
