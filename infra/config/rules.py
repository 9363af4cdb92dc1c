"""What the values of a stage must agree on. A deployment would find out after half an hour; here it is one sentence at synth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from re import fullmatch
from typing import NamedTuple
from zoneinfo import available_timezones

from infra.config import addresses
from infra.config.stages import Stage
from infra.config.typed import shown
from mailloom.ports.errors import UserError

ZONES = {"us-west-1": 2}
"""Regions in which an account has fewer than three zones ("AWS Regions and Availability Zones")."""
PREFIX_LISTS = {
    "us-east-1": {"s3": "pl-63a5400a", "dynamodb": "pl-02cd2c6b"},
    "us-east-2": {"s3": "pl-7ba54012", "dynamodb": "pl-4ca54025"},
}
"""Addresses of services with a gateway endpoint, as `aws ec2 describe-managed-prefix-lists` names them; the same in every account. A wrong one stops the
deployment of the network at once.
"""
NO_BUDGETS = frozenset(
    [
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-3",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "il-central-1",
        "me-central-1",
        "mx-central-1",
        "us-gov-east-1",
        "us-gov-west-1",
    ]
)
"""Regions in which CloudFormation refuses a whole template with a budget in it (its resource types by region; cloudformation-coverage-roadmap, 2177)."""
FARGATE = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4097, 1024)),
    1024: tuple(range(2048, 8193, 1024)),
    2048: tuple(range(4096, 16385, 1024)),
    4096: tuple(range(8192, 30721, 1024)),
    8192: tuple(range(16384, 61441, 4096)),
    16384: tuple(range(32768, 122881, 8192)),
}
"""CPU units -> MB of memory that a task may have with them ("Fargate task definition differences", ECS developer guide)."""
T3 = {"t3.small.search": 100, "t3.medium.search": 200}
"""Small nodes of OpenSearch -> GB that their disk may have ("Amazon OpenSearch Service quotas", EBS volume sizes)."""
T3_NODES = 10
"""A domain may have so many of them ("Supported instance types", OpenSearch Service developer guide)."""
WARM_UNITS = 4_000
"""Writes a second that each new table on demand takes; nothing less can be asked for ("Understanding DynamoDB warm throughput")."""
IA_DAYS = 30
"""S3 moves nothing to Standard-IA sooner ("Lifecycle transition considerations", S3 user guide), and bills 30 days of it at least."""
RECEIVES = 6
"""A visibility timeout is so many times a function's ("Creating and configuring an Amazon SQS event source mapping", Lambda developer guide)."""

LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""What CloudWatch Logs takes (PutRetentionPolicy, API reference)."""


class Fault(NamedTuple):
    """What is wrong with the value of a key, and what to change: goes on after "stage NAME: KEY = VALUE"."""

    key: str
    says: str


def check(stage: Stage) -> None:
    """Raises UserError for the first fault."""
    for rule in RULES:
        for key, says in rule(stage):
            value = reduce(getattr, key.split("."), stage)
            raise UserError(f"stage {stage.name}: {key} = {shown(value)} {says}")


def network(stage: Stage) -> Iterator[Fault]:
    mine, region = stage.network, stage.region
    most = ZONES.get(region, 3)
    if mine.zones > most:
        yield Fault("network.zones", f"is more than {region} has: write {most}")
    if mine.endpoint_zones > mine.zones:
        yield Fault("network.endpoint_zones", f"is more than network.zones: write {mine.zones} or less")
    if mine.zone_names and not len(mine.zone_names) == len(set(mine.zone_names)) == mine.zones:
        yield Fault("network.zone_names", f"doesn't name {mine.zones} zones, as network.zones says: write both alike")
    for name in mine.zone_names:
        if not fullmatch(f"{region}[a-z]", name):
            yield Fault(
                "network.zone_names", f"has {name!r}, which is no zone of {region}: name them as {region}a, {region}b"
            )
    for service, key in (("s3", "s3_list"), ("dynamodb", "dynamodb_list")):
        if not getattr(mine, key) and region not in PREFIX_LISTS:
            yield Fault(
                f"network.{key}",
                f"isn't known for {region}: write the id that `aws ec2 describe-managed-prefix-lists --region {region}` has"
                f" for com.amazonaws.{region}.{service}",
            )
    vpc = addresses.network(mine.cidr)
    if vpc is None:
        yield Fault("network.cidr", "is no IPv4 network: write its first address and its length, as 10.64.0.0/16")
        return
    if not addresses.private(vpc):
        yield Fault("network.cidr", "is not private: take one inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    if vpc.prefixlen < addresses.LARGEST:
        yield Fault("network.cidr", f"is larger than a VPC may be: write /{addresses.LARGEST} or a longer prefix")
    if vpc.prefixlen + 2 > addresses.SMALLEST:
        yield Fault("network.cidr", "is too small for the subnets: write /26 or a shorter prefix")
        return
    room, wanted = addresses.room(addresses.subnets(vpc, 1)[0]), addresses.wanted(stage)
    if room < wanted:
        fits = 32 - (wanted + addresses.RESERVED - 1).bit_length() - 2
        yield Fault(
            "network.cidr",
            f"is too small: a zone has {room} addresses and may need {wanted}; write /{fits} or a shorter prefix",
        )
    for text in mine.peers:
        peer = addresses.network(text)
        if peer is None:
            yield Fault("network.peers", f"has {text!r}, which is no IPv4 network: write it as 10.0.0.0/16")
        elif vpc.overlaps(peer):
            yield Fault("network.cidr", f"overlaps with {text} of network.peers: take a network beside it")


def retention(stage: Stage) -> Iterator[Fault]:
    landing, lake, index = stage.landing, stage.lake, stage.index
    tiers = (
        ("infrequent", landing.infrequent_days),
        ("instant", landing.instant_days),
        ("archive", landing.archive_days),
    )
    yield from _in_order("landing", (*tiers, ("expire", landing.expire_days)))
    yield from _in_order("lake", (("warm", lake.warm_days), ("cold", lake.cold_days), ("expire", lake.expire_days)))
    for key, days in (("landing.infrequent_days", landing.infrequent_days), ("lake.warm_days", lake.warm_days)):
        if 0 < days < IA_DAYS:
            yield Fault(key, f"is sooner than S3 moves objects to Standard-IA: write 0 or {IA_DAYS} or more")
    if (landing.lock == "none") != (landing.lock_days == 0):
        yield Fault("landing.lock_days", f"doesn't go with landing.lock = {landing.lock!r}: both or none")
    if 0 < landing.expire_days < landing.lock_days:
        yield Fault("landing.expire_days", f"is before the lock ends: write {landing.lock_days} or more, or 0")
    if 0 < landing.expire_days < index.search_days:
        yield Fault(
            "landing.expire_days", f"takes mail away that search still finds: write {index.search_days} or more, or 0"
        )
    if 0 < stage.state.warm_write_units < WARM_UNITS:
        yield Fault("state.warm_write_units", f"is less than each table has: write 0, or {WARM_UNITS} or more")
    if stage.state.export_days and stage.state.export_keep_days < stage.state.export_days:
        yield Fault("state.export_keep_days", f"leaves days without an export: write {stage.state.export_days} or more")


def _in_order(table: str, tiers: tuple[tuple[str, int], ...]) -> Iterator[Fault]:
    """Each tier that is used comes after those before it, and stays 30 days behind where S3 bills so many."""
    before, until = "", 0
    for name, days in tiers:
        if days and days <= until:
            yield Fault(
                f"{table}.{name}_days", f"is not after {table}.{before}_days = {until}: write {until + 1} or more, or 0"
            )
        elif days and before in {"infrequent", "warm"} and name != "expire" and days < until + IA_DAYS:
            yield Fault(
                f"{table}.{name}_days", f"is billed as 30 days in Standard-IA: write {until + IA_DAYS} or more, or 0"
            )
        if days:
            before, until = name, days


def database(stage: Stage) -> Iterator[Fault]:
    mine = stage.database
    for key, value in (("min_acu", mine.min_acu), ("max_acu", mine.max_acu)):
        if value * 2 != int(value * 2):
            yield Fault(f"database.{key}", "is between the steps of Aurora: write a whole or a half")
    if mine.min_acu > mine.max_acu:
        yield Fault("database.min_acu", f"is more than database.max_acu = {mine.max_acu:g}: write that or less")
    if mine.min_readers > mine.max_readers:
        yield Fault(
            "database.min_readers", f"is more than database.max_readers = {mine.max_readers}: write that or less"
        )
    if mine.max_readers and not mine.min_readers:
        yield Fault(
            "database.min_readers", "is too few: Aurora adds readers only beside one; write 1, or max_readers = 0"
        )
    if mine.secret and mine.secret.split(":")[3] != stage.region:
        yield Fault("database.secret", f"is not in {stage.region}, where the cluster is: write the ARN of its password")


def index(stage: Stage) -> Iterator[Fault]:
    mine, zones = stage.index, stage.network.zones
    if mine.nodes > 1 and mine.nodes % zones:
        yield Fault("index.nodes", f"can't be spread evenly over {zones} zones: write a multiple of {zones}")
    if mine.masters not in {0, 3}:
        yield Fault("index.masters", "can't elect one of them: write 0 or 3")
    if mine.warm_nodes and not mine.masters:
        yield Fault("index.warm_nodes", "needs dedicated masters: write index.masters = 3")
    if mine.warm_nodes == 1:
        yield Fault("index.warm_nodes", "is too few: write 0, or 2 or more")
    for key, node in (("index.node", mine.node), ("index.master", mine.master)):
        if node.startswith("ultrawarm"):
            yield Fault(key, "is a type for index.warm alone: write another, as r7g.large.search")
    if mine.node.startswith("t3."):
        most = T3.get(mine.node, 0)
        if not most:
            yield Fault("index.node", f"is none of its family that a domain may have: write one of {', '.join(T3)}")
        if mine.disk_gb > most:
            yield Fault("index.disk_gb", f"is more than a {mine.node} may have: write {most} or less")
        if mine.nodes > T3_NODES:
            yield Fault("index.nodes", f"is more than a domain of {mine.node} may have: write {T3_NODES} or less")
        if mine.warm_nodes:
            yield Fault("index.warm_nodes", f"doesn't go with {mine.node}: write 0, or a larger index.node")


def workers(stage: Stage) -> Iterator[Fault]:
    mine, landing, functions = stage.workers, stage.landing, stage.functions
    for cpu, memory in (("cpu", "memory_mb"), ("large_cpu", "large_memory_mb")):
        units, has = getattr(mine, cpu), getattr(mine, memory)
        if units not in FARGATE:
            yield Fault(f"workers.{cpu}", f"is nothing that Fargate has: write one of {', '.join(map(str, FARGATE))}")
        elif has not in FARGATE[units]:
            low, high = FARGATE[units][0], FARGATE[units][-1]
            step = FARGATE[units][1] - FARGATE[units][0]
            yield Fault(
                f"workers.{memory}", f"doesn't go with {cpu} = {units}: write {low} to {high} in steps of {step}"
            )
    if mine.min_tasks > mine.max_tasks:
        yield Fault("workers.min_tasks", f"is more than workers.max_tasks = {mine.max_tasks}: write that or less")
    if mine.base_tasks > mine.max_tasks:
        yield Fault("workers.base_tasks", f"is more than workers.max_tasks = {mine.max_tasks}: write that or less")
    least = RECEIVES * functions.validate_seconds
    if landing.events_seconds < least:
        yield Fault(
            "landing.events_seconds",
            f"is less than {RECEIVES} x functions.validate_seconds, so events would come again while they are worked on: write {least} or more",
        )
    least = RECEIVES * mine.function_seconds
    if mine.arrangement == "lambda" and landing.work_seconds < least:
        yield Fault(
            "landing.work_seconds",
            f"is less than {RECEIVES} x workers.function_seconds, so mail would come again while it is worked on: write {least} or more",
        )


def schedules(stage: Stage) -> Iterator[Fault]:
    known = available_timezones()  # none where neither the system nor a package has them
    if known and stage.history.time_zone not in known:
        yield Fault("history.time_zone", "is no time zone of the IANA database: write one, as Europe/Berlin or UTC")


def release(stage: Stage) -> Iterator[Fault]:
    mine = stage.release
    if mine.kind == "first" and mine.next_image:
        yield Fault("release.next_image", 'has no place in a first roll-out: write "", or release.kind = "upgrade"')
    if mine.kind == "upgrade" and not mine.next_image:
        yield Fault(
            "release.next_image", 'is missing in an upgrade: write the tag of the new image, or release.kind = "first"'
        )
    if mine.kind == "upgrade" and mine.next_image == mine.image:
        yield Fault("release.next_image", "is the image that runs: write the tag of the new one")


def safety(stage: Stage) -> Iterator[Fault]:
    if stage.name == "prod" and not stage.protect:
        yield Fault("protect", "would let a deployment delete mail: write true")
    if stage.name == "prod" and not stage.database.min_readers:
        yield Fault("database.min_readers", "leaves nobody to take over when the writer fails: write 1 or more")
    if stage.watch.budget_usd and stage.region in NO_BUDGETS:
        yield Fault(
            "watch.budget_usd",
            f"can't be made by CloudFormation in {stage.region}: write 0, and make a budget of the tag mailloom:stage by hand",
        )
    if stage.watch.log_days not in LOG_DAYS:
        yield Fault("watch.log_days", f"is nothing that CloudWatch has: write one of {', '.join(map(str, LOG_DAYS))}")


RULES: tuple[Callable[[Stage], Iterator[Fault]], ...] = (
    network,
    retention,
    database,
    index,
    workers,
    schedules,
    release,
    safety,
)
