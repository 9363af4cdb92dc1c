"""Parts and headers as bytes, built by hand: the standard library's builder takes longer than everything else together."""

from __future__ import annotations

from binascii import b2a_base64, b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import compress, crc32

Fields = tuple[tuple[str, str], ...]
"""Header fields in order, folded, without the last line end. Raw 8-bit bytes stand as surrogate escapes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A MIME part: its own Content- fields and its encoded body, which ends with a line end."""

    fields: Fields
    body: bytes


def block(fields: Fields) -> bytes:
    """A header block, without the blank line after it."""
    return "".join(f"{name}: {value}\n" for name, value in fields).encode("ascii", "surrogateescape")


def words(text: str, charset: str, wide: bool, room: int = 60) -> str:
    """Unstructured text as RFC 2047 words where it is not ASCII: base64 if `wide`, else Q. Folded for a name of usual length."""
    if text.isascii():
        return fold(text, room)
    step = 14 if wide else 24
    pieces = [text[at : at + step] for at in range(0, len(text), step)]
    return "\n ".join(base64_word(piece, charset) if wide else q_word(piece, charset) for piece in pieces)


def fold(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    at = text.rfind(" ", 1, room)
    return text if at < 0 else f"{text[:at]}\n{text[at:]}"


def base64_word(text: str, charset: str) -> str:
    return f"=?{charset}?B?{b2a_base64(text.encode(charset), newline=False).decode()}?="


Q_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/")


def q_word(text: str, charset: str) -> str:
    """RFC 2047 section 4.2, with the narrow alphabet that is safe in a phrase too."""
    coded = "".join(chr(b) if b in Q_PLAIN else "_" if b == 32 else f"={b:02X}" for b in text.encode(charset))
    return f"=?{charset}?Q?{coded}?="


def phrase(name: str, charset: str, wide: bool) -> str:
    """A display name (RFC 5322 section 3.2.5): as it is, quoted, or as encoded words."""
    if not name.isascii():
        return words(name, charset, wide)
    return f'"{name}"' if any(c in name for c in ',.;:()<>@[]"') else name


def parameter(name: str, value: str, style: str) -> str:
    """A parameter after "; ": plain where ASCII, else by RFC 2231 ("2231", long ones continued) or as an RFC 2047 word in
    quotes, which is wrong and what Outlook writes ("2047").
    """
    if value.isascii():
        return f'{name}="{value}"'
    if style == "2047":
        return f'{name}="{base64_word(value, "utf-8")}"'
    coded = "".join(chr(b) if (b in Q_PLAIN and b not in b"*") or b == 46 else f"%{b:02X}" for b in value.encode())
    if len(coded) <= 50:
        return f"{name}*=UTF-8''{coded}"
    pieces = [coded[at : at + 48] for at in range(0, len(coded), 48)]
    pieces[0] = f"UTF-8''{pieces[0]}"
    return ";\n\t".join(f"{name}*{n}*={piece}" for n, piece in enumerate(pieces))


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76, as RFC 2045 section 6.8 wants it."""
    coded = b2a_base64(data, newline=False)
    return b"".join([coded[at : at + 76] + b"\n" for at in range(0, len(coded), 76)])


def long_lines(data: bytes) -> bool:
    """Whether a line is longer than RFC 5322 section 2.1.1 allows."""
    if len(data) <= 990:
        return False
    return any(len(line) > 990 for line in data.split(b"\n"))


def text_part(kind: str, text: str, charset: str, encoding: str, extra: str = "") -> Part:
    """text/KIND in a charset that can say it. `encoding` is 7bit, 8bit, quoted-printable or base64, and gives way where it can't
    carry the text or need not be; `extra` are more parameters with their "; ".
    """
    data = text.encode(charset)
    if data.isascii() and encoding in ("8bit", "quoted-printable") and charset != "utf-8":
        encoding = "7bit"
    if encoding in ("7bit", "8bit") and long_lines(data):
        encoding = "quoted-printable"
    if encoding == "quoted-printable":
        body = b2a_qp(data, quotetabs=False, istext=True)
    elif encoding == "base64":
        body = base64_lines(data.replace(b"\n", b"\r\n"))
    else:
        body = data
    return Part(
        (("Content-Type", f'text/{kind}; charset="{charset}"{extra}'), ("Content-Transfer-Encoding", encoding)),
        body if body.endswith(b"\n") else body + b"\n",
    )


def attachment(name: str, kind: str, data: bytes, style: str) -> Part:
    """A part to be saved, in base64. `style` is parameter's."""
    return Part(
        (
            ("Content-Type", f"{kind};\n\t{parameter('name', name, style)}"),
            ("Content-Disposition", f"attachment;\n\t{parameter('filename', name, style)}"),
            ("Content-Transfer-Encoding", "base64"),
        ),
        base64_lines(data),
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + crc32(name + data).to_bytes(4, "big")


PICTURE = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", bytes((0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0))),
        chunk(b"IDAT", compress(b"\x00\x2f\x6f\x4f", 0)),
        chunk(b"IEND", b""),
    )
)
"""A PNG of one green pixel, not compressed: libraries differ in how they do that."""


def picture(content_id: str) -> Part:
    """An image that the html of the same multipart/related shows (RFC 2392)."""
    return Part(
        (
            ("Content-Type", 'image/png; name="image001.png"'),
            ("Content-Description", "image001.png"),
            ("Content-Disposition", 'inline; filename="image001.png"'),
            ("Content-ID", f"<{content_id}>"),
            ("Content-Transfer-Encoding", "base64"),
        ),
        base64_lines(PICTURE),
    )


def attached_mail(raw: bytes, name: str, as_file: bool) -> Part:
    """A mail inside a mail: message/rfc822, or (`as_file`) an .eml in base64, as web forms and some gateways make it."""
    if as_file:
        return attachment(f"{name}.eml", "application/octet-stream", raw, "2231")
    encoding = "7bit" if raw.isascii() else "8bit"
    return Part(
        (
            ("Content-Type", "message/rfc822"),
            ("Content-Disposition", f'attachment; filename="{name}.eml"'),
            ("Content-Transfer-Encoding", encoding),
        ),
        raw if raw.endswith(b"\n") else raw + b"\n",
    )


def multipart(kind: str, boundary: str, parts: Sequence[Part], extra: str = "", preamble: bytes = b"") -> Part:
    """multipart/KIND of the parts (RFC 2046 section 5.1). Each part's last line end stays before the boundary's own."""
    pieces = [preamble]
    for part in parts:
        pieces += (b"--", boundary.encode(), b"\n", block(part.fields), b"\n", part.body, b"\n")
    pieces += (b"--", boundary.encode(), b"--\n")
    return Part((("Content-Type", f'multipart/{kind};{extra}\n\tboundary="{boundary}"'),), b"".join(pieces))
