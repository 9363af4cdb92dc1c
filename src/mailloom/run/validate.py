"""S3 events -> what is mail is entered in the ledger and queued for the workers; the rest is rejected with a reason, and set aside.

The order keeps the books: a row is entered before anything is queued, and an event is deleted after that. So an event that comes twice, a
day late, or again after a crash finds its row and is queued again, and the worker's commit makes once of it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from mailloom import obs
from mailloom.config import REPORTS
from mailloom.ports import (
    Blobs,
    Failure,
    Ledger,
    Pointer,
    Queue,
    Receipts,
    Received,
    Stat,
    Transient,
    UserError,
)
from mailloom.run import following
from mailloom.run.causes import cause
from mailloom.run.pointers import NAME_BYTES, copy_to_shadow, dead_letter, dispatch, passed_on, read_event, rejection
from mailloom.run.rollout import PLAIN, Routes
from mailloom.schema import VERSION
from mailloom.sources.detect import HEAD, kind_of
from mailloom.sources.place import MAX_MAIL
from mailloom.wire.clock import now_ms

HEAD_BYTES = 16 << 10
"""Of an object, by one range read: headers of nearly all mail, and twice what the kind of a file is told by."""
COPY_BYTES = 5 << 30
"""S3 copies no larger object in one call; so what is larger stays where it is, rejected."""
QUARANTINE = "quarantine/"
MANIFESTS = "backfill/"
"""Below it each run of a backfill has a prefix with its parts (backfill.py)."""
_PART = re.compile(MANIFESTS + r"[^/]+/part-\d+\.jsonl")
LOOKS = 32  # range reads at a time: each waits some 25 ms for S3 and takes a third of a millisecond
NOBODY, NOBODY_CHARS = "no-mail-has-this-name", 200
"""A key that isn't there, and how much of the folder that it is looked for in: policies may be for a folder."""
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
    """What became of some events; `held` are mails beyond the share that is accepted; `again` are the numbers of those that must come again: their objects couldn't be read."""

    queued: int = 0
    held: int = 0
    rejected: int = 0
    ignored: int = 0
    refused: int = 0
    again: set[int] = field(default_factory=set)


def judge(pointer: Pointer, seen: tuple[bytes, Stat] | None) -> str:
    """Why an object is no mail that can be worked on, "" if it is. `seen`: its first HEAD_BYTES, None where it is gone. Pure."""
    if seen is None:
        return DELETED
    if "\0" in pointer.key:
        return "a key with a NUL, which not every store can keep: copy the object to another key"
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


def is_ours(key: str, quarantine: str) -> bool:
    """Whether we made an object: what was set aside, a report of the shadow worker, or a part of a manifest. It is no mail that came."""
    return key.startswith((quarantine, REPORTS)) or _PART.fullmatch(key) is not None


def too_large(size: int) -> str:
    """Why a mail of so many bytes is not taken; "" if it is."""
    return f"too large: a mail of {size:,} bytes, {MAX_MAIL:,} are allowed" if size > MAX_MAIL else ""


def _by_hand(pointer: Pointer) -> str:
    return f"run `mailloom ingest {pointer.source}/{pointer.key}`"


def is_alone(blobs: Blobs, key: str) -> bool:
    """Whether an object that can't be read is the only one: it lies in an archive, its key of KMS isn't ours. A look for a name that nobody has tells, as
    a bucket that may not be read refuses that too. Raises Transient.
    """
    try:
        blobs.beginning(key[: key.find("/") + 1][:NOBODY_CHARS] + NOBODY, 1)
    except Transient:
        raise
    except UserError:
        return False
    return True


def set_aside(quarantine: str, key: str) -> str:
    """The key under which a rejected object is copied: its own behind the prefix, shortened where that were too long for S3."""
    to = quarantine + key
    if len(to.encode()) <= NAME_BYTES:
        return to
    digest = sha256(key.encode()).hexdigest()
    return to.encode()[: NAME_BYTES - len(digest) - 1].decode("utf-8", "ignore") + "-" + digest


