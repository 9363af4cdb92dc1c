"""Who wrote, and when: do two statements of it agree? Quotes write names their own way, and times of other zones or of none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mailloom.mail.model import Address, Date

MINUTE, QUARTER, DAY = 60_000, 900_000, 86_400_000
ZONES = 14 * 3_600_000
"""A date without a zone is off by less than that, by a multiple of a quarter of an hour."""


_WORD = re.compile(r"[^\W_]{2,}")


def names(people: Iterable[Address]) -> frozenset[str]:
    """What people go by: address, name, and the words of either in one order, so that "Lee, Ann", "Ann B. Lee/HQ/ACME" (Lotus Notes)
    and ann.lee@example.org are one.
    """
    return frozenset(name for one in people for name in _names(one))


def _names(one: Address) -> Iterator[str]:
    for written in (one.key.casefold(), " ".join(one.name.split()).casefold()):
        if written:
            yield written
            words = sorted(set(_WORD.findall(written.partition("@")[0].partition("/")[0])))
            if len(words) > 1:
                yield " ".join(words)


def same_person(a: Iterable[Address], b: Iterable[Address]) -> bool:
    """An address or a name in common."""
    return not names(a).isdisjoint(names(b))


def same_time(a: Date, b: Date) -> bool:
    """No contradiction: the same minute where both state a zone, else one that zones explain; a day alone is about right."""
    if a.ms is None or b.ms is None:
        return True
    apart = abs(a.ms // MINUTE - b.ms // MINUTE) * MINUTE
    if a.zone is not None and b.zone is not None:
        return apart == 0
    if a.ms % DAY == 0 or b.ms % DAY == 0:
        return apart <= DAY + ZONES
    return apart <= ZONES and apart % QUARTER == 0
