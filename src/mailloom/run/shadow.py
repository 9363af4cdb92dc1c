"""Beside the workers: transform copies of the mail that arrives by this version, compare with what is stored, and report what differs.

The rule it keeps: it writes nothing but its reports. A message is deleted after its report was put, so a kill loses nothing; what was
reported and not deleted comes again and is counted twice.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import NamedTuple

from zstandard import ZstdError

from mailloom import obs
from mailloom.config import Worker as Settings
from mailloom.flow.commit import Arrived
from mailloom.mail.model import MessageId
from mailloom.ports import Blobs, Copy, Pointer, Poison, Queue, Reader, Received, Transient, UserError
from mailloom.run.arrivals import Mail, Transformer, fetch, work
from mailloom.run.causes import cause
from mailloom.run.differences import REJECTED, Difference, Said, differences, differing
from mailloom.run.following import follow
from mailloom.run.health import Health, serving_if
from mailloom.run.pointers import read_pointer
from mailloom.run.shadow_reports import Finding, name_of, written
from mailloom.run.signals import on_signals
from mailloom.run.validate import DELETED, OVERWRITTEN, Buckets
from mailloom.schema import unpack
from mailloom.thread.encoding import dump_stated, load_stated
from mailloom.wire.clock import now_ms

LATER = (30.0, 120.0, 480.0)
"""Seconds after which mail that isn't stored yet comes again, by how often it came; then it is absent. With the last look that is 4 receivings, where
queues give a message up after 5.
"""
SOON = (1.0, 1.0, 1.0)
"""The same for who wants an end."""
GATHERED_S = 20.0
"""How long a batch waits to be full: each batch is an object in the bucket, and nobody waits for it."""
STILL = 300.0  # seconds without any movement: it hangs
DAMAGED = "the stored record can't be read: `mailloom doctor`"
_PLACE = re.compile(r"\w{1,100}:\d{1,9}")


class Stored(NamedTuple):
    """What the servers have of a delivery: the version that made it, and what that one says; nothing (None) where it was rejected. `damaged`: the
    stored record can't be read.
    """

    version: str
    said: Said | None
    damaged: bool = False


def judge(pointer: Pointer, arrived: Arrived, stored: Stored | None, *, last: bool) -> Finding | None:
    """What comes of a comparison; None where the mail is not stored yet, and this is not the last look. Pure."""
    sealed = arrived.sealed
    was = stored.version if stored is not None else ""

    def found(outcome: str, differs: Sequence[Difference] = (), reason: str = "") -> Finding:
        return Finding(outcome, pointer, was, sealed.version, tuple(differs), reason)

    if sealed.reason in {DELETED, OVERWRITTEN}:
        return found("absent", reason=sealed.reason)
    if stored is None and not last:
        return None
    if sealed.row is None:
        refused_by_both = stored is not None and stored.said is None
        return found("same" if refused_by_both else "failed", reason=without_words(sealed.reason))
    if stored is None:
        return found("absent", reason="not stored")
    if stored.damaged:
        return found("failed", reason=DAMAGED)
    if stored.said is None:
        return found("changed", [Difference(REJECTED, 0, 0)])
    try:
        differs = differences(stored.said, said_of(arrived))
    except (ValueError, TypeError, AttributeError):  # no JSON, or of another shape: that mail's failure, and no other's
        return found("failed", reason=DAMAGED)
    return found("changed" if differs else "same", differs)


def said_of(arrived: Arrived) -> Said:
    """What this version says of a mail, in the form that stores give back."""
    row, stated = arrived.sealed.row, arrived.sealed.stated
    assert row is not None, "a mail that was refused says nothing"
    assert stated is not None, "a record without evidence"
    return Said(unpack(row.body), load_stated(row.id, dump_stated(stated)))


def without_words(reason: str) -> str:
    """Why this version refuses a mail, without what a library's error may quote of it."""
    if not reason.startswith("bug: "):
        return reason
    kind, place = reason.removeprefix("bug: ").partition(":")[0], reason.rpartition(" at ")[2]
    return f"bug: {kind} at {place}" if _PLACE.fullmatch(place) else f"bug: {kind}"  # long words push the place out


