"""A copy for the shadow worker that became a dead letter: nothing happens to its mail because of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest

from mailloom.config import Rollout
from mailloom.ports import Failure, Parcel, Pointer, Received
from mailloom.run import dead
from mailloom.run.pointers import copy_to_shadow, dispatch
from mailloom.run.rollout import Routes

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def pointer(number: int) -> Pointer:
    return Pointer("mail", f"raw/{number}", "", f"{number:032x}", 100, 1)


class Queue:
    """Keeps what it is sent, as SQS does with its attributes when a message moves to the dead letters."""

    def __init__(self) -> None:
        self.kept: dict[str, Parcel] = {}
        self.held: set[str] = set()

    def send(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            self.kept[f"m{len(self.kept)}"] = parcel

    def receive(self, most: int, wait: float) -> list[Received]:
        assert most > len(self.kept) >= wait
        seen = [id_ for id_ in self.kept if id_ not in self.held]
        self.held |= set(seen)
        return [Received(id_, id_, self.kept[id_].body, self.kept[id_].attributes, 6, 0) for id_ in seen]

    def extend(self, receipts: Mapping[str, float]) -> None:
        self.held -= set(receipts)

    def delete(self, receipts: Sequence[str]) -> None:
        for receipt in receipts:
            del self.kept[receipt]


class Receipts:
    def __init__(self) -> None:
        self.accepted: list[Pointer] = []
        self.asked: set[Pointer] = set()

    def failures(self, pointers: set[Pointer]) -> Mapping[Pointer, Failure]:
        self.asked |= pointers
        return {}

    def received(self, pointers: Sequence[Pointer]) -> None:
        self.accepted += pointers


class Ledger:
    def __init__(self) -> None:
        self.rows: list[Any] = []

    def deliver(self, rows: Sequence[Any]) -> None:
        self.rows += rows


@pytest.fixture
def letters() -> Queue:
    """A copy, and a pointer of its own."""
    queue: Any = Queue()
    copy_to_shadow([(pointer(1), TRACE)], Routes(Rollout(shadow=1.0), None, queue))
    dispatch([(pointer(2), TRACE)], queue)
    assert all(TRACE.items() <= one.attributes.items() for one in queue.kept.values())
    return queue


def test_a_copy_is_not_put_to_work(letters: Any) -> None:
    """In a first phase `shadow` its mail was held back, and nobody accepted it."""
    receipts, work = Receipts(), Queue()
    with dead.looking(letters, receipts) as found:  # type: ignore[arg-type]
        assert sorted(len(one.objects) for one in found) == [0, 1]
        assert {one.cause for one in found} == {dead.COPIED, dead.UNKNOWN}
        assert {one.pointer for one in found} == {pointer(1), pointer(2)}  # `mailloom shadow show` wants its key
        assert dead.retry(found, letters, receipts, work) == 1  # type: ignore[arg-type]
    assert receipts.accepted == [pointer(2)]
    assert receipts.asked == {pointer(2)}
    assert [one.attributes for one in work.kept.values()] == [TRACE]


def test_dropping_a_copy_rejects_no_mail(letters: Any) -> None:
    ledger: Any = Ledger()
    with dead.looking(letters, Receipts()) as found:  # type: ignore[arg-type]
        (copy,) = [one for one in found if one.cause == dead.COPIED]
        assert dead.drop([copy], letters, ledger) == 1
    assert ledger.rows == []
    assert len(letters.kept) == 1


def test_what_we_put_into_the_bucket_ourselves_is_no_mail_though_its_event_is_dead() -> None:
    """Nor is it one that comes to the validator (validate.is_ours): it would be entered in the books."""

    def event(*keys: str) -> Parcel:
        records = [
            {
                "eventName": "ObjectCreated:Copy",
                "eventTime": "2026-09-03T00:14:00.000Z",
                "s3": {"bucket": {"name": "mail"}, "object": {"key": key, "size": 3, "eTag": "e"}},
            }
            for key in keys
        ]
        return Parcel(orjson.dumps({"Records": records}).decode())

    queue, receipts, work = Queue(), Receipts(), Queue()
    queue.send([event("aside/raw/1.png"), event("aside/raw/2.png", "raw/3.eml", "backfill/r/part-00000000.jsonl")])
    with dead.looking(queue, receipts, quarantine="aside/") as found:  # type: ignore[arg-type]
        assert sorted(one.cause for one in found) == [dead.OURS, dead.UNTAKEN]
        assert dead.retry(found, queue, receipts, work) == 1  # type: ignore[arg-type]
    assert [one.key for one in receipts.accepted] == ["raw/3.eml"]
    assert len(work.kept) == len(queue.kept) == 1
