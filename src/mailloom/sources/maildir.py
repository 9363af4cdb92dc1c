"""Maildir (cr.yp.to/proto/maildir.html) and Maildir++ names: which mail, in which folder, with which flags."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection

BOXES = ("cur", "new")
"""Where messages are. tmp holds those still being written, which are not mail yet."""

# "!2," and ";2," are written where ":" can't be in a name.
_INFO = re.compile(r"[:;!]2,([A-Za-z]{0,64})\Z")
_TIME = re.compile(r"(\d{9,10})[._]")
_UTF7 = re.compile(r"&([A-Za-z0-9+,]*)-")
_EARLIEST = 631_152_000
"""1990: Maildir is of 1995; smaller numbers are counters."""


def is_maildir(folders: Collection[str]) -> bool:
    """Whether a folder with these subfolders is a Maildir."""
    return "cur" in folders and ("new" in folders or "tmp" in folders)


def read_name(name: str) -> tuple[str, str]:
    """A message file's (unique name, flags): "1700000000.M1P2.host,S=300:2,FS" -> ("1700000000.M1P2.host,S=300", "FS").

    The unique name stays when flags change or the mail moves from new to cur.
    """
    match = _INFO.search(name)
    return (name[: match.start()], match[1]) if match else (name, "")


def delivered_at(name: str) -> int | None:
    """The time of delivery in milliseconds that the name begins with, if it is plausible."""
    match = _TIME.match(name)
    return int(match[1]) * 1000 if match and int(match[1]) >= _EARLIEST else None


def folder_name(name: str) -> str:
    """The folder of a Maildir++ directory name: ".Sub.Folder" -> "Sub/Folder", modified UTF-7 (RFC 3501 section 5.1.3) read."""
    return _UTF7.sub(_wide, name[1:].replace(".", "/") if name.startswith(".") and len(name) > 1 else name)


def _wide(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    text = match[1].replace(",", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return match[0]
