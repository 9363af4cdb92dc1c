"""Stages -> stacks. Stateful ones (network, landing, state, stores) apart from those that may be thrown away (compute, history, watch)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import aws_cdk as cdk

from infra.compute import ComputeStack
from infra.history import HistoryStack
from infra.landing import LandingStack
from infra.network import NetworkStack
from infra.parts import Whole
from infra.stages import Stage
from infra.state import StateStack
from infra.stores import StoresStack
from infra.watch import WatchStack

CONTEXT = {
    "@aws-cdk/core:validateAgainstDefaultRules": True,
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
    return Whole(
        *(network.out, landing.out, state.out, stores.out, compute.out, history.out),
        stacks={type(stack).__name__.removesuffix("Stack").lower(): stack for stack in stacks},
    )


def build(stages: Iterable[Stage], code: Path, out: Path | None = None) -> tuple[cdk.App, dict[str, Whole]]:
    """The app with these stages, not yet synthesized; `out` is the folder for templates."""
    app = cdk.App(
        outdir=None if out is None else str(out),
        analytics_reporting=False,
        post_cli_context=CONTEXT,
    )
    return app, {stage.name: lay(app, stage, code) for stage in stages}
