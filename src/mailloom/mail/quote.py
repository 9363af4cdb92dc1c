"""Which lines of a text are quoted, and how deep: by `>` signs, and by the marks that HTML left.

A Layout is read once and then only looked at. Everything in it is a list by line number or a short list of line numbers.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

from mailloom.mail.html import Mark

MAX_QUOTE_LEVEL = 1000
"""`>` signs that are counted: a line of a million of them is one quote like any other."""
MAX_INDENT = 3
"""Blanks before the first `>`."""
MIN_WRAPPED = 60
"""Characters of a quoted line whose end may have been wrapped to the next: clients wrap between 65 and 80."""
MAX_NAME = 120
"""Characters of a signature's first line: a name, a rule, a farewell."""
MAX_ALONE = 500
"""Characters of a signature below nothing."""
FEW = 40
"""Drawn lines up to which looking each up costs less than looking at every line."""

DRAWN = frozenset("-_=*~#—–─━<")
"""What lines are drawn with."""


@dataclass(slots=True)
class Layout:
    """`ends` holds the sum of the lengths of the lines before each, without line breaks: line n begins at ends[n] + n.

    `quoted` has one byte a line, 1 where its level is not 0: what it is searched for is found without looking at each line.
    `drawn` are the lines that open with two characters of DRAWN; `marked` the lines at which a mark begins, quotes last;
    `regions` (first line, line after the last) of what a client put there; `signed` the same for its signatures.
    """

    lines: list[str]
    ends: list[int]
    levels: list[int]
    quoted: bytes
    drawn: list[int]
    last_quoted: int
    marked: dict[int, Mark] = field(default_factory=dict)
    regions: list[tuple[int, int]] = field(default_factory=list)
    signed: dict[int, int] = field(default_factory=dict)

    def quote_end(self, at: int) -> int:
        """The line after a quote that begins at `at`: blank lines between quoted lines, and the rest of a quoted line that
        was wrapped on the way, belong to it.
        """
        quoted, lines, end = self.quoted, self.lines, len(self.lines)
        at += 1
        while at < end:
            if quoted[at]:
                at = _found(quoted.find(0, at), end)
                continue
            ahead = at
            while ahead < end and not quoted[ahead] and not lines[ahead].strip():
                ahead += 1
            if ahead > at and ahead < end and quoted[ahead]:
                at = ahead
            elif ahead == at and at + 1 < end and quoted[at + 1] and _is_wrapped(lines[at - 1], lines[at]):
                at += 1
            else:
                break
        return at

    def gap_end(self, at: int) -> int:
        """The first quoted line from `at` on, or the end."""
        return _found(self.quoted.find(1, at), len(self.lines))

    def region_end(self, at: int) -> int:
        """The line after the innermost region around a line, or after the text."""
        regions = self.regions
        # Regions lie inside each other or apart. A client's own are few; more than these around one line are hostile.
        for first, last in regions[max(0, (here := bisect_right(regions, (at, len(self.lines)))) - 32) : here][::-1]:
            if first <= at < last:
                return last
        return len(self.lines)

    def blank_above(self, at: int, first: int) -> int:
        """The line after the last one before `at` that is not blank, no further up than `first`."""
        lines = self.lines
        while at > first and not lines[at - 1].strip(" \t\xa0"):
            at -= 1
        return at

    def blank_below(self, at: int) -> int:
        lines, end = self.lines, len(self.lines)
        while at < end and not lines[at].strip(" \t\xa0"):
            at += 1
        return at


def layout(text: str, marks: Sequence[Mark] = ()) -> Layout:
    lines = text.split("\n")
    ends = list(accumulate(map(len, lines), initial=0))
    levels = _levels(text, lines)
    page = Layout(lines, ends, levels, b"", _drawn_lines(text, lines), -1)
    if marks:
        _add_marks(page, marks)
    page.quoted = bytes(map(bool, levels)) if marks or ">" in text else bytes(len(lines))
    page.last_quoted = page.quoted.rfind(1)
    return page


