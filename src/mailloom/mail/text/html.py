"""HTML -> the text a person read, and marks where the client that wrote it says "this is quoted".

One pass over the tags with an explicit stack, no tree: mail HTML is broken in every way, and a reader needs only blocks,
links, lists, and what was hidden. Work and memory are linear in the size of the input, whatever is inside: comments and
scripts are found by two searches each, a tag's attributes are read once for each different spelling of the tag.
What an element means is told by mail/text/tags.py and mail/text/marks.py, how the text is written by mail/text/page.py.

White text on white is text: whether it is seen is told by the style of everything around it, and a guess would lose words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mailloom.mail.text.marks import Mark
from mailloom.mail.text.page import MAX_BREAKS, MAX_LEVEL, Page
from mailloom.mail.text.tags import BLOCK, BOGUS, BREAK, CELL, LINK, MAX_KNOWN, MORE, VOID, Tag, known_tag, read_tag

__all__ = ["MAX_BREAKS", "MAX_LEVEL", "HtmlText", "Mark", "text_of"]

MAX_CARRY = 4096
"""Pieces that may be looked through, in a whole mail, for the end of an attribute that holds "<": real mail has a handful."""
_TAG = re.compile(r"/?[A-Za-z]")
MAX_FOOT = 20
"""Pieces below the end of a page that may be plain text with addresses in brackets."""
_FOLDED = frozenset((" ", "\n", "\r\n", "\n ", "\n  ", "\r\n ", "\r\n  ", "  ", "\n\n", "\r\n\r\n", "\t", "\n\t"))
"""The white space between tags that is most of all text pieces."""


@dataclass(frozen=True, slots=True)
class HtmlText:
    text: str
    marks: tuple[Mark, ...]


def text_of(html: str) -> HtmlText:
    """The text of a page as a reader saw it, and the marks in it in order of their start. Never raises."""
    # Split at "<" by C code: a tag is what stands before the ">" of a piece, and most are spelled like one seen before.
    page = Page()
    plain = plain_ends(html)
    read(without(plain, unseen(plain)).split("<"), page, page.say)
    return HtmlText(*page.finish())


def plain_ends(html: str) -> str:
    """Line ends as line feeds, and no NUL (HTML standard, 13.2.3.5 and 13.2.5.1)."""
    if "\r" in html:
        html = html.replace("\r\n", "\n").replace("\r", "\n")
    return html.replace("\0", "")


def read(pieces: list[str], page: Page, say: Callable[[str], None]) -> None:
    """Tell a page what stands in a text that was split at "<". Whenever something is said, it is the last thing in the piece
    before `page.at`.
    """
    page.at = 1
    if pieces[0]:
        say(pieces[0])
    tags = _Tags(pieces)
    seen, tracked = tags.seen, page.tracked
    # Most pieces hold nothing behind the tag, or white space, and come again: they are known as they are.
    known: dict[str, Tag] = {}
    at, foot = 1, _foot(pieces)
    for last in (foot, len(pieces)) if foot else (len(pieces),):
        while at < last:
            piece = pieces[at]
            at += 1
            tag = known.get(piece)
            if tag is not None:
                text = ""
            else:
                raw, _, text = piece.partition(">")
                tag = seen.get(raw)
                if tag is None:
                    tag, text, at = tags.unseen(raw, text, at)
                    if tag.shrinks:
                        known.clear()
                if tag.open_quote or not tag.name or (not text and piece[-1] != ">"):
                    piece = ">"
                elif not text or text in _FOLDED:
                    known[piece] = tag
                    text = ""
            does = tag.does
            if does == MORE:
                page.tag(tag)
            else:
                if tracked and tag.name in tracked:
                    page.count(tag)
                if does == BLOCK:
                    if page.filler:
                        page.break_line(1)
                    elif not page.breaks:
                        page.breaks = 1
                elif does == BREAK:
                    page.filler = False
                    if page.breaks < MAX_BREAKS:
                        page.breaks += 1
                elif does == LINK:
                    if page.link:
                        page.end_link()
                elif does == CELL:
                    page.cell()
                elif does:
                    page.break_line(page.spacing(tag))
            if text:
                page.at = at
                say(text)
            elif piece[-1] != ">":
                if page.odd:
                    page.at = at
                    say(piece.partition(">")[2])
                else:
                    page.space = True
        if last == foot:
            page.foot()


def _foot(pieces: list[str]) -> int:
    """The piece that ends the page, where nothing but plain text stands below it: Mailman puts a list's footer behind a mail that is
    one HTML part as it would behind a plain one, so that its line breaks count. 0 if there is none.
    """
    for at in range(len(pieces) - 1, max(0, len(pieces) - 1 - MAX_FOOT), -1):
        piece = pieces[at]
        if piece[:5].lower() == "/html":
            return at if "\n" in piece.strip() or at + 1 < len(pieces) else 0
        if "@" not in piece.partition(">")[0] and _TAG.match(piece):
            return 0
    return 0


@dataclass(slots=True)
class _Tags:
    """Reads tags that were not seen before in a page."""

    pieces: list[str]
    seen: dict[str, Tag] = field(default_factory=dict)
    carry: int = MAX_CARRY
    careful: bool = False

    def unseen(self, raw: str, text: str, at: int) -> tuple[Tag, str, int]:
        """(tag, text after it, piece after that) of what stands before the first ">" of a piece, and behind that."""
        tag = known_tag(raw) if len(raw) <= MAX_KNOWN else read_tag(raw)
        if not tag.name:
            return tag, text if raw[:1] in BOGUS else "<" + self.pieces[at - 1], at
        if tag.open_quote and self.carry:
            quote = tag.open_quote
            end = at - 1 if quote in text else _quote_end(self.pieces, at, quote, self.carry)
            self.carry -= abs(end) - at + 1
            if end > 0:
                raw, text = _rejoined(self.pieces, at - 1, end, quote, len(raw))
                at = end + 1
                tag = read_tag(raw)
        if tag.shrinks and not self.careful:
            # From now on it matters which elements state a size.
            self.careful = True
            self.seen.clear()
        if self.careful and tag.name not in VOID and (tag.sized or (tag.name == "font" and "size" in raw.lower())):
            tag = replace(tag, does=MORE, sized=True)
        self.seen[raw] = tag
        return tag, text, at


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

# The first letters are looked at alone, as most tags end there.
_UNSEEN = re.compile(
    r"<(?=[!stxinSTXIN])(?:!--|(style|script|title|xml|template|svg|iframe|noframes|noembed)(?=[\s>/]))", re.IGNORECASE
)


def unseen(html: str) -> list[tuple[int, int]]:
    """Where comments and the elements whose content is not text stand. One that does not end hides nothing: mail is cut short
    more often than it hides things, and losing the rest without a word is worse.
    """
    spans: list[tuple[int, int]] = []
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
        spans.append((start, end))
        found = _UNSEEN.search(html, end)
    return spans


def without(html: str, spans: list[tuple[int, int]]) -> str:
    """The rest of a text in which these spans lie, in order."""
    if not spans:
        return html
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), len(html)]
    return "".join([html[end:start] for end, start in zip(ends, starts, strict=True)])


_CLOSING = {
    name: re.compile(rf"</{name}[^>]{{0,100}}>", re.IGNORECASE)
    for name in ("style", "script", "title", "xml", "template", "svg", "iframe", "noframes", "noembed")
}
