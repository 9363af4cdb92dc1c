"""The text of a page while it is read, tag by tag: what is open, what was written, how the next words join it.

A page is written as a person would copy it: a block on lines of its own, a row of a table on one line with tabs between its
cells where each cell is one line, a list's items with their bullets, a link as `text <target>`, a picture as [its description].
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailloom.mail.text.marks import Mark, MarkKind
from mailloom.mail.text.tags import IMPLIED, STOPS, VOID, Tag, decode

MAX_BREAKS = 3
"""Line breaks in a row that are kept: two blank lines. Layout mail would otherwise be mostly blank."""
MAX_LEVEL = 200
"""Quote levels that get a mark of their own: deeper ones lie inside these anyway. Real ladders end near 40."""
MAX_ROW = 200
"""Characters of a row of a table so far up to which the next cell stands beside it: longer ones are columns of a layout."""
MAX_INDENT = 8
"""Lists inside lists that are indented further."""
FAR = 32
"""Open elements that an end tag looks through for its own: it is a stray one if none is near, and looking far for each would
be quadratic."""


@dataclass(slots=True)
class _Open:
    """An open element that matters. `inside` counts the open elements in it that only matter because a tracked one has their
    name: end tags find their own by it.
    """

    name: str
    mark: tuple[MarkKind, str] | None
    start: int
    level: int
    tag: Tag
    shrunk: bool
    count: int
    inside: dict[str, int]


_SPACES = frozenset(" \t\r\n\f")
_DROPPED = re.compile("[\xad\u034f\u180e\u200b\u2060\ufeff]")
"""Characters that a reader never sees: soft hyphens, joiners and zero-width blanks."""
_BLANK = " \t\r\n\f\xa0\u2007\u200c\u200d\u200e\u200f\u3164"
"""What marketing mail fills the rest of its preview line with."""


@dataclass(slots=True)
class Page:
    out: list[str] = field(default_factory=list)
    length: int = 0
    at: int = 0
    """The piece that is read, for mail/text/source.py."""
    breaks: int = 0
    space: bool = False
    filler: bool = False
    margin: int = 2
    prefix: str = ""
    """A bullet, or a tab, before what is written next."""
    lines: int = 0
    """How often a line was begun."""
    row: int = -1
    """Where the row of a table began, -1 outside of one; `row_lines` is `lines` then."""
    row_lines: int = 0
    stack: list[_Open] = field(default_factory=list)
    tracked: dict[str, int] = field(default_factory=dict)
    """Open elements that matter, by name: others of that name are then counted, so that end tags find their own."""
    odd: bool = False
    """Text is hidden, preformatted or a bullet: see _say_oddly."""
    hidden: int = 0
    shrunk: bool = False
    bullets: int = 0
    pre: int = 0
    fresh: bool = False
    level: int = 0
    lists: int = 0
    link: str = ""
    link_start: int = 0
    marks: list[tuple[int, int, MarkKind, int, str]] = field(default_factory=list)

    # ------------------------------------------------------------ text

    def say(self, text: str) -> None:
        """Write text with white space folded as a browser folds it."""
        plain = text.isascii()
        if "&" in text:
            text = text.replace("&nbsp;", "\xa0").replace("&lt;", "<").replace("&gt;", ">")
            if "&" in text:
                text = text.replace("&quot;", '"').replace("&#39;", "'")
                if "&" in text:
                    text = decode(text)
                    plain = text.isascii()
        if not plain:
            text = readable(text)
        if self.odd:
            self._say_oddly(text)
            return
        bare = text.strip()
        if not bare:
            if "\xa0" in text and (self.breaks or not self.length):
                self.filler = True
            self.space = True
            return
        whole = len(bare) == len(text)
        if "\n" in bare or "  " in bare or "\t" in bare or not bare.isascii():
            bare = " ".join(bare.split())
        if self.breaks and self.length and not self.prefix:
            # Most text begins a line: as _write does it.
            bare = _BREAKS[self.breaks] + bare
            self.breaks = 0
            self.lines += 1
            self.out.append(bare)
            self.length += len(bare)
            self.filler = self.space = False
        else:
            self._write(bare, not whole and text[0].isspace())
        if not whole:
            self.space = text[-1].isspace()

    def _write(self, text: str, spaced: bool) -> None:
        if self.prefix == "\t":
            # What stands between two cells of a row, whatever opened in the second.
            text = "\t" + text
            self.breaks = 0
            self.prefix = ""
        elif self.breaks:
            if self.prefix:
                text = self.prefix + text
                self.prefix = ""
            if self.length:
                text = _BREAKS[self.breaks] + text
                self.lines += 1
            self.breaks = 0
        elif self.prefix:
            text = self.prefix + text
            self.prefix = ""
        elif (spaced or self.space) and self.length:
            text = " " + text
        self.out.append(text)
        self.length += len(text)
        self.filler = self.space = False

    def _say_oddly(self, text: str) -> None:
        if self.hidden or self.shrunk:
            return
        if self.bullets:
            # Word writes bullets as letters of its symbol fonts.
            text = text.replace("\xa0", " ").strip()
            if text:
                self._write("-" if len(text) == 1 and not text.isdecimal() else text, False)
                self.space = True
            return
        lines = text.replace("\r\n", "\n").replace("\xa0", " ").split("\n")
        if self.fresh:
            # The line break right after the tag is not part of what it holds.
            self.fresh = False
            if not lines[0] and len(lines) > 1:
                del lines[0]
        for number, line in enumerate(lines):
            if number:
                self.breaks = min(self.breaks + 1, MAX_BREAKS)
                self.space = False
            if bare := line.rstrip():
                self._write(bare, False)
            self.space = len(bare) < len(line)

    # ------------------------------------------------------------ tags

    def break_line(self, count: int) -> None:
        """A block begins or ends: at least `count` line breaks before what comes next."""
        if self.filler:
            # A block that holds only a no-break space is how editors write a blank line.
            self.filler = False
            self.breaks = min(self.breaks + 1, MAX_BREAKS)
        self.breaks = max(self.breaks, count)

    def spacing(self, tag: Tag) -> int:
        """Line breaks around a paragraph or a row."""
        if tag.name != "p":
            if self.prefix == "\t":
                self.prefix = ""
            self.row = self.length if tag.name == "tr" else -1
            self.row_lines = self.lines
            return 1
        # The end of a paragraph has the margin of its beginning.
        if not tag.closing:
            self.margin = tag.breaks
        return self.margin

    def foot(self) -> None:
        """What follows is plain text below the page."""
        self.break_line(2)
        self.pre += 1
        self.odd = True

    def tag(self, tag: Tag) -> None:
        """A tag that asks for more than breaks."""
        name = tag.name
        if tag.breaks:
            self.break_line(self.spacing(tag) if name in _ADJUSTED else tag.breaks)
        if name in VOID:
            self._void(tag)
            return
        if name in _CELLS:
            self.cell()
        elif name == "a" and tag.href:
            self.end_link()
            self.link, self.link_start = tag.href, len(self.out)
        if tag.mark or name in self.tracked or name in _OPENED or _is_odd(tag) or (tag.sized and self.shrunk):
            self._open(tag)

    def count(self, tag: Tag) -> None:
        """A tag that only matters because an open element of that name does."""
        name = tag.name
        inside = self.stack[-1].inside
        if not tag.closing:
            if name in IMPLIED and self.stack[-1].name == name:
                # It ends the one before it, where no end tag did.
                self._pop()
                if name not in self.tracked:
                    return
                inside = self.stack[-1].inside
            inside[name] = inside.get(name, 0) + 1
        elif left := inside.get(name):
            inside[name] = left - 1
        else:
            if name == "a":
                self.end_link()
            self._close(name)

    def _void(self, tag: Tag) -> None:
        name = tag.name
        if tag.hides:
            return
        if name == "br":
            self.filler = False
            self.breaks = min(self.breaks + 1, MAX_BREAKS)
        elif name == "hr":
            self.break_line(1)
            self.say("_" * 32)
            self.break_line(1)
        elif name == "img" and tag.alt:
            self.say(tag.alt)
        if tag.mark and not self.hidden:
            # What it says is of what follows it.
            kind, rule = tag.mark
            self.marks.append((self.length, self.length + MAX_BREAKS + 1, kind, self.level, rule))

    def cell(self) -> None:
        """A cell stands beside the one before it, unless that one took several lines."""
        if self.odd and (self.hidden or self.shrunk):
            return
        if self.prefix == "\t" or not self.length:
            return
        beside = not self.breaks
        if self.row >= 0:
            begun = self.lines - self.row_lines - (1 if self.row else 0)
            beside = begun <= 0 and self.row < self.length <= self.row + MAX_ROW
            if not beside and self.length > self.row:
                self.breaks = self.breaks or 1
        if beside:
            self.prefix = "\t"
            self.filler = self.space = False

    def _open(self, tag: Tag) -> None:
        name = tag.name
        if name in IMPLIED and self.stack and self.stack[-1].name == name:
            # It ends the one before it, where no end tag did.
            self._pop()
        entry = _Open(name, tag.mark, self.length, 0, tag, self.shrunk, 0, {})
        if tag.mark:
            if tag.mark[0] in _QUOTING:
                self.level += 1
            entry.level = self.level
        if name in ("ul", "ol"):
            self.lists += 1
            entry.count = 0 if tag.number is None else tag.number - 1
        elif name == "li":
            self._bullet(tag)
        if _is_odd(tag) or self.shrunk:
            self.hidden += tag.hides
            self.bullets += tag.bullet
            self.pre += tag.preformatted
            self.fresh = tag.preformatted and tag.breaks > 0
            self.shrunk = tag.shrinks or (self.shrunk and not tag.sized)
            self._judge()
        self.stack.append(entry)
        self.tracked[name] = self.tracked.get(name, 0) + 1

    def _judge(self) -> None:
        self.odd = bool(self.hidden or self.bullets or self.pre or self.shrunk)

    def _bullet(self, tag: Tag) -> None:
        if self.hidden or self.shrunk:
            return
        mark = "- "
        for entry in self.stack[:-9:-1]:
            if entry.name in ("ul", "ol"):
                entry.count = entry.count + 1 if tag.number is None else tag.number
                mark = _numbered(entry.count, entry.tag.numbering)
                break
        self.prefix = "  " * (min(self.lists, MAX_INDENT) - 1) + mark

    def _close(self, name: str) -> None:
        stack = self.stack
        if name in STOPS:
            # Everything that is open inside a block ends with it.
            while stack:
                entry = stack[-1]
                if left := entry.inside.get(name):
                    entry.inside[name] = left - 1
                    return
                if self._pop() == name:
                    return
            return
        for back in range(min(len(stack), FAR)):
            entry = stack[-1 - back]
            if left := entry.inside.get(name):
                entry.inside[name] = left - 1
            elif entry.name != name:
                if entry.name in STOPS:
                    return
                continue
            for _ in range(back if left else back + 1):
                self._pop()
            return

    def _pop(self) -> str:
        entry = self.stack.pop()
        name, tag = entry.name, entry.tag
        left = self.tracked[name] - 1
        if left:
            self.tracked[name] = left
        else:
            del self.tracked[name]
        if _is_odd(tag) or self.shrunk != entry.shrunk:
            self.hidden -= tag.hides
            self.bullets -= tag.bullet
            self.pre -= tag.preformatted
            self.shrunk = entry.shrunk
            self._judge()
        if name in ("ul", "ol"):
            self.lists -= 1
        elif name == "li" and self.prefix != "\t":
            self.prefix = ""
        if entry.mark:
            kind, rule = entry.mark
            if self.length > entry.start and entry.level <= MAX_LEVEL:
                self.marks.append((entry.start, self.length, kind, entry.level, rule))
            if kind in _QUOTING:
                self.level -= 1
        return name

    # ------------------------------------------------------------ links

    def end_link(self) -> None:
        """`text <target>`, only where the target says more than the text does."""
        target, start = self.link, self.link_start
        self.link = ""
        if not target or len(self.out) <= start or self.hidden or self.shrunk:
            return
        bare = target.removeprefix("http://").removeprefix("https://").removeprefix("www.").rstrip("/").lower()
        if bare and bare not in "".join(self.out[start:]).lower():
            self.out.append(f" <{target}>")
            self.length += len(target) + 3

    # ------------------------------------------------------------ the end

    def finish(self) -> tuple[str, tuple[Mark, ...]]:
        self.end_link()
        while self.stack:
            self._pop()
        text = "".join(self.out)
        marks = []
        for first, last, kind, level, rule in self.marks:
            start, end = first, min(last, len(text))
            while start < end and text[start] in _SPACES:
                start += 1
            if start < end:
                marks.append(Mark(start, end, kind, level, rule))
        if len(marks) > 1:
            marks.sort(key=lambda m: (m.start, -m.end))
        return text, tuple(marks)


_BREAKS = ("", *("\n" * n for n in range(1, MAX_BREAKS + 1)))
_ADJUSTED = frozenset(("p", "tr", "table"))
_CELLS = frozenset(("td", "th"))
_OPENED = frozenset(("ul", "ol", "li", "blockquote"))
_QUOTING = frozenset(("quote", "indent"))


def _is_odd(tag: Tag) -> bool:
    return tag.hides or tag.shrinks or tag.preformatted or tag.bullet


def readable(text: str) -> str:
    """Text without the characters that nobody sees."""
    if _DROPPED.search(text):
        text = _DROPPED.sub("", text)
    if not text.strip(_BLANK):
        return "\xa0" if "\xa0" in text else text and " "
    return text


_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


def _numbered(number: int, numbering: str) -> str:
    """The mark before an item: "3. ", "c. ", "iii. ", "- "."""
    if numbering in ("", "-"):
        return numbering and "- "
    written = str(number)
    if numbering in ("a", "A") and number > 0:
        letters: list[str] = []
        left = number
        while left:
            left, letter = divmod(left - 1, 26)
            letters.append(chr(97 + letter))
        written = "".join(reversed(letters))
    elif numbering in ("i", "I") and 0 < number < 4000:
        parts: list[str] = []
        left = number
        for value, letters_of in _ROMAN:
            count, left = divmod(left, value)
            parts.append(letters_of * count)
        written = "".join(parts)
    return (written.upper() if numbering in ("A", "I") else written) + ". "
