"""Alarms on what mail is stored in, and on what runs over it now and then. What a row is: alarm.py."""

from __future__ import annotations

from collections.abc import Iterator

import aws_cdk as cdk

from infra.watch.alarm import QUIET, SILENT, Alarm
from infra.watch.figures import HOUR, Figures, math


def alarms(f: Figures) -> list[Alarm]:
    return [*database(f), *search(f), *stores(f), *history(f)]


# ------------------------------------------------------------------------------------------------ stores
def database(f: Figures) -> Iterator[Alarm]:
    for name, says, metric, above, why, to in (
        (
            *("database-lag", "Readers of Aurora are more than a second behind its writer.", "AuroraReplicaLagMaximum"),
            *(1000, "20 ms is usual; searches show mail late. No reader, no figure.", "ticket"),
        ),
        (
            *(
                "database-full",
                "Aurora has used 90 % of its largest capacity for a quarter of an hour.",
                "ACUUtilization",
            ),
            *(90, "It can't grow any more. Told always, but a cluster that stands still has other alarms.", "ticket"),
        ),
        (
            *("database-cpu", "Aurora's CPU has been busy to 90 % for a quarter of an hour.", "CPUUtilization"),
            *(90, "Commits wait. Told always, but a cluster that stands still has other alarms.", "ticket"),
        ),
        (
            *("database-ids", "Aurora is on its way to run out of transaction ids.", "MaximumUsedTransactionIDs"),
            *(1e9, "Autovacuum freezes at 200 million; at two thousand million PostgreSQL stops. Told always.", "page"),
        ),
    ):
        role = "cause" if name in {"database-full", "database-cpu"} else ""
        yield Alarm(name, says, f.database(metric), ">", above, 3, QUIET, why, to, role)


def search(f: Figures) -> Iterator[Alarm]:
    """Thresholds are those that AWS recommends ("Recommended CloudWatch alarms for Amazon OpenSearch Service")."""
    minute = cdk.Duration.minutes(1)
    disk_mib = f.stage.index.disk_gb * 1024
    yield Alarm(
        "search-red",
        "OpenSearch lacks a primary shard: mail can't be indexed there, and search lacks some.",
        f.search("ClusterStatus.red", period=minute),
        *(">=", 1, 1, QUIET),
        "AWS's own advice. A domain that tells nothing is seen by what workers meet.",
        *("page", "cause"),
    )
    if f.stage.index.nodes > 1:  # a replica needs a second node: one alone is yellow for ever
        yield Alarm(
            "search-yellow",
            "OpenSearch has lacked a replica for half an hour.",
            f.search("ClusterStatus.yellow"),
            *(">=", 1, 6, QUIET),
            "A new index is yellow for a moment, a node that is replaced for some minutes.",
            *("ticket", ""),
        )
    yield Alarm(
        "search-blocked",
        "OpenSearch takes no writes: its disks are full, or its memory.",
        f.search("ClusterIndexWritesBlocked"),
        *(">=", 1, 1, QUIET),
        "AWS's own advice. Told always.",
        *("page", "cause"),
    )
    yield Alarm(
        "search-disk",
        "A node of OpenSearch has less than a quarter of its disk left.",
        f.search("FreeStorageSpace", "Minimum"),
        *("<", disk_mib // 4, 3, QUIET),
        "AWS's own advice; at 15 % shards move away, at 5 % indices are closed to writes. In MiB, of the fullest node.",
        *("ticket", ""),
    )
    yield Alarm(
        "search-memory",
        "A node of OpenSearch is short of memory.",
        f.search("JVMMemoryPressure", period=minute),
        *(">=", 95, 3, QUIET),
        "AWS's own advice; then it refuses writes. Told always.",
        *("ticket", ""),
    )
    yield Alarm(
        "search-snapshot",
        "OpenSearch could not take its automatic snapshot.",
        f.search("AutomatedSnapshotFailure"),
        *(">=", 1, 1, QUIET),
        "AWS's own advice. Told when a snapshot is taken, each hour.",
        *("ticket", ""),
    )


def stores(f: Figures) -> Iterator[Alarm]:
    throttles = {
        f"{table}{kind}": f.table(table, f"{kind}ThrottleEvents")
        for table in sorted(f.whole.state.tables)
        for kind in ("Read", "Write")
    }
    yield Alarm(
        "dynamodb-throttles",
        "DynamoDB refuses requests for a while.",
        math(" + ".join(f"FILL({name}, 0)" for name in throttles), **throttles),
        *(">=", 1, 3, QUIET),
        "A table on demand doubles within half an hour, so a burst may be refused for a moment. Told only when it happens.",
        *("ticket", "cause"),
    )
    late = 2 * f.stage.lake.buffer_seconds + 600
    yield Alarm(
        "firehose-late",
        f"What was given to Firehose has not been in the bucket for {late // 60} minutes.",
        f.stream("DeliveryToS3.DataFreshness"),
        *(">", late, 3, QUIET),
        "It writes when its buffer is full or old; twice that, and ten minutes. No record, no figure. Records wait for 24 hours, then are lost.",
        *("page", ""),
    )
    yield Alarm(
        "firehose-refused",
        "Firehose refuses records, or can't make Parquet of them.",
        math(
            "FILL(throttled, 0) + FILL(failed, 0)",
            throttled=f.stream("ThrottledRecords", "Sum"),
            failed=f.stream("FailedConversion.Records", "Sum"),
        ),
        *(">=", 1, 3, QUIET),
        "Refused ones are tried again; those that can't be made are in the bucket under errors. Told only when it happens.",
        *("ticket", ""),
    )


# ------------------------------------------------------------------------------------------------ now and then
def history(f: Figures) -> Iterator[Alarm]:
    for name, machine in sorted(f.whole.history.machines.items()):
        ends = {
            f"m{number}": f.machine(machine, f"Executions{how}")
            for number, how in enumerate(("Failed", "TimedOut", "Aborted"))
        }
        yield Alarm(
            f"{name}-failed",
            f"The state machine {name} failed.",
            math(" + ".join(f"FILL({one}, 0)" for one in ends), **ends),
            *(">=", 1, 1, QUIET),
            "It tries again by itself before. Told only when it ends.",
            *("ticket", ""),
        )
    yield Alarm(
        "nightly-missing",
        "The nightly chain has not succeeded for 26 hours.",
        f.machine(f.whole.history.machines["nightly"], "ExecutionsSucceeded", HOUR),
        *("<", 1, 26, SILENT),
        "A day and two hours. Silence is the fault, so it stands from a first deployment until the first night.",
        *("ticket", ""),
    )
    letters = {"history": f.whole.history.letters, "exports": f.whole.state.exports_dead}
    waiting = {
        name: f.queue(queue, "ApproximateNumberOfMessagesVisible")
        for name, queue in letters.items()
        if queue is not None
    }
    yield Alarm(
        "schedule-lost",
        "A schedule could not start what it should, or a part of a backfill could not be put on the queue.",
        math(" + ".join(f"FILL({name}, 0)" for name in waiting), **waiting),
        *(">", 0, 1, QUIET),
        "It was tried for hours before it became a letter in a queue of its own. SQS tells nothing of a queue that is not used.",
        *("ticket", ""),
    )
