"""Who wrote, and when: do two statements of it agree? Quotes write names their own way, and times of other zones or of none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from mailloom.mail.model import Address, Date
from mailloom.mail.people.author import written_by
from mailloom.thread.keys import short_hash

# ------------------------------------------------------------------------------------------------ who
_WORD = re.compile(r"[^\W_]{2,}")
_DEPARTMENT = re.compile(r"(?<=[\w.]) ?[(\[][^()\[\]]{1,60}[)\]]$")
"""That Exchange shows behind a name: "Doe, John (HR)"."""
_PLACE = re.compile(r"(?<=\w)[/@](?=\w)")
"""Before where in a company one is, in Lotus Notes: "John Doe/LON/ACME@ACME"."""


def called(name: str) -> str:
    """The words of a name in any order and case, without initials: "Doe, John F." is John Doe, and so is "John Doe via Pumps".
    "" for one that many have, as "John".
    """
    name = _DEPARTMENT.sub("", _PLACE.split(written_by(name) or name, maxsplit=1)[0])
    words = sorted(_WORD.findall(name.casefold()))
    return " ".join(words) if len(words) > 1 or not name.isascii() else ""


def names(people: Iterable[Address]) -> frozenset[str]:
    """What people go by: address, name, and the words of either in one order, so that "Lee, Ann", "Ann B. Lee/HQ/ACME" (Lotus Notes)
    and ann.lee@example.org are one.
    """
    return frozenset(name for one in people for name in _names(one) if name)


def _names(one: Address) -> Iterator[str]:
    yield one.key.casefold()
    yield " ".join(one.name.split()).casefold()
    yield called(one.key.partition("@")[0])
    yield called(one.name)


def same_person(a: Iterable[Address], b: Iterable[Address]) -> bool:
    """An address or a name in common."""
    return not names(a).isdisjoint(names(b))


def author(addresses: Sequence[Address]) -> tuple[bytes, ...]:
    """Hashes of the first one's address and name, as far as they tell; who has no name is called as their address begins: Exchange
    shows john.doe@ as John Doe. () for nobody.
    """
    if not addresses:
        return ()
    one = addresses[0]
    local, _, domain = one.address.partition("@")
    name = one.name or local
    if (
        domain.isupper() and "." not in domain
    ):  # "John Doe@ACME", of Lotus Notes, reads like an address with the name John
        name = f"{one.name} {local}"
    return tuple([who for who in (_address(one.key), _called(name)) if who])


@lru_cache(maxsize=2048)
def _address(key: str) -> bytes:
    return short_hash("address", key) if key else b""


@lru_cache(maxsize=2048)
def _called(name: str) -> bytes:
    words = called(name)
    return short_hash("called", words) if words else b""


# ------------------------------------------------------------------------------------------------ when
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
ZONES = (-12 * 60, 14 * 60)  # minutes east of UTC: all there are
QUARTER = 15  # minutes: zones differ by whole quarters of an hour
QUARTER_MS = QUARTER * MINUTE_MS
ZONE_MS = ZONES[1] * MINUTE_MS
"""A date without a zone is off by less than that, by a multiple of a quarter of an hour."""


def same_time(a: Date, b: Date) -> bool:
    """No contradiction: the same minute where both state a zone, else one that zones explain; a day alone is about right. A minute
    more or less is the same: Outlook rounds, and Gmail tells when a mail arrived.
    """
    if a.ms is None or b.ms is None:
        return True
    apart = abs(a.ms // MINUTE_MS - b.ms // MINUTE_MS) * MINUTE_MS
    if a.zone is not None and b.zone is not None:
        return apart <= MINUTE_MS
    if a.ms % DAY_MS == 0 or b.ms % DAY_MS == 0:
        return apart <= DAY_MS + ZONE_MS
    return apart <= ZONE_MS + MINUTE_MS and (apart + MINUTE_MS) % QUARTER_MS <= 2 * MINUTE_MS
