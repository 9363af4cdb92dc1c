"""What runs now and then over much mail: state machines, schedules, EMR Serverless. Holds nothing but letters of what couldn't be started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config.stages import Stage
from infra.history import backfill, nightly
from infra.history.schedules import schedules
from infra.history.spark import spark
from infra.history.state_machine import machine
from infra.nag import accept, accept_star
from infra.parts import Compute, History, Landing, Network, State, Stores, elsewhere

RESULTS = ("GetObject", "PutObject", "ListMultipartUploadParts", "AbortMultipartUpload")
"""What a Map's ResultWriter needs ("IAM policies for using Distributed Map states", Step Functions developer guide)."""
SYNC_RULE = "StepFunctionsGetEventsForECSTaskRule"


class HistoryStack(cdk.Stack):
    out: History

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        network: Network,
        landing: Landing,
        state: State,
        stores: Stores,
        compute: Compute,
    ) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        letters = sqs.Queue(self, "Letters", retention_period=cdk.Duration.days(14), enforce_ssl=True)
        accept(letters, "AwsSolutions-SQS3", "it is a queue for dead letters itself")
        machines = {
            "backfill": _backfill(self, stage, landing, compute, letters),
            "nightly": _nightly(self, stage, network, compute),
        }
        schedules(self, stage, letters, machines, compute.aliases)
        spark(self, stage, network, landing, stores)
        self.out = History(machines, letters)


def _backfill(
    stack: cdk.Stack, stage: Stage, landing: Landing, compute: Compute, letters: sqs.Queue
) -> sfn.StateMachine:
    settings, bucket = stage.history, landing.bucket
    functions = {name: alias.function_arn for name, alias in compute.aliases.items()}
    if settings.way == "enqueue":
        what = backfill.by_enqueue(settings, bucket.bucket_name, functions, letters.queue_url)
        called = ["manifest", "enqueue"]
    else:
        what = backfill.by_prefix(settings, bucket.bucket_name, functions)
        called = ["prefix"]
    made = machine(stack, stage, "Backfill", what)
    results = f"{elsewhere(bucket, bucket.bucket_arn)}/{backfill.RESULTS}/*"
    for statement in (
        _allow("lambda", ["InvokeFunction"], *(functions[name] for name in called)),
        _allow("sqs", ["SendMessage"], letters.queue_arn),
        _allow("s3", ["ListBucket"], bucket.bucket_arn, when={"StringLike": {"s3:prefix": "backfill/*"}}),
        _allow("s3", RESULTS, results),
        _allow("kms", ["Decrypt", "GenerateDataKey"], landing.key.key_arn),
    ):
        made.add_to_role_policy(statement)
    # A map's children are executions of the machine itself. A policy apart: the machine waits for its role's own, and this one for the machine.
    # Its own executions and those of its map have a colon behind its name, or the map's label.
    executions = [
        stack.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{made.state_machine_name}{rest}",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        for rest in (":*", "/*:*")
    ]
    policy = iam.Policy(
        stack,
        "BackfillMap",
        roles=[made.role],
        statements=[
            _allow("states", ["StartExecution"], made.state_machine_arn),
            _allow("states", ["DescribeExecution", "StopExecution", "RedriveExecution"], *executions),
        ],
    )
    accept_star(made.role, results, "keys below one prefix have no name before they are there")
    for starred in executions:
        accept_star(policy, starred, "executions of this one machine have no name before they are started")
    return made


def _nightly(stack: cdk.Stack, stage: Stage, network: Network, compute: Compute) -> sfn.StateMachine:
    subnets = network.vpc.select_subnets(subnet_type=network.subnets.subnet_type).subnet_ids
    tasks = {name: compute.tasks[name] for name in ("settle", "doctor")}
    made = machine(
        stack,
        stage,
        "Nightly",
        nightly.definition(
            nightly.Place(compute.cluster.cluster_arn, subnets, [network.groups["workers"].security_group_id]),
            **{name: nightly.Task(task.family, task.default_container.container_name) for name, task in tasks.items()},
        ),
    )

    def arn(service: str, resource: str, name: str) -> str:
        return str(stack.format_arn(service=service, resource=resource, resource_name=name))

    # By family, not by revision: a revision handed over between stacks could never change while this one names it.
    families = [arn("ecs", "task-definition", f"{task.family}:*") for task in tasks.values()]
    running = arn("ecs", "task", f"{elsewhere(compute.cluster, compute.cluster.cluster_name)}/*")
    roles = [role.role_arn for task in tasks.values() for role in (task.task_role, task.obtain_execution_role())]
    statements = [
        _allow("ecs", ["RunTask"], *families),
        _allow("ecs", ["StopTask", "DescribeTasks"], running),
        _allow("iam", ["PassRole"], *roles, when={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}),
        # How .sync learns that a task has ended ("IAM policies for Amazon ECS/AWS Fargate", Step Functions developer guide).
        _allow("events", ["PutTargets", "PutRule", "DescribeRule"], arn("events", "rule", SYNC_RULE)),
    ]
    for statement in statements:
        made.add_to_role_policy(statement)
    for starred in families:
        accept_star(made.role, starred, "all revisions of this one task")
    accept_star(made.role, running, "tasks of this one cluster have no name before they run")
    return made


def _allow(
    service: str, actions: Sequence[str], *resources: str, when: Mapping[str, Mapping[str, str]] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=[f"{service}:{action}" for action in actions], resources=list(resources), conditions=when
    )
