"""The ledger in DynamoDB: what landed comes to one end, whatever comes twice, late or at the same time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.credentials import Credentials

from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Books, Delivery, Failure, Pointer, UserError
from mailloom.stores.aws_json import JsonClient
from mailloom.stores.dynamodb import Dynamo, DynamoLedger, create

pytestmark = pytest.mark.servers

ONE, TWO = MessageId(b"1" * 16), MessageId(b"2" * 16)
CLOCK = 1_800_000_000_000


def pointer(n: int, version: str = "v1", bucket: str = "mail") -> Pointer:
    return Pointer(bucket, f"raw/{n}.eml", version, f"etag{n}", 100 + n, CLOCK - 1000 + n)


def delivery(at: Pointer, state: str = "stored", message: MessageId | None = ONE, reason: str = "") -> Delivery:
    origin = Origin(at.source, at.key, 0, at.size, at.size, 0, at.at)
    return Delivery(origin, 0, CLOCK, state, message, b"s" * 32, b"{}", reason, "1.0", object=at.object)


@pytest.fixture(params=["boto3", "json"])
def dynamo(boto: Callable[[str], Any], prefix: str, request: pytest.FixtureRequest) -> Dynamo:
    client = boto("dynamodb")
    create(client, prefix)
    return Dynamo(JsonClient(client, Credentials("test", "test")) if request.param == "json" else client, prefix)


@pytest.fixture
def ledger(dynamo: Dynamo) -> DynamoLedger:
    return DynamoLedger(dynamo, lambda: CLOCK)


def states(ledger: DynamoLedger, at: Pointer) -> list[tuple[str, str, MessageId | None]]:
    return [(entry.object, entry.state, entry.message) for entry in ledger.where(at.source, at.key)]


def test_what_was_there_is_told(ledger: DynamoLedger) -> None:
    first = [pointer(n) for n in range(60)]
    assert not ledger.received(first)
    assert list(ledger.received([pointer(3), pointer(99), pointer(3), pointer(4, "v2")])) == [pointer(3), pointer(3)]
    assert states(ledger, pointer(4)) == [("v1", "received", None), ("v2", "received", None)]


def test_a_delivery_brings_a_row_to_its_end_and_late_events_change_nothing(ledger: DynamoLedger) -> None:
    ledger.received([pointer(1), pointer(2)])
    ledger.deliver(
        [delivery(pointer(1)), delivery(pointer(2), "duplicate"), delivery(pointer(3), "rejected", None, "no mail")]
    )
    ended = [("v1", "stored", ONE)], [("v1", "duplicate", ONE)], [("v1", "rejected", None)]
    for _ in range(2):
        assert tuple(states(ledger, pointer(n)) for n in (1, 2, 3)) == ended
        assert len(ledger.received([pointer(1), pointer(2), pointer(3)])) == 3
        ledger.deliver([delivery(pointer(1), "duplicate"), delivery(pointer(1), "rejected", None, "deleted")])
        ledger.deliver([delivery(pointer(2), "rejected", None, "deleted")])
        ledger.failed({pointer(1): Failure("late", "1.0", 9)})
    [entry] = ledger.where("s3://mail", pointer(1).key)
    assert (entry.size, entry.at, entry.read_at, entry.version, entry.reason) == (101, CLOCK - 999, CLOCK, "1.0", "")


def test_the_same_object_twice_in_a_batch_is_stored_once(ledger: DynamoLedger) -> None:
    ledger.deliver(
        [
            delivery(pointer(1)),
            delivery(pointer(1), "duplicate"),
            delivery(pointer(2), "rejected", None),
            delivery(pointer(2)),
        ]
    )
    assert states(ledger, pointer(1)) == [("v1", "stored", ONE)]
    assert states(ledger, pointer(2)) == [("v1", "stored", ONE)]


def test_what_was_rejected_can_be_stored_later_and_by_another_version_be_another_message(ledger: DynamoLedger) -> None:
    ledger.deliver([delivery(pointer(1), "rejected", None, "bug")])
    ledger.deliver([delivery(pointer(1))])
    assert [(e.state, e.reason) for e in ledger.where("s3://mail", pointer(1).key)] == [("stored", "")]
    ledger.deliver([delivery(pointer(1), "stored", TWO)])
    assert states(ledger, pointer(1)) == [("v1", "stored", TWO)]


def test_places_inside_a_container_are_rows_of_their_own(ledger: DynamoLedger) -> None:
    for start in (0, 500):
        origin = Origin("/mail", "box", start, 100, 1000, 5)
        ledger.deliver([Delivery(origin, 0, CLOCK, "stored", ONE, b"", b"", "", "1.0")])
    assert [entry.object for entry in ledger.where("/mail", "box")] == ["0 100 0", "500 100 0"]


def test_failures_stay_with_what_is_pending(ledger: DynamoLedger) -> None:
    ledger.received([pointer(1), pointer(2)])
    why = Failure("PostgreSQL is away", "1.0", 2)
    ledger.failed({pointer(1): why, pointer(3): why})
    assert ledger.failures([pointer(1), pointer(2), pointer(3)]) == {pointer(1): why, pointer(3): why}
    assert states(ledger, pointer(3)) == [("v1", "received", None)]
    ledger.deliver([delivery(pointer(1))])
    assert ledger.failures([pointer(1)]) == {}


def test_what_came_to_its_end_is_told_apart(ledger: DynamoLedger) -> None:
    ledger.received([pointer(n) for n in range(130)])
    ends = ("stored", "duplicate", "rejected")
    ledger.deliver([delivery(pointer(n), ends[n % 3], ONE if n % 3 < 2 else None) for n in range(120)])
    asked = [pointer(n) for n in range(150)] + [pointer(1, "v2")]
    before = ledger.dynamo.spent.read.total()
    assert set(ledger.finished(asked)) == {pointer(n) for n in range(120)}
    assert ledger.dynamo.spent.read.total() - before <= len(asked) / 2
    assert not ledger.finished([])


def test_what_is_pending_is_as_old_as_what_was_last_heard_of_it(dynamo: Dynamo) -> None:
    now = CLOCK
    ledger = DynamoLedger(dynamo, lambda: now)
    ledger.received([pointer(n)._replace(at=1000 + n) for n in range(3)])  # a backfill's: in their bucket for years
    assert ledger.pending(CLOCK) == []
    assert ledger.overdue(CLOCK) == 0
    now += 50
    ledger.received([pointer(3)])
    assert [e.path for e in ledger.pending(CLOCK + 1)] == [f"raw/{n}.eml" for n in range(3)]
    ledger.failed({pointer(1): Failure("PostgreSQL is away", "1.0", 2)})
    ledger.deliver([delivery(pointer(2))])
    assert [e.path for e in ledger.pending(CLOCK + 1)] == ["raw/0.eml"]
    assert [ledger.overdue(CLOCK + n) for n in (1, 51)] == [1, 3]


def test_the_books_balance_by_source_and_scope(dynamo: Dynamo, ledger: DynamoLedger) -> None:
    ledger.received([pointer(n) for n in range(30)] + [pointer(n, bucket="other") for n in range(5)])
    ledger.deliver([delivery(pointer(n), ("stored", "duplicate")[n % 2]) for n in range(20)])
    ledger.deliver([delivery(pointer(20), "rejected", None, "no mail")])
    ledger.advance("raw/", "", "raw/3")
    DynamoLedger(dynamo, lambda: CLOCK, "other scope").received([pointer(1)])
    assert ledger.books() == {"s3://mail": Books(30, 10, 10, 1, 9), "s3://other": Books(5, 0, 0, 0, 5)}
    assert [(e.path, e.reason) for e in ledger.rejected()] == [("raw/20.eml", "no mail")]
    assert [ledger.overdue(CLOCK + n) for n in (0, 1)] == [0, 14]
    assert DynamoLedger(dynamo, lambda: CLOCK, "other scope").books() == {"s3://mail": Books(1, 0, 0, 0, 1)}
    assert DynamoLedger(dynamo, lambda: CLOCK, "third").where("s3://mail", pointer(1).key) == []


def test_books_are_counted_as_rows_change_and_balance_whatever_comes_again(
    dynamo: Dynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the alarm reads are the counts; what is true are the rows."""
    counted: Counter[tuple[str, str]] = Counter()

    def count(name: str, value: float, *, source: str, state: str) -> None:
        assert name == "books"
        counted[source, state] += int(value)

    monkeypatch.setattr("mailloom.stores.dynamodb.ledger.obs.count", count)
    dice = random.Random(6)
    ledgers = [DynamoLedger(dynamo, lambda: CLOCK) for _ in range(2)]
    some = [pointer(n, bucket=("mail", "other")[n % 2]) for n in range(30)]
    outcomes = [("stored", ONE, ""), ("duplicate", ONE, ""), ("duplicate", TWO, ""), ("rejected", None, "no mail")]
    for _ in range(40):
        ledger, batch = dice.choice(ledgers), dice.sample(some, 8)
        step = dice.randrange(4)
        if step == 0:
            ledger.received(batch)
        elif step == 1:
            ledger.failed(dict.fromkeys(batch, Failure("bug", "1.0", 1)))
        else:
            ends = [(at, *dice.choice(outcomes)) for at in batch]
            ledger.deliver([delivery(at, state, message, why) for at, state, message, why in ends])
        for source, books in ledger.books().items():
            pending = counted[source, "received"] - sum(counted[source, s] for s in ("stored", "duplicate", "rejected"))
            assert pending == books.pending
    assert min(counted["s3://mail", s] for s in ("stored", "duplicate", "rejected")) > 0


