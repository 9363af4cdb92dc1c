"""Where somebody else's words are introduced: the search of a text's lines for heads and attributions.

A line is looked at where something cheap says that it may introduce: it holds a colon, is drawn, dated or marked. Everything
is a scan with a bounded look around: linear in the size of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mailloom.mail.cut.attribution import (
    BLANK,
    COLONS,
    MAX_ATTRIBUTION_LINES,
    Head,
    attribution,
    drawn_attribution,
    glued_attribution,
)
from mailloom.mail.cut.heading import block, heralded, label, phrase, table
from mailloom.mail.cut.phrases import LABELS, says_above
from mailloom.mail.cut.quote import DRAWN, Layout, sign_of, unquote

BLANK_LINES = 8
"""Blank lines between an attribution and its quote: HTML made into text leaves some."""
GREETING_LINES = 2
"""Short lines that may stand between an attribution and its quote."""
MAX_GREETING = 60
"""Characters of such a line."""
HEAD_WINDOW = 70
"""Lines of a quote that are looked at for a head inside it: a blank or two, and heading.MAX_HEAD_LINES."""
LABELS_APART = 5
"""Lines from a label to the next that tells it from prose: see _may_open_block."""
CHUNK = 512
"""Lines that are searched for candidates at a time: a search that ends at the first head must not read a whole book."""


@dataclass(slots=True)
class Introductions:
    """Those of one text. `ascii` and `above` are of the whole text: no line needs to be searched for what it lacks."""

    page: Layout
    ascii: bool
    above: bool
    """A line may ask to answer above it, though nothing is drawn."""
    signed: str = ""
    """The sign of quotes, where it is not `>`."""
    lines: list[str] = field(init=False)
    levels: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.lines, self.levels = self.page.lines, self.page.levels

    def find_head(self, at: int, gap_end: int) -> tuple[int, Head] | None:
        """The first line of at:gap_end that introduces the rest: a forward's or reply's head, or an attribution."""
        lines, page = self.lines, self.page
        read_to = at
        for here in self._candidates(at, gap_end):
            if page.marked and here in page.marked and (head := self._marked_head(here, gap_end)):
                top = self._ruled_top(at, here)
                return top, replace(head, lines=head.lines + here - top)
            text = lines[here].strip(BLANK)
            if not text:
                continue
            if text[0] in DRAWN and len(text) > 2 and (text[:2] in _DRAWN_TWO or text[-1] in DRAWN):
                if head := self._drawn(at, here):
                    return here, head
            elif self.above and len(text) <= MAX_GREETING and says_above(text) and page.blank_above(here, at) > at:
                return here, _ABOVE
            elif here >= read_to and (":" in text[:30] or not self.ascii) and self._may_open_block(here, text):
                if found := self._block_at(at, here):
                    return found
                # A run of labelled lines is read once: each of its lines would read the same again.
                read_to = here + 1
                while read_to < gap_end and label(lines[read_to]) is not None:
                    read_to += 1
            # Nothing but a rule introduces nobody: "_" and "*" also close a line that was set in italics or bold.
            if text[-1] in _INTRODUCES and text.strip(text[-1]):
                if found := self._introducing(at, here, gap_end):
                    return found
            elif "@" in text and (head := self._dated(at, here)):
                return here, head
        return None

    def _candidates(self, at: int, end: int) -> Iterator[int]:
        """Lines that may introduce something: with a colon, drawn, dated, or marked."""
        lines, page = self.lines, self.page
        for first in range(at, end, CHUNK):
            last = min(end, first + CHUNK)
            found = [n for n, x in enumerate(lines[first:last], first) if ":" in x]
            if self.ascii and found:
                # A colon alone is no label: one has another within five lines, or ends the line, or an address before it.
                found = [
                    n
                    for n, following in zip(found, [*found[1:], found[-1]], strict=True)
                    if following - n <= LABELS_APART
                    or lines[n].rstrip()[-1:] in _ENDS
                    or -1 < lines[n].find("@") < lines[n].rfind(":")
                ]
            more = [n for n in page.drawn if first <= n < last] if len(page.drawn) < CHUNK else []
            if len(page.drawn) >= CHUNK:
                more = [n for n in range(first, last) if lines[n].lstrip()[:1] in DRAWN]
            if page.dated:
                more += [n for n in page.dated if first <= n < last]
            if page.marked:
                more += [n for n in range(first, last) if n in page.marked]
            if self.above:
                more += [n for n in range(first, last) if len(lines[n]) <= MAX_GREETING and says_above(lines[n])]
            if not self.ascii:
                more += [
                    n for n, x in enumerate(lines[first:last], first) if not x.isascii() and _OTHER_COLON.search(x)
                ]
            yield from sorted({*found, *more}) if more else found

    def _dated(self, at: int, here: int) -> Head | None:
        """A line that is an attribution without a colon, or begins with one and goes on with what it introduces."""
        if here in self.page.dated:
            alone = here == at or not self.lines[here - 1].strip()
            return Head("attribution", 1, "dated", 700) if alone and self._stands_alone(here + 1) else None
        glued = glued_attribution(self.lines[here])
        return Head("attribution", 1, "glued", 800, glued=glued) if glued else None

    def _block_at(self, at: int, here: int) -> tuple[int, Head] | None:
        """The labelled lines at `here` as a head, and where that begins: Lotus Notes has lines above them."""
        lines = self.lines
        above = lines[here - 1].strip() if here > at else ""
        if above[:7] == "commit " or _MAILBOX_OF_GIT.match(above):
            # What git shows of a change names its author; the change is what the mail has to say.
            return None
        if head := block(lines, here):
            if below := self._head_below_prose(here):
                return self._block_at(at, below)
            top = self.page.blank_above(here, at) - 1
            if top >= max(at, here - 3) and "---" in lines[top] and heralded(lines[top]):
                return top, replace(head, lines=head.lines + here - top)
            return here, head
        found = label(lines[here])
        return table(lines, here, at) if found is not None and found[0] == "to" else None

    def _head_below_prose(self, here: int) -> int:
        """The line below an author's own "Ann says: ..." that opens a head of known labels; 0 if `here` belongs to the head. Programs
        set no blank line between the labels of a head, and no label of several words before one of a language that is known.
        """
        own, below = label(self.lines[here]), self.page.blank_below(here + 1)
        if own is None or own[0] or not own[2] or below >= len(self.lines):
            return 0
        apart = below > here + 1 or " " in self.lines[here].partition(":")[0].strip()
        following = label(self.lines[below]) if apart else None
        opens = following is not None and following[0] in {"from", "date", "to", "subject"}
        return below if opens and block(self.lines, below) is not None else 0

    def _may_open_block(self, here: int, text: str) -> bool:
        """A labelled line with another below it. A label that no table knows needs an address beside it: prose has colons."""
        lines = self.lines
        start = text[:30]
        if self.ascii:
            known = LABELS.get(start.partition(":")[0].strip("*_ \t\xa0").lower())
        elif (found := label(text)) is not None:
            known = found[0] or None
        else:
            return False
        if known == "other" or (known is None and "@" not in text and "@" not in "".join(lines[here + 1 : here + 3])):
            return False
        below = here + 1
        end = min(len(lines), here + 4)
        while below < end and not lines[below].strip():
            below += 1
        # The value of a long line goes on below it, so that the second label may be a line further.
        for line in lines[below : below + 2]:
            if ":" in line[:30] or (not self.ascii and label(line) is not None):
                return bool(known) or label(lines[here]) is not None
        return False

    def _introducing(self, at: int, here: int, gap_end: int) -> tuple[int, Head] | None:
        if phrase(self.lines[here])[0] == "forward":
            head = block(self.lines, here)
            return (here, head) if head else None
        signed = not self.page.marked and self.sign_below(here + 1) != ""
        if not signed and not self._stands_alone(here + 1) and not self._reaches_on(here, gap_end):
            return None
        wrote = attribution(self.lines, here + 1, at, near=signed)
        return (here + 1 - wrote.lines, wrote) if wrote is not None else None

    def _reaches_on(self, here: int, gap_end: int) -> bool:
        """Is what is quoted further down a part of what a line introduces, whose own quote has no signs? It is if something
        introduces it in turn, below other words; and if the line is indented, as no program does that writes signs (Yahoo).
        """
        if self.lines[here][:2] == "  ":
            return True
        first = self.page.blank_below(here + 1)
        last = self.page.blank_above(gap_end, first)
        if last <= first or gap_end >= len(self.lines):
            return False
        inner = attribution(self.lines, last, first, near=True)
        if inner is None or inner.rule == "short":
            # Or the quote opens with it, as on Apple's phones.
            return self.answers(gap_end, self.page.quote_end(gap_end))
        # Directly below, it is what the other quotes at once; without an address both may be left of what was deleted.
        return last - inner.lines > first or (
            first > here + 1 and any("@" in x for x in self.lines[max(0, here + 1 - MAX_ATTRIBUTION_LINES) : here + 1])
        )

    def _stands_alone(self, after: int) -> bool:
        """An attribution without a quote under it introduces the rest only if nothing below is quoted with `>`."""
        return self.page.last_quoted < after and self.page.blank_below(after) < len(self.lines)

    def _marked_head(self, here: int, gap_end: int) -> Head | None:
        mark = self.page.marked[here]
        if mark.kind not in ("attribution", "head", "forward"):
            return None
        head = block(self.lines, here, sure=True)
        if head is not None or mark.kind != "attribution":
            return head
        count = 1
        while here + count < gap_end and count < 4 and self.lines[here + count].strip():
            count += 1
        # People write into the elements that clients left them: what introduces holds a date, an address, a colon at least.
        said = "".join(self.lines[here : here + count])
        if not any(c in "@:：" or c.isdecimal() for c in said):
            return None
        return Head("attribution", count, mark.rule, 950)

    def _ruled_top(self, at: int, here: int) -> int:
        """The line drawn above a marked head, which clients put there together with it; else the head's first line."""
        above = self.page.blank_above(here, at) - 1
        line = self.lines[above].strip() if above >= at else ""
        return above if len(line) > 4 and line[0] in "_-" and line == line[0] * len(line) else here

    def _drawn(self, at: int, here: int) -> Head | None:
        """A drawn line: a head's if one follows, a ticket's "reply above" line, or only decoration."""
        text = self.lines[here].strip(BLANK)
        said = phrase(text)[0]
        if said != "rule" and says_above(text):
            # A ticket's own mail opens so, and then speaks.
            return _ABOVE if self.page.blank_above(here, at) > at else None
        if said in ("forward", "original"):
            return block(self.lines, here)
        if said != "rule" and drawn_attribution(text):
            return Head("attribution", 1, "drawn-line", 900)
        ahead = here + 1
        end = min(len(self.lines), here + 4)
        while ahead < end and not self.lines[ahead].strip():
            ahead += 1
        if ahead < end and label(self.lines[ahead]) is not None:
            return block(self.lines, here)
        return None

    def attribution_above(self, first: int, gap_end: int) -> tuple[int, Head] | None:
        """(line after it, attribution) of what introduces the quote at gap_end, a greeting between them or not."""
        lines, page = self.lines, self.page
        last = page.blank_above(gap_end, first)
        if last == first:
            return None
        if gap_end - last <= BLANK_LINES and (head := attribution(lines, last, first, near=True)):
            return last, head
        # "NAME wrote:", a greeting, and then the quote: where mutt's users put their "Hi".
        for _ in range(GREETING_LINES):
            if len(lines[last - 1]) > MAX_GREETING:
                return None
            last = page.blank_above(last - 1, first)
            if last == first:
                return None
            if lines[last - 1].rstrip()[-1:] in (":", "："):
                head = attribution(lines, last, first, near=False)
                return (last, head) if head else None
        return None

    def colon_above(self, at: int, gap_end: int) -> int:
        """The short line with a colon at its end that stands directly above a quote, -1 if none does."""
        last = self.page.blank_above(gap_end, at)
        if last == at or gap_end - last > BLANK_LINES:
            return -1
        line = self.lines[last - 1].strip(BLANK)
        return last - 1 if line[-1:] in COLONS and len(line) <= MAX_GREETING else -1

    def head_inside(self, at: int, end: int) -> tuple[Head | None, int]:
        """(head, lines above it) of a quote that opens with one, as Apple Mail's do."""
        mark = self.page.marked.get(at)
        if mark is None and ":" not in "".join(self.lines[at : min(end, at + 6)]) and self.ascii:
            return None, 0
        bare = [unquote(x) for x in self.lines[at : min(end, at + HEAD_WINDOW)]]
        skip = 0
        while skip < len(bare) and not bare[skip].strip(" \t\xa0>"):
            skip += 1
        if skip >= len(bare):
            return None, 0
        head = block(bare, skip, sure=mark is not None and mark.kind != "quote")
        if head is not None:
            return head, skip
        if bare[skip].lstrip()[:1] == ">":
            return None, 0
        for count in range(1, min(4, len(bare) - skip) + 1):
            if not bare[skip + count - 1].strip():
                break
            head = attribution(bare, skip + count, skip, near=False)
            if head is not None and head.lines == count:
                return head, skip
        return None, 0

    def answers(self, at: int, end: int) -> bool:
        """Does a quote below a head belong to the message it introduces, as what that answers? It does if its first line
        introduces lines of its own level; where a client marks what it quotes, they are a level deeper.
        """
        inner, skip = self.head_inside(at, end)
        if inner is None or inner.kind != "attribution":
            return False
        levels = self.levels
        below = at + skip + inner.lines
        while below < end and not self.lines[below].strip("> \t"):
            below += 1
        return below < end and levels[below] == levels[at]

    def signs_alone(self, at: int) -> Head | None:
        """One line with `>>>` that introduces what is not quoted, or with other signs: GroupWise and supercite write so."""
        text = self.lines[at].strip(BLANK)
        if self.levels[at] < _ALONE_LEVEL or self.page.marked:
            return None
        if (text[-1] in COLONS and self.sign_below(at + 1)) or (text.endswith(">>>") and drawn_attribution(text)):
            return Head("attribution", 1, "signs", 850)
        return None

    def sign_below(self, after: int) -> str:
        """The sign of the quote that begins below a line, where that is not `>`."""
        here = self.page.blank_below(after)
        if here >= len(self.lines) or here - after > BLANK_LINES or self.levels[here]:
            return ""
        return sign_of(self.lines, here, len(self.lines))

    def quote_signed(self, after: int) -> None:
        """What is quoted with a sign of its own from a line on, as the lines directly below tell."""
        if not self.page.marked and (sign := self.sign_below(after)):
            self.page.quote_also(after, len(self.lines), sign)
            self.signed = sign

    def next_of_digest(self, top: int, here: int, end: int) -> int:
        """The line at which the next message of a digest begins, below one at `top`: the line that parts them in digests of
        RFC 1153, which Mailman writes, or one that counts them as Google Groups does ("== 2 of 3 =="). 0 if there is none.
        """
        first = self.lines[top].strip()
        counted = _COUNTED.fullmatch(first) is not None
        if not counted and (first.strip("-") or len(first) < len(_DIGEST_LINE)):
            return 0
        drawn = self.page.drawn
        for at in drawn[bisect_left(drawn, here) :]:
            line = self.lines[at].strip()
            if at >= end:
                break
            if (_COUNTED.fullmatch(line) is not None) if counted else (line == _DIGEST_LINE and self._labels_below(at)):
                return at
        return 0

    def _labels_below(self, at: int) -> bool:
        below = self.page.blank_below(at + 1)
        return below < len(self.lines) and label(self.lines[below]) is not None


_ABOVE = Head("attribution", 1, "reply-above", 950)
_DIGEST_LINE = "-" * 30
_COUNTED = re.compile(r"== \d{1,4} of \d{1,4} ==")
_ALONE_LEVEL = 3
_INTRODUCES = frozenset(COLONS + "*_")
_OTHER_COLON = re.compile(f"[{COLONS[1:]}]")
_MAILBOX_OF_GIT = re.compile(r"From [0-9a-f]{40} ")
_ENDS = DRAWN | {":"}
"""What a line may end with that introduces something by itself."""
_DRAWN_TWO = frozenset(("--", "__", "==", "**", "##", "~~", "——", "––", "──", "━━", "- ", "<<"))
