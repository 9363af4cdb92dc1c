"""Metrics as alarms and the dashboard name them: Mailloom's own, and those that AWS publishes for what a stage has.

Mailloom's own are given without dimensions (their total), by all their dimensions, or by a set that obs/metrics.py calls `also`: no others exist.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn

from infra.config.stages import Stage
from infra.parts import Whole
from mailloom.obs.metrics import TABLE

FIVE_MINUTES = cdk.Duration.minutes(5)
HOUR = cdk.Duration.hours(1)


class Figures:
    """Of one stage. `stat` is a statistic of CloudWatch: Sum, Maximum, p99, SampleCount ..."""

    def __init__(self, stage: Stage, whole: Whole) -> None:
        self.stage, self.whole = stage, whole

    def own(
        self, name: str, stat: str = "Sum", period: cdk.Duration = FIVE_MINUTES, label: str | None = None, **dims: str
    ) -> cloudwatch.Metric:
        """A metric of obs/metrics.py. Raises ValueError for one that no process tells."""
        metric = TABLE.get(name)
        if metric is None or tuple(dims) not in {(), metric.dimensions, *metric.also}:
            raise ValueError(f"no process tells {name} by {sorted(dims)}: see METRICS in mailloom.obs.metrics")
        return cloudwatch.Metric(
            namespace=self.stage.namespace,
            metric_name=name,
            dimensions_map=dims or None,
            statistic=stat,
            period=period,
            unit=getattr(cloudwatch.Unit, metric.unit.upper()),
            label=label,
        )

    def aws(
        self,
        namespace: str,
        name: str,
        stat: str,
        dims: dict[str, str] | None = None,
        period: cdk.Duration = FIVE_MINUTES,
        label: str | None = None,
    ) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=namespace, metric_name=name, dimensions_map=dims, statistic=stat, period=period, label=label
        )

    def queue(
        self,
        queue: str | sqs.IQueue,
        name: str,
        stat: str = "Maximum",
        period: cdk.Duration = FIVE_MINUTES,
        label: str | None = None,
    ) -> cloudwatch.Metric:
        found = self.whole.landing.queues[queue] if isinstance(queue, str) else queue
        return self.aws("AWS/SQS", name, stat, {"QueueName": found.queue_name}, period, label)

    def function(self, function: lambda_.IFunction, name: str, stat: str = "Sum") -> cloudwatch.Metric:
        return self.aws("AWS/Lambda", name, stat, {"FunctionName": function.function_name})

    def table(self, table: str, name: str, stat: str = "Sum", label: str | None = None) -> cloudwatch.Metric:
        return self.aws(
            "AWS/DynamoDB", name, stat, {"TableName": self.whole.state.tables[table].table_name}, label=label
        )

    def database(self, name: str, stat: str = "Maximum", label: str | None = None) -> cloudwatch.Metric:
        return self.aws(
            *("AWS/RDS", name, stat),
            {"DBClusterIdentifier": self.whole.stores.database.cluster_identifier},
            label=label,
        )

    def search(
        self, name: str, stat: str = "Maximum", period: cdk.Duration = FIVE_MINUTES, label: str | None = None
    ) -> cloudwatch.Metric:
        """Of the OpenSearch domain: its metrics have the account as a dimension, too."""
        dims = {"DomainName": self.whole.stores.domain.domain_name, "ClientId": cdk.Aws.ACCOUNT_ID}
        return self.aws("AWS/ES", name, stat, dims, period, label)

    def stream(self, name: str, stat: str = "Maximum", label: str | None = None) -> cloudwatch.Metric:
        return self.aws("AWS/Firehose", name, stat, {"DeliveryStreamName": self.whole.stores.stream.ref}, label=label)

    def machine(self, machine: sfn.IStateMachine, name: str, period: cdk.Duration = FIVE_MINUTES) -> cloudwatch.Metric:
        return self.aws("AWS/States", name, "Sum", {"StateMachineArn": machine.state_machine_arn}, period)

    def service(self, service: str, name: str, stat: str = "Average", label: str | None = None) -> cloudwatch.Metric:
        compute = self.whole.compute
        dims = {"ClusterName": compute.cluster.cluster_name, "ServiceName": compute.services[service].service_name}
        return self.aws("AWS/ECS", name, stat, dims, label=label)


def math(
    expression: str,
    period: cdk.Duration = FIVE_MINUTES,
    label: str | None = None,
    **metrics: cloudwatch.IMetric,
) -> cloudwatch.MathExpression:
    """An expression of metric math over metrics that it names by their keywords."""
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, period=period, label=label)
