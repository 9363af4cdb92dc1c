"""Here: walk the sources, transform in a pool of processes, commit in one. Batches are committed in the order they were read,
so what a container's ledger row says was read is always a prefix of it, and a run that was killed goes on from there.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os.path import abspath
from typing import NamedTuple, TypeAlias

from mailloom.flow.commit import Arrived, Committed, commit
from mailloom.flow.retry import Backoff, persist
from mailloom.flow.transform import Sealed, refuse, seal, transform
from mailloom.mail.model import Origin
from mailloom.ports import Blobs, Frame
from mailloom.run.buckets import open_bucket
from mailloom.run.pool import Pool, WorkerDied, in_order
from mailloom.sources import (
    STDIN,
    Finished,
    Found,
    Item,
    Options,
    Place,
    Refused,
    Unchanged,
    bucket_of,
    fingerprint,
    is_bucket,
    load,
    walk,
    walk_bucket,
)
from mailloom.stores.files import frames
from mailloom.thread.settle import settle
from mailloom.wire import Embedded, now_ms

BATCH_MAILS = 256  # one transaction: enough to pay for its fsync, small enough that a kill costs little
BATCH_BYTES = 4 << 20
BACKOFF = Backoff()
COPY_AT = 50_000  # messages that wait for Parquet: a file of a month is then worth its name


@dataclass(slots=True)
class Books:
    """What an ingest did. `received` = stored + duplicate + rejected; `unchanged` places were in before and not read again;
    `foreign` files are no mail (a picture beside the mails). `bytes` are of raw mail.
    """

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    rejected: int = 0
    unchanged: int = 0
    unchanged_bytes: int = 0
    foreign: int = 0
    nested: int = 0
    bytes: int = 0
    problems: Counter[str] = field(default_factory=Counter)

    @property
    def balanced(self) -> bool:
        return self.received == self.stored + self.duplicate + self.rejected

    def add(self, done: Committed, batch: Batch) -> None:
        """Enter a committed batch. What was received is counted from what was read, the rest from what was written."""
        self.received += sum(not mail.foreign for mail in batch.mails)
        self.stored += done.states["stored"]
        self.duplicate += done.states["duplicate"]
        self.rejected += done.states["rejected"]
        self.foreign += done.states["foreign"]
        self.nested += done.nested
        self.problems.update(done.problems)
        self.bytes += batch.size


class Given(NamedTuple):
    """What a worker gets of one mail: its bytes, or the file they are in, or why there are none."""

    origin: Origin
    raw: bytes | None
    file: str | None
    reason: str
    foreign: bool
    generation: int


class ReadTo(NamedTuple):
    """How far a container was read once a batch is committed."""

    place: Place
    generation: int
    upto: int
    complete: bool


@dataclass(slots=True)
class Batch:
    """Mails on their way, in the order they were read."""

    mails: list[Given] = field(default_factory=list)
    size: int = 0
    read: dict[tuple[str, str], ReadTo] = field(default_factory=dict)
    begun: list[tuple[Place, int]] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return len(self.mails) >= BATCH_MAILS or self.size >= BATCH_BYTES


Worked: TypeAlias = tuple[list[Arrived], list[Frame]]
Progress: TypeAlias = Callable[[Books], None]


def ingest(
    sources: Sequence[str],
    stores: Embedded,
    *,
    jobs: int = 1,
    options: Options | None = None,
    progress: Progress | None = None,
    buckets: Callable[[str], Blobs] = open_bucket,
) -> Books:
    """Bring all mail of the sources into an archive that is open for writing.

    With jobs = 1 everything runs in this process; else that many worker processes transform, and this one reads and commits.
    Raises SourceError for a source that can't be read at all, ArchiveError or an OSError where the archive can't be written.
    """
    books = Books()
    stores.records.begin()
    with _worked(_batches(sources, stores, options or Options(), books, buckets), jobs) as results:
        for batch, (arrived, packed) in results:
            books.add(_commit(batch, arrived, packed, stores), batch)
            if stores.waiting() >= COPY_AT:
                stores.copy()
            if progress:
                progress(books)
    finish(stores)
    return books


def finish(stores: Embedded) -> None:
    """What is left to do when no more mail comes: conversations settled, Parquet written. Safe to run at any time."""
    settle(stores.threads)
    stores.sweep()
    stores.copy()
    stores.tidy()


def retry(stores: Embedded) -> Books:
    """Run the rejected mail again whose bytes were kept: a later version may be able to read it."""
    books = Books()
    for some in stores.rejected(BATCH_MAILS):
        mails = [Given(origin, raw, None, "", False, generation) for origin, generation, raw in some]
        batch = Batch(mails)
        books.add(_commit(batch, *work(mails), stores), batch)
    finish(stores)
    return books


def _commit(batch: Batch, arrived: list[Arrived], packed: list[Frame], stores: Embedded) -> Committed:
    assert len(arrived) == len(batch.mails), "a mail was lost on its way: nothing of its batch may count as read"

    def work() -> Committed:
        with stores.unit():
            for place, generation in batch.begun:
                stores.records.forget(place, generation)
            done = commit(arrived, packed, stores)
            for read in batch.read.values():
                mark = _fingerprint(read.place, read.upto)
                stores.records.read_to(read.place, read.generation, read.upto, read.complete, mark)
        return done

    return persist(work, BACKOFF, time.sleep, random.random)


def _fingerprint(place: Place, upto: int) -> bytes:
    """As far as the file is still there: what was read of it is stored all the same."""
    try:
        return fingerprint(place, upto)
    except OSError:
        return b""


# ------------------------------------------------------------------------------------------------ reading
def _batches(
    sources: Sequence[str], stores: Embedded, options: Options, books: Books, buckets: Callable[[str], Blobs]
) -> Iterator[Batch]:
    """Everything that the sources hold and the ledger doesn't know, in batches. Counts what is unchanged into the books."""
    batch = Batch()
    for source in _once(sources):
        reader = _Reader(source, stores, batch, books)
        if is_bucket(source):
            blobs = buckets(bucket_of(source)[0])
            walked = walk_bucket(source, blobs, known=reader.known, ahead=reader.ahead, options=options)
        else:
            walked = walk(source, known=reader.known, options=options)
        for found in walked:
            reader.take(found)
            if batch.full:
                yield batch
                batch = reader.batch = Batch()
    if batch.mails or batch.read:
        yield batch


