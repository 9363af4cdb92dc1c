"""What one stack hands to the next: values, no stack reaches into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_opensearchservice as opensearch
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import IConstruct

GROUPS = ("functions", "workers", "database", "proxy", "search", "cache", "history", "endpoints")
"""Components with a security group of their own; network.py has who may call whom."""
QUEUES = ("events", "work", "large", "next", "shadow", "dead", "dead_shadow")
"""As the settings call them (aws.queues); in AWS `-` stands for `_`."""


@dataclass(frozen=True)
class Network:
    vpc: ec2.Vpc
    groups: Mapping[str, ec2.ISecurityGroup]  # by GROUPS

    @property
    def subnets(self) -> ec2.SubnetSelection:
        """Where everything runs: no way to the internet."""
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)


@dataclass(frozen=True)
class Landing:
    """Where mail lands (`raw/`, `quarantine/`, `shadow/`, `backfill/` in one bucket), and the queues behind it."""

    key: kms.Key
    bucket: s3.Bucket
    queues: Mapping[str, sqs.Queue]  # by QUEUES
    images: ecr.Repository
    collector: ecr.Repository  # a copy of the ADOT collector's image: there is no way to a public registry


@dataclass(frozen=True)
class State:
    """Tables by their name in stores/dynamodb/tables.TABLES; their names in AWS begin with `prefix`."""

    key: kms.Key
    tables: Mapping[str, dynamodb.Table]
    prefix: str
    cache_url: str  # rediss://...
    exports_dead: sqs.Queue | None  # exports that couldn't be started; none where nothing is exported


@dataclass(frozen=True)
class Stores:
    key: kms.Key
    database: rds.DatabaseCluster
    proxy: rds.DatabaseProxy
    reader_host: str
    secret: secretsmanager.ISecret  # username and password of the application, as JSON
    database_name: str
    domain: opensearch.Domain
    lake: s3.Bucket
    stream: firehose.CfnDeliveryStream
    glue_database: str
    workgroup: str
    user: str = "mailloom"  # whose password the secret has


@dataclass(frozen=True)
class Compute:
    """What runs. `functions` by handler name: validate, prefix, migrate, manifest, enqueue, and work where workers are Lambda functions; `services` and `tasks`
    by name: work, large, next, shadow, settle; doctor, desk, migrate are tasks only. `aliases`: what events and schedules call.
    """

    functions: Mapping[str, lambda_.Function]
    aliases: Mapping[str, lambda_.Alias]
    cluster: ecs.Cluster
    services: Mapping[str, ecs.FargateService]
    tasks: Mapping[str, ecs.FargateTaskDefinition]


@dataclass(frozen=True)
class History:
    machines: Mapping[str, sfn.StateMachine]  # backfill, nightly
    letters: sqs.Queue  # what a schedule couldn't start, and parts of a backfill that can't be enqueued


@dataclass(frozen=True)
class Whole:
    """All of a stage."""

    network: Network
    landing: Landing
    state: State
    stores: Stores
    compute: Compute
    history: History
    stacks: Mapping[str, object] = field(default_factory=dict)


def elsewhere(made: IConstruct, arn: str) -> str:
    """An ARN of another stack as what it will be, an import by name, so that a finding on it can be named."""
    found: str = cdk.Stack.of(made).export_value(arn)
    return found