def test_a_scan_goes_through_all_pages(dynamo: Dynamo, ledger: DynamoLedger) -> None:
    """A page is at most 1 MB."""
    long = "x" * 900
    ledger.received([Pointer("mail", f"{long}{n}", "v1", "", 1, CLOCK) for n in range(6000)])
    assert ledger.books()["s3://mail"].pending == 6000


def test_one_goes_on_with_a_prefix(ledger: DynamoLedger) -> None:
    assert ledger.progress("raw/") == ""
    assert ledger.advance("raw/", "", "raw/5")
    assert not ledger.advance("raw/", "", "raw/6"), "somebody else is at work"
    assert ledger.advance("raw/", "raw/5", "raw/9")
    assert ledger.progress("raw/") == "raw/9"
    assert ledger.progress("other/") == ""


def test_a_row_costs_two_units_in_all(dynamo: Dynamo, ledger: DynamoLedger) -> None:
    ledger.received([pointer(n) for n in range(100)])
    ledger.deliver([delivery(pointer(n)) for n in range(100)])
    assert dynamo.spent.written["ledger"] == 200
    assert dynamo.spent.read["ledger"] == 0
    assert dynamo.spent.calls["batch_execute_statement"] == 8


def test_missing_tables_are_told(boto: Callable[[str], Any]) -> None:
    nothing = DynamoLedger(Dynamo(boto("dynamodb"), "nothing-here-"), lambda: CLOCK)
    with pytest.raises(UserError, match="no DynamoDB tables nothing-here-"):
        nothing.received([pointer(1)])
    with pytest.raises(UserError, match="no DynamoDB tables"):
        nothing.where("s3://mail", "x")
