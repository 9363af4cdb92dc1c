"""OpenPGP text forms inside a text (RFC 9580 sections 6.2 and 7): what was signed is text, the signature is a file.

Nothing is verified and nothing decrypted. An encrypted block is a file too: nobody reads it as it stands.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from dataclasses import dataclass

_BEGIN = re.compile(rb"^-----BEGIN PGP (?P<kind>SIGNED MESSAGE|MESSAGE)-----[ \t]*+$", re.MULTILINE)
_SIGNATURE = re.compile(rb"^-----BEGIN PGP SIGNATURE-----[ \t]*+$", re.MULTILINE)
_END_SIGNATURE = re.compile(rb"^-----END PGP SIGNATURE-----[ \t]*+$", re.MULTILINE)
_END_MESSAGE = re.compile(rb"^-----END PGP MESSAGE-----[ \t]*+$", re.MULTILINE)
_ARMOUR_HEADER = re.compile(rb"(?:[A-Za-z][A-Za-z0-9\-]*+:[^\n]*+\n)*+[ \t]*+\n")
# RFC 9580 section 5: packets that hold, or lead to, something encrypted.
_ENCRYPTED_TAGS = frozenset((1, 3, 9, 18, 20))


@dataclass(frozen=True, slots=True)
class Armoured:
    """data[start:end] reads as `text`; what was taken out of it is `content`, of a type, with a name that says what it is."""

    start: int
    end: int
    text: bytes
    type: str
    name: str
    content: bytes


def armoured(data: bytes) -> list[Armoured]:
    """The signed and encrypted pieces of a text of LF lines, in order. Quoted ones ("> -----BEGIN") stay what they are: quotes."""
    found: list[Armoured] = []
    at = 0
    while begin := _BEGIN.search(data, at):
        one = _signed(data, begin) if begin["kind"] == b"SIGNED MESSAGE" else _encrypted(data, begin)
        at = one.end if one else begin.end()
        if one:
            found.append(one)
        elif begin["kind"] == b"MESSAGE":
            break  # no end line follows, so none follows a later one
    return found


def _signed(data: bytes, begin: re.Match[bytes]) -> Armoured | None:
    head = _ARMOUR_HEADER.match(data, begin.end() + 1)
    start = head.end() if head else begin.end() + 1
    signature = _SIGNATURE.search(data, start)
    if not signature:
        # The end was cut off, or a list's program ate it: the lines around the text are still none of it.
        return Armoured(begin.start(), len(data), _undashed(data[start:]), "", "", b"")
    end = _END_SIGNATURE.search(data, signature.end())
    stop = min(end.end() + 1, len(data)) if end else len(data)
    block = data[signature.start() : stop]
    text = _undashed(data[start : signature.start()])
    return Armoured(begin.start(), stop, text, "application/pgp-signature", "signature.asc", block)


def _undashed(text: bytes) -> bytes:
    """RFC 9580 section 7.2: "- " before a line that begins with a dash is no text."""
    if text.startswith(b"- "):
        text = text[2:]
    return text.replace(b"\n- ", b"\n")


def _encrypted(data: bytes, begin: re.Match[bytes]) -> Armoured | None:
    end = _END_MESSAGE.search(data, begin.end())
    if not end:
        return None
    stop = min(end.end() + 1, len(data))
    block = data[begin.start() : stop]
    kind = "application/pgp-encrypted" if _first_tag(data, begin.end() + 1) in _ENCRYPTED_TAGS else "application/pgp"
    return Armoured(begin.start(), stop, b"", kind, "message.asc", block)


def _first_tag(data: bytes, at: int) -> int:
    """The tag of the first OpenPGP packet (RFC 9580 section 4.2); 1 where it can't be read: most such blocks are encrypted."""
    head = _ARMOUR_HEADER.match(data, at)
    start = head.end() if head else at
    try:
        first = a2b_base64(data[start : start + 4])[0]
    except (BinasciiError, IndexError):
        return 1
    return first & 63 if first & 64 else first >> 2 & 15
