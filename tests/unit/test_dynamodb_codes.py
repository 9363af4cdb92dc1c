"""What becomes of each code that DynamoDB may answer for one of many: of a statement in a batch, of an action in a transaction."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailloom.ports import Fenced, Transient, UserError
from mailloom.stores.dynamodb.statements import Change, Dynamo

KEYS = [b"one", b"two", b"three"]
CHANGES = [Change(key, b"", b"new") for key in KEYS]
LEASE = ("nodes", b"lease", 7)
BUSY = ["ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict", "RequestLimitExceeded", "InternalServerError"]  # fmt: skip
THERE = {"b": {"B": b"there"}}


class Service:
    """Answers the second of three with a code, for so many times; then all is well."""

    meta = SimpleNamespace(endpoint_url="http://dynamodb.example.org", region_name="eu-central-1")

    def __init__(self, code: str, times: int = 1 << 30, at: int = 1) -> None:
        self.code, self.times, self.at = code, times, at
        self.asked: list[list[bytes]] = []

    def _spoils(self) -> bool:
        self.times -= 1
        return self.times >= 0

    def batch_execute_statement(self, Statements: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        self.asked.append([one["Parameters"][0]["B"] for one in Statements])
        spoiled = KEYS[self.at] if self._spoils() else None
        error = {"Error": {"Code": self.code, "Message": "why", "Item": THERE}}
        return {"Responses": [error if key == spoiled else {} for key in self.asked[-1]]}

    def transact_write_items(self, TransactItems: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        self.asked.append([one["Put"]["Item"]["k"]["B"] for one in TransactItems[1:]])
        if not self._spoils():
            return {}
        reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in TransactItems]
        reasons[self.at] = {"Code": self.code, "Message": "why", "Item": THERE}
        answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise ClientError(answer, "TransactWriteItems")


def dynamo(service: Service) -> Dynamo:
    return Dynamo(service, attempts=4, sleep=lambda _: None)


@pytest.mark.parametrize("code", BUSY)
def test_what_was_busy_is_done_again_and_that_alone(code: str) -> None:
    service = Service(code, times=2)
    assert dynamo(service).write("nodes", CHANGES) == {}
    assert service.asked == [KEYS, [b"two"], [b"two"]]
    service = Service(code, times=2, at=2)
    assert dynamo(service).write_fenced("nodes", CHANGES, LEASE) == {}
    assert service.asked == [KEYS] * 3, "all or none"
    for write in (dynamo(Service(code)).write, lambda *some: dynamo(Service(code)).write_fenced(*some, LEASE)):
        with pytest.raises(Transient, match=f"{code}, 4 times"):
            write("nodes", CHANGES)


@pytest.mark.parametrize("code", ["ConditionalCheckFailed", "DuplicateItem"])
def test_what_was_refused_is_told_with_what_is_there(code: str) -> None:
    assert dynamo(Service(code)).write("nodes", CHANGES) == {b"two": b"there"}
    assert dynamo(Service(code, at=2)).write_fenced("nodes", CHANGES, LEASE) == {b"two": b"there"}


def test_a_lease_that_was_lost_is_told_and_one_that_is_busy_is_waited_for() -> None:
    with pytest.raises(Fenced):
        dynamo(Service("ConditionalCheckFailed", at=0)).write_fenced("nodes", CHANGES, LEASE)
    assert dynamo(Service("TransactionConflict", times=1, at=0)).write_fenced("nodes", CHANGES, LEASE) == {}


@pytest.mark.parametrize(
    ("code", "error"),
    [("AccessDenied", UserError), ("ResourceNotFound", UserError), ("ValidationError", ClientError)],
)
def test_what_no_patience_mends_is_asked_once(code: str, error: type[Exception]) -> None:
    for service, write in (
        (one := Service(code), lambda: dynamo(one).write("nodes", CHANGES)),
        (two := Service(code), lambda: dynamo(two).write_fenced("nodes", CHANGES, LEASE)),
    ):
        with pytest.raises(error) as caught:
            write()
        assert caught.type is error
        assert len(service.asked) == 1
