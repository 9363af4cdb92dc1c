"""What a generated mail is, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["attached", "forwarded", "quoted"]
Placed = Literal["new", "top", "bottom", "between", "forward"]


@dataclass(frozen=True, slots=True)
class Inner:
    """A message inside a mail, as far as the mail states it.

    `date` is the stated local time, YYYY-MM-DDTHH:MM, with the zone (+02:00) only where the mail states one. `subject` is ""
    where none is stated. `text` is what its author wrote, without signature and without the messages deeper in it; of an answer
    between the lines only what was kept of it. `depth` counts from 1. `to` and `cc` are (name, address) of each reader stated.
    """

    kind: Kind
    name: str
    address: str
    date: str
    subject: str
    text: str
    depth: int
    to: tuple[tuple[str, str], ...] = ()
    cc: tuple[tuple[str, str], ...] = ()

    def deeper(self, levels: int) -> Inner:
        """The same message found `levels` further down."""
        return Inner(
            self.kind,
            self.name,
            self.address,
            self.date,
            self.subject,
            self.text,
            self.depth + levels,
            self.to,
            self.cc,
        )

    def row(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "from": {"name": self.name, "address": self.address},
            "to": [{"name": name, "address": address} for name, address in self.to],
            "cc": [{"name": name, "address": address} for name, address in self.cc],
            "date": self.date,
            "subject": self.subject,
            "text": self.text,
            "depth": self.depth,
        }


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one mail.

    `id`: its Message-ID without brackets (the one it would have, where `broken` took it away). `thread`: id of the first message
    of its conversation, which is the relation of replies, stated in headers or lost; a forward belongs to the conversation it
    came from if its client states that (plain clients do not), else it begins its own. `topic`: id of the first message with that
    subject in the conversation. `reply_text`: what the author typed, blocks in order, without quotes,
    signature, disclaimer, list footer; where lines break counts for nothing. `duplicate_of`: the id again, where this is a further
    delivery of the same content. `broken`: the damage, by name (see damage.py), or None. `attachments`: names of the files to be
    saved, in order; pictures in the text and attached mails are none. `reply_full`: reply_text and signature. `greeting` and
    `signoff` are the first and last lines of reply_text, where it has them; `notice`: a confidentiality notice at the end; `banner`: a
    warning that the reader's server put on top.
    `placed`: where the new text stands: alone ("new"), above a quote ("top"), below it ("bottom"), between quotes, or above what
    is forwarded.
    """

    id: str
    thread: str
    parent: str | None
    topic: str
    reply_text: str
    signature: str
    nested: tuple[Inner, ...]
    duplicate_of: str | None
    lost_headers: bool
    broken: str | None
    client: str
    lang: str
    list: str | None
    attachments: tuple[str, ...]
    greeting: str = ""
    signoff: str = ""
    notice: str = ""
    banner: str = ""
    placed: Placed = "new"

    @property
    def reply_full(self) -> str:
        return f"{self.reply_text}\n\n{self.signature}".strip()

    def row(self, file: str, start: int, length: int) -> dict[str, Any]:
        """One line of truth.jsonl: where the mail is, `start` and `length` in bytes, and all of the above."""
        return {
            "id": self.id,
            "file": file,
            "start": start,
            "length": length,
            "thread": self.thread,
            "parent": self.parent,
            "topic": self.topic,
            "reply_text": self.reply_text,
            "reply_full": self.reply_full,
            "signature": self.signature,
            "nested": [inner.row() for inner in self.nested],
            "duplicate_of": self.duplicate_of,
            "lost_headers": self.lost_headers,
            "broken": self.broken,
            "client": self.client,
            "lang": self.lang,
            "list": self.list,
            "attachments": list(self.attachments),
            "greeting": self.greeting,
            "signoff": self.signoff,
            "notice": self.notice,
            "banner": self.banner,
            "placed": self.placed,
        }


@dataclass(frozen=True, slots=True)
class Mail:
    """The bytes of one mail (lines end with LF or all with CRLF), when it was delivered (seconds since 1970 UTC), the address
    of its envelope, and its truth.
    """

    raw: bytes
    delivered: int
    envelope: str
    truth: Truth
