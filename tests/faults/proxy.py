"""A proxy on loopback that spoils connections, for tests: it stands before any TCP server and is switched while it runs.

with Proxy("127.0.0.1", port) as proxy:
    client = connect("127.0.0.1", proxy.port)
    proxy.cut(1000)     # the 1,001st byte that clients send from now on never arrives: reset, then as before
    proxy.refuse()      # as if the server were down
    proxy.forward()     # as if nothing had been
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a dying host does: RST, what is under way is lost."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    """Forwards to host:port from `port` on 127.0.0.1; `connections` counts those accepted since the start."""

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.connections = 0
        self._to = (host, port)
        self._pause = 0.0
        self._left: dict[bool, int] = {}  # bytes until the cut: True for what clients send, False for answers
        self._resetting = False
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def forward(self, port: int = 0) -> None:
        """Forward everything as it is, and listen again; with a port, whoever connects from now on reaches that one."""
        if port:
            self._to = (self._to[0], port)
        self._switch(self._nothing)

    def delay(self, seconds: float) -> None:
        """Hold back each piece, in both directions, for so long."""
        self._switch(lambda: setattr(self, "_pause", seconds))

    def cut(self, after: int, *, answers: bool = False) -> None:
        """Once: let `after` more bytes through, of all that clients send (or are answered), then reset that connection."""
        self._switch(lambda: self._left.update({not answers: after}))

    def reset(self) -> None:
        """Reset what is connected and whatever connects."""
        self._switch(self._reset_all)

    def refuse(self) -> None:
        """Listen no more, and reset what is connected."""
        self._switch(self._stop_listening)

    def _switch(self, into: Callable[[], None]) -> None:
        async def switch() -> None:
            self._pause, self._resetting = 0.0, False
            self._left.clear()
            into()
            if self._listener is None and into != self._stop_listening:
                await self._listen()

        asyncio.run_coroutine_threadsafe(switch(), self._loop).result()

    def _nothing(self) -> None:
        pass

    def _reset_all(self) -> None:
        self._resetting = True
        for writer in tuple(self._open):
            reset(writer)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._reset_all()

    async def _listen(self) -> None:
        while self._listener is None:
            # Not a port that the kernel gives to clients: while nobody listens, one of them could take it.
            port = self.port or random.randrange(15000, 32000)
            try:
                self._listener = await asyncio.start_server(self._serve, "127.0.0.1", port)
            except OSError:
                if self.port:
                    raise
        self.port = port

    async def _end(self) -> None:
        self._stop_listening()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)  # what was reset is closed by the loop's next turns

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        ends = [writer]
        self._open.add(writer)
        whole = False
        try:
            if not self._resetting:
                back, to = await asyncio.open_connection(*self._to)
                ends.append(to)
                self._open.add(to)
                await asyncio.gather(self._pump(reader, to, True), self._pump(back, writer, False))
                # Both have said all: what is under way shall arrive.
                whole = True
        except (OSError, asyncio.CancelledError):
            pass  # either side went away: so does the other
        finally:
            for end in ends:
                self._open.discard(end)
                if whole:
                    end.close()
                else:
                    reset(end)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bool) -> None:
        while data := await reader.read(65536):
            if self._pause:
                await asyncio.sleep(self._pause)
            left = self._left.get(asked)
            if left is not None:
                if len(data) > left:
                    del self._left[asked]
                    writer.write(data[:left])
                    # What is allowed to arrive shall arrive, before the reset throws away what waits.
                    await writer.drain()
                    await asyncio.sleep(0.01)
                    raise ConnectionResetError
                self._left[asked] = left - len(data)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
