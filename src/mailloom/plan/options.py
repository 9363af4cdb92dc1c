"""What would be paid in another arrangement: for each of the dearest services what halves it, and the choices that are one setting each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from mailloom.plan.capacity import capacity
from mailloom.plan.cost import aurora_storage, by_service, lines, total
from mailloom.plan.demand import Demand

Change = Callable[[Demand], Demand]
DEAREST = 3
BURSTS = "on demand takes a burst of ten times as much at once; what is provisioned throttles it for minutes"


class Option(NamedTuple):
    """USD a million mails of a service now and with the option, paid by `way`; `price` is what else it costs."""

    service: str
    words: str
    price: str
    now: float
    then: float
    way: str
    demand: Demand

    @property
    def halves(self) -> bool:
        return self.then <= self.now / 2


class Choice(NamedTuple):
    """A setting's values with USD a million mails of the whole, as bought by default; the first is the one planned with. `note`: why our default is
    not the cheapest.
    """

    setting: str
    ways: tuple[tuple[str, float], ...]
    note: str = ""

    @property
    def cheapest(self) -> str:
        return min(self.ways, key=lambda way: way[1])[0]


def _kept(demand: Demand, **days: float) -> Demand:
    return replace(demand, warm_after=0.0, retention=replace(demand.retention, **days))


def _week(demand: Demand) -> Demand:
    return _kept(demand, search=min(7.0, demand.retention.search))


def _warm(demand: Demand) -> Demand:
    return replace(demand, warm_after=7.0) if demand.retention.search > 7 else demand


# In the order in which one would try them: what costs least of what mail's readers have comes first.
_TRIED: dict[str, list[tuple[str, str, Change, str]]] = {
    "DynamoDB": [
        ("provisioned, auto scaling at 70 %", "bursts that are faster than auto scaling (minutes) are throttled and wait in the queue",
         lambda d: replace(d, capacity="provisioned"), "spot"),
        ("the same, workers capped at 2 x the mean", "mail of the busiest hours waits",
         lambda d: replace(d, capacity="provisioned", cap=2.0), "spot"),
        ("the same, partly reserved for a year", "the same, and a year's commitment",
         lambda d: replace(d, capacity="provisioned", cap=2.0), "reserved"),
        ("the same, capped at 1.3 x the mean", "mail of the busiest hours waits for hours",
         lambda d: replace(d, capacity="provisioned", cap=1.3), "reserved"),
        ("headers only as evidence", "no setting yet; replies that lost their headers stay conversations of their own until settle",
         lambda d: replace(d, evidence="headers"), "spot"),
    ],
    "Aurora": [
        ("a Database Savings Plan for a year", "a year's commitment", lambda d: d, "savings_plan"),
        ("reserved r7g instances", "a year's commitment; no more serverless", lambda d: d, "reserved"),
        ("the same, no reader", "readers and workers share one instance; a failover takes minutes", lambda d: replace(d, readers=0), "reserved"),
        ("the same, 10 days kept", "older mail is in raw and Parquet only", lambda d: replace(_kept(d, postgres=10.0), readers=0), "reserved"),
    ],
    "OpenSearch": [
        ("reserved instances", "a year's commitment", lambda d: d, "reserved"),
        ("UltraWarm after 7 days, reserved", "searches in older mail take seconds", _warm, "reserved"),
        ("7 days in search, reserved", "older mail is found by Athena", _week, "reserved"),
        ("7 days in search, reserved, no dedicated masters", "a busy data node may lose the cluster's state for a while",
         lambda d: replace(_week(d), masters=0), "reserved"),
        ("the same, no second copy", "a lost node's shards come back from a snapshot", lambda d: replace(_week(d), masters=0, replicas=0), "reserved"),
    ],
    "S3": [("7 days of raw mail", "`show --raw` and reprocessing only for these", lambda d: _kept(d, raw=7.0), "spot")],
    "Firehose": [("no Parquet", "no Athena", lambda d: replace(d, stream=False), "spot")],
}  # fmt: skip


def usd_of(demand: Demand, service: str | None = None, way: str = "spot") -> float:
    """USD a million mails, of one service or of all."""
    found = lines(demand, capacity(demand))
    usd = by_service(found).get(service) if service else total(found)
    return getattr(usd, way) / demand.mails_per_day * 1e6 if usd else 0.0


def halving(demand: Demand) -> list[list[Option]]:
    """For each of the dearest services what was tried, up to the first that halves it."""
    found = []
    for service in list(by_service(lines(demand, capacity(demand))))[:DEAREST]:
        now = usd_of(demand, service)
        tried: list[Option] = []
        for words, price, change, way in _TRIED.get(service, []):
            changed = change(demand)
            waits = f" up to {changed.waits / 60:.0f} minutes" if changed.cap and price.endswith("waits") else ""
            tried.append(Option(service, words, price + waits, now, usd_of(changed, service, way), way, changed))
            if tried[-1].halves:
                break
        found.append(tried)
    return found


def choices(demand: Demand) -> list[Choice]:
    """What is one setting each, with what the whole would cost."""

    def of(setting: str, *values: object) -> Choice:
        ordered = sorted(values, key=lambda value: value != getattr(demand, setting))
        return Choice(setting, tuple((str(value), usd_of(replace(demand, **{setting: value}))) for value in ordered))  # type: ignore[arg-type]

    million = demand.mails_per_day / 1e6
    storage = {way: sum(parts) / million for way, parts in aurora_storage(demand, capacity(demand)).items()}
    warm = [("off", usd_of(replace(demand, warm_after=0.0))), ("after 7 days", usd_of(_warm(demand)))]
    return [
        of("workers", "ecs", "lambda"),
        of("validator", "ecs", "lambda"),
        of("endpoints", "interface", "nat"),
        of("capacity", "on-demand", "provisioned")._replace(note=BURSTS),
        Choice("UltraWarm", tuple(sorted(warm, key=lambda way: (way[0] == "off") == bool(demand.warm_after)))),
        Choice("Aurora's storage (its cost alone)", tuple(sorted(storage.items(), key=lambda way: way[1]))),
    ]
