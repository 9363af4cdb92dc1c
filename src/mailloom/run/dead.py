"""Dead letters: pointers and events that their queue gave up after the last receiving, and messages that never were either. Listed by cause, looked
at, put to work again, or dropped.

SQS has no way to look at a message without receiving it, so whoever looks holds them for a while; they are given back at the end, or by
themselves once that while is over. Putting to work sends first and deletes after: done twice it is done once, as work is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from mailloom.ports import Failure, Ledger, Pointer, Poison, Queue, Receipts, Received, Transient, UserError
from mailloom.run.pointers import COPY, dispatch, passed_on, read_event, read_pointer, rejection
from mailloom.run.rollout import PLAIN, Routes
from mailloom.run.validate import QUARANTINE, Buckets, is_ours
from mailloom.wire.clock import now_ms

MOST = 10_000  # letters that are looked at in one go
ATONCE = (
    100  # letters that are done with before the next are begun: who is stopped leaves no more of them to be done twice
)
EMPTY = 3  # receivings in a row that bring nothing: a queue is spread over servers, and one answer asks a few
HEAD = 16 << 10
ID_DIGITS = 4  # fewer digits are a group's number, not the beginning of an id: nobody shall drop the wrong letter
DROPPED = "dropped by hand"
_PLACED = re.compile(r"\w+ at [^ :]+:\d+")  # as arrivals.cause says it
UNTAKEN = "an event of S3 that no validator took: none was there, or a store was away at each of its receivings"
OURS = "an event of S3 that no validator took, of what mailloom put there itself: there is nothing to do"
COPIED = "a copy for the shadow worker, which was stopped over it each time: the mail itself goes its own way"
UNKNOWN = "no reason was kept: who received it was killed, or a store was away, each time"


class Letter(NamedTuple):
    """One dead letter; `objects` are what it brings in: one for a pointer, those of its records for an event of S3, else (no
    message of ours, or a copy for the shadow worker, which has `copied`) none.
    """

    message: Received
    objects: tuple[Pointer, ...]
    failure: Failure
    copied: Pointer | None = None

    @property
    def pointer(self) -> Pointer | None:
        """What it points to, the first of several."""
        return self.objects[0] if self.objects else self.copied

    @property
    def id(self) -> str:
        """What it is called on the command line."""
        return self.message.id

    @property
    def cause(self) -> str:
        """What letters are grouped by: the kind of the error and its place, without what differs from mail to mail."""
        placed = _PLACED.match(self.failure.reason)
        return placed[0] if placed else self.failure.reason


class Group(NamedTuple):
    """Letters with one cause, the group's number first; `first` and `last` are when they were sent (ms)."""

    number: int
    cause: str
    letters: tuple[Letter, ...]
    first: int
    last: int
    versions: tuple[str, ...]


@contextmanager
def looking(dead: Queue, receipts: Receipts, most: int = MOST, quarantine: str = QUARANTINE) -> Iterator[list[Letter]]:
    """The dead letters (at most so many), held meanwhile and given back at the end, but for those deleted by then."""
    messages = _received(dead, most)
    try:
        yield _read(messages, receipts, quarantine)
    finally:
        dead.extend({message.receipt: 0 for message in messages})


def _received(dead: Queue, most: int) -> list[Received]:
    found: dict[str, Received] = {}
    empty = 0
    while len(found) < most and empty < EMPTY:
        some = dead.receive(10, 0)
        # Of very many the first are seen again before the last is: they bring nothing new, or there were no end.
        empty = 0 if any(message.id not in found for message in some) else empty + 1
        found.update({message.id: message for message in some})
    return list(found.values())


