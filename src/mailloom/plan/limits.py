"""What breaks first as mail grows: quotas and limits, how near the demand's busiest hour comes to each, and how much mail reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, exp, inf, log
from typing import NamedTuple

from mailloom.plan.capacity import LAMBDA_VCPU_GB, Capacity, capacity, cpu_ms, wait_ms
from mailloom.plan.cost import write_units
from mailloom.plan.demand import LEAST, MOST, Demand
from mailloom.plan.figures import assumed, measured

HELD = 532  # messages of a task that is behind: two batches of 256 and two receivings of ten
POOL = 4  # connections of a task at most: postgres.pool
MIB = 1 << 20
CLOSE = 1.0005  # how exactly it is known where a limit is reached: three figures are told


class Limit(NamedTuple):
    """`load` of `limit` in the busiest hour; `raised`: on request, by a quota increase."""

    service: str
    what: str
    load: float
    limit: float
    raised: bool
    source: str
    then: str

    @property
    def used(self) -> float:
        """The share of it; 1 and more: it is reached."""
        return self.load / self.limit


class Break(NamedTuple):
    """A limit, and at how many mails a day a deployment of the same kind reaches it; infinite where it doesn't up to demand.MOST."""

    limit: Limit
    at: float


def limits(demand: Demand, there: Capacity) -> list[Limit]:
    """Those that a deployment meets."""
    return [*_stores(demand, there), *_compute(demand, there)]


def breaks(demand: Demand, there: Capacity) -> list[Break]:
    """The same with where each is reached, the first to break first.

    By planning for other amounts of mail, not in proportion to this one: a fleet has a least number of tasks, and nodes come in larger sizes.
    """
    found = [Break(limit, _reached(demand, number)) for number, limit in enumerate(limits(demand, there))]
    return sorted(found, key=lambda one: (one.at, -one.limit.used))


def _reached(demand: Demand, number: int) -> float:
    """Mails a day from which the limit of that number is reached, by bisection: what is used of it grows with mail."""
    low, high = LEAST, MOST
    if _used(demand, number, high) < 1:
        return inf
    while high / low > CLOSE:
        middle = exp((log(low) + log(high)) / 2)
        low, high = (low, middle) if _used(demand, number, middle) >= 1 else (middle, high)
    return high


def _used(demand: Demand, number: int, mails: float) -> float:
    other = replace(demand, mails_per_day=mails)
    return limits(other, capacity(other))[number].used


def _stores(demand: Demand, there: Capacity) -> Iterator[Limit]:
    busiest = demand.per_second * max(demand.served)
    units = write_units(demand)
    table = max(units, key=lambda name: units[name])
    known = "as known 2025"
    yield Limit("DynamoDB", f"write units a second of table {table}", units[table] * busiest, 40_000, True,
                "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html",
                "writes are throttled, workers back off; ask for more, and warm the table's throughput up")  # fmt: skip
    yield Limit("S3", "PUTs a second of one prefix", demand.peak_per_second, 3_500, False,
                "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html",
                "503 SlowDown to senders until S3 has split the prefix: more sources, or hours in the key")  # fmt: skip
    yield Limit("S3", "GETs a second of one prefix", measured()["s3.gets"].value * demand.peak_per_second, 5_500, False,
                "https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html",
                "as PUTs")  # fmt: skip
    yield Limit("Aurora", "ACUs of an instance", there.peak_acus, 256, False,
                "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.requirements.html",
                "a second cluster: customers spread by scope")  # fmt: skip
    yield Limit("Aurora", "GB of a cluster", there.stored.postgres, 128 * 1024, False,
                f"Aurora user guide, size limits ({known}; newer versions: 256 TiB)", "shorter retention, or a second cluster")  # fmt: skip
    shards = there.search.shards * (1 + demand.replicas) * ceil(demand.retention.search / 30)
    heaps = there.search.nodes * min(2.0, there.search.size / 2)  # half of 16 GB times the size, 32 GB at most
    yield Limit("OpenSearch", "data nodes of a domain", there.search.nodes, 80, True,
                f"OpenSearch Service quotas ({known})", "larger nodes, then a second domain")  # fmt: skip
    yield Limit("OpenSearch", "shards of all nodes, 1,000 for 16 GB of heap", shards, 1_000 * heaps, False,
                "OpenSearch Service developer guide, sharding: 1,000 shards for 16 GiB of heap, from 2.17 on", "larger shards")  # fmt: skip
    if demand.stream:
        sent = measured()["firehose.sent"].of(demand.mean_size, demand.text)
        yield Limit("Firehose", "bytes a second of a stream", sent * busiest, 5 * MIB, True,
                    "https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html",
                    "records are refused, batches come again; ask for more before the first day")  # fmt: skip


def _compute(demand: Demand, there: Capacity) -> Iterator[Limit]:
    tasks = max(there.workers.hourly)
    if demand.workers == "ecs":
        yield Limit("SQS", "messages in flight, workers behind", tasks * HELD, 120_000, True,
                    "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html",
                    "receiving stops until some are deleted; a second queue, or smaller batches")  # fmt: skip
        yield Limit("Aurora", "connections of the writer", tasks * POOL, 5_000, False,
                    "Aurora user guide, max_connections: at most 5,000 by default, 2,000 where ACUs may fall below 1 (as known 2025)",
                    "postgres.pool = 2, or larger tasks")  # fmt: skip
        vcpus = tasks * there.workers.vcpu + max(there.validators.hourly) * there.validators.vcpu * (
            demand.validator == "ecs"
        )
        yield Limit("Fargate", "vCPUs of an account", vcpus, 6, True,
                    "ECS service quotas: 6 for on demand and 6 for Spot in a new account (as known 2025)",
                    "tasks are not placed; ask for more before the first day")  # fmt: skip
    else:
        memory = assumed()["lambda.work_gb"].value
        seconds = (cpu_ms(demand) / (memory / LAMBDA_VCPU_GB) + wait_ms(demand)) / 1000
        yield Limit("Lambda", "functions at the same time", seconds * demand.peak_per_second, 1_000, True,
                    "AWS Lambda quotas: 1,000 in a region (as known 2025)", "invocations are throttled, the queue grows")  # fmt: skip
