"""Texts as words, so that a quote can be held against what it quotes: client and list fold lines anew and add marks, they
don't change words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from mailloom.mail.model import OWN, Nested
from mailloom.mail.visible import visible

RUN = 6
"""Words of a run that two texts must share to be told of one origin. Runs of 4 are common phrases ("let me know if"), runs of 8
no longer fit between the answers that people write into a quote; 6 is also what the search for quoted text goes by."""
_MARKS = re.compile(r"[ \t]*(?:[>|][>| \t]*)?")


class Wording(NamedTuple):
    """A text's words, and which of them end a line of it."""

    words: tuple[str, ...]
    line_ends: frozenset[int]


def wording(text: str) -> Wording:
    """The words of a text in Unicode NFC without invisible characters, quote marks in front of lines left out."""
    words: list[str] = []
    ends = set()
    for line in visible(text).split("\n"):
        start = len(words)
        words += line[_opening(line) :].split()
        if len(words) > start:
            ends.add(len(words) - 1)
    return Wording(tuple(words), frozenset(ends))


def _opening(line: str) -> int:
    found = _MARKS.match(line)
    return found.end() if found else 0


def runs(words: Sequence[str]) -> Iterator[str]:
    """Each run of RUN words."""
    return (" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1))


def run_set(texts: Iterable[Wording]) -> frozenset[str]:
    return frozenset(run for text in texts for run in runs(text.words))


def covers(found: frozenset[str], text: Wording) -> bool:
    """Does each word of a text stand in a run that was found elsewhere? Where two neighbours stand in no run together, something
    was put between them: an answer between two lines is one, inside a line it is an edit. A text shorter than a run is not covered.
    """
    words = text.words
    covered = -1  # the last word that stands in a run
    for at, run in enumerate(runs(words)):
        if run not in found:
            continue
        if at > covered + 1 or (at == covered + 1 and covered >= 0 and covered not in text.line_ends):
            return False
        covered = at + RUN - 1
    return bool(words) and covered == len(words) - 1


def stands(piece: Wording, found: frozenset[str], all_lines: str) -> bool:
    """Does a piece stand in a text, by the text's runs or, if it is too short for one, as whole lines?"""
    return covers(found, piece) if len(piece.words) >= RUN else lines(piece) in all_lines


def lines(text: Wording) -> str:
    """The words again, each line between line feeds: two texts put together have an empty line between them."""
    words = [f"{word}\n" if at in text.line_ends else f"{word} " for at, word in enumerate(text.words)]
    return "\n" + "".join(words)


def own_words(one: Nested, subject: str) -> str:
    """What the author of a message inside another wrote, without what is quoted there; `subject` is the carrier's."""
    from mailloom.mail.cut.segment import cut  # its tables take longer to load than a search takes

    names = [part for a in one.from_ for part in (a.name, a.address) if part]
    segments, _ = cut(one.text, subject=one.subject or subject, names=names)
    return "".join(one.text[s.start : s.end] for s in segments if s.kind in OWN).strip()


__all__ = ["RUN", "Wording", "covers", "lines", "own_words", "run_set", "runs", "stands", "wording"]
