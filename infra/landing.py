"""Where mail lands: the bucket, its events, the queues, the registry of images. Holds mail: kept when the stack goes."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_s3_notifications as notifications
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.parts import QUEUES, Landing
from infra.stages import Stage


class LandingStack(cdk.Stack):
    out: Landing

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        key = kms.Key(self, "Key", enable_key_rotation=True)
        dead = sqs.Queue(self, "Dead", retention_period=cdk.Duration.days(14), enforce_ssl=True)
        queues = {"dead": dead}
        for queue in QUEUES[:-1]:
            queues[queue] = sqs.Queue(
                self,
                queue.capitalize(),
                visibility_timeout=cdk.Duration.seconds(720 if queue == "large" else 180),
                retention_period=cdk.Duration.days(14),
                enforce_ssl=True,
                dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=5),
            )
        bucket = s3.Bucket(self, "Raw", encryption_key=key, bucket_key_enabled=True, versioned=True, enforce_ssl=True)
        bucket.add_event_notification(
            s3.EventType.OBJECT_CREATED,
            notifications.SqsDestination(queues["events"]),
            s3.NotificationKeyFilter(prefix="raw/"),
        )
        images = ecr.Repository(self, "Images", image_scan_on_push=True)
        collector = ecr.Repository(self, "Collector", image_scan_on_push=True)
        self.out = Landing(key, bucket, queues, images, collector)
