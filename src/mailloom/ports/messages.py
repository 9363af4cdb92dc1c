"""The stores of messages, of the ledger and of raw mail, and the values that they are given."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from mailloom.mail.model import MessageId, Origin


class Located(NamedTuple):
    """Where raw bytes are: `frame` and `size` are the bytes of a compressed frame in a pack, start and length inside it."""

    pack: int
    frame: int
    size: int
    start: int
    length: int


class Frame(NamedTuple):
    """Some mails' raw bytes, compressed together: `mails` are (sha256, start, length) inside the inflated frame."""

    data: bytes
    mails: tuple[tuple[bytes, int, int], ...]


class Words(NamedTuple):
    """What full-text search sees of a message, a column each."""

    subject: str
    sender: str
    recipients: str
    new: str
    old: str
    names: str


class Row(NamedTuple):
    """One message as a store keeps it: columns to find and order by; `body`, the whole Record (schema.py), compressed; `sketch`, by
    which near duplicates are found (thread/near.py); `raw`, where in object storage the mail lies that it was read from
    (s3://bucket/key#version id or etag), "" where raw mail is a store's own: what a sink may say instead of the text.
    """

    id: MessageId
    content_hash: bytes
    twin: bytes
    date: int | None
    subject: str
    base_subject: str
    sender: str
    message_id: str
    list_id: str
    marks: str
    charsets: str
    size: int
    attachments: int
    nested: int
    problems: str
    body: bytes
    sketch: bytes = b""
    raw: str = ""


class Delivery(NamedTuple):
    """One arrival of one mail: a ledger row, and the copy's provenance. `generation` counts how often its place was found with
    other content, `read_at` is when its bytes were read (ms), `state` is stored, duplicate or rejected. `object` is the version id,
    else the etag, of what lay in object storage: there an overwritten key is a delivery of its own, and `generation` is 0.
    """

    origin: Origin
    generation: int
    read_at: int
    state: str
    message: MessageId | None
    raw_sha256: bytes
    trace: bytes
    reason: str
    version: str
    object: str = ""


class Messages(Protocol):
    """Records, people and full text."""

    def finished(self, ids: Collection[MessageId]) -> Collection[MessageId]:
        """Those of the ids whose processing ran to its end before."""
        ...

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None:
        """Store each message with its words and people (key, name, role). Writing twice is writing once."""
        ...

    def finish(self, ids: Collection[MessageId]) -> None:
        """Say that the processing of these ran to its end."""
        ...


class Ledger(Protocol):
    """Deliveries: what came, from where, and what became of it."""

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Store a row each. One that is there is brought up to date; what was stored stays so."""
        ...


class Raws(Protocol):
    """The bytes as they came, addressed by their SHA-256."""

    def keep(self, frames: Sequence[Frame]) -> None:
        """Store the mails of these frames that are not there yet."""
        ...


class Sink(Protocol):
    """A derived copy of messages, as a search index or an archive of files: written after the messages, before they are finished."""

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None:
        """Store each message. Writing twice is writing once, or is folded by whoever reads."""
        ...
