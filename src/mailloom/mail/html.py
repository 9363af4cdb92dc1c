"""HTML -> the text a person read, and marks where the client that wrote it says "this is quoted".

One pass over the tags with an explicit stack, no tree: mail HTML is broken in every way, and a reader needs only blocks,
links, lists, and what was hidden. Work and memory are linear in the size of the input, whatever is inside: comments and
scripts are found by two searches each, a tag's attributes are read once for each different spelling of the tag.
What an element means is told by mail/tags.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailloom.mail.tags import (
    BOGUS,
    CELL,
    IMPLIED,
    IS_TAG,
    MAX_KNOWN,
    MAX_LINK,
    NESTING,
    STOPS,
    VOID,
    MarkKind,
    Tag,
    decode,
    known_tag,
    open_quote,
    read_tag,
)

MAX_BREAKS = 3
"""Line breaks in a row that are kept: two blank lines. Layout mail would otherwise be mostly blank."""
MAX_CARRY = 4096
"""Pieces that may be looked through, in a whole mail, for the end of an attribute that holds "<": real mail has a handful."""
MAX_LEVEL = 200
"""Quote levels that get a mark of their own: deeper ones lie inside these anyway. Real ladders end near 40."""


@dataclass(frozen=True, slots=True)
class Mark:
    """text[start:end] came from an element that says what it is. `level` counts quotes around it, itself included.

    "region" bounds what a client put there when replying or forwarding, without saying which lines are what.
    """

    start: int
    end: int
    kind: MarkKind
    level: int
    rule: str


@dataclass(frozen=True, slots=True)
class HtmlText:
    text: str
    marks: tuple[Mark, ...]


def text_of(html: str) -> HtmlText:
    """The text of a page as a reader saw it, and the marks in it in order of their start. Never raises."""
    page = _Page()
    # Split at "<" by C code: a tag is what stands before the ">" of a piece, and most are spelled like one seen before.
    pieces = _without_unseen(html.replace("\x00", "")).split("<")
    if pieces[0]:
        page.say(pieces[0])
    seen: dict[str, Tag] = {}
    tracked, say = page.tracked, page.say
    carry = MAX_CARRY
    at, last = 1, len(pieces)
    while at < last:
        raw, _, text = pieces[at].partition(">")
        at += 1
        tag = seen.get(raw)
        if tag is None:
            if not IS_TAG(raw):
                say(text if raw[:1] in BOGUS else "<" + pieces[at - 1])
                continue
            if carry and (quote := open_quote(raw)):
                end = at - 1 if quote in text else _quote_end(pieces, at, quote, carry)
                carry -= abs(end) - at + 1
                if end > 0:
                    raw, text = _rejoined(pieces, at - 1, end, quote, len(raw))
                    at = end + 1
            tag = seen[raw] = known_tag(raw) if len(raw) <= MAX_KNOWN else read_tag(raw)
        if not tag.plain or tag.name in tracked:
            page.tag(tag)
        elif breaks := tag.breaks:
            if tag.name == "p":
                breaks = page.paragraph(tag)
            if page.filler:
                page.break_line(breaks)
            elif page.breaks < breaks:
                page.breaks = breaks
        if text:
            say(text)
    return page.finish()


def _quote_end(pieces: list[str], at: int, quote: str, carry: int) -> int:
    """The piece in which an attribute that holds "<" ends; minus the last one looked at, where none does within `carry`."""
    end, last = at, min(len(pieces), at + carry)
    while end < last and quote not in pieces[end]:
        end += 1
    return end if end < last else -max(end, 1)


def _rejoined(pieces: list[str], first: int, last: int, quote: str, read: int) -> tuple[str, str]:
    """(tag, text after it) of a tag that was split inside an attribute."""
    whole = "<".join(pieces[first : last + 1])
    cut = whole.find(">", whole.index(quote, read if first == last else len(whole) - len(pieces[last])))
    return (whole[:cut], whole[cut + 1 :]) if cut >= 0 else (whole, "")


# ---------------------------------------------------------------- before the tags: what is never seen

_UNSEEN = re.compile(r"<(?:!--|(style|script|title|xml|template|svg|object|applet)(?=[\s>/]))", re.IGNORECASE)


def _without_unseen(html: str) -> str:
    """Without comments and the elements whose content is not text. One that does not end hides nothing: mail is cut short
    more often than it hides things, and losing the rest without a word is worse.
    """
    out: list[str] = []
    done = 0
    hopeless: set[str] = set()
    found = _UNSEEN.search(html)
    while found:
        name = (found[1] or "!--").lower()
        start, end = found.start(), -1
        if name not in hopeless:
            if name == "!--":
                # "<!-->" and "<!--->" are whole comments (HTML standard, 13.2.5.43).
                end = html.find("-->", start + 2)
                end = end + 3 if end >= 0 else -1
            elif stop := _CLOSING[name].search(html, found.end()):
                end = stop.end()
        if end < 0:
            hopeless.add(name)
            end = found.end()
        out.append(html[done:start])
        done = end
        found = _UNSEEN.search(html, end)
    if not out:
        return html
    out.append(html[done:])
    return "".join(out)


_CLOSING = {
    name: re.compile(rf"</{name}[^>]{{0,100}}>", re.IGNORECASE)
    for name in ("style", "script", "title", "xml", "template", "svg", "object", "applet")
}

# ---------------------------------------------------------------- the page as it is written


@dataclass(slots=True)
class _Open:
    name: str
    mark: tuple[MarkKind, str] | None
    start: int
    level: int
    hides: bool
    href: str
    count: int = 0


_SPACES = frozenset(" \t\r\n\f")


@dataclass(slots=True)
class _Page:
    out: list[str] = field(default_factory=list)
    length: int = 0
    breaks: int = 0
    space: bool = False
    filler: bool = False
    margin: int = 2
    prefix: str = ""
    stack: list[_Open] = field(default_factory=list)
    tracked: dict[str, int] = field(default_factory=dict)
    """Open elements that matter, by name: others of that name are then tracked too, so that end tags find their own."""
    hidden: int = 0
    level: int = 0
    lists: int = 0
    pre: int = 0
    marks: list[Mark] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Write text with white space folded as a browser folds it."""
        if self.hidden:
            return
        if "&" in text:
            text = text.replace("&nbsp;", "\xa0")
            if "&" in text:
                text = decode(text)
        if self.pre:
            self._say_lines(text)
            return
        words = text.split()
        if not words:
            if "\xa0" in text and (self.breaks or not self.length):
                self.filler = True
            self.space = True
            return
        self._write(" ".join(words), text[0].isspace())
        self.space = text[-1].isspace()

    def _write(self, text: str, spaced: bool) -> None:
        if self.breaks:
            if self.length:
                self.out.append("\n" * self.breaks)
                self.length += self.breaks
            self.breaks = 0
        elif (spaced or self.space) and self.length:
            self.out.append(" ")
            self.length += 1
        if self.prefix:
            self.out.append(self.prefix)
            self.length += len(self.prefix)
            self.prefix = ""
        self.out.append(text)
        self.length += len(text)
        self.filler = self.space = False

    def _say_lines(self, text: str) -> None:
        first = True
        for line in text.replace("\r\n", "\n").replace("\xa0", " ").split("\n"):
            if not first:
                self.breaks = min(self.breaks + 1, MAX_BREAKS)
            first = False
            if line.strip():
                self._write(line.rstrip(), False)

    def break_line(self, count: int) -> None:
        """A block begins or ends: at least `count` line breaks before what comes next."""
        if self.filler:
            # A block that holds only a no-break space is how editors write a blank line.
            self.filler = False
            self.breaks = min(self.breaks + 1, MAX_BREAKS)
        self.breaks = max(self.breaks, count)

    def paragraph(self, tag: Tag) -> int:
        """Line breaks around a paragraph: its end has the margin of its beginning."""
        if not tag.closing:
            self.margin = tag.breaks
        return self.margin

    def tag(self, tag: Tag) -> None:
        name = tag.name
        if tag.breaks:
            self.break_line(self.paragraph(tag) if name == "p" else tag.breaks)
        elif name == "br":
            self.filler = False
            self.breaks = min(self.breaks + 1, MAX_BREAKS)
            return
        elif name in CELL and not tag.closing:
            if self.length and not self.breaks and not self.prefix:
                self.prefix = "\t"
                self.space = False
        elif name == "hr":
            self.break_line(1)
            self.say("_" * 32)
            self.break_line(1)
            return
        elif name == "img":
            if tag.alt and not self.hidden:
                self.say(f" [{tag.alt}] ")
            return
        if name in VOID:
            return
        if tag.closing:
            self._close(name)
        elif tag.mark or tag.hidden or tag.href or name in NESTING or name in self.tracked:
            self._open(tag)

    def _open(self, tag: Tag) -> None:
        name = tag.name
        if name in IMPLIED:
            self._imply(name)
        entry = _Open(name, tag.mark, self.length, 0, tag.hidden, tag.href)
        if tag.mark and tag.mark[0] == "quote":
            self.level += 1
        if tag.mark:
            entry.level = self.level
        if tag.hidden:
            self.hidden += 1
        if name in ("ul", "ol"):
            self.lists += 1
        elif name == "li":
            self._bullet()
        elif name == "pre":
            self.pre += 1
        self.stack.append(entry)
        self.tracked[name] = self.tracked.get(name, 0) + 1

    def _imply(self, name: str) -> None:
        """A list item, paragraph, row or cell ends the one before it where no end tag did."""
        if self.stack and self.stack[-1].name == name:
            self._pop()

    def _bullet(self) -> None:
        if self.hidden:
            return
        depth = min(self.lists, 8)
        prefix = "- "
        for entry in self.stack[:-9:-1]:
            if entry.name == "ol":
                entry.count += 1
                prefix = f"{entry.count}. "
                break
            if entry.name == "ul":
                break
        self.prefix = "  " * (depth - 1) + prefix

    def _close(self, name: str) -> None:
        if name not in self.tracked:
            return
        stack = self.stack
        if name in STOPS:
            while stack:
                if self._pop() == name:
                    return
            return
        # Only a little way: an end tag that fits nothing near is a stray one, and looking far for each would be quadratic.
        for back in range(1, min(len(stack), 32) + 1):
            here = stack[-back].name
            if here == name:
                for _ in range(back):
                    self._pop()
                return
            if here in STOPS:
                return

    def _pop(self) -> str:
        entry = self.stack.pop()
        name = entry.name
        left = self.tracked[name] - 1
        if left:
            self.tracked[name] = left
        else:
            del self.tracked[name]
        if entry.hides:
            self.hidden -= 1
        if name in ("ul", "ol"):
            self.lists -= 1
        elif name == "pre":
            self.pre -= 1
        elif name == "li" or name in CELL:
            if self.prefix and self.prefix != "\t":
                self.prefix = ""
        elif name == "tr" and self.prefix == "\t":
            self.prefix = ""
        if entry.href and not self.hidden and self.length > entry.start:
            self._show_target(entry)
        if entry.mark:
            kind, rule = entry.mark
            if self.length > entry.start and entry.level <= MAX_LEVEL:
                self.marks.append(Mark(entry.start, self.length, kind, entry.level, rule))
            if kind == "quote":
                self.level -= 1
        return name

    def _show_target(self, entry: _Open) -> None:
        """`text <target>`, only where the target says more than the text does."""
        target = entry.href
        scheme, colon, rest = target.partition(":")
        scheme = scheme.lower()
        if not colon or len(target) > MAX_LINK or scheme not in ("http", "https", "ftp", "mailto"):
            return
        if scheme == "mailto":
            target = rest.partition("?")[0]
            if "@" not in target:
                return
        shown = self._tail(entry.start)
        bare = target.removeprefix("http://").removeprefix("https://").removeprefix("www.").rstrip("/").lower()
        if not bare or bare in shown.lower() or any(c in target for c in " <>\n\t"):
            return
        self.out.append(f" <{target}>")
        self.length += len(target) + 3

    def _tail(self, start: int) -> str:
        """What was written since `start`, up to some 600 characters: a link's text is never compared beyond its target."""
        parts: list[str] = []
        have, want = 0, min(self.length - start, MAX_LINK + 100)
        for piece in reversed(self.out):
            if have >= want:
                break
            parts.append(piece[-MAX_LINK - 100 :])
            have += len(parts[-1])
        return "".join(reversed(parts))

    def finish(self) -> HtmlText:
        while self.stack:
            self._pop()
        text = "".join(self.out)
        marks = []
        for mark in self.marks:
            start, end = mark.start, mark.end
            while start < end and text[start] in _SPACES:
                start += 1
            if start < end:
                marks.append(Mark(start, end, mark.kind, mark.level, mark.rule))
        marks.sort(key=lambda m: (m.start, -m.end))
        return HtmlText(text, tuple(marks))
