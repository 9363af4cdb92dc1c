"""The evidence of a message and its candidates -> the soft links that live. Pure, and the only place with weights.

`decide` sees one asking message, the items of the clues that it asks for, and what their owners state. It reads no thread
membership, so its answer depends on the set of mail alone: never on what was joined first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mailloom.mail.model import MessageId
from mailloom.ports import Ask, ClueItem, ClueName, KeyItem, NodeName, Stated, Target
from mailloom.thread.clues import OUTERMOST, SUBJECT_DAYS, writer
from mailloom.thread.keys import is_common, is_owned, short_hash
from mailloom.thread.sketch import contained, unpack
from mailloom.thread.speaker import DAY_MS, MINUTE_MS, QUARTER, ZONES
from mailloom.thread.telling import NOBODY_S, QUOTER, WRITER, Says

NOBODY = short_hash("person", "")  # the sender of mail without one: two such mails have nobody in common
SKEW_MS = DAY_MS
"""A reply may be dated before what it answers, as clocks are wrong, mostly by hours: where a quote's head names it."""

WROTE_KINDS = ("wrote", "wrote there")
"""Of asks: what a head with a zone says, and one without."""

# ------------------------------------------------------------------------------------------------ weights, in thousandths
# Tuned on mail with its reply headers taken away (bench/masked.py). A wrong join is worse than a missed one.
WROTE = 1000  # a quote's head names the candidate's sender and the minute in which it was sent
WROTE_BEFORE = 900  # the minute before: what Outlook rounds up, or what came a little later
WROTE_NEARLY = 400  # the same minute of another hour: in some zone it is the one
QUOTES = 1000  # all words that it quotes stand in the candidate's own text; less if fewer do
FEW_RUNS = 3  # runs of six words below which a quote counts for less, as phrases are shared by chance
SIBLINGS = 900  # both quote the same message, which is not here
SUBJECT = 550  # less if it is a single word, as many write "Test"
PEOPLE = 100  # somebody takes part in both
ADDRESSED = 60  # it goes to whoever wrote the candidate, from somebody who may have read that
TICKET, TICKET_ALIKE = 1500, 500  # the same ticket, from the same sender, as trackers send it, or from another
AGAIN = 2000  # the same sender says the same words under the same subject with another mark; less if fewer are the same
SERIES = 1500  # a part of the same numbered series, sent within hours
REPLY_NEEDS, OTHER_NEEDS = 600, 1400
"""A "Re:" answers something, so the best candidate may be had for less: the same subject among the same people is enough."""


def is_asking(stated: Stated, items: Mapping[NodeName, KeyItem]) -> bool:
    """A message asks for soft evidence while no key that it cites is alive and owned by a stored message."""
    if not stated.asks:
        return False
    return not any(is_owned(items.get(link.key, KeyItem())) for link in stated.links if not link.owns)


class Candidate(NamedTuple):
    """A message that may be followed, and what speaks for it; `weight` is the sum."""

    weight: int
    message: MessageId
    says: tuple[Says, ...]


def needed(stated: Stated) -> int:
    """The weight that a message's candidate must reach."""
    return REPLY_NEEDS if stated.reply else OTHER_NEEDS


def decide(
    stated: Stated, items: Mapping[ClueName, ClueItem], owners: Mapping[MessageId, Stated]
) -> tuple[Target, ...]:
    """The best candidate that reaches the threshold, or none. Ties go to the latest, as people answer what came last."""
    best = max(candidates(stated, items, owners), default=None)
    if best is None or best.weight < needed(stated):
        return ()
    detail = "; ".join([one.detail for one in best.says])
    return (Target(best.message, max(best.says).kind, best.weight, detail),)


def candidates(
    stated: Stated, items: Mapping[ClueName, ClueItem], owners: Mapping[MessageId, Stated]
) -> list[Candidate]:
    """Everybody who owns a clue that a message asks for and that is not common; weight 0 where nothing holds when looked at.

    A twin is none: it says the same, so it would often be the best, and hide whom both answer.
    """
    by_owner: dict[MessageId, list[Ask]] = defaultdict(list)
    common: set[int] = set()
    for ask in stated.asks:
        item = items.get(ask.clue, ClueItem())
        if not is_common(item):
            for owner in item.owners:
                by_owner[owner].append(ask)
        elif ask.kind == "text":
            common.add(ask.value)
    found = []
    twins = {link.key for link in stated.links if link.kind == "twin"}
    for owner, asks in by_owner.items():
        candidate = owners.get(owner)
        if (
            candidate is not None
            and twins.isdisjoint([link.key for link in candidate.links])
            and owner != stated.message
        ):
            said = _said(stated, asks, candidate, frozenset(common))
            found.append(Candidate(sum([one.weight for one in said]), owner, tuple(said)))
    return found