def look_up(reader: Reader, asked: Sequence[tuple[Pointer, Arrived]]) -> dict[int, Stored]:
    """What is stored of these, by their number: by the id that this version gives a mail, else by what the ledger knows of the object (another
    version may call it otherwise, or have refused it). Raises as the reader does.
    """
    ids = {n: arrived.sealed.row.id for n, (_, arrived) in enumerate(asked) if arrived.sealed.row is not None}
    bodies = reader.messages.bodies(set(ids.values()))
    named = {n: message for n, message in ids.items() if message in bodies}
    refused: dict[int, Stored] = {}
    elsewhere = {n: pointer for n, (pointer, _) in enumerate(asked) if n not in named}
    for n, copy in _delivered(reader, elsewhere).items():
        if copy.message is not None:
            named[n] = copy.message
        elif copy.state == "rejected":
            refused[n] = Stored(copy.version, None)
    bodies = {**bodies, **reader.messages.bodies({one for one in named.values() if one not in bodies})}
    known = {one for one in named.values() if one in bodies}
    stated = reader.threads.stated(known)
    versions = _versions(reader, known)
    found = dict(refused)
    for n, message in named.items():
        if message in known:
            body = _record(bodies[message])
            found[n] = Stored(versions.get(message, ""), Said(body, stated.get(message)), damaged=not body)
    return found


def _delivered(reader: Reader, pointers: Mapping[int, Pointer]) -> dict[int, Copy]:
    """The ledger's latest word on each object."""
    if not pointers:
        return {}
    told = reader.deliveries.delivered({(pointer.source, pointer.key) for pointer in pointers.values()})
    by_object = {(copy.source, copy.path, copy.object): copy for copy in told}
    asked = {n: (pointer.source, pointer.key, pointer.object) for n, pointer in pointers.items()}
    return {n: by_object[place] for n, place in asked.items() if place in by_object}


def _versions(reader: Reader, messages: Collection[MessageId]) -> dict[MessageId, str]:
    """Which version made each record: that of the delivery that was stored."""
    copies = reader.deliveries.copies(messages)
    return {
        message: next((one.version for one in some if one.state == "stored"), some[0].version)
        for message, some in copies.items()
    }


def _record(body: bytes) -> bytes:
    with suppress(ZstdError):
        return unpack(body)
    return b""


def _slices(pointers: Iterable[Pointer], most: int) -> Iterator[list[Pointer]]:
    """Parts of about `most` bytes of mail: what is read at a time."""
    some: list[Pointer] = []
    size = 0
    for pointer in pointers:
        some.append(pointer)
        size += pointer.size
        if size >= most:
            yield some
            some, size = [], 0
    if some:
        yield some


