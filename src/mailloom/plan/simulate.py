"""The scaling policy, played second by second: mail comes by a day's curve, tasks start late, and Spot takes some away.

Mails are counted, not made: a queue of (when they came, how many). The same seed gives the same run. What Application Auto Scaling does is what its
documentation and its alarms show: target tracking on one-minute values, out after 3 of them above the target, in after 15 below 90 % of it, and in only
when all policies agree.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil, exp
from random import Random
from typing import NamedTuple

from mailloom.plan.demand import Curve
from mailloom.plan.scaling import ScalingPolicy

DAY = 86_400
OUT_POINTS, IN_POINTS, IN_BELOW = 3, 15, 0.9
"""Values in a row above the target, or below this share of it, before anything is done (the alarms that target tracking makes)."""
START = (60, 90)
"""Seconds from a task's start until it receives: an image of 200 MB, Python, connections. Assumed."""
LATENCY = 2
"""Seconds that a mail is in flight at least: half a second until its batch is full or its time is over, its commit, its deletion. Assumed."""
NORMAL = 10.0
"""Mails a second above which the normal distribution is near enough Poisson's. Below it isn't: rounded, it would make ten mails of a thousand, or too many."""
HELD = 512
"""Messages that a task holds at most: two batches."""
VISIBILITY = 120
"""Seconds until what a killed task held comes again (worker.visibility)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens on a day. Times in seconds from midnight.

    `burst`: from, until, times as much as the curve says. `reclaim`: when half of the Spot tasks are killed without a warning, and for how long there is
    no Spot then; ECS does not put on-demand tasks in their place.
    """

    name: str
    per_second: float
    peak: float
    burst: tuple[int, int, float] = (0, 0, 1.0)
    reclaim: tuple[int, int] | None = None
    seconds: int = DAY

    @property
    def shown(self) -> tuple[int, int]:
        """From when until when something is to be seen: the day, or the time around what happens on it."""
        began, ended, _ = self.burst
        if self.reclaim is not None:
            began, ended = self.reclaim[0], sum(self.reclaim)
        return (max(0, began - 1_800), min(self.seconds, ended + 3_600)) if ended else (0, self.seconds)


class Minute(NamedTuple):
    """How it stood at its end: the oldest message's age (s), messages that wait and in flight, tasks that run and that are wanted."""

    at: int
    age: float
    waiting: int
    held: int
    running: int
    desired: int


class Run(NamedTuple):
    """A day played. `arrived` = `done` + what the last minute has left."""

    scenario: Scenario
    minutes: tuple[Minute, ...]
    arrived: int
    done: int
    left: int
    returned: int
    """Messages that came again because their task was killed."""
    task_seconds: int

    @property
    def worst(self) -> float:
        """The greatest age (s)."""
        return max(minute.age for minute in self.minutes)


class _Batch(NamedTuple):
    born: int
    mails: int
    ready: int = 0


@dataclass
class _Fleet:
    """Tasks of both kinds, and those that are on their way."""

    policy: ScalingPolicy
    desired: int
    on_demand: int = 0
    spot: int = 0
    starting: list[tuple[int, bool]] = field(default_factory=list)

    @property
    def running(self) -> int:
        return self.on_demand + self.spot

    def wanted(self) -> tuple[int, int]:
        """On demand and on Spot, of `desired`: the base, then by weights."""
        above = max(0, self.desired - self.policy.on_demand_base)
        spot = int(above * self.policy.spot_share + 0.5)
        return self.desired - spot, spot

    def tend(self, now: int, random: Random, spot_there: bool) -> None:
        """What was started arrives; what is missing is started; what is too many goes, as it finishes what it holds."""
        for ready, on_spot in self.starting:
            if ready <= now:
                self.spot += on_spot
                self.on_demand += not on_spot
        self.starting = [one for one in self.starting if one[0] > now]
        for on_spot, wanted in zip((False, True), self.wanted(), strict=True):
            coming = sum(kind == on_spot for _, kind in self.starting)
            more = wanted - coming - (self.spot if on_spot else self.on_demand)
            if more > 0 and (spot_there or not on_spot):
                self.starting += [(now + random.randint(*START), on_spot) for _ in range(more)]
            elif more < 0:
                self._fewer(on_spot, -more)

    def _fewer(self, on_spot: bool, count: int) -> None:
        for _ in range(count):
            coming = [one for one in self.starting if one[1] == on_spot]
            if coming:
                self.starting.remove(coming[-1])
            elif on_spot:
                self.spot -= 1
            else:
                self.on_demand -= 1


@dataclass
class _Tracking:
    """A target tracking policy: values of a minute in, the number of tasks that it wants out."""

    policy: ScalingPolicy
    target: float
    values: deque[float] = field(default_factory=lambda: deque(maxlen=IN_POINTS))
    out_until: int = 0
    in_until: int = 0

    def wants(self, now: int, value: float, desired: int) -> int:
        self.values.append(value)
        last = list(self.values)
        if len(last) >= OUT_POINTS and min(last[-OUT_POINTS:]) > self.target and now >= self.out_until:
            self.out_until = now + self.policy.scale_out_cooldown
            return ceil(desired * value / self.target)
        if len(last) == IN_POINTS and max(last) < IN_BELOW * self.target and now >= max(self.in_until, self.out_until):
            return ceil(desired * max(last) / self.target)
        return desired


