"""Text -> segments: what the author wrote, and what was there before.

Segments lie end to end and cover the text. Each names the rule that cut it. The order of work: lines are told apart by
their quote level (mail/quote.py); stretches between quotes are searched for what introduces somebody else's words
(mail/heading.py); what is left is the author's, less what stands below it (mail/trailer.py). A quote that is not marked
line by line runs to the end of the text, or of the element that a client put it into.

Everything is a scan over lines with a bounded look around: linear in the size of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from mailloom.mail.greeting import known_words
from mailloom.mail.heading import Head, attribution, block, label, phrase
from mailloom.mail.html import Mark
from mailloom.mail.indent import settled
from mailloom.mail.model import Problem, Segment, SegmentKind
from mailloom.mail.phrases import ABOVE_LINES, LABELS, subject_says
from mailloom.mail.quote import DRAWN, Layout, layout, unquote
from mailloom.mail.trailer import MAX_TYPED, Span, device_alone, without_trailers
from mailloom.mail.uncut import uncut

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


def cut(
    text: str, marks: Sequence[Mark] = (), subject: str = "", names: Sequence[str] = ()
) -> tuple[tuple[Segment, ...], tuple[Problem, ...]]:
    """Segments in order, end to end over the whole text, and what looked quoted and was not cut.

    `subject` decides where replies and forwards look alike (Outlook): without one, a head without "wrote" is a forward.
    `names` are the sender's name and address: they tell a signature from a third person's.
    """
    found = _segments(text, marks, subject_says(subject) if subject else "", trailers=True, names=names)
    return found, uncut(text, found)


def cut_heads(text: str) -> tuple[Segment, ...]:
    """The same for a text in which only heads and what they introduce are looked for: what stands below an author's words
    is not told from them.
    """
    return _segments(text, (), "", trailers=False)


def _segments(
    text: str, marks: Sequence[Mark], says: str, trailers: bool, names: Sequence[str] = ()
) -> tuple[Segment, ...]:
    if not text:
        return ()
    page = layout(text, settled(text, marks) if marks else ())
    knife = _Knife(page, page.lines, page.levels, says, text.isascii(), trailers)
    knife.cut_lines()
    if trailers:
        knife.spans = without_trailers(page.lines, page.drawn, knife.spans, known_words(tuple(names)))
    ends, count, size = page.ends, len(page.lines), len(text)
    out: list[Segment] = []
    for first, last, kind, level, rule, confidence in knife.spans:
        # The last line has no line break.
        end = ends[last] + last if last < count else size
        out.append(Segment(kind, ends[first] + first, end, level, rule, confidence))
    if out[-1].start >= size and len(out) > 1:
        # The empty line after the last line break has no characters.
        out.pop()
    return tuple(out)


@dataclass(slots=True)
class _Knife:
    page: Layout
    lines: list[str]
    levels: list[int]
    says: str
    ascii: bool
    trailers: bool
    spans: list[Span] = field(default_factory=list)

    def cut_lines(self) -> None:
        at = gap_end = 0
        end, quoted = len(self.lines), self.page.quoted
        while at < end:
            if quoted[at]:
                at = self._cut_quote(at)
                continue
            if gap_end <= at:
                gap_end = self.page.gap_end(at)
            at = self._cut_gap(at, gap_end)

    # ------------------------------------------------------------ quotes

    def _cut_quote(self, at: int) -> int:
        """A quote with nothing above it that introduces it: it may do so itself, inside its first lines."""
        end = self.page.quote_end(at)
        head, skip = self._head_inside(at, end)
        if head is None:
            self._add_quote(at, end, "quote", self._quote_rule(at))
            return end
        forwarded = head.kind == "forward" or (head.kind == "original" and self._is_forward(at, end))
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

    def _head_inside(self, at: int, end: int) -> tuple[Head | None, int]:
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

    def _is_forward(self, at: int, end: int) -> bool:
        """A head that replies and forwards share: the subject tells, else whether anything was answered below it."""
        if self.says:
            return self.says == "forward"
        return self.lines[at].lstrip()[:1] != ">" or not any(x.strip() for x in self.lines[end : end + 40])

    def _quote_rule(self, at: int) -> str:
        mark = self.page.marked.get(at)
        return mark.rule if mark else "prefix"

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
        found = self._find_head(at, gap_end)
        if found is not None:
            top, head = found
            self._add_new(at, top)
            return self._cut_introduced(top, head)
        above = self._attribution_above(at, gap_end) if gap_end < len(self.lines) else None
        if above is None:
            self._add_new(at, gap_end)
            return gap_end
        last, head = above
        self._add_new(at, last - head.lines)
        below = gap_end if self.page.blank_above(gap_end, last) == last else last
        self._add(last - head.lines, below, "attribution", max(0, self.levels[gap_end] - 1), head)
        self._add_new(below, gap_end)
        end = self.page.quote_end(gap_end)
        self._add_quote(gap_end, end, "quote", self._quote_rule(gap_end))
        return end

    def _cut_introduced(self, top: int, head: Head) -> int:
        """What a head introduces: the quote that follows at once, else all to the end of the element or the text."""
        page, end = self.page, len(self.lines)
        here = page.blank_below(top + head.lines)
        stop = page.region_end(top)
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
            forwarded = head.kind == "forward" or self.says != "reply"
        if prefixed and head.kind != "attribution" and "from" not in head.fields:
            # MailMate and Apple Mail quote the labelled lines together with the text, below a phrase that is not quoted.
            inner, skip = self._head_inside(here, stop)
            if inner is not None and inner.kind == "original":
                here = min(stop, here + skip + inner.lines)
        here = max(top + 1, min(here, max(stop, top + head.lines)))
        self._add(top, here, "forward" if forwarded else "attribution", 0, head)
        if here < stop:
            kind: SegmentKind = "forward" if forwarded else "quote"
            if prefixed:
                self._add_quote(here, stop, kind, self._quote_rule(here))
            else:
                self._add(here, stop, kind, 1, head)
        return max(stop, here)

    def _attribution_above(self, first: int, gap_end: int) -> tuple[int, Head] | None:
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

    # ------------------------------------------------------------ heads in an author's lines

    def _candidates(self, at: int, end: int) -> Iterator[int]:
        """Lines that may introduce something: with a colon, drawn, or marked."""
        lines, page = self.lines, self.page
        for first in range(at, end, CHUNK):
            last = min(end, first + CHUNK)
            found = [n for n, x in enumerate(lines[first:last], first) if ":" in x]
            if self.ascii and found:
                # A colon alone is no label: one has another within five lines, or ends the line.
                found = [
                    n
                    for n, following in zip(found, [*found[1:], found[-1]], strict=True)
                    if following - n <= LABELS_APART or lines[n].rstrip()[-1:] in _ENDS
                ]
            more = [n for n in page.drawn if first <= n < last] if len(page.drawn) < CHUNK else []
            if len(page.drawn) >= CHUNK:
                more = [n for n in range(first, last) if lines[n].lstrip()[:1] in DRAWN]
            if page.marked:
                more += [n for n in range(first, last) if n in page.marked]
            if not self.ascii:
                more += [n for n in range(first, last) if "：" in lines[n]]
            yield from sorted({*found, *more}) if more else found

    def _find_head(self, at: int, gap_end: int) -> tuple[int, Head] | None:
        """The first line of at:gap_end that introduces the rest: a forward's or reply's head, or an attribution."""
        lines, marked = self.lines, self.page.marked
        read_to = at
        for here in self._candidates(at, gap_end):
            if marked and here in marked and (head := self._marked_head(here, gap_end)):
                top = self._ruled_top(at, here)
                return top, replace(head, lines=head.lines + here - top)
            line = lines[here]
            text = line.strip(" \t\xa0\ufeff\u200b")
            if not text:
                continue
            if text[0] in DRAWN and len(text) > 2 and (text[:2] in _DRAWN_TWO or text[-1] in DRAWN):
                if head := self._drawn(here):
                    return here, head
            elif here >= read_to and (":" in text[:30] or "：" in text[:30]) and self._may_open_block(here, text):
                if head := block(lines, here):
                    return here, head
                # A run of labelled lines is read once: each of its lines would read the same again.
                read_to = here + 1
                while read_to < gap_end and label(lines[read_to]) is not None:
                    read_to += 1
            if text[-1] in ":：*_" and (found := self._introducing(at, here, text)):
                return found
        return None

    def _may_open_block(self, here: int, text: str) -> bool:
        """A labelled line with another below it. A label that no table knows needs an address beside it: prose has colons."""
        lines = self.lines
        start = text[:30]
        known = LABELS.get(start.partition(":")[0].strip("*_ \t\xa0").lower()) if "：" not in start else ""
        if known == "other" or (known is None and "@" not in text and "@" not in "".join(lines[here + 1 : here + 3])):
            return False
        below = here + 1
        end = min(len(lines), here + 4)
        while below < end and not lines[below].strip():
            below += 1
        # The value of a long line goes on below it, so that the second label may be a line further.
        for line in lines[below : below + 2]:
            if ":" in line[:30] or "：" in line[:30]:
                return bool(known) or label(lines[here]) is not None
        return False

    def _introducing(self, at: int, here: int, text: str) -> tuple[int, Head] | None:
        if phrase(text)[0] == "forward":
            head = block(self.lines, here)
            return (here, head) if head else None
        if not self._stands_alone(here + 1):
            return None
        wrote = attribution(self.lines, here + 1, at, near=False)
        return (here + 1 - wrote.lines, wrote) if wrote is not None else None

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

    def _drawn(self, here: int) -> Head | None:
        """A drawn line: a head's if one follows, a ticket's "reply above" line, or only decoration."""
        text = self.lines[here].strip()
        if text.strip("-_=#*~<> .:").lower() in ABOVE_LINES:
            return Head("attribution", 1, "reply-above", 950)
        if phrase(text)[0] in ("forward", "original"):
            return block(self.lines, here)
        ahead = here + 1
        end = min(len(self.lines), here + 4)
        while ahead < end and not self.lines[ahead].strip():
            ahead += 1
        if ahead < end and label(self.lines[ahead]) is not None:
            return block(self.lines, here)
        return None

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


_ENDS = DRAWN | {":"}
"""What a line may end with that introduces something by itself."""
_DRAWN_TWO = frozenset(("--", "__", "==", "**", "##", "~~", "——", "––", "──", "━━", "- ", "<<"))