def _said(stated: Stated, asks: Sequence[Ask], candidate: Stated, common: frozenset[int]) -> list[Says]:
    """What speaks for a candidate: of each kind the strongest."""
    if stated.when is None or candidate.when is None or candidate.when - stated.when > SKEW_MS:
        return []
    kinds: dict[str, list[Ask]] = defaultdict(list)
    for ask in asks:
        kinds[ask.kind].append(ask)
    said = [
        _wrote(stated, [ask for kind in WROTE_KINDS for ask in kinds[kind]], candidate),
        _quotes(stated, candidate, common),
    ]
    if said[1].weight and not said[0].weight and _another(stated, candidate):
        said[1] = said[1]._replace(weight=said[1].weight // 2)
    earlier = candidate.message < stated.message
    if not earlier and not said[0].weight:
        return []
    if earlier and (siblings := kinds["siblings"]):
        said.append(Says(SIBLINGS, "siblings", siblings[0].detail, (siblings[0].value,)))
    if series := kinds["series"]:
        said.append(Says(SERIES, "series", series[0].detail))
    if earlier and stated.when - candidate.when <= SUBJECT_DAYS * DAY_MS and (kinds["subject"] or kinds["replies"]):
        said.append(_subject(stated, candidate, kinds))
    if earlier and kinds["ticket"]:
        same = stated.people[0] == candidate.people[0] != NOBODY
        said.append(Says(TICKET if same else TICKET_ALIKE, "ticket", values=(int(same),)))
    if earlier and kinds["again"]:
        said.append(_again(stated, candidate))
    said = [one for one in said if one.weight]
    if said:
        said += _people(stated, candidate)
    return said


def _another(stated: Stated, candidate: Stated) -> bool:
    """Whether the outermost head names the candidate's sender at another time: it quotes another mail of theirs, made by one template."""
    named = {writer(ask.clue) for ask in stated.asks if ask.kind in WROTE_KINDS and ask.weight == OUTERMOST}
    return not (named - {b""}).isdisjoint([writer(clue) for clue in candidate.owns])


def _subject(stated: Stated, candidate: Stated, kinds: Mapping[str, Sequence[Ask]]) -> Says:
    assert stated.when is not None
    assert candidate.when is not None
    kind = "subject" if kinds["subject"] else "replies"
    weight = max(ask.weight for ask in kinds[kind])
    between = (stated.when - candidate.when) // MINUTE_MS
    return Says(SUBJECT * weight // 1000, kind, values=(int(stated.subject == candidate.subject), between))


def _people(stated: Stated, candidate: Stated) -> Iterator[Says]:
    """Somebody takes part in both, or neither names anybody but its sender: some archives leave the readers out. It counts for more
    where the mail goes to whoever wrote the candidate, from a sender who may have read that: as a reader, or with others who read both.
    """
    one, two = {*stated.people} - {NOBODY}, {*candidate.people} - {NOBODY}
    both = one & two
    sender, author = stated.people[0], candidate.people[0]
    if both or len(one) == len(two) == 1:
        answers = author in stated.people[1:] and (sender in both or not both <= {author})
        yield Says(PEOPLE + ADDRESSED * answers, "people", values=(len(both), int(answers)))


def _wrote(stated: Stated, asks: Iterable[Ask], candidate: Stated) -> Says:
    """The minute of a head without a zone is that of its writer's clock, or of the clock of whoever quoted it."""
    assert candidate.when is not None
    minute = candidate.when // MINUTE_MS
    best = Says(0, "wrote")
    for ask in asks:
        off = ask.value - minute
        here, there = (0, 0) if ask.kind == "wrote" else (stated.zone or 0, candidate.zone or 0)
        clocks = (there, here, 0)
        if off in clocks:
            weight, late = WROTE, 0
        elif off - 1 in clocks:
            weight, late = WROTE_BEFORE, 1
        elif off % QUARTER <= 1 and ZONES[0] <= off <= ZONES[1] + 1:
            weight, late = WROTE_NEARLY, off % QUARTER
        else:
            continue
        clock = WRITER if off - late == there else QUOTER if off - late in clocks else NOBODY_S
        level = 1 if ask.weight == OUTERMOST else 2
        values = (ask.value, off - late, late, clock, level)
        best = max(best, Says(weight * ask.weight // 1000, "wrote", ask.detail, values))
    return best


def _quotes(stated: Stated, candidate: Stated, common: frozenset[int]) -> Says:
    if not stated.quoted or not candidate.own:
        return Says(0, "text")
    found, of = contained(unpack(stated.quoted), unpack(candidate.own), common)
    weight = QUOTES * found * min(found, FEW_RUNS) // (max(of, 1) * FEW_RUNS)
    return Says(weight, "text", values=(found, of))


def _again(stated: Stated, candidate: Stated) -> Says:
    if stated.people[0] != candidate.people[0] or stated.people[0] == NOBODY:
        return Says(0, "again")
    found, of = contained(unpack(candidate.own), unpack(stated.own))
    weight = AGAIN * found * min(found, FEW_RUNS) // (max(of, 1) * FEW_RUNS)
    return Says(weight, "again", values=(found, of))
