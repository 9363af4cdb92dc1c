"""What brings mail and work along between processes: object storage and queues."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class Stat(NamedTuple):
    """An object as a listing or an event tells of it: `version` is the bucket's version id, "" where it keeps none; `modified` in ms."""

    key: str
    size: int
    etag: str
    version: str = ""
    modified: int = 0


class Blobs(Protocol):
    """Objects of one bucket, addressed by key."""

    def get(self, key: str, version: str = "", etag: str = "") -> bytes | None:
        """All bytes of an object; None where it (or that version) is not there, or is not the one with that etag any more."""
        ...

    def beginning(self, key: str, length: int, version: str = "") -> tuple[bytes, Stat] | None:
        """At most `length` first bytes with what the object is as a whole; None where it is not there."""
        ...

    def part(self, key: str, start: int, length: int, etag: str = "") -> bytes | None:
        """At most `length` bytes from `start` on, b"" behind the end; None where it is not there, or not the one with that etag."""
        ...

    def put(self, key: str, data: bytes, *, metadata: Mapping[str, str] | None = None) -> bool:
        """Store an object unless that key is taken; False where it was. Writing twice is writing once."""
        ...

    def copy(self, key: str, to: str, version: str = "", *, metadata: Mapping[str, str] | None = None) -> bool:
        """Copy inside the bucket, with other metadata where it is given; False where the source is not there."""
        ...

    def list(self, prefix: str, after: str = "") -> Iterator[Stat]:
        """Objects whose key begins with prefix, in the order of keys, those behind `after` only. `version` isn't told."""
        ...

    def current(self, prefix: str, after: str = "") -> Iterator[Stat]:
        """The same with versions, as events tell of them: what came by an event is the same delivery here."""
        ...

    def delete(self, keys: Collection[str]) -> None: ...


class Parcel(NamedTuple):
    """A message to send: a small text and attributes (the context of a trace, no secrets)."""

    body: str
    attributes: Mapping[str, str] = {}


class Received(NamedTuple):
    """A message that came: `receipt` names this receiving of it, `attempts` counts receivings, `sent` is in ms."""

    receipt: str
    id: str
    body: str
    attributes: Mapping[str, str]
    attempts: int
    sent: int


class Queue(Protocol):
    """At least once, in no order. What is received comes back unless it is deleted before its visibility ends."""

    def send(self, parcels: Sequence[Parcel]) -> None: ...

    def receive(self, most: int, wait: float) -> Sequence[Received]:
        """Up to `most` messages, waiting `wait` seconds for the first."""
        ...

    def extend(self, messages: Mapping[str, float]) -> None:
        """Receipt -> seconds from now until it may come again: a heartbeat, or with a small number a retry. What is gone is left alone."""
        ...

    def delete(self, receipts: Collection[str]) -> None: ...

    def depth(self) -> tuple[int, int]:
        """About how many wait, and how many are received and not deleted."""
        ...
