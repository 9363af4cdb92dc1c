"""ports.Queue on SQS: at least once, ten a request, each message answered for by itself."""

from __future__ import annotations

import time

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import EndpointConnectionError

from mailloom.ports import Parcel, Transient, UserError
from mailloom.stores.aws_json import JsonClient
from mailloom.stores.sqs import SqsQueue

pytestmark = pytest.mark.servers


@pytest.fixture(params=["boto3", "json"])
def queue(boto, prefix, request) -> SqsQueue:
    url = boto("sqs").create_queue(QueueName=f"{prefix}-queue", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    client = JsonClient(boto("sqs"), Credentials("test", "test")) if request.param == "json" else boto("sqs")
    return SqsQueue(client, url, visibility=30)


def drained(queue: SqsQueue) -> list:
    found = []
    while some := queue.receive(10, 0):
        found += some
    return found


def test_what_is_sent_comes_with_its_attributes(queue):
    queue.send([Parcel("ä body", {"traceparent": "00-1-2-01", "empty": ""}), Parcel("plain")])
    found = {message.body: message for message in drained(queue)}
    assert found["ä body"].attributes == {"traceparent": "00-1-2-01"}
    assert found["plain"].attributes == {}
    assert found["plain"].attempts == 1
    assert abs(found["plain"].sent - time.time() * 1000) < 60_000


def test_the_trace_of_x_ray_is_a_system_attribute(queue):
    """ministack keeps it with SendMessage, not with SendMessageBatch: so what is asked of the latter is looked at."""
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    system = {"AWSTraceHeader": {"DataType": "String", "StringValue": header}}
    queue.client.send_message(QueueUrl=queue.url, MessageBody="traced", MessageSystemAttributes=system)
    (message,) = drained(queue)
    assert message.attributes == {"AWSTraceHeader": header}
    asked = []
    real = queue.client.send_message_batch
    queue.client.send_message_batch = lambda **kwargs: (asked.append(kwargs["Entries"]), real(**kwargs))[1]
    queue.send([Parcel("traced", {"AWSTraceHeader": header, "traceparent": "00-1-2-01"})])
    assert asked[0][0]["MessageSystemAttributes"] == system
    assert list(asked[0][0]["MessageAttributes"]) == ["traceparent"]


def test_batches_keep_to_ten_and_to_the_bytes_of_a_request(queue):
    before = queue.requests
    queue.send([Parcel(str(n)) for n in range(25)])
    assert queue.requests - before == 3
    before = queue.requests
    queue.send([Parcel("x" * 100_000) for _ in range(5)])
    assert queue.requests - before == 3
    found = drained(queue)
    assert len(found) == 30
    before = queue.requests
    queue.delete([message.receipt for message in found])
    assert queue.requests - before == 3
    assert queue.depth() == (0, 0)


def test_what_is_not_deleted_comes_again_when_it_was_said(queue):
    queue.send([Parcel("again"), Parcel("hidden")])
    one, two = sorted(drained(queue), key=lambda message: message.body)
    assert queue.receive(10, 0) == []
    queue.extend({one.receipt: 0, two.receipt: 60})
    back = drained(queue)
    assert [(message.body, message.attempts) for message in back] == [("again", 2)]
    assert queue.depth() == (0, 2)


def test_what_is_gone_is_left_alone(queue):
    queue.send([Parcel("one")])
    (one,) = drained(queue)
    queue.delete([one.receipt])
    queue.delete([one.receipt])
    queue.extend({one.receipt: 5})


def test_a_failed_entry_is_tried_again_by_itself_and_then_transient(queue):
    """The service answers for each entry: only those that failed are sent again."""
    calls = []
    real = queue.client.send_message_batch

    def flaky(**asked):
        calls.append([entry["MessageBody"] for entry in asked["Entries"]])
        if len(calls) == 1:
            kept = asked["Entries"][1:]
            answer = real(QueueUrl=asked["QueueUrl"], Entries=kept)
            failed = [{"Id": asked["Entries"][0]["Id"], "SenderFault": False, "Code": "InternalError", "Message": "m"}]
            return {**answer, "Failed": failed}
        return real(**asked)

    queue.sleep = lambda _: None
    queue.client.send_message_batch = flaky
    queue.send([Parcel("a"), Parcel("b"), Parcel("c")])
    assert calls == [["a", "b", "c"], ["a"]]
    assert sorted(message.body for message in drained(queue)) == ["a", "b", "c"]

    down = {"Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError", "Message": "m"}]}
    queue.client.send_message_batch = lambda **_: down
    with pytest.raises(Transient, match="1 messages were not sent"):
        queue.send([Parcel("a")])
    refused = {"Failed": [{"Id": "0", "SenderFault": True, "Code": "InvalidMessageContents", "Message": "m"}]}
    queue.client.send_message_batch = lambda **_: refused
    with pytest.raises(UserError, match="refuses them"):
        queue.send([Parcel("a")])


def test_a_missing_queue_and_one_that_is_away(boto, queue):
    queue.client.delete_queue(QueueUrl=queue.url)
    gone = SqsQueue(boto("sqs"), queue.url)
    with pytest.raises(UserError, match=r"does not exist.*create it"):
        gone.receive(1, 0)

    def away(**_):
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    gone.client.receive_message = away
    with pytest.raises(Transient, match="queue"):
        gone.receive(1, 0)
