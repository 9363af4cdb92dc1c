"""S3 events -> what is mail is entered in the ledger and queued for the workers; the rest is rejected with a reason, and set aside.

The order keeps the books: a row is entered before anything is queued, and an event is deleted after that. So an event that comes twice, a
day late, or again after a crash finds its row and is queued again, and the worker's commit makes once of it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from mailloom import obs
from mailloom.flow.retry import Backoff
from mailloom.ports import Blobs, Ledger, Parcel, Pointer, Queue, Receipts, Received, Stat, Transient
from mailloom.run.pointers import now_ms, pointer_body, read_event, rejection
from mailloom.sources.detect import HEAD, kind_of
from mailloom.sources.place import MAX_MAIL

HEAD_BYTES = 16 << 10
"""Of an object, by one range read: headers of nearly all mail, and twice what the kind of a file is told by."""
LARGE_BYTES = 10 << 20
"""Mail above this goes to a queue of its own, whose workers have the memory for it."""
COPY_BYTES = 5 << 30
"""S3 copies no larger object in one call; so what is larger stays where it is, rejected."""
QUARANTINE = "quarantine/"
PAUSE = Backoff(first=1.0, most=60.0, attempts=1 << 30)
"""How long it waits for a store that is away, by how often it failed."""
HELD_S = 60.0
"""What is held stays hidden for so long beyond the next try."""
DRAINING = Backoff(first=1.0, most=30.0, attempts=8)
"""The same for who wants an end."""
LOOKS = 8  # range reads at a time
DELETED = "deleted before it was read"
OVERWRITTEN = "overwritten before it was read"

Buckets = Callable[[str], Blobs]
"""A bucket's name -> its objects."""


class Event(NamedTuple):
    """A message of S3 with its attributes, among them the context of a trace."""

    body: str
    attributes: Mapping[str, str] = {}


@dataclass(slots=True)
class Validated:
    """What became of some events; `again` are the numbers of those that must come again: their objects couldn't be read now."""

    queued: int = 0
    rejected: int = 0
    ignored: int = 0
    refused: int = 0
    again: set[int] = field(default_factory=set)


def judge(pointer: Pointer, seen: tuple[bytes, Stat] | None) -> str:
    """Why an object is no mail that can be worked on, "" if it is. `seen`: its first HEAD_BYTES, None where it is gone. Pure."""
    if seen is None:
        return DELETED
    head, stat = seen
    if not pointer.version and pointer.etag and stat.etag != pointer.etag:
        return OVERWRITTEN
    kind, looks = kind_of(head[:HEAD], pointer.key.rpartition("/")[2])
    if not stat.size:
        return "not mail: an empty file"
    if kind == "foreign":
        return f"not mail: looks like {looks}"
    if kind not in {"message", "emlx"}:
        return f"a {kind} file, which may hold many mails: {_by_hand(pointer)}"
    return too_large(stat.size)


def too_large(size: int) -> str:
    """Why a mail of so many bytes is not taken; "" if it is."""
    return f"too large: a mail of {size:,} bytes, {MAX_MAIL:,} are allowed" if size > MAX_MAIL else ""


def _by_hand(pointer: Pointer) -> str:
    return f"run `mailloom ingest {pointer.source}/{pointer.key}`"