def _once(sources: Sequence[str]) -> list[str]:
    """Each source once, however it is written: a place has one row in the ledger."""
    places = {_whole_name(source): source for source in sources}
    return list(places.values())


def _whole_name(source: str) -> str:
    """As the walks name it."""
    return source if source == STDIN or is_bucket(source) else abspath(source)  # noqa: PTH100


class _Reader:
    """What a walk yields -> the batch that is being filled. Knows which file on disk is being read, and how far."""

    def __init__(self, source: str, stores: Embedded, batch: Batch, books: Books) -> None:
        self.records, self.batch, self.books = stores.records, batch, books
        self.place: Place | None = None
        # Standard input is another file each time.
        self.generation = self.records.next_generation(source) if source == STDIN else 0
        self.resumed = self.upto = 0
        self.damaged_from: int | None = None
        self.begun = self.unreadable = False

    def known(self, place: Place) -> int | None:
        """What `walk` asks once per file on disk: None to read it all, -1 to leave it, else where to go on."""
        self.generation, answer = self.records.known(place, fingerprint)
        self.place = place
        self.resumed = self.upto = max(answer or 0, 0)
        self.damaged_from, self.begun, self.unreadable = None, False, False
        return answer

    def ahead(self, place: Place) -> int | None:
        """The same before it is this place's turn."""
        return self.records.known(place, fingerprint)[1]

    def take(self, found: Found) -> None:
        if isinstance(found, Unchanged):
            self.books.unchanged += 1
            self.books.unchanged_bytes += found.place.size
        elif isinstance(found, Finished):
            self._finish()
        else:
            generation = self._generation(found.origin)
            if found.upto:
                self._go_on(found)
            if isinstance(found, Refused):
                given = Given(found.origin, found.raw, None, found.reason, found.kind == "not mail", generation)
            else:
                given = Given(found.origin, found.raw, found.file, "", False, generation)
            self._add(given)

    def _generation(self, origin: Origin) -> int:
        place = self.place
        if place is None:
            return self.generation
        if origin.path != place.path:  # a member of an archive, or what the walk didn't ask about, as a link
            return self.generation if origin.path.startswith(place.path + "!") else 0
        if origin.start < self.resumed:
            # An mbox that had ended inside its last mail: from here on it is another file.
            self.generation += 1
            self.resumed = 0
        return self.generation

    def _go_on(self, found: Item | Refused) -> None:
        """Note how far the reading is. If nothing whole comes after what was damaged, a file that has grown is read from there:
        it was still being written or copied.
        """
        if not self.begun and self.place is not None:
            self.begun = True
            self.batch.begun.append((self.place, self.generation))
        if isinstance(found, Refused) and found.kind in {"damaged", "unreadable"}:
            self.unreadable |= found.kind == "unreadable"
            if self.damaged_from is None:
                self.damaged_from = self.upto
        else:
            self.damaged_from = None
        self.upto = found.upto
        self._read_to(complete=False)

    def _finish(self) -> None:
        if not self.upto:  # the file was one mail
            return
        if self.damaged_from is not None:
            self.upto = self.damaged_from
        self._read_to(complete=not self.unreadable)

    def _read_to(self, *, complete: bool) -> None:
        if self.place is not None:
            self.batch.read[self.place.source, self.place.path] = ReadTo(
                self.place, self.generation, self.upto, complete
            )

    def _add(self, given: Given) -> None:
        self.batch.mails.append(given)
        self.batch.size += given.origin.length


