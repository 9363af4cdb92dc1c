"""What tests of alarms and dashboards share: which metrics AWS publishes, metric math as Python, and plain text of templates."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

PUBLISHED: Mapping[str, Mapping[tuple[str, ...], frozenset[str]]] = {
    # "Available CloudWatch metrics for Amazon SQS", SQS developer guide
    "AWS/SQS": {
        ("QueueName",): frozenset(
            [
                "ApproximateAgeOfOldestMessage",
                "ApproximateNumberOfMessagesDelayed",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesVisible",
                "NumberOfEmptyReceives",
                "NumberOfMessagesDeleted",
                "NumberOfMessagesReceived",
                "NumberOfMessagesSent",
                "SentMessageSize",
            ]
        )
    },
    # "Types of metrics for Lambda functions" and "Monitoring concurrency", Lambda developer guide
    "AWS/Lambda": {
        (): frozenset({"ConcurrentExecutions", "UnreservedConcurrentExecutions", "ClaimedAccountConcurrency"}),
        ("FunctionName",): frozenset({"Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions"}),
        ("FunctionName", "Resource"): frozenset({"Invocations", "Errors", "Throttles", "Duration"}),
    },
    # "DynamoDB metrics and dimensions", DynamoDB developer guide
    "AWS/DynamoDB": {
        ("TableName",): frozenset(
            [
                "ConsumedReadCapacityUnits",
                "ConsumedWriteCapacityUnits",
                "ReadThrottleEvents",
                "WriteThrottleEvents",
                "OnDemandMaxReadRequestUnits",
                "OnDemandMaxWriteRequestUnits",
                "TimeToLiveDeletedItemCount",
            ]
        )
    },
    # "Amazon CloudWatch metrics for Amazon Aurora", Aurora user guide; metrics of instances are there for the cluster, too
    "AWS/RDS": {
        ("DBClusterIdentifier",): frozenset(
            [
                "ACUUtilization",
                "AuroraReplicaLagMaximum",
                "CPUUtilization",
                "DatabaseConnections",
                "MaximumUsedTransactionIDs",
                "ServerlessDatabaseCapacity",
                "VolumeBytesUsed",
            ]
        )
    },
    # "Monitoring OpenSearch cluster metrics with Amazon CloudWatch", OpenSearch Service developer guide
    "AWS/ES": {
        ("ClientId", "DomainName"): frozenset(
            [
                "AutomatedSnapshotFailure",
                "CPUUtilization",
                "ClusterIndexWritesBlocked",
                "ClusterStatus.green",
                "ClusterStatus.red",
                "ClusterStatus.yellow",
                "FreeStorageSpace",
                "IndexingLatency",
                "JVMMemoryPressure",
                "KMSKeyError",
                "Nodes",
                "SearchLatency",
            ]
        )
    },
    # "Monitor Amazon Data Firehose with CloudWatch metrics", Firehose developer guide
    "AWS/Firehose": {
        ("DeliveryStreamName",): frozenset(
            [
                "DeliveryToS3.DataFreshness",
                "DeliveryToS3.Records",
                "DeliveryToS3.Success",
                "FailedConversion.Records",
                "IncomingBytes",
                "IncomingRecords",
                "SucceedConversion.Records",
                "ThrottledRecords",
            ]
        )
    },
    # "Monitoring Step Functions metrics using Amazon CloudWatch", Step Functions developer guide
    "AWS/States": {
        ("StateMachineArn",): frozenset(
            [
                "ExecutionTime",
                "ExecutionThrottled",
                "ExecutionsAborted",
                "ExecutionsFailed",
                "ExecutionsStarted",
                "ExecutionsSucceeded",
                "ExecutionsTimedOut",
            ]
        )
    },
    # "Amazon ECS service utilization metrics", ECS developer guide
    "AWS/ECS": {("ClusterName", "ServiceName"): frozenset({"CPUUtilization", "MemoryUtilization"})},
}
OURS = "Mailloom/"


class Used(NamedTuple):
    """One metric as an alarm or a widget names it. `dimensions` are names and values, `unit` "" where none is asked for."""

    namespace: str
    name: str
    dimensions: Mapping[str, Any]
    stat: str
    period: int
    unit: str


def plain(value: Any) -> Any:
    """A value of a template with every reference to something as a text that no name can be."""
    if isinstance(value, dict):
        if "Fn::Join" in value:
            return value["Fn::Join"][0].join(str(plain(part)) for part in value["Fn::Join"][1])
        if len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::")):
            return f"<{json.dumps(value).translate(str.maketrans(chr(34), chr(39)))}>"
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def watched(alarm: Mapping[str, Any]) -> Iterator[Used]:
    """The metrics of an alarm."""
    if "MetricName" in alarm:
        stat = alarm.get("Statistic") or alarm["ExtendedStatistic"]
        yield Used(alarm["Namespace"], alarm["MetricName"], _named(alarm), stat, alarm["Period"], alarm.get("Unit", ""))
    for one in alarm.get("Metrics", ()):
        if "MetricStat" in one:
            of = one["MetricStat"]
            metric = of["Metric"]
            yield Used(
                *(metric["Namespace"], metric["MetricName"], _named(metric)),
                *(of["Stat"], of["Period"], of.get("Unit", "")),
            )


def _named(metric: Mapping[str, Any]) -> dict[str, Any]:
    return {one["Name"]: plain(one["Value"]) for one in metric.get("Dimensions", ())}


def drawn(body: Mapping[str, Any]) -> Iterator[Used]:
    """The metrics of a dashboard."""
    for widget in body["widgets"]:
        for row in widget["properties"].get("metrics", ()):
            *words, options = row if isinstance(row[-1], dict) else [*row, {}]
            if words:
                namespace, name, *pairs = words
                dims = dict(zip(pairs[::2], pairs[1::2], strict=True))
                yield Used(namespace, name, dims, options.get("stat", "Average"), options.get("period", 300), "")


def expressions(alarm: Mapping[str, Any]) -> list[str]:
    return [one["Expression"] for one in alarm.get("Metrics", ()) if "Expression" in one]


def evaluate(expression: str, values: Mapping[str, float | None]) -> float | None:
    """What CloudWatch's metric math makes of one datapoint of each metric; None is none. Only what alarms use: + - * / < >, AND, IF, FILL, MAX."""
    functions: dict[str, Callable[..., Any]] = {
        "FILL": lambda value, instead: instead if value is None else value,
        "IF": lambda condition, then, other: then if condition else other,
        "MAX": max,
    }
    text = re.sub(r"\bAND\b", "and", expression)
    try:
        return float(eval(text, {"__builtins__": {}}, {**functions, **values}))
    except ZeroDivisionError:  # a datapoint that is not there
        return None


COMPARES: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}


def breaching(alarm: Mapping[str, Any], values: Mapping[str, float | None]) -> bool:
    """Whether one datapoint is beyond the threshold of an alarm on an expression."""
    (expression,) = expressions(alarm)
    value = evaluate(expression, values)
    if value is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    return COMPARES[alarm["ComparisonOperator"]](value, alarm["Threshold"])