def passed_on(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """The context of a trace as it came."""
    return {name: attributes[name] for name in ("traceparent", "tracestate", "AWSTraceHeader") if name in attributes}


class Validator:
    """`large` takes mail above 10 MB (None: `work` does), `dead` messages that are no events (None: they are left to their queue)."""

    def __init__(
        self,
        buckets: Buckets,
        receipts: Receipts,
        ledger: Ledger,
        work: Queue,
        *,
        large: Queue | None = None,
        dead: Queue | None = None,
        quarantine: str = QUARANTINE,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.buckets, self.receipts, self.ledger = buckets, receipts, ledger
        self.work, self.large, self.dead = work, large, dead
        self.quarantine, self.clock = quarantine, clock

    def validate(self, events: Sequence[Event]) -> Validated:
        """Raises Transient or UserError where a store as a whole doesn't do; all may be called again."""
        done = Validated()
        pointers: dict[Pointer, int] = {}
        for number, event in enumerate(events):
            told = read_event(event.body)
            done.ignored += told.ignored
            if told.refused:
                self._refuse(event, told.refused, number, done)
            for pointer in told.pointers:
                if pointer.key.startswith(self.quarantine):
                    done.ignored += 1
                else:
                    pointers.setdefault(pointer, number)
        if pointers:
            known = self.receipts.received(list(pointers))
            for source, count in Counter(p.source for p in pointers.keys() - set(known)).items():
                obs.count("books", count, source=source, state="received")
            self._sort(pointers, events, done)
        obs.count("events", done.ignored, outcome="ignored")
        return done

    def _refuse(self, event: Event, reason: str, number: int, done: Validated) -> None:
        done.refused += 1
        obs.count("errors", 1, kind="poison", place="validate")
        obs.log.warning("no event", reason=reason)
        if self.dead is None:
            done.again.add(number)
        else:
            self.dead.send([Parcel(event.body, {**passed_on(event.attributes), "cause": reason})])

    def _sort(self, pointers: Mapping[Pointer, int], events: Sequence[Event], done: Validated) -> None:
        with ThreadPoolExecutor(min(LOOKS, len(pointers))) as looks:
            seen = list(looks.map(lambda p: self._look(p, events[pointers[p]]), pointers))
        small: list[Parcel] = []
        large: list[Parcel] = []
        rejections: list[tuple[Pointer, str]] = []
        for pointer, (verdict, trace) in zip(pointers, seen, strict=True):
            if isinstance(verdict, Transient):
                done.again.add(pointers[pointer])
                obs.count("errors", 1, kind="transient", place="s3")
            elif verdict:
                rejections.append((pointer, verdict))
            else:
                parcel = Parcel(pointer_body(pointer), trace)
                (large if pointer.size > LARGE_BYTES and self.large is not None else small).append(parcel)
        self._reject(rejections)
        self.work.send(small)
        if self.large is not None and large:
            self.large.send(large)
        done.rejected += len(rejections)
        done.queued += len(small) + len(large)
        for outcome, some in (("accepted", small), ("large", large), ("rejected", rejections)):
            obs.count("events", len(some), outcome=outcome)

    def _look(self, pointer: Pointer, event: Event) -> tuple[str | Transient, Mapping[str, str]]:
        """The verdict, and the context of the trace that this is part of."""
        with obs.span("validate", parent=event.attributes, source=pointer.source, path=pointer.key) as span:
            trace = obs.carrier() or passed_on(event.attributes)
            try:
                reason = judge(
                    pointer, self.buckets(pointer.bucket).beginning(pointer.key, HEAD_BYTES, pointer.version)
                )
            except Transient as error:
                return error, trace
            span.set(outcome=reason or "mail")
            return reason, trace

    def _reject(self, rejections: Sequence[tuple[Pointer, str]]) -> None:
        for pointer, reason in rejections:
            obs.log.warning("rejected", source=pointer.source, path=pointer.key, reason=reason)
            if reason not in {DELETED, OVERWRITTEN} and pointer.size <= COPY_BYTES:
                metadata = {"reason": reason, "object": pointer.object}
                to = self.quarantine + pointer.key
                self.buckets(pointer.bucket).copy(pointer.key, to, pointer.version, metadata=metadata)
        if rejections:
            now = self.clock()
            self.ledger.deliver([rejection(pointer, reason, now) for pointer, reason in rejections])
            for source, count in Counter(pointer.source for pointer, _ in rejections).items():
                obs.count("books", count, source=source, state="rejected")


def follow(
    validator: Validator, queue: Queue, stopped: Callable[[], bool], *, wait: float = 20.0, drain: bool = False
) -> Validated:
    """Validate what comes to a queue of S3's events until it is told to stop, or (`drain`) nothing comes: a Lambda's work where there is none.

    A store that is away is waited for; with `drain` not for ever: then Transient is raised.
    """
    total, failures = Validated(), 0
    patience = DRAINING if drain else PAUSE
    messages: Sequence[Received] = ()
    while not stopped():
        try:
            messages = messages or queue.receive(10, wait)
            if not messages and drain:
                break
            if messages:
                done = validator.validate([Event(message.body, message.attributes) for message in messages])
                queue.delete([message.receipt for number, message in enumerate(messages) if number not in done.again])
                messages = ()
                total.queued += done.queued
                total.rejected += done.rejected
                total.ignored += done.ignored
                total.refused += done.refused
            failures = 0
        except Transient as error:
            failures += 1
            delay = patience.delay(error, failures, random.random())  # noqa: S311  no secret
            obs.count("errors", 1, kind="transient", place="validate")
            obs.log.warning("events wait", events=len(messages), why=str(error))
            if delay is None:
                _hide(messages, queue, 0.0)
                raise
            # Held until the store is back: each receiving brings a message nearer to the dead letters.
            _hide(messages, queue, delay + HELD_S)
            _sleep(delay, stopped)
    _hide(messages, queue, 0.0)
    return total


def _hide(messages: Sequence[Received], queue: Queue, seconds: float) -> None:
    if messages:
        with suppress(Transient):  # their visibility ends by itself
            queue.extend({message.receipt: seconds for message in messages})


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not stopped() and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
