"""Pointers -> mail -> commits: what a worker, a Lambda and whoever works through a prefix do alike with a batch.

A batch is committed whole. Where that fails for another reason than a store, its halves are, and so on: so the one mail that a store or we
can't stand is found in a few commits and holds nobody up. That is safe as every write may be repeated.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol

from mailloom import obs
from mailloom.flow.commit import Arrived, Stores, commit
from mailloom.flow.retry import Backoff, persist
from mailloom.flow.transform import refuse, seal, transform
from mailloom.ports import Blobs, Frame, Pointer, Stat, UserError
from mailloom.run.again import LOST_MS
from mailloom.run.causes import cause
from mailloom.run.pointers import origin, rejected
from mailloom.run.pool import Pool, WorkerDied
from mailloom.run.validate import DELETED, OVERWRITTEN, judge, too_large
from mailloom.sources import fromline
from mailloom.sources.detect import HEAD, emlx_message
from mailloom.stores.files import frames
from mailloom.wire.clock import now_ms

BACKOFF = Backoff()
SLICE = 32  # mails that one process transforms at a time
SUSPECT = 3
"""A mail that came for the n-th time is read in a process apart: it may be the one that ended those before."""
ALONE_S = 240.0
"""How long one mail may take in a process apart: less than what a worker is taken for hanging after (worker.STILL)."""


class Unit(Stores, Protocol):
    """Stores with a unit of work around one commit: a transaction where they share one, else a session (ports.Threads)."""

    def unit(self) -> AbstractContextManager[None]: ...


class Mail(NamedTuple):
    """An object that was read, or why there is nothing to read (`raw` None)."""

    pointer: Pointer
    raw: bytes | None
    reason: str = ""


class Worked(NamedTuple):
    """What is committed of some mails."""

    arrived: list[Arrived]
    frames: list[Frame]


@dataclass(slots=True)
class Landed:
    """What became of a batch: how many came to which state; the mails that failed, by their number in it."""

    states: Counter[str] = field(default_factory=Counter)
    failed: dict[int, Exception] = field(default_factory=dict)


def fetch(blobs: Blobs, pointer: Pointer) -> Mail:
    """Read the object that a pointer names. Raises Transient, or UserError for a bucket that can't be read."""
    if reason := too_large(pointer.size):
        return Mail(pointer, None, reason)
    raw = blobs.get(pointer.key, pointer.version, "" if pointer.version else pointer.etag)
    if raw is not None:
        return Mail(pointer, raw)
    # Which of the two it is costs a request that only the few pay who are gone.
    there = None if pointer.version else blobs.beginning(pointer.key, 1)
    return Mail(pointer, None, DELETED if there is None else OVERWRITTEN)


def work(mails: Sequence[Mail], *, keep: bool) -> Worked:
    """Transform mails; `keep`: with their bytes in frames, for stores where the object itself isn't the raw copy. Pure but for the clock."""
    arrived, raws = [], []
    for mail in mails:
        arrived.append(_work_one(mail))
        if keep and mail.raw is not None:
            raws.append((arrived[-1].sealed.raw_sha256, mail.raw))
    return Worked(arrived, frames(raws))


def _work_one(mail: Mail) -> Arrived:
    if mail.reason or mail.raw is None:
        return rejected(mail.pointer, mail.reason, now_ms(), mail.raw)
    pointer, raw = mail.pointer, mail.raw
    # Who sends a pointer by hand, or works through a prefix, has no validator before.
    reason = judge(pointer, (raw[:HEAD], Stat(pointer.key, len(raw), pointer.etag)))
    if reason:
        return rejected(pointer, reason, now_ms(), raw)
    place = origin(pointer, len(raw))
    if raw[:1].isdigit():
        raw = emlx_message(raw)
    elif raw.startswith(b"From "):
        line = raw[: fromline.LINE].split(b"\n", 1)[0].rstrip(b"\r")
        place = origin(pointer, len(raw), fromline.received_at(line))
    try:
        sealed = seal(transform(raw, place))
    except Exception as error:  # noqa: BLE001  a bug of ours: this mail's failure, and no other's
        sealed = seal(refuse(place, f"bug: {cause(error)}", raw))
    return Arrived(sealed, 0, now_ms(), object=pointer.object)


