"""Files that stand inside a text: uuencoded blocks (POSIX uuencode), their base64 form, and yEnc (yenc.org draft 1.3).

Before MIME, and on the way from news to mail until today, this is how a file went along. A reader's program shows a file, not
the letters. A block is believed only where its first line decodes, as "begin 600 yards behind" is prose.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_uu, crc32
from dataclasses import dataclass

_BEGIN = re.compile(
    rb"^(?:begin(?P<base64>-base64)? [0-7]{3,4}(?P<uu> [^\n]{0,255})?|=ybegin (?P<yenc>[^\n]{1,500}))$", re.MULTILINE
)
# The letters of uuencode; none is a small one, which tells a line of it from prose.
_UU_LINE = re.compile(rb"[ -`]{1,90}")
_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{2,998}={0,2}")
_YENC_FIELD = re.compile(rb"(part|size|begin|end|pcrc32|crc32)=([0-9A-Fa-f]{1,20})")
_YENC = bytes((value - 42) % 256 for value in range(256))
_YENC_ESCAPED = bytes((value - 106) % 256 for value in range(256))


@dataclass(frozen=True, slots=True)
class Block:
    """data[start:end] is a file in text form: its name as written, its bytes, and what was wrong with it ("" for nothing)."""

    start: int
    end: int
    name: bytes
    content: bytes
    form: str
    fault: str


def blocks(data: bytes) -> list[Block]:
    """The files in a text of LF lines, in order. Linear: what was looked at once isn't looked at again."""
    found: list[Block] = []
    at = 0
    while match := _BEGIN.search(data, at):
        if match["yenc"] is not None:
            block = _yenc(data, match)
        elif match["base64"] is not None:
            block = _base64(data, match)
        else:
            block = _uu(data, match)
        at = block.end if block else match.end()
        if block:
            found.append(block)
    return found


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    """The line at a place without its end, and where the next begins: behind the data where it is the last."""
    stop = data.find(b"\n", at)
    stop = len(data) if stop < 0 else stop
    return data[at:stop], stop + 1


def _uu(data: bytes, begin: re.Match[bytes]) -> Block | None:
    out: list[bytes] = []
    at, fault = begin.end() + 1, "no end line"
    while at < len(data):
        line, below = _line(data, at)
        if line.rstrip() == b"end":
            at, fault = below, ""
            break
        decoded = uu_line(line) if line else b""
        if decoded is None:
            break
        out.append(decoded)
        at = below
    if not any(out) and fault:
        return None
    return Block(begin.start(), min(at, len(data)), (begin["uu"] or b"").strip(), b"".join(out), "uuencode", fault)


def uu_line(line: bytes) -> bytes | None:
    """One line's bytes, None where it isn't one. Blanks at its end may be gone, and some encoders add a letter or two."""
    if not _UU_LINE.fullmatch(line):
        return None
    letters = ((line[0] - 32 & 63) + 2) // 3 * 4
    if len(line) - 1 > letters + 2:
        return None
    try:
        return a2b_uu(line[: letters + 1].ljust(letters + 1))
    except BinasciiError:
        return None


def _base64(data: bytes, begin: re.Match[bytes]) -> Block | None:
    out: list[bytes] = []
    at, fault = begin.end() + 1, "no end line"
    while at < len(data):
        line, below = _line(data, at)
        line = line.rstrip()
        if line == b"====":
            at, fault = below, ""
            break
        if not _BASE64_LINE.fullmatch(line):
            break
        out.append(line.rstrip(b"="))
        at = below
    letters = b"".join(out)
    if not letters:
        return None
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    content = a2b_base64(letters + b"=" * (-len(letters) % 4))
    return Block(begin.start(), min(at, len(data)), (begin["uu"] or b"").strip(), content, "uuencode", fault)


def _yenc(data: bytes, begin: re.Match[bytes]) -> Block | None:
    stated, named, name = begin["yenc"].partition(b"name=")
    if not named or b"line=" not in stated:
        return None
    fields = dict(_YENC_FIELD.findall(stated))
    at = begin.end() + 1
    if data.startswith(b"=ypart ", at):
        at = _line(data, at)[1]
    end = data.find(b"\n=yend ", at - 1)
    if end < 0:
        coded, tail, after = data[at:], {}, len(data)
    else:
        after = min(_line(data, end + 1)[1], len(data))
        coded, tail = data[at:end], dict(_YENC_FIELD.findall(data[end + 1 : after]))
    content = _unyenc(coded)
    size = tail.get(b"size", fields.get(b"size", b""))
    check = tail.get(b"pcrc32", b"" if b"part" in fields else tail.get(b"crc32", b""))
    fault = "" if end >= 0 else "no end line"
    if not fault and size.isdigit() and int(size) != len(content):
        fault = f"{int(size)} bytes promised, {len(content)} found"
    elif not fault and check and int(check, 16) != crc32(content):
        fault = "checksum differs"
    return Block(begin.start(), after, name.strip().strip(b'"'), content, "yenc", fault)


def _unyenc(coded: bytes) -> bytes:
    """Each byte less 42; after "=" less 106. Line ends are none of the file."""
    coded = coded.translate(None, b"\r\n")
    first, *rest = coded.split(b"=")
    # An escaped "=" would leave an empty piece: the escape of it is "=}", so an empty piece is a stray "=".
    pieces = [first.translate(_YENC)]
    pieces += [piece[:1].translate(_YENC_ESCAPED) + piece[1:].translate(_YENC) for piece in rest]
    return b"".join(pieces)
