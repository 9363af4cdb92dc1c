"""Scale-in protection: when it is asked for, and what happens where nobody answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

from hypothesis import given
from hypothesis import strategies as st

from mailloom.config import Worker as Settings
from mailloom.ports import Received
from mailloom.run.protection import MINUTES, Protection, from_agent
from mailloom.run.worker import Worker

STEP = 5.0  # seconds between two beats of a worker


def asked(holds: list[bool]) -> list[float]:
    """When a worker that holds mail at these beats asks."""
    now = 0.0
    when: list[float] = []
    protection = Protection(lambda _: when.append(now))
    for one in holds:
        protection.tell(holds=one, now=now)
        now += STEP
    return when


def protected(when: list[float], now: float) -> bool:
    return any(0 <= now - at < 60 * MINUTES for at in when)


def test_a_worker_that_holds_mail_is_protected_and_one_that_holds_none_is_not():
    assert asked([False] * 100) == []
    when = asked([True] * 60)  # five minutes
    assert all(protected(when, at * STEP) for at in range(60))
    assert len(when) == 4  # each call counts against the API's rate: one in 75 s


def test_a_small_pause_costs_no_call():
    assert len(asked([True, False] * 30)) == len(asked([True] * 60))


@given(st.lists(st.booleans(), min_size=1, max_size=300).map(lambda some: [one for one in some for _ in range(5)]))
def test_protection_never_lasts_longer_than_a_deployment_can_wait(holds):
    when = asked(holds)
    row = 0
    for at in range(len(holds) + 100):
        row = row + 1 if protected(when, at * STEP) else 0
        assert row * STEP <= 600 + 60 * MINUTES
    assert len(when) <= len(holds) * STEP / 75 + 1


def test_a_worker_that_is_never_idle_is_free_for_two_minutes_now_and_then():
    when = asked([True] * 1000)
    free = [at * STEP for at in range(1000) if not protected(when, at * STEP)]
    assert len(free) * STEP >= 5 * 110  # in 83 minutes, at least five times
    assert len(when) > 20


@contextmanager
def agent(status: int) -> Iterator[tuple[str, list[tuple[str, str, object]]]]:
    seen: list[tuple[str, str, object]] = []

    class Agent(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Agent)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api/0123", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_agent_is_asked_as_it_wants_to_be():
    with agent(200) as (uri, seen):
        protection = from_agent({"ECS_AGENT_URI": uri})
        assert protection is not None
        protection.tell(holds=True, now=7.0)
    want = {"ProtectionEnabled": True, "ExpiresInMinutes": MINUTES}
    assert seen == [("/api/0123/task-protection/v1/state", "application/json", want)]


def test_an_agent_that_refuses_or_is_away_stops_nothing():
    with agent(400) as (uri, seen):
        refused = from_agent({"ECS_AGENT_URI": uri})
        assert refused is not None
        refused.tell(holds=True, now=0.0)
        refused.tell(holds=True, now=80.0)
        assert len(seen) == 2
        assert refused.told
    refused.tell(holds=True, now=160.0)  # nobody listens any more


def test_without_an_agent_there_is_none():
    assert from_agent({}) is None
    assert from_agent({"ECS_AGENT_URI": "file:///etc/passwd"}) is None


class Nothing:
    """A queue in which nothing ever is."""

    def extend(self, receipts: object) -> None: ...


def test_a_worker_says_whether_it_holds_mail():
    asked: list[int] = []

    def put(minutes: int) -> None:
        asked.append(minutes)
        worker.hurry.set()

    worker = Worker(Nothing(), None, None, None, settings=Settings(visibility=10), protection=Protection(put))
    message = Received("receipt", "1", "{}", {}, 1, 0)
    worker.holding.take({"receipt": (message, 100)}, worker.clock(), 0)
    beating = Thread(target=worker._beating, daemon=True)
    beating.start()
    beating.join(30)
    assert not beating.is_alive()
    assert asked == [MINUTES]
