"""The words of months.toml, loaded when a first date needs them and folded so that spelling, case and accents don't matter."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pkgutil import get_data
from typing import Final

Sense = tuple[tuple[int, str], ...]
"""What a word may mean: (number of the month or of the day, language) pairs."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Folded word -> what it means. Months count from 1, days from Monday = 0, halves are 0 (am) and 12 (pm)."""

    months: dict[str, Sense]
    jalali: dict[str, int]
    days: dict[str, Sense]
    halves: dict[str, Sense]
    at: dict[str, frozenset[str]]
    says: dict[str, frozenset[str]]
    orders: dict[str, str]


@cache
def calendar() -> Calendar:
    # Read when asked for: a program that shows stored mail starts without it.
    table = tomllib.loads((get_data(__package__, "months.toml") or b"").decode("utf-8"))
    months: dict[str, list[tuple[int, str]]] = {}
    days: dict[str, list[tuple[int, str]]] = {}
    halves: dict[str, list[tuple[int, str]]] = {}
    jalali: dict[str, int] = {}
    at: dict[str, set[str]] = {}
    says: dict[str, set[str]] = {}
    for language, words in table.items():
        for senses, name, first in ((months, "months", 1), (days, "days", 0)):
            for number, forms in enumerate(words.get(name, "").split("|"), first):
                for form in forms.split():
                    senses.setdefault(fold(form), []).append((number, language))
        for number, forms in enumerate(words.get("jalali", "").split("|"), 1):
            jalali.update(dict.fromkeys(map(fold, forms.split()), number))
        for name, hours in (("am", 0), ("pm", 12)):
            for form in words.get(name, "").split():
                halves.setdefault(fold(form), []).append((hours, language))
        for kinds, name in ((at, "at"), (says, "says")):
            for form in words.get(name, "").split():
                kinds.setdefault(fold(form), set()).add(language)
    return Calendar(
        months={word: tuple(dict.fromkeys(senses)) for word, senses in months.items()},
        jalali=jalali,
        days={word: tuple(dict.fromkeys(senses)) for word, senses in days.items()},
        halves={word: tuple(senses) for word, senses in halves.items()},
        at={word: frozenset(languages) for word, languages in at.items()},
        says={word: frozenset(languages) for word, languages in says.items()},
        orders={language: words.get("order", "dmy") for language, words in table.items()},
    )


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
