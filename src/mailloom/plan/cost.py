"""Capacity -> what a day costs, a line for each thing that AWS bills, in each way of paying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from mailloom.plan.capacity import (
    GB,
    LAMBDA_VCPU_GB,
    Capacity,
    Fleet,
    cpu_ms,
    validator_cpu_ms,
    validator_wait_ms,
    wait_ms,
)
from mailloom.plan.demand import Demand
from mailloom.plan.figures import Price, assumed, measured, prices

MONTH = 30.0
"""Days; what is billed by the month is divided by it. AWS takes 730 hours for a month."""
COMPUTE = ("Fargate", "Lambda")
"""Services in which our own code runs."""


class Usd(NamedTuple):
    """USD a day in each of WAYS."""

    on_demand: float = 0.0
    spot: float = 0.0
    savings_plan: float = 0.0
    reserved: float = 0.0

    def plus(self, other: Usd) -> Usd:
        return Usd(*(one + two for one, two in zip(self, other, strict=True)))

    def times(self, factor: float) -> Usd:
        return Usd(*(one * factor for one in self))


class Line(NamedTuple):
    """`amount` units a day of what `price` (a name of prices.toml) is for."""

    service: str
    what: str
    price: str
    amount: float
    unit: str
    usd: Usd


def lines(demand: Demand, there: Capacity) -> tuple[Line, ...]:
    """Everything that is billed, but for the sender's own PUT of each mail: sender_put()."""
    parts = (
        _s3(demand, there),
        _sqs(demand),
        _compute(demand, there),
        _dynamodb(demand, there),
        _aurora(demand, there),
        _opensearch(demand, there),
        _valkey(demand),
        _firehose(demand),
        _network(demand),
        _watch(demand, there),
        _rest(),
    )
    return tuple(line for part in parts for line in part if line.amount)


def sender_put(demand: Demand) -> Line:
    """What whoever brings the mail pays: one PUT each."""
    return _line("S3", "PUT of each mail, by its sender", "s3.put", demand.mails_per_day)


def total(some: Sequence[Line]) -> Usd:
    """USD a day."""
    whole = Usd()
    for line in some:
        whole = whole.plus(line.usd)
    return whole


def by_service(some: Sequence[Line]) -> dict[str, Usd]:
    """USD a day by service, the dearest first as it is bought by default: on demand, workers on Spot."""
    found: dict[str, Usd] = {}
    for line in some:
        found[line.service] = found.get(line.service, Usd()).plus(line.usd)
    return dict(sorted(found.items(), key=lambda item: -item[1].spot))


def committed(hours: Sequence[float], factor: float) -> float:
    """What share of the list price is paid in the mean where a fixed amount is bought for every hour of a day at `factor`, used or not, and the rest as
    listed: the best amount is one of the hours'. 1 where nothing is worth buying.
    """
    whole = sum(hours)
    return min(sum(fixed * factor + max(0.0, hour - fixed) for hour in hours) / whole for fixed in (0.0, *set(hours)))


def _line(
    service: str,
    what: str,
    price: str,
    amount: float,
    *,
    reserved: float | None = None,
    hours: Sequence[float] = (1.0,),
) -> Line:
    """`reserved`: USD a day of another arrangement that can be reserved, where this one can't. `hours`: how the amount lies over a day, as a
    commitment is for every hour. Spot is for fleets only: _tasks.
    """
    found = prices()[price]
    listed = amount * found.usd
    saved, kept = (listed * committed(hours, factor) for factor in (found.savings_plan, found.reserved))
    usd = Usd(listed, listed, saved, min(saved, kept, reserved if reserved is not None else listed))
    return Line(service, what, price, amount, found.unit, usd)


# ------------------------------------------------------------------------------------------------ mail's way in
def _s3(demand: Demand, there: Capacity) -> Iterator[Line]:
    yield _line(
        "S3", "reads of a mail: validator, worker", "s3.get", measured()["s3.gets"].value * demand.mails_per_day
    )
    yield _line("S3", "raw mail kept, Standard", "s3.standard", there.stored.raw / MONTH)
    yield _line("S3", "Parquet kept, Standard", "s3.standard", there.stored.parquet / MONTH)


