"""Damage as real mail has it. Each kind is a function on the head's fields and the body; one that can't apply says None.

bad-base64           junk and a lost character inside base64
wrong-charset        the label names another charset than the bytes are in
raw-8bit-header      subject in 8-bit bytes instead of RFC 2047 words
no-date, bad-date    none, or one that no calendar knows
no-message-id        none
truncated            cut off inside the last part of a multipart
garbled-in-reply-to  prose around the id, and no References
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from mailloom.synth.mime import Fields
from mailloom.synth.words import pick


@dataclass(frozen=True, slots=True)
class Whole:
    """A mail before its trace is put on top: fields and encoded body, and what damage needs to know of them."""

    fields: Fields
    body: bytes
    subject: str
    ascii: bool
    parent_date: str


Damaged = tuple[Fields, bytes]


def bad_base64(mail: Whole, rng: Random) -> Damaged | None:
    whole = dict(mail.fields).get("Content-Transfer-Encoding") == "base64"
    mark = mail.body.find(b"Content-Transfer-Encoding: base64\n")
    start = 0 if whole else mail.body.find(b"\n\n", mark) + 2 if mark >= 0 else -1
    end = mail.body.find(b"\n", start)
    if start < 0 or end - start < 8:
        return None
    middle = start + int(rng.random() * (end - start))
    line = mail.body[start:middle] + b"!*-" + mail.body[middle : end - 1]
    return mail.fields, mail.body[:start] + line + mail.body[end:]


def wrong_charset(mail: Whole, _: Random) -> Damaged | None:
    if mail.ascii:
        return None
    kind = dict(mail.fields)["Content-Type"]
    head = kind + "\n" + mail.body[:4000].decode("ascii", "surrogateescape")
    at = head.find('charset="')
    label = head[at + 9 : head.index('"', at + 9)]
    wrong = "iso-8859-1" if label == "utf-8" else "us-ascii"
    if 'charset="' in kind:
        fields = tuple((n, v.replace(label, wrong)) if n == "Content-Type" else (n, v) for n, v in mail.fields)
        return fields, mail.body
    return mail.fields, mail.body.replace(f'charset="{label}"'.encode(), f'charset="{wrong}"'.encode(), 1)


def raw_8bit_header(mail: Whole, rng: Random) -> Damaged | None:
    if mail.subject.isascii():
        return None
    for charset in (pick(rng, ("utf-8", "windows-1252", "koi8-r", "shift_jis", "gb18030")), "utf-8"):
        try:
            raw = mail.subject.encode(charset).decode("ascii", "surrogateescape")
        except UnicodeEncodeError:
            continue
        return replaced(mail.fields, "Subject", raw), mail.body
    return None


def no_date(mail: Whole, _: Random) -> Damaged | None:
    return tuple(field for field in mail.fields if field[0] != "Date"), mail.body


def bad_date(mail: Whole, rng: Random) -> Damaged | None:
    said = pick(
        rng, ("Thu, 31 Feb 2024 27:61:00 +9900", "yesterday", "2024", "%DATE%", "Mon, 00 Jan 0000 00:00:00 GMT")
    )
    return replaced(mail.fields, "Date", said), mail.body


def no_message_id(mail: Whole, _: Random) -> Damaged | None:
    return tuple(field for field in mail.fields if field[0] != "Message-ID"), mail.body


def truncated(mail: Whole, rng: Random) -> Damaged | None:
    kind = dict(mail.fields)["Content-Type"]
    if not kind.startswith("multipart/"):
        return None
    boundary = kind.rpartition('boundary="')[2].rstrip('"')
    start = mail.body.rfind(f"--{boundary}\n".encode())
    start = mail.body.find(b"\n\n", start) + 2
    return mail.fields, mail.body[: start + int((len(mail.body) - start) * (0.2 + 0.6 * rng.random()))]


def garbled_in_reply_to(mail: Whole, rng: Random) -> Damaged | None:
    answered = dict(mail.fields).get("In-Reply-To")
    if answered is None:
        return None
    said = pick(rng, (f'Your message of "{mail.parent_date}"\n {answered}', f"{answered} (on {mail.parent_date})"))
    return replaced(tuple(f for f in mail.fields if f[0] != "References"), "In-Reply-To", said), mail.body


def replaced(fields: Fields, name: str, value: str) -> Fields:
    return tuple((n, value if n == name else v) for n, v in fields)


KINDS: dict[str, Callable[[Whole, Random], Damaged | None]] = {
    "bad-base64": bad_base64,
    "wrong-charset": wrong_charset,
    "raw-8bit-header": raw_8bit_header,
    "no-date": no_date,
    "bad-date": bad_date,
    "no-message-id": no_message_id,
    "truncated": truncated,
    "garbled-in-reply-to": garbled_in_reply_to,
}


def damage(mail: Whole, rng: Random) -> tuple[str, Damaged]:
    """One kind of damage that applies, by name, and what it leaves."""
    kinds = list(KINDS)
    while True:
        kind = kinds.pop(int(rng.random() * len(kinds)))
        done = KINDS[kind](mail, rng)
        if done is not None:
            return kind, done
