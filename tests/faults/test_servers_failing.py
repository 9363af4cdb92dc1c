"""Stores that answer, but not always as one would like: throttled, overloaded, failing before or after they did what was asked, in whole
or in part. The books balance, and the archive is that of an undisturbed run.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from spoiling import (
    Spoil,
    Spoiling,
    busy,
    failing,
    mixed,
    overloaded,
    slow_down,
    some_documents,
    some_messages,
    some_statements,
    throttled,
)
from trouble import Trouble, port

pytestmark = pytest.mark.servers
SMALL = {"worker": {"batch": 32, "batch_seconds": 0.2, "visibility": 10}}
RECEIVES = 30  # a receiving whose answer is lost counts, too


@contextmanager
def spoiled(trouble: Trouble, spoils: dict[str, Spoil]) -> Iterator[dict[str, Spoiling]]:
    """Processes that begin inside find these servers so."""
    urls = trouble.urls()
    with ExitStack() as opened:
        proxies = {}
        for number, (name, spoil) in enumerate(spoils.items()):
            proxies[name] = opened.enter_context(Spoiling("127.0.0.1", port(urls[name]), number))
            proxies[name].spoil = spoil
        trouble.through = {name: proxy.port for name, proxy in proxies.items()}
        yield proxies


@contextmanager
def terminating(dsn: str, seconds: float) -> Iterator[list[int]]:
    """A connection of somebody's is ended about so often: where it were more often than a commit takes, none would come to its end."""
    stop, ended, dice = threading.Event(), [], random.Random(5)

    def end() -> None:
        find = "select pid from pg_stat_activity where datname = current_database() and application_name = 'mailloom'"
        with psycopg.connect(dsn, autocommit=True, application_name="test") as connection:
            while not stop.wait(dice.uniform(0, 2 * seconds)):
                found = [pid for (pid,) in connection.execute(find)]
                if found:
                    ended.append(dice.choice(found))
                    connection.execute("select pg_terminate_backend(%s)", (ended[-1],))

    thread = threading.Thread(target=end)
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()


def test_dynamodb_throttles_a_quarter(wholes: Callable[..., Any]) -> None:
    trouble = Trouble(wholes(receives=RECEIVES, more=SMALL))
    with spoiled(trouble, {"dynamodb": mixed(busy(0.25, throttled), some_statements(0.25))}) as proxies:
        trouble.begin_all()
        trouble.land()
        trouble.ends_well(revive=True)
        print(proxies["dynamodb"].asked, proxies["dynamodb"].spoiled, trouble.ends)
        assert {"BatchExecuteStatement", "BatchGetItem"} <= proxies["dynamodb"].spoiled.keys()


def test_every_store_fails_often(wholes: Callable[..., Any]) -> None:
    trouble = Trouble(wholes(receives=RECEIVES, more=SMALL))
    spoils = {
        "dynamodb": mixed(busy(0.2, failing), some_statements(0.2)),
        "aws": mixed(busy(0.15, slow_down), some_messages(0.15)),
        "opensearch": mixed(busy(0.2, overloaded), some_documents(0.2)),
    }
    with spoiled(trouble, spoils) as proxies, terminating(trouble.urls()["postgres"], 3) as ended:
        trouble.begin_all()
        trouble.land()
        trouble.finishes(limit=400, revive=True)
        print(len(ended), {name: proxy.spoiled for name, proxy in proxies.items()}, trouble.ends)
        assert ended
        assert all(proxy.spoiled.total() for proxy in proxies.values())
    trouble.ends_well()