def _sqs(demand: Demand) -> Iterator[Line]:
    fact, mails = measured(), demand.mails_per_day
    yield _line("SQS", "events that S3 sends", "sqs.request", fact["sqs.events"].value * mails)
    worker = (
        0.2 if demand.workers == "lambda" else fact["sqs.worker"].value
    )  # a function receives and deletes ten at a time
    yield _line("SQS", "receive, send, delete", "sqs.request", (fact["sqs.validator"].value + worker) * mails)


def _compute(demand: Demand, there: Capacity) -> Iterator[Line]:
    guess = assumed()
    if demand.workers == "ecs":
        yield from _tasks("workers", there.workers, there.policy.spot_share)
    else:
        yield from _functions("workers", demand, cpu_ms(demand), wait_ms(demand), guess["lambda.work_gb"].value)
    if demand.validator == "ecs":
        yield from _tasks("validator", there.validators, there.policy.spot_share)
    else:
        memory = guess["lambda.validate_gb"].value
        yield from _functions("validator", demand, validator_cpu_ms(demand), validator_wait_ms(demand), memory)
    yield from _tasks("settle", Fleet((1,) * 24, 0, guess["settle.vcpu"].value, guess["settle.gb"].value), 1.0)
    large = Fleet((1,) * int(guess["large.hours"].value), 0, guess["large.vcpu"].value, guess["large.gb"].value)
    yield from _tasks("large mail", large, there.policy.spot_share)


def _tasks(what: str, fleet: Fleet, spot_share: float) -> Iterator[Line]:
    """vCPU-hours and GB-hours. What is above the fleet's base is on Spot in that share; a Savings Plan is for what is not."""
    spot = spot_share * (1 - fleet.base_hours / fleet.hours)
    steady = [tasks - spot_share * max(0, tasks - fleet.base) for tasks in fleet.hourly]
    for name, each in (("fargate.vcpu_hour", fleet.vcpu), ("fargate.gb_hour", fleet.memory)):
        price = prices()[name]
        line = _line("Fargate", what, name, fleet.hours * each)
        on_spot = line.usd.on_demand * spot * price.spot
        rest = line.usd.on_demand * (1 - spot)
        saved = on_spot + (rest * committed(steady, price.savings_plan) if rest else 0.0)
        yield line._replace(usd=Usd(line.usd.on_demand, on_spot + rest, saved, saved))


def _functions(what: str, demand: Demand, cpu: float, wait: float, memory: float) -> Iterator[Line]:
    """`cpu` and `wait` in ms a mail: a function is billed for both, with a share of a vCPU by its memory (GB)."""
    guess, mails = assumed(), demand.mails_per_day
    seconds = (cpu / min(1.0, memory / LAMBDA_VCPU_GB) + wait) / 1000 * mails
    calls = mails / guess["lambda.batch"].value
    yield _line("Lambda", what, "lambda.gb_second", seconds * memory, hours=demand.served)
    yield _line("Lambda", f"{what}, invocations", "lambda.request", calls)
    yield _line("CloudWatch", f"logs of functions: {what}", "cloudwatch.logs", calls * guess["lambda.log"].value / GB)


# ------------------------------------------------------------------------------------------------ stores
def write_units(demand: Demand) -> dict[str, float]:
    """DynamoDB write units a mail by table."""
    fact = measured()
    units = {"nodes": fact["dynamodb.nodes_writes"].value, "ledger": fact["dynamodb.ledger_writes"].value}
    if demand.evidence == "all":
        units["clues"] = fact["dynamodb.clues_writes"].value
    if demand.workers == "lambda":
        units["nodes"] += assumed()["lambda.more_writes"].value
    return units


def _dynamodb(demand: Demand, there: Capacity) -> Iterator[Line]:
    read = measured()["dynamodb.reads" if demand.evidence == "all" else "dynamodb.reads_headers"].value
    for kind, a_mail in (("write", sum(write_units(demand).values())), ("read", read)):
        what = f"{kind}s: {a_mail:.1f} units a mail"
        needed = provisioned(demand, a_mail)
        hourly = _line("DynamoDB", f"{what}, provisioned", f"dynamodb.{kind}_hour", sum(needed), hours=needed)
        if demand.capacity == "provisioned":
            yield hourly
        else:
            units = a_mail * demand.mails_per_day
            yield _line("DynamoDB", what, f"dynamodb.{kind}", units, reserved=hourly.usd.reserved, hours=demand.served)
    yield _line("DynamoDB", "items kept", "dynamodb.storage", there.stored.dynamodb / MONTH)
    yield _line("DynamoDB", "point-in-time recovery", "dynamodb.pitr", there.stored.dynamodb / MONTH)
    yield _line(
        "DynamoDB", "full exports", "dynamodb.export", there.stored.dynamodb / assumed()["dynamodb.export_days"].value
    )


