"""What comes twice, or at the same time, or by a wrong clock, on the whole server profile: it is once what it would have been alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from trouble import Trouble, pointers

from mailloom.config import load
from mailloom.flow.commit import commit
from mailloom.ports import Parcel
from mailloom.run.arrivals import fetch, work
from mailloom.run.pointers import read_pointer
from mailloom.wire.profile import Servers, open_servers
from mailloom.wire.servers import ServerLedger

pytestmark = pytest.mark.servers
SMALL = {"worker": {"batch": 16, "batch_seconds": 0.2, "visibility": 10}}
SKEW = 600  # seconds


def test_two_workers_whose_clocks_differ_by_twenty_minutes(wholes: Callable[..., Any]) -> None:
    trouble = Trouble(wholes(more=SMALL))
    program = [sys.executable, str(Path(__file__).with_name("skewed.py"))]
    for name, ahead, words in (
        ("one", SKEW, ["work"]),
        ("two", -SKEW, ["work"]),
        ("settle", SKEW, ["settle", "--every", "1"]),
        ("other settle", -SKEW, ["settle", "--every", "1"]),
        ("validate", -SKEW, ["validate"]),
    ):
        trouble.whole.launch(name, [*program, str(ahead), *words], {})
    trouble.land()
    trouble.ends_well()
    assert '"worker begins"' in trouble.whole.log("one")
    assert '"worker begins"' in trouble.whole.log("two")


def test_each_mail_given_to_two_workers_at_once(wholes: Callable[..., Any]) -> None:
    """Each event twice, and each pointer on both queues twice: visibility keeps nobody away."""
    trouble = Trouble(wholes(more=SMALL))
    trouble.begin_all()
    trouble.begin("large", "work", "--large")
    trouble.ready("one", "two", "large")
    trouble.land()
    trouble.whole.event(key.removeprefix("raw/") for key in (read_pointer(body).key for body in pointers(trouble)))
    servers = trouble.whole.servers
    for _ in range(2):
        for name in ("work", "large"):
            servers.queue(name).send([Parcel(body) for body in pointers(trouble)])
    trouble.whole.wait(trouble.sent)
    until = time.monotonic() + 120
    while any(sum(servers.queue(name).depth()) for name in ("events", "work", "large")):
        assert time.monotonic() < until, trouble.logs()
        time.sleep(0.3)
    trouble.ends_well()


# ------------------------------------------------------------------------------------------------ a copy of what is unfinished
class KilledError(BaseException):
    """The worker is no more."""


class After:
    """Something whose `method` is followed by an act."""

    def __init__(self, inner: Any, method: str, act: Callable[[], None]) -> None:
        self.inner, self.method, self.act = inner, method, act

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.inner, name)
        if name != self.method:
            return real

        def followed(*values: Any, **named: Any) -> Any:
            answer = real(*values, **named)
            self.act()
            return answer

        return followed


def another(trouble: Trouble) -> Servers:
    """The servers as another process has them."""
    profile = trouble.whole.profile
    return open_servers(load("aws", profile.config, profile.env(), trouble.whole.folder).settings, profile.env())


def committed(servers: Servers, body: str, stores: Any = None) -> dict[str, int]:
    """One pointer's mail, committed as a worker does it."""
    pointer = read_pointer(body)
    worked = work([fetch(servers.buckets(pointer.bucket), pointer)], keep=False)
    with servers.stores.unit():
        return dict(commit(worked.arrived, worked.frames, stores or servers.stores).states)


STEPS = ("messages.put", "threads.state", "threads.place", "messages.finish", "copies", "ledger.deliver")


def stopped(servers: Servers, step: str, act: Callable[[], None]) -> SimpleNamespace:
    """The stores of a worker in whose commit something happens after a step."""
    inner = servers.stores
    stores = SimpleNamespace(threads=inner.threads, messages=inner.messages, ledger=inner.ledger, raws=inner.raws)
    part, _, method = step.partition(".")
    if step == "copies":  # a delivery is told to two stores, to this one first
        stores.ledger = ServerLedger(After(servers.ledger._copies, "keep", act), servers.objects)  # type: ignore[arg-type]
    else:
        setattr(stores, part, After(getattr(stores, part), method, act))
    return stores


def test_a_second_copy_acknowledged_while_the_first_is_unfinished(wholes: Callable[..., Any]) -> None:
    """One worker stops after a step of its commit, another commits a second copy to its end; then the first dies, or goes on."""
    trouble = Trouble(wholes())
    cases = [(step, dies) for step in STEPS for dies in (True, False)]
    for number in range(len(cases)):
        raw = f"From: ann@example.org\nSubject: Tides {number}\nMessage-ID: <{number}@example.org>\n\nPort {number}\n"
        trouble.whole.put(dict.fromkeys((f"{number:02}/first.eml", f"{number:02}/second.eml"), raw.encode()))
    bodies = {read_pointer(body).key.removeprefix("raw/"): body for body in pointers(trouble)}
    one, two, three = another(trouble), another(trouble), another(trouble)
    with closing(one), closing(two), closing(three):
        for number, (step, dies) in enumerate(cases):
            first, second = bodies[f"{number:02}/first.eml"], bodies[f"{number:02}/second.eml"]

            def act(second: str = second, dies: bool = dies) -> None:
                committed(two, second)
                if dies:
                    raise KilledError

            stores = stopped(one, step, act)
            with pytest.raises(KilledError) if dies else nullcontext():
                committed(one, first, stores)
            # Neither message was deleted: both come again.
            committed(three, first)
            committed(three, second)
            books = trouble.whole.books()
            done = number + 1
            assert (books["received"], books["stored"], books["duplicate"]) == (2 * done, done, done), (
                step,
                dies,
                books,
            )
        with two.writer.take() as connection:
            found = dict(connection.execute("select state, count(*) from copies group by state").fetchall())
            assert found == {"stored": len(cases), "duplicate": len(cases)}
            count = connection.execute("select count(*), count(distinct conversation) from conversations").fetchone()
            assert count == (len(cases), len(cases))
    trouble.whole.settle()
    assert "is sound" in trouble.whole.run("doctor", "--deep")
