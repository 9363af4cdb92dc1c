"""EMR Serverless for work over all mail: reprocessing, threads of history by `thread/batch.py`. Costs nothing while no job runs.

No job is made here: the application and its role are the place for `aws emr-serverless start-job-run` (docs/aws.md).
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_emrserverless as emr
from aws_cdk import aws_iam as iam

from infra.config.stages import Stage
from infra.nag import accept_star
from infra.parts import Landing, Network, Stores, elsewhere

RELEASE = "emr-7.12.0"
"""The newest that EMR Serverless lists, with Spark 3.5 ("Amazon EMR Serverless release versions")."""
IDLE_MINUTES = 15
DISK_GB = 20
"""A core: what a worker has if nobody asks for more ("Understanding worker configurations")."""
WRITES = "history/"
"""Where jobs may write, in the lake."""


def spark(stack: cdk.Stack, stage: Stage, network: Network, landing: Landing, stores: Stores) -> None:
    """The application, which starts with a job and stops by itself, and what its jobs may do: read mail and the lake, write below `history/`."""
    settings = stage.history
    application = emr.CfnApplication(
        stack,
        "Spark",
        name=stage.prefix,
        type="SPARK",
        release_label=RELEASE,
        architecture="ARM64",
        auto_start_configuration={"enabled": True},
        auto_stop_configuration={"enabled": True, "idleTimeoutMinutes": IDLE_MINUTES},
        maximum_capacity={
            "cpu": f"{settings.spark_cores} vCPU",
            "memory": f"{settings.spark_gb} GB",
            "disk": f"{settings.spark_cores * DISK_GB} GB",
        },
        network_configuration={
            "subnetIds": network.vpc.select_subnets(subnet_type=network.subnets.subnet_type).subnet_ids,
            "securityGroupIds": [network.groups["history"].security_group_id],
        },
    )
    role = iam.Role(
        stack,
        "SparkJobRole",
        assumed_by=iam.ServicePrincipal(
            "emr-serverless.amazonaws.com",
            conditions={"ArnLike": {"aws:SourceArn": application.attr_arn}},
        ),
    )
    mail, lake = landing.bucket, stores.lake
    mails = f"{elsewhere(mail, mail.bucket_arn)}/raw/*"
    all_lake, written = (f"{elsewhere(lake, lake.bucket_arn)}/{below}" for below in ("*", f"{WRITES}*"))
    for actions, resources in {
        ("s3:ListBucket",): [mail.bucket_arn, lake.bucket_arn],
        ("s3:GetObject",): [mails, all_lake],
        ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"): [written],
        ("kms:Decrypt", "kms:GenerateDataKey"): [landing.key.key_arn, stores.key.key_arn],
    }.items():
        role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=resources))
    for starred in (mails, all_lake, written):
        accept_star(role, starred, "keys below one prefix have no name before they are there")
