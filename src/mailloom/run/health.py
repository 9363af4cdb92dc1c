"""Two pages for whoever watches a process: /healthz (200 while it moves), /readyz (200 while it can work)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import orjson

from mailloom.config import Worker as Settings
from mailloom.ports import UserError


class Health(NamedTuple):
    """`live`: it moves, or else should be started anew; `ready`: it can work; `words` say why not."""

    live: bool
    ready: bool
    words: str = ""


@contextmanager
def serving(ask: Callable[[], Health], port: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Serve the pages on a thread of its own meanwhile; gives the port, which is a free one for 0."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            health = ask()
            good = {"/healthz": health.live, "/readyz": health.live and health.ready}.get(self.path)
            body = orjson.dumps({"live": health.live, "ready": health.ready, "why": health.words})
            self.send_response(404 if good is None else 200 if good else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: probes come every few seconds."""

    try:
        server = ThreadingHTTPServer((host, port), Pages)
    except OSError as error:
        raise UserError(
            f"the health endpoint can't listen on {host}:{port} ({error.strerror}): set worker.health_port or health_host"
        ) from None
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving_if(ask: Callable[[], Health], settings: Settings) -> Iterator[None]:
    """The same where the settings name a port; they are those of all processes that run for long."""
    if not settings.health_port:
        yield
        return
    with serving(ask, settings.health_port, settings.health_host):
        yield
