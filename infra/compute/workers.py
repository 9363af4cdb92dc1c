"""Services on Fargate: workers for each queue, and the settler. Spot for most, scaled by their queues, taken back where a deployment goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_ecs as ecs
from constructs import Construct

from infra.compute.scaling import Policy, scale
from infra.config.stages import Stage, Workers
from infra.parts import Landing, Network
from mailloom.plan.scaling import DEFAULT

LARGE_BACKLOG = 10
"""Mail over 10 MB takes a task some seconds each."""


def services(
    scope: Construct,
    stage: Stage,
    network: Network,
    landing: Landing,
    cluster: ecs.Cluster,
    tasks: Mapping[str, ecs.FargateTaskDefinition],
    alarms: Sequence[str],
) -> dict[str, ecs.FargateService]:
    """By name. `alarms` are names of alarms at which ECS goes back to what ran before."""
    made = {}
    for name in ("work", "large", "settle", "next", "shadow"):
        if name not in tasks:
            continue
        one = name == "settle"
        made[name] = service = ecs.FargateService(
            scope,
            name.capitalize(),
            cluster=cluster,
            task_definition=tasks[name],
            desired_count=1 if one else None,
            capacity_provider_strategies=capacity(
                stage.workers, base=stage.workers.base_tasks if name == "work" else 0
            ),
            # Settlers take turns, so the old one may go first; of workers the new ones start before the old ones stop.
            min_healthy_percent=0 if one else 100,
            max_healthy_percent=100 if one else 200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=list(alarms), behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
            ),
            platform_version=ecs.FargatePlatformVersion.VERSION1_4,
            vpc_subnets=network.subnets,
            security_groups=[network.groups["workers"]],
            assign_public_ip=False,
            enable_execute_command=False,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        if not one:
            # Said in a template it were set at each deployment, and a fleet of forty became one; the CDK says 1 where nothing is said.
            service.node.default_child.desired_count = None
            scale(scope, name.capitalize(), cluster, service, landing.queues[name], _policy(name, stage.workers))
    return made


def _policy(name: str, workers: Workers) -> Policy:
    """What `mailloom plan` plays (plan/scaling.py), with the bounds of the stage. `next` and `shadow` run while something is in their queues: a phase sends it, and what it left is finished after it."""
    if name == "large":
        return Policy(0, workers.max_large, float(LARGE_BACKLOG), DEFAULT.scale_out_cooldown, DEFAULT.scale_in_cooldown)
    # A task takes as much more as it has more of a core.
    target = DEFAULT.backlog_per_task * workers.cpu / (1024 * DEFAULT.vcpu)
    return Policy(
        *(workers.min_tasks if name == "work" else 0, workers.max_tasks, round(target)),
        *(DEFAULT.scale_out_cooldown, DEFAULT.scale_in_cooldown, 100 * DEFAULT.cpu_target),
    )


def capacity(workers: Workers, *, base: int) -> list[ecs.CapacityProviderStrategy]:
    """`base` tasks on demand, above them Spot and on demand in the proportion of `spot_percent`."""
    spot = workers.spot_percent
    found = []
    if base or spot < 100:
        found.append(ecs.CapacityProviderStrategy(capacity_provider="FARGATE", base=base, weight=100 - spot))
    if spot:
        found.append(ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", base=0, weight=spot))
    return found
