"""S3 events -> what is mail is entered in the ledger and queued for the workers; the rest is rejected with a reason, and set aside.

The order keeps the books: a row is entered before anything is queued, and an event is deleted after that. So an event that comes twice, a
day late, or again after a crash finds its row and is queued again, and the worker's commit makes once of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from mailloom import obs
from mailloom.flow.retry import Backoff
from mailloom.ports import Blobs, Ledger, Parcel, Pointer, Queue, Receipts, Stat, Transient, UserError
from mailloom.run.pointers import pointer_body, read_event, rejection
from mailloom.sources.detect import HEAD, kind_of
from mailloom.sources.place import MAX_MAIL
from mailloom.wire.clock import now_ms

HEAD_BYTES = 16 << 10
"""Of an object, by one range read: headers of nearly all mail, and twice what the kind of a file is told by."""
LARGE_BYTES = 10 << 20
"""Mail above this goes to a queue of its own, whose workers have the memory for it."""
COPY_BYTES = 5 << 30
"""S3 copies no larger object in one call; so what is larger stays where it is, rejected."""
QUARANTINE = "quarantine/"
LOOKS = 8  # range reads at a time
LETTER_BYTES = 240_000
"""Of a message that goes to the dead letters: with the cause beside it, it must fit into the 256 KB that a queue takes."""
PAUSE = Backoff(first=1.0, most=60.0, attempts=1 << 30)
"""How long no events are received after a store was away."""
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


def letter(body: str, attributes: Mapping[str, str], cause: str) -> Parcel:
    """A message that nobody can do anything with, and why, as it goes to the dead letters. It came from a stranger: what a queue doesn't take
    (more bytes, control characters in an attribute) is cut or replaced, or this one message would stop who found it.
    """
    words = "".join(c if c.isprintable() else "?" for c in cause[:500])
    kept = body if len(body) * 4 <= LETTER_BYTES else body.encode()[:LETTER_BYTES].decode(errors="ignore")
    return Parcel(kept, {**passed_on(attributes), "cause": words})


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
            self.receipts.received(list(pointers))
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
            self.dead.send([letter(event.body, event.attributes, reason)])

    def _sort(self, pointers: Mapping[Pointer, int], events: Sequence[Event], done: Validated) -> None:
        with ThreadPoolExecutor(min(LOOKS, len(pointers))) as looks:
            seen = list(looks.map(lambda p: self._look(p, events[pointers[p]]), pointers))
        small: list[Parcel] = []
        large: list[Parcel] = []
        rejections: list[tuple[Pointer, str]] = []
        told = [verdict for verdict, _ in seen]
        if all(isinstance(one, UserError) and not isinstance(one, Transient) for one in told):
            assert isinstance(told[0], UserError)
            raise told[0]  # nothing can be read here: its owner must mend something
        for pointer, (verdict, trace) in zip(pointers, seen, strict=True):
            if isinstance(verdict, UserError):
                done.again.add(pointers[pointer])
                obs.count("errors", 1, kind="transient", place="s3")
                obs.log.warning("object can't be read", source=pointer.source, path=pointer.key, why=str(verdict))
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

    def _look(self, pointer: Pointer, event: Event) -> tuple[str | UserError, Mapping[str, str]]:
        """The verdict, or why there is none (a bucket that can't be read may be a stranger's, and must not hold up others), and the context of the trace that this is part of."""
        with obs.span("validate", parent=event.attributes, source=pointer.source, path=pointer.key) as span:
            trace = obs.carrier() or passed_on(event.attributes)
            try:
                reason = judge(
                    pointer, self.buckets(pointer.bucket).beginning(pointer.key, HEAD_BYTES, pointer.version)
                )
            except UserError as error:
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


def follow(
    validator: Validator,
    queue: Queue,
    stopped: Callable[[], bool],
    *,
    wait: float = 20.0,
    drain: bool = False,
    sleep: Callable[[float], object] = time.sleep,
) -> Validated:
    """Validate what comes to a queue of S3's events until it is told to stop, or (`drain`) nothing comes: a Lambda's work where there is none.
    While a store is away it waits; what it had received comes again.
    """
    total = Validated()
    failures = 0
    while not stopped():
        try:
            messages = queue.receive(10, wait)
            if not messages and drain:
                break
            if not messages:
                continue
            done = validator.validate([Event(message.body, message.attributes) for message in messages])
            queue.delete([message.receipt for number, message in enumerate(messages) if number not in done.again])
        except Transient as error:
            failures += 1
            obs.count("errors", 1, kind="transient", place="validate")
            obs.log.warning("validator waits", why=str(error))
            sleep(PAUSE.delay(error, failures, random.random()) or 0.0)  # noqa: S311  no secret
            continue
        failures = 0
        total.queued += done.queued
        total.rejected += done.rejected
        total.ignored += done.ignored
        total.refused += done.refused
    return total
