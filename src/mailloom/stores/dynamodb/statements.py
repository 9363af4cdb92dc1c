"""Calls to DynamoDB: many items a call, an answer an item, again where the service is busy, and what it all cost.

A write is a compare-and-set of the one attribute that an item has beside its key: PartiQL INSERT where it was absent, UPDATE ... WHERE
where it was known. BatchExecuteStatement takes 25 of them, each atomic and refused by itself. Under a lease, TransactWriteItems does the
same with a check of the lease in it.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as Unconnected,
)

from mailloom.ports import Fenced, Transient, UserError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

STATEMENTS = 25  # a call of BatchExecuteStatement takes at most
KEYS = 100  # BatchGetItem
FENCED = 99  # TransactWriteItems takes 100 actions, one is the check
LANES = 8  # calls of one step at a time: a batch of 256 mails makes 74 of its dearest step, and each is waited for some milliseconds
UNIT = 1024  # bytes that one write unit pays for
OVERHEAD = 16  # bytes of names of attributes and numbers that an item has beside its key and value, at most

BUSY = frozenset(
    [
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "ThrottlingError",
        "ThrottlingException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "LimitExceededException",
    ]
)
"""Codes of errors, of calls and of single statements, that the same call may not meet again."""
DENIED = frozenset(
    [
        "AccessDenied",
        "AccessDeniedException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "MissingAuthenticationTokenException",
        "InvalidClientTokenId",
    ]
)
REFUSED = frozenset(("ConditionalCheckFailed", "DuplicateItem"))


Attributes = dict[str, Any]
"""An item, or a key, as boto3 has them: attribute -> {type: value}."""


class Change(NamedTuple):
    """A compare-and-set of an item's value: b"" is absent. `until` is when the item may go (s), None where it stays."""

    key: bytes
    old: bytes
    new: bytes
    until: int | None = None


class Spent:
    """Write and read units by table, and calls by operation, since it was made. Cheap, so always on."""

    def __init__(self) -> None:
        self.written: Counter[str] = Counter()
        self.read: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, into: Counter[str], table: str, units: float) -> None:
        with self._lock:
            into[table] += units  # type: ignore[assignment]  # halves of units


