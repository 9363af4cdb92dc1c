"""Outlook's winmail.dat ([MS-OXTNEF]) -> the body and the files in it. Never raises, reads no byte twice.

Exchange packs what MIME has no word for into one attachment, and the files with it; other programs then show a winmail.dat
that nobody can open.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailloom.mail.charset import decode

SIGNATURE = b"\x78\x9f\x3e\x22"
MAX_ATTRIBUTES = 10_000
"""Attributes of a stream, and properties of one list: Outlook writes about forty, and some ten for each file."""

# [MS-OXTNEF] section 2.1.3.3: attribute ids.
_TITLE, _DATA, _PROPERTIES, _FILE_PROPERTIES, _RENDER, _BODY, _CODEPAGE = (
    0x00018010, 0x0006800F, 0x00069003, 0x00069005, 0x00069002, 0x0002800C, 0x00069007,
)  # fmt: skip
# [MS-OXPROPS]: property ids.
_PLAIN, _RTF, _HTML, _INTERNET_CODEPAGE, _MESSAGE_CODEPAGE = 0x1000, 0x1009, 0x1013, 0x3FDE, 0x3FFD
_DISPLAY_NAME, _ATTACH_DATA, _SHORT_NAME, _LONG_NAME, _MIME_TAG, _CONTENT_ID = (
    0x3001, 0x3701, 0x3704, 0x3707, 0x370E, 0x3712,
)  # fmt: skip
# [MS-OXCDATA] section 2.11.1: how long a value of a type is; 0 where each says it.
_SIZES = {
    0x02: 2, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 2, 0x14: 8, 0x40: 8, 0x48: 16,
    0x0D: 0, 0x1E: 0, 0x1F: 0, 0x102: 0,
}  # fmt: skip
_OBJECT, _UNICODE, _LONG = 0x0D, 0x1F, 0x03
_MESSAGE_INTERFACE = bytes.fromhex("0703020000000000c000000000000046")


@dataclass(slots=True)
class File:
    """A file inside; `message` where its content is a TNEF stream again, as an attached mail is one."""

    name: str = ""
    type: str = ""
    content_id: str = ""
    content: bytes = b""
    message: bool = False


@dataclass(slots=True)
class Tnef:
    """`text` and `html` are bytes in `charset` (`text_charset` for the text), `rtf` is compressed as in [MS-OXRTFCP]."""

    files: list[File] = field(default_factory=list)
    text: bytes = b""
    text_charset: str = ""
    html: bytes = b""
    rtf: bytes = b""
    charset: str = ""
    faults: list[str] = field(default_factory=list)


def tnef(data: bytes) -> Tnef:
    """What a stream holds. What is cut off gives what there is of it, and a fault."""
    found = Tnef()
    if not data.startswith(SIGNATURE):
        found.faults.append("no TNEF signature")
        return found
    at = 6
    for _ in range(MAX_ATTRIBUTES):
        if at + 9 > len(data):
            break
        attribute, length = _number(data, at + 1, 4), _number(data, at + 5, 4)
        start, end = at + 9, at + 9 + length
        if end > len(data):
            found.faults.append("cut off")
            end = len(data)
        _attribute(found, attribute, data[start:end])
        at = end + 2  # a checksum
    else:
        found.faults.append(f"the first {MAX_ATTRIBUTES} attributes")
    return found


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _attribute(found: Tnef, attribute: int, value: bytes) -> None:
    if attribute == _RENDER:
        found.files.append(File())
    elif attribute in (_TITLE, _DATA, _FILE_PROPERTIES):
        if not found.files:  # written by programs that leave the first attribute of a file out
            found.files.append(File())
        file = found.files[-1]
        if attribute == _TITLE:
            file.name = file.name or _string(value, found.charset)
        elif attribute == _DATA:
            file.content = file.content or value
        else:
            _file_properties(found, file, value)
    elif attribute == _BODY and not found.text:
        found.text, found.text_charset = value.rstrip(b"\0"), found.charset
    elif attribute == _CODEPAGE and not found.charset:
        found.charset = _charset(_number(value, 0, 4))
    elif attribute == _PROPERTIES:
        _message_properties(found, value)


def _message_properties(found: Tnef, value: bytes) -> None:
    for number, kind, content in _properties(value, found.faults):
        if number in (_INTERNET_CODEPAGE, _MESSAGE_CODEPAGE) and kind == _LONG:
            # Outlook converts HTML to the internet code page, and writes 8-bit strings in the message's.
            if number == _INTERNET_CODEPAGE or not found.charset:
                found.charset = _charset(_number(content, 0, 4)) or found.charset
        elif number == _PLAIN and content:
            wide = kind == _UNICODE
            found.text = content.removesuffix(b"\0\0") if wide else content.rstrip(b"\0")
            found.text_charset = "utf-16-le" if wide else found.charset
        elif number == _HTML and content:
            found.html = content.decode("utf-16-le", "replace").encode() if kind == _UNICODE else content
            found.charset = "utf-8" if kind == _UNICODE else found.charset
        elif number == _RTF:
            found.rtf = content


def _file_properties(found: Tnef, file: File, value: bytes) -> None:
    for number, kind, content in _properties(value, found.faults):
        if number == _ATTACH_DATA:
            file.message = kind == _OBJECT and content.startswith(_MESSAGE_INTERFACE)
            file.content = content[16:] if kind == _OBJECT else content
            continue
        text = content.decode("utf-16-le", "replace").rstrip("\0") if kind == _UNICODE else ""
        text = text or _string(content, found.charset)
        if number == _LONG_NAME:
            file.name = text
        elif number in (_SHORT_NAME, _DISPLAY_NAME):
            file.name = file.name or text
        elif number == _MIME_TAG:
            file.type = text.lower()
        elif number == _CONTENT_ID:
            file.content_id = text.strip("<> ")


def _properties(data: bytes, faults: list[str]) -> list[tuple[int, int, bytes]]:
    """(id, type, the first value) of each property of a list, [MS-OXTNEF] section 2.1.3.4; 0 as id for named ones."""
    out: list[tuple[int, int, bytes]] = []
    count, at = _number(data, 0, 4), 4
    for _ in range(min(count, MAX_ATTRIBUTES)):
        if at + 4 > len(data):
            break
        kind, number = _number(data, at, 2), _number(data, at + 2, 2)
        at += 4
        if number >= 0x8000:  # named: a set, and a number or a name
            length = _number(data, at + 20, 4)
            at += 24 + (length + (-length % 4) if _number(data, at + 16, 4) else 0)
            number = 0
        many, size = kind & 0x1000, _SIZES.get(kind & 0xEFFF)
        if size is None:
            faults.append(f"a property of type {kind:#x}")
            break
        values = 1
        if many or not size:
            values, at = _number(data, at, 4), at + 4
        first = b""
        for position in range(min(values, MAX_ATTRIBUTES)):
            if at >= len(data):
                break
            length = size
            if not size:
                length, at = _number(data, at, 4), at + 4
            if position == 0:
                first = data[at : at + length]
            at += length + (-length % 4)
        out.append((number, kind & 0xEFFF, first))
    return out


def _string(value: bytes, charset: str) -> str:
    return decode(value.rstrip(b"\0"), charset)[0]


def _charset(codepage: int) -> str:
    known = {65001: "utf-8", 20127: "us-ascii", 20866: "koi8-r", 21866: "koi8-u", 50220: "iso-2022-jp", 50221: "iso-2022-jp",
             51932: "euc-jp", 51949: "euc-kr", 54936: "gb18030", 52936: "hz-gb-2312"}  # fmt: skip
    if codepage in known:
        return known[codepage]
    if 28591 <= codepage <= 28606:
        return f"iso-8859-{codepage - 28590}"
    return f"cp{codepage}" if 0 < codepage < 1 << 16 else ""
