"""Stages -> stacks. Stateful ones (network, landing, state, stores) apart from those that may be thrown away (compute, history, watch)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import aws_cdk as cdk

from infra.compute.stack import ComputeStack
from infra.config.stages import Stage
from infra.history.stack import HistoryStack
from infra.landing import LandingStack
from infra.network import NetworkStack
from infra.parts import Whole
from infra.state import StateStack
from infra.stores.stack import StoresStack
from infra.watch.stack import WatchStack

CONTEXT = {
    "@aws-cdk/core:validateAgainstDefaultRules": True,
    "@aws-cdk/core:defaultCrossStackReferences": "strong",  # what another stack uses can't be deleted from under it
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,  # buckets here take no access lists
}


def lay(app: cdk.App, stage: Stage, code: Path) -> Whole:
    """All stacks of a stage. `code` is the zip that Lambda runs (packaging/lambda_zip.py)."""

    def name(part: str) -> str:
        return f"Mailloom{stage.name.capitalize()}{part}"

    network = NetworkStack(app, name("Network"), stage)
    landing = LandingStack(app, name("Landing"), stage)
    state = StateStack(app, name("State"), stage, network.out)
    stores = StoresStack(app, name("Stores"), stage, network.out)
    compute = ComputeStack(app, name("Compute"), stage, code, network.out, landing.out, state.out, stores.out)
    history = HistoryStack(app, name("History"), stage, network.out, landing.out, state.out, stores.out, compute.out)
    whole = Whole(network.out, landing.out, state.out, stores.out, compute.out, history.out)
    watch = WatchStack(app, name("Watch"), stage, whole)
    stacks = (network, landing, state, stores, compute, history, watch)
    for stack in stacks:
        stack.termination_protection = stage.protect
        cdk.Tags.of(stack).add("mailloom:stage", stage.name, exclude_resource_types=["AWS::RDS::DBProxyTargetGroup"])
    _tell(stacks, whole)
    return Whole(
        *(network.out, landing.out, state.out, stores.out, compute.out, history.out),
        stacks={type(stack).__name__.removesuffix("Stack").lower(): stack for stack in stacks},
    )


def _tell(stacks: Iterable[cdk.Stack], whole: Whole) -> None:
    """What people type in commands (docs/aws.md), told at the end of a deployment."""
    network, landing, _, _, compute, history, _ = stacks
    for stack, name, value in (
        (network, "Subnet", whole.network.vpc.isolated_subnets[0].subnet_id),
        (network, "Group", whole.network.groups["workers"].security_group_id),
        (landing, "Bucket", whole.landing.bucket.bucket_name),
        (landing, "Images", whole.landing.images.repository_uri),
        (landing, "Collector", whole.landing.collector.repository_uri),
        (compute, "Cluster", whole.compute.cluster.cluster_name),
        (history, "Backfill", whole.history.machines["backfill"].state_machine_arn),
        (history, "Nightly", whole.history.machines["nightly"].state_machine_arn),
    ):
        cdk.CfnOutput(stack, f"{name}Told", value=value).override_logical_id(name)


def build(stages: Iterable[Stage], code: Path, out: Path | None = None) -> tuple[cdk.App, dict[str, Whole]]:
    """The app with these stages, not yet synthesized; `out` is the folder for templates."""
    app = cdk.App(
        outdir=None if out is None else str(out),
        analytics_reporting=False,
        post_cli_context=CONTEXT,
    )
    return app, {stage.name: lay(app, stage, code) for stage in stages}
