"""Deliveries that came to nothing, put to work again: rejected ones that a later version may read, and pending ones whose message was lost."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailloom.ports import Entry, Pointer, Queue
from mailloom.run.dead import DROPPED
from mailloom.run.pointers import dispatch
from mailloom.run.rollout import PLAIN, Routes

LOST_MS = 15 * 86_400_000
"""Pending for longer than a queue keeps messages (14 days): nobody will work on it."""
_ETAG = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
"""Of S3's ETags; its version ids are no hexadecimal digits."""


def worth_it(row: Entry) -> bool:
    """Whether another try may end otherwise: bugs may be mended, and who dropped by hand may have thought better of it."""
    return row.reason.startswith(("bug: ", DROPPED))


def pointer_of(row: Entry) -> Pointer:
    """The pointer that a row was entered for."""
    is_etag = _ETAG.fullmatch(row.object) is not None
    bucket = row.source.removeprefix("s3://")
    return Pointer(bucket, row.path, "" if is_etag else row.object, row.object if is_etag else "", row.size, row.at)


def send_again(rows: Iterable[Entry], work: Queue, large: Queue | None = None, routes: Routes = PLAIN) -> int:
    """Send the pointers of these to the workers; how many."""
    return sum(dispatch([(pointer_of(row), {}) for row in rows], work, large, routes))
