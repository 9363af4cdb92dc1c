"""Demand -> what must be there: tasks, functions, ACUs, nodes, shards, bytes by store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from mailloom.plan.demand import Demand
from mailloom.plan.figures import assumed, measured
from mailloom.plan.scaling import DEFAULT, ScalingPolicy

GB = 1e9
LAMBDA_VCPU_GB = 1.769
"""Memory at which a function has a whole vCPU (AWS Lambda developer guide, "Memory")."""
SIZES = (1, 2, 4, 8, 16, 24, 32)
"""OpenSearch instance sizes in times of large: large, xlarge, 2xlarge, 4xlarge, 8xlarge, 12xlarge, 16xlarge."""
SIZE_NAMES = dict(zip(SIZES, ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"), strict=True))
LOOKS = 32
"""Objects that a validator looks at at a time (run/validate.py, which this doesn't import for its weight)."""
MANY_NODES = 40  # beyond which the next size is taken: a domain of few nodes rebalances faster


class Stored(NamedTuple):
    """GB by store, when mail has been kept for its retention. `search` is one copy, `warm` the part of it that is in UltraWarm."""

    raw: float
    postgres: float
    search: float
    warm: float
    dynamodb: float
    parquet: float


class Fleet(NamedTuple):
    """Tasks of one kind over a day: `hourly` how many run in each hour, `rate` mails a second of each, of `vcpu` and `memory` (GB)."""

    hourly: tuple[int, ...]
    rate: float
    vcpu: float
    memory: float
    base: int = 0

    @property
    def hours(self) -> int:
        """Task-hours a day."""
        return sum(self.hourly)

    @property
    def base_hours(self) -> int:
        """Of these, on demand whatever comes."""
        return sum(min(self.base, tasks) for tasks in self.hourly)


class Search(NamedTuple):
    """Data nodes of `size` (a key of SIZE_NAMES), primary shards of a month's index, GB of EBS in all, warm nodes."""

    nodes: int
    size: int
    shards: int
    disk: float
    warm_nodes: int


@dataclass(frozen=True)
class Capacity:
    """All of it. ACUs are of each instance: mean over a day and at peak."""

    stored: Stored
    workers: Fleet
    validators: Fleet
    policy: ScalingPolicy
    acus: float
    peak_acus: float
    search: Search


def cpu_ms(demand: Demand) -> float:
    """CPU a mail of a worker on Fargate."""
    name = "worker.cpu" if demand.evidence == "all" else "worker.cpu_headers"
    own = measured()[name].of(demand.mean_size, demand.text)
    more = measured()["worker.firehose_cpu"].of(demand.mean_size, demand.text) if demand.stream else 0.0
    return (own + more) * assumed()["cpu.graviton"].value


def wait_ms(demand: Demand) -> float:
    """What a worker waits for stores, a mail: steps come one after another while nothing else is done by the committing thread, calls to DynamoDB
    within a step side by side.
    """
    fact, guess = measured(), assumed()
    rounds = fact["dynamodb.rounds" if demand.evidence == "all" else "dynamodb.rounds_headers"].value
    commits = fact["worker.commits"].value
    firehose = guess["wait.firehose"].value if demand.stream else 0.0
    return (
        rounds * guess["wait.dynamodb"].value
        + fact["worker.round_trips"].value * guess["wait.postgres"].value
        + commits * (guess["wait.opensearch"].value + firehose)
    )


def validator_wait_ms(demand: Demand) -> float:
    """The same of the validator, whose looks and calls to the ledger go side by side, but messages one request of ten after another. Lambda receives and
    deletes by itself; a task does that, too, and gets ten events at once.
    """
    guess = assumed()
    if demand.validator == "lambda":
        looks, batch, queue = LOOKS, guess["lambda.batch"].value, 0.1
    else:
        looks, batch, queue = 10, 10, measured()["sqs.validator"].value
    return guess["wait.s3"].value / looks + guess["wait.dynamodb"].value / batch + queue * guess["wait.sqs"].value


def validator_cpu_ms(demand: Demand) -> float:
    """CPU a mail of the validator."""
    fact = measured()
    queue = 0.0 if demand.validator == "lambda" else fact["validator.queue_cpu"].value
    return (fact["validator.cpu"].value + queue) * assumed()["cpu.graviton"].value


def rate(cpu: float, wait: float, vcpu: float) -> float:
    """Mails a second of one process that works and waits by turns, on so much of a vCPU."""
    return 1000 / (cpu / min(1.0, vcpu) + wait)


def capacity(demand: Demand) -> Capacity:
    """What the demand needs."""
    policy = policy_for(demand)
    stored = storage(demand)
    busy = assumed()["cpu.busy"].value
    mails = [times * demand.per_second for times in demand.served]
    workers = _fleet(mails, policy.mails_per_task * busy, policy.vcpu, policy.memory, least=policy.min_tasks)
    vcpu = assumed()["validator.vcpu"].value
    as_task = replace(demand, validator="ecs")
    looked = rate(validator_cpu_ms(as_task), validator_wait_ms(as_task), vcpu)
    events = [times * demand.per_second for times in demand.curve.hours]
    least = int(assumed()["validator.min_tasks"].value)
    validators = _fleet(events, looked * busy, vcpu, 0.5, least=least)
    mean, peak = _acus(demand, stored)
    return Capacity(
        stored,
        workers._replace(base=policy.on_demand_base),
        validators._replace(base=1),
        policy,
        mean,
        peak,
        _search(demand, stored),
    )


def policy_for(demand: Demand) -> ScalingPolicy:
    """The policy with the demand's own throughput of a task, and tasks for ten times the mean or twice the peak at least; where the
    demand is capped, the most tasks are the cap.
    """
    per_task = rate(cpu_ms(demand), wait_ms(demand), DEFAULT.vcpu)
    fitted = replace(DEFAULT, mails_per_task=per_task, cpu_busy=per_task * cpu_ms(demand) / 1000 / DEFAULT.vcpu)
    if demand.cap:
        return replace(fitted, max_tasks=max(DEFAULT.min_tasks, ceil(demand.cap * demand.per_second / per_task)))
    most = max(10 * demand.per_second, 2 * demand.peak_per_second) / per_task
    return replace(fitted, max_tasks=max(DEFAULT.max_tasks, ceil(most / 10) * 10))


def storage(demand: Demand) -> Stored:
    """GB in each store."""
    kept, fact = demand.retention, measured()

    def held(name: str, days: float) -> float:
        return demand.kept(days) * fact[name].of(demand.mean_size, demand.text) / GB

    search = held("opensearch.bytes", kept.search)
    warm = search * (kept.search - demand.warm_after) / kept.search if demand.warm_after else 0.0
    items = held("dynamodb.nodes_bytes", kept.dynamodb) + held("dynamodb.ledger_bytes", kept.dynamodb)
    if demand.evidence == "all":
        items += held("dynamodb.clues_bytes", min(90.0, kept.dynamodb))  # aws.clue_days: they go by TTL
    return Stored(
        raw=demand.kept(kept.raw) * demand.mean_size / GB,
        postgres=held("postgres.bytes", kept.postgres),
        search=search,
        warm=warm,
        dynamodb=items,
        parquet=held("parquet.bytes", kept.parquet) if demand.stream else 0.0,
    )


def _fleet(mails: Sequence[float], each: float, vcpu: float, memory: float, *, least: int) -> Fleet:
    """For so many mails a second in each hour."""
    hourly = tuple(max(least, ceil(a_second / each)) for a_second in mails)
    return Fleet(hourly, each, vcpu, memory)


def _acus(demand: Demand, stored: Stored) -> tuple[float, float]:
    """Of one instance, mean and peak: by CPU, or by the pages that should be in memory, whichever is more."""
    guess = assumed()
    vcpu = measured()["postgres.cpu"].value / 1000 * guess["cpu.graviton"].value * guess["aurora.background"].value
    by_cpu = vcpu * demand.per_second * guess["aurora.acu_per_vcpu"].value / guess["cpu.busy"].value
    a_mail = measured()["postgres.bytes"].of(demand.mean_size, demand.text) / GB
    hot = (
        stored.postgres * guess["aurora.hot_share"].value
        + demand.per_second * 3_600 * guess["aurora.hot_hours"].value * a_mail
    )
    by_memory = hot / (2.147 * guess["aurora.cached"].value)
    floor = max(guess["aurora.least"].value, by_memory)
    hours = [max(floor, by_cpu * times) for times in demand.served]
    return _halves(sum(hours) / len(hours)), _halves(max(hours))


def _halves(acus: float) -> float:
    """Aurora counts by halves."""
    return ceil(acus * 2) / 2


def _search(demand: Demand, stored: Stored) -> Search:
    """Nodes by disk, by memory for it, and by CPU at peak; as few sizes up as keep them below MANY_NODES."""
    guess = assumed()
    copies = 1 + demand.replicas
    disk = (stored.search - stored.warm) * copies * guess["opensearch.margin"].value
    by_disk = disk / (16 * guess["opensearch.disk_per_ram"].value)
    indexing = measured()["opensearch.cpu"].of(demand.mean_size, demand.text) / 1000 * guess["cpu.graviton"].value
    by_cpu = indexing * copies * demand.per_second * max(demand.served) / guess["opensearch.busy"].value / 2
    large = max(by_disk, by_cpu, 1.0)
    size = next((size for size in SIZES if large / size <= MANY_NODES), SIZES[-1])
    nodes = ceil(ceil(large / size) / demand.zones) * demand.zones
    month = demand.kept(30) * measured()["opensearch.bytes"].of(demand.mean_size, demand.text) / GB
    shards = ceil(month / guess["opensearch.shard_gb"].value)
    warm = ceil(stored.warm / guess["opensearch.warm_gb"].value)
    return Search(nodes, size, shards, disk, max(demand.zones, ceil(warm / demand.zones) * demand.zones) if warm else 0)
