"""How many tasks a service has: so many that each has about the same backlog. Declared in CloudFormation's own terms, as the CDK's target tracking
takes one metric and no formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

BACKLOG = "(visible + FILL(held, 0)) / IF(running > 0, running, 1)"
"""Messages a task. Figures come some minutes late, those of ECS not when those of SQS do, and an alarm would take what is filled in for the newest minute as
if it were measured: no queue, or one task where there are forty. So nothing is filled in but what SQS leaves out when it is none ("Available CloudWatch
metrics for Amazon SQS"); a minute that isn't complete has no figure, and alarms go by the newest that have.
"""
WAITING = "IF(FILL(running, 0) < 1, visible, 0)"
"""Messages while no task runs. A service without tasks may have no figure; so may the newest minutes of one that has some, which is why it must stand for NONE_FOR."""
NONE_FOR, IDLE_FOR = 3, 15
"""Minutes without a task until the first is started, and with nothing to do until the last is stopped."""


Places = Mapping[str, tuple[str, str, dict[str, str]]]
"""Id -> namespace, name and dimensions of a metric."""


class Policy(NamedTuple):
    """`target` is the backlog of a task, in messages; cooldowns in seconds. `cpu_percent` of a task in the mean; 0: whatever it is.

    Tasks are added when either is above its target, and taken away when both are below. The backlog brings tasks when mail waits; the CPU keeps them while
    they are busy, as a queue that is worked off in time says nothing of how many do it.
    """

    least: int
    most: int
    target: float
    out_seconds: int
    in_seconds: int
    cpu_percent: float = 0.0


def scale(
    scope: Construct, name: str, cluster: ecs.ICluster, service: ecs.FargateService, queue: sqs.IQueue, policy: Policy
) -> None:
    """Scale a service by its queue."""
    target = scaling.CfnScalableTarget(
        scope,
        f"{name}Target",
        service_namespace="ecs",
        scalable_dimension="ecs:service:DesiredCount",
        resource_id=f"service/{cluster.cluster_name}/{service.service_name}",
        min_capacity=policy.least,
        max_capacity=policy.most,
        # Without a role, Application Auto Scaling uses its own service-linked one.
    )
    tracking = scaling.CfnScalingPolicy
    metrics = [
        *(_metric(id_, *place) for id_, place in _places(cluster, service, queue).items()),
        tracking.TargetTrackingMetricDataQueryProperty(
            id="backlog",
            label="messages a task",
            expression=BACKLOG,
            return_data=True,
        ),
    ]
    backlog = tracking.CustomizedMetricSpecificationProperty(metrics=metrics)
    _track(scope, name, "Backlog", target, policy, policy.target, customized_metric_specification=backlog)
    if policy.cpu_percent:
        cpu = tracking.PredefinedMetricSpecificationProperty(predefined_metric_type="ECSServiceAverageCPUUtilization")
        _track(scope, name, "Cpu", target, policy, policy.cpu_percent, predefined_metric_specification=cpu)
    if policy.least == 0:
        places = _places(cluster, service, queue)
        _from_none(scope, name, target, places)
        _to_none(scope, name, target, places)


def _track(
    scope: Construct,
    name: str,
    what: str,
    target: scaling.CfnScalableTarget,
    policy: Policy,
    value: float,
    **metric: object,
) -> None:
    """Keep a metric at a value, by as many tasks as that takes."""
    configuration = scaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty
    scaling.CfnScalingPolicy(
        scope,
        f"{name}{what}",
        policy_name=f"{name.lower()}-{what.lower()}",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.ref,
        target_tracking_scaling_policy_configuration=configuration(
            target_value=value,
            scale_out_cooldown=policy.out_seconds,
            scale_in_cooldown=policy.in_seconds,
            **metric,
        ),
    )


def _from_none(scope: Construct, name: str, target: scaling.CfnScalableTarget, places: Places) -> None:
    """The first task. Target tracking multiplies the tasks that there are, and nothing times anything is nothing."""
    step = _step(scope, f"{name}First", target, "ChangeInCapacity", adjustment=1, above=True)
    cloudwatch.CfnAlarm(
        scope,
        f"{name}Waiting",
        alarm_description="Mail waits and no task runs: starts the first one. Tells nobody.",
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=1,
        evaluation_periods=NONE_FOR,
        treat_missing_data="notBreaching",
        alarm_actions=[step.ref],
        metrics=_queries(places, ("visible", "running"), "waiting", "messages while no task runs", WAITING),
    )


def _to_none(scope: Construct, name: str, target: scaling.CfnScalableTarget, places: Places) -> None:
    """The last task. A task that waits for mail needs a little CPU, and target tracking rounds up: by that policy one stays for ever."""
    step = _step(scope, f"{name}Last", target, "ExactCapacity", adjustment=0, above=False)
    cloudwatch.CfnAlarm(
        scope,
        f"{name}Idle",
        alarm_description="The queue is empty and nothing is in flight: stops the last tasks. Tells nobody.",
        comparison_operator="LessThanThreshold",
        threshold=1,
        evaluation_periods=IDLE_FOR,
        treat_missing_data="notBreaching",  # a queue that nobody asks has no figures, and no task
        alarm_actions=[step.ref],
        metrics=_queries(places, ("visible", "held"), "open", "messages", "visible + FILL(held, 0)"),
    )


def _step(
    scope: Construct, id_: str, target: scaling.CfnScalableTarget, kind: str, *, adjustment: int, above: bool
) -> scaling.CfnScalingPolicy:
    """A policy that an alarm calls, when its figure is above its threshold or below."""
    bounds = {"metric_interval_lower_bound": 0} if above else {"metric_interval_upper_bound": 0}
    of = scaling.CfnScalingPolicy
    return of(
        scope,
        id_,
        policy_name=f"{target.node.id.removesuffix('Target').lower()}-{'first' if above else 'last'}",
        policy_type="StepScaling",
        scaling_target_id=target.ref,
        step_scaling_policy_configuration=of.StepScalingPolicyConfigurationProperty(
            adjustment_type=kind,
            cooldown=180,  # a task starts within that, and counts
            step_adjustments=[of.StepAdjustmentProperty(scaling_adjustment=adjustment, **bounds)],
        ),
    )


def _queries(
    places: Places, of: Sequence[str], id_: str, label: str, expression: str
) -> list[cloudwatch.CfnAlarm.MetricDataQueryProperty]:
    """An expression over some of the metrics, as an alarm has it."""
    alarm = cloudwatch.CfnAlarm

    def measured(name: str) -> cloudwatch.CfnAlarm.MetricDataQueryProperty:
        namespace, metric, dimensions = places[name]
        return alarm.MetricDataQueryProperty(
            id=name,
            metric_stat=alarm.MetricStatProperty(
                metric=alarm.MetricProperty(
                    namespace=namespace,
                    metric_name=metric,
                    dimensions=[alarm.DimensionProperty(name=n, value=v) for n, v in dimensions.items()],
                ),
                period=60,
                stat="Maximum",
            ),
            return_data=False,
        )

    return [
        *map(measured, of),
        alarm.MetricDataQueryProperty(id=id_, label=label, expression=expression, return_data=True),
    ]


def _places(cluster: ecs.ICluster, service: ecs.FargateService, queue: sqs.IQueue) -> Places:
    mail = {"QueueName": queue.queue_name}
    tasks = {"ClusterName": cluster.cluster_name, "ServiceName": service.service_name}
    return {
        "visible": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", mail),
        "held": ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", mail),
        "running": ("ECS/ContainerInsights", "RunningTaskCount", tasks),
    }


def _metric(
    id_: str, namespace: str, metric: str, dimensions: dict[str, str]
) -> scaling.CfnScalingPolicy.TargetTrackingMetricDataQueryProperty:
    of = scaling.CfnScalingPolicy
    return of.TargetTrackingMetricDataQueryProperty(
        id=id_,
        metric_stat=of.TargetTrackingMetricStatProperty(
            metric=of.TargetTrackingMetricProperty(
                namespace=namespace,
                metric_name=metric,
                dimensions=[of.TargetTrackingMetricDimensionProperty(name=n, value=v) for n, v in dimensions.items()],
            ),
            stat="Maximum" if namespace == "AWS/SQS" else "Average",
        ),
        return_data=False,
    )