class _Policies:
    """Both: the larger wish counts, so tasks go only when both want fewer."""

    def __init__(self, policy: ScalingPolicy) -> None:
        self.policy = policy
        self.backlog, self.cpu = _Tracking(policy, policy.backlog_per_task), _Tracking(policy, policy.cpu_target)

    def decide(self, now: int, backlog: float, cpu: float, desired: int) -> int:
        wanted = max(self.backlog.wants(now, backlog, desired), self.cpu.wants(now, cpu, desired))
        if wanted < desired:
            self.backlog.in_until = self.cpu.in_until = now + self.policy.scale_in_cooldown
        return min(self.policy.max_tasks, max(self.policy.min_tasks, wanted))


@dataclass
class _Queue:
    """What waits, what is held, and what a killed task held, which is hidden until its time is over."""

    waiting: deque[_Batch] = field(default_factory=deque)
    held: deque[_Batch] = field(default_factory=deque)
    hidden: deque[_Batch] = field(default_factory=deque)

    def counts(self) -> tuple[int, int]:
        """Waiting; in flight."""
        return sum(one.mails for one in self.waiting), sum(one.mails for one in (*self.held, *self.hidden))

    def oldest(self, now: int) -> float:
        there = [one.born for one in (*self.held, *self.hidden)] + [one.born for one in self.waiting]
        return float(now - min(there)) if there else 0.0


def simulate(scenario: Scenario, policy: ScalingPolicy, seed: int = 1) -> Run:
    """Play the scenario from `min_tasks` running tasks on."""
    random, curve = Random(seed), Curve(scenario.peak)  # noqa: S311  no secret
    fleet, policies, queue = _Fleet(policy, policy.min_tasks), _Policies(policy), _Queue()
    fleet.on_demand, fleet.spot = fleet.wanted()
    arrived = done = returned = task_seconds = 0
    spot_back = before = 0
    spare = could = 0.0
    minutes = []
    for now in range(scenario.seconds):
        if mails := _arrivals(scenario, curve, now, random):
            queue.waiting.append(_Batch(now, mails))
            arrived += mails
        if scenario.reclaim and now == scenario.reclaim[0]:
            returned += _kill(queue, fleet, fleet.spot - fleet.spot // 2, now)
            spot_back = now + scenario.reclaim[1]
        while queue.hidden and queue.hidden[0].ready <= now:
            queue.waiting.appendleft(queue.hidden.popleft())
        fleet.tend(now, random, now >= spot_back)
        task_seconds += fleet.running + len(fleet.starting)
        spare = min(spare, 1.0) + fleet.running * policy.mails_per_task
        could += fleet.running * policy.mails_per_task
        finished = _finish(queue, int(spare), now)
        spare -= finished
        done += finished
        _take(queue, fleet.running * HELD, now)
        if now % 60 == 59:
            waiting, held = queue.counts()
            minutes.append(Minute(now + 1, queue.oldest(now + 1), waiting, held, fleet.running, fleet.desired))
            cpu = policy.cpu_busy * (done - before) / could if could else 0.0
            fleet.desired = policies.decide(now, (waiting + held) / max(1, fleet.running), cpu, fleet.desired)
            before, could = done, 0.0
    return Run(scenario, tuple(minutes), arrived, done, sum(queue.counts()), returned, task_seconds)


def _arrivals(scenario: Scenario, curve: Curve, now: int, random: Random) -> int:
    """Of one second: a Poisson number."""
    begins, ends, times = scenario.burst
    mean = scenario.per_second * curve.at(now % DAY / 3_600) * (times if begins <= now < ends else 1.0)
    if mean > NORMAL:
        return max(0, round(random.gauss(mean, mean**0.5)))
    product, mails = random.random(), 0  # Knuth's way: how many arrivals, exponentially apart, fit into the second
    while product > exp(-mean):
        product *= random.random()
        mails += 1
    return mails


def _finish(queue: _Queue, most: int, now: int) -> int:
    """Mails that are done in this second: in the order they were taken, as many as tasks get through, none before its time."""
    done = 0
    while queue.held and queue.held[0].ready <= now and done < most:
        one = queue.held.popleft()
        part = min(one.mails, most - done)
        done += part
        if part < one.mails:
            queue.held.appendleft(one._replace(mails=one.mails - part))
    return done


def _take(queue: _Queue, room: int, now: int) -> None:
    room -= sum(one.mails for one in queue.held)
    while queue.waiting and room > 0:
        one = queue.waiting.popleft()
        part = min(one.mails, room)
        room -= part
        queue.held.append(_Batch(one.born, part, now + LATENCY))
        if part < one.mails:
            queue.waiting.appendleft(one._replace(mails=one.mails - part))


def _kill(queue: _Queue, fleet: _Fleet, count: int, now: int) -> int:
    """So many Spot tasks are gone; their share of what is held is hidden until its time is over. -> how many messages."""
    lost = sum(one.mails for one in queue.held) * count // max(1, fleet.running)
    fleet.spot -= count
    moved = 0
    while moved < lost:
        one = queue.held.pop()
        part = min(one.mails, lost - moved)
        moved += part
        queue.hidden.append(_Batch(one.born, part, now + VISIBILITY))
        if part < one.mails:
            queue.held.append(one._replace(mails=one.mails - part))
    return moved


def scenarios(per_second: float, peak: float) -> tuple[Scenario, ...]:
    """The three that are told: a day, a burst of ten times as much at nine o'clock for ten minutes, half of Spot taken at noon and none for half an hour."""
    nine, noon = 9 * 3_600, 12 * 3_600
    return (
        Scenario("a day", per_second, peak),
        Scenario("burst", per_second, peak, burst=(nine, nine + 600, 10.0)),
        Scenario("reclaim", per_second, peak, reclaim=(noon, 1_800)),
    )
