"""How many tasks a service has: so many that each has about the same backlog. Declared in CloudFormation's own terms, as the CDK's target tracking
takes one metric and no formula.
"""

from __future__ import annotations

from typing import NamedTuple

from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

FILLED = {"visible": "FILL(visible, 0)", "held": "FILL(held, 0)", "running": "FILL(running, 0)"}
"""A queue in which nothing was for six hours, and a service without tasks, have no data: they count as none."""


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
            expression=f"({FILLED['visible']} + {FILLED['held']}) / IF({FILLED['running']} > 0, running, 1)",
            return_data=True,
        ),
    ]
    scaling.CfnScalingPolicy(
        scope,
        f"{name}Backlog",
        policy_name=f"{name.lower()}-backlog",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.ref,
        target_tracking_scaling_policy_configuration=tracking.TargetTrackingScalingPolicyConfigurationProperty(
            target_value=policy.target,
            scale_out_cooldown=policy.out_seconds,
            scale_in_cooldown=policy.in_seconds,
            customized_metric_specification=tracking.CustomizedMetricSpecificationProperty(metrics=metrics),
        ),
    )
    if policy.cpu_percent:
        scaling.CfnScalingPolicy(
            scope,
            f"{name}Cpu",
            policy_name=f"{name.lower()}-cpu",
            policy_type="TargetTrackingScaling",
            scaling_target_id=target.ref,
            target_tracking_scaling_policy_configuration=tracking.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=policy.cpu_percent,
                scale_out_cooldown=policy.out_seconds,
                scale_in_cooldown=policy.in_seconds,
                predefined_metric_specification=tracking.PredefinedMetricSpecificationProperty(
                    predefined_metric_type="ECSServiceAverageCPUUtilization"
                ),
            ),
        )
    if policy.least == 0:
        _from_none(scope, name, target, cluster, service, queue)


def _from_none(
    scope: Construct,
    name: str,
    target: scaling.CfnScalableTarget,
    cluster: ecs.ICluster,
    service: ecs.FargateService,
    queue: sqs.IQueue,
) -> None:
    """The first task. Target tracking multiplies the tasks that there are, and nothing times anything is nothing."""
    step = scaling.CfnScalingPolicy(
        scope,
        f"{name}First",
        policy_name=f"{name.lower()}-first",
        policy_type="StepScaling",
        scaling_target_id=target.ref,
        step_scaling_policy_configuration=scaling.CfnScalingPolicy.StepScalingPolicyConfigurationProperty(
            adjustment_type="ChangeInCapacity",
            cooldown=180,  # a task starts within that, and counts
            step_adjustments=[
                scaling.CfnScalingPolicy.StepAdjustmentProperty(scaling_adjustment=1, metric_interval_lower_bound=0)
            ],
        ),
    )
    alarm = cloudwatch.CfnAlarm
    cloudwatch.CfnAlarm(
        scope,
        f"{name}Waiting",
        alarm_description="Mail waits and no task runs: starts the first one. Tells nobody.",
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=1,
        evaluation_periods=1,
        treat_missing_data="notBreaching",
        alarm_actions=[step.ref],
        metrics=[
            *(
                alarm.MetricDataQueryProperty(
                    id=id_,
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
                for id_, (namespace, metric, dimensions) in _places(cluster, service, queue).items()
                if id_ != "held"
            ),
            alarm.MetricDataQueryProperty(
                id="waiting",
                label="messages while no task runs",
                expression=f"IF({FILLED['running']} < 1, {FILLED['visible']}, 0)",
                return_data=True,
            ),
        ],
    )


def _places(
    cluster: ecs.ICluster, service: ecs.FargateService, queue: sqs.IQueue
) -> dict[str, tuple[str, str, dict[str, str]]]:
    """Id -> namespace, name and dimensions of a metric."""
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
