"""A tar (POSIX ustar and pax, GNU, v7) -> its members, forward only. Names are labels; nothing is written anywhere.

Read here rather than with tarfile, which keeps every member in memory and has been led astray by crafted headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mailloom.sources.place import MB
from mailloom.sources.stream import Fault, Stream

BLOCK = 512
MAX_EXTENSION = MB
"""A long name or a pax header is a few hundred bytes."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member; `data` is to be read before the next is asked for. `offset` is where it begins in the tar."""

    name: bytes
    kind: Literal["file", "link", "special", "sparse"]
    target: bytes
    size: int
    offset: int
    data: Stream


def members(stream: Stream) -> Iterator[Member]:
    """Each member that is no folder. Raises Fault at the first header that can't be read."""
    name: bytes | None = None
    size: int | None = None
    while True:
        block = stream.take(BLOCK)
        if len(block) < BLOCK or not block.strip(b"\0"):
            if stream.fault is not None:
                raise stream.fault
            if block.strip(b"\0"):
                raise Fault("damaged", f"tar: cut off after {stream.position:,} bytes")
            return
        offset = stream.position
        _verify(block, offset)
        type_ = block[156:157]
        length = _number(block[124:136], offset)
        if type_ in b"LKxgX":
            extension = _extension(stream, length)
            if type_ == b"L":
                name = extension.rstrip(b"\0")
            elif type_ in b"xX":
                name, size = _pax(extension, name, size)
            continue
        own_name = name if name is not None else _name(block)
        length = length if size is None else size
        name = size = None
        if type_ in b"23456":  # links, devices, folders and pipes have no data, whatever they say
            length = 0
        if type_ in b"5V" or own_name.endswith(b"/"):
            stream.skip(-(-length // BLOCK) * BLOCK)
            continue
        kind: Literal["file", "link", "special", "sparse"] = "file"
        if type_ in b"12":
            kind = "link"
        elif type_ in b"346":
            kind = "special"
        elif type_ == b"S":
            kind = "sparse"
        data = _limited(stream, length)
        yield Member(own_name, kind, block[157:257].rstrip(b"\0"), length, offset, data)
        if data.fault is not None:
            return
        left = offset + -(-length // BLOCK) * BLOCK - stream.position
        if stream.skip(left) < left - BLOCK + 1:  # the padding may be missing
            raise stream.fault or Fault("damaged", f"tar: cut off after {stream.position:,} bytes")


def _limited(stream: Stream, length: int) -> Stream:
    end = stream.position + length

    def pull(n: int) -> bytes:
        left = end - stream.position
        if left <= 0:
            return b""
        data = stream.read(min(n, left))
        if not data:
            raise stream.fault or Fault("damaged", f"tar: cut off after {stream.position:,} bytes")
        return data

    return Stream(pull, size=length)


def _verify(block: bytes, offset: int) -> None:
    stated = block[148:156].strip(b" \0")
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if not stated or not stated.isdigit() or int(stated, 10) < 0 or _octal(stated) != total:
        raise Fault("damaged", f"tar: no member where one should be, at byte {offset - BLOCK:,}")


def _octal(digits: bytes) -> int:
    try:
        return int(digits, 8)
    except ValueError:
        return -1


def _number(field: bytes, offset: int) -> int:
    if field[0] & 0x80:  # GNU: big-endian binary for sizes beyond 8 GB
        value = -1 if field[0] & 0x40 else int.from_bytes(field[1:], "big")
    else:
        digits = field.strip(b" \0")
        value = _octal(digits) if digits.isdigit() or not digits else -1
        value = 0 if not digits else value
    if value < 0 or value > 1 << 62:
        raise Fault("damaged", f"tar: a member's size can't be read, at byte {offset - BLOCK:,}")
    return value


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _extension(stream: Stream, length: int) -> bytes:
    if length > MAX_EXTENSION:
        raise Fault("damaged", f"tar: a name or header of {length:,} bytes, at byte {stream.position:,}")
    data = stream.take(-(-length // BLOCK) * BLOCK)
    if len(data) < length:
        raise stream.fault or Fault("damaged", f"tar: cut off after {stream.position:,} bytes")
    return data[:length]


def _pax(records: bytes, name: bytes | None, size: int | None) -> tuple[bytes | None, int | None]:
    """Path and size from records of "LENGTH KEY=VALUE" and a newline (POSIX pax); others don't matter to a reader of mail."""
    at = 0
    while at < len(records):
        digits, blank, _ = records[at : at + 12].partition(b" ")
        if not blank or not digits.isdigit() or int(digits) <= len(digits) + 1:
            break
        key, _, value = records[at + len(digits) + 1 : at + int(digits) - 1].partition(b"=")
        if key == b"path":
            name = value
        elif key == b"size" and value.isdigit() and len(value) < 20:
            size = int(value)
        at += int(digits)
    return name, size
