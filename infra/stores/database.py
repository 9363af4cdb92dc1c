"""Aurora PostgreSQL Serverless v2: a writer, readers that come and go, a proxy before them, and a password that nobody knows."""

from __future__ import annotations

from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra import keep
from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept
from infra.parts import Network

ENGINE = rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_18_4)
"""The major version that the tests run on."""
NAME = "mailloom"
"""Of the database, and of its owner."""
PARAMETERS = {
    "rds.force_ssl": "1",
    "shared_preload_libraries": "pg_stat_statements",
    "log_lock_waits": "1",
    "log_min_duration_statement": "1000",
    "log_statement": "ddl",
    # A slow statement is logged without its values, which are mail.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


class Made(NamedTuple):
    cluster: rds.DatabaseCluster
    proxy: rds.DatabaseProxy
    reader_host: str
    secret: secretsmanager.ISecret


def database(scope: Construct, stage: Stage, network: Network, key: kms.Key) -> Made:
    """The cluster and how it is reached. Its name and its instances' are fixed, so that one that was restored beside it takes its place by a
    change of names, and nothing else needs to know (docs/aws.md).
    """
    cluster = _cluster(scope, stage, network, key)
    secret = _secret(scope, stage, cluster, key)
    # Else the proxy makes it, and keeps its lines for ever.
    log = log_group(scope, "ProxyLog", stage, f"/aws/rds/proxy/{stage.prefix}", key)
    proxy = cluster.add_proxy(
        "Proxy",
        db_proxy_name=stage.prefix,
        secrets=[secret],
        require_tls=True,
        client_password_auth_type=rds.ClientPasswordAuthType.POSTGRES_SCRAM_SHA_256,
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        security_groups=[network.groups["proxy"]],
    )
    proxy.node.default_child.node.add_dependency(log)
    if stage.database.max_readers > stage.database.min_readers:
        _scale(scope, stage, cluster)
    # A proxy's endpoint for readers has nobody behind it where there is no reader, and lets everybody wait.
    host = _readers(scope, stage, network, proxy) if stage.database.min_readers else proxy.endpoint
    return Made(cluster, proxy, host, secret)


def _secret(scope: Construct, stage: Stage, cluster: rds.DatabaseCluster, key: kms.Key) -> secretsmanager.ISecret:
    """The owner's name and password: the cluster's own, else that of the restored cluster that took its place."""
    own = cluster.secret
    if own is None:
        raise ValueError("the cluster has no secret")
    if not stage.database.secret:
        return own
    # Other stacks go on importing the old one until they are deployed too.
    cdk.Stack.of(scope).export_value(own.secret_arn)
    return secretsmanager.Secret.from_secret_attributes(
        scope, "RestoredSecret", secret_complete_arn=stage.database.secret, encryption_key=key
    )


def _cluster(scope: Construct, stage: Stage, network: Network, key: kms.Key) -> rds.DatabaseCluster:
    mine = stage.database
    log = log_group(scope, "DatabaseLog", stage, f"/aws/rds/cluster/{stage.prefix}/postgresql", key)
    parameters = rds.ParameterGroup(scope, "DatabaseParameters", engine=ENGINE, parameters=PARAMETERS)
    insights = {
        "enable_performance_insights": True,
        "performance_insight_retention": rds.PerformanceInsightRetention.DEFAULT,  # 7 days, for nothing
        "performance_insight_encryption_key": key,
    }
    cluster = rds.DatabaseCluster(
        scope,
        "Database",
        cluster_identifier=stage.prefix,
        engine=ENGINE,
        default_database_name=NAME,
        credentials=rds.Credentials.from_username(NAME, encryption_key=key),
        manage_master_user_password=True,  # made, kept and changed each week by Aurora: no function of ours
        writer=rds.ClusterInstance.serverless_v2("Writer", instance_identifier=f"{stage.prefix}-1", **insights),
        readers=[
            rds.ClusterInstance.serverless_v2(
                f"Reader{number}",
                instance_identifier=f"{stage.prefix}-{number + 1}",
                scale_with_writer=number == 1,  # the one that takes over is as large as the writer
                **insights,
            )
            for number in range(1, mine.min_readers + 1)
        ],
        serverless_v2_min_capacity=mine.min_acu,
        serverless_v2_max_capacity=mine.max_acu,
        storage_type=rds.DBClusterStorageType.AURORA_IOPT1 if mine.io_optimized else rds.DBClusterStorageType.AURORA,
        storage_encryption_key=key,
        backup=rds.BackupProps(retention=cdk.Duration.days(mine.backup_days), preferred_window="05:00-06:00"),
        copy_tags_to_snapshot=True,
        parameter_group=parameters,
        cloudwatch_logs_exports=["postgresql"],
        deletion_protection=stage.protect,
        removal_policy=keep.removal(stage),
        vpc=network.vpc,
        vpc_subnets=network.subnets,
        security_groups=[network.groups["database"]],
    )
    cluster.node.default_child.node.add_dependency(log)  # or Aurora makes it, and keeps its lines for ever
    for part in (*cluster.node.find_all(), parameters.node.default_child):
        if isinstance(part, rds.CfnDBInstance | rds.CfnDBSubnetGroup | rds.CfnDBClusterParameterGroup):
            part.apply_removal_policy(keep.removal(stage))  # a cluster that stays needs them
    accept(
        cluster,
        "AwsSolutions-RDS6",
        "the password is changed each week; tokens would bound new connections to 200 a second",
    )
    if not stage.protect:
        accept(cluster, "AwsSolutions-RDS10", "a stage that may be thrown away: protect = true turns it on")
    return cluster


def _scale(scope: Construct, stage: Stage, cluster: rds.DatabaseCluster) -> None:
    """Readers beside those that are always there, by the CPU of all of them. Aurora scales only where there is one already."""
    target = scaling.CfnScalableTarget(
        scope,
        "Readers",
        service_namespace="rds",
        scalable_dimension="rds:cluster:ReadReplicaCount",
        resource_id=f"cluster:{cluster.cluster_identifier}",
        min_capacity=stage.database.min_readers,
        max_capacity=stage.database.max_readers,
    )
    target.node.add_dependency(cluster.node.find_child("Reader1"))
    scaling.CfnScalingPolicy(
        scope,
        "ReadersByCpu",
        policy_name=f"{stage.prefix}-readers",
        policy_type="TargetTrackingScaling",
        scaling_target_id=target.ref,
        target_tracking_scaling_policy_configuration={
            "predefinedMetricSpecification": {"predefinedMetricType": "RDSReaderAverageCPUUtilization"},
            "targetValue": stage.database.reader_cpu_percent,
            "scaleOutCooldown": 300,
            "scaleInCooldown": 900,  # a reader takes minutes to come
        },
    )


def _readers(scope: Construct, stage: Stage, network: Network, proxy: rds.DatabaseProxy) -> str:
    """The proxy's endpoint for readers: its host."""
    subnets = network.vpc.select_subnets(subnets=network.vpc.isolated_subnets)
    endpoint = rds.CfnDBProxyEndpoint(
        scope,
        "ProxyReaders",
        db_proxy_endpoint_name=f"{stage.prefix}-readers",
        db_proxy_name=proxy.db_proxy_name,
        target_role="READ_ONLY",
        vpc_subnet_ids=subnets.subnet_ids,
        vpc_security_group_ids=[network.groups["proxy"].security_group_id],
    )
    return str(endpoint.attr_endpoint)