def _read(messages: Sequence[Received], receipts: Receipts, quarantine: str) -> list[Letter]:
    objects: dict[str, tuple[Pointer, ...]] = {}
    why: dict[str, str] = {}
    copied: dict[str, Pointer] = {}
    for message in messages:
        if (
            COPY in message.attributes
        ):  # its mail may be held back, or stored long since: it is neither worked on nor rejected
            objects[message.id], why[message.id] = (), COPIED
            with suppress(Poison):
                copied[message.id] = read_pointer(message.body)
            continue
        try:
            objects[message.id] = (read_pointer(message.body),)
        except Poison as error:
            told = read_event(message.body).pointers
            mail = tuple(pointer for pointer in told if not is_ours(pointer.key, quarantine))
            objects[message.id] = mail
            why[message.id] = UNTAKEN if mail else OURS if told else str(error)
    failures = receipts.failures({pointer for some in objects.values() for pointer in some})
    letters = []
    for message in messages:
        known = next((failures[p] for p in objects[message.id] if p in failures), None)
        said = message.attributes.get("cause") or why.get(message.id) or UNKNOWN
        letters.append(Letter(message, objects[message.id], known or Failure(said, "", 0), copied.get(message.id)))
    return letters


def grouped(letters: Sequence[Letter]) -> list[Group]:
    """By cause, the largest first."""
    by_cause: dict[str, list[Letter]] = {}
    for letter in letters:
        by_cause.setdefault(letter.cause, []).append(letter)
    ordered = sorted(by_cause.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Group(
            number,
            cause,
            tuple(some),
            min(letter.message.sent for letter in some),
            max(letter.message.sent for letter in some),
            tuple(sorted({letter.failure.version for letter in some} - {""})),
        )
        for number, (cause, some) in enumerate(ordered, 1)
    ]


def chosen(letters: Sequence[Letter], which: str) -> list[Letter]:
    """Those that are meant: "all", a group's number, or the beginning of one letter's id. Raises UserError where that names nothing, or several."""
    if which == "all":
        return list(letters)
    if which.isdigit() and len(which) < ID_DIGITS:
        groups = grouped(letters)
        if not 1 <= int(which) <= len(groups):
            raise UserError(f"no dead letter or group {which}: `mailloom dead list` names them")
        return list(groups[int(which) - 1].letters)
    found = [letter for letter in letters if which and letter.id.startswith(which)]
    if len(found) == 1:
        return found
    if found:
        raise UserError(f"{which} begins {len(found)} letters' ids: give more of it")
    raise UserError(f"no dead letter or group {which}: `mailloom dead list` names them")


def head(letter: Letter, buckets: Buckets) -> bytes | None:
    """The mail's header, as far as the first 16 KB of it go; None where the object is gone, there never was one, or its bucket
    can't be read.
    """
    if letter.pointer is None:
        return None
    try:
        seen = buckets(letter.pointer.bucket).beginning(letter.pointer.key, HEAD, letter.pointer.version)
    except Transient:
        raise
    except UserError:  # there is no such bucket, or it isn't ours: that may be why the letter is dead
        return None
    if seen is None:
        return None
    end = re.search(rb"\r?\n\r?\n", seen[0])
    return seen[0][: end.start()] if end else seen[0]


def retry(
    letters: Sequence[Letter],
    dead: Queue,
    receipts: Receipts,
    work: Queue,
    large: Queue | None = None,
    *,
    routes: Routes = PLAIN,
) -> int:
    """Put letters to work again; how many. Those that point to nothing stay: no worker can do anything with them. What an event tells of goes to
    the workers too, who judge it as the validator would have.
    """
    pointing = [letter for letter in letters if letter.objects]
    for start in range(0, len(pointing), ATONCE):
        letters = pointing[start : start + ATONCE]
        receipts.received(list(dict.fromkeys(pointer for letter in letters for pointer in letter.objects)))
        some = [(pointer, passed_on(letter.message.attributes)) for letter in letters for pointer in letter.objects]
        dispatch(some, work, large, routes)
        dead.delete([letter.message.receipt for letter in letters])
    return len(pointing)


def drop(letters: Sequence[Letter], dead: Queue, ledger: Ledger) -> int:
    """Give letters up: their deliveries are rejected, by hand; how many letters."""
    now = now_ms()
    for start in range(0, len(letters), ATONCE):
        some = letters[start : start + ATONCE]
        rows = [
            rejection(pointer, f"{DROPPED} ({letter.failure.reason})", now)
            for letter in some
            for pointer in letter.objects
        ]
        if rows:
            ledger.deliver(rows)
        dead.delete([letter.message.receipt for letter in some])
    return len(letters)
