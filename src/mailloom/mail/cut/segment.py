"""Text -> segments: what the author wrote, and what was there before.

Segments lie end to end and cover the text. Each names the rule that cut it. The order of work: lines are told apart by
their quote level (mail/cut/quote.py); stretches between quotes are searched for what introduces somebody else's words
(mail/cut/introduction.py, with mail/cut/attribution.py and mail/cut/heading.py); what is left is the author's, less what stands below it (mail/cut/trailer.py). A quote that is not marked
line by line runs to the end of the text, or of the element that a client put it into.

Everything is a scan over lines with a bounded look around: linear in the size of the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mailloom.mail.cut.attribution import COLONS, Head
from mailloom.mail.cut.greeting import known_words
from mailloom.mail.cut.indent import settled
from mailloom.mail.cut.introduction import Introductions
from mailloom.mail.cut.phrases import subject_says
from mailloom.mail.cut.quote import Layout, layout
from mailloom.mail.cut.trailer import MAX_TYPED, Span, device_alone, without_trailers
from mailloom.mail.cut.uncut import uncut
from mailloom.mail.model import Problem, Segment, SegmentKind
from mailloom.mail.text.html import Mark


def cut(
    text: str, marks: Sequence[Mark] = (), subject: str = "", names: Sequence[str] = ()
) -> tuple[tuple[Segment, ...], tuple[Problem, ...]]:
    """Segments in order, end to end over the whole text, and what looked quoted and was not cut.

    `subject` decides where replies and forwards look alike (Outlook): without one, a head without "wrote" is a forward.
    `names` are the sender's name and address: they tell a signature from a third person's.
    """
    found = _segments(text, marks, subject_says(subject) if subject else "", subject, trailers=True, names=names)
    return found, uncut(text, found)


def cut_heads(text: str, says: str = "") -> tuple[Segment, ...]:
    """The same for a text in which only heads and what they introduce are looked for: what stands below an author's words
    is not told from them. `says` is what phrases.subject_says makes of its subject.
    """
    return _segments(text, (), says, "", trailers=False)


def _segments(
    text: str, marks: Sequence[Mark], says: str, subject: str, *, trailers: bool, names: Sequence[str] = ()
) -> tuple[Segment, ...]:
    if not text:
        return ()
    page = layout(text, settled(text, marks) if marks else ())
    heads = Introductions(page, text.isascii(), "his line" in text or "HIS LINE" in text)
    knife = _Knife(page, page.lines, page.levels, heads, says, subject, trailers)
    knife.cut_lines()
    if trailers:
        knife.spans = without_trailers(page.lines, page.drawn, knife.spans, known_words(tuple(names)))
    lines, size, glued = page.lines, len(text), knife.glued
    out: list[Segment] = []
    start = line = line_start = 0
    for _, last, kind, level, rule, confidence in knife.spans:
        if line <= last:
            line_start += sum(map(len, lines[line:last])) + last - line
        else:
            line_start -= sum(map(len, lines[last:line])) + line - last
        line = last
        # The last line has no line break.
        end = min(line_start, size)
        if glued and kind == "attribution" and last - 1 in glued:
            end = line_start - len(lines[last - 1]) - 1 + glued[last - 1]
        if start < end:
            out.append(Segment(kind, start, end, level, rule, confidence))
        start = end
    return tuple(out)


@dataclass(slots=True)
class _Knife:
    page: Layout
    lines: list[str]
    levels: list[int]
    heads: Introductions
    says: str
    subject: str
    trailers: bool
    spans: list[Span] = field(default_factory=list)
    glued: dict[int, int] = field(default_factory=dict)
    """Line -> its characters that introduce the rest of it."""

    def cut_lines(self) -> None:
        at = gap_end = 0
        end, quoted = len(self.lines), self.page.quoted
        while at < end:
            if quoted[at]:
                at = self._cut_quote(at)
                continue
            if at and quoted[at - 1] and self.lines[at - 1].rstrip()[-1:] in COLONS:
                # Supercite marks whom it quotes with ">", and what he wrote with his initials.
                self.heads.quote_signed(at)
            if gap_end <= at or self.heads.signed:
                gap_end = self.page.gap_end(at)
            at = self._cut_gap(at, gap_end)

    # ------------------------------------------------------------ quotes

    def _cut_quote(self, at: int) -> int:
        """A quote with nothing above it that introduces it: it may do so itself, inside its first lines."""
        end = self.page.quote_end(at)
        if end == at + 1 and (alone := self.heads.signs_alone(at)):
            return self._cut_introduced(at, alone)
        return self._cut_headed(at, end, self.heads.head_inside(at, end))

    def _cut_headed(self, at: int, end: int, inside: tuple[Head | None, int]) -> int:
        head, skip = inside
        if head is None:
            self._add_quote(at, end, "quote", self._quote_rule(at))
            return end
        forwarded = head.kind == "forward" or (head.kind == "original" and self._is_forward(at, end, head))
        kind: SegmentKind = "forward" if forwarded else "quote"
        top = at + skip + head.lines
        if forwarded:
            end = self._forward_end(end)
        self._add(at, top, "forward" if forwarded else "attribution", self.levels[at], head)
        if top < end:
            self._add_quote(top, end, kind, self._quote_rule(at))
        return end

    def _forward_end(self, end: int) -> int:
        """Forwards are sent as they are: a stray line between quoted ones is part of it."""
        levels, lines, last = self.levels, self.lines, len(self.lines)
        while end + 1 < last and lines[end].strip() and levels[end + 1]:
            end = self.page.quote_end(end)
        return end

    def _said(self, head: Head) -> str:
        """What the subject says of a head that replies and forwards have alike."""
        return self.says or (subject_says(self.subject, head.word) if head.word and self.subject else "")

    def _is_forward(self, at: int, end: int, head: Head) -> bool:
        """A head that replies and forwards share: the subject tells, else whether anything was answered below it."""
        if says := self._said(head):
            return says == "forward"
        return self.lines[at].lstrip()[:1] != ">" or not any(x.strip() for x in self.lines[end : end + 40])

    def _quote_rule(self, at: int) -> str:
        mark = self.page.marked.get(at)
        if mark:
            return mark.rule
        return "prefix" if self.lines[at].lstrip(" \t")[:1] == ">" else "sign"

    def _add(self, first: int, last: int, kind: SegmentKind, level: int, head: Head) -> None:
        self.spans.append((first, last, kind, level, head.rule, head.confidence))

    def _add_quote(self, at: int, end: int, kind: SegmentKind, rule: str, confidence: int = 950) -> None:
        """One span for each run of lines of one level; blank lines and strays keep the level above them."""
        levels = self.levels
        start, level = at, max(1, levels[at])
        if kind == "quote":
            for here in range(at + 1, end):
                now = levels[here]
                if now != level and now:
                    self.spans.append((start, here, kind, level, rule, confidence))
                    start, level = here, now
        self.spans.append((start, end, kind, level, rule, confidence))

    # ------------------------------------------------------------ between quotes

    def _cut_gap(self, at: int, gap_end: int) -> int:
        """The author's own lines at:gap_end, with what they hold of heads. Returns the line to go on from."""
        found = self.heads.find_head(at, gap_end)
        if found is not None:
            top, head = found
            self._add_new(at, top)
            return self._cut_introduced(top, head)
        above = self.heads.attribution_above(at, gap_end) if gap_end < len(self.lines) else None
        if above is None:
            return self._cut_unheralded(at, gap_end)
        last, head = above
        self._add_new(at, last - head.lines)
        below = gap_end if self.page.blank_above(gap_end, last) == last else last
        self._add(last - head.lines, below, "attribution", max(0, self.levels[gap_end] - 1), head)
        self._add_new(below, gap_end)
        end = self.page.quote_end(gap_end)
        self._add_quote(gap_end, end, "quote", self._quote_rule(gap_end))
        return end

    def _cut_unheralded(self, at: int, gap_end: int) -> int:
        """A gap without a head. A line with a colon above labelled lines that are quoted says "forwarded" in its language."""
        if gap_end < len(self.lines) and (line := self.heads.colon_above(at, gap_end)) >= at:
            end = self.page.quote_end(gap_end)
            inside = self.heads.head_inside(gap_end, end)
            if inside[0] is not None and inside[0].kind == "original" and inside[0].rule.startswith("labels"):
                self._add_new(at, line)
                forwarded = self._said(inside[0]) != "reply"
                self._add(line, gap_end, "forward" if forwarded else "attribution", 0, inside[0])
                first = len(self.spans)
                end = self._cut_headed(
                    gap_end, end, (replace(inside[0], kind="forward" if forwarded else "attribution"), inside[1])
                )
                # One head, of the line and of what is quoted below it.
                self.spans[first - 1 : first + 1] = [(line, *self.spans[first][1:])]
                return end
        self._add_new(at, gap_end)
        return gap_end

    def _cut_introduced(self, top: int, head: Head) -> int:
        """What a head introduces: the quote that follows at once, else all to the end of the element or the text."""
        page, end = self.page, len(self.lines)
        if head.kind == "attribution" or self.heads.sign_below(top + head.lines) == "|":
            self.heads.quote_signed(top + head.lines)
        here = page.blank_below(top + head.lines)
        stop = page.region_end(top)
        if head.kind != "attribution" and (next_one := self.heads.next_of_digest(top, here, stop)):
            stop = next_one
        prefixed = here < end and self.levels[here] > 0
        if prefixed:
            in_region = stop < end and here in page.marked
            quote_end = page.quote_end(here)
            if head.kind == "forward":
                quote_end = self._forward_end(quote_end)
            stop = max(stop, quote_end) if in_region and head.kind != "attribution" else quote_end
        elif here >= stop and head.kind != "attribution":
            # A region with nothing in it but the head was closed by a stray tag of what it introduces.
            stop = end
        if head.kind == "attribution":
            forwarded = self.says == "forward" and not prefixed
        else:
            forwarded = head.kind == "forward" or self._said(head) != "reply"
        if prefixed and "from" in head.fields and self.heads.answers(here, stop):
            stop = page.region_end(top)
            prefixed = False
        if prefixed and head.kind != "attribution" and "from" not in head.fields:
            # MailMate and Apple Mail quote the labelled lines together with the text, below a phrase that is not quoted.
            inner, skip = self.heads.head_inside(here, stop)
            if inner is not None and inner.kind == "original":
                here = min(stop, here + skip + inner.lines)
        here = max(top + 1, min(here, max(stop, top + head.lines)))
        if head.glued:
            here = top + head.lines
            self.glued[here - 1] = head.glued
        self._add(top, here, "forward" if forwarded else "attribution", 0, head)
        if here < stop or head.glued:
            kind: SegmentKind = "forward" if forwarded else "quote"
            if prefixed:
                self._add_quote(here, stop, kind, self._quote_rule(here))
            else:
                self._add(here, stop, kind, 1, head)
        return max(stop, here)

    # ------------------------------------------------------------ heads in an author's lines

    # ------------------------------------------------------------ the author's own

    def _add_new(self, at: int, end: int) -> None:
        if at >= end:
            return
        if not self.trailers:
            self.spans.append((at, end, "new", 0, "author", 1000))
            return
        signed = self.page.signed
        while signed and at < end:
            top = next((first for first in range(at, end) if first in signed), end)
            if top == end:
                break
            below = max(top + 1, min(end, signed[top]))
            if self.page.blank_below(below) >= end:
                below = end
            above = self.page.blank_above(top, at)
            if above > at and self.lines[above - 1].strip() == "--":
                top = above - 1
            if at < top:
                self.spans.append((at, top, "new", 0, "author", 1000))
            self.spans.append((top, below, "signature", 0, "markup", 950))
            at = below
        if at >= end:
            return
        if end == len(self.lines) and end - at > 4:
            typed = "\n".join(self.lines[at : min(end, at + MAX_TYPED)])
            if found := device_alone(typed):
                alone = at + typed[: found[0]].count("\n")
                if at < alone:
                    self.spans.append((at, alone, "new", 0, "author", 1000))
                self.spans.append((alone, alone + 1, "signature", 0, "device", 900))
                self.spans.append((alone + 1, end, "quote", 1, "below-device", 500))
                return
        self.spans.append((at, end, "new", 0, "author", 1000))
