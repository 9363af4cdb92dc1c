"""What lies inside a part that is no multipart: files in a text, Outlook's winmail.dat, opaque S/MIME.

Each becomes a part of its own, so that all that is done with parts is done with it. The part it was in stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mailloom.mail.charset import decode
from mailloom.mail.forms import armour, cms, rtf, uuencode
from mailloom.mail.forms.tnef import tnef

Form = Literal["", "uuencode", "yenc", "pgp", "smime", "tnef"]

TNEF_TYPES = frozenset(("application/ms-tnef", "application/vnd.ms-tnef"))
CMS_TYPES = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime"))
_UNNAMED = frozenset(("application/octet-stream", ""))


@dataclass(frozen=True, slots=True)
class Found:
    """One thing inside: a file, or where `readable` one form of the body that the part stands for."""

    form: Form
    type: str
    name: str
    content: bytes
    charset: str = ""
    content_id: str = ""
    readable: bool = False


@dataclass(slots=True)
class Inside:
    """What a part holds. `text` is what is left of a text part, None where nothing was taken out; `entity` is a whole MIME entity,
    of `inflated` bytes where it was compressed.
    """

    found: list[Found] = field(default_factory=list)
    text: bytes | None = None
    entity: bytes | None = None
    faults: list[tuple[str, str]] = field(default_factory=list)
    inflated: int = 0


def kind_of(type_: str, name: str) -> Literal["", "tnef", "cms"]:
    """Which of the two packings a part is, by its type, or by its name where the type says nothing."""
    if type_ in TNEF_TYPES:
        return "tnef"
    if type_ in CMS_TYPES:
        return "cms"
    if type_ in _UNNAMED and name:
        low = name.lower()
        return "tnef" if low == "winmail.dat" else "cms" if low.endswith(".p7m") else ""
    return ""


SIGNS = (b"begin", b"-----BEGIN PGP ")
"""What a text holds one of, where a file or armour is in it."""


def of_text(data: bytes) -> Inside | None:
    """Files and armour in a text; None where there is none, as in most."""
    uuencoded, signed = SIGNS
    if uuencoded not in data and signed not in data:
        return None
    if b"\r\n" in data:  # as base64 has kept it
        data = data.replace(b"\r\n", b"\n")
    if signed not in data:
        blocks = uuencode.blocks(data)
        return _without_blocks(Inside(), data, blocks) if blocks else None
    inside = Inside()
    pieces: list[bytes] = []
    at = 0
    for one in armour.armoured(data):
        pieces += (data[at : one.start], one.text)
        at = one.end
        if one.content:
            inside.found.append(Found("pgp", one.type, one.name, one.content))
        else:
            inside.faults.append(("pgp", "no signature"))
    if at:
        data = inside.text = b"".join((*pieces, data[at:]))
    blocks = uuencode.blocks(data) if uuencoded in data else []
    if blocks:
        return _without_blocks(inside, data, blocks)
    return inside if inside.text is not None else None


def _without_blocks(inside: Inside, data: bytes, blocks: list[uuencode.Block]) -> Inside:
    pieces, at = [], 0
    for one in blocks:
        pieces.append(data[at : one.start])
        at = one.end
        form: Form = "yenc" if one.form == "yenc" else "uuencode"
        inside.found.append(Found(form, "application/octet-stream", decode(one.name, "")[0], one.content))
        if one.fault:
            inside.faults.append((form, one.fault))
    inside.text = b"".join((*pieces, data[at:]))
    return inside


def of_tnef(data: bytes, *, alone: bool) -> Inside:
    """Files of a winmail.dat, and where the mail has no other text (`alone`) its body."""
    stream = tnef(data)
    inside = Inside(faults=[("tnef", fault) for fault in stream.faults])
    if alone:
        inside.found += _tnef_body(stream.text, stream.text_charset, stream.html, stream.charset)
        if not inside.found and stream.rtf:
            plain, fault = rtf.inflate(stream.rtf)
            text, kind = rtf.read(plain)
            if fault:
                inside.faults.append(("rtf", fault))
            if text.strip():
                type_ = "text/html" if kind == "html" else "text/plain"
                inside.found.append(Found("tnef", type_, "", text.encode("utf-8", "replace"), "utf-8", readable=True))
    for one in stream.files:
        if one.message:
            # A message in Outlook's own form: a stream like this one, which is read the same way.
            inside.found.append(Found("tnef", "application/ms-tnef", one.name, one.content))
        elif one.content or one.name:
            type_ = one.type if "/" in one.type else "application/octet-stream"
            inside.found.append(Found("tnef", type_, one.name, one.content, content_id=one.content_id))
    return inside


def _tnef_body(text: bytes, text_charset: str, html: bytes, html_charset: str) -> list[Found]:
    found = []
    if text.strip(b"\0\r\n\t "):
        found.append(Found("tnef", "text/plain", "", text, text_charset, readable=True))
    if html.strip(b"\0\r\n\t "):
        found.append(Found("tnef", "text/html", "", html, html_charset, readable=True))
    return found


def of_cms(data: bytes, room: int = cms.MAX_INFLATED) -> Inside:
    """The entity inside a signed or compressed S/MIME part; of a compressed one the first `room` bytes."""
    held = cms.content(data, room)
    faults = [("smime", held.fault)] if held.fault else []
    return Inside(entity=held.inner, faults=faults, inflated=len(held.inner or b"") if held.kind == "compressed" else 0)
