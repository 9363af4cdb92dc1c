"""What breaks first as mail grows: quotas and limits, and how near the demand's busiest hour comes to each."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from mailloom.plan.capacity import LAMBDA_VCPU_GB, Capacity, cpu_ms, wait_ms
from mailloom.plan.cost import write_units
from mailloom.plan.demand import Demand
from mailloom.plan.figures import assumed, measured

HELD = 532  # messages of a task that is behind: two batches of 256 and two receivings of ten
POOL = 4  # connections of a task at most: postgres.pool
MIB = 1 << 20


class Limit(NamedTuple):
    """`load` of `limit` in the busiest hour; `raised`: on request, by a quota increase."""

    service: str
    what: str
    load: float
    limit: float
    raised: bool
    source: str
    then: str

    def breaks_at(self, demand: Demand) -> float:
        """Mails a day at which it is reached; loads grow with mail."""
        return demand.mails_per_day * self.limit / self.load if self.load else float("inf")


def limits(demand: Demand, there: Capacity) -> list[Limit]:
    """Those that a deployment meets, the first to break first."""
    found = [*_stores(demand, there), *_compute(demand, there)]
    return sorted(found, key=lambda one: one.limit / one.load if one.load else float("inf"))


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
