"""What runs: Lambda functions and tasks on Fargate, and how a new version takes their place. Holds nothing."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.compute import deployment, environment
from infra.compute.functions import fed_by, functions, shapes
from infra.compute.roles import Rights
from infra.compute.rollout import rollout
from infra.compute.tasks import jobs, tasks
from infra.compute.workers import services
from infra.config.stages import Stage
from infra.parts import Compute, Landing, Network, State, Stores

BATCH, WINDOW = 100, 2
"""Pointers in a call of a worker function, and seconds to wait for them: commits are cheaper together."""


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
        phase, rights = rollout(stage.release), Rights(landing, state, stores)
        settings = environment.settings(stage, landing, state, stores, self.region)
        zipped = lambda_.Code.from_asset(str(code))
        made, aliases = functions(self, stage, zipped, network, settings, shapes(stage, rights, phase))

        cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,  # the only place that counts running tasks: scaling.py
        )
        # By hand: what the CDK makes of `enable_fargate_capacity_providers` is known to no service, which then comes before it, and stays when it goes.
        providers = ecs.CfnClusterCapacityProviderAssociations(
            self,
            "Capacity",
            cluster=cluster.cluster_name,
            capacity_providers=["FARGATE", "FARGATE_SPOT"],
            default_capacity_provider_strategy=[],
        )
        of_cluster = self.format_arn(service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*")
        defined = tasks(self, stage, landing, settings, jobs(stage, rights, of_cluster), phase)
        guards = deployment.guards(self, stage, landing)
        names = [alarm.alarm_name for alarm in guards]
        running = services(self, stage, network, landing, cluster, defined, names)

        before = deployment.Migration(self, "Migration", stage, made["migrate"], phase)
        first = before.run("before")
        deployment.canary(self, "Validate", stage, aliases["validate"], guards)
        taking = ["validate"]
        if "work" in made:
            deployment.canary(self, "Worker", stage, aliases["work"], guards)
            taking.append("work")
        # Whoever calls an alias gets the version before until the tables are ready for the new one.
        for part in (*running.values(), *(alias for handler, alias in aliases.items() if handler != "migrate")):
            part.node.add_dependency(first)
        for kind, service in running.items():  # whose first tasks need a provider, and a role that may take the image
            service.node.add_dependency(providers, defined[kind].obtain_execution_role())
        if phase.finished:
            before.run("after").node.add_dependency(*running.values(), *(aliases[handler] for handler in taking))
        self._feed(stage, landing, aliases)
        for alias in aliases.values():  # whichever `history.way` calls: what History still names can't be taken away
            self.export_value(alias.function_arn)
        self.out = Compute(made, aliases, cluster, running, defined)

    def _feed(self, stage: Stage, landing: Landing, aliases: dict[str, lambda_.Alias]) -> None:
        mine = stage.functions
        fed_by(
            *(self, "ValidateEvents", aliases["validate"], landing.queues["events"].queue_arn),
            batch=mine.validate_batch,
            window=mine.validate_window_seconds,
            concurrency=mine.validate_concurrency,
        )
        if "work" in aliases:
            fed_by(
                *(self, "WorkPointers", aliases["work"], landing.queues["work"].queue_arn),
                batch=BATCH,
                window=WINDOW,
                concurrency=stage.workers.function_concurrency,
            )
