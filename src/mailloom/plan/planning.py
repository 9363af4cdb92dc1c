"""The plan of a deployment: everything about a demand in one value."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mailloom.plan.capacity import Capacity, capacity
from mailloom.plan.cost import COMPUTE, Line, Usd, by_service, lines, sender_put, total
from mailloom.plan.demand import LEAST, Demand, Retention
from mailloom.plan.limits import Break, breaks
from mailloom.plan.options import Choice, Option, choices, halving, usd_of

TARGET, COMPUTE_TARGET = 15.0, 0.10
"""USD a million mails, with 30 days in search: all of it, and what computes (workers, validator, settle)."""
FURTHER = 30.0


@dataclass(frozen=True)
class Plan:
    """What is there and what it costs; `put` is the sender's, and in no sum."""

    demand: Demand
    there: Capacity
    lines: tuple[Line, ...]
    put: Line

    def million(self, usd: Usd) -> Usd:
        """USD a day -> USD a million mails."""
        return usd.times(1e6 / self.demand.mails_per_day)

    @property
    def services(self) -> dict[str, Usd]:
        """USD a million mails by service, the dearest first."""
        return {name: self.million(usd) for name, usd in by_service(self.lines).items()}

    @property
    def total(self) -> Usd:
        """USD a million mails."""
        return self.million(total(self.lines))

    @property
    def compute(self) -> Usd:
        """Of these, what computes."""
        return self.million(total([line for line in self.lines if line.service in COMPUTE]))

    @property
    def floor(self) -> float:
        """Of what computes, with Spot: what there would be to pay without any mail, in USD a million of this demand's mails."""
        usd = total([line for line in _least(self.demand) if line.service in COMPUTE])
        return self.million(usd).spot

    @property
    def floors(self) -> dict[str, float]:
        """USD a day by service that there would be to pay with next to no mail, the dearest first."""
        return {name: usd.spot for name, usd in by_service(_least(self.demand)).items()}

    @property
    def breaks(self) -> list[Break]:
        """Limits, the first to break first."""
        return breaks(self.demand, self.there)

    @property
    def halving(self) -> list[list[Option]]:
        return halving(self.demand)

    @property
    def choices(self) -> list[Choice]:
        return choices(self.demand)

    @property
    def together(self) -> float:
        """USD a million mails if every option that halves its service is taken."""
        saved = sum(tried[-1].now - tried[-1].then for tried in self.halving if tried and tried[-1].halves)
        return self.total.spot - saved


def _least(demand: Demand) -> tuple[Line, ...]:
    least = replace(demand, mails_per_day=LEAST, cap=0.0)
    return lines(least, capacity(least))


def plan(demand: Demand) -> Plan:
    """What the demand needs and costs."""
    there = capacity(demand)
    found = lines(demand, there)
    return Plan(demand, there, found, sender_put(demand))


def further(demand: Demand) -> dict[str, float]:
    """USD a million mails more for each further 30 days in a store, by store."""
    kept, now = demand.retention, usd_of(demand)
    longer = {name: replace(kept, **{name: getattr(kept, name) + FURTHER}) for name in Retention.__dataclass_fields__}
    return {name: usd_of(replace(demand, retention=one)) - now for name, one in longer.items()}
