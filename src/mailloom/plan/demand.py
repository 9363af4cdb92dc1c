"""What is asked of a deployment: how much mail, of what size, how long it is kept where, and in which arrangement."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from typing import Literal

from mailloom.plan.quantity import PlanError, short

HOURS = 24
LEAST, MOST = 1e3, 1e11
FOLDER = (
    ": an archive in a folder, on one machine and without servers, does that (`mailloom ingest MAIL --archive DIR`)"
)
LOW = 0.1  # of the mean: what the night has at least
TEXT_SHARE, TEXT = 0.474, 3_892
"""Of a mail without attachments, 47 % are text as it is stored and searched, 3.9 KB in the mean (bench/store_bytes.py, xdp-newbies). What makes mail
larger than that is HTML and attachments, which no store but S3 keeps."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that mail is kept in each store."""

    raw: float = 30.0
    postgres: float = 30.0
    search: float = 30.0
    dynamodb: float = 30.0
    parquet: float = 30.0

    def __post_init__(self) -> None:
        for one in fields(self):
            if not 1 <= getattr(self, one.name) <= 36_500:
                raise PlanError(f"retention {one.name}={getattr(self, one.name):g} is not from 1 day to 100 years")


@dataclass(frozen=True)
class Demand:
    """Sizes in bytes. Each default of an arrangement is the cheapest at 10M mails a day, or options.choices() says why not (`mailloom plan --compare`)."""

    mails_per_day: float = 10e6
    peak: float = 5.0
    """The busiest hour, in times of the mean."""
    mean_size: float = 40_000.0
    retention: Retention = field(default_factory=Retention)
    workers: Literal["ecs", "lambda"] = "ecs"
    validator: Literal["lambda", "ecs"] = "lambda"
    evidence: Literal["all", "headers"] = "all"
    capacity: Literal["on-demand", "provisioned"] = "on-demand"
    """Of DynamoDB's tables."""
    warm_after: float = 0.0
    """Days after which an index goes to UltraWarm; 0: never."""
    replicas: int = 1
    """Copies of each shard beside the primary."""
    masters: int = 3
    """Dedicated OpenSearch masters."""
    readers: int = 1
    """Aurora instances beside the writer."""
    cap: float = 0.0
    """What workers take at most, in times of the mean: what comes faster waits in the queue; 0: no cap."""
    endpoints: Literal["interface", "nat"] = "interface"
    zones: int = 3
    stream: bool = True
    """Parquet by Firehose."""
    traced: float = 0.01
    """Share of mails with a trace."""

    def __post_init__(self) -> None:
        if not LEAST <= self.mails_per_day <= MOST:
            raise PlanError(
                f"{short(self.mails_per_day)} mails a day is not from 1K to 100B{FOLDER if self.mails_per_day < LEAST else ''}"
            )
        if not 1 <= self.peak <= 50:
            raise PlanError(f"a peak of {self.peak:g} is not from 1 (no peak) to 50 times the mean")
        if not 500 <= self.mean_size <= 50_000_000:
            raise PlanError(f"a mean size of {self.mean_size:g} bytes is not from 500 B to 50 MB")
        if self.cap and not 1.05 <= self.cap <= 50:
            raise PlanError(
                f"a cap of {self.cap:g} is not from 1.05 to 50 times the mean: below that the queue never empties"
            )
        if self.warm_after and not 1 <= self.warm_after < self.retention.search:
            raise PlanError(
                f"warm after {self.warm_after:g} days needs a retention of more than that in search, which is {self.retention.search:g}"
            )

    @property
    def per_second(self) -> float:
        """Mails a second in the mean."""
        return self.mails_per_day / 86_400

    @property
    def peak_per_second(self) -> float:
        """Mails a second that come in the busiest hour."""
        return self.per_second * self.peak

    @cached_property
    def served(self) -> tuple[float, ...]:
        """What is worked on in each hour of a day, in times of the mean: what comes, or less of it for longer where `cap` holds."""
        return self.curve.served(self.cap)[0] if self.cap else self.curve.hours

    @property
    def waits(self) -> float:
        """Seconds that the last mail of the busiest hours waits because of `cap`."""
        return self.curve.served(self.cap)[1] if self.cap else 0.0

    @property
    def text(self) -> float:
        """Bytes of text of a mail in the mean."""
        return min(TEXT, self.mean_size * TEXT_SHARE)

    @property
    def curve(self) -> Curve:
        return curve_of(self.peak)

    def kept(self, days: float) -> float:
        """Mails that are there, of those kept so many days."""
        return self.mails_per_day * days


@dataclass(frozen=True)
class Curve:
    """A day: a raised cosine to a power, low at night, whose mean is 1 and whose top, at 12 o'clock, is `peak`."""

    peak: float

    @cached_property
    def power(self) -> float:
        """By bisection: the higher, the narrower the day and the lower its mean."""
        low, high = 0.0, 4_096.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if self._mean(middle) > 1 else (low, middle)
        return high

    def at(self, hour: float) -> float:
        """Arrivals at that hour of a day, in times of the mean."""
        return self._value(hour, self.power)

    @cached_property
    def hours(self) -> tuple[float, ...]:
        """The hours' greatest values: what must be there for each."""
        return tuple(max(self.at(hour + step / 4) for step in range(5)) for hour in range(HOURS))

    def served(self, cap: float) -> tuple[tuple[float, ...], float]:
        """The same as `hours` of what workers do that take `cap` at most, in times of the mean; and the longest wait (s). A day like the one before it."""
        waiting, longest = 0.0, 0.0
        hours = [0.0] * HOURS
        for step in range(2 * HOURS * 60):  # minutes of two days: the first leaves what the second begins with
            waiting += self.at(step / 60)
            done = min(waiting, cap)
            waiting -= done
            if step >= HOURS * 60:
                hour = step // 60 % HOURS
                hours[hour] = max(hours[hour], done)
                longest = max(longest, waiting / cap * 60)
        return tuple(hours), longest

    def _value(self, hour: float, power: float) -> float:
        low = max(LOW, 2 - self.peak)  # a plain cosine where the peak is small: its mean is 1 by itself
        return low + (self.peak - low) * math.pow((1 - math.cos(2 * math.pi * hour / HOURS)) / 2, power)

    def _mean(self, power: float) -> float:
        return sum(self._value(minute / 10, power) for minute in range(240)) / 240


@cache
def curve_of(peak: float) -> Curve:
    """The curve of that peak, worked out once: a plan asks for it at hundreds of amounts of mail."""
    return Curve(peak)