class Validator:
    """`large` takes mail above 10 MB (None: `work` does), `dead` messages that are no events (None: they are left to their queue).

    `routes` says how much mail is accepted, and which of it goes the way of a new version.

    `bucket` is the one that mail lands in: where it can't be read, nothing goes on. An event of another that can't be read, or of a single object, is left
    to its queue.
    """

    def __init__(
        self,
        buckets: Buckets,
        receipts: Receipts,
        ledger: Ledger,
        work: Queue,
        *,
        large: Queue | None = None,
        dead: Queue | None = None,
        routes: Routes = PLAIN,
        quarantine: str = QUARANTINE,
        bucket: str = "",
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.buckets, self.receipts, self.ledger = buckets, receipts, ledger
        self.work, self.large, self.dead = work, large, dead
        self.routes, self.quarantine, self.bucket, self.clock = routes, quarantine, bucket, clock

    def validate(self, events: Sequence[Event]) -> Validated:
        """Raises Transient or UserError where a store as a whole doesn't do; all may be called again."""
        done = Validated()
        pointers: dict[Pointer, int] = {}
        held: dict[Pointer, Mapping[str, str]] = {}
        refused: dict[int, str] = {}
        for number, event in enumerate(events):
            told = read_event(event.body)
            done.ignored += told.ignored
            if told.refused:
                refused[number] = told.refused
            for pointer in told.pointers:
                if is_ours(pointer.key, self.quarantine):
                    done.ignored += 1
                elif not self.routes.accepts(pointer):
                    held[pointer] = passed_on(event.attributes)
                else:
                    pointers.setdefault(pointer, number)
        if pointers:
            self.receipts.received(list(pointers))
            accepted = self._sort(pointers, events, done)
            copy_to_shadow(accepted, self.routes)
        copy_to_shadow(list(held.items()), self.routes)
        self._refuse(events, refused, done)
        done.held += len(held)
        obs.count("events", len(held), outcome="held")
        obs.count("events", done.ignored, outcome="ignored")
        return done

    def admit(self, pointers: Sequence[Pointer]) -> Validated:
        """The same for objects that are known otherwise than by an event; `again` are numbers of pointers. All are accepted, as who brings them wants
        them in; and none is copied for the shadow worker, which looks at mail as it arrives.
        """
        done = Validated()
        if pointers:
            self.receipts.received(pointers)
            self._sort({pointer: number for number, pointer in enumerate(pointers)}, [Event("")] * len(pointers), done)
        return done

    def _refuse(self, events: Sequence[Event], refused: Mapping[int, str], done: Validated) -> None:
        """Last of all: as long as a store is away all is done again, and each time there would be a letter more."""
        for reason in refused.values():
            obs.count("errors", 1, kind="poison", place="validate")
            obs.log.warning("no event", reason=reason)
        done.refused += len(refused)
        if self.dead is None:
            done.again |= refused.keys()
        elif refused:
            letters = ((events[number], reason) for number, reason in refused.items())
            self.dead.send([dead_letter(event.body, event.attributes, reason) for event, reason in letters])

    def _sort(
        self, pointers: Mapping[Pointer, int], events: Sequence[Event], done: Validated
    ) -> list[tuple[Pointer, Mapping[str, str]]]:
        """Reject what is no mail, and send the rest to the workers: that is given back, with the contexts of traces."""
        with ThreadPoolExecutor(min(LOOKS, len(pointers))) as looks:
            seen = list(looks.map(lambda p: self._look(p, events[pointers[p]]), pointers))
        accepted: list[tuple[Pointer, Mapping[str, str]]] = []
        rejections: list[tuple[Pointer, str]] = []
        failed: dict[Pointer, Exception] = {}
        for pointer, (verdict, trace) in zip(pointers, seen, strict=True):
            if isinstance(verdict, Exception):
                done.again.add(pointers[pointer])
                failed[pointer] = verdict
            elif verdict:
                rejections.append((pointer, verdict))
            else:
                accepted.append((pointer, trace))
        self._fail(failed)
        self._reject(rejections)
        sent = dispatch(accepted, self.work, self.large, self.routes)
        done.rejected += len(rejections)
        done.queued += sum(sent)
        outcomes = {"accepted": sent.work, "next": sent.next, "large": sent.large, "rejected": len(rejections)}
        for outcome, count in outcomes.items():
            obs.count("events", count, outcome=outcome)
        return accepted

    def _look(self, pointer: Pointer, event: Event) -> tuple[str | Exception, Mapping[str, str]]:
        """The verdict (an error where there is none), and the context of the trace that this is part of. Raises UserError where the
        bucket that mail lands in can't be used.
        """
        with obs.span("validate", parent=event.attributes, source=pointer.source, path=pointer.key) as span:
            trace = obs.carrier() or passed_on(event.attributes)
            try:
                reason = self._judge(pointer)
            except Exception as error:
                owners = isinstance(error, UserError) and not isinstance(error, Transient)
                if owners and pointer.bucket == self.bucket and not is_alone(self.buckets(self.bucket), pointer.key):
                    raise
                return error, trace
            span.set(outcome=reason or "mail")
            return reason, trace

    def _judge(self, pointer: Pointer) -> str:
        """Why an object is refused, which is copied then to where such are; "" if it is mail."""
        blobs = self.buckets(pointer.bucket)
        reason = judge(pointer, blobs.beginning(pointer.key, HEAD_BYTES, pointer.version))
        if reason and reason not in {DELETED, OVERWRITTEN} and pointer.size <= COPY_BYTES:
            metadata = {"reason": reason, "object": pointer.object}
            blobs.copy(pointer.key, set_aside(self.quarantine, pointer.key), pointer.version, metadata=metadata)
        return reason

    def _fail(self, failed: Mapping[Pointer, Exception]) -> None:
        """Keep why these couldn't be looked at: their events may end as dead letters."""
        kept: dict[Pointer, Failure] = {}
        for pointer, error in failed.items():
            if isinstance(error, Transient):
                obs.count("errors", 1, kind="transient", place="s3")
                continue
            obs.count("errors", 1, kind="poison" if isinstance(error, UserError) else "bug", place="validate")
            obs.log.error("event failed", error, source=pointer.source, path=pointer.key)
            kept[pointer] = Failure(cause(error), VERSION, 1)
        if kept:
            self.receipts.failed(kept)

    def _reject(self, rejections: Sequence[tuple[Pointer, str]]) -> None:
        for pointer, reason in rejections:
            obs.log.warning("rejected", source=pointer.source, path=pointer.key, reason=reason)
        if rejections:
            now = self.clock()
            self.ledger.deliver([rejection(pointer, reason, now) for pointer, reason in rejections])


def follow(
    validator: Validator, queue: Queue, stopped: Callable[[], bool], *, wait: float = 20.0, drain: bool = False
) -> Validated:
    """Validate what comes to a queue of S3's events until it is told to stop, or (`drain`) nothing comes: a Lambda's work where there is none.

    A store that is away is waited for; with `drain` not for ever: then Transient is raised. Raises UserError where the owner must mend
    something.
    """
    total = Validated()

    def work(messages: Sequence[Received]) -> None:
        _validate(validator, queue, messages, total)

    following.follow(queue, work, stopped, place="validate", wait=wait, ended=(lambda: True) if drain else None)
    return total


def _validate(validator: Validator, queue: Queue, messages: Sequence[Received], total: Validated) -> None:
    done = validator.validate([Event(message.body, message.attributes) for message in messages])
    queue.delete([message.receipt for number, message in enumerate(messages) if number not in done.again])
    again = [messages[number] for number in done.again]
    delays = {m.receipt: following.RETURN.delay(Transient(), m.attempts, random.random()) or 0.0 for m in again}  # noqa: S311
    queue.extend(delays)
    total.queued += done.queued
    total.held += done.held
    total.rejected += done.rejected
    total.ignored += done.ignored
    total.refused += done.refused
