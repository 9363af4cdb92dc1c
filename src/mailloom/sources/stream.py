"""Bytes from anywhere, forward only, with a look ahead. What goes wrong underneath ends the bytes and is told in `fault`."""

from __future__ import annotations

import os
from collections.abc import Callable

from mailloom.sources.place import RefusedKind


class Fault(Exception):
    """Why the bytes ended early: raised by what a Stream pulls from, kept by the Stream."""

    def __init__(self, kind: RefusedKind, reason: str) -> None:
        super().__init__(reason)
        self.kind: RefusedKind = kind
        self.reason = reason


class Stream:
    """`pull(n)` gives at most n bytes (soft: a little more is fine), b"" at the end, or raises Fault or OSError.

    `size` is the number of bytes to come if known; `reopen` gives a second Stream over the same bytes where that is possible.
    """

    __slots__ = ("_ahead", "_ended", "_pull", "fault", "position", "reopen", "size")

    def __init__(
        self, pull: Callable[[int], bytes], *, size: int | None = None, reopen: Callable[[], Stream] | None = None
    ) -> None:
        self._pull = pull
        self._ahead = b""
        self._ended = False
        self.fault: Fault | None = None
        self.position = 0
        self.size = size
        self.reopen = reopen

    def _more(self, n: int) -> bytes:
        if self._ended:
            return b""
        try:
            data = self._pull(n)
        except Fault as fault:
            self.fault = fault
            data = b""
        except OSError as error:
            self.fault = Fault("unreadable", f"{error.strerror or type(error).__name__} while reading")
            data = b""
        self._ended = not data
        return data

    def peek(self, n: int) -> bytes:
        """The next n bytes, or fewer at the end, without taking them."""
        if len(self._ahead) < n:
            parts = [self._ahead]
            have = len(self._ahead)
            while have < n and (data := self._more(n - have)):
                parts.append(data)
                have += len(data)
            self._ahead = b"".join(parts)
        return self._ahead[:n]

    def read(self, n: int) -> bytes:
        """The next 1 to n bytes; b"" at the end."""
        if not self._ahead:
            data = self._more(n)
            if len(data) > n:
                data, self._ahead = data[:n], data[n:]
        else:
            data, self._ahead = self._ahead[:n], self._ahead[n:]
        self.position += len(data)
        return data

    def take(self, n: int) -> bytes:
        """The next n bytes, fewer only at the end."""
        parts = []
        while n > 0 and (data := self.read(n)):
            parts.append(data)
            n -= len(data)
        return b"".join(parts)

    def skip(self, n: int) -> int:
        """Pass over n bytes; returns how many there were."""
        left = n
        while left > 0 and (data := self.read(min(left, 1 << 18))):
            left -= len(data)
        return n - left


def descriptor_stream(descriptor: int) -> Stream:
    """A Stream over a file descriptor, as standard input."""
    return Stream(lambda n: os.read(descriptor, min(n, 1 << 20)))


def bytes_stream(data: bytes) -> Stream:
    """A Stream over bytes, which can be read again."""
    view = memoryview(data)
    at = 0

    def pull(n: int) -> bytes:
        nonlocal at
        start, at = at, at + n
        return bytes(view[start:at])

    return Stream(pull, size=len(data), reopen=lambda: bytes_stream(data))
