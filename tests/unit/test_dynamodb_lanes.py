"""Calls of one step go side by side; what the caller is told of them is as if they had gone one after another, and nothing goes on behind its back."""

from __future__ import annotations

from threading import Barrier, Event, Lock
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailloom.ports import Transient
from mailloom.stores.dynamodb.statements import KEYS, LANES, STATEMENTS, Change, Dynamo

FAR = 10.0  # seconds that a test waits for what must come


class Table:
    """What Dynamo calls of a client: each statement of a batch inserts a key, or is refused with the value that is there."""

    meta = SimpleNamespace(endpoint_url="http://dynamodb.example.org", region_name="eu-central-1")

    def __init__(self) -> None:
        self.items: dict[bytes, bytes] = {}
        self.sizes: list[int] = []
        self.lock = Lock()

    def batch_execute_statement(self, Statements: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        with self.lock:
            self.sizes.append(len(Statements))
            return {"Responses": [self._insert(one["Parameters"]) for one in Statements]}

    def _insert(self, parameters: list[dict[str, bytes]]) -> dict[str, Any]:
        key, value = (one["B"] for one in parameters)
        if key in self.items:
            return {"Error": {"Code": "DuplicateItem"}}
        self.items[key] = value
        return {}

    def batch_get_item(self, RequestItems: dict[str, Any], **_: Any) -> dict[str, Any]:
        ((name, asked),) = RequestItems.items()
        found = [
            {"k": key["k"], "b": {"B": self.items[key["k"]["B"]]}}
            for key in asked["Keys"]
            if key["k"]["B"] in self.items
        ]
        return {"Responses": {name: found}}


def changes(count: int) -> list[Change]:
    return [Change(b"%06d" % number, b"", b"value %d" % number) for number in range(count)]


@pytest.mark.parametrize("lanes", [1, 2, LANES])
@pytest.mark.parametrize("count", [0, 1, STATEMENTS, STATEMENTS + 1, 20 * STATEMENTS + 7])
def test_all_is_written_and_told_whatever_the_lanes(lanes: int, count: int) -> None:
    table = Table()
    there = {change.key: b"other" for change in changes(count)[::7]}
    table.items.update(there)
    dynamo = Dynamo(table, lanes=lanes)
    refused = dynamo.write("nodes", changes(count))
    assert list(refused) == sorted(there)
    assert set(table.items) == {change.key for change in changes(count)}
    assert sum(table.sizes) == count
    assert max(table.sizes, default=0) <= STATEMENTS
    assert dynamo.spent.calls["batch_execute_statement"] == -(-count // STATEMENTS)
    assert dynamo.spent.written["nodes"] == count
    keys = [change.key for change in changes(count + 3 * KEYS)]
    assert list(dynamo.read("nodes", keys)) == sorted(table.items)


def test_calls_of_a_step_are_under_way_at_the_same_time() -> None:
    """None of them is answered before as many as there are lanes have come."""
    table, together = Table(), Barrier(LANES)
    plain = table.batch_execute_statement
    table.batch_execute_statement = lambda **given: (together.wait(FAR), plain(**given))[1]  # type: ignore[method-assign]
    Dynamo(table).write("nodes", changes(LANES * STATEMENTS))
    assert len(table.items) == LANES * STATEMENTS


def test_an_error_is_told_when_nothing_is_under_way_any_more() -> None:
    """Else a call that is still on its way would write after the batch was given back, and after what its caller does next."""
    table, failed = Table(), Event()
    plain = table.batch_execute_statement

    def call(**given: Any) -> dict[str, Any]:
        if given["Statements"][0]["Parameters"][0]["B"] == changes(1)[0].key:
            failed.set()
            raise ClientError(
                {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "x"
            )
        assert failed.wait(FAR)
        return plain(**given)

    table.batch_execute_statement = call  # type: ignore[method-assign]
    dynamo = Dynamo(table, attempts=1)
    with pytest.raises(Transient, match="does not keep up"):
        dynamo.write("nodes", changes(3 * LANES * STATEMENTS))
    assert set(table.items) == {change.key for change in changes(3 * LANES * STATEMENTS)[STATEMENTS:]}


def test_threads_share_the_lanes() -> None:
    """Each waits for its own calls only, and all are counted."""
    from concurrent.futures import ThreadPoolExecutor

    table = Table()
    dynamo = Dynamo(table)
    parts = [changes(100 * STATEMENTS)[at :: 2 * LANES] for at in range(2 * LANES)]
    with ThreadPoolExecutor(2 * LANES) as threads:
        assert list(threads.map(lambda some: dynamo.write("nodes", some), parts)) == [{}] * len(parts)
    assert len(table.items) == 100 * STATEMENTS
    assert dynamo.spent.written["nodes"] == 100 * STATEMENTS
