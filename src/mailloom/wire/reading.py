"""The server profile, read: PostgreSQL behind a reader endpoint, the search index, and raw mail in object storage."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from typing import Protocol

from mailloom.mail.model import MessageId
from mailloom.ports import Blobs, Copy, Entry, Figures, Reader
from mailloom.query import Finder

S3 = "s3://"


class ServerReading:
    """Implements archive.reading.Readable. `bucket` gives the objects of a bucket by its name."""

    def __init__(
        self, reader: Reader, finder: Finder, bucket: Callable[[str], Blobs], figures: Figures, *, analysed: str = ""
    ) -> None:
        self.reader, self.finder, self.bucket = reader, finder, bucket
        self.figures, self.analysed = figures, analysed

    def raw(self, copy: Copy) -> bytes | None:
        """An object that was overwritten is looked for among the bucket's versions, as far as the ledger tells of them. What is there and
        says something else is not this mail: None.
        """
        if not copy.source.startswith(S3):
            return None
        blobs = self.bucket(copy.source.removeprefix(S3))
        if (mail := _mail(blobs.get(copy.path), copy)) is not None:
            return mail
        told = self.reader.deliveries.delivered([(copy.source, copy.path)])
        for version in dict.fromkeys(one.object for one in told if one.object and one.raw_sha256 == copy.raw_sha256):
            if (mail := _mail(blobs.get(copy.path, version), copy)) is not None:
                return mail
        return None

    def raw_at(self, copy: Copy) -> str:
        if not copy.source.startswith(S3):
            return ""
        return f"{copy.source}/{copy.path}" + (f", version or etag {copy.object}" if copy.object else "")

    def analysed_at(self, message: MessageId) -> str:  # noqa: ARG002
        """Files are written by who delivers to the analysts' copy, so nobody knows which."""
        return self.analysed

    def close(self) -> None:
        self.reader.close()


def _mail(data: bytes | None, copy: Copy) -> bytes | None:
    """The mail in the bytes of an object, if it is that one."""
    mail = (data or b"")[copy.start : copy.start + copy.length]
    return mail if data is not None and sha256(mail).digest() == copy.raw_sha256 else None


class ObjectLedger(Protocol):
    """What `where` and `rejected` read of a ledger: stores.dynamodb.ledger.DynamoLedger."""

    def where(self, source: str, path: str) -> Sequence[Entry]: ...
    def rejected(self) -> Sequence[Entry]: ...


class LedgerHistory:
    """Implements ports.History over a ledger of objects."""

    def __init__(self, ledger: ObjectLedger) -> None:
        self.ledger = ledger

    def where(self, places: Collection[tuple[str, str]]) -> list[Copy]:
        return [_told(entry) for source, path in places for entry in self.ledger.where(source, path)]

    def rejected(self) -> Iterator[Copy]:
        found = [_told(entry) for entry in self.ledger.rejected()]
        return iter(sorted(found, key=lambda copy: (copy.state, copy.source, copy.path)))


def _told(entry: Entry) -> Copy:
    """What a ledger knows of a copy: an object is one mail."""
    what = (entry.state, entry.message, entry.raw_sha256, "", "", "", entry.at, b"{}", entry.reason, entry.version)
    times = (entry.read_at, entry.written_at)
    return Copy(entry.source, entry.path, 0, 0, entry.size, *what, *times, entry.object)