# ------------------------------------------------------------------------------------------------ working, here or elsewhere
class Transformer:
    """Transforms batches in `jobs` processes, or here. Call `close` at the end."""

    def __init__(self, jobs: int, *, keep: bool) -> None:
        self.work = partial(work, keep=keep)
        self.pool: Pool[Sequence[Mail], Worked] | None = Pool(self.work, jobs) if jobs > 1 else None
        self.apart: Pool[Sequence[Mail], Worked] | None = None

    def __call__(self, mails: Sequence[Mail]) -> Worked:
        """The whole batch, slices of it side by side. What ends a process that works on it is rejected."""
        if self.pool is None:
            return self.work(mails)
        slices = [mails[at : at + SLICE] for at in range(0, len(mails), SLICE)]
        done: dict[int, Worked] = {}
        given = 0
        while len(done) < len(slices):
            while given < len(slices) and self.pool.room:
                self.pool.submit(given, slices[given])
                given += 1
            for number, result in self.pool.results():
                done[number] = self.alone(slices[number]) if isinstance(result, WorkerDied) else result
        return _joined([done[number] for number in range(len(slices))])

    def alone(self, mails: Sequence[Mail], limit: float | None = None) -> Worked:
        """Mails of which one may end who works on it: one after the other in a process apart, so that only that one is rejected; so is one that takes longer
        than `limit` seconds (None: ALONE_S).
        """
        return _joined([self._apart(mail, ALONE_S if limit is None else limit) for mail in mails])

    def _apart(self, mail: Mail, limit: float) -> Worked:
        try:
            if self.apart is None:
                self.apart = Pool(self.work, 1)
            self.apart.submit(0, [mail])
            until = time.monotonic() + limit
            while (left := until - time.monotonic()) > 0:
                for _, result in self.apart.results(left):
                    return self._died(mail, result) if isinstance(result, WorkerDied) else result
        except (OSError, RuntimeError) as error:  # no process can be begun here
            obs.log.error("no process apart", error)
            self.apart = None
            return self.work([mail])
        self.apart.close()
        self.apart = None
        return self._died(mail, WorkerDied(f"it was not read within {limit:.0f} s"))

    def _died(self, mail: Mail, why: WorkerDied) -> Worked:
        return self.work([mail._replace(reason=f"bug: {why}")])

    def close(self) -> None:
        for pool in (self.pool, self.apart):
            if pool is not None:
                pool.close()


def _joined(parts: Sequence[Worked]) -> Worked:
    return Worked([a for part in parts for a in part.arrived], [f for part in parts for f in part.frames])


# ------------------------------------------------------------------------------------------------ committing
def land(
    mails: Sequence[Mail],
    worked: Worked,
    stores: Unit,
    *,
    keep: bool,
    sleep: Callable[[float], None] = time.sleep,
    backoff: Backoff = BACKOFF,
) -> Landed:
    """Commit a batch; where a mail stops it, all others. Raises Transient where a store stays away, UserError where its owner must
    mend something.
    """
    assert len(worked.arrived) == len(mails), "a mail was lost on its way"
    landed = Landed()
    waiting: list[tuple[int, Sequence[Mail], Worked]] = [(0, mails, worked)]
    while waiting:
        first, some, made = waiting.pop()
        try:
            landed.states += _commit(made, stores, sleep, backoff)
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001  one mail must not hold others
            if len(some) == 1:
                landed.failed[first] = error
            else:
                half = len(some) // 2
                waiting += [
                    (first + half, some[half:], work(some[half:], keep=keep)),
                    (first, some[:half], work(some[:half], keep=keep)),
                ]
    return landed


def _commit(worked: Worked, stores: Unit, sleep: Callable[[float], None], backoff: Backoff) -> Counter[str]:
    def once() -> Counter[str]:
        with stores.unit():
            return commit(worked.arrived, worked.frames, stores).states

    def wait(seconds: float) -> None:
        obs.count("retries", 1, place="commit")
        sleep(seconds)

    began = time.monotonic()
    with obs.span("commit", mails=len(worked.arrived)):
        states = persist(once, backoff, wait, random.random)
    obs.timing("commit_time", (time.monotonic() - began) * 1000)
    obs.timing("batch_mails", len(worked.arrived))
    tell(worked.arrived, states)
    return states


def tell(arrived: Sequence[Arrived], states: Mapping[str, int]) -> None:
    """Count what was committed."""
    if not obs.on():
        return
    for state, count in states.items():
        obs.count("mails", count, state=state)
    now = now_ms()
    for one in arrived:
        place = one.sealed.origin
        obs.count("bytes", place.length)
        late = max(0, now - place.mtime_ns // 1_000_000)
        if late < LOST_MS:  # what is older than queues keep messages was there before anybody listened
            obs.timing("stored_latency", late)
