"""The state of threads and deliveries: DynamoDB's tables, and the cache before them."""

from __future__ import annotations

import json

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import keep
from infra.config.stages import Stage
from infra.nag import accept
from infra.parts import Network, State
from mailloom.stores.dynamodb import TABLES

TYPES = {"B": dynamodb.AttributeType.BINARY, "S": dynamodb.AttributeType.STRING}
VALKEY = "9"
"""The major version of the tests, which ElastiCache Serverless has ("Engine versions and upgrading in ElastiCache")."""
EXPORTS = "tables/"


class StateStack(cdk.Stack):
    out: State

    def __init__(self, scope: Construct, name: str, stage: Stage, network: Network) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        key = keep.key(self, stage, "state")
        prefix = f"{stage.prefix}-"
        tables = {table: _table(self, table, prefix + table, stage, key) for table in TABLES}
        failed = _exports(self, stage, key, tables) if stage.state.export_days else None
        self.out = State(key, tables, prefix, _cache(self, stage, network, key), failed)


def _table(stack: cdk.Stack, table: str, name: str, stage: Stage, key: kms.Key) -> dynamodb.Table:
    """A table as the code declares it. TableV2 would be newer, but wants to know the account where there is a key."""
    what, mine = TABLES[table], stage.state
    keys = {role: dynamodb.Attribute(name=attribute, type=TYPES[kind]) for attribute, kind, role in what["keys"]}
    return dynamodb.Table(
        stack,
        table.capitalize(),
        table_name=name,
        partition_key=keys["HASH"],
        sort_key=keys.get("RANGE"),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        max_read_request_units=mine.max_read_units or None,
        max_write_request_units=mine.max_write_units or None,
        warm_throughput=dynamodb.WarmThroughput(write_units_per_second=mine.warm_write_units)
        if mine.warm_write_units
        else None,
        time_to_live_attribute=what.get("ttl"),
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True, recovery_period_in_days=mine.recovery_days
        ),
        encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
        encryption_key=key,
        deletion_protection=stage.protect,
        removal_policy=keep.removal(stage),
    )


def _cache(stack: cdk.Stack, stage: Stage, network: Network, key: kms.Key) -> str:
    """ElastiCache Serverless for Valkey; its address. TLS is always on there. Nobody logs in: it holds guesses at roots, under hashes, which no
    answer rests on, and its security group lets nobody else in.
    """
    mine = stage.state
    limits = elasticache.CfnServerlessCache
    cache = elasticache.CfnServerlessCache(
        stack,
        "Cache",
        engine="valkey",
        major_engine_version=VALKEY,
        serverless_cache_name=stage.prefix,
        cache_usage_limits=limits.CacheUsageLimitsProperty(
            data_storage=limits.DataStorageProperty(unit="GB", maximum=mine.cache_gb),
            ecpu_per_second=limits.ECPUPerSecondProperty(maximum=mine.cache_ecpu),
        ),
        kms_key_id=key.key_arn,
        security_group_ids=[network.groups["cache"].security_group_id],
        subnet_ids=network.vpc.select_subnets(subnets=network.vpc.isolated_subnets).subnet_ids,
        snapshot_retention_limit=mine.cache_snapshots,
    )
    return f"rediss://{cache.attr_endpoint_address}:{cache.attr_endpoint_port}"


def _exports(stack: cdk.Stack, stage: Stage, key: kms.Key, tables: dict[str, dynamodb.Table]) -> sqs.Queue:
    """Whole tables to S3 every so often, by the API itself: no function. Beside PITR, as these outlive a table that is deleted. Returns the queue
    of the exports that couldn't be started.
    """
    mine = stage.state
    rules = [keep.gone("expire", EXPORTS, mine.export_keep_days)]
    bucket = keep.bucket(stack, "Exports", stage, key, keep.logs_of_access(stack, stage), rules)
    failed = sqs.Queue(
        stack,
        "ExportsDead",
        retention_period=cdk.Duration.days(14),
        encryption=sqs.QueueEncryption.KMS,
        encryption_master_key=key,
        enforce_ssl=True,
    )
    objects = bucket.arn_for_objects(f"{EXPORTS}*")
    rights = (
        (["dynamodb:ExportTableToPointInTime"], [table.table_arn for table in tables.values()]),
        (["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"], [objects]),
        (["sqs:SendMessage"], [failed.queue_arn]),
        (["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn]),
    )
    role = iam.Role(
        stack,
        "ExportsRole",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
        ),
        inline_policies={"export": keep.policy(rights)},
    )
    bucket_id = stack.get_logical_id(bucket.node.default_child)
    accept(role, f"AwsSolutions-IAM5[Resource::<{bucket_id}.Arn>/{EXPORTS}*]", "an export names its own objects")
    accept(failed, "AwsSolutions-SQS3", "it is the dead letter queue of schedules, which the rule doesn't look at")
    for name, table in tables.items():
        _schedule(stack, name, table, stage, bucket, key, role, failed)
    return failed


def _schedule(
    stack: cdk.Stack,
    name: str,
    table: dynamodb.Table,
    stage: Stage,
    bucket: s3.Bucket,
    key: kms.Key,
    role: iam.Role,
    failed: sqs.Queue,
) -> None:
    made = scheduler.CfnSchedule
    days = stage.state.export_days
    scheduler.CfnSchedule(
        stack,
        f"Export{name.capitalize()}",
        description=f"{table.node.id}: a copy of the whole table to S3",
        schedule_expression=f"rate({days} day{'s' if days > 1 else ''})",
        flexible_time_window=made.FlexibleTimeWindowProperty(mode="FLEXIBLE", maximum_window_in_minutes=60),
        target=made.TargetProperty(
            arn=f"arn:{stack.partition}:scheduler:::aws-sdk:dynamodb:exportTableToPointInTime",
            role_arn=role.role_arn,
            dead_letter_config=made.DeadLetterConfigProperty(arn=failed.queue_arn),
            retry_policy=made.RetryPolicyProperty(maximum_retry_attempts=10, maximum_event_age_in_seconds=21_600),
            input=json.dumps(
                {
                    "TableArn": table.table_arn,
                    "S3Bucket": bucket.bucket_name,
                    "S3Prefix": f"{EXPORTS}{name}",
                    "S3SseAlgorithm": "KMS",
                    "S3SseKmsKeyId": key.key_arn,
                    "ExportFormat": "DYNAMODB_JSON",
                }
            ),
        ),
    )
