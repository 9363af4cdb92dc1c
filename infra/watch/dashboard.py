"""One dashboard a stage: is all well, and if not, where to look. Read from above: alarms, mail, what works on it, what it is stored in, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.watch.figures import Figures, math

ACROSS, HIGH = 6, 5  # of 24 columns: four beside each other, so that all rows are on one screen


def dashboard(
    scope: Construct, f: Figures, week: str, alarms: Mapping[str, cloudwatch.AlarmBase]
) -> cloudwatch.Dashboard:
    """`week` is the name of the function that knows last week's mail."""
    status = cloudwatch.AlarmStatusWidget(alarms=list(alarms.values()), title="Alarms", width=24, height=4)
    rows = [[status], mail(f, week), working(f), running(f), stored(f), kept(f)]
    return cloudwatch.Dashboard(
        scope, "Dashboard", dashboard_name=f.stage.prefix, default_interval=cdk.Duration.days(1), widgets=rows
    )


def graph(
    title: str, left: Iterable[cloudwatch.IMetric], right: Iterable[cloudwatch.IMetric] = (), unit: str = ""
) -> cloudwatch.GraphWidget:
    """Five-minute figures; `unit` is of the left axis."""
    return cloudwatch.GraphWidget(
        title=title,
        left=list(left),
        right=list(right),
        width=ACROSS,
        height=HIGH,
        left_y_axis=cloudwatch.YAxisProps(label=unit or None, show_units=not unit, min=0),
        legend_position=cloudwatch.LegendPosition.BOTTOM,
    )


def mail(f: Figures, week: str) -> Sequence[cloudwatch.GraphWidget]:
    states = ("received", "stored", "duplicate", "rejected")
    received, whole = f.own("books", state="received"), f.own("books")
    return [
        graph(
            "Books",
            [f.own("books", label=state, state=state) for state in states],
            [math("RUNNING_SUM(2 * FILL(r, 0) - FILL(a, 0))", label="open, since the left edge", r=received, a=whole)],
        ),
        graph(
            "Mail stored, and a week before",
            [f.own("mails", label="now"), math(f'LAMBDA("{week}", "before")', label="a week before")],
        ),
        graph("From arrival to stored", [f.own("stored_latency", p, label=p) for p in ("p50", "p95", "p99")]),
        graph(
            "Waiting",
            [
                f.queue(queue, "ApproximateNumberOfMessagesVisible", label=queue)
                for queue in ("events", "work", "large", "next", "shadow")
            ],
            [f.queue(queue, "ApproximateNumberOfMessagesVisible", label=queue) for queue in ("dead", "dead_shadow")],
        ),
    ]


def working(f: Figures) -> Sequence[cloudwatch.GraphWidget]:
    return [
        graph(
            "Oldest message",
            [
                f.queue(queue, "ApproximateAgeOfOldestMessage", label=queue)
                for queue in ("events", "work", "large", "next", "dead")
            ],
        ),
        graph(
            "Errors by kind",
            [f.own("errors", label=kind, kind=kind) for kind in ("transient", "poison", "bug")],
            [f.own("faults", "Maximum", label="faults (doctor)")],
        ),
        graph(
            "Tried again",
            [
                f.own("retries", label="commits"),
                f.own("returned", label="given back"),
                f.own("expired", label="holds lost"),
                f.own("dead_letters", "Maximum", label="dead letters"),
            ],
        ),
        graph(
            "Commits",
            [f.own("commit_time", p, label=p) for p in ("p50", "p99")],
            [f.own("batch_mails", "Average", label="mails in one")],
        ),
    ]


def running(f: Figures) -> Sequence[cloudwatch.GraphWidget]:
    validate, services = f.whole.compute.functions["validate"], sorted(f.whole.compute.services)
    return [
        graph(
            "Tasks",
            # Each task tells its CPU once a minute, so the samples of a minute are the tasks.
            [
                math(
                    f"n{at} * 60 / PERIOD(n{at})",
                    label=name,
                    **{f"n{at}": f.service(name, "CPUUtilization", "SampleCount")},
                )
                for at, name in enumerate(services)
            ],
        ),
        graph(
            "CPU and memory of tasks, %",
            [f.service(name, "CPUUtilization", label=f"{name} CPU") for name in services],
            [f.service(name, "MemoryUtilization", "Maximum", label=f"{name} memory") for name in services],
        ),
        graph(
            "Validator",
            [
                f.own("events", label=outcome, outcome=outcome)
                for outcome in ("accepted", "next", "large", "rejected", "held", "ignored")
            ],
            [f.function(validate, name) for name in ("Errors", "Throttles")],
        ),
        graph(
            "Threads",
            [
                f.own("joins", label="joins"),
                f.own("fenced", label="overtaken"),
                f.own("dirty", "Maximum", label="dirty"),
            ],
            [f.own("settle_time", "Maximum", label="settle")],
        ),
    ]


def stored(f: Figures) -> Sequence[cloudwatch.GraphWidget]:
    tables = sorted(f.whole.state.tables)
    return [
        graph(
            "DynamoDB units",
            [
                f.table(table, f"Consumed{kind}CapacityUnits", label=f"{table} {kind.lower()}")
                for table in tables
                for kind in ("Write", "Read")
            ],
            [f.table(table, "WriteThrottleEvents", label=f"{table} throttled") for table in tables],
        ),
        graph(
            "Aurora",
            [f.database(name, label=name) for name in ("ACUUtilization", "CPUUtilization")],
            [
                f.database("AuroraReplicaLagMaximum", label="lag"),
                f.database("DatabaseConnections", "Sum", "connections"),
            ],
        ),
        graph(
            "OpenSearch",
            [f.search(name, label=name) for name in ("CPUUtilization", "JVMMemoryPressure")],
            [f.search("ClusterStatus.red", label="red"), f.search("ClusterStatus.yellow", label="yellow")],
        ),
        graph(
            "OpenSearch: disk left, latency",
            [f.search("FreeStorageSpace", "Minimum", label="fullest node, MiB")],
            [f.search(name, "Average", label=name) for name in ("IndexingLatency", "SearchLatency")],
        ),
    ]


def kept(f: Figures) -> Sequence[cloudwatch.GraphWidget]:
    mails = f.own("mails")
    return [
        graph(
            "Firehose",
            [f.stream("DeliveryToS3.DataFreshness", label="oldest record")],
            [
                *(f.stream("IncomingBytes", "Sum", "bytes"), f.stream("ThrottledRecords", "Sum", "refused")),
                f.own("reduced", label="taken without some texts, search's too"),
            ],
        ),
        graph(
            "Valkey",
            [f.own("cache", label=outcome, outcome=outcome) for outcome in ("hit", "miss", "away")],
        ),
        graph(
            "Cost of a mail",
            [
                math("units / mails", label="DynamoDB units", units=f.own("units"), mails=mails),
                math("requests / mails", label="calls to AWS", requests=f.own("requests"), mails=mails),
            ],
            [math("bytes / mails / 1024", label="KB of raw mail", bytes=f.own("bytes"), mails=mails)],
        ),
        graph(
            "A new version beside the old",
            [f.own("shadow", label=outcome, outcome=outcome) for outcome in ("same", "changed", "failed", "absent")],
            [f.own("shadow_changes", label="fields that differ")],
        ),
    ]
