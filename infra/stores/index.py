"""Search: an OpenSearch domain in the network, reached by signed requests of the roles that may."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_opensearchservice as opensearch
from constructs import Construct

from infra import keep
from infra.config.stages import Index, Stage
from infra.log_groups import log_group
from infra.nag import accept
from infra.parts import Network

VERSION = opensearch.EngineVersion.OPENSEARCH_3_7
"""The first of the service's that is not older than the one of the tests (3.6)."""


def index(scope: Construct, stage: Stage, network: Network, key: kms.Key) -> opensearch.Domain:
    """The domain. Who may call it is said by roles alone: fine-grained access control would want users and rights that are laid out by hand
    inside of OpenSearch, and mail of one scope is kept from another by every query's filter, not by the index.
    """
    mine = stage.index
    zones = min(mine.nodes, len(network.vpc.isolated_subnets))
    groups = {
        name: log_group(scope, f"Search{name}Log", stage, encryption_key=key)
        for name in ("Errors", "SlowSearch", "SlowIndex")
    }
    policy = _may_log(scope, stage, groups)
    domain = opensearch.Domain(
        scope,
        "Search",
        domain_name=stage.prefix,
        version=VERSION,
        capacity=_capacity(mine),
        ebs=opensearch.EbsOptions(volume_type=ec2.EbsDeviceVolumeType.GP3, volume_size=mine.disk_gb),
        zone_awareness=opensearch.ZoneAwarenessConfig(
            enabled=zones > 1, availability_zone_count=zones if zones > 1 else None
        ),
        vpc=network.vpc,
        vpc_subnets=[ec2.SubnetSelection(subnets=network.vpc.isolated_subnets[:zones])],
        security_groups=[network.groups["search"]],
        encryption_at_rest=opensearch.EncryptionAtRestOptions(enabled=True, kms_key=key),
        node_to_node_encryption=True,
        enforce_https=True,
        tls_security_policy=opensearch.TLSSecurityPolicy.TLS_1_2_PFS,
        logging=opensearch.LoggingOptions(
            app_log_enabled=True,
            app_log_group=groups["Errors"],
            slow_search_log_enabled=True,
            slow_search_log_group=groups["SlowSearch"],
            slow_index_log_enabled=True,
            slow_index_log_group=groups["SlowIndex"],
        ),
        suppress_logs_resource_policy=True,  # it would be written by a function
        enable_auto_software_update=True,
        off_peak_window_enabled=True,
        enable_version_upgrade=True,
        removal_policy=keep.removal(stage),
    )
    accept(domain, "AwsSolutions-OS3", "a domain in a VPC can't name addresses: its security group says who gets there")
    if not mine.masters:
        accept(domain, "AwsSolutions-OS4", "so small that three more nodes would cost more than it: prod has them")
    if zones == 1:
        accept(domain, "AwsSolutions-OS7", "one node: its mail is in the bucket, and nobody's archive")
    made = domain.node.default_child
    made.node.add_dependency(policy)
    made.access_policies = _may_call(cdk.Stack.of(scope), stage)
    return domain


def _capacity(mine: Index) -> opensearch.CapacityConfig:
    masters = {"master_nodes": mine.masters, "master_node_instance_type": mine.master} if mine.masters else {}
    warm = {"warm_nodes": mine.warm_nodes, "warm_instance_type": mine.warm} if mine.warm_nodes else {}
    return opensearch.CapacityConfig(
        data_nodes=mine.nodes,
        data_node_instance_type=mine.node,
        multi_az_with_standby_enabled=False,  # a third of the nodes would wait for nothing: shards have replicas
        **masters,
        **warm,
    )


def _may_call(stack: cdk.Stack, stage: Stage) -> dict[str, Any]:
    """Whoever of this account has the right by a role, nobody without a signature. As a property of the domain: the construct writes it by a
    function, later.
    """
    domain = stack.format_arn(service="es", resource="domain", resource_name=f"{stage.prefix}/*")
    account = f"arn:{stack.partition}:iam::{stack.account}:root"
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "es:ESHttp*", "Resource": domain}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _may_log(scope: Construct, stage: Stage, groups: dict[str, logs.LogGroup]) -> logs.CfnResourcePolicy:
    stack = cdk.Stack.of(scope)
    statement = iam.PolicyStatement(
        principals=[iam.ServicePrincipal("es.amazonaws.com")],
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[group.log_group_arn for group in groups.values()],
        conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
    )
    return logs.CfnResourcePolicy(
        scope,
        "SearchMayLog",
        policy_name=f"{stage.prefix}-search",
        policy_document=stack.to_json_string(iam.PolicyDocument(statements=[statement])),
    )
