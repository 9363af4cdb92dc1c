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
from infra.nag import accept
from infra.parts import Network
from infra.stages import Index, Stage

VERSION = opensearch.EngineVersion.OPENSEARCH_3_7
"""The first of the service's that is not older than the one of the tests (3.6)."""
MONTH_DAYS = 31
"""An index is as old as its first mail, which is a month older than its last."""


def index(scope: Construct, stage: Stage, network: Network, key: kms.Key) -> opensearch.Domain:
    """The domain. Who may call it is said by roles alone: fine-grained access control would want users and rights that are laid out by hand
    inside of OpenSearch, and mail of one scope is kept from another by every query's filter, not by the index.
    """
    mine = stage.index
    zones = min(mine.nodes, len(network.vpc.isolated_subnets))
    groups = {
        name: keep.log_group(scope, f"Search{name}Log", stage, key) for name in ("Errors", "SlowSearch", "SlowIndex")
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
    if lifecycle := lifecycle_policy(mine):
        cdk.CfnOutput(
            scope,
            "SearchLifecycle",
            description="Index State Management policy: docs/aws.md has the command that puts it",
            value=cdk.Stack.of(scope).to_json_string(lifecycle),
        )
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


def lifecycle_policy(mine: Index) -> dict[str, Any]:
    """What OpenSearch's Index State Management shall do with months as they grow old, as its API takes it; empty where they stay. CloudFormation
    can't put it.
    """
    steps: list[tuple[str, int, list[dict[str, Any]]]] = [("hot", 0, [])]
    if mine.warm_nodes:
        steps.append(("warm", mine.hot_days + MONTH_DAYS, [{"warm_migration": {}}]))
    if mine.search_days:
        steps.append(("gone", mine.search_days + MONTH_DAYS, [{"delete": {}}]))
    if len(steps) == 1:
        return {}
    states = [{"name": name, "actions": actions, "transitions": []} for name, _, actions in steps]
    for state, (name, days, _) in zip(states, steps[1:], strict=False):
        state["transitions"] = [{"state_name": name, "conditions": {"min_index_age": f"{days}d"}}]
    return {
        "policy": {
            "description": "months of mail out of search",
            "default_state": "hot",
            "states": states,
            "ism_template": [{"index_patterns": ["mailloom-messages-v*"], "priority": 200}],
        }
    }
