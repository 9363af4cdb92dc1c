"""Where mail lands: the bucket, its events, the queues, the registry of images. Holds mail: kept when the stack goes."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra import keep
from infra.config.stages import Stage
from infra.parts import QUEUES, Landing

RAW, QUARANTINE, SHADOW, BACKFILL = "raw/", "quarantine/", "shadow/", "backfill/"
RECEIVES = 5
"""So often a message is received before it is a dead letter."""
KEEP_DAYS = 14
"""The longest that SQS keeps a message."""
DEAD_SECONDS = 120
"""How long letters stay hidden from others while `mailloom dead` looks at them."""
BACKFILL_DAYS = 30
"""Lists of a backfill's objects: of no use after it."""
IMAGES = 50


class LandingStack(cdk.Stack):
    out: Landing

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        key = keep.key(self, stage, "landing")
        queues = _queues(self, stage, key)
        bucket = _bucket(self, stage, key, queues["events"])
        images, collector = (_repository(self, name, stage, key) for name in ("Images", "Collector"))
        self.out = Landing(key, bucket, queues, images, collector)


def _queues(stack: cdk.Stack, stage: Stage, key: kms.Key) -> dict[str, sqs.Queue]:
    """The queues by name. Their names in AWS are fixed: a queue of letters names whose it takes and they name it, which is a circle by references."""

    def called(queue: str) -> str:
        return f"{stage.prefix}-{queue.replace('_', '-')}"

    def made(queue: str, seconds: int, dead: sqs.Queue | None) -> sqs.Queue:
        return sqs.Queue(
            stack,
            queue.title().replace("_", ""),
            queue_name=called(queue),
            visibility_timeout=cdk.Duration.seconds(seconds),
            retention_period=cdk.Duration.days(KEEP_DAYS),
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=cdk.Duration.hours(1),  # a request to KMS an hour and caller, not one each 5 minutes
            enforce_ssl=True,
            dead_letter_queue=None if dead is None else sqs.DeadLetterQueue(queue=dead, max_receive_count=RECEIVES),
            removal_policy=keep.removal(stage),
        )

    def letters(queue: str, sources: Sequence[str]) -> sqs.Queue:
        dead = made(queue, DEAD_SECONDS, None)
        dead.node.default_child.redrive_allow_policy = {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [stack.format_arn(service="sqs", resource=called(source)) for source in sources],
        }
        return dead

    sources = [queue for queue in QUEUES if queue not in ("shadow", "dead", "dead_shadow")]
    # Copies apart: `doctor` holds the letters in `dead` against mail that is pending for long, and a copy is nobody's mail.
    dead, dead_shadow = letters("dead", sources), letters("dead_shadow", ["shadow"])
    seconds = dict.fromkeys(sources, stage.landing.work_seconds)
    seconds |= {"events": stage.landing.events_seconds, "large": stage.landing.large_seconds}
    found = {queue: made(queue, seconds[queue], dead) for queue in sources}
    found["shadow"] = made("shadow", stage.landing.work_seconds, dead_shadow)
    return found | {"dead": dead, "dead_shadow": dead_shadow}


def _bucket(stack: cdk.Stack, stage: Stage, key: kms.Key, events: sqs.Queue) -> s3.Bucket:
    """The bucket of raw mail. Its name is fixed: the queue's policy names the bucket and the bucket the queue, and S3 tries the queue when the
    bucket is made. So no function is needed that tells S3 of it later.
    """
    name = f"{stage.prefix}-raw-{stack.account}-{stack.region}"
    bucket = keep.bucket(
        stack, "Raw", stage, key, keep.logs_of_access(stack, stage), _rules(stage), bucket_name=name, **_lock(stage)
    )
    s3_service = iam.ServicePrincipal("s3.amazonaws.com")
    events.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[s3_service],
            actions=["sqs:SendMessage"],
            resources=[events.queue_arn],
            conditions={
                "ArnEquals": {"aws:SourceArn": f"arn:{stack.partition}:s3:::{name}"},
                "StringEquals": {"aws:SourceAccount": stack.account},
            },
        )
    )
    # Without a condition, as the S3 user guide has it ("Granting permissions to publish event notification messages to a destination"): it doesn't say
    # that KMS is told for whose bucket S3 sends, and where it isn't the bucket can't be made. The queue's own policy names the bucket.
    key.add_to_resource_policy(
        iam.PolicyStatement(principals=[s3_service], actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=["*"])
    )
    made = s3.CfnBucket
    bucket.node.default_child.notification_configuration = made.NotificationConfigurationProperty(
        queue_configurations=[
            made.QueueConfigurationProperty(
                event="s3:ObjectCreated:*",
                queue=events.queue_arn,
                filter=made.NotificationFilterProperty(
                    s3_key=made.S3KeyFilterProperty(rules=[made.FilterRuleProperty(name="prefix", value=RAW)])
                ),
            )
        ]
    )
    bucket.node.default_child.node.add_dependency(events.node.find_child("Policy"))
    return bucket


def _rules(stage: Stage) -> list[s3.LifecycleRule]:
    mine = stage.landing
    rules = keep.tiers(
        "tiers",
        RAW,
        (s3.StorageClass.INFREQUENT_ACCESS, mine.infrequent_days),
        (s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, mine.instant_days),
        (s3.StorageClass.DEEP_ARCHIVE, mine.archive_days),
    )
    if mine.expire_days:
        rules.append(s3.LifecycleRule(id="expire", prefix=RAW, expiration=cdk.Duration.days(mine.expire_days)))
    if mine.noncurrent_days:
        rules.append(
            s3.LifecycleRule(
                id="noncurrent", prefix=RAW, noncurrent_version_expiration=cdk.Duration.days(mine.noncurrent_days)
            )
        )
    return [
        *rules,
        keep.gone("quarantine", QUARANTINE, mine.quarantine_days),
        keep.gone("shadow", SHADOW, mine.shadow_days),
        keep.gone("backfill", BACKFILL, BACKFILL_DAYS),
    ]


def _lock(stage: Stage) -> dict[str, object]:
    if stage.landing.lock == "none":
        return {}
    days = cdk.Duration.days(stage.landing.lock_days)
    compliance = stage.landing.lock == "compliance"
    retention = s3.ObjectLockRetention.compliance(days) if compliance else s3.ObjectLockRetention.governance(days)
    return {"object_lock_enabled": True, "object_lock_default_retention": retention}


def _repository(stack: cdk.Stack, name: str, stage: Stage, key: kms.Key) -> ecr.Repository:
    """A registry: a tag is one image for ever, so that what runs, and what a rollback brings back, is what was tried."""
    return ecr.Repository(
        stack,
        name,
        image_scan_on_push=True,
        image_tag_mutability=ecr.TagMutability.IMMUTABLE,
        encryption=ecr.RepositoryEncryption.KMS,
        encryption_key=key,
        lifecycle_rules=[
            # By tags: the images of one architecture have none, and live as long as the list that names them.
            ecr.LifecycleRule(tag_pattern_list=["*"], max_image_count=IMAGES, rule_priority=1)
        ],
        empty_on_delete=not stage.protect,
        removal_policy=keep.removal(stage),
    )
