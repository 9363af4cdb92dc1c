"""Metrics between two reports: sums, amounts, and distributions in a bounded space, whatever the traffic.

A distribution is kept as counts of buckets that are 9 % wide, the exponential histogram of OpenTelemetry at scale 3: bucket i holds values
in (b^i, b^(i+1)] with b = 2^(1/8). Its first hundred values are kept as they are, beside.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from mailloom.obs import log
from mailloom.obs.metrics import TABLE, Kind, Metric

SCALE = 3
EXACT = 100  # as many as an EMF line may hold of one metric
SERIES = 500
"""Values of dimensions that a metric may have between two reports: each is billed, and a name made of mail would have no end."""
MORE = "other"


@dataclass(slots=True)
class Spread:
    """A distribution: `zeros` are values of 0 or less."""

    count: int = 0
    sum: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    zeros: int = 0
    buckets: dict[int, int] = field(default_factory=dict)
    exact: list[float] = field(default_factory=list)

    def enter(self, value: float) -> None:
        self.count += 1
        self.sum += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)
        if len(self.exact) < EXACT:
            self.exact.append(value)
        if value <= 0:
            self.zeros += 1
        else:
            index = math.ceil(math.log2(value) * 2**SCALE) - 1
            self.buckets[index] = self.buckets.get(index, 0) + 1

    def values(self) -> list[float]:
        """At most EXACT values: all of them, or as many at even ranks of the sorted ones, least and most among them."""
        if self.count <= EXACT:
            return self.exact
        found: list[float] = []
        steps = iter([(0.0, self.zeros)] + [(2 ** ((i + 0.5) / 2**SCALE), n) for i, n in sorted(self.buckets.items())])
        upto, value = 0, 0.0
        for k in range(1, EXACT - 1):
            rank = k * (self.count - 1) // (EXACT - 1)
            while upto <= rank:
                value, more = next(steps)
                upto += more
            found.append(min(max(value, self.least), self.most))
        return [self.least, *found, self.most]


class Series(NamedTuple):
    """One metric with one set of values of its dimensions, since the last report. `value` is a number, or a Spread."""

    metric: Metric
    dims: tuple[str, ...]
    value: float | Spread


Key: TypeAlias = tuple[str, tuple[str, ...]]


class Meter:
    """Collects what count(), gauge() and timing() are told. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[Key, float | Spread] = {}
        self._sizes: dict[str, int] = {}
        self._unknown: set[str] = set()

    def add(self, name: str, value: float, dims: Mapping[str, str]) -> None:
        if (key := self._key(name, "counter", dims)) is not None:
            with self._lock:
                old = self._series.get(key, 0.0)
                assert not isinstance(old, Spread)
                self._series[key] = old + value

    def set(self, name: str, value: float, dims: Mapping[str, str]) -> None:
        if (key := self._key(name, "gauge", dims)) is not None:
            with self._lock:
                self._series[key] = float(value)

    def record(self, name: str, value: float, dims: Mapping[str, str]) -> None:
        if (key := self._key(name, "distribution", dims)) is not None:
            with self._lock:
                spread = self._series.get(key)
                if not isinstance(spread, Spread):
                    spread = self._series[key] = Spread()
                spread.enter(value)

    def _key(self, name: str, kind: Kind, dims: Mapping[str, str]) -> Key | None:
        """None for what is not in the table: a bug, told once, that must not stop mail."""
        metric = TABLE.get(name)
        if (
            metric is None
            or metric.kind != kind
            or len(dims) != len(metric.dimensions)
            or dims.keys() - metric.dimensions
        ):
            if name not in self._unknown:
                self._unknown.add(name)
                log.warning("a metric that is not in the table", metric=name, kind=kind, dims=sorted(dims))
            return None
        if not dims:
            return name, ()
        key = name, tuple([dims[one] or "none" for one in metric.dimensions])
        if key not in self._series:
            size = self._sizes[name] = self._sizes.get(name, 0) + 1
            if size > SERIES:
                return name, (MORE,) * len(dims)
        return key

    def drain(self) -> list[Series]:
        """What was collected since the last time, ordered by name."""
        with self._lock:
            series, self._series, self._sizes = self._series, {}, {}
        return [Series(TABLE[name], dims, value) for (name, dims), value in sorted(series.items(), key=lambda s: s[0])]
