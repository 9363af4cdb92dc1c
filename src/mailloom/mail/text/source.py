"""From a text that was made of HTML back to the HTML: which part of the source a span of the text came from.

Computed on demand by reading the page once more with its places kept; nothing of it costs those who only want the text.
A place in the text lies between two characters that were read. In the source there may be tags between the two: end tags and
line breaks belong to what is above them, start tags to what is below.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from mailloom.mail.text.html import plain_ends, read, unseen, without
from mailloom.mail.text.page import Page
from mailloom.mail.text.tags import decode


def source_spans(html: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """For each (start, end) of text_of(html).text, (start, end) of the HTML it came from; both in characters.

    Spans that lie end to end and cover the text lie end to end and cover the HTML: cutting it there loses nothing.
    """
    offsets = sorted({offset for span in spans for offset in span})
    places = dict(zip(offsets, _places(html, offsets), strict=True))
    return [(places[start], places[end]) for start, end in spans]


MAX_EMPTY = 32
"""Runs that are passed over because none of their characters was found: bullets of Word are the only such."""


class _Run(NamedTuple):
    """text[start:end] was written, with `lead` first, for the last `size` characters of a piece."""

    start: int
    end: int
    piece: int
    size: int
    lead: str


class _Char(NamedTuple):
    """A character of the text that was read, and where it is written."""

    at: int
    start: int
    end: int


def _places(html: str, offsets: list[int]) -> list[int]:
    """The places of offsets that are in order."""
    plain = plain_ends(html)
    gone = unseen(plain)
    source = without(plain, gone)
    page = _traced(source)
    found = [0 if x <= 0 else len(source) if x >= len(page.text) else page.place(x) for x in offsets]
    endings = [taken.span() for taken in _ENDINGS.finditer(html)]
    whole = _before(_before(found, gone), endings)
    return [len(html) if x >= len(page.text) else place for x, place in zip(offsets, whole, strict=True)]


@dataclass(slots=True)
class _Traced:
    """A page that was read with its places kept: `ends` are those of the pieces between "<"."""

    source: str
    text: str
    runs: list[_Run]
    starts: list[int]
    ends: list[int]
    aligned: dict[int, list[_Char]] = field(default_factory=dict)

    def place(self, offset: int) -> int:
        here = bisect_left(self.starts, offset) - 1
        above, below = 0, len(self.source)
        for index in range(here, max(-1, here - MAX_EMPTY), -1):
            chars = self.chars(index)
            if count := bisect_left(chars, offset, key=_at):
                above = chars[count - 1].end
                break
        for index in range(max(0, here), min(len(self.runs), here + MAX_EMPTY)):
            chars = self.chars(index)
            if (count := bisect_left(chars, offset, key=_at)) < len(chars):
                below = chars[count].start
                break
        return _between(self.source, above, below)

    def chars(self, index: int) -> list[_Char]:
        """The characters of a run, but for white space, in order."""
        if index not in self.aligned:
            run = self.runs[index]
            last = self.ends[run.piece]
            self.aligned[index] = _aligned(self.text, self.source, run, last - run.size, last)
        return self.aligned[index]


def _at(char: _Char) -> int:
    return char.at


def _traced(source: str) -> _Traced:
    pieces = source.split("<")
    page = Page()
    runs: list[_Run] = []

    def say(text: str) -> None:
        start, lead = page.length, page.prefix
        page.say(text)
        if page.length > start:
            runs.append(_Run(start, page.length, page.at - 1, len(text), lead))

    read(pieces, page, say)
    text, _ = page.finish()
    ends = [at - 1 for at in accumulate(len(piece) + 1 for piece in pieces)]
    return _Traced(source, text, runs, [run.start for run in runs], ends)


_TOKEN = re.compile(r"&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)|\S")
_ENDINGS = re.compile(r"\r(?=\n)|\0")
"""What plain_ends takes away."""


def _aligned(text: str, source: str, run: _Run, first: int, last: int) -> list[_Char]:
    at, stop = run.start, run.end
    while at < stop and text[at].isspace():
        at += 1
    lead = run.lead.strip()
    if lead and text.startswith(lead, at):
        at += len(lead)
    out: list[_Char] = []
    for token in _TOKEN.finditer(source, first, last):
        written = token[0]
        for char in decode(written) if written[0] == "&" and len(written) > 1 else written:
            if char.isspace():
                continue
            while at < stop and text[at].isspace():
                at += 1
            # What differs is a character that is never seen, or a bullet: those around it tell where it is.
            if at < stop and text[at] == char:
                out.append(_Char(at, token.start(), token.end()))
                at += 1
    return out


def _between(source: str, above: int, below: int) -> int:
    """The place between two characters: behind the last end tag or break, else before the first tag, else the lower one."""
    gap = source[above:below].replace("İ", "i").lower()  # the one letter that grows in lower case
    last = max(gap.rfind("</"), gap.rfind("<br"), gap.rfind("<hr"))
    if last >= 0:
        end = gap.find(">", last)
        return above + end + 1 if end >= 0 else below
    first = gap.find("<")
    return above + first if first >= 0 else below


def _before(places: list[int], gone: list[tuple[int, int]]) -> list[int]:
    """The places in a whole text of (ordered) places in what is left of it without some spans; before a span that lies there."""
    out: list[int] = []
    shift = at = 0
    for place in places:
        while at < len(gone) and gone[at][0] < place + shift:
            shift += gone[at][1] - gone[at][0]
            at += 1
        out.append(place + shift)
    return out
