"""What is known of a mail that landed in object storage before anybody worked on it, and how far a prefix was worked through."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from mailloom.mail.model import MessageId


class Pointer(NamedTuple):
    """One object that landed: what queues carry instead of mail. `at` is when (ms since 1970 UTC), `version` is "" where the bucket
    keeps no versions.
    """

    bucket: str
    key: str
    version: str
    etag: str
    size: int
    at: int

    @property
    def source(self) -> str:
        """What `Origin.source` says of it."""
        return f"s3://{self.bucket}"

    @property
    def object(self) -> str:
        """What tells it from the objects that had or will have its key: `Delivery.object`."""
        return self.version or self.etag


class Failure(NamedTuple):
    """Why a pointer is still pending: the last error in words, the version of mailloom that met it, how often it was tried."""

    reason: str
    version: str
    attempts: int


class Entry(NamedTuple):
    """A row of a ledger of objects. `at` is when the object landed, `read_at` when it was read, `written_at` when this row was (ms, 0 unknown)."""

    source: str
    path: str
    object: str
    state: str
    size: int
    at: int
    message: MessageId | None
    raw_sha256: bytes
    reason: str
    version: str
    attempts: int
    read_at: int
    written_at: int


class Books(NamedTuple):
    """What became of what a source brought: received = stored + duplicate + rejected + pending."""

    received: int
    stored: int
    duplicate: int
    rejected: int
    pending: int


class Receipts(Protocol):
    """Ledger rows of mail that is on its way. A row is keyed by (source, key, object); `Ledger.deliver` brings it to its end."""

    def received(self, pointers: Sequence[Pointer]) -> Collection[Pointer]:
        """Enter each as pending unless it is there; gives those that were, in whatever state."""
        ...

    def failed(self, failures: Mapping[Pointer, Failure]) -> None:
        """Keep with each pending row why its mail failed. What came to its end is left alone; what is absent becomes pending."""
        ...

    def failures(self, pointers: Collection[Pointer]) -> Mapping[Pointer, Failure]:
        """What was kept of those that are pending."""
        ...

    def finished(self, pointers: Collection[Pointer]) -> Collection[Pointer]:
        """Those that came to their end. One that did just now may be missing: this spares work, and decides nothing."""
        ...


class Progress(Protocol):
    """How far some long work on a prefix is."""

    def progress(self, name: str) -> str:
        """The last key that is done; "" where nothing is."""
        ...

    def advance(self, name: str, before: str, after: str) -> bool:
        """Put the place from `before` to `after`; False where it is not at `before`: somebody else is at work."""
        ...
