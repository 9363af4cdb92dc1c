"""A read-through cache of items in Valkey or Redis: only ever a hint.

It may be old, empty, slow or down: an error or a slow answer is a miss, and then it is left alone for some seconds, so that a cache
that hangs costs a batch one short timeout and not one a call.

In a cluster (ElastiCache Serverless is one, whatever it is made of) the keys of one command must be in one slot. So keys get one of TAGS hash tags, by
their own bytes: a batch is one MGET for each tag instead of one for each key, as nearly every key has a slot of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

from redis.exceptions import RedisClusterException, RedisError

TTL_S = 3600
"""How long a value stays: talks go on for hours. Age does no harm but for the refused writes of whoever went by it."""
REST_S = 5.0
"""How long it is left alone after an error."""
TAGS = 64
"""Enough for some nodes to get a fair share each, and few enough that a batch stays cheap."""
_AWAY = (RedisError, RedisClusterException, OSError)  # the second is no RedisError


class Cluster:
    """A client of a cluster that is made when it is first used: redis.RedisCluster asks for the map of slots at once, and raises where nobody
    answers. `connect` makes it. Safe between threads as the client is, but for the first call.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self.connect = connect
        self.client: Any = None

    def pipeline(self, *, transaction: bool = False) -> Any:
        if self.client is None:
            self.client = self.connect()
        return self.client.pipeline(transaction=transaction)

    def close(self) -> None:
        if self.client is not None:
            self.client.close()


class ValkeyCache:
    """Bytes by key under a prefix. `client` is a redis.Redis with short timeouts (0.05 s will do) and without retries, or a Cluster of such;
    `clock` gives seconds that only grow (time.monotonic). It never raises.
    """

    def __init__(
        self, client: Any, clock: Callable[[], float], prefix: str = "", *, ttl: int = TTL_S, rest: float = REST_S
    ) -> None:
        self.client, self.clock, self.prefix, self.ttl, self.rest = client, clock, prefix.encode(), ttl, rest
        self.hits = self.misses = self.errors = 0
        self._closed_until = float("-inf")

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Those that are known, in one round trip."""
        if not keys or self.clock() < self._closed_until:
            self.misses += len(keys)
            return {}
        try:
            values = self._values(keys)
        except _AWAY:
            self._leave_alone()
            self.misses += len(keys)
            return {}
        found = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
        self.hits += len(found)
        self.misses += len(keys) - len(found)
        return found

    def put(self, values: Mapping[bytes, bytes]) -> None:
        """Keep these, in one pipeline."""
        if not values or self.clock() < self._closed_until:
            return
        try:
            with self.client.pipeline(transaction=False) as pipeline:
                for key, value in values.items():
                    pipeline.set(self._name(key), value, ex=self.ttl)
                pipeline.execute()
        except _AWAY:
            self._leave_alone()

    def _values(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        if not isinstance(self.client, Cluster):
            found: Sequence[bytes | None] = self.client.mget([self._name(key) for key in keys])
            return found
        by_tag: dict[int, list[int]] = defaultdict(list)
        for at, key in enumerate(keys):
            by_tag[_tag(key)].append(at)
        values: list[bytes | None] = [None] * len(keys)
        with self.client.pipeline() as pipeline:
            for places in by_tag.values():
                pipeline.execute_command("MGET", *(self._name(keys[at]) for at in places))
            for places, answer in zip(by_tag.values(), pipeline.execute(), strict=True):
                for at, value in zip(places, answer, strict=True):
                    values[at] = value
        return values

    def _name(self, key: bytes) -> bytes:
        return (b"{%d}" % _tag(key) if isinstance(self.client, Cluster) else b"") + self.prefix + key

    def _leave_alone(self) -> None:
        self.errors += 1
        self._closed_until = self.clock() + self.rest


def _tag(key: bytes) -> int:
    return crc32(key) % TAGS
