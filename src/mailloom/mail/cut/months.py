"""The words of months.toml, loaded when a first date needs them and folded so that spelling, case and accents don't matter."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pkgutil import get_data
from typing import Final


@dataclass(frozen=True, slots=True)
class Calendar:
    """Folded word -> what it means. Months count from 1, days from Monday = 0, halves are 0 (am) and 12 (pm).

    `months` has each month that a word can mean with the languages where it does, "" where it is only one.
    """

    months: dict[str, tuple[tuple[str, int], ...]]
    languages: dict[str, frozenset[str]]
    jalali: dict[str, int]
    days: dict[str, frozenset[int]]
    halves: dict[str, int]
    at: frozenset[str]
    says: dict[str, frozenset[str]]
    orders: dict[str, str]


@cache
def calendar() -> Calendar:
    # Read when asked for: a program that shows stored mail starts without it.
    table = tomllib.loads((get_data(__package__, "months.toml") or b"").decode("utf-8"))
    months: dict[str, dict[int, list[str]]] = {}
    languages: dict[str, set[str]] = {}
    days: dict[str, set[int]] = {}
    halves: dict[str, int] = {}
    jalali: dict[str, int] = {}
    at: dict[str, set[str]] = {}
    says: dict[str, set[str]] = {}
    for language, words in table.items():
        for number, form in _numbered(words.get("months", ""), 1):
            months.setdefault(form, {}).setdefault(number, []).append(language)
        for number, form in _numbered(words.get("days", ""), 0):
            days.setdefault(form, set()).add(number)
        jalali.update({form: number for number, form in _numbered(words.get("jalali", ""), 1)})
        halves.update(
            {fold(form): hours for hours, name in ((0, "am"), (12, "pm")) for form in words.get(name, "").split()}
        )
        for kinds, names in ((at, ("at",)), (says, ("says",)), (languages, ("months", "days", "am", "pm", "at"))):
            for form in " ".join(words.get(name, "") for name in names).replace("|", " ").split():
                kinds.setdefault(fold(form), set()).add(language)
    return Calendar(
        months={
            word: tuple(("+".join(spoken) if len(meant) > 1 else "", number) for number, spoken in meant.items())
            for word, meant in months.items()
        },
        languages={word: frozenset(spoken) for word, spoken in languages.items()},
        jalali=jalali,
        days={word: frozenset(numbers) for word, numbers in days.items()},
        halves=halves,
        at=frozenset(at),
        says={word: frozenset(spoken) for word, spoken in says.items()},
        orders={language: words.get("order", "dmy") for language, words in table.items()},
    )


def _numbered(written: str, first: int) -> Iterator[tuple[int, str]]:
    for number, forms in enumerate(written.split("|"), first):
        for form in forms.split():
            yield number, fold(form)


# Accents of the Latin, Greek and Cyrillic scripts, vowel signs and hamza of the Arabic one, marks that abbreviate.
_DROPPED: Final = re.compile("[\u0300-\u036f\u064b-\u0655\u200b-\u200f.'\u2019\u05f3\u05f4\"\u0970]+")


# Dotless i; yeh and kaf as Arabic and as Persian keyboards have them.
_ALIKE: Final = str.maketrans("\u0131\u064a\u0649\u0643", "i\u06cc\u06cc\u06a9")


@lru_cache(maxsize=4096)
def fold(word: str) -> str:
    """A word as the tables know it: lower case, without accents and dots ("août" and "Aout", "μ.μ." and "ΜΜ" are one)."""
    if word.isascii() and word.isalpha():
        return word.lower()
    word = _DROPPED.sub("", unicodedata.normalize("NFKD", word.casefold()))
    return word if word.isascii() else word.translate(_ALIKE)
