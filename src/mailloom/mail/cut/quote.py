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

from mailloom.mail.text.html import Mark

MAX_QUOTE_LEVEL = 1000
"""`>` signs that are counted: a line of a million of them is one quote like any other."""
PROMPT = 3
"""Signs of Python's prompt: a text that has no line with fewer shows a session, for who quotes a quote has the quote, too."""
MAX_INDENT = 3
"""Blanks before the first `>`."""
LEAST_DATED, MAX_DATED = 12, 160
"""Characters of a line that is a date, a name and an address."""
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
    """`quoted` has one byte a line, 1 where its level is not 0: what it is searched for is found without looking at each line.
    `drawn` are the lines that open with two characters of DRAWN; `dated` those that are a date, a name and an address, and
    nothing more (Gmail until 2014); `marked` the lines at which a mark begins, quotes last;
    `regions` (first line, line after the last) of what a client put there; `signed` the same for its signatures.
    """

    lines: list[str]
    levels: list[int]
    quoted: bytearray
    drawn: list[int]
    last_quoted: int
    dated: list[int] = field(default_factory=list)
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

    def quote_also(self, at: int, end: int, sign: str) -> None:
        """Lines at:end that open with `sign` are quoted, too."""
        levels, lines = self.levels, self.lines
        for n in range(at, end):
            if not levels[n] and opens_with(lines[n], sign):
                levels[n] = self.quoted[n] = 1
                self.last_quoted = max(self.last_quoted, n)

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
    levels = _levels(text, lines)
    page = Layout(lines, levels, bytearray(), _drawn_lines(text, lines), -1)
    if marks:
        _add_marks(page, marks)
    page.quoted = bytearray(map(bool, levels)) if marks or ">" in text else bytearray(len(lines))
    page.last_quoted = page.quoted.rfind(1)
    if page.last_quoted < 0 and ("| " in text or "> " in text):
        _quote_by_sight(page, text)
    page.dated = _dated_lines(text) if "@" in text else []
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
    few = any(n in levels for n in range(1, PROMPT))
    if not few and ">>>" in text and not any(map(_introduces, lines, levels)):
        return [0] * len(lines)
    return levels


def _introduces(line: str, level: int) -> bool:
    """GroupWise and supercite open the line above what they quote with `>>>`, and close it with that or a colon."""
    return level > 0 and line.rstrip()[-1:] in ">:"


@lru_cache(maxsize=512)  # mail has few different openings
def _level(opening: str) -> int:
    """Four blanks before the first sign are code or something drawn, not a quote."""
    indent = len(opening) - len(opening.lstrip(" \t"))
    return min(MAX_QUOTE_LEVEL, opening.count(">")) if indent <= MAX_INDENT else 0


def _is_wrapped(above: str, line: str) -> bool:
    """Was `line` the end of the quoted line above it, before something wrapped it?"""
    text = line.strip()
    last = above.rstrip()[-1:]
    if len(above) < MIN_WRAPPED or len(text) >= len(above) or last in ".!?:;>":
        return False
    # An attribution inside the quote: its address was wrapped.
    return text[:1].islower() or text[:1] == "<"


# ---------------------------------------------------------------- other signs

_SIGN = re.compile(
    r"[ \t]{0,8}+(?:[^\W\d_]{1,12}+>{1,3}|-{0,2}\]|\|(?:[ \t]{0,2}>)?|[:%})#!&$~=])(?=[ \t\n]|$)|[ \t]{0,4}+-{1,2}\]"
)
"""What people had their programs put before quoted lines: initials (supercite, The Bat), bars, colons and the like."""
ALSO_CODE = frozenset("#=$&!")
"""Signs that open lines of other kinds, too: one line is no quote."""


def sign_of(lines: Sequence[str], at: int, end: int) -> str:
    """The sign that opens the lines of the paragraph at lines[at], which something introduces; "" if it has none."""
    found = _SIGN.match(lines[at])
    if found is None:
        return ""
    sign = found[0].strip(" \t")
    if sign == "|" and _is_row(lines[at].strip()):
        return ""
    below = at + 1
    if below < end and opens_with(lines[below], sign):
        return sign
    single = below >= end or not lines[below].strip()
    return sign if single and sign not in ALSO_CODE else ""


