"""Outcomes + Stores -> effects, in a fixed order: write, join, look, finish.

The key of every write follows from the content, so writing twice is writing once; a crash anywhere and a replay give the
state of an undisturbed run. A delivery is a duplicate only of a message whose processing was finished.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailloom import obs
from mailloom.flow.transform import Sealed
from mailloom.mail.model import MessageId
from mailloom.ports import Delivery, FeedEntry, Frame, Ledger, Messages, Raws, Row, Threads, Words
from mailloom.thread.assign import Joined
from mailloom.thread.weave import weave


class Stores(Protocol):
    """What a commit writes to."""

    @property
    def threads(self) -> Threads: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def raws(self) -> Raws: ...


@dataclass(slots=True)
class Committed:
    """What a commit did, for the books and the progress bar."""

    states: Counter[str] = field(default_factory=Counter)
    nested: int = 0
    problems: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A sealed outcome with its arrival: which generation of its place it is, when its bytes were read (ms), and whether it
    is a file that never was mail; `object` as in Delivery.
    """

    sealed: Sealed
    generation: int
    read_at: int
    foreign: bool = False
    object: str = ""


def commit(batch: Sequence[Arrived], frames: Sequence[Frame], stores: Stores) -> Committed:
    """Store a batch of a few hundred mails with their raw bytes. Where the stores share a transaction, the caller holds it."""
    done = Committed()
    with obs.span("keep"):
        stores.raws.keep(frames)
    rows = [(a.sealed.row, a) for a in batch if a.sealed.row is not None]
    with obs.span("finished"):
        finished = stores.messages.finished({row.id for row, _ in rows})
    fresh: dict[MessageId, Arrived] = {}
    for row, arrived in rows:
        if row.id not in finished:
            fresh.setdefault(row.id, arrived)
    with obs.span("put"):
        stores.messages.put([entry for a in fresh.values() if (entry := _entry(a)) is not None])
    with obs.span("weave"):
        joined = weave(stores.threads, [a.sealed.stated for a in fresh.values() if a.sealed.stated is not None])
    if told := _feed(joined, fresh.keys()):
        stores.threads.tell(told)
        obs.count("joins", len(told))
    with obs.span("place"):
        stores.threads.place(fresh.keys())
    with obs.span("finish"):
        stores.messages.finish(fresh.keys())
    deliveries = [_delivery(arrived, fresh) for arrived in batch]
    with obs.span("deliver"):
        stores.ledger.deliver(deliveries)
    for delivery, arrived in zip(deliveries, batch, strict=True):
        done.states[delivery.state] += 1
        if delivery.state == "stored" and (stored := arrived.sealed.row) is not None:
            done.nested += stored.nested
            done.problems.update(stored.problems.split(",") if stored.problems else ())
    return done


def _entry(arrived: Arrived) -> tuple[Row, Words, Sequence[tuple[str, str, str]]] | None:
    sealed = arrived.sealed
    if sealed.row is None or sealed.words is None:
        return None
    place = f"{sealed.origin.source}/{sealed.origin.path}#{arrived.object}" if arrived.object else ""
    return sealed.row._replace(raw=place), sealed.words, sealed.people


def _delivery(arrived: Arrived, fresh: dict[MessageId, Arrived]) -> Delivery:
    sealed = arrived.sealed
    message = sealed.row.id if sealed.row is not None else None
    if message is not None:
        state = "stored" if fresh.get(message) is arrived else "duplicate"
    else:
        state = "foreign" if arrived.foreign else "rejected"
    return Delivery(
        origin=sealed.origin,
        generation=arrived.generation,
        read_at=arrived.read_at,
        state=state,
        message=message,
        raw_sha256=sealed.raw_sha256,
        trace=sealed.trace,
        reason=sealed.reason,
        version=sealed.version,
        object=arrived.object,
    )


def _feed(joined: Sequence[Joined], fresh: Collection[MessageId]) -> list[FeedEntry]:
    """A root that gave way named a conversation, unless it came only now or was a key."""
    new = set(fresh)
    return [
        FeedEntry(MessageId(j.old[1:]), (MessageId(j.new[1:]),), "joined")
        for j in joined
        if j.old[0] == 0 and MessageId(j.old[1:]) not in new
    ]