# ------------------------------------------------------------------------------------------------ working
def work(mails: Sequence[Given]) -> Worked:
    """A batch's mails -> what is committed of them: the part that worker processes do."""
    arrived, raws = [], []
    for given in mails:
        sealed, raw = _work_one(given)
        arrived.append(Arrived(sealed, given.generation, now_ms(), given.foreign))
        if raw is not None:
            raws.append((sealed.raw_sha256, raw))
    return arrived, frames(raws)


def _work_one(given: Given) -> tuple[Sealed, bytes | None]:
    if given.reason:
        return seal(refuse(given.origin, given.reason, given.raw)), given.raw
    item = load(Item(given.origin, given.raw, given.file))
    if isinstance(item, Refused):
        return seal(refuse(item.origin, item.reason, item.raw)), item.raw
    assert item.raw is not None
    return seal(transform(item.raw, item.origin)), item.raw


@contextmanager
def _worked(batches: Iterator[Batch], jobs: int) -> Iterator[Iterator[tuple[Batch, Worked]]]:
    """Each batch with its result, in the order of the batches."""
    if jobs <= 1:
        yield ((batch, work(batch.mails)) for batch in batches)
        return
    pool: Pool[Sequence[Given], Worked] = Pool(work, jobs)
    try:
        yield in_order(pool, ((batch, batch.mails) for batch in batches), lambda mails, _: _alone(mails))
    finally:
        pool.close()


def _deadly(given: Given, why: str) -> Worked:
    """A mail that ended the process which worked on it: rejected, its bytes kept."""
    item = load(Item(given.origin, given.raw, given.file))
    sealed = seal(refuse(given.origin, f"bug: {why}", item.raw))
    kept = [] if item.raw is None else frames([(sealed.raw_sha256, item.raw)])
    return [Arrived(sealed, given.generation, now_ms())], kept


def _alone(mails: Sequence[Given]) -> Worked:
    """A batch whose worker died: each mail in a process of its own, so that only the one it died of is rejected."""
    arrived: list[Arrived] = []
    packed: list[Frame] = []
    pool: Pool[Sequence[Given], Worked] = Pool(work, 1)
    try:
        for number, given in enumerate(mails):
            pool.submit(number, [given])
            while pool.busy:
                for _, result in pool.results():
                    worked = _deadly(given, str(result)) if isinstance(result, WorkerDied) else result
                    arrived += worked[0]
                    packed += worked[1]
    finally:
        pool.close()
    return arrived, packed
