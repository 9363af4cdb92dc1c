"""The ledger of deliveries: what landed, and what became of it. One item an object's version; it comes in as `received` and ends as
stored, duplicate or rejected. Also how far long work on a prefix is.

Every write is conditional and follows from the delivery, so an event that comes twice or a day late changes nothing: what was stored stays
so, and what came to an end never goes back to `received`.

    k  scope + hash of source and path      v  object's version id, else its etag, else the place inside a container
    s  source   p  path   z  size   a  when it landed (ms)   t  state   m  message   h  SHA-256 of the bytes
    w  why it was rejected, or failed last   x  version of mailloom   n  attempts that failed   r  read (ms)   u  written (ms)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any

from botocore.exceptions import ClientError

from mailloom import obs
from mailloom.mail.model import MessageId
from mailloom.ports import Books, Delivery, Entry, Failure, Pointer
from mailloom.stores.dynamodb.statements import UNIT, Attributes, Dynamo
from mailloom.stores.dynamodb.tables import LEDGER, scope_key

RECEIVED, STORED, DUPLICATE, REJECTED, PLACE = "received", "stored", "duplicate", "rejected", "place"
SEGMENTS = 4  # of a scan, read at the same time
REASON = 300  # characters of a reason that are kept: an item shall cost one unit

_END = """SET t = ? SET m = ? SET h = ? SET w = ? SET x = ? SET r = ? SET u = ?"""
_FIELDS = (
    "'k': ?, 'v': ?, 's': ?, 'p': ?, 'z': ?, 'a': ?, 't': ?, 'm': ?, 'h': ?, 'w': ?, 'x': ?, 'r': ?, 'u': ?, 'n': ?"
)


class DynamoLedger:
    """Implements ports.Ledger, ports.Receipts and ports.Progress, for one scope. `clock` gives ms since 1970 UTC."""

    def __init__(self, dynamo: Dynamo, clock: Callable[[], int], scope: str = "") -> None:
        self.dynamo, self.clock, self.scope = dynamo, clock, scope
        self._prefix = scope_key(scope)
        self._name = f'"{dynamo.prefix}{LEDGER}"'

    def _key(self, source: str, path: str) -> bytes:
        return self._prefix + sha256(f"{source}\0{path}".encode("utf-8", "surrogatepass")).digest()[:16]

    # -------------------------------------------------------------------------------------------- on its way
    def received(self, pointers: Sequence[Pointer]) -> Collection[Pointer]:
        """Enter each as received unless it is there; those that were, in whatever state."""
        unique = list({self._place(p): p for p in pointers}.values())
        refused = self._execute([self._insert(_arrived(p, RECEIVED, self.clock())) for p in unique])
        _book(RECEIVED, (p.source for at, p in enumerate(unique) if at not in refused))
        there = {self._place(unique[at]) for at in refused}
        return [p for p in pointers if self._place(p) in there]

    def failed(self, failures: Mapping[Pointer, Failure]) -> None:
        """Keep with each pending row why its mail failed last."""
        todo = list({self._place(p): (p, f) for p, f in failures.items()}.values())
        while todo:
            now = self.clock()
            refused = self._execute([self._fail(p, f, now) for p, f in todo])
            absent = [todo[at] for at, item in refused.items() if not item]
            rows = [
                _arrived(p, RECEIVED, now)._replace(reason=f.reason, version=f.version, attempts=f.attempts)
                for p, f in absent
            ]
            lost = self._execute([self._insert(row) for row in rows])
            _book(RECEIVED, (row.source for at, row in enumerate(rows) if at not in lost))
            todo = [absent[at] for at in lost]

    def _fail(self, pointer: Pointer, failure: Failure, now: int) -> Attributes:
        key, version = self._place(pointer)
        return {
            "Statement": f"UPDATE {self._name} SET w = ? SET x = ? SET n = ? SET u = ? WHERE k = ? AND v = ? AND t = ?",  # noqa: S608
            "Parameters": [
                *(_text(failure.reason[:REASON]), _text(failure.version), _number(failure.attempts), _number(now)),
                *({"B": key}, _text(version), _text(RECEIVED)),
            ],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def failures(self, pointers: Collection[Pointer]) -> Mapping[Pointer, Failure]:
        """What was kept of those that are pending."""
        rows = self._rows(pointers, strong=True)
        return {p: Failure(e.reason, e.version, e.attempts) for p, e in rows if e.state == RECEIVED and e.attempts}

    def finished(self, pointers: Collection[Pointer]) -> Collection[Pointer]:
        """Those that came to their end, by reads at half the price, which may be a moment old."""
        return [pointer for pointer, entry in self._rows(pointers, strong=False) if entry.state != RECEIVED]

    def _rows(self, pointers: Collection[Pointer], *, strong: bool) -> Iterator[tuple[Pointer, Entry]]:
        """The rows of those that have one."""
        by_place = {self._place(p): p for p in pointers}
        keys = [{"k": {"B": key}, "v": _text(version)} for key, version in by_place]
        for item in self.dynamo.items(LEDGER, keys, strong=strong):
            yield by_place[item["k"]["B"], item["v"]["S"]], _entry(item)

    def _place(self, pointer: Pointer) -> tuple[bytes, str]:
        return self._key(pointer.source, pointer.key), pointer.object or "0"

    # -------------------------------------------------------------------------------------------- at its end
    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Bring each row to its end, or put it where nobody entered it. A row that is stored stays so for the same message, and
        one that came to an end by a message for what brings none: that is a late event of what is no longer there.

        Counts the books as rows change, once a row however often its mail comes; one that ends otherwise than before was received anew.
        """
        by_place: dict[tuple[bytes, str], Delivery] = {}
        for delivery in deliveries:
            place = self._key(delivery.origin.source, delivery.origin.path), _version(delivery)
            before = by_place.get(place)
            if before is None or not _stays(before, delivery):
                by_place[place] = delivery
        todo = list(by_place.items())
        while todo:
            now = self.clock()
            refused = self._execute([self._end(place, delivery, now, *_PENDING) for place, delivery in todo])
            _book_ends(delivery for at, (_, delivery) in enumerate(todo) if at not in refused)
            self._end_anew([(*todo[at], item["t"]["S"]) for at, item in refused.items() if item], now)
            absent = [todo[at] for at, item in refused.items() if not item]
            lost = self._execute([self._insert(_ended(delivery, now)) for _, delivery in absent])
            _book_ends((delivery for at, (_, delivery) in enumerate(absent) if at not in lost), anew=True)
            todo = [absent[at] for at in lost]

    def _end_anew(self, ended: Sequence[tuple[tuple[bytes, str], Delivery, str]], now: int) -> None:
        """The same for rows that came to an end before: each with the state that it has."""
        kept = self._execute([self._end(place, delivery, now, *_unless(delivery)) for place, delivery, _ in ended])
        changed = (d for at, (_, d, before) in enumerate(ended) if at not in kept and d.state != before)
        _book_ends(changed, anew=True)

    def _end(
        self, place: tuple[bytes, str], delivery: Delivery, now: int, condition: str, values: Sequence[Attributes]
    ) -> Attributes:
        entry = _ended(delivery, now)
        return {
            "Statement": f"UPDATE {self._name} {_END} WHERE k = ? AND v = ? AND {condition}",
            "Parameters": [
                *(_text(entry.state), {"B": entry.message or b""}, {"B": entry.raw_sha256}),
                *(_text(entry.reason[:REASON]), _text(entry.version), _number(entry.read_at), _number(now)),
                *({"B": place[0]}, _text(place[1]), *values),
            ],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def _insert(self, entry: Entry) -> Attributes:
        key = self._key(entry.source, entry.path)
        values = [
            *({"B": key}, _text(entry.object), _text(entry.source), _text(entry.path), _number(entry.size)),
            *(_number(entry.at), _text(entry.state), {"B": entry.message or b""}, {"B": entry.raw_sha256}),
            *(_text(entry.reason[:REASON]), _text(entry.version), _number(entry.read_at), _number(entry.written_at)),
            _number(entry.attempts),
        ]
        return {"Statement": f"INSERT INTO {self._name} VALUE {{{_FIELDS}}}", "Parameters": values}

    def _execute(self, statements: Sequence[Attributes]) -> dict[int, Attributes]:
        return self.dynamo.execute(LEDGER, statements, [_units(one["Parameters"]) for one in statements])

    # -------------------------------------------------------------------------------------------- told
    def where(self, source: str, path: str) -> list[Entry]:
        """The history of a place: its objects, the first first."""
        values = {":k": {"B": self._key(source, path)}}
        rows = self._pages(
            "query", KeyConditionExpression="k = :k", ExpressionAttributeValues=values, ConsistentRead=True
        )
        return sorted((_entry(item) for item in rows), key=lambda entry: (entry.at, entry.written_at, entry.object))

    def rejected(self) -> list[Entry]:
        """What was rejected, in the order of places."""
        return sorted(_entry(item) for item in self._scan("t = :t", {":t": _text(REJECTED)}))

    def pending(self, before: int) -> list[Entry]:
        """What has not come to its end, and was entered, or failed last, before that time (ms); what landed first, first.

        Not what landed before it: a backfill enters what has been in its bucket for years, and its messages wait in their queue.
        """
        found = self._scan("t = :t AND u < :u", {":t": _text(RECEIVED), ":u": _number(before)})
        return sorted((_entry(item) for item in found), key=lambda entry: (entry.at, entry.path))

    def overdue(self, before: int) -> int:
        """How many pending() would tell, without their rows in memory."""

        def segment(number: int) -> int:
            values = {":k": {"B": self._prefix}, ":t": _text(RECEIVED), ":u": _number(before)}
            answers = self._answers(
                "scan",
                Segment=number,
                TotalSegments=SEGMENTS,
                FilterExpression="begins_with(k, :k) AND t = :t AND u < :u",
                ExpressionAttributeValues=values,
                Select="COUNT",
            )
            return sum(answer["Count"] for answer in answers)

        with ThreadPoolExecutor(SEGMENTS) as threads:
            return sum(threads.map(segment, range(SEGMENTS)))

    def books(self) -> dict[str, Books]:
        """By source, of all that the ledger holds: a scan of all of it, for doctor and desks."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for item in self._scan("t <> :t", {":t": _text(PLACE)}, ProjectionExpression="s, t"):
            counts[item["s"]["S"]][item["t"]["S"]] += 1
        return {
            source: Books(sum(n.values()), n[STORED], n[DUPLICATE], n[REJECTED], n[RECEIVED])
            for source, n in sorted(counts.items())
        }

    def _scan(self, condition: str, values: Attributes, **more: Any) -> list[Attributes]:
        def segment(number: int) -> list[Attributes]:
            return list(
                self._pages(
                    "scan",
                    Segment=number,
                    TotalSegments=SEGMENTS,
                    FilterExpression=f"begins_with(k, :k) AND {condition}",
                    ExpressionAttributeValues={":k": {"B": self._prefix}, **values},
                    **more,
                )
            )

        with ThreadPoolExecutor(SEGMENTS) as threads:
            return [item for some in threads.map(segment, range(SEGMENTS)) for item in some]

    def _pages(self, operation: str, **arguments: Any) -> Iterator[Attributes]:
        for answer in self._answers(operation, **arguments):
            yield from answer["Items"]

    def _answers(self, operation: str, **arguments: Any) -> Iterator[Attributes]:
        while True:
            answer = self.dynamo.call(operation, TableName=self.dynamo.prefix + LEDGER, **arguments)
            self.dynamo.paid(self.dynamo.spent.read, LEDGER, answer, 0.5)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # -------------------------------------------------------------------------------------------- places of long work
    def progress(self, name: str) -> str:
        """The last key that is done; "" where nothing is."""
        found = self.dynamo.items(LEDGER, [self._work(name)])
        return str(found[0]["f"]["S"]) if found else ""

    def advance(self, name: str, before: str, after: str) -> bool:
        """Put the place from `before` to `after`; False where it is not at `before`: somebody else is at work."""
        condition = "f = :before" if before else "attribute_not_exists(f) OR f = :before"
        try:
            self.dynamo.call(
                "update_item",
                TableName=self.dynamo.prefix + LEDGER,
                Key=self._work(name),
                UpdateExpression="SET f = :after, t = :t, p = :p, u = :u",
                ConditionExpression=condition,
                ExpressionAttributeValues={
                    ":before": _text(before),
                    ":after": _text(after),
                    ":t": _text(PLACE),
                    ":p": _text(name),
                    ":u": _number(self.clock()),
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        finally:
            self.dynamo.spent.add(self.dynamo.spent.written, LEDGER, 1)
        return True

    def _work(self, name: str) -> Attributes:
        return {"k": {"B": self._key(PLACE, name)}, "v": _text(PLACE)}


# ------------------------------------------------------------------------------------------------ values
def _text(value: str) -> Attributes:
    # Names of files may hold bytes that are no UTF-8.
    return {"S": value.encode("utf-8", "backslashreplace").decode()}


def _number(value: int) -> Attributes:
    return {"N": str(value)}


def _units(values: Sequence[Attributes]) -> int:
    size = sum(len(text) if isinstance(text, bytes) else len(text.encode()) for one in values for text in one.values())
    return -(-(size + 2 * len(values)) // UNIT)


_PENDING = "t = ?", [_text(RECEIVED)]
"""The condition of a row that is on its way, with its values."""


def _version(delivery: Delivery) -> str:
    return delivery.object or f"{delivery.origin.start} {delivery.origin.length} {delivery.generation}"


def _unless(delivery: Delivery) -> tuple[str, Sequence[Attributes]]:
    """The condition under which what came to an end may end otherwise, with its values."""
    if delivery.message is None:
        return "t <> ? AND t <> ?", [_text(STORED), _text(DUPLICATE)]
    return "(t <> ? OR m <> ?)", [_text(STORED), {"B": delivery.message}]


def _book(state: str, sources: Iterable[str]) -> None:
    for source, count in Counter(sources).items():
        obs.count("books", count, source=source, state=state)


def _book_ends(deliveries: Iterable[Delivery], *, anew: bool = False) -> None:
    """`anew`: their rows were not counted as pending."""
    for (state, source), count in Counter((d.state, d.origin.source) for d in deliveries).items():
        obs.count("books", count, source=source, state=state)
        if anew:
            obs.count("books", count, source=source, state=RECEIVED)


def _stays(before: Delivery, after: Delivery) -> bool:
    """Whether a delivery of the same object says nothing new."""
    return before.message is not None and (
        after.message is None or (before.state == STORED and after.message == before.message)
    )


def _arrived(pointer: Pointer, state: str, now: int) -> Entry:
    object_ = pointer.object or "0"
    return Entry(pointer.source, pointer.key, object_, state, pointer.size, pointer.at, None, b"", "", "", 0, 0, now)


def _ended(delivery: Delivery, now: int) -> Entry:
    origin = delivery.origin
    return Entry(
        source=origin.source,
        path=origin.path,
        object=_version(delivery),
        state=delivery.state,
        size=origin.length,
        at=origin.received_at or delivery.read_at,
        message=delivery.message,
        raw_sha256=delivery.raw_sha256,
        reason=delivery.reason,
        version=delivery.version,
        attempts=0,
        read_at=delivery.read_at,
        written_at=now,
    )


def _entry(item: Attributes) -> Entry:
    def number(name: str) -> int:
        return int(item.get(name, {}).get("N", 0))

    message = item.get("m", {}).get("B", b"")
    return Entry(
        source=item["s"]["S"],
        path=item["p"]["S"],
        object=item["v"]["S"],
        state=item["t"]["S"],
        size=number("z"),
        at=number("a"),
        message=MessageId(message) if message else None,
        raw_sha256=item.get("h", {}).get("B", b""),
        reason=item.get("w", {}).get("S", ""),
        version=item.get("x", {}).get("S", ""),
        attempts=number("n"),
        read_at=number("r"),
        written_at=number("u"),
    )
