"""What a file is, by its first bytes. The name is a hint only, with one exception: a .eml is a message however broken it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from mailloom.sources import fromline

Kind = Literal["message", "mbox", "emlx", "gzip", "zstd", "bzip2", "xz", "zip", "tar", "foreign"]

HEAD = 8192
"""So many bytes are enough to tell."""
ENOUGH = 3
"""After so many fields that only mails have the rest need not be looked at."""

_PACKED: tuple[tuple[bytes, Kind], ...] = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "PDF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"SQLite format 3", "SQLite"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an OLE file (Outlook .msg or old Office); export it as .eml"),
    (b"!BDN", "an Outlook PST; export it as .eml or mbox"),
    (b"\x78\x9f\x3e\x22", "TNEF (winmail.dat)"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip; unpack it first"),
    (b"Rar!", "RAR; unpack it first"),
    (b"PAR1", "Parquet"),
    (b"RIFF", "RIFF media"),
    (b"OggS", "Ogg"),
    (b"ID3", "MP3"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"{\\rtf", "RTF"),
    (b"#!", "a script"),
    (b"<?xml", "XML"),
    (b"<!--", "HTML"),
    (b"// <!-- <mdb", "a Mork index"),
)
_PACKED_MAGIC = tuple(magic for magic, _ in _PACKED)
_FOREIGN_MAGIC = tuple(magic for magic, _ in _FOREIGN)
_HTML = re.compile(rb"<(?:!doctype|html|head|body)\b", re.IGNORECASE)
_JSON = re.compile(rb"[{\[]\s{0,100}[\"{\[\]}0-9]")
_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]{0,8}:")
_EMLX = re.compile(rb"(\d{1,10})[ \t]{0,16}\r?\n")
# Other tools' names for one message; what is in them must at least be text.
_TEXT_MESSAGES = (".msg", ".mail", ".rfc822", ".mime")
_JUNK = b"\xef\xbb\xbf\x00 \t\r\n"

# Fields that hardly any other format of "name: value" lines has. Those that others have too count less.
_SURE = frozenset(
    b"received return-path message-id mime-version content-type content-transfer-encoding delivered-to envelope-to in-reply-to "
    b"references reply-to dkim-signature arc-seal authentication-results received-spf thread-index thread-topic x-mailer "
    b"x-original-to x-gm-thrid x-gm-message-state x-received list-id list-unsubscribe list-post resent-from resent-date resent-to "
    b"apparently-to bcc x-mozilla-status delivery-date errors-to x-uidl x-priority x-msmail-priority x-spam-status "
    b"x-envelope-from newsgroups content-disposition user-agent precedence".split()
)
_LIKELY = frozenset(b"from to cc subject date sender status importance priority organization".split())


def is_named_message(name: str) -> bool:
    """Whether the name alone makes it a message."""
    return name.lower().endswith(".eml")


def kind_of(head: bytes, name: str = "") -> tuple[Kind, str]:
    """(kind, what it looks like if foreign) by the first HEAD bytes; `head` is shorter only if the file is."""
    if is_named_message(name):
        return "message", ""
    if head.startswith(_PACKED_MAGIC):
        return next(kind for magic, kind in _PACKED if head.startswith(magic)), ""
    if _is_tar(head):
        return "tar", ""
    text = head.lstrip(_JUNK)
    if not text:
        return "foreign", "an empty file" if not head else "blanks"
    if head.startswith(_FOREIGN_MAGIC):
        return "foreign", next(look for magic, look in _FOREIGN if head.startswith(magic))
    if text.startswith(b"From ") and _is_mbox(text):
        return "mbox", ""
    if is_header(text):
        return "message", ""
    counted = _EMLX.match(head)
    if counted is not None and (name.lower().endswith(".emlx") or is_header(head[counted.end() :])):
        return "emlx", ""
    if name.lower().endswith(_TEXT_MESSAGES) and b"\x00" not in head:
        return "message", ""
    return "foreign", _looks(text, head)


def emlx_message(raw: bytes) -> bytes:
    """The message in an Apple Mail .emlx: a line with its length, the message, a property list."""
    counted = _EMLX.match(raw)
    return raw if counted is None else raw[counted.end() : counted.end() + int(counted[1])]


def is_header(text: bytes) -> bool:
    """Whether text begins as a mail: its first lines are fields, of which one is known from mail alone or two from mail mostly."""
    sure = likely = other = 0
    for line in _lines(text):
        if not line:
            break
        if line[:1] in b" \t":
            continue
        field = _FIELD.match(line)
        if field is None:
            if not line.startswith(b">From "):  # a quoted From_ line is a common guest
                other += 1
        elif (known := field[1].lower()) in _SURE or known.startswith((b"x-ms-", b"x-google-", b"x-spam-")):
            sure += 1
            if sure == ENOUGH and not other:
                return True
        elif known in _LIKELY:
            likely += 1
        if other > 2 + sure + likely:
            return False
    # One of "From:", "To:", "Subject:" alone begins many a note.
    first = _FIELD.match(text)
    begins = first is not None
    return (sure >= 1 and (begins or sure + likely >= 2)) or (likely >= 2 and begins)


def _lines(text: bytes) -> Iterator[bytes]:
    """The lines of the first HEAD bytes; most often the first few are enough."""
    near = text.rfind(b"\n", 0, 1024) + 1
    yield from text[:near].splitlines()
    yield from text[near:HEAD].splitlines()


def _is_mbox(text: bytes) -> bool:
    line, _, rest = text.partition(b"\n")
    if len(line) >= fromline.LINE:
        return False
    following = rest.partition(b"\n")[0]
    kind = fromline.shape(line.rstrip(b"\r"))
    return kind in {"dated", "git"} or (fromline.looks_like_header(following) and is_header(rest))


def _is_tar(head: bytes) -> bool:
    block = head[:512]
    if len(block) < 512:
        return False
    if block[257:262] == b"ustar":
        return True
    if not block[0] or not any(block):
        return False
    try:
        stated = int(block[148:156].strip(b" \x00") or b"x", 8)
    except ValueError:
        return False
    return stated == sum(block) - sum(block[148:156]) + 8 * 32


def _looks(text: bytes, head: bytes) -> str:
    if _HTML.match(text):
        return "HTML"
    if _JSON.match(text):
        return "JSON"
    return "binary data" if b"\x00" in head else "plain text"
