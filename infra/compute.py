"""What runs: Lambda functions and tasks on Fargate. Holds nothing."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.parts import Compute, Landing, Network, State, Stores
from infra.stages import Stage


class ComputeStack(cdk.Stack):
    out: Compute

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        code: Path,
        network: Network,
        landing: Landing,
        state: State,
        stores: Stores,
    ) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        functions, aliases = {}, {}
        for handler in ("validate", "prefix", "migrate", "manifest", "enqueue"):
            functions[handler] = lambda_.Function(
                self,
                handler.capitalize(),
                runtime=lambda_.Runtime.PYTHON_3_13,
                architecture=lambda_.Architecture.ARM_64,
                handler=f"mailloom.run.aws_lambda.{handler}",
                code=lambda_.Code.from_asset(str(code)),
                vpc=network.vpc,
                vpc_subnets=network.subnets,
                security_groups=[network.groups["functions"]],
                timeout=cdk.Duration.minutes(1),
            )
            aliases[handler] = lambda_.Alias(
                self, f"{handler.capitalize()}Live", alias_name="live", version=functions[handler].current_version
            )
        cluster = ecs.Cluster(self, "Cluster", vpc=network.vpc)
        tasks, services = {}, {}
        for task in ("work", "settle", "doctor"):
            tasks[task] = ecs.FargateTaskDefinition(self, f"{task.capitalize()}Task", cpu=1024, memory_limit_mib=2048)
            tasks[task].add_container(
                "mailloom", image=ecs.ContainerImage.from_ecr_repository(landing.images), command=[task]
            )
            if task != "doctor":
                services[task] = ecs.FargateService(
                    self, task.capitalize(), cluster=cluster, task_definition=tasks[task], vpc_subnets=network.subnets
                )
        self.out = Compute(functions, aliases, cluster, services, tasks)
