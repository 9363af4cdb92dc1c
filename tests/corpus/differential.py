"""One mail as the standard library reads it (compat32) beside as this one does: what they disagree on, by cause.

A cause is tested for, so that a disagreement of another cause has none: "" is what must not be. docs/mime.md tells each.
"""

from __future__ import annotations

import email
import email.errors
import email.header
import email.policy
import re
import warnings
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple

from mailloom.mail import charset
from mailloom.mail.parse import message
from mailloom.mail.parts.mime import Mime, Part, scan

_TYPE = re.compile(r"[\w!#$&^.+\-]+/[\w!#$&^.+\-]+")
_C1 = re.compile("[\x80-\x9f]")


class Difference(NamedTuple):
    cause: str
    what: str
    theirs: object
    ours: object


def differences(raw: bytes) -> Iterator[Difference]:
    """Of parts (types and tree), of each leaf's bytes, text and name, and of subject and id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = email.message_from_bytes(raw)
        mime = scan(raw)
        yield from _structure(other, mime)
        yield from _fields(other, mime)


# ---------------------------------------------------------------- parts


def _tree(top: Message) -> list[tuple[int, Message]]:
    """Their parts in document order with the index of the parent; messages inside are leaves, as here."""
    out: list[tuple[int, Message]] = []
    work = [(-1, top)]
    while work:
        parent, part = work.pop()
        out.append((parent, part))
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            payload = part.get_payload()
            assert isinstance(payload, list)
            work += [(len(out) - 1, child) for child in reversed(payload)]
    return out


def _structure(other: Message, mime: Mime) -> Iterator[Difference]:
    theirs = _tree(other)
    parts = [part for part in mime.parts if not part.inside]
    for part in parts:
        mime.payload(part.index)  # for its problems
    their_shape = [(parent, part.get_content_type()) for parent, part in theirs]
    shape = [(part.parent, part.type) for part in parts]
    if their_shape != shape:
        yield Difference(_why_shape(theirs, mime), "parts", their_shape, shape)
    if [p for p, _ in their_shape] == [p for p, _ in shape]:
        for (_, their), part in zip(theirs, parts, strict=True):
            if not part.multipart and not their.is_multipart():
                yield from _leaf(their, part, mime)


def _kinds(mime: Mime, index: int = -1) -> set[str]:
    return {p.kind for p in mime.problems if index < 0 or p.where == f"part {index}"}


def _why_shape(theirs: list[tuple[int, Message]], mime: Mime) -> str:
    parts = [part for part in mime.parts if not part.inside]
    if [p for p, _ in theirs] == [p.parent for p in parts]:
        odd = [(t.get_content_type(), part) for (_, t), part in zip(theirs, parts, strict=True)]
        odd = [(theirs, part) for theirs, part in odd if theirs != part.type]
        if all(not _TYPE.fullmatch(theirs) for theirs, _ in odd):
            return "type that is none"
        if all(part.type == "text/plain" and "multipart without parts" in _kinds(mime, part.index) for _, part in odd):
            return "multipart without parts"
    if "lines in the header that are no fields" in _kinds(mime):
        return "stray line in a header"
    boundaries = [p.params.get("boundary", "") for p in parts if p.multipart]
    if len(set(boundaries)) < len(boundaries):
        return "one boundary on two levels"
    if any(part.end <= part.body_start for part in parts):
        return "empty part"
    return ""


def _lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").rstrip(b"\n")


def _leaf(their: Message, part: Part, mime: Mime) -> Iterator[Difference]:
    payload = their.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    ours = mime.payload(part.index)
    if _lines(data) != _lines(ours):
        yield Difference(_why_bytes(data, part, mime), f"{part.index} bytes", data, ours)
    elif part.type.startswith("text/") and not any(p.parent == part.index for p in mime.parts):
        label = str(their.get_content_charset("us-ascii"))
        try:
            text = data.decode(label)
        except (LookupError, UnicodeError, ValueError):
            text = None  # where they give up there is nothing to compare
        mine = mime.text(part.index)
        if text is not None and _folded(text) != _folded(mine):
            yield Difference(_why_text(data, label), f"{part.index} text", text, mine)
    name = their.get_filename("")
    if name != part.name:
        cause = "encoded word in a parameter" if "=?" in name else "raw 8-bit header" if "\ufffd" in name else ""
        cause = cause or ("stray line in a header" if "lines in the header that are no fields" in _kinds(mime) else "")
        yield Difference(cause, f"{part.index} name", name, part.name)


def _folded(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def _why_bytes(theirs: bytes, part: Part, mime: Mime) -> str:
    if "lines in the header that are no fields" in _kinds(mime, part.index):
        return "stray line in a header"
    if "not base64" in {p.detail for p in mime.problems if p.where == f"part {part.index}"}:
        return "text under base64"
    if part.encoding == "base64" and b"".join(theirs.split()) == b"".join(mime.raw[part.body_start : part.end].split()):
        return "base64 that was cut"
    return ""


def _why_text(data: bytes, label: str) -> str:
    if not data.isascii() and charset.decode(data, "utf-8") == (data.decode("utf-8", "replace"), ""):
        return "utf-8 under another label"
    if charset.codec(label) == "latin-1" and _C1.search(data.decode("latin-1")):
        return "windows-1252 labelled latin-1"
    return "two carriage returns" if b"\r\r\n" in data else ""


# ---------------------------------------------------------------- fields


def _fields(other: Message, mime: Mime) -> Iterator[Difference]:
    one = message(mime)
    odd = "stray line in a header" if "lines in the header that are no fields" in _kinds(mime, 0) else ""
    subject = other["Subject"]
    try:
        said = str(email.header.make_header(email.header.decode_header(str(subject)))) if subject is not None else ""
    except (LookupError, UnicodeError, ValueError, email.errors.HeaderParseError):
        said = None
    if said is not None and " ".join(said.split()) != " ".join(one.subject.split()):
        yield Difference(odd or _why_subject(said, one.subject, mime.head(0)), "subject", said, one.subject)
    stated = str(other["Message-ID"] or "").strip()
    found = re.search(r"<([^<>]+)>", stated)
    if (found[1] if found else stated) != one.message_id:
        blanks = "blanks in an id" if len(stated.split()) > 1 else ""
        yield Difference(odd or blanks, "message-id", stated, one.message_id)


def _why_subject(theirs: str, ours: str, head: bytes) -> str:
    if not head.isascii():
        return "raw 8-bit header"
    if _C1.search(theirs):
        return "windows-1252 labelled latin-1"
    plain = re.sub("[\x00-\x08\x0e-\x1f\x7f]", "", theirs)
    return "control characters" if " ".join(plain.split()) == " ".join(ours.split()) else ""


# ---------------------------------------------------------------- the same with policy.default


def modern_differences(raw: bytes) -> Iterator[Difference]:
    """Subject, names and the first body's text, as the library's newer interface has them. It raises on some mail."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = email.message_from_bytes(raw, policy=email.policy.default)
        subject = str(other["subject"] or "")
        names = [part.get_filename("") for part in other.walk() if not part.is_multipart()]
        main = other.get_body(("plain", "html"))
        text = str(main.get_content()) if main is not None else ""
    mime = scan(raw)
    one = message(mime)
    if " ".join(subject.split()) != " ".join(one.subject.split()):
        yield Difference(_why_modern(subject), "subject", subject, one.subject)
    mine = [p.name for p in mime.parts if not p.multipart and not p.inside and p.type != "message/rfc822"]
    if len(names) == len(mine) and names != mine:
        yield Difference("", "names", names, mine)
    kind = main.get_content_type() if main is not None else ""
    part = next((p for p in mime.parts if p.type == kind and p.type in ("text/plain", "text/html")), None)
    if part is None or any(p.parent == part.index for p in mime.parts):
        return
    ours = mime.text(part.index)
    if _folded(text) != _folded(ours):
        notes = {p.detail for p in mime.problems if p.kind == "charset"}
        cause = "utf-8 under another label" if any(note.startswith("utf-8 labelled") for note in notes) else ""
        cut = (
            "base64 that was cut"
            if part.encoding == "base64" and "cut off" in {p.detail for p in mime.problems}
            else ""
        )
        yield Difference(_why_modern(text) or cause or cut, "text", text, ours)


def _why_modern(theirs: str) -> str:
    if "\ufffd" in theirs:
        return "raw 8-bit"
    return "windows-1252 labelled latin-1" if _C1.search(theirs) else ""
