"""Attachments to files. A name in a mail is a stranger's: it is made safe, never overwrites, never leaves the folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mailloom.mail.model import Attachment, Message
from mailloom.mail.parse import parse
from mailloom.mail.parts.mime import Mime, safe_name, scan

MAX_SAME = 10_000  # files of one name in a folder; who has more wants another folder


class Saved(NamedTuple):
    """A file written: the attachment, the path of the message that carried it ("" for the mail itself), where it is now."""

    attachment: Attachment
    carrier: str
    path: Path


def save(raw: bytes, folder: Path) -> Iterator[Saved]:
    """Write the attachments of a mail, and of the messages attached to it, into a folder that is made where it is absent.

    Raises OSError where the folder can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    message = parse(raw)
    carriers: dict[str, Mime] = {"": scan(raw)}
    for carrier, one in _attachments(message):
        mime = _carrier(carriers, message, carrier)
        yield Saved(one, carrier, _write(folder, safe_name(one.name or _nameless(one)), mime.payload(one.part)))


def _attachments(message: Message) -> Iterator[tuple[str, Attachment]]:
    yield from (("", one) for one in message.attachments)
    for nested in message.nested:
        yield from ((nested.path, one) for one in nested.attachments)


def _carrier(carriers: dict[str, Mime], message: Message, path: str) -> Mime:
    """The structure of the attached message at a path, each read once out of the one around it."""
    steps = path.split(".") if path else []
    parts = {nested.path: nested.part for nested in message.nested}
    for end in range(1, len(steps) + 1):
        here, above = ".".join(steps[:end]), ".".join(steps[: end - 1])
        if here not in carriers:
            carriers[here] = scan(carriers[above].payload(parts[here]))
    return carriers[path]


def _nameless(one: Attachment) -> str:
    suffix = {"message/rfc822": ".eml", "text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics", "image/png": ".png",
              "image/jpeg": ".jpg", "image/gif": ".gif", "application/pdf": ".pdf"}.get(one.type, ".bin")  # fmt: skip
    return f"part-{one.part}{suffix}"


def _write(folder: Path, name: str, data: bytes) -> Path:
    """O_EXCL takes no file that is there, nor a link, even one that appears between look and write."""
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    for number in range(1, MAX_SAME):
        path = folder / (name if number == 1 else f"{stem} ({number}){dot}{suffix}")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        return path
    raise FileExistsError(17, f"{MAX_SAME:,} files of that name are there already", str(folder / name))