def provisioned(demand: Demand, a_mail: float) -> list[float]:
    """Capacity units in each hour of a day, where auto scaling follows the curve: what this hour or the next needs, at the target utilisation."""
    hours, target = demand.served, assumed()["dynamodb.target"].value
    return [
        max(now, then) * demand.per_second * a_mail / target
        for now, then in zip(hours, (*hours[1:], hours[0]), strict=True)
    ]


def aurora_storage(demand: Demand, there: Capacity) -> dict[str, tuple[float, float, float]]:
    """USD a day (ACUs, storage, I/O) as Standard and as I/O-Optimized."""
    price = prices()
    hours = 24 * there.acus * (1 + demand.readers)
    requests = io_requests(demand)
    stored = there.stored.postgres / MONTH
    return {
        "standard": (
            hours * price["aurora.acu_hour"].usd,
            stored * price["aurora.storage"].usd,
            requests * price["aurora.io"].usd,
        ),
        "optimized": (hours * price["aurora.acu_hour_io"].usd, stored * price["aurora.storage_io"].usd, 0.0),
    }


def io_requests(demand: Demand) -> float:
    """A day: the log in units of 4 KB, and leaf pages that were not in memory."""
    guess = assumed()
    wal = measured()["postgres.wal"].of(demand.mean_size, demand.text)
    return demand.mails_per_day * (wal / guess["aurora.write_page"].value + guess["aurora.cold_reads"].value)


def _aurora(demand: Demand, there: Capacity) -> Iterator[Line]:
    """In the cheaper of the two ways of storage; reserved: as instances of r7g.large that hold the peak, where that is less."""
    guess, price = assumed(), prices()
    ways = aurora_storage(demand, there)
    best = min(ways, key=lambda way: sum(ways[way]))
    optimized = best == "optimized"
    instances = ceil(there.peak_acus / 8) * (1 + demand.readers) * 24
    fixed = instances * price["aurora.r7g_large_hour"].by("reserved") * (1.3 if optimized else 1.0)
    acus = "aurora.acu_hour_io" if optimized else "aurora.acu_hour"
    hours = 24 * there.acus * (1 + demand.readers)
    yield _line("Aurora", f"ACUs, writer and {demand.readers} reader", acus, hours, reserved=fixed)
    stored = there.stored.postgres / MONTH
    yield _line(
        "Aurora", f"rows and indices kept, {best}", "aurora.storage_io" if optimized else "aurora.storage", stored
    )
    if not optimized:
        yield _line("Aurora", "I/O", "aurora.io", io_requests(demand))
    if demand.readers:
        yield _line(
            "Aurora",
            "RDS Proxy for readers",
            "aurora.proxy_acu_hour",
            24 * max(guess["aurora.proxy_acus"].value, there.acus),
        )
    # As much as the cluster's size is free. Mail is only added, so the days' changes are what was added in them.
    changed = there.stored.postgres / demand.retention.postgres * guess["aurora.backup_days"].value
    yield _line(
        "Aurora",
        "backups beyond the cluster's size",
        "aurora.backup",
        max(0.0, changed - there.stored.postgres) / MONTH,
    )


def _opensearch(demand: Demand, there: Capacity) -> Iterator[Line]:
    search, stored = there.search, there.stored
    yield _line(
        "OpenSearch", "data nodes, in times of r7g.large", "opensearch.r7g_large_hour", 24 * search.nodes * search.size
    )
    yield _line("OpenSearch", "dedicated masters", "opensearch.master_hour", 24 * demand.masters)
    yield _line("OpenSearch", "disks, gp3", "opensearch.gp3", search.disk / MONTH)
    yield _line("OpenSearch", "UltraWarm nodes", "opensearch.warm_hour", 24 * search.warm_nodes)
    yield _line("OpenSearch", "UltraWarm, kept in S3", "opensearch.managed", stored.warm / MONTH)


