"""The proxy that the fault tests trust: each switch does what it says, and forwarding changes nothing."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest
from proxy import Proxy

GOT: list[bytes] = []


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        got = b""
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                got += data
                self.request.sendall(data)
        GOT.append(got)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    block_on_close = True


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    GOT.clear()
    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with Proxy("127.0.0.1", server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        more = client.recv(65536)
        if not more:
            raise EOFError
        got += more
    return got


def test_forwards_all_bytes_and_the_end(proxy: Proxy) -> None:
    data = bytes(range(256)) * 8192
    with connect(proxy) as client:
        writer = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        writer.start()
        got = b""
        while more := client.recv(65536):
            got += more
        writer.join()
    assert got == data
    assert proxy.connections == 1


def test_delays(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.delay(0.2)
        begun = time.monotonic()
        assert ask(client, b"b") == b"b"
        assert time.monotonic() - begun >= 0.4
        proxy.forward()
        assert ask(client, b"c") == b"c"


def test_cuts_what_is_asked_at_the_byte_and_once(proxy: Proxy) -> None:
    with connect(proxy) as client, connect(proxy) as other:
        assert ask(client, b"12345") == b"12345"
        proxy.cut(3)
        assert ask(other, b"x") == b"x"
        with pytest.raises((ConnectionError, EOFError)):
            ask(client, b"6789")
        assert ask(other, b"goes on") == b"goes on"
    proxy.forward()
    with connect(proxy) as client:
        assert ask(client, b"again") == b"again"
    for _ in range(500):
        if b"1234567" in GOT:
            break
        time.sleep(0.01)
    assert b"1234567" in GOT  # 3 bytes went on: one of the other client's, two of this one's


def test_cuts_an_answer_after_all_was_asked(proxy: Proxy) -> None:
    proxy.cut(2, answers=True)
    with connect(proxy) as client, pytest.raises((ConnectionError, EOFError)):
        ask(client, b"12345")
    with connect(proxy) as client:
        assert ask(client, b"ab") == b"ab"
    for _ in range(500):
        if b"12345" in GOT:
            break
        time.sleep(0.01)
    assert b"12345" in GOT


def test_resets_what_is_open_and_what_comes(proxy: Proxy) -> None:
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.reset()
        with pytest.raises((ConnectionError, EOFError)):
            ask(client, b"b")
    with pytest.raises((ConnectionError, EOFError)), connect(proxy) as client:
        ask(client, b"c")
    proxy.forward()
    with connect(proxy) as client:
        assert ask(client, b"d") == b"d"


def test_refuses_and_comes_back_at_the_same_port(proxy: Proxy) -> None:
    port = proxy.port
    with connect(proxy) as client:
        assert ask(client, b"a") == b"a"
        proxy.refuse()
        with pytest.raises((ConnectionError, EOFError)):
            ask(client, b"b")
    with pytest.raises(ConnectionRefusedError):
        connect(proxy)
    proxy.refuse()
    proxy.forward()
    assert proxy.port == port
    with connect(proxy) as client:
        assert ask(client, b"c") == b"c"
    assert proxy.connections == 2


def test_a_server_that_is_down_closes_the_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with (
            Proxy("127.0.0.1", unused.getsockname()[1]) as proxy,
            pytest.raises((ConnectionError, EOFError)),
            connect(proxy) as client,
        ):
            ask(client, b"a")
