"""What is read: Aurora PostgreSQL, OpenSearch, Parquet with Glue and Athena."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesisfirehose as firehose
from aws_cdk import aws_kms as kms
from aws_cdk import aws_opensearchservice as opensearch
from aws_cdk import aws_rds as rds
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.parts import Network, Stores
from infra.stages import Stage


class StoresStack(cdk.Stack):
    out: Stores

    def __init__(self, scope: Construct, name: str, stage: Stage, network: Network) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        key = kms.Key(self, "Key", enable_key_rotation=True)
        cluster = rds.DatabaseCluster(
            self,
            "Database",
            engine=rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_17_5),
            writer=rds.ClusterInstance.serverless_v2("Writer"),
            credentials=rds.Credentials.from_generated_secret("mailloom"),
            default_database_name="mailloom",
            vpc=network.vpc,
            vpc_subnets=network.subnets,
            security_groups=[network.groups["database"]],
            storage_encryption_key=key,
        )
        secret = cluster.secret
        if secret is None:
            raise ValueError("the cluster has no secret")
        proxy = cluster.add_proxy("Proxy", secrets=[secret], vpc=network.vpc, security_groups=[network.groups["proxy"]])
        domain = opensearch.Domain(
            self,
            "Search",
            version=opensearch.EngineVersion.open_search("3.1"),
            vpc=network.vpc,
            vpc_subnets=[network.subnets],
        )
        lake = s3.Bucket(self, "Lake", enforce_ssl=True)
        role = iam.Role(self, "StreamRole", assumed_by=iam.ServicePrincipal("firehose.amazonaws.com"))
        lake.grant_read_write(role)
        stream = firehose.CfnDeliveryStream(
            self,
            "Stream",
            extended_s3_destination_configuration=firehose.CfnDeliveryStream.ExtendedS3DestinationConfigurationProperty(
                bucket_arn=lake.bucket_arn, role_arn=role.role_arn
            ),
        )
        reader = cluster.cluster_read_endpoint.hostname
        self.out = Stores(key, cluster, proxy, reader, secret, "mailloom", domain, lake, stream, "mailloom", "mailloom")
