"""raw -> Outcome: the one function that every runner calls. Pure: the same bytes give the same outcome, anywhere, any time."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import orjson

from mailloom.mail.identity import identify
from mailloom.mail.model import SIGNED, Address, Message, Origin, Record
from mailloom.mail.parse import read
from mailloom.mail.visible import visible
from mailloom.ports import Row, Stated, Words
from mailloom.schema import VERSION, pack_record
from mailloom.thread.evidence import evidence


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mail's bytes: a record with its evidence, or the reason why not."""

    origin: Origin
    raw_sha256: bytes
    size: int
    version: str
    record: Record | None = None
    stated: Stated | None = None
    charsets: tuple[str, ...] = ()
    reason: str = ""


def transform(raw: bytes, origin: Origin) -> Outcome:
    """Everything that one mail's bytes say. Never raises on mail: a bug of ours becomes a rejection with its reason, so that one
    mail can't stop a run, and `mailloom rejected --retry` tries it again with a later version.
    """
    sha = sha256(raw).digest()
    try:
        mime, message = read(raw)
        record = identify(mime, message)
        stated = evidence(record)
    except Exception as error:  # noqa: BLE001  see the docstring
        return Outcome(origin, sha, len(raw), VERSION, reason=f"bug: {_where(error)}")
    charsets = tuple(sorted({p.charset or "us-ascii" for p in mime.parts if p.type.startswith("text/")}))
    return Outcome(origin, sha, len(raw), VERSION, record, stated, charsets)


def refuse(origin: Origin, reason: str, raw: bytes | None) -> Outcome:
    """The outcome of what is not mail, or can't be read."""
    return Outcome(origin, sha256(raw).digest() if raw is not None else b"", len(raw or b""), VERSION, reason=reason)


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__}: {error}{place}"[:500]


# ------------------------------------------------------------------------------------------------ what crosses to the stores
class Sealed(NamedTuple):
    """An Outcome in the form that stores take and that crosses process borders: rows, words, and the record compressed."""

    origin: Origin
    raw_sha256: bytes
    version: str
    reason: str
    trace: bytes
    row: Row | None
    words: Words | None
    people: tuple[tuple[str, str, str], ...]
    stated: Stated | None


def seal(outcome: Outcome) -> Sealed:
    """Pure, so that the many workers do it and not the one committer."""
    record = outcome.record
    if record is None:
        return Sealed(outcome.origin, outcome.raw_sha256, outcome.version, outcome.reason, b"{}", None, None, (), None)
    message = record.message
    people = dict.fromkeys(
        (a.key, a.name, role)
        for role, addresses in (
            ("from", message.from_),
            ("author", message.author if message.author != message.from_ else ()),
            ("to", message.to),
            ("cc", message.cc),
        )
        for a in addresses
        if a.key
    )
    return Sealed(
        origin=outcome.origin,
        raw_sha256=outcome.raw_sha256,
        version=outcome.version,
        reason="",
        trace=orjson.dumps(message.trace),
        row=_row(outcome, record),
        words=_words(message),
        people=tuple(people),
        stated=outcome.stated,
    )


def _row(outcome: Outcome, record: Record) -> Row:
    from mailloom.thread.near import sketch  # numpy: who only reads an archive must start without it

    message = record.message
    return Row(
        id=record.id,
        content_hash=record.content_hash,
        twin=record.twin,
        date=message.date.ms,
        subject=_clean(message.subject),
        base_subject=_clean(record.base_subject),
        sender=_clean(message.from_[0].key or message.from_[0].name) if message.from_ else "",
        message_id=_clean(message.message_id),
        list_id=_clean(message.list_id),
        marks=" ".join(message.marks),
        charsets=" ".join(outcome.charsets),
        size=outcome.size,
        attachments=len(message.attachments),
        nested=len(message.nested),
        problems=_clean(",".join(sorted({p.kind for p in message.problems}))),
        body=pack_record(record),
        sketch=sketch(record),
    )


def _words(message: Message) -> Words:
    """Each word once in the column where it tells most: what the author wrote, or what was quoted, forwarded or appended."""
    new = "\n".join(message.text[s.start : s.end] for s in message.segments if s.kind in SIGNED)
    old = [message.text[s.start : s.end] for s in message.segments if s.kind not in SIGNED]
    attached = [n for n in message.nested if n.kind == "attached"]
    old += [f"{n.subject}\n{_names(n.from_)}\n{n.text}" for n in attached]
    files = [*message.attachments, *(a for n in attached for a in n.attachments)]
    return Words(
        subject=_clean(visible(message.subject)),
        sender=_clean(_names(tuple(dict.fromkeys((*message.from_, *message.author))))),
        recipients=_clean(_names((*message.to, *message.cc))),
        new=_clean(visible(new)),
        old=_clean(visible("\n".join(old))),
        names=_clean(" ".join(a.name for a in files if a.name)),
    )


def _names(addresses: tuple[Address, ...]) -> str:
    return " ".join(f"{a.name} {a.address}" for a in addresses)


def _clean(text: str) -> str:
    """What SQLite can hold: no NUL (it would end the text), no lone surrogate."""
    if "\0" in text:
        text = text.replace("\0", " ")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
