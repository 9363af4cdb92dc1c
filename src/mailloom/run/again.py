"""Deliveries that came to nothing, put to work again: rejected ones that a later version may read, and pending ones whose message was lost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from mailloom.ports import Parcel, Pointer, Queue
from mailloom.run.dead import DROPPED
from mailloom.run.pointers import pointer_body
from mailloom.run.validate import LARGE_BYTES

LOST_MS = 15 * 86_400_000
"""Pending for longer than a queue keeps messages (14 days): nobody will work on it."""
_ETAG = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
"""Of S3's ETags; its version ids are no hexadecimal digits."""


class Row(Protocol):
    """A row of the ledger of objects (stores.dynamodb.ledger.Entry)."""

    @property
    def source(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def object(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def at(self) -> int: ...
    @property
    def reason(self) -> str: ...


def worth_it(row: Row) -> bool:
    """Whether another try may end otherwise: bugs may be mended, and who dropped by hand may have thought better of it."""
    return row.reason.startswith(("bug: ", DROPPED))


def pointer_of(row: Row) -> Pointer:
    """The pointer that a row was entered for."""
    is_etag = _ETAG.fullmatch(row.object) is not None
    bucket = row.source.removeprefix("s3://")
    return Pointer(bucket, row.path, "" if is_etag else row.object, row.object if is_etag else "", row.size, row.at)


def send_again(rows: Iterable[Row], work: Queue, large: Queue | None = None) -> int:
    """Send the pointers of these to the workers; how many."""
    small: list[Parcel] = []
    big: list[Parcel] = []
    for row in rows:
        is_big = large is not None and row.size > LARGE_BYTES
        (big if is_big else small).append(Parcel(pointer_body(pointer_of(row))))
    work.send(small)
    if large is not None:
        large.send(big)
    return len(small) + len(big)
