"""The data that a plan is made from: prices.toml (list prices), measured.toml (what bench/ measured), assumed.toml (what nobody measured).

Every figure says its unit, where it is from and when; a plan has no other numbers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pkgutil import get_data
from typing import Any, NamedTuple

WAYS = ("on_demand", "spot", "savings_plan", "reserved")
"""Ways of paying: as listed; workers on Spot; Compute and Database Savings Plans of a year; reserved instances and capacity of a year."""


class Price(NamedTuple):
    """USD for one unit, and what share of it is paid in the other ways; 1 where there is none."""

    name: str
    usd: float
    unit: str
    source: str
    date: str
    note: str = ""
    spot: float = 1.0
    savings_plan: float = 1.0
    reserved: float = 1.0

    def by(self, way: str) -> float:
        """USD for one unit, paid in one of WAYS."""
        return self.usd if way == "on_demand" else self.usd * float(getattr(self, way))


class Figure(NamedTuple):
    """A number of a mail, or of the whole: `value` at `at_raw` bytes of raw mail and `at_text` bytes of text, and how it grows with either."""

    name: str
    value: float
    unit: str
    source: str
    date: str
    per_raw: float = 0.0
    per_text: float = 0.0
    at_raw: float = 0.0
    at_text: float = 0.0

    def of(self, raw: float = 0.0, text: float = 0.0) -> float:
        """The figure of a mail of so many bytes, of which so many are text. Never below zero."""
        return max(0.0, self.value + self.per_raw * (raw - self.at_raw) + self.per_text * (text - self.at_text))


@cache
def prices() -> Mapping[str, Price]:
    """List prices by name, as "s3.put"."""
    found = {}
    for name, entry in _entries("prices.toml"):
        ways = {way: float(entry[way]) for way in WAYS if way in entry}
        found[name] = Price(
            name,
            entry["usd"] / entry["per"],
            entry["unit"],
            entry["source"],
            entry["date"],
            entry.get("note", ""),
            **ways,
        )
    return found


@cache
def measured() -> Mapping[str, Figure]:
    """What bench/ measured, by name; `source` is the command."""
    return _figures("measured.toml", "command")


@cache
def assumed() -> Mapping[str, Figure]:
    """What was not measured, by name; `source` is the reason."""
    return _figures("assumed.toml", "why")


def _figures(file: str, source: str) -> dict[str, Figure]:
    kept = ("per_raw", "per_text", "at_raw", "at_text")
    return {
        name: Figure(
            name,
            float(one["value"]),
            one["unit"],
            one[source],
            one["date"],
            **{key: one[key] for key in kept if key in one},
        )
        for name, one in _entries(file)
    }


def _entries(file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The tables of two levels, named by both."""
    table = tomllib.loads((get_data(__package__, file) or b"").decode("utf-8"))
    for group, members in table.items():
        for name, entry in members.items():
            yield f"{group}.{name}", entry
