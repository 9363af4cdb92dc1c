"""One SQS queue. Implements ports.Queue: ten messages a request, each answered for by itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from mailloom.ports import Parcel, Received, Transient, UserError
from mailloom.stores.aws_errors import told

ENTRIES = 10  # in a request of any kind
REQUEST_BYTES = 256 * 1024
"""Of all messages in one request with their attributes; what older queues allow."""
LONGEST_WAIT = 20  # seconds of long polling
LONGEST_VISIBILITY = 43_200  # 12 hours
TRACE = "AWSTraceHeader"
"""X-Ray's context: a *system* attribute, which is not counted among a message's ten."""
ATTEMPTS = 6  # at a message that the service failed to take; about six seconds

# An entry that failed because its message is gone (deleted, or its visibility ended and somebody else has it).
_GONE = frozenset(
    {
        "ReceiptHandleIsInvalid",
        "MessageNotInflight",
        "InvalidParameterValue",
        "AWS.SimpleQueueService.MessageNotInflight",
    }
)


class SqsQueue:
    """`visibility` is for how many seconds what is received stays hidden; None: as the queue says."""

    def __init__(
        self, client: Any, url: str, visibility: float | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.client, self.url, self.visibility, self.sleep = client, url, visibility, sleep
        self.what = f"queue {url.rpartition('/')[2]}"
        self.requests = 0
        """How many requests were made: they are what SQS bills."""

    def send(self, parcels: Sequence[Parcel]) -> None:
        for some in _chunks(parcels):
            self._all(
                self.client.send_message_batch,
                [{"Id": str(n), **_message(parcel)} for n, parcel in enumerate(some)],
                "sent",
            )

    def receive(self, most: int, wait: float) -> Sequence[Received]:
        """At most ten: what one request gives."""
        more = {} if self.visibility is None else {"VisibilityTimeout": int(self.visibility)}
        self.requests += 1
        with told(self.what):
            answer = self.client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=max(1, min(ENTRIES, most)),
                WaitTimeSeconds=max(0, min(LONGEST_WAIT, int(wait))),
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp", TRACE],
                **more,
            )
        return [_received(message) for message in answer.get("Messages", ())]

    def extend(self, messages: Mapping[str, float]) -> None:
        items = [
            {"ReceiptHandle": receipt, "VisibilityTimeout": max(0, min(LONGEST_VISIBILITY, round(seconds)))}
            for receipt, seconds in messages.items()
        ]
        for start in range(0, len(items), ENTRIES):
            entries = [{"Id": str(n), **item} for n, item in enumerate(items[start : start + ENTRIES])]
            self._all(self.client.change_message_visibility_batch, entries, "extended", _GONE)

    def delete(self, receipts: Collection[str]) -> None:
        names = list(receipts)
        for start in range(0, len(names), ENTRIES):
            entries = [{"Id": str(n), "ReceiptHandle": name} for n, name in enumerate(names[start : start + ENTRIES])]
            self._all(self.client.delete_message_batch, entries, "deleted", _GONE)

    def depth(self) -> tuple[int, int]:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        self.requests += 1
        with told(self.what):
            found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def _all(
        self, call: Callable[..., Any], entries: list[dict[str, Any]], done: str, gone: Collection[str] = ()
    ) -> None:
        """Make the request for these entries, again for those that the service failed to do. Raises Transient where some stay undone."""
        attempt = 0
        while entries:
            attempt += 1
            self.requests += 1
            with told(self.what):
                answer = call(QueueUrl=self.url, Entries=entries)
            failed = {entry["Id"]: entry for entry in answer.get("Failed", ()) if entry.get("Code") not in gone}
            if not failed:
                return
            first = next(iter(failed.values()))
            words = (
                f"{self.what}: {len(failed)} messages were not {done}: {first.get('Code')}: {first.get('Message', '')}"
            )
            if any(entry.get("SenderFault") for entry in failed.values()):
                raise UserError(f"{words} (the queue refuses them: check its policy, its key and its limits)")
            if attempt == ATTEMPTS:
                raise Transient(words)
            self.sleep(random.random() * 0.1 * 2**attempt)  # noqa: S311  no secret
            entries = [entry for entry in entries if entry["Id"] in failed]


def _chunks(parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
    some: list[Parcel] = []
    size = 0
    for parcel in parcels:
        own = len(parcel.body.encode()) + sum(len(n) + len(v.encode()) + 6 for n, v in parcel.attributes.items())
        if some and (len(some) == ENTRIES or size + own > REQUEST_BYTES):
            yield some
            some, size = [], 0
        some.append(parcel)
        size += own
    if some:
        yield some


def _message(parcel: Parcel) -> dict[str, Any]:
    own = {n: {"DataType": "String", "StringValue": v} for n, v in parcel.attributes.items() if v and n != TRACE}
    message: dict[str, Any] = {"MessageBody": parcel.body, "MessageAttributes": own}
    if trace := parcel.attributes.get(TRACE):
        message["MessageSystemAttributes"] = {TRACE: {"DataType": "String", "StringValue": trace}}
    return message


def _received(message: Mapping[str, Any]) -> Received:
    system = message.get("Attributes", {})
    attributes = {n: v["StringValue"] for n, v in message.get("MessageAttributes", {}).items() if "StringValue" in v}
    if trace := system.get(TRACE):
        attributes[TRACE] = trace
    return Received(
        receipt=message["ReceiptHandle"],
        id=message["MessageId"],
        body=message["Body"],
        attributes=attributes,
        attempts=int(system.get("ApproximateReceiveCount", 1)),
        sent=int(system.get("SentTimestamp", 0)),
    )