def _found(at: int, end: int) -> int:
    return at if at >= 0 else end


def unquote(line: str) -> str:
    """A line without its first `>` and the blank after it."""
    bare = line.lstrip(" \t")
    if bare[:1] != ">":
        return line
    return bare[2:] if bare[1:2] == " " else bare[1:]


# ---------------------------------------------------------------- `>`

# As long as MAX_QUOTE_LEVEL signs with a blank behind each.
_OPENING = re.compile(r"\n([> \t]{0,2000}+)")


def _levels(text: str, lines: list[str]) -> list[int]:
    """How many `>` open each line, blanks between them or not."""
    if ">" not in text:
        return [0] * len(lines)
    # One search for all lines: half the time of looking at each.
    levels = list(map(_level, _OPENING.findall("\n" + text)))
    if ">From " in text:
        # mbox writers put a ">" before lines that begin with "From ": no quote (RFC 4155, appendix A).
        levels = [0 if x.startswith(">From ") else level for x, level in zip(lines, levels, strict=True)]
    return levels


@lru_cache(maxsize=512)  # mail has few different openings
def _level(opening: str) -> int:
    """Four blanks before the first sign are code or something drawn, not a quote."""
    indent = len(opening) - len(opening.lstrip(" \t"))
    return min(MAX_QUOTE_LEVEL, opening.count(">")) if indent <= MAX_INDENT else 0


def _is_wrapped(above: str, line: str) -> bool:
    """Was `line` the end of the quoted line above it, before something wrapped it?"""
    text = line.strip()
    last = above.rstrip()[-1:]
    return len(above) >= MIN_WRAPPED and len(text) < len(above) and text[:1].islower() and last not in ".!?:;>"


_DRAWN_LINE = re.compile(r"\n[ \t\xa0]{0,40}+[-_=*~#<—–─━][-_=*~#<> —–─━]")


def _drawn_lines(text: str, lines: list[str]) -> list[int]:
    """Numbers of the lines that open with something drawn, in order."""
    found = [0] if _DRAWN_LINE.match("\n" + lines[0][:50]) else []
    at = line = 0
    for one in _DRAWN_LINE.finditer(text):
        start = one.start() + 1
        line += text.count("\n", at, start)
        at = start
        found.append(line)
        if len(found) > FEW + 1:
            return [n for n, x in enumerate(lines) if x.lstrip()[:1] in DRAWN]
    return found


# ---------------------------------------------------------------- marks


def _add_marks(page: Layout, marks: Sequence[Mark]) -> None:
    """Marks as lines: one that begins inside a line counts from the next line on."""
    starts = [end + n for n, end in enumerate(page.ends[:-1])]
    count = len(page.lines)
    quoted = [0] * (count + 1)
    for mark in marks:
        first = bisect_left(starts, mark.start)
        last = min(bisect_right(starts, max(mark.start, mark.end - 1)), count)
        if first >= last:
            continue
        if mark.kind == "quote":
            quoted[first] += 1
            quoted[last] -= 1
            page.marked.setdefault(first, mark)
        elif mark.kind == "signature":
            if _signs(page.lines, first, last):
                page.signed.setdefault(first, last)
        else:
            if mark.kind != "region":
                page.marked[first] = mark
            if mark.kind not in ("attribution", "head"):
                page.regions.append((first, last))
    page.regions.sort()
    levels = page.levels
    for at, deep in enumerate(accumulate(quoted[:-1])):
        if deep:
            levels[at] += deep


def _signs(lines: list[str], first: int, last: int) -> bool:
    """Is what a client marked as its signature one? People write their mail into it: it then opens with a long line, or is
    all of a long text.
    """
    while first < last and not lines[first].strip():
        first += 1
    if first == last or len(lines[first]) > MAX_NAME:
        return False
    return any(x.strip() for x in lines[:first]) or sum(map(len, lines[first:last])) < MAX_ALONE
