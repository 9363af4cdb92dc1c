"""One text of several copies, each of which has only a part of it: the longest, with what the others have more in its place."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from mailloom.thread.tree import Piece
from mailloom.thread.wording import wording

_CUT = frozenset(("...", "…", "snip", "snipped", "cut", "trimmed"))
"""What people put where they cut a quote, mostly in brackets."""
MAX_TEXT = 100_000  # letters of each copy that are pieced together: each line is looked for in all of them
KNOWN_PART = 0.5  # of a line's pairs of words: are more in the text already, it is a known line, folded or edited


class _Line(NamedTuple):
    text: str
    source: int


def patched(copies: Sequence[str]) -> tuple[str, tuple[Piece, ...]]:
    """The first copy, and each stretch of lines that a further copy has and nobody before it had, behind the line that it follows
    there. With the text come the pieces that it was put together from; they name copies by number and cover it but for line ends.
    """
    lines = [_Line(line, 0) for line in copies[0][:MAX_TEXT].split("\n")] if copies else []
    for source, copy in enumerate(copies[1:], 1):
        lines = _with(lines, copy, source)
    return _joined(lines)


def _with(lines: list[_Line], copy: str, source: int) -> list[_Line]:
    starts: list[int] = []
    words: list[str] = []
    offset = 0
    for line in lines:
        starts.append(offset)
        part = wording(line.text).words
        words += part
        offset += sum(map(len, part)) + len(part)
    known = f" {' '.join(words)} "
    pairs = set(pairwise(words))
    after: dict[int, list[_Line]] = {}  # what is new, by the line of ours that it follows; -1: in front of the first
    at, place, blank = -1, 0, False
    for text in copy[:MAX_TEXT].split("\n"):
        part = wording(text).words
        if not part or text.strip("[]<>() \t").casefold() in _CUT:
            blank = True
            continue
        new = sum(pair not in pairs for pair in pairwise(part))
        sought = f" {' '.join(part)} "
        found = -1 if new else known.find(sought, place)
        if not new and found < 0:
            found = known.find(sought)
        if found >= 0:
            place = found
            at = bisect_right(starts, place + sum(map(len, part)) + len(part) - 2) - 1
        elif new >= KNOWN_PART * (len(part) - 1):
            after.setdefault(at, []).extend([_Line("", source)] * blank + [_Line(text, source)])
        blank = False
    return [*after.get(-1, []), *(one for n, line in enumerate(lines) for one in (line, *after.get(n, [])))]


def _joined(lines: Sequence[_Line]) -> tuple[str, tuple[Piece, ...]]:
    pieces: list[Piece] = []
    at = 0
    for line in lines:
        end = at + len(line.text)
        if pieces and pieces[-1].quote == line.source:
            pieces[-1] = pieces[-1]._replace(end=end)
        elif line.text:
            pieces.append(Piece(at, end, line.source))
        at = end + 1
    return "\n".join(line.text for line in lines), tuple(pieces)
