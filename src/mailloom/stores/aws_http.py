"""HTTP requests to one address over connections that are kept open, by the standard library.

A worker makes one and a half requests a mail; urllib3 takes 0.4 ms of CPU for each, this 0.2 ms. The rule it keeps: a connection that
anything went wrong with is closed, and one on which an answer was read whole is used again.
"""

from __future__ import annotations

import random
import socket
import ssl
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.httpsession import get_cert_path

ATTEMPTS = 3
"""For what is gone in a moment; above it stores and runners have their own patience."""
FIRST_WAIT = 0.2  # seconds, doubled each time, with full jitter
AGAIN = frozenset((500, 502, 503, 504))


class Answer(NamedTuple):
    """What came back. Names of headers are found in any case."""

    status: int
    headers: HTTPMessage
    body: bytes


class UnreachableError(Exception):
    """Nobody answers, or not to the end."""


class Http:
    """Safe between threads: each request has a connection to itself. `connect` and `read` are timeouts in seconds."""

    def __init__(
        self, url: str, *, connect: float = 5, read: float = 30, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urlsplit(url)
        self.scheme, self.host, self.connect, self.read, self.sleep = parts.scheme, parts.netloc, connect, read, sleep
        self.trust = ssl.create_default_context(cafile=get_cert_path(True)) if parts.scheme == "https" else None
        self._idle: deque[HTTPConnection] = deque()
        weakref.finalize(self, _close, self._idle)

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Any request must be one that may be made twice. What the service answers is given as it is, after some tries where it is one
        of AGAIN. Raises UnreachableError.
        """
        attempt, renewed = 1, False
        while True:
            kept = bool(self._idle)
            try:
                answer = self._once(method, target, headers, body)
                if answer.status not in AGAIN or attempt == ATTEMPTS:
                    return answer
            except (OSError, HTTPException) as error:
                # A connection that was kept may have been closed by the other side long ago, and all others with it. Once only: other
                # threads keep new ones meanwhile, and a request that the other side can't stand would be made for ever.
                if kept and not renewed:
                    renewed = True
                    _close(self._idle)
                    continue
                if attempt == ATTEMPTS:
                    raise UnreachableError(
                        f"{self.scheme}://{self.host}: {type(error).__name__}: {error}".rstrip(": ")
                    ) from error
            self.wait(attempt)
            attempt += 1

    def wait(self, attempt: int) -> None:
        """After an attempt (from 1) that may do better the next time."""
        self.sleep(random.random() * FIRST_WAIT * 2.0**attempt)  # noqa: S311  no secret

    def _once(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._opened()
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            found = Answer(answer.status, answer.headers, answer.read())
        except BaseException:
            connection.close()
            raise
        if not answer.will_close:
            self._idle.append(connection)
        else:
            connection.close()
        return found

    def _opened(self) -> HTTPConnection:
        if self.trust is not None:
            connection: HTTPConnection = HTTPSConnection(self.host, timeout=self.connect, context=self.trust)
        else:
            connection = HTTPConnection(self.host, timeout=self.connect)
        try:
            connection.connect()
        except BaseException:  # half open, where its certificate is refused
            connection.close()
            raise
        connection.sock.settimeout(self.read)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection

    def close(self) -> None:
        _close(self._idle)


def _close(idle: deque[HTTPConnection]) -> None:
    while idle:
        idle.pop().close()