def opens_with(line: str, sign: str) -> bool:
    bare = line.lstrip(" \t")
    if sign[-1] == ">":
        # Who else is quoted has initials of his own.
        return _INITIALS.match(bare) is not None
    if not bare.startswith(sign):
        return False
    return sign[0] == "-" or (bare[len(sign) : len(sign) + 1] in _AFTER_SIGN if sign != "|" else not _is_row(bare))


_AFTER_SIGN = frozenset(("", " ", "\t", ">", "|"))


def _is_row(bare: str) -> bool:
    """A row of a table ends with a bar as it begins."""
    return len(bare) > 1 and bare.rstrip()[-1:] == "|" and bare.strip("| \t") != ""


def without_sign(text: str) -> str:
    """A text whose lines open with a sign, without it and the blank after it."""
    lines = text.split("\n")
    found = next((m for x in lines if x.strip() and (m := _SIGN.match(x))), None)
    sign = found[0].strip(" \t") if found else ""
    if not sign:
        return text
    out = []
    for line in lines:
        bare = line.lstrip(" \t")
        if opens_with(line, sign):
            bare = bare[bare.index(">") + 1 :] if sign[-1] == ">" else bare[len(sign) :]
            out.append(bare[1:] if bare[:1] == " " else bare)
        else:
            out.append(line)
    return "\n".join(out)


_INITIALS = re.compile(r"[^\W\d_]{1,12}+>{1,3}(?=[ \t]|$)")
_BY_SIGHT = re.compile(r"\n[ \t]{0,4}+(?:\| [^|\n]{24,}|[A-Z][A-Za-z]{0,9}+> [^\n]{1,})")
MIN_BY_SIGHT = 3
"""Lines in a row that nothing introduces, and that are quoted nevertheless."""


def _quote_by_sight(page: Layout, text: str) -> None:
    """Runs of lines that open with a bar, or with one person's initials, though nothing introduces them. Tables have bars
    further on in their lines, and transcripts of programs an answer below each prompt.
    """
    found = _BY_SIGHT.search("\n" + text)
    if found is None:
        return
    line = at = 0
    for found in _BY_SIGHT.finditer("\n" + text):
        line += text.count("\n", at, found.start())
        at = found.start()
        sign = found[0][1:].lstrip(" \t").partition(" ")[0]
        if all(
            x.lstrip(" \t").startswith(sign) for x in page.lines[line : line + MIN_BY_SIGHT]
        ) and line + MIN_BY_SIGHT <= len(page.lines):
            page.quote_also(0, len(page.lines), sign)
            return


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


_DATED = re.compile(r"[^\d<>]?\d[^<>]{6,70}+<[^<> ]{1,64}@[^<> ]{1,255}>[ \t\xa0]{0,3}")


def _dated_lines(text: str) -> list[int]:
    """Numbers of the lines that are a date, a name and an address: found by their ends, for few lines end so."""
    found = []
    line = at = 0
    end = text.find(">\n")
    while end >= 0:
        start = text.rfind("\n", 0, end) + 1
        # Entries of change logs begin with such a line, too, and go on with "*".
        if (
            LEAST_DATED < end - start < MAX_DATED
            and _DATED.fullmatch(text, start, end + 1)
            and text[end + 2 : end + 10].lstrip()[:1] != "*"
        ):
            line += text.count("\n", at, start)
            at = start
            found.append(line)
        end = text.find(">\n", end + 1)
    return found


# ---------------------------------------------------------------- marks


def _add_marks(page: Layout, marks: Sequence[Mark]) -> None:
    """Marks as lines: one that begins inside a line counts from the next line on."""
    starts = list(accumulate([len(line) + 1 for line in page.lines[:-1]], initial=0))
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
