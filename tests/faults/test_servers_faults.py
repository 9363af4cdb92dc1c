"""Each fault that servers and processes may meet, in mid run: the books balance, and the archive is that of an undisturbed run.

Real processes on real servers; MAILLOOM_FAULT_MAILS says how many mails a fault gets.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from trouble import Trouble, port

pytestmark = pytest.mark.servers
SMALL = {"worker": {"batch": 16, "batch_seconds": 0.2, "visibility": 10}}


def portioned(trouble: Trouble, count: int, act: Callable[[int], None]) -> None:
    """A portion of the mail, something that happens, the next portion."""
    for number, some in enumerate(trouble.portions(count)):
        trouble.whole.put(some)
        act(number)


def test_workers_killed_twenty_times(wholes: Callable[..., Any]) -> None:
    trouble = Trouble(wholes(receives=50, more=SMALL))
    trouble.begin_all()
    dice, held = random.Random(1), []

    def act(number: int) -> None:
        name = ("one", "two")[number % 2]
        trouble.ready(name)
        time.sleep(dice.uniform(0.1, 1.0))
        trouble.kill(name)
        held.append(trouble.whole.servers.queue("work").depth()[1])
        trouble.begin(name, "work")

    portioned(trouble, 20, act)
    trouble.ends_well()
    print("held at each kill:", held)
    assert sum(1 for count in held if count) > 3, "hardly a kill met a worker that had something to do"


def test_settle_killed_five_times_while_workers_run(wholes: Callable[..., Any]) -> None:
    trouble = Trouble(wholes(more=SMALL))
    trouble.begin_all()
    trouble.ready("one", "two")
    dice, marked = random.Random(2), []

    def act(_: int) -> None:
        time.sleep(dice.uniform(1.5, 3.0))
        trouble.kill("settle")
        marked.append(len(trouble.whole.servers.threads.dirty(1000)))
        trouble.begin("settle", "settle", "--every", "1")

    portioned(trouble, 5, act)
    trouble.ends_well()
    print("marked at each kill:", marked)


def test_postgresql_killed_and_restarted(wholes: Callable[..., Any], own_server: Callable[[str], Any]) -> None:
    postgres = own_server("postgres")
    trouble = Trouble(wholes(urls={"postgres": postgres.url}, more=SMALL))
    trouble.begin_all()
    trouble.ready("one", "two")

    def act(number: int) -> None:
        time.sleep(0.7)
        if number in {1, 2}:
            postgres.kill(signal.SIGKILL if number == 1 else signal.SIGINT)
            time.sleep(1.5)
            postgres.start()

    portioned(trouble, 4, act)
    trouble.ends_well()


@pytest.mark.parametrize("seconds", [15, pytest.param(60, marks=pytest.mark.soak)])
def test_opensearch_held_then_killed_and_restarted(
    wholes: Callable[..., Any], own_server: Callable[[str], Any], seconds: float
) -> None:
    """It accepts connections and is silent, as one that collects garbage; later it dies."""
    opensearch = own_server("opensearch")
    trouble = Trouble(wholes(urls={"opensearch": opensearch.url}, more=SMALL))
    trouble.begin_all()
    trouble.ready("one", "two")
    first, second = trouble.portions(2)
    trouble.whole.put(first)
    trouble.under_way()
    with opensearch.held():
        time.sleep(seconds)
    trouble.whole.put(second)
    trouble.under_way(0.7)
    opensearch.kill()
    opensearch.start()
    trouble.ends_well()


def test_valkey_flushed_killed_and_restored_stale(wholes: Callable[..., Any], own_server: Callable[[str], Any]) -> None:
    valkey = own_server("valkey")
    trouble = Trouble(wholes(urls={"valkey": valkey.url}, more=SMALL))
    trouble.begin_all()
    trouble.ready("one", "two")
    old: dict[bytes, bytes] = {}

    def act(number: int) -> None:
        time.sleep(0.7)
        if number == 4:
            valkey.kill()
            return
        if number == 5:
            valkey.start()
        with redis.Redis.from_url(valkey.url) as client:
            if number == 1:
                keys = list(client.scan_iter())
                old.update(zip(keys, client.mget(keys), strict=True) if keys else ())
            if number == 2:
                client.flushall()
            if number in {3, 5}:  # what it knew some portions ago, as after a restore from a copy
                client.mset(old) if old else None

    portioned(trouble, 6, act)
    assert old, "the cache was never filled"
    trouble.ends_well()


def test_connections_cut_in_mid_batch(wholes: Callable[..., Any]) -> None:
    from contextlib import ExitStack

    from proxy import Proxy

    trouble = Trouble(wholes(more=SMALL))
    dice = random.Random(4)
    with ExitStack() as opened:
        urls = trouble.urls()
        proxies = {
            name: opened.enter_context(Proxy("127.0.0.1", port(urls[name])))
            for name in ("postgres", "dynamodb", "aws", "opensearch")
        }
        trouble.through = {name: proxy.port for name, proxy in proxies.items()}
        trouble.begin_all()
        trouble.ready("one", "two")

        def act(number: int) -> None:
            proxy = proxies[("postgres", "dynamodb", "aws", "opensearch")[number % 4]]
            for answers in (False, True, True):
                time.sleep(0.2)
                proxy.cut(dice.randrange(4000), answers=answers)
            time.sleep(0.2)
            proxy.reset()
            time.sleep(0.1)
            if number < 4:
                proxy.refuse()
                time.sleep(2)
            proxy.forward()

        portioned(trouble, 12, act)
        trouble.ends_well()
        assert all(proxy.connections for proxy in proxies.values())
