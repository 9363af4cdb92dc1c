"""Where the parts of a mail are: one pass over its bytes with an explicit stack, however deep or broken the boundaries.

A part is a handful of offsets and what its header says of it; nothing is decoded. No bytes raise: what is odd becomes a Problem,
and what a limit cuts is told by one. Attached messages are leaves here (their inside is a mail of its own: see parse.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mailloom.mail.forms.cms import MAX_INFLATED
from mailloom.mail.model import Problem
from mailloom.mail.parts import header


@dataclass(frozen=True, slots=True)
class Limits:
    """What one mail may ask for. Beyond it the rest is left unread and a Problem says where.

    depth: multiparts inside each other; real mail stays below ten, and every level costs each reader a frame of its own.
    parts: a digest of a busy list has some hundred; ten thousand are read in a tenth of a second.
    header_bytes: of one part's header block; mail servers stop at 100 KB to 256 KB (Postfix header_size_limit, Exchange).
    packings: S/MIME inside S/MIME, or a winmail.dat inside one; triple wrapping (RFC 2634 section 1.1) needs two.
    inflated: bytes that all compressed S/MIME parts together make; a bomb of a kilobyte is a megabyte, and a mail may have many.
    """

    depth: int = 100
    parts: int = 10_000
    header_bytes: int = 1 << 20
    packings: int = 5
    inflated: int = MAX_INFLATED


LIMITS = Limits()


@dataclass(slots=True)  # not frozen: the scanner learns last where a part ends, and nobody else changes one
class Part:
    """One node: a multipart or a leaf. Offsets count bytes of the raw mail: header block from `start`, body [body_start, end).

    `type` is lower case and defaulted (RFC 2045 section 5.2; message/rfc822 in a digest, RFC 2046 section 5.1.5); `params` are the
    Content-Type's. `disposition` is "attachment", "inline" or "" (unknown ones are attachments, RFC 2183 section 2.8). `name` is
    as the sender wrote it: `safe_name` makes one that may be saved.

    `inside` says how a part lay in its parent where that is no multipart ("uuencode", "yenc", "pgp", "smime", "tnef"): such
    parts come behind all others, and their offsets are those of the part they lay in.
    """

    index: int
    parent: int
    depth: int
    start: int
    body_start: int
    end: int
    type: str
    charset: str
    encoding: str
    disposition: str
    name: str
    content_id: str
    params: Mapping[str, str]
    inside: str = ""

    @property
    def multipart(self) -> bool:
        return self.type.startswith("multipart/")


# Fields (see header.py) up to the first line that is none; "--" begins a boundary even where a colon follows.
_BLOCK = re.compile(rb"(?:(?!--)[!-9;-~]++[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z))*+")
# Begins with a plain line break, which the engine can search for; a block is given one in front.
_CONTENT = re.compile(
    rb"\n[Cc](?i:ontent-(type|transfer-encoding|disposition|id))[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)"
)
_FROM_LINE = re.compile(rb">?From (?![ \t]*+:)[^\n]*+\n")
_BLANK = re.compile(rb"[ \t\r\n\0]++")
_EMPTY_LINE = re.compile(rb"\r*+\n")
# What a header block that stands behind blank lines begins with; anything else there is a body.
_KNOWN = re.compile(
    rb"(?:from|to|cc|subject|date|received|return-path|reply-to|sender|message-id|mime-version|delivered-to|content-[a-z\-]++"
    rb"|x-[a-z\-]++|dkim-signature|authentication-results|arc-[a-z\-]++|list-[a-z]++)[ \t]*+:",
    re.IGNORECASE,
)
_GUESSED_BOUNDARY = re.compile(
    rb"(?:^|\n)--([^\s\-][^\r\n]{0,199}?)[ \t]*\r?\n(?=content-[a-z\-]++:|\r?\n)", re.IGNORECASE
)
_TYPE = re.compile(r"([\w!#$&^.+\-*]+)/([\w!#$&^.+\-*']+)")
# Where a line in a header block is no field, reading goes on behind it this often; a body without its blank line ends it at once.
GARBAGE_LINES = 20
# Where to look for the boundary that a Content-Type forgot: a preamble fits, and a thousand such parts stay cheap.
GUESS_BYTES = 2048

_ENCODINGS = {
    "": "", "7bit": "", "7-bit": "", "8bit": "", "8-bit": "", "binary": "binary", "none": "", "plain": "",
    "quoted-printable": "quoted-printable", "quotedprintable": "quoted-printable", "quoted_printable": "quoted-printable",
    "base64": "base64", "base-64": "base64", "x-base64": "base64",
    "uuencode": "uuencode", "x-uuencode": "uuencode", "x-uue": "uuencode", "uue": "uuencode",
}  # fmt: skip


_KNOWN_ENCODINGS = frozenset(_ENCODINGS.values())
# Bytes of a part's header block up to which what it says is kept for the next mail.
KEPT_BLOCK = 300


def _beginning(view: bytes) -> int:
    """Where the header block starts: behind a byte order mark, an mbox From_ line, blank lines."""
    at = 3 if view.startswith(b"\xef\xbb\xbf") else 0
    blank = _BLANK.match(view, at)
    if blank and (_KNOWN.match(view, blank.end()) or _FROM_LINE.match(view, blank.end())):
        at = blank.end()
    line = _FROM_LINE.match(view, at)
    return line.end() if line else at


def _header_end(view: bytes, start: int) -> tuple[int, int, int]:
    """End of the header block, start of the body, and how many lines in the block are no fields.

    RFC 5322 section 2.1 wants a blank line between; where another line comes that is no field, it is a stray one if a field
    follows it, else the body has begun.
    """
    found = _BLOCK.match(view, start)
    end = found.end() if found else start
    garbage = 0
    while end > start and garbage < GARBAGE_LINES:
        if _EMPTY_LINE.match(view, end) or view.startswith(b"--", end):
            break
        following = view.find(b"\n", end) + 1
        found = _BLOCK.match(view, following) if following else None
        if not found or found.end() == following:
            break
        garbage += 1
        end = found.end()
    empty = _EMPTY_LINE.match(view, end)
    return end, empty.end() if empty else end, garbage


class _Content(NamedTuple):
    """What the Content- fields of a part say of it."""

    type: str
    encoding: str
    disposition: str
    name: str
    content_id: str
    params: Mapping[str, str]


def _content(block: bytes, in_digest: bool) -> _Content:
    kind = encoding = disposition = content_id = b""
    for name, value in _CONTENT.findall(b"\n" + block):
        which = len(name)  # the four names have four lengths
        if which == 4:
            kind = kind or value.strip()
        elif which == 17:
            encoding = encoding or value.strip()
        elif which == 11:
            disposition = disposition or value.strip()
        else:
            content_id = content_id or value.strip()
    main, params = header.params(kind) if kind else ("", header.NO_PARAMETERS)
    placed, placed_params = header.params(disposition) if disposition else ("", header.NO_PARAMETERS)
    ids = header.ids(header.unfolded(content_id)) if content_id else ()
    return _Content(
        type=_type(main, in_digest),
        encoding=_encoding(encoding) if encoding else "",
        disposition=_disposition(placed),
        name=placed_params.get("filename", "") or params.get("name", "") or placed_params.get("name", ""),
        content_id=ids[0] if ids else "",
        params=params,
    )


# Most parts inside say one of a few things: text in one of two forms, in one of three charsets and encodings.
_short_content = lru_cache(maxsize=256)(_content)


@dataclass(slots=True)
class _Open:
    """A part on the way down to the one being read. `boundary` is None for leaves and once the closing line was seen."""

    index: int
    boundary: bytes | None


class Scanner:
    """The state of one scan of a mail whose lines end in LF or CRLF: `run` gives the parts, `problems` what was odd.

    `stack` leads from the root to the part being read, `levels` finds a boundary's places in it.
    """

    def __init__(self, view: bytes, limits: Limits) -> None:
        self.view, self.limits = view, limits
        self.problems: list[Problem] = []
        self.stack: list[_Open] = []
        self.levels: dict[bytes, list[int]] = {}
        self.parts: list[Part] = []
        self.ends: list[int] = []
        self.parents: set[int] = set()
        self.closed: set[int] = set()

    def run(self) -> tuple[Part, ...]:
        self._enter(_beginning(self.view))
        if not self.parts[0].multipart:
            return tuple(self.parts)
        if self.levels:
            self._find_boundaries()
        for open_part in self.stack:
            self.ends[open_part.index] = len(self.view)
            if open_part.boundary is not None:
                self._note("no closing boundary", self.parts[open_part.index])
        for part in self.parts:
            self._finish(part)
        return tuple(self.parts)

    def _note(self, kind: str, part: Part, detail: str = "") -> None:
        self.problems.append(Problem(kind, f"part {part.index}", detail))

    def _find_boundaries(self) -> None:
        view, levels = self.view, self.levels
        at = self.parts[0].body_start - 1
        while levels:
            at = view.find(b"\n--", at)
            if at < 0:
                return
            line_end = view.find(b"\n", at + 1)
            line_end = len(view) if line_end < 0 else line_end
            line = view[at + 3 : line_end].rstrip(b" \t\r\0")
            places, closing = levels.get(line), False
            if not places and line.endswith(b"--"):
                places, closing = levels.get(line[:-2].rstrip()), True
            if not places:
                # RFC 2046 section 5.1.1: whatever stands behind a boundary on its line is to be ignored.
                word = (line.split(None, 1) or (b"",))[0] if b" " in line else b""
                places, closing = levels.get(word), False
                if not places and word.endswith(b"--"):
                    places, closing = levels.get(word[:-2]), True
            if not places:
                at = line_end
                continue
            self._leave(places[-1], at - 1 if view[at - 1 : at] == b"\r" else at)
            if closing:
                self._close()
                at = line_end
            elif len(self.parts) >= self.limits.parts:
                self._note("too many parts", self.parts[self.stack[-1].index], f"not read from byte {at}")
                return
            else:
                self._enter(min(line_end + 1, len(view)))
                at = self.parts[-1].body_start - 1

    def _leave(self, place: int, end: int) -> None:
        """End all parts inside the one at a place of the stack."""
        while len(self.stack) > place + 1:
            inner = self.stack.pop()
            # A header that runs into the boundary has taken the line break before it; what holds the part ends no earlier.
            end = max(end, self.parts[inner.index].body_start)
            self.ends[inner.index] = end
            if inner.boundary is not None:
                self._note("no closing boundary", self.parts[inner.index])
                self._forget(inner.boundary)

    def _close(self) -> None:
        """The closing line of the part on top of the stack: what follows is its epilogue (RFC 2046 section 5.1.1)."""
        part = self.stack[-1]
        self.closed.add(part.index)
        if part.boundary is not None:
            self._forget(part.boundary)
            part.boundary = None

    def _forget(self, boundary: bytes) -> None:
        places = self.levels[boundary]
        places.pop()
        if not places:
            del self.levels[boundary]

    def _enter(self, start: int) -> None:
        end, body_start, garbage = _header_end(self.view, start)
        parent = self.stack[-1].index if self.stack else -1
        part = self._described(start, body_start, parent)
        self.parts.append(part)
        self.ends.append(body_start)
        if parent >= 0:
            self.parents.add(parent)
        boundary = self._boundary(part) if part.multipart else None
        self.stack.append(_Open(part.index, boundary))
        if boundary is not None:
            self.levels.setdefault(boundary, []).append(len(self.stack) - 1)
        if garbage:
            self._note("lines in the header that are no fields", part, str(garbage))
        if end - start > self.limits.header_bytes:
            self._note("header too long", part, f"{end - start} bytes, read {self.limits.header_bytes}")

    def _described(self, start: int, body_start: int, parent: int) -> Part:
        block = self.view[start : min(body_start, start + self.limits.header_bytes)]
        in_digest = parent >= 0 and self.parts[parent].type == "multipart/digest"
        said = (_short_content if len(block) <= KEPT_BLOCK else _content)(block, in_digest)
        part = Part(
            index=len(self.parts),
            parent=parent,
            depth=self.parts[parent].depth + 1 if parent >= 0 else 0,
            start=start,
            body_start=body_start,
            end=len(self.view),
            type=said.type,
            charset=said.params.get("charset", ""),
            encoding=said.encoding,
            disposition=said.disposition,
            name=said.name,
            content_id=said.content_id,
            params=said.params,
        )
        if part.encoding not in _KNOWN_ENCODINGS:
            self._note("unknown transfer encoding", part, part.encoding[:40])
        return part

    def _boundary(self, part: Part) -> bytes | None:
        if part.depth >= self.limits.depth:
            self._note("nested too deep", part, f"{part.depth} multiparts")
            return None
        stated = part.params.get("boundary", "").encode("utf-8", "replace").rstrip()
        if stated:
            return stated
        guess = _GUESSED_BOUNDARY.search(self.view, max(part.body_start - 1, 0), part.body_start + GUESS_BYTES)
        self._note("multipart without a boundary", part)
        return guess.group(1) if guess else None

    def _finish(self, part: Part) -> None:
        if part.multipart and part.index not in self.parents:
            deep = part.depth >= self.limits.depth
            if not deep:
                self._note("multipart without parts", part)
            if part.index not in self.closed:
                # Nothing in it is a part: a cut mail, or a boundary that was rewritten. A reader shows the source.
                part.type = "application/octet-stream" if deep else "text/plain"
        part.end = self.ends[part.index]


def _type(main: str, in_digest: bool) -> str:
    """RFC 2045 section 5.2: text/plain where none or a broken one is stated; "text" alone is such a one."""
    if not main:
        return "message/rfc822" if in_digest else "text/plain"
    found = _TYPE.match(main)
    return found.group() if found else "text/plain"


def _encoding(value: bytes) -> str:
    written = header.unfolded(value).lower().split("(", 1)[0].split(";", 1)[0].strip(" \"'.:")
    return _ENCODINGS.get(written, written)


def _disposition(main: str) -> str:
    if not main or main == "inline" or "=" in main:
        return "inline" if main == "inline" else ""
    return "attachment"
