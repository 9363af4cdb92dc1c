"""How late mail was stored: an object that was there for weeks before anybody listened says nothing of that."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from mailloom import obs
from mailloom.config import Obs
from mailloom.run.arrivals import tell
from mailloom.wire.clock import now_ms

HOUR, DAY = 3_600_000, 86_400_000


def landed(age: int) -> Any:
    origin = SimpleNamespace(length=7, mtime_ns=(now_ms() - age) * 1_000_000)
    return SimpleNamespace(sealed=SimpleNamespace(origin=origin))


@pytest.mark.parametrize(
    ("ages", "counted"), [((0,), 1), ((HOUR, 13 * DAY), 2), ((HOUR, 16 * DAY, 4000 * DAY), 1), ((16 * DAY,), 0)]
)
def test_only_mail_that_a_queue_can_have_held_has_a_latency(ages: tuple[int, ...], counted: int) -> None:
    out = io.StringIO()
    obs.configure(Obs(emf=True), out=out)
    try:
        tell([landed(age) for age in ages], {"stored": len(ages)})
    finally:
        obs.close()
    told = {name: value for line in out.getvalue().splitlines() for name, value in json.loads(line).items()}
    assert told["mails"] == len(ages)
    assert told["bytes"] == 7 * len(ages)
    latencies = told.get("stored_latency", [])
    assert len(latencies) == counted
    wanted = sorted(age for age in ages if age < 15 * DAY)
    assert [round(late / HOUR) for late in sorted(latencies)] == [age // HOUR for age in wanted]
