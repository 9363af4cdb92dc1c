"""The cache in a cluster, where keys of one command must share a slot, slots move, and nodes go: a hint there too."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis
from redis.crc import key_slot
from test_cache_valkey import threads_are_right
from valkey_nodes import Nodes, nodes

from mailloom.config import load
from mailloom.ports import UserError
from mailloom.stores.valkey import TAGS, Cluster, ValkeyCache
from mailloom.wire.clients import Clients
from services.fetch import Unavailable

pytestmark = pytest.mark.servers
KEYS = [b"%d" % n for n in range(500)]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that runs tests may be busy for longer than a cache is waited for."""
    monkeypatch.setattr("mailloom.wire.clients.CACHE_S", 2.0)


@pytest.fixture
def cluster(tmp_path: Path, server_missing: Callable[[str], NoReturn]) -> Iterator[Nodes]:
    try:
        with nodes(tmp_path) as made:
            yield made
    except Unavailable as error:
        server_missing(str(error))


def client(url: str) -> Any:
    """As a profile makes it."""
    environ = {"MAILLOOM_VALKEY_URL": url, "MAILLOOM_VALKEY_CLUSTER": "true"}
    return Clients(load("aws", None, environ, Path("/nowhere")).settings, environ).valkey()


def cached(cluster: Nodes, **more: Any) -> ValkeyCache:
    return ValkeyCache(client(cluster.url), time.monotonic, "mailloom-", **more)


def commands(cluster: Nodes) -> int:
    return sum(one.info("stats")["total_commands_processed"] for one in cluster.clients)


def test_what_was_put_is_found_on_all_nodes(cluster: Nodes) -> None:
    cache = cached(cluster, ttl=2)
    cache.put({key: b"v" + key for key in KEYS})
    assert cache.get([*KEYS, b"none"]) == {key: b"v" + key for key in KEYS}
    assert (cache.hits, cache.misses, cache.errors) == (500, 1, 0)
    assert all(one.dbsize() > 100 for one in cluster.clients), "spread over both"
    assert ValkeyCache(client(cluster.url), time.monotonic, "other-").get(KEYS) == {}
    time.sleep(2.2)
    assert cache.get(KEYS) == {}
    assert cache.errors == 0


def test_a_batch_is_a_command_for_each_tag_at_most(cluster: Nodes) -> None:
    cache = cached(cluster)
    cache.get(KEYS)
    before = commands(cluster)
    cache.get(KEYS)
    assert commands(cluster) - before <= TAGS + 2


def test_a_slot_that_moved_is_found_where_it_is(cluster: Nodes) -> None:
    cache = cached(cluster)
    cache.put(dict.fromkeys(KEYS, b"1"))
    assert len(cache.get(KEYS)) == 500
    moved = {key_slot(b"{%d}" % tag) for tag in range(0, TAGS, 4)}
    for slot in moved:
        cluster.move(slot, to=0 if slot >= 8192 else 1)
    stayed = cache.get(KEYS)
    assert 300 < len(stayed) < 450, "without the keys of slots that were moved empty"
    cache.put(dict.fromkeys(KEYS, b"2"))
    assert cache.get(KEYS) == dict.fromkeys(KEYS, b"2")
    assert cache.errors == 0


def test_one_that_is_down_from_the_start_is_a_miss_and_later_found(cluster: Nodes) -> None:
    for number in (0, 1):
        cluster.kill(number)
    now = [100.0]
    cache = ValkeyCache(client(cluster.url), lambda: now[0], rest=5.0)
    assert cache.get(KEYS) == {}
    cache.put({b"a": b"1"})
    assert cache.errors == 1, "asked once"
    cluster.processes[1] = cluster._start(1)
    cluster.start(0)
    now[0] = 105.1
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {b"a": b"1"}
    assert cache.errors == 1


def test_a_node_that_goes_costs_misses_only_and_is_used_again(cluster: Nodes) -> None:
    now = [0.0]
    cache = ValkeyCache(client(cluster.url), lambda: now[0], rest=5.0)
    cache.put(dict.fromkeys(KEYS, b"1"))
    cluster.kill(1)
    assert cache.get(KEYS) == {}
    assert cache.errors == 1
    cluster.start(1)
    now[0] = 6.0
    cache.put(dict.fromkeys(KEYS, b"2"))
    now[0] = 12.0  # whose connection was to the node before may need another
    cache.put(dict.fromkeys(KEYS, b"2"))
    assert cache.get(KEYS) == dict.fromkeys(KEYS, b"2")


def test_one_that_does_not_answer_costs_a_moment(cluster: Nodes) -> None:
    cache = cached(cluster, rest=60.0)
    cache.put(dict.fromkeys(KEYS, b"1"))
    for process in cluster.processes:
        process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(50):
            assert cache.get(KEYS) == {}
            cache.put({b"a": b"1"})
        assert cache.errors == 1, "asked once"
    finally:
        for process in cluster.processes:
            process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("trouble", ["none", "flushed", "slots move", "a node goes"])
def test_threads_are_the_same_whatever_the_cluster_does(
    boto: Callable[[str], Any], prefix: str, cluster: Nodes, trouble: str
) -> None:
    caches = [cached(cluster, rest=0.0), cached(cluster, rest=0.0)]

    def upset(at: int) -> None:
        if trouble == "flushed" and at % 7 == 6:
            cluster.flush()
        if trouble == "slots move" and at % 10 == 5:
            for tag in range(0, TAGS, 3):
                slot = key_slot(b"{%d}" % tag)
                cluster.move(slot, to=(at // 10) % 2)
        if trouble == "a node goes" and at == 12:
            cluster.kill(1)

    threads_are_right(boto, prefix, caches, upset)
    assert sum(cache.hits for cache in caches) > 5
    assert trouble == "a node goes" or not any(cache.errors for cache in caches)


def test_one_that_is_no_cluster_is_a_miss(valkey_url: str) -> None:
    plain, _, _ = valkey_url.rpartition("/")
    cache = ValkeyCache(client(plain), time.monotonic)
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {}
    assert cache.errors == 1


def test_a_client_without_the_setting_can_not_do_it(cluster: Nodes) -> None:
    """Why the setting is there."""
    plain = redis.Redis.from_url(cluster.url)
    with pytest.raises(redis.ResponseError, match="same slot"):
        plain.mget([b"a", b"b"])
    plain.close()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/3", "http://:secret@example.org"])
def test_an_address_that_can_not_be_is_told_at_once(url: str) -> None:
    with pytest.raises(UserError, match=r"valkey\.url") as told:
        client(url)
    assert "secret" not in str(told.value)


def test_nothing_is_asked_before_it_is_used() -> None:
    assert isinstance(client("redis://127.0.0.1:1"), Cluster)
