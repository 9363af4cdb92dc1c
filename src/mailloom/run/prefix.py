"""Work through all objects below a prefix, as far as time allows, and know the place: for mail that was there before anybody listened.

The place is the last key of a batch that was committed, so a run that is killed does one batch again, which is doing it once. Two runs on
one prefix do no harm either: the one whose place was moved by the other stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from mailloom import obs
from mailloom.ports import Blobs, Failure, Pointer, Progress, Queue, Receipts, Stat, Transient, UserError
from mailloom.run.arrivals import Mail, Unit, fetch, land, work
from mailloom.run.causes import cause
from mailloom.run.pointers import dispatch
from mailloom.run.rollout import PLAIN, Routes
from mailloom.run.validate import QUARANTINE, Buckets, is_alone, is_ours
from mailloom.schema import VERSION
from mailloom.sources.detect import HEAD, kind_of

BATCH_MAILS = 256
BATCH_BYTES = 4 << 20
READERS = 16


class Prefixed(NamedTuple):
    """How far it came: whether all is done, the last key that is, and how many mails were received and failed in this run."""

    done: bool
    after: str
    received: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What a run needs. Mail that fails is given to `again`, or above 10 MB to `large`: queues of workers, where it has its redrive; `keep` as
    in Worker.
    """

    buckets: Buckets
    stores: Unit
    receipts: Receipts
    places: Progress
    again: Queue | None = None
    keep: bool = False
    quarantine: str = QUARANTINE
    large: Queue | None = None
    routes: Routes = PLAIN

    def run(self, bucket: str, prefix: str, enough: Callable[[], bool] = lambda: False) -> Prefixed:
        """Go on from where the last run was, until `enough` says so between two batches. Raises Transient or UserError of a store."""
        name = f"s3://{bucket}/{prefix}"
        after = self.places.progress(name)
        received = failed = 0
        for batch in _batches(bucket, self.buckets(bucket).current(prefix, after), self.quarantine):
            if enough():
                return Prefixed(False, after, received, failed)
            failed += self._work_off(batch)
            received += len(batch)
            if not self.places.advance(name, after, batch[-1].key):
                obs.log.info("prefix is worked on elsewhere", prefix=name)
                return Prefixed(False, self.places.progress(name), received, failed)
            after = batch[-1].key
        return Prefixed(True, after, received, failed)

    def _work_off(self, pointers: Sequence[Pointer]) -> int:
        blobs = self.buckets(pointers[0].bucket)
        self.receipts.received(pointers)
        with ThreadPoolExecutor(min(READERS, len(pointers))) as readers:
            read = list(readers.map(lambda pointer: _fetched(blobs, pointer), pointers))
        failed = {p: one for p, one in zip(pointers, read, strict=True) if isinstance(one, Exception)}
        mails = [one for one in read if isinstance(one, Mail)]
        landed = land(mails, work(mails, keep=self.keep), self.stores, keep=self.keep)
        failed |= {mails[n].pointer: error for n, error in landed.failed.items()}
        if failed:
            failures = {pointer: Failure(cause(error), VERSION, 1) for pointer, error in failed.items()}
            for pointer, failure in failures.items():
                kind = "poison" if isinstance(failed[pointer], UserError) else "bug"
                obs.count("errors", 1, kind=kind, place="prefix")
                obs.log.error("mail failed", source=pointer.source, path=pointer.key, reason=failure.reason)
            self.receipts.failed(failures)
            if self.again is not None:
                dispatch([(pointer, {}) for pointer in failures], self.again, self.large, self.routes)
        return len(failed)


def _fetched(blobs: Blobs, pointer: Pointer) -> Mail | Exception:
    """A mail, or why this one can't be read though others can. Raises Transient, or UserError where the bucket can't be read."""
    try:
        return fetch(blobs, pointer)
    except Transient:
        raise
    except Exception as error:
        if isinstance(error, UserError) and not is_alone(blobs, pointer.key):
            raise
        return error


def is_container(blobs: Blobs, key: str) -> bool:
    """Whether there is an object of just this key, and it may hold many mails (an mbox, a zip): as a prefix it would be refused."""
    seen = blobs.beginning(key, HEAD) if key else None
    kind = kind_of(seen[0], key.rpartition("/")[2])[0] if seen is not None else "foreign"
    return kind not in {"message", "emlx", "foreign"}


def _batches(bucket: str, found: Iterator[Stat], quarantine: str) -> Iterator[list[Pointer]]:
    batch: list[Pointer] = []
    size = 0
    for stat in found:
        if is_ours(stat.key, quarantine):
            continue
        batch.append(Pointer(bucket, stat.key, stat.version, stat.etag, stat.size, stat.modified))
        size += stat.size
        if len(batch) == BATCH_MAILS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
