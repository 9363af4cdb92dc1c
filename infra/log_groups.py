"""Where a component's lines go: a log group of its own, kept for `watch.log_days`, so that none is paid for ever."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config.stages import Stage


def log_group(
    scope: Construct,
    name: str,
    stage: Stage,
    log_group_name: str | None = None,
    encryption_key: kms.IKey | None = None,
) -> logs.LogGroup:
    """A log group of the stage. It goes with its stack: no line of ours holds what a mail says (docs/metrics.md). What a database or an index
    writes may, so theirs have a key, which must have been lent to CloudWatch Logs (keep.lend_to_logs).
    """
    made = logs.LogGroup(
        scope,
        name,
        log_group_name=log_group_name,
        encryption_key=encryption_key,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    # The CDK has a name for each number of days, we have the number; config/rules.py knows which there are.
    made.node.default_child.retention_in_days = stage.watch.log_days
    return made
