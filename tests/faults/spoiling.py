"""A proxy before an HTTP service that spoils some of its answers, for tests.

with Spoiling("127.0.0.1", port, seed=1) as proxy:
    proxy.spoil = busy(0.25, slow_down)     # a quarter of the requests, half of them after the service has done what they ask for
    proxy.spoil = some_statements(0.25)     # parts of DynamoDB's batches
    proxy.spoil = forward                   # as if nothing had been
"""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self


class Asked(NamedTuple):
    """A request; `what` is its operation, where a header tells it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def what(self) -> str:
        return self.headers.get("x-amz-target", "").rpartition(".")[2]


class Answer(NamedTuple):
    """`kind` is its content type."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


Pass = Callable[[Asked], Answer]
"""Asks the service itself."""
Spoil = Callable[[Asked, Pass, random.Random], Answer]
NOT_OURS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive", "x-amz-crc32"})
"""Headers of one connection, and of the body as the service made it."""


def forward(asked: Asked, ask: Pass, _: random.Random) -> Answer:
    return ask(asked)


class Spoiling:
    """Listens on `port` of 127.0.0.1. `spoiled` counts by operation (or method) what `spoil` did not leave as it was."""

    def __init__(self, host: str, port: int, seed: int = 0) -> None:
        self.to = (host, port)
        self.spoil: Spoil = forward
        self.dice = random.Random(seed)
        self.asked: Counter[str] = Counter()
        self.spoiled: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.local = threading.local()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()  # waits for no thread of a client that is still there
        self.thread.join()

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            dice = random.Random(self.dice.random())
        truth: list[Answer] = []

        def ask(one: Asked) -> Answer:
            truth.append(self._ask(one))
            return truth[-1]

        answer = self.spoil(asked, ask, dice)
        with self.lock:
            name = asked.what or asked.method
            self.asked[name] += 1
            self.spoiled[name] += not truth or answer is not truth[-1]
        return answer

    def _ask(self, asked: Asked) -> Answer:
        """One connection a thread, and a thread a client's connection."""
        again = hasattr(self.local, "connection")
        if not again:
            self.local.connection = http.client.HTTPConnection(*self.to, timeout=120)
        connection = self.local.connection
        try:
            connection.request(asked.method, asked.path, asked.body or None, dict(asked.headers))
            found = connection.getresponse()
            body = found.read()
        except (OSError, http.client.HTTPException):
            self._close()
            if again:  # the service closed it while it was idle
                return self._ask(asked)
            raise
        kept = {name: value for name, value in found.getheaders() if name.lower() not in NOT_OURS}
        length = found.getheader("content-length")
        if asked.method == "HEAD" and length:
            kept["Content-Length"] = length
        return Answer(found.status, body, kept)

    def _close(self) -> None:
        """This thread's connection."""
        if (connection := self.local.__dict__.pop("connection", None)) is not None:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                headers.pop("connection", None)
                headers.pop("expect", None)
                answer = proxy.answer(Asked(self.command, self.path, headers, body))
                self.send_response_only(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in answer.headers and answer.status not in {204, 304}:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    pass
                finally:
                    proxy._close()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

        return Handler


# ------------------------------------------------------------------------------------------------ whole requests
def busy(share: float, refusal: Callable[[Asked], Answer | None]) -> Spoil:
    """So many of the requests are refused: half of them unheard, half after the service did what it was asked for."""

    def spoil(asked: Asked, ask: Pass, dice: random.Random) -> Answer:
        refused = refusal(asked) if dice.random() < share else None
        if refused is None:
            return ask(asked)
        if dice.random() < 0.5:
            ask(asked)
        return refused

    return spoil


def throttled(asked: Asked) -> Answer | None:
    """As DynamoDB says that a table's throughput is used up. It does so before anything is done, but who knows."""
    return _aws("ProvisionedThroughputExceededException", 400) if asked.what else None


def failing(asked: Asked) -> Answer | None:
    """As AWS's JSON services say that they failed."""
    return _aws("InternalServerError", 500) if asked.what else None


def slow_down(asked: Asked) -> Answer | None:
    """S3: 503 SlowDown. SQS and the others behind the same address: 500."""
    if asked.what:
        return failing(asked)
    body = (
        "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    )
    return Answer(503, body.encode(), {"Content-Type": "application/xml"})


def overloaded(asked: Asked) -> Answer | None:
    """OpenSearch: 503 or 429 for searches and writes."""
    error = {"type": "rejected_execution_exception", "reason": "full"}
    return _json(429 if len(asked.body) % 2 else 503, {"error": error, "status": 429})


def refused(status: int, code: str) -> Spoil:
    """Every request is refused with that status and code, as one whose credentials are wrong is."""

    def spoil(asked: Asked, _: Pass, __: random.Random) -> Answer:
        if asked.what:
            return _aws(code, status)
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
        return Answer(status, body.encode(), {"Content-Type": "application/xml"})

    return spoil


def _aws(code: str, status: int) -> Answer:
    said = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "by a test"}
    return Answer(status, json.dumps(said).encode(), {"Content-Type": "application/x-amz-json-1.0"})


def _json(status: int, said: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(said).encode(), {"Content-Type": "application/json", **(headers or {})})


# ------------------------------------------------------------------------------------------------ parts of batches
def some_statements(share: float) -> Spoil:
    """Of DynamoDB's batches: statements that are throttled, keys that are left unprocessed, transactions that conflict."""

    def spoil(asked: Asked, ask: Pass, dice: random.Random) -> Answer:
        if asked.what == "BatchExecuteStatement":
            return _statements(asked, ask, lambda: dice.random() < share)
        if asked.what == "BatchGetItem":
            return _keys(asked, ask, lambda: dice.random() < share)
        if asked.what == "TransactWriteItems" and dice.random() < share:
            count = len(json.loads(asked.body)["TransactItems"])
            reasons = [{"Code": "None"}] * (count - 1) + [{"Code": "TransactionConflict", "Message": "by a test"}]
            said = {"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message": "by a test"}
            return _json(400, {**said, "CancellationReasons": reasons}, {"Content-Type": "application/x-amz-json-1.0"})
        return ask(asked)

    return spoil


def _statements(asked: Asked, ask: Pass, hit: Callable[[], bool]) -> Answer:
    given = json.loads(asked.body)
    spoiled = [hit() for _ in given["Statements"]]
    if not any(spoiled):
        return ask(asked)
    wrong = {"Error": {"Code": "ThrottlingError", "Message": "by a test"}}
    rest = [one for one, bad in zip(given["Statements"], spoiled, strict=True) if not bad]
    said: dict[str, Any] = {"Responses": []}
    if rest:
        answer = ask(_with(asked, {**given, "Statements": rest}))
        if answer.status != 200:
            return answer
        said = json.loads(answer.body)
    done = iter(said["Responses"])
    said["Responses"] = [wrong if bad else next(done) for bad in spoiled]
    return _json(200, said, {"Content-Type": "application/x-amz-json-1.0"})


def _keys(asked: Asked, ask: Pass, hit: Callable[[], bool]) -> Answer:
    given = json.loads(asked.body)
    ((table, wanted),) = given["RequestItems"].items()
    left = [key for key in wanted["Keys"] if hit()]
    rest = [key for key in wanted["Keys"] if key not in left]
    if not left:
        return ask(asked)
    said: dict[str, Any] = {"Responses": {table: []}}
    if rest:
        answer = ask(_with(asked, {**given, "RequestItems": {table: {**wanted, "Keys": rest}}}))
        if answer.status != 200:
            return answer
        said = json.loads(answer.body)
    more = said.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
    said["UnprocessedKeys"] = {table: {**wanted, "Keys": more + left}}
    return _json(200, said, {"Content-Type": "application/x-amz-json-1.0"})


def some_messages(share: float) -> Spoil:
    """Of SQS's batches: entries that the service failed to do."""

    def spoil(asked: Asked, ask: Pass, dice: random.Random) -> Answer:
        if not asked.what.endswith("Batch"):
            return ask(asked)
        given = json.loads(asked.body)
        spoiled = [entry for entry in given["Entries"] if dice.random() < share]
        rest = [entry for entry in given["Entries"] if entry not in spoiled]
        if not spoiled:
            return ask(asked)
        said: dict[str, Any] = {"Successful": []}
        if rest:
            answer = ask(_with(asked, {**given, "Entries": rest}))
            if answer.status != 200:
                return answer
            said = json.loads(answer.body)
        wrong = {"Code": "InternalError", "SenderFault": False, "Message": "by a test"}
        said["Failed"] = said.get("Failed", []) + [{"Id": entry["Id"], **wrong} for entry in spoiled]
        return _json(200, said, {"Content-Type": "application/x-amz-json-1.0"})

    return spoil


def some_documents(share: float) -> Spoil:
    """Of OpenSearch's bulks: documents that a full queue refuses."""

    def spoil(asked: Asked, ask: Pass, dice: random.Random) -> Answer:
        if not asked.path.partition("?")[0].endswith("_bulk"):
            return ask(asked)
        lines = asked.body.splitlines(keepends=True)
        pairs = [lines[at] + lines[at + 1] for at in range(0, len(lines) - 1, 2)]
        spoiled = [dice.random() < share for _ in pairs]
        if not any(spoiled):
            return ask(asked)
        wrong = {"status": 429, "error": {"type": "rejected_execution_exception", "reason": "by a test"}}
        rest = [pair for pair, bad in zip(pairs, spoiled, strict=True) if not bad]
        said: dict[str, Any] = {"items": []}
        if rest:
            answer = ask(asked._replace(body=b"".join(rest), headers=_sized(asked, b"".join(rest))))
            if answer.status != 200:
                return answer
            said = json.loads(answer.body)
        done = iter(said["items"])
        items = [{"index": wrong} if bad else next(done) for bad in spoiled]
        return _json(200, {"errors": True, "items": items})

    return spoil


def mixed(*spoils: Spoil) -> Spoil:
    """One of these, a request."""
    return lambda asked, ask, dice: dice.choice(spoils)(asked, ask, dice)


def _with(asked: Asked, given: Mapping[str, Any]) -> Asked:
    body = json.dumps(given).encode()
    return asked._replace(body=body, headers=_sized(asked, body))


def _sized(asked: Asked, body: bytes) -> Mapping[str, str]:
    return {**asked.headers, "content-length": str(len(body))}
