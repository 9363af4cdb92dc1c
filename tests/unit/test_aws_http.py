"""Connections that are kept: used again, given up when anything went wrong, and nobody is told of what was gone in a moment."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Thread
from typing import BinaryIO

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError

from mailloom.stores.aws_http import ATTEMPTS, Http, UnreachableError
from mailloom.stores.aws_json import JsonClient
from mailloom.stores.s3 import _Reader

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nX-Why: slow\r\n\r\nwait"
CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
NOTHING = b""


def request(lines: BinaryIO) -> bool:
    """Read one request, head and body, which come apart; False where the other side has hung up."""
    length, line = 0, b"?"
    while line.strip():
        line = lines.readline()
        if not line:
            return False
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return len(lines.read(length)) == length


class Scripted:
    """A server that answers each request with the next of its answers, the last one again and again, and hangs up after CUT, NOTHING and what
    `hangs_up` says.
    """

    def __init__(self, answers: list[bytes], hangs_up: frozenset[int] = frozenset()) -> None:
        self.answers, self.hangs_up, self.requests, self.connections = answers, hangs_up, 0, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                there = self.socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(there,), daemon=True).start()

    def _serve(self, there: socket.socket) -> None:
        with there, there.makefile("rb") as lines, suppress(OSError):  # a client that leaves with data unread resets
            there.settimeout(10)
            while request(lines):
                answer = self.answers[min(self.requests, len(self.answers) - 1)]
                self.requests += 1
                there.sendall(answer)
                if answer in {CUT, NOTHING, LAST} or self.requests in self.hangs_up:
                    return

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def make(*answers: bytes, **more: frozenset[int]) -> Scripted:
        made.append(Scripted(list(answers), **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def http(url: str, slept: list[float] | None = None) -> Http:
    return Http(url, connect=2, read=2, sleep=(slept if slept is not None else []).append)


def get(client: Http) -> tuple[int, bytes]:
    answer = client.request("GET", "/", {"host": client.host})
    return answer.status, answer.body


def test_a_connection_is_used_again(serve):
    server = serve(GOOD, CHUNKED, GOOD)
    client = http(server.url)
    assert [get(client), get(client), get(client)] == [(200, b"{}"), (200, b"abcde"), (200, b"{}")]
    assert server.connections == 1
    client.close()


def test_one_that_the_server_will_close_is_not(serve):
    server = serve(LAST)
    client = http(server.url)
    assert [get(client), get(client)] == [(200, b"ok"), (200, b"ok")]
    assert server.connections == 2


def test_one_that_was_closed_while_it_lay_idle_costs_no_attempt(serve):
    server, slept = serve(GOOD, hangs_up=frozenset({1, 2, 3})), []
    client = http(server.url, slept)
    assert [get(client) for _ in range(4)] == [(200, b"{}")] * 4
    assert (server.connections, slept) == (4, [])
    client.close()


def test_a_request_that_the_server_can_not_stand_ends_though_others_keep_connections(serve, monkeypatch):
    server = serve(NOTHING)
    client, closed = http(server.url), []

    def close(idle):
        closed.append(len(idle))
        assert len(closed) < 10, "for ever"
        while idle:
            idle.pop().close()
        idle.append(client._opened())  # as another thread does, whose request went well

    monkeypatch.setattr("mailloom.stores.aws_http._close", close)
    client._idle.append(client._opened())
    with pytest.raises(UnreachableError):
        get(client)
    assert server.requests <= ATTEMPTS + 1
    monkeypatch.undo()
    client.close()


@pytest.mark.parametrize("trouble", [BUSY, CUT, NOTHING])
def test_what_is_gone_in_a_moment_is_not_told(serve, trouble):
    server, slept = serve(trouble, trouble, GOOD), []
    client = http(server.url, slept)
    assert get(client) == (200, b"{}")
    assert len(slept) == ATTEMPTS - 1
    client.close()


def test_what_stays_is_told(serve):
    client = http(serve(BUSY).url)
    answer = client.request("GET", "/", {"host": client.host})
    assert (answer.status, answer.body, answer.headers["x-why"]) == (503, b"wait", "slow")
    client.close()
    for trouble in (CUT, NOTHING):
        server = serve(trouble)
        with pytest.raises(UnreachableError):
            get(http(server.url))
        assert server.requests == ATTEMPTS


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as held:
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
    with pytest.raises(UnreachableError, match="refused"):
        get(http(url))


def test_threads_have_a_connection_each(serve):
    server = serve(GOOD)
    client, barrier = http(server.url), Barrier(8)

    def some(_: int) -> set[tuple[int, bytes]]:
        barrier.wait()
        return {get(client) for _ in range(20)}

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(some, range(8))) == {(200, b"{}")}
    assert (server.requests, server.connections <= 8) == (160, True)
    client.close()


def test_certificates_are_looked_at():
    trust = Http("https://example.org").trust
    assert trust is not None
    assert trust.verify_mode == ssl.CERT_REQUIRED
    assert trust.check_hostname


# ------------------------------------------------------------------------------------------------ errors as boto3 gives them
def sqs(url: str) -> JsonClient:
    import boto3

    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu-central-1"}
    client = JsonClient(boto3.client("sqs", endpoint_url=url, **keys), Credentials("a", "b"))
    client.http.sleep = lambda _: None
    return client


def refusal(status: str, body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("answer", "status", "code", "words"),
    [
        (refusal("400 No", b'{"__type":"com.amazonaws.x#Throttling","message":"slow"}'), 400, "Throttling", "slow"),
        (refusal("400 No", b'{"__type":"Denied:http://x","Message":"no"}'), 400, "Denied", "no"),
        (
            refusal("400 No", b'{"__type":"x#QueueDoesNotExist"}', "x-amzn-query-error: AWS.Old.Name;Sender"),
            *(400, "AWS.Old.Name", ""),
        ),
        (refusal("502 Bad", b"<html>"), 502, "502", ""),
        (refusal("403 No", b'"text"', "x-amzn-ErrorType: Expired:"), 403, "Expired", ""),
    ],
)
def test_a_refusal_is_read_as_boto3_reads_it(serve, answer, status, code, words):
    client = sqs(serve(answer).url)
    with pytest.raises(ClientError) as told:
        client.receive_message(QueueUrl="q")
    assert told.value.response["Error"] == {"Code": code, "Message": words}
    assert told.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    client.close()


def test_who_is_throttled_asks_again_and_who_is_refused_does_not(serve):
    slow, no = (refusal("400 No", b'{"__type":"x#%b"}' % code) for code in (b"ThrottlingException", b"AccessDenied"))
    client = sqs(serve(slow, slow, GOOD).url)
    assert client.receive_message(QueueUrl="q") == {}
    client.close()
    for answer, tries in ((slow, ATTEMPTS), (no, 1)):
        server = serve(answer)
        with pytest.raises(ClientError):
            sqs(server.url).receive_message(QueueUrl="q")
        assert server.requests == tries


def test_who_can_not_be_reached_is_told_as_boto3_tells_it(serve):
    with pytest.raises(EndpointConnectionError):
        sqs(serve(NOTHING).url).receive_message(QueueUrl="q")


# ------------------------------------------------------------------------------------------------ objects
@pytest.mark.parametrize(
    ("status", "code", "words", "gone"),
    [
        ("404 No", "NoSuchKey", "", True),
        ("404 No", "NoSuchVersion", "", True),
        ("404 No", "NoSuchKey", "no key a\0b &#x1; <here>", True),  # as S3 repeats it, and no parser of XML takes it
        ("405 No", "MethodNotAllowed", "a delete marker", True),
        ("412 No", "PreconditionFailed", "", True),
        ("400 No", "InvalidArgument", "Invalid version id specified", True),
        ("404 No", "NoSuchAccessPoint", "", False),
        ("404 No", "", "a page of a proxy", False),
        ("405 No", "", "a page of a proxy", False),
        ("400 No", "InvalidRequest", "This version of the protocol is not supported", False),
    ],
)
def test_an_object_is_gone_only_where_the_service_says_so(serve, status, code, words, gone):
    said = f"<Error><Code>{code}</Code><Message>{words}</Message></Error>" if code else f"<html>{words}</html>"
    server = serve(refusal(status, said.encode()))
    reader = _Reader(f"{server.url}/mail/k", "/k", "eu-central-1", Credentials("a", "b"), "bucket mail")
    if gone:
        assert reader.read("k", "", "e") is None
    else:
        with pytest.raises(RuntimeError, match=status.partition(" ")[0]):
            reader.read("k", "", "e")
