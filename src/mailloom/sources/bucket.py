"""Objects of S3 as a source: s3://BUCKET/PREFIX. Each is what a file is to a folder: a mail, or something that holds mails.

Small objects are read whole, some at a time, as one request takes longer than all that is done with a mail; large ones in parts as they
are needed. An object is known by its size and its place in time: the seconds of Last-Modified, and below them digits of the ETag, so that an
object that was overwritten in the same second is another.
"""

from __future__ import annotations

import errno
import hashlib
import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple, cast

from mailloom.ports import Blobs, Stat
from mailloom.sources.contents import Reading
from mailloom.sources.place import (
    WHOLE,
    Finished,
    Found,
    Known,
    Options,
    Place,
    Refused,
    SourceError,
    Unchanged,
    label,
)
from mailloom.sources.walk import opened, opened_large

SCHEME = "s3://"
READERS = 16
AHEAD = 32  # objects that are being read while one is looked at
PART = 8 << 20  # what a large object is read by


def is_bucket(source: str) -> bool:
    """Whether a source is one of S3."""
    return source.startswith(SCHEME)


def bucket_of(source: str) -> tuple[str, str]:
    """s3://BUCKET/PREFIX -> (bucket, prefix). Raises SourceError."""
    bucket, _, prefix = source.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise SourceError(f"no bucket is named: {source} (write s3://BUCKET or s3://BUCKET/PREFIX)")
    return bucket, prefix


def walk_bucket(
    source: str,
    blobs: Blobs,
    *,
    known: Known | None = None,
    ahead: Known | None = None,
    options: Options | None = None,
) -> Iterator[Found]:
    """All mails of the objects whose key begins with the prefix, in the order of keys; otherwise as sources.walk.

    `ahead` answers as `known` does, and is asked earlier and for several objects before their mails come: what it says is in and unchanged is
    not read. Raises Transient or UserError where the bucket can't be read; what is wrong with one object is a Refused.
    """
    bucket, prefix = bucket_of(source)
    options = options or Options()
    waiting: deque[_Listed] = deque()
    with ThreadPoolExecutor(READERS) as readers:
        for stat in blobs.list(prefix):
            if stat.key.endswith("/") and not stat.size:  # what consoles make to show a folder
                continue
            place = _place(bucket, stat)
            done = ahead(place) if ahead is not None else None
            early = stat.size <= WHOLE and (done is None or done >= 0)
            raw = readers.submit(blobs.get, stat.key, "", stat.etag) if early else None
            waiting.append(_Listed(place, stat, raw))
            if len(waiting) > AHEAD:
                yield from _taken(waiting.popleft(), blobs, known, options)
        while waiting:
            yield from _taken(waiting.popleft(), blobs, known, options)


def _place(bucket: str, stat: Stat) -> Place:
    digits = int.from_bytes(hashlib.blake2b(stat.etag.encode(), digest_size=4).digest(), "big") % 1_000_000
    path = label(stat.key)
    modified = stat.modified * 1_000_000 + digits
    return Place(SCHEME + bucket, path, "", stat.size, modified, folder=path.rpartition("/")[0])


class _Listed(NamedTuple):
    """An object whose turn will come, and its bytes where they are being read already."""

    place: Place
    stat: Stat
    raw: Future[bytes | None] | None


def _taken(listed: _Listed, blobs: Blobs, known: Known | None, options: Options) -> Iterator[Found]:
    place, stat, early = listed
    done = known(place) if known is not None else None
    if done is not None and done < 0:
        yield Unchanged(place)
        return
    reading = Reading(place, options, done or 0)
    if place.size > WHOLE:
        file = io.BufferedReader(_Parts(blobs, stat), PART)
        yield from opened_large(reading, cast("BinaryIO", file))
    else:
        raw = early.result() if early is not None else blobs.get(stat.key, "", stat.etag)
        if raw is None:
            yield Refused(place.origin(place.size), "unreadable", f"{_GONE}: {place.source}/{place.path} (run again)")
            return
        yield from opened(reading, raw)
    yield Finished(place)


_GONE = "overwritten or deleted while it was read"


class _Parts(io.RawIOBase):
    """A large object as a file: each read is a request."""

    def __init__(self, blobs: Blobs, stat: Stat) -> None:
        super().__init__()
        self.blobs, self.stat, self.at = blobs, stat, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.stat.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self.stat.size - self.at)
        if length <= 0:
            return 0
        data = self.blobs.part(self.stat.key, self.at, length, self.stat.etag)
        if data is None:
            raise OSError(errno.ESTALE, _GONE)
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)