class Dynamo:
    """A boto3 client of DynamoDB and the tables whose names begin with `prefix`. `spent` is what all calls cost so far.

    A busy service is asked again up to `attempts` times, with full jitter up to `most` seconds between; then it is Transient. Safe between
    threads. What one step asks or writes of many items goes in up to `lanes` calls side by side.
    """

    def __init__(
        self,
        client: Any,
        prefix: str = "",
        *,
        attempts: int = 8,
        first: float = 0.05,
        most: float = 5.0,
        lanes: int = LANES,
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self.client, self.prefix, self.lanes = client, prefix, lanes
        self.attempts, self.first, self.most, self.sleep, self.dice = attempts, first, most, sleep, dice
        self.spent = Spent()

    # -------------------------------------------------------------------------------------------- one call
    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """A call by its boto3 name. Raises Transient, UserError; TransactionCanceledException and ConditionalCheckFailedException as they are."""
        attempt = 0
        while True:
            attempt += 1
            self.spent.add(self.spent.calls, operation, 1)
            try:
                answer: dict[str, Any] = getattr(self.client, operation)(ReturnConsumedCapacity="TOTAL", **arguments)
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
                if code not in BUSY and status < 500:
                    raise self._told(code, error) from error
                self.wait(attempt, code)
            except (Unconnected, HTTPClientError) as error:
                self.wait(attempt, f"{type(error).__name__} at {self.client.meta.endpoint_url}")
            except (NoCredentialsError, PartialCredentialsError) as error:
                raise UserError(f"DynamoDB: {error}; give credentials as for any AWS tool") from error
            except BotoCoreError as error:
                raise UserError(f"DynamoDB can't be asked: {error}") from error
            else:
                return answer

    def wait(self, attempt: int, why: str) -> None:
        """Sleep after the `attempt`-th try (from 1) that the service was too busy for. Raises Transient where that was the last."""
        if attempt >= self.attempts:
            raise Transient(f"DynamoDB does not keep up: {why}, {attempt} times") from None
        self.sleep(self.dice() * min(self.most, self.first * 2.0 ** (attempt - 1)))

    def _told(self, code: str, error: ClientError) -> Exception:
        if code.startswith("ResourceNotFound"):
            where = f"{self.client.meta.region_name} ({self.client.meta.endpoint_url})"
            return UserError(f"no DynamoDB tables {self.prefix}* in {where}: create them, or set the prefix and region")
        if code in DENIED:
            return UserError(f"DynamoDB refuses these credentials: {code}; check the account, the role and its rights")
        told: Exception = error
        return told

    # -------------------------------------------------------------------------------------------- many calls
    def side_by_side(self, one: Callable[[Item], Answer], all_of: Iterable[Item]) -> list[Answer]:
        """`one` of each, for what needs no order among itself; the answers are in the order of what was given. The first error is raised when all have
        ended: nothing is written after the caller was told how its step went, so steps keep the order that thread/weave.py needs.
        """
        each = list(all_of)
        if len(each) < 2 or self.lanes < 2:
            return [one(item) for item in each]
        running = [self._lanes.submit(one, item) for item in each]
        wait(running)
        return [call.result() for call in running]

    @cached_property
    def _lanes(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.lanes, "dynamodb")

    # -------------------------------------------------------------------------------------------- reads
    def read(self, table: str, keys: Collection[bytes], *, strong: bool = True) -> dict[bytes, bytes]:
        """The values of these keys; who is absent is left out."""
        items = self.items(table, [{"k": {"B": key}} for key in keys], strong=strong)
        return {item["k"]["B"]: item["b"]["B"] for item in items if "b" in item}

    def items(self, table: str, keys: Iterable[Item], *, strong: bool = True) -> list[Attributes]:
        """The whole items of these keys."""
        name = self.prefix + table

        def read(wanted: list[Item]) -> list[Attributes]:
            found: list[Attributes] = []
            attempt = 0
            while wanted:
                answer = self.call("batch_get_item", RequestItems={name: {"Keys": wanted, "ConsistentRead": strong}})
                found += answer["Responses"].get(name, ())
                left = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
                # What is absent is paid for, too; not every emulator says so.
                self.paid(self.spent.read, table, answer, (len(wanted) - len(left)) * (1.0 if strong else 0.5))
                wanted = left
                if wanted:
                    attempt += 1
                    self.wait(attempt, "keys left unprocessed")
            return found

        return [item for some in self.side_by_side(read, parts(keys, KEYS)) for item in some]

    # -------------------------------------------------------------------------------------------- writes
    def write(self, table: str, changes: Sequence[Change]) -> dict[bytes, bytes | None]:
        """Each a compare-and-set: the keys of those that were refused, with the value that is there where the answer tells it."""
        refused = self.execute(
            table, [self._statement(table, change) for change in changes], [_units(change) for change in changes]
        )
        return {changes[at].key: item.get("b", {}).get("B") for at, item in refused.items()}

    def execute(self, table: str, statements: Sequence[Attributes], units: Sequence[int]) -> dict[int, Attributes]:
        """Run conditional statements, none of two on one item: the places of those that were refused, with the item that is there
        where the answer tells it. `units` is what each costs at least.
        """

        def run(todo: list[int]) -> dict[int, Attributes]:
            refused: dict[int, Attributes] = {}
            attempt = 0
            while todo:
                answer = self.call("batch_execute_statement", Statements=[statements[at] for at in todo])
                self.paid(self.spent.written, table, answer, sum(units[at] for at in todo))
                again, why = [], ""
                for at, one in zip(todo, answer["Responses"], strict=True):
                    code = one.get("Error", {}).get("Code", "")
                    if code in REFUSED:
                        refused[at] = one["Error"].get("Item", {})
                    elif code in BUSY:
                        again.append(at)
                        why = code
                    elif code:
                        raise self._told(code, ClientError({"Error": one["Error"]}, "BatchExecuteStatement"))
                todo = again
                if todo:
                    attempt += 1
                    self.wait(attempt, why)
            return refused

        answers = self.side_by_side(run, parts(range(len(statements)), STATEMENTS))
        return {at: item for refused in answers for at, item in refused.items()}

    def _statement(self, table: str, change: Change) -> dict[str, Any]:
        name, key, new = f'"{self.prefix}{table}"', {"B": change.key}, {"B": change.new}
        until = [] if change.until is None else [{"N": str(change.until)}]
        if not change.old:
            fields = "'k': ?, 'b': ?" + (", 'ttl': ?" if until else "")
            return {"Statement": f"INSERT INTO {name} VALUE {{{fields}}}", "Parameters": [key, new, *until]}
        also = ' SET "ttl" = ?' if until else ""
        return {
            "Statement": f"UPDATE {name} SET b = ?{also} WHERE k = ? AND b = ?",  # noqa: S608  the table's name only
            "Parameters": [new, *until, key, {"B": change.old}],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def write_fenced(
        self, table: str, changes: Sequence[Change], lease: tuple[str, bytes, int]
    ) -> dict[bytes, bytes | None]:
        """The same for at most FENCED changes, all or none, while the item (table, key) of the lease has that number. Raises Fenced."""
        where, key, number = lease
        check = {
            "TableName": self.prefix + where,
            "Key": {"k": {"B": key}},
            "ConditionExpression": "n = :n",
            "ExpressionAttributeValues": {":n": {"N": str(number)}},
        }
        actions = [{"ConditionCheck": check}, *({"Put": self._put(table, change)} for change in changes)]
        attempt = 0
        while True:
            units = sum(2 * _units(change) for change in changes)
            try:
                answer = self.call("transact_write_items", TransactItems=actions)
            except ClientError as error:
                reasons = error.response.get("CancellationReasons")
                if not reasons:
                    raise
                self.paid(self.spent.written, table, {}, units)
                first, *rest = reasons
                if first.get("Code") == "ConditionalCheckFailed":
                    raise Fenced(f"settle {number} was overtaken") from None
                refused = [(c, r) for c, r in zip(changes, rest, strict=True) if r.get("Code") in REFUSED]
                if refused:
                    return {c.key: r.get("Item", {}).get("b", {}).get("B") for c, r in refused}
                codes = sorted({r["Code"] for r in reasons if r.get("Code", "None") != "None"})
                if other := next((code for code in codes if code not in BUSY), ""):
                    raise self._told(other, error) from error
                attempt += 1
                self.wait(attempt, ", ".join(codes))
            else:
                self.paid(self.spent.written, table, answer, units)
                return {}

    def _put(self, table: str, change: Change) -> dict[str, Any]:
        item: dict[str, Any] = {"k": {"B": change.key}, "b": {"B": change.new}}
        if change.until is not None:
            item["ttl"] = {"N": str(change.until)}
        put = {
            "TableName": self.prefix + table,
            "Item": item,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ConditionExpression": "b = :b" if change.old else "attribute_not_exists(k)",
        }
        return {**put, "ExpressionAttributeValues": {":b": {"B": change.old}}} if change.old else put

    def paid(self, into: Counter[str], table: str, answer: dict[str, Any], least: float) -> None:
        """What the answer says, or what the rules of the service say where it says less (DynamoDB Local does of statements)."""
        told = answer.get("ConsumedCapacity") or []
        told = told if isinstance(told, list) else [told]
        mine = sum(
            one.get("CapacityUnits", 0.0) for one in told if one.get("TableName", "").endswith(self.prefix + table)
        )
        self.spent.add(into, table, max(mine, least))


def _units(change: Change) -> int:
    return -(-(len(change.key) + max(len(change.old), len(change.new)) + OVERHEAD) // UNIT)


def parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    each = iter(items)
    while some := list(islice(each, size)):
        yield some
