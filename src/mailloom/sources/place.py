"""The values of a walk over a source: what came, what was refused, what was left alone, and the limits that bound it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from mailloom.mail.model import Origin
from mailloom.ports import UserError

MB = 1 << 20

MAX_MAIL = 150 * MB
"""No provider takes mails above 150 MB (Exchange Online's ceiling); what is larger is a broken file or an attack."""
MAX_RATIO = 500
"""Deflate cannot pass 1032-fold and mailboxes stay below 50; a run of nearly equal notices reaches about 200."""
RATIO_FREE = 16 * MB
"""Below this a ratio proves nothing: a short mail of one repeated letter is no attack."""
CONTAINER_FREE = 1024 * MB
"""The same for an archive as a whole, whose members were each let off with RATIO_FREE."""
MAX_INFLATED = 64 * 1024 * MB
"""For one container: more than any mailbox an archive tool writes into a single file."""
MAX_DEPTH = 4
"""Layers of packing: a .tar.gz is two. A zip of .tar.gz of .eml.gz is four; beyond lie zips that contain themselves."""
MAX_SPOOL = 128 * MB
"""A zip's directory stands at its end, so one that can't be sought in must be held in memory."""
MAX_DIRECTORY = 64 * MB
"""A zip's directory is read at once: about 600,000 members."""
MAX_LOOK = 32 * MB
"""How much of an mbox that can't be read twice is held to see whether its writer quoted From_ lines."""
WHOLE = MB
"""Files up to this size are read in one go; larger messages are left to whoever works on them."""
CHUNK = MB
"""What an mbox is read by: about what a processor's cache holds."""

Variant = Literal["auto", "mboxo", "mboxrd", "mboxcl", "mboxcl2"]
RefusedKind = Literal[
    "not mail", "unreadable", "damaged", "too large", "bomb", "encrypted", "unsupported", "link", "too deep"
]


class SourceError(UserError):
    """The source as a whole can't be read; the message has its path and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to read. Sizes in bytes; `mbox` names the variant where the user knows it (mboxo, mboxrd: quoted; mboxcl2: not)."""

    mbox: Variant = "auto"
    max_mail: int = MAX_MAIL
    max_ratio: int = MAX_RATIO
    max_inflated: int = MAX_INFLATED
    max_depth: int = MAX_DEPTH
    max_spool: int = MAX_SPOOL
    max_look: int = MAX_LOOK
    chunk: int = CHUNK


@dataclass(frozen=True, slots=True)
class Item:
    """One mail. Either `raw` holds its bytes, or `file` names a plain file on disk to be read whole (see `load`).

    `upto` is what `known` may answer for this place to go on right after this mail: in a plain or compressed mbox the offset
    of the next From_ line in the decompressed bytes, in an archive a count of the bytes of all members up to here; 0 for a mail
    that is the whole file.
    """

    origin: Origin
    raw: bytes | None
    file: str | None = None
    upto: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """A place without a mail that can be had, and why. `kind` is countable, `reason` is for people.

    "not mail" are foreign files (a picture beside the mails): no mail was lost there, so the books need not count it as received.
    `raw` are the bytes of a mail that came incomplete.
    """

    origin: Origin
    kind: RefusedKind
    reason: str
    raw: bytes | None = None
    upto: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """A file on disk about to be read. `path` is its name within `source` as in Origin; `file` is where it is now, "" for what is
    no file (standard input, an object in S3).

    A Maildir message's `path` leaves out cur/new and the flags, which change without the mail changing.
    """

    source: str
    path: str
    file: str
    size: int
    mtime_ns: int
    kind: Literal["file", "maildir message"] = "file"
    folder: str = ""
    received_at: int | None = None
    labels: tuple[str, ...] = ()
    flags: str = ""

    def origin(self, length: int) -> Origin:
        """The Origin of a mail that is the whole file, `length` bytes."""
        return Origin(
            self.source,
            self.path,
            0,
            length,
            self.size,
            self.mtime_ns,
            self.received_at,
            self.folder,
            self.labels,
            self.flags,
        )


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that `known` said is in already: it was not opened."""

    place: Place


@dataclass(frozen=True, slots=True)
class Finished:
    """All of a file on disk was read: what `known` answers -1 for, as long as its size and mtime stay."""

    place: Place


Found: TypeAlias = Item | Refused | Unchanged | Finished
Known: TypeAlias = Callable[[Place], int | None]

_CONTROL = {n: f"\\x{n:02x}" for n in (*range(32), 127)}


def label(name: str | bytes) -> str:
    """A file's or member's name as text that can be stored and printed: what is no UTF-8 or a control character is escaped."""
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    if b"\\x" in raw:  # else a name that holds what looks like an escape would be that of another file
        raw = raw.replace(b"\\x", b"\\x5cx")
    return raw.decode("utf-8", "backslashreplace").translate(_CONTROL)


def fingerprint(place: Place, upto: int) -> bytes:
    """A hash of the file's first 4 KB and of the 4 KB before offset `upto`: equal for a file that only grew since.

    Raises OSError. A file shorter than `upto` has a hash of its own, so that it never equals.
    """
    if not place.file:  # an object: it never grows, and its time tells one from another
        return hashlib.blake2b(f"{place.size} {place.mtime_ns}".encode(), digest_size=16).digest()
    block = 4096
    digest = hashlib.blake2b(upto.to_bytes(8, "big"), digest_size=16)
    with open(place.file, "rb", buffering=0) as file:  # noqa: PTH123 - names may hold bytes that are no UTF-8
        digest.update(file.read(min(block, upto)))
        file.seek(max(0, upto - block))
        digest.update(file.read(min(block, upto)))
        digest.update(min(upto, file.tell()).to_bytes(8, "big"))
    return digest.digest()


def load(item: Item) -> Item | Refused:
    """The item with its bytes, read from `file` where they were left there."""
    if item.raw is not None or item.file is None:
        return item
    try:
        with open(item.file, "rb", buffering=0) as file:  # noqa: PTH123
            raw = file.readall()
    except OSError as error:
        return Refused(item.origin, "unreadable", why(error, item.file), upto=item.upto)
    return replace(item, raw=raw, origin=replace(item.origin, length=len(raw)))


def why(error: OSError, path: str) -> str:
    """An error of the operating system in words, with the path and what to do."""
    name = label(path)
    if isinstance(error, PermissionError):
        return f"permission denied: {name} (make it readable for this user, or run as its owner)"
    if isinstance(error, FileNotFoundError):
        return f"vanished while reading: {name} (run again if it came back)"
    return f"{error.strerror or type(error).__name__}: {name} (mend it, then run again)"
