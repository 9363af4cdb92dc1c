"""The cache is only ever a hint: old, flushed, slow or gone, threads come out the same, and nobody waits long."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import redis
from dynamo_stores import Halves
from test_threads_contract import of_numbers

from mailloom.config import load
from mailloom.ports import Stated
from mailloom.stores.dynamodb import TABLES, Dynamo, DynamoNodes, create
from mailloom.stores.valkey import ValkeyCache
from mailloom.thread.assign import roots
from mailloom.thread.batch import derive
from mailloom.thread.keys import message_node
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave
from mailloom.wire.profile import Servers

pytestmark = pytest.mark.servers


@pytest.fixture
def client(valkey_url: str) -> Iterator[Any]:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    with redis.Redis.from_url(
        valkey_url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0)
    ) as made:
        yield made


def test_what_was_put_is_found_until_its_time(client: Any) -> None:
    cache = ValkeyCache(client, time.monotonic, "one:", ttl=1)
    cache.put({b"a": b"1", b"b": b""})
    assert cache.get([b"a", b"b", b"c"]) == {b"a": b"1", b"b": b""}
    assert ValkeyCache(client, time.monotonic, "two:").get([b"a"]) == {}
    assert (cache.hits, cache.misses, cache.errors) == (2, 1, 0)
    time.sleep(1.2)
    assert cache.get([b"a"]) == {}


def test_a_batch_is_one_call(client: Any) -> None:
    cache = ValkeyCache(client, time.monotonic)
    before = client.info("stats")["total_commands_processed"]
    cache.get([bytes([n]) for n in range(200)])
    assert client.info("stats")["total_commands_processed"] - before <= 2


def dead(port: int) -> Any:
    return redis.Redis(port=port, socket_timeout=0.05, socket_connect_timeout=0.05, retry=None)


def test_one_that_is_down_is_left_alone_for_a_while(client: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    now = [100.0]
    cache = ValkeyCache(dead(port), lambda: now[0], rest=5.0)
    assert cache.get([b"a"]) == {}
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {}
    assert cache.errors == 1, "asked once"
    cache.client = client
    now[0] = 105.1
    cache.put({b"a": b"1"})
    assert cache.get([b"a"]) == {b"a": b"1"}


def test_one_that_does_not_answer_costs_one_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        cache = ValkeyCache(dead(silent.getsockname()[1]), time.monotonic, rest=60)
        began = time.monotonic()
        for _ in range(100):
            assert cache.get([b"a"]) == {}
            cache.put({b"a": b"1"})
        assert time.monotonic() - began < 2
        assert cache.errors == 1


# ------------------------------------------------------------------------------------------------ with threads
def mails(seed: int) -> list[Stated]:
    r = Random(seed)
    made = []
    for n in range(1, 41):
        cites = [r.randrange(1, 41) for _ in range(r.choice([0, 1, 1, 2]))]
        made.append(of_numbers(n, n, cites, r.randrange(4), reply=r.random() < 0.5))
    r.shuffle(made)
    return made


def threads_are_right(
    boto: Callable[[str], Any], prefix: str, caches: list[ValkeyCache], upset: Callable[[int], None]
) -> None:
    """Weave mails in two workers, each with its cache, `upset` before each; threads are what the mails say."""
    create(boto("dynamodb"), prefix)
    dynamo = Dynamo(boto("dynamodb"), prefix)
    first = Halves(DynamoNodes(dynamo, lambda: 0, cache=caches[0]))
    workers = [first, first.beside(DynamoNodes(dynamo, lambda: 0, cache=caches[1]))]
    everything = mails(3)
    for at, stated in enumerate(everything):
        upset(at)
        weave(workers[at % 2], [stated])
        if at % 9 == 8:
            settle(workers[at % 2])
    settle(first)
    conversations, _ = derive(everything)
    store = first.in_memory()
    for message, conversation in conversations.items():
        name = message_node(message)
        while store.pool[name].parent != name:
            name = store.pool[name].parent
        assert (store.pool[message_node(message)].conv or name) == message_node(conversation)


@pytest.mark.parametrize("trouble", ["none", "flushed", "restored from an old copy", "down"])
def test_threads_are_the_same_whatever_the_cache_does(
    boto: Callable[[str], Any], prefix: str, client: Any, trouble: str
) -> None:
    caches = [ValkeyCache(client, time.monotonic), ValkeyCache(client, time.monotonic)]
    old: dict[bytes, bytes] = {}

    def upset(at: int) -> None:
        if at == 10:
            old.update((key, client.get(key)) for key in client.scan_iter())
        if at % 7 == 6 and trouble == "flushed":
            client.flushdb()
        if at % 7 == 6 and old and trouble.startswith("restored"):
            client.mset(old)
        if at == 10 and trouble == "down":
            caches[0].client = caches[1].client = dead(1)

    threads_are_right(boto, prefix, caches, upset)
    assert trouble == "down" or sum(cache.hits for cache in caches) > 10


def test_tables_that_were_made_anew_are_not_known_from_before(
    boto: Callable[[str], Any], prefix: str, dynamodb_url: str, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restore, or where two deployments share a cache: what is known of others of their names was never true of these. Two replies
    came, and what they answer, but only the second time.
    """
    environ = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "MAILLOOM_AWS_REGION": "eu-central-1",
        "MAILLOOM_AWS_DYNAMODB_URL": dynamodb_url,
        "MAILLOOM_AWS_TABLES": prefix,
        "MAILLOOM_VALKEY_URL": valkey_url,
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = load("aws", None, environ, Path("/nowhere")).settings
    replies = [of_numbers(2, 2, [1], 0, reply=True), of_numbers(3, 3, [1], 0, reply=True)]
    for life in (replies, [*replies, of_numbers(1, 1, [], 0, reply=False)]):
        create(boto("dynamodb"), prefix)
        servers = Servers(settings, environ)
        assert servers.cache is not None
        threads = Halves(DynamoNodes(servers.dynamo, lambda: 0, cache=servers.cache))
        for stated in life:
            weave(threads, [stated])
        settle(threads)
        names = [message_node(stated.message) for stated in life]
        assert len(set(roots(threads, names).values())) == 1
        servers.close()
        for table in TABLES:
            boto("dynamodb").delete_table(TableName=prefix + table)