def _valkey(demand: Demand) -> Iterator[Line]:
    guess = assumed()
    hour = (
        demand.per_second * 3_600 * measured()["dynamodb.nodes_bytes"].value / 160
    )  # entries live an hour (valkey.seconds)
    held = max(0.1, hour * guess["valkey.bytes"].value / GB)
    yield _line("ElastiCache", "roots of threads, an hour of them", "elasticache.gb_hour", 24 * held)
    yield _line("ElastiCache", "requests", "elasticache.ecpu", guess["valkey.ecpus"].value * demand.mails_per_day)


def _firehose(demand: Demand) -> Iterator[Line]:
    if not demand.stream:
        return
    fact, mails = measured(), demand.mails_per_day
    billed = fact["firehose.billed"].of(demand.mean_size, demand.text) * mails / GB
    written = fact["parquet.bytes"].of(demand.mean_size, demand.text) * mails / GB
    yield _line("Firehose", "records, rounded up to 5 KB", "firehose.ingest", billed)
    yield _line("Firehose", "conversion to Parquet", "firehose.conversion", billed)
    yield _line(
        "Firehose",
        "partitions by month",
        "firehose.partitioning",
        fact["firehose.sent"].of(demand.mean_size, demand.text) * mails / GB,
    )
    yield _line("Firehose", "objects, of 64 MB", "firehose.objects", max(24.0 * 4, written * 1000 / 64))
    yield _line("Firehose", "JQ for the partition's key", "firehose.jq_hour", 24)


# ------------------------------------------------------------------------------------------------ around it
def network_gb(demand: Demand) -> float:
    """GB a day to services that have no gateway endpoint."""
    sent = measured()["firehose.sent"].of(demand.mean_size, demand.text) if demand.stream else 0.0
    return (sent + assumed()["network.sqs"].value) * demand.mails_per_day / GB


def _network(demand: Demand) -> Iterator[Line]:
    if demand.endpoints == "interface":
        count = assumed()["network.endpoints"].value
        yield _line(
            "VPC",
            f"{count:.0f} interface endpoints, {demand.zones} zones",
            "vpc.endpoint_hour",
            24 * count * demand.zones,
        )
        yield _line("VPC", "through them", "vpc.endpoint_gb", network_gb(demand))
    else:
        yield _line("VPC", f"a NAT gateway a zone, {demand.zones} zones", "vpc.nat_hour", 24 * demand.zones)
        yield _line("VPC", "through them", "vpc.nat_gb", network_gb(demand))
    fact, size = measured(), (demand.mean_size, demand.text)
    moved = fact["postgres.wal"].of(*size) + fact["opensearch.bytes"].of(*size) + demand.text
    other = 1 - 1 / demand.zones
    yield _line(
        "VPC", "between zones, to Aurora and OpenSearch", "vpc.cross_zone", moved * other * demand.mails_per_day / GB
    )


def _watch(demand: Demand, there: Capacity) -> Iterator[Line]:
    guess = assumed()
    tasks = there.workers.hours * (demand.workers == "ecs") + there.validators.hours * (demand.validator == "ecs") + 24
    written = tasks * 60 * guess["watch.log"].value / GB
    yield _line("CloudWatch", "metrics", "cloudwatch.metric", guess["watch.metrics"].value / MONTH)
    yield _line("CloudWatch", "logs of tasks", "cloudwatch.logs", written)
    yield _line("CloudWatch", "logs kept", "cloudwatch.logs_kept", written * guess["watch.log_days"].value / MONTH)
    yield _line("CloudWatch", "alarms", "cloudwatch.alarm", guess["watch.alarms"].value / MONTH)
    yield _line("CloudWatch", "dashboard", "cloudwatch.dashboard", 1 / MONTH)
    yield _line("X-Ray", f"{demand.traced:.0%} of mails traced", "xray.trace", demand.traced * demand.mails_per_day)


def _rest() -> Iterator[Line]:
    guess = assumed()
    yield _line("rest", "KMS keys", "kms.key", guess["store.keys"].value / MONTH)
    yield _line("rest", "secrets", "secrets.secret", guess["store.secrets"].value / MONTH)
    yield _line("rest", "ECR, images of a GB", "ecr.storage", 1 / MONTH)
    yield _line("rest", "Step Functions, nightly", "stepfunctions.transition", guess["nightly.transitions"].value)
    yield _line("rest", "Athena", "athena.scanned", guess["analysts.scanned"].value)


def used(some: Sequence[Line]) -> Mapping[str, Price]:
    """The prices that a plan rests on."""
    return {line.price: prices()[line.price] for line in some}
