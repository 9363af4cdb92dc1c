"""Lambda functions: the handlers of mailloom.run.aws_lambda, each with a role of its own, a version, and an alias `live` that others call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.compute import environment, roles
from infra.compute.rollout import Rollout
from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept
from infra.parts import Network


class Shape(NamedTuple):
    """What a handler is given. Memory decides the share of a core, too: 1,769 MB are one ("Configure Lambda function memory", Lambda developer guide)."""

    megabytes: int
    seconds: int
    statements: Sequence[roles.Right]
    settings: Mapping[str, str] = {}


def shapes(stage: Stage, rights: roles.Rights, rollout: Rollout) -> dict[str, Shape]:
    """Handler -> its shape. What goes on for long has Lambda's longest time, of which the handlers keep a minute in hand."""
    checked = [
        *(rights.send("work", "large", "next", "shadow", "dead"), *rights.read_mail(), *rights.quarantine()),
        *rights.ledger(),
    ]
    functions, workers = stage.functions, stage.workers
    beside = environment.beside(rollout)
    found = {
        "validate": Shape(
            *(functions.validate_mb, functions.validate_seconds, [rights.consume("events"), *checked]),
            environment.shares(rollout),
        ),
        "prefix": Shape(
            *(1769, 900),
            [*rights.commits(), rights.list_mail(), rights.send("work", "large", "next", "shadow", "dead")],
            beside,
        ),
        "manifest": Shape(
            512, 900, [*rights.read_mail(), rights.list_mail(), rights.objects("backfill/", "GetObject", "PutObject")]
        ),
        "enqueue": Shape(512, 900, [*checked, rights.objects("backfill/", "GetObject")], beside),
        # Less than the longest: who calls it for CloudFormation has no more than that itself, and must be left to tell how it ended.
        "migrate": Shape(512, 840, [*rights.database(), rights.described(), rights.search(write=True, delete=True)]),
    }
    if workers.arrangement == "lambda":
        statements = [rights.consume("work"), rights.send("dead"), *rights.commits()]
        found["work"] = Shape(workers.function_mb, workers.function_seconds, statements)
    return found


def functions(
    scope: Construct,
    stage: Stage,
    code: lambda_.Code,
    network: Network,
    settings: Mapping[str, str],
    wanted: Mapping[str, Shape],
) -> tuple[dict[str, lambda_.Function], dict[str, lambda_.Alias]]:
    """By handler: the functions, and the aliases `live` of their versions."""
    made, aliases = {}, {}
    for handler, shape in wanted.items():
        name = handler.capitalize()
        log = log_group(scope, f"{name}Log", stage)
        statements = [*shape.statements, roles.in_vpc(), roles.logs(log.log_group_arn)]
        role = roles.role(scope, f"{name}Role", "lambda.amazonaws.com", statements)
        made[handler] = lambda_.Function(
            scope,
            name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"mailloom.run.aws_lambda.{handler}",
            code=code,
            role=role,
            memory_size=shape.megabytes,
            timeout=cdk.Duration.seconds(shape.seconds),
            environment={**settings, **shape.settings, "MAILLOOM_OBS_SERVICE": f"{stage.prefix}-{handler}"},
            vpc=network.vpc,
            vpc_subnets=network.subnets,
            security_groups=[network.groups["functions"]],
            tracing=lambda_.Tracing.ACTIVE,  # which adds X-Ray's actions to the role
            log_group=log,
            logging_format=lambda_.LoggingFormat.JSON,
            # The product's own lines are JSON with a level of their own; Lambda's are of no use below this.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
        )
        accept(
            made[handler], "AwsSolutions-L1", "The zip has wheels for this version of Python (packaging/lambda_zip.py)"
        )
        aliases[handler] = lambda_.Alias(scope, f"{name}Live", alias_name="live", version=made[handler].current_version)
    return made, aliases


def fed_by(
    scope: Construct, name: str, alias: lambda_.Alias, queue: str, *, batch: int, window: int, concurrency: int
) -> None:
    """A queue's messages come to an alias in batches; what failed is named in the answer and comes again by itself. How many run at once is bounded
    here and not by reserved concurrency: calls that find none left would count as receivings and send mail to the dead letters.
    """
    lambda_.EventSourceMapping(
        scope,
        name,
        target=alias,
        event_source_arn=queue,
        batch_size=batch,
        # Above ten messages Lambda wants to wait for them.
        max_batching_window=cdk.Duration.seconds(max(window, 1 if batch > 10 else 0)),
        max_concurrency=concurrency,
        report_batch_item_failures=True,
    )
