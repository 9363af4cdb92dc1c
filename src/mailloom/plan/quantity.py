"""Counts, sizes and days as people write them: 10M, 40KB, 30d."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mailloom.ports import UserError

COUNTS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}
SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
"""Decimal, as AWS bills and as `mailloom synth` has it."""
DAYS = {"": 1, "D": 1, "W": 7, "Y": 365}
_SHAPE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", re.ASCII)


class PlanError(UserError):
    """What was asked for can't be planned; the message says what to change."""


def count(text: str, name: str) -> float:
    """A number of mails. Raises PlanError, which names `name`."""
    return _read(text, name, COUNTS, "a count, such as 10M (K, M or B may follow)")


def size(text: str, name: str) -> float:
    """Bytes. Raises PlanError."""
    return _read(text, name, SIZES, "a size, such as 40KB (KB, MB or GB may follow)")


def days(text: str, name: str) -> float:
    """Days. Raises PlanError."""
    return _read(text, name, DAYS, "a time, such as 30d (d, w or y may follow)")


def _read(text: str, name: str, suffixes: Mapping[str, int], wanted: str) -> float:
    found = _SHAPE.fullmatch(text.strip())
    if found is None or found[2].upper() not in suffixes or len(found[1]) > 18:
        raise PlanError(f"{name} {text!r} is no number that can be planned with: write {wanted}")
    return float(found[1]) * suffixes[found[2].upper()]


def short(number: float) -> str:
    """A count as it is said: 10M, 2.5B, 830."""
    for suffix, unit in (("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if abs(number) >= unit:
            return f"{number / unit:.3g}{suffix}"
    return f"{number:.3g}"


def gigabytes(size: float) -> str:
    """A size in GB as it is said: 850 GB, 1.7 TB."""
    for suffix, unit in (("PB", 10**6), ("TB", 10**3)):
        if size >= unit:
            return f"{size / unit:.3g} {suffix}"
    return f"{size:.3g} GB"
