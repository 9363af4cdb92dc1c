"""Outlook's rich text -> HTML or plain text: LZFu undone ([MS-OXRTFCP]), and what it was made from got back ([MS-OXRTFEX]).

Only for mail whose body is nowhere else. Formatting is dropped; a reader gets paragraphs.
"""

from __future__ import annotations

import re

from mailloom.mail import charset

# [MS-OXRTFCP] section 3.1.1.1: what the dictionary begins with.
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbol"
    rb"ArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_WINDOW = 4096
MAX_DEPTH = 1000
"""Groups inside each other: Word writes some ten. Deeper ones are read as if they were closed."""


def inflate(data: bytes) -> tuple[bytes, str]:
    """The RTF, and what was wrong. At most nine bytes come of one: a reference of two bytes stands for seventeen."""
    if len(data) < 16:
        return b"", "cut off"
    kind = data[8:12]
    if kind == b"MELA":
        return data[16:], ""
    if kind != b"LZFu":
        return b"", "unknown compression"
    size = int.from_bytes(data[4:8], "little")
    out = bytearray(_DICTIONARY)
    base, at, end = len(_DICTIONARY), 16, len(data)
    while at < end:
        flags = data[at]
        at += 1
        for bit in range(8):
            if at >= end:
                break
            if not flags >> bit & 1:
                out.append(data[at])
                at += 1
                continue
            if at + 1 >= end:
                return bytes(out[base:]), "cut off"
            place, length = data[at] << 4 | data[at + 1] >> 4, (data[at + 1] & 15) + 2
            at += 2
            now = len(out)
            back = (now - place) % _WINDOW
            if back == 0:  # a reference to the place where the next byte goes is the end
                text = bytes(out[base:])
                return text, "" if len(text) == size else "length differs"
            if back > now:
                return bytes(out[base:]), "broken reference"
            for _ in range(length):
                out.append(out[-back])
    return bytes(out[base:]), "no end"


_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\"
)
_SKIPPED = frozenset(
    b"fonttbl colortbl stylesheet info pict object header footer headerl headerr footerl footerr listtable listoverridetable "
    b"rsidtbl generator themedata colorschememapping datastore latentstyles xmlnstbl mmathPr fldinst bkmkstart bkmkend".split()
)
_SPECIAL = {
    b"par": "\n", b"line": "\n", b"sect": "\n", b"page": "\n", b"tab": "\t", b"cell": "\t", b"row": "\n", b"emdash": "\u2014",
    b"endash": "\u2013", b"lquote": "\u2018", b"rquote": "\u2019", b"ldblquote": "\u201c", b"rdblquote": "\u201d",
    b"bullet": "\u2022", b"emspace": "\u2003", b"enspace": "\u2002",
}  # fmt: skip


class _Reader:
    """The state of one reading. A group's settings are put on a stack and taken back at its end."""

    def __init__(self, page: bool) -> None:
        self.page = page  # the RTF was made of HTML, which stands in its htmltag groups
        self.out: list[str] = []
        self.raw = bytearray()  # \'hh bytes in a row: a character may be two of them
        self.codepage = "cp1252"
        self.stack: list[tuple[bool, bool, bool, int]] = []
        self.silent = self.tag = self.shadow = False
        self.fallback, self.pending = 1, 0  # characters behind \u for readers that don't know it
        self.starred = self.opened = False
        self.low = ""  # the first half of a character beyond the first 65,536

    def flush(self) -> None:
        if self.raw:
            text = charset.decode(bytes(self.raw), self.codepage)[0]
            self.raw.clear()
            self.out.append(text)

    def say(self, text: str) -> None:
        if self.silent or self.shadow:
            return
        if self.raw:
            self.flush()
        self.out.append(text)

    def letters(self, data: bytes) -> None:
        if self.pending:
            taken = min(self.pending, len(data))
            self.pending -= taken
            data = data[taken:]
        if data and not self.silent and not self.shadow:
            self.raw += data

    def group(self, opening: bool) -> None:
        self.flush()
        self.pending = 0
        if opening:
            if len(self.stack) < MAX_DEPTH:
                self.stack.append((self.silent, self.tag, self.shadow, self.fallback))
            self.opened = True
        elif self.stack:
            self.silent, self.tag, self.shadow, self.fallback = self.stack.pop()

    def word(self, name: bytes, number: int | None) -> None:
        if name == b"htmltag" and self.starred:
            self.silent, self.tag, self.shadow = not self.page, True, False
        elif self.starred or (name in _SKIPPED and self.opened):
            self.silent = True
        elif name == b"htmlrtf":
            # What stands between is the RTF of a tag: only for readers that don't know HTML.
            self.flush()
            self.shadow = self.page and number != 0
        elif name == b"ansicpg" and number:
            self.codepage = f"cp{number}"
        elif name == b"uc":
            self.fallback = max(0, min(number or 0, 100))
        elif name == b"u" and number is not None:
            self.unicode(number & 0xFFFF)
        elif name in _SPECIAL and not self.pending:
            self.say(_SPECIAL[name])

    def unicode(self, code: int) -> None:
        self.pending = self.fallback
        if 0xD800 <= code < 0xDC00:
            self.low = chr(code)
            return
        if 0xDC00 <= code < 0xE000:
            text = (self.low + chr(code)).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        else:
            text = chr(code)
        self.low = ""
        self.say(text)


def read(rtf: bytes) -> tuple[str, str]:
    """(text, "html" or "plain"): the HTML that the RTF was made of, else its text."""
    page = b"\\fromhtml" in rtf[:1000]
    reader = _Reader(page)
    for token in _TOKEN.finditer(rtf):
        name, number, code, symbol, brace, text = token.groups()
        if brace is not None:
            reader.group(brace == b"{")
            continue
        if name is not None:
            reader.word(name, int(number) if number is not None else None)
        elif code is not None:
            reader.letters(bytes.fromhex(code.decode("ascii")))
        elif symbol == b"*":
            reader.starred = True
            continue
        elif symbol is not None:
            reader.say({b"~": "\xa0", b"_": "\u2011", b"-": "\xad", b"\n": "\n", b"\r": "\n"}.get(symbol, ""))
            if symbol in b"\\{}":
                reader.letters(symbol)
        elif text is not None:
            reader.letters(text)
        reader.starred = reader.opened = False
    reader.flush()
    return "".join(reader.out).replace("\0", ""), "html" if page else "plain"
