"""A read-through cache of items in Valkey or Redis: only ever a hint.

It may be old, empty, slow or down: an error or a slow answer is a miss, and then it is left alone for some seconds, so that a cache
that hangs costs a batch one short timeout and not one a call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from redis.exceptions import RedisError

TTL_S = 3600
"""How long a value stays: talks go on for hours. Age does no harm but for the refused writes of whoever went by it."""
REST_S = 5.0
"""How long it is left alone after an error."""


class ValkeyCache:
    """Bytes by key under a prefix. `client` is a redis.Redis with short timeouts (0.05 s will do) and without retries; `clock` gives
    seconds that only grow (time.monotonic). It never raises.
    """

    def __init__(
        self, client: Any, clock: Callable[[], float], prefix: str = "", *, ttl: int = TTL_S, rest: float = REST_S
    ) -> None:
        self.client, self.clock, self.prefix, self.ttl, self.rest = client, clock, prefix.encode(), ttl, rest
        self.hits = self.misses = self.errors = 0
        self._closed_until = float("-inf")

    def get(self, keys: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Those that are known, in one MGET."""
        if not keys or self.clock() < self._closed_until:
            self.misses += len(keys)
            return {}
        try:
            values = self.client.mget([self.prefix + key for key in keys])
        except (RedisError, OSError):
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
                    pipeline.set(self.prefix + key, value, ex=self.ttl)
                pipeline.execute()
        except (RedisError, OSError):
            self._leave_alone()

    def _leave_alone(self) -> None:
        self.errors += 1
        self._closed_until = self.clock() + self.rest
