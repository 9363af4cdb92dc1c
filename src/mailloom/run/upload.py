"""Local sources -> single mails in the raw bucket, where S3's events take them on: RAW/source=NAME/date=YYYY-MM-DD/SHA256.eml.

The key follows from the mail's bytes, its own Date included, so a mail that is uploaded again finds its key taken, and nothing happens.
What is no mail, or can't be read, is not uploaded but told.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from mailloom import obs
from mailloom.mail.parts.dates import date
from mailloom.ports import Blobs
from mailloom.run.buckets import open_bucket
from mailloom.sources import STDIN, Found, Item, Options, Refused, bucket_of, is_bucket, load, walk, walk_bucket

THREADS = 16
AHEAD = 64  # mails on their way
AHEAD_BYTES = 64 << 20
EARLIEST, LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_DATE = re.compile(rb"^date[ \t]*:[ \t]*([^\r\n]{1,200})", re.IGNORECASE | re.MULTILINE)
_END = re.compile(rb"\r?\n\r?\n")
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(slots=True)
class Uploaded:
    """How many mails are new in the bucket, how many were in it, what was refused; `foreign` files were no mail. Bytes of the new."""

    new: int = 0
    known: int = 0
    refused: int = 0
    foreign: int = 0
    bytes: int = 0


def object_key(raw: bytes, name: str, prefix: str = "raw/") -> str:
    """Where a mail's bytes go. Pure."""
    end = _END.search(raw)
    stated = _DATE.search(raw[: end.start() if end else 16 << 10])
    ms = date(stated[1].decode("latin-1")).ms if stated else None
    day = "unknown"
    if ms is not None and EARLIEST.timestamp() * 1000 <= ms < LATEST.timestamp() * 1000:
        day = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")
    return f"{prefix}source={name}/date={day}/{sha256(raw).hexdigest()}.eml"


def source_name(source: str) -> str:
    """What a source is called in keys, unless somebody says otherwise: the last part of its path."""
    if is_bucket(source):
        last = source.rstrip("/").rpartition("/")[2]
    else:
        last = "stdin" if source == STDIN else Path(source).absolute().name
    return _NAME.sub("-", last).strip("-.") or "unnamed"


def upload(
    sources: Sequence[str],
    blobs: Blobs,
    *,
    prefix: str = "raw/",
    name: str = "",
    options: Options | None = None,
    progress: Callable[[Uploaded], None] | None = None,
    buckets: Callable[[str], Blobs] = open_bucket,
) -> Uploaded:
    """Put all mail of the sources into the bucket, singly, also what lies in mailboxes and archives, and in other buckets (s3://...).

    Raises SourceError, Transient, UserError; run it again and it goes on.
    """
    done = Uploaded()
    flying: deque[tuple[Future[bool], int]] = deque()
    size = 0
    with ThreadPoolExecutor(THREADS) as threads:
        for source in sources:
            label = name or source_name(source)
            for raw in _mails(_walked(source, options, buckets), done):
                while flying and (len(flying) >= AHEAD or size >= AHEAD_BYTES):
                    size -= _landed(flying, done)
                    if progress:
                        progress(done)
                flying.append((threads.submit(blobs.put, object_key(raw, label, prefix), raw), len(raw)))
                size += len(raw)
        while flying:
            _landed(flying, done)
    if progress:
        progress(done)
    return done


def _walked(source: str, options: Options | None, buckets: Callable[[str], Blobs]) -> Iterator[Found]:
    if is_bucket(source):
        return walk_bucket(source, buckets(bucket_of(source)[0]), options=options)
    return walk(source, options=options)


def _mails(walked: Iterator[Found], done: Uploaded) -> Iterator[bytes]:
    for found in walked:
        item = load(found) if isinstance(found, Item) else found
        if isinstance(item, Item) and item.raw is not None:
            yield item.raw
        elif isinstance(item, Refused):
            foreign = item.kind == "not mail"
            done.foreign += foreign
            done.refused += not foreign
            obs.log.warning("not uploaded", source=item.origin.source, path=item.origin.path, reason=item.reason)


def _landed(flying: deque[tuple[Future[bool], int]], done: Uploaded) -> int:
    """Wait for the first; its bytes."""
    future, size = flying.popleft()
    if future.result():
        done.new += 1
        done.bytes += size
    else:
        done.known += 1
    return size
