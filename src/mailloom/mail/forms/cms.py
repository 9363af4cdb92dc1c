"""What a Cryptographic Message Syntax value holds (RFC 5652, S/MIME RFC 8551), found by walking its DER or BER tags.

Only what lies open is read: the content of signed and of compressed data. Nothing is verified or decrypted.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

Kind = Literal["signed", "encrypted", "compressed", "other"]

_OIDS: dict[bytes, Kind] = {
    bytes.fromhex("2a864886f70d010702"): "signed",
    bytes.fromhex("2a864886f70d010703"): "encrypted",  # enveloped
    bytes.fromhex("2a864886f70d010706"): "encrypted",  # encrypted with a key agreed before
    bytes.fromhex("2a864886f70d0109100117"): "encrypted",  # authenticated and enveloped, RFC 5083
    bytes.fromhex("2a864886f70d0109100109"): "compressed",  # RFC 3274
}
MAX_CHUNKS = 1_000_000
"""Values looked at, and pieces of one long octet string: writers cut it into pieces of 1,000 bytes or more, so that this is a
gigabyte. It bounds the walk over what claims to be DER."""
MAX_INFLATED = 64 << 20
"""Bytes of compressed contents: as much as a mail may reasonably be. zlib makes 1,000 bytes of one."""

HEAD_BYTES = 4096
"""Enough to tell what a value is."""

_SEQUENCE, _OID, _OCTETS, _OCTET_PIECES, _EXPLICIT = 0x30, 0x06, 0x04, 0x24, 0xA0


@dataclass(frozen=True, slots=True)
class Content:
    """`inner` is the MIME entity that was signed or compressed, None where none lies open; `fault` says what was wrong."""

    kind: Kind
    inner: bytes | None
    fault: str = ""


class _Walk:
    """A place in BER bytes. Lengths reach to the end of the data at most; an indefinite one (X.690 section 8.1.3.6) is -1."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.steps = data, 0, 0

    def enter(self, *tags: int) -> int:
        """The length of the value that begins here, the place set to its content; -2 where it has another tag or none."""
        data, at = self.data, self.at
        if at + 2 > len(data) or data[at] not in tags:
            return -2
        length, at = data[at + 1], at + 2
        if length == 0x80:
            self.at = at
            return -1
        if length > 0x80:
            count = length & 0x7F
            if count > 8:
                return -2
            length, at = int.from_bytes(data[at : at + count], "big"), at + count
        self.at = at
        return min(length, len(data) - at)

    def skip(self) -> bool:
        """Past the value that begins here; False where there is none."""
        open_ended = 0
        data = self.data
        while self.at + 2 <= len(data) and self.steps < MAX_CHUNKS:
            self.steps += 1
            if open_ended and data[self.at] == 0 == data[self.at + 1]:
                self.at += 2
                open_ended -= 1
            else:
                length = self.enter(data[self.at])
                if length == -2:
                    return False
                if length == -1:
                    open_ended += 1
                else:
                    self.at += length
            if not open_ended:
                return True
        return False

    def oid(self) -> bytes:
        length = self.enter(_OID)
        if length < 0:
            return b""
        self.at += length
        return self.data[self.at - length : self.at]

    def octets(self) -> bytes | None:
        """An octet string, whole or in pieces inside pieces (X.690 section 8.7); cut off where the data is."""
        if self.data[self.at : self.at + 1] != bytes((_OCTET_PIECES,)):
            length = self.enter(_OCTETS)
            return self.data[self.at : self.at + length] if length >= 0 else None
        out: list[bytes] = []
        length = self.enter(_OCTET_PIECES)
        open_ended = int(length < 0)
        end = len(self.data) if length < 0 else self.at + length
        while self.at < end and self.steps < MAX_CHUNKS:
            self.steps += 1
            length = self.enter(_OCTET_PIECES)
            if length != -2:
                open_ended += length < 0
                continue
            if open_ended > 1 and self.data.startswith(b"\0\0", self.at):
                self.at += 2
                open_ended -= 1
                continue
            length = self.enter(_OCTETS)
            if length < 0:
                break
            out.append(self.data[self.at : self.at + length])
            self.at += length
        return b"".join(out)


def content(data: bytes, room: int = MAX_INFLATED) -> Content:
    """What a ContentInfo holds. Never raises; the content of a value that was cut off is what is left of it. Of a compressed one
    no more than `room` bytes are made.
    """
    walk = _Walk(data)
    if walk.enter(_SEQUENCE) == -2:
        return Content("other", None, "no ContentInfo")
    kind = _OIDS.get(walk.oid(), "other")
    if kind in ("encrypted", "other"):
        return Content(kind, None)
    if walk.enter(_EXPLICIT) == -2 or walk.enter(_SEQUENCE) == -2:
        return Content(kind, None, "no content")
    # Past the version, and the digest algorithms or the one of compression.
    if not walk.skip() or not walk.skip():
        return Content(kind, None, "no content")
    if walk.enter(_SEQUENCE) == -2 or not walk.oid() or walk.enter(_EXPLICIT) == -2:
        return Content(kind, None)  # only certificates, or a signature that lies beside its content
    inner = walk.octets()
    if inner is not None and kind == "compressed":
        return _inflated(inner, room)
    return Content(kind, inner, "" if inner is not None else "no content")


def _inflated(data: bytes, room: int) -> Content:
    if room < 1:
        return Content("compressed", None, "content not read")
    stream = zlib.decompressobj()
    try:
        inner = stream.decompress(data, room)
    except zlib.error:
        return Content("compressed", None, "not zlib")
    return Content("compressed", inner, "content cut" if stream.unconsumed_tail else "")