# ------------------------------------------------------------------------------------------------ the process
@dataclass(slots=True)
class Shadow:
    """A process on the queue `shadow`. Reports go to `reports`, the bucket that mail lands in (`bucket`): where that can't be read, nothing goes on."""

    queue: Queue
    buckets: Buckets
    reader: Reader
    reports: Blobs
    bucket: str
    settings: Settings = field(default_factory=Settings)
    later: Sequence[float] = LATER
    clock: Callable[[], int] = now_ms
    done: Counter[str] = field(default_factory=Counter)
    moved: float = field(default_factory=time.monotonic)
    stopping: Event = field(default_factory=Event)

    def run(self, *, wait: float = 20.0, drain: bool = False) -> Counter[str]:
        """Work until it is stopped, or (`drain`) the queue is empty; how many mails came to which outcome. Raises UserError, with `drain` Transient."""
        how = self.settings
        seconds = how.batch_seconds if drain else min(GATHERED_S, how.visibility / 4)
        transformer = Transformer(how.jobs, keep=False)
        ended = (lambda: self.queue.depth() == (0, 0)) if drain else None
        try:
            with on_signals(self.stopping.set), serving_if(self.health, how), self._readers() as readers:

                def batch(messages: Sequence[Received]) -> None:
                    self._work_off(messages, transformer, readers)

                follow(
                    *(self.queue, batch, self._is_stopped),
                    place="shadow",
                    wait=wait,
                    most=how.batch,
                    seconds=seconds,
                    ended=ended,
                )
        finally:
            transformer.close()
        return self.done

    def _is_stopped(self) -> bool:
        """Asked between any two steps, so whoever asks moves: an idle queue is no hanging."""
        self.moved = time.monotonic()
        return self.stopping.is_set()

    def _readers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.settings.readers, thread_name_prefix="reader")

    def health(self) -> Health:
        """Whether it moves. Nobody sends it work that could go elsewhere, so it is ready while it lives."""
        still = time.monotonic() - self.moved
        live = still <= STILL
        return Health(live, live and not self.stopping.is_set(), "" if live else f"nothing moved for {still:.0f} s")

    def _work_off(self, messages: Sequence[Received], transformer: Transformer, readers: ThreadPoolExecutor) -> None:
        """Compare what these point to, report, and delete them; who is not stored yet comes again."""
        tasks = self._tasks(messages)
        findings: list[Finding] = []
        receipts: list[str] = []
        again: dict[str, float] = {}
        for pointers in _slices(tasks, self.settings.batch_bytes):
            self.moved = time.monotonic()
            arrived = transformer(list(readers.map(self._fetch, pointers))).arrived
            asked = list(zip(pointers, arrived, strict=True))
            stored = look_up(self.reader, asked)
            for n, (pointer, made) in enumerate(asked):
                came, names = max(m.attempts for m in tasks[pointer]), [m.receipt for m in tasks[pointer]]
                finding = judge(pointer, made, stored.get(n), last=came > len(self.later))
                if finding is None:
                    again |= dict.fromkeys(names, self.later[came - 1])
                else:
                    findings.append(finding)
                    receipts += names
        self._report(findings, [message.id for message in messages])
        try:
            self.queue.delete(receipts)
            self.queue.extend(again)
        except (
            Transient
        ) as error:  # they come again by themselves; the batch at once would be reported as often as this fails
            obs.count("errors", 1, kind="transient", place="shadow")
            obs.log.warning("messages were not deleted", why=str(error))

    def _tasks(self, messages: Sequence[Received]) -> dict[Pointer, list[Received]]:
        """The objects with the messages that point to them. What is no pointer is dropped: a copy was made of it, so `work` has it too."""
        tasks: dict[Pointer, list[Received]] = {}
        for message in messages:
            try:
                tasks.setdefault(read_pointer(message.body), []).append(message)
            except Poison as error:
                obs.count("errors", 1, kind="poison", place="shadow")
                obs.log.error("no pointer", message=message.id, reason=str(error))
                self.queue.delete([message.receipt])
        return tasks

    def _fetch(self, pointer: Pointer) -> Mail:
        try:
            return fetch(self.buckets(pointer.bucket), pointer)
        except Transient:
            raise
        except Exception as error:
            if pointer.bucket == self.bucket and isinstance(error, UserError):
                raise
            return Mail(pointer, None, f"not read: {cause(error)}")

    def _report(self, findings: Sequence[Finding], messages: Sequence[str]) -> None:
        """Put the report of a batch, then count: a batch whose report wasn't put comes again."""
        if not findings:
            return
        now = self.clock()
        self.reports.put(name_of(now, messages), written(findings, now))
        outcomes = Counter(finding.outcome for finding in findings)
        self.done += outcomes
        for outcome, count in outcomes.items():
            obs.count("shadow", count, outcome=outcome)
        fields = Counter(name for finding in findings for name in {one.field for one in finding.differences})
        for name, count in fields.items():
            obs.count("shadow_changes", count, field=name)
        for finding in findings:
            if finding.outcome == "failed":
                place = finding.pointer
                obs.log.warning("shadow failed", source=place.source, path=place.key, reason=finding.reason)


# ------------------------------------------------------------------------------------------------ one mail
def compared(
    buckets: Buckets, reader: Reader, bucket: str, key: str
) -> tuple[Finding, Sequence[tuple[str, object, object]]]:
    """What this version makes of the object that is there now, against what is stored: the finding, and (path, stored, new) of each field that
    differs, with what the mail says. Raises UserError where there is no such object, and as bucket and reader do.
    """
    seen = buckets(bucket).beginning(key, 1)
    if seen is None:
        raise UserError(f"s3://{bucket} has no object {key!r}: `mailloom shadow report` names keys")
    stat = seen[1]
    pointer = Pointer(bucket, key, stat.version, stat.etag, stat.size, stat.modified)
    (arrived,) = work([fetch(buckets(bucket), pointer)], keep=False).arrived
    stored = look_up(reader, [(pointer, arrived)]).get(0)
    finding = judge(pointer, arrived, stored, last=True)
    assert finding is not None, "the last look always ends"
    if finding.outcome == "failed":
        finding = finding._replace(reason=arrived.sealed.reason or finding.reason)  # whole: who asks may read the mail
    if finding.outcome != "changed" or stored is None or stored.said is None:
        return finding, ()
    return finding, list(differing(stored.said, said_of(arrived)))
