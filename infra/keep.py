"""How what holds data is kept: one way to make keys and buckets, so that none is the odd one out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.config.stages import Stage

UPLOAD_DAYS = 7
"""An upload in parts that nobody ended is paid for, and seen by nobody."""
SMALL_KB = 128
"""Standard-IA and Glacier Instant Retrieval bill each object as so much at least, and each move is a request: smaller objects would cost more
there ("Amazon S3 pricing"; "Transitioning objects using Amazon S3 Lifecycle")."""


def removal(stage: Stage) -> cdk.RemovalPolicy:
    """What becomes of data when its stack is deleted. Not RETAIN: that also keeps what a first deployment made before it failed, and as names are
    fixed, the second would fail on what the first left.
    """
    return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if stage.protect else cdk.RemovalPolicy.DESTROY


def key(scope: Construct, stage: Stage, name: str) -> kms.Key:
    """A stack's key, changed each year."""
    return kms.Key(
        scope,
        "Key",
        alias=f"{stage.prefix}-{name}",
        enable_key_rotation=True,
        removal_policy=removal(stage),
        pending_window=cdk.Duration.days(30 if stage.protect else 7),
    )


def lend_to_logs(encryption: kms.Key) -> None:
    """Let CloudWatch Logs use a key for this account's groups: slow queries and statements tell of mail."""
    stack = cdk.Stack.of(encryption)
    groups = stack.format_arn(
        service="logs", resource="log-group", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
    encryption.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
            actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            resources=["*"],
            conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
    )


def logs_of_access(scope: Construct, stage: Stage) -> s3.Bucket:
    """Where S3 writes who asked for which object. It can't be under a key of ours: S3's log delivery knows its own only ("Enabling Amazon S3
    server access logging"). Not CloudTrail's data events, which cost more than all other requests for small mail.
    """
    return s3.Bucket(
        scope,
        "Access",
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        removal_policy=removal(stage),
        lifecycle_rules=[
            s3.LifecycleRule(id="expire", expiration=cdk.Duration.days(stage.watch.log_days)),
            s3.LifecycleRule(id="uploads", abort_incomplete_multipart_upload_after=cdk.Duration.days(UPLOAD_DAYS)),
        ],
    )


def bucket(
    scope: Construct,
    name: str,
    stage: Stage,
    encryption: kms.Key,
    access: s3.Bucket,
    rules: Sequence[s3.LifecycleRule],
    **more: Any,
) -> s3.Bucket:
    """A private bucket with versions, under the stack's key. One key a bucket and not one an object, or each small mail would cost a
    request to KMS. `more` goes to the construct.
    """
    made = s3.Bucket(
        scope,
        name,
        encryption=s3.BucketEncryption.KMS,
        encryption_key=encryption,
        bucket_key_enabled=True,
        versioned=True,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        server_access_logs_bucket=access,
        server_access_logs_prefix=f"{name.lower()}/",
        removal_policy=removal(stage),
        lifecycle_rules=[
            *rules,
            s3.LifecycleRule(id="uploads", abort_incomplete_multipart_upload_after=cdk.Duration.days(UPLOAD_DAYS)),
            s3.LifecycleRule(id="markers", expired_object_delete_marker=True),
        ],
        **more,
    )
    for number, rule in enumerate(rules):  # the construct writes a number where CloudFormation wants text
        if rule.object_size_greater_than:
            place = f"LifecycleConfiguration.Rules.{number}.ObjectSizeGreaterThan"
            made.node.default_child.add_property_override(place, f"{rule.object_size_greater_than:.0f}")
    return made


def policy(rights: Iterable[tuple[list[str], list[str]]]) -> iam.PolicyDocument:
    """Actions and what they may be done to, as a role's own policy: a service that tries its role when it is named finds it complete."""
    return iam.PolicyDocument(statements=[iam.PolicyStatement(actions=actions, resources=on) for actions, on in rights])


def gone(name: str, prefix: str, days: int, after: int = 1) -> s3.LifecycleRule:
    """What is under `prefix` goes after `days`, and `after` days later for good."""
    return s3.LifecycleRule(
        id=name,
        prefix=prefix,
        expiration=cdk.Duration.days(days),
        noncurrent_version_expiration=cdk.Duration.days(after),
    )


def tiers(name: str, prefix: str, *days: tuple[s3.StorageClass, int]) -> list[s3.LifecycleRule]:
    """A rule that moves what is under `prefix` and large enough through cheaper storage; none where no tier is used (0 days)."""
    used = [
        s3.Transition(storage_class=tier, transition_after=cdk.Duration.days(after)) for tier, after in days if after
    ]
    rule = s3.LifecycleRule(id=name, prefix=prefix, object_size_greater_than=SMALL_KB << 10, transitions=used)
    return [rule] if used else []
