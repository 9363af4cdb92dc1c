"""Where a component's lines go: a log group of its own, kept for `watch.log_days`."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stages import Stage


def log_group(scope: Construct, name: str, stage: Stage) -> logs.LogGroup:
    """Goes with its stack: no line holds what a mail says (docs/metrics.md)."""
    made = logs.LogGroup(scope, name, removal_policy=cdk.RemovalPolicy.DESTROY)
    made.node.default_child.retention_in_days = (
        stage.watch.log_days
    )  # the CDK has a name for each number of days, we have the number
    return made
