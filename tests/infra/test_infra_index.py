"""The OpenSearch domain: an engine that search runs on, reached by signed requests over TLS."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from holding import alone, text


@pytest.fixture(params=["dev", "staging", "prod"])
def stage(request):
    return request.param


def domain(made, stage):
    (found,) = made.all(stage, "AWS::OpenSearchService::Domain")
    return found.properties


def test_the_engine_is_one_that_the_cdk_knows_and_search_can_use(made, stage):
    from aws_cdk import aws_opensearchservice as opensearch

    known = {
        f"OpenSearch_{getattr(opensearch.EngineVersion, name).version.removeprefix('OpenSearch_')}"
        for name in dir(opensearch.EngineVersion)
        if name.startswith("OPENSEARCH_")
    }
    version = domain(made, stage)["EngineVersion"]
    assert version in known
    assert tuple(map(int, version.removeprefix("OpenSearch_").split("."))) >= (
        3,
        2,
    )  # combined_fields: docs/opensearch.md


def test_production_has_masters_of_its_own_and_nodes_in_more_than_one_zone(made, stage):
    cluster, network = domain(made, stage)["ClusterConfig"], domain(made, stage)["VPCOptions"]
    zones = cluster["ZoneAwarenessConfig"]["AvailabilityZoneCount"] if cluster["ZoneAwarenessEnabled"] else 1
    assert zones >= (1 if stage == "dev" else 2)
    assert len(network["SubnetIds"]) == zones
    assert cluster["InstanceCount"] % zones == 0
    assert cluster["DedicatedMasterEnabled"] is (stage == "prod")
    if stage == "prod":
        assert cluster["DedicatedMasterCount"] == 3
    assert not cluster.get("WarmEnabled", False)


def test_storage_is_gp3_and_encrypted_and_so_is_the_way_there(made, stage):
    found = domain(made, stage)
    assert (found["EBSOptions"]["EBSEnabled"], found["EBSOptions"]["VolumeType"]) == (True, "gp3")
    assert found["EncryptionAtRestOptions"]["Enabled"] is True
    assert "KmsKeyId" in found["EncryptionAtRestOptions"]
    assert found["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    assert found["DomainEndpointOptions"]["EnforceHTTPS"] is True
    assert found["DomainEndpointOptions"]["TLSSecurityPolicy"] == "Policy-Min-TLS-1-2-PFS-2023-10"


def test_only_signed_requests_of_this_account_are_let_in(made, stage):
    found = domain(made, stage)
    (statement,) = found["AccessPolicies"]["Statement"]
    assert text(statement["Principal"]["AWS"]) == "arn:<AWS::Partition>:iam::<AWS::AccountId>:root"
    assert statement["Action"] == "es:ESHttp*"
    assert text(statement["Resource"]).endswith(f":domain/{found['DomainName']}/*")
    assert len(found["VPCOptions"]["SecurityGroupIds"]) == 1


def test_slow_and_failing_requests_are_logged_and_the_service_may_write_them(made, stage):
    published = domain(made, stage)["LogPublishingOptions"]
    assert set(published) == {"ES_APPLICATION_LOGS", "INDEX_SLOW_LOGS", "SEARCH_SLOW_LOGS"}
    (policy,) = [each for each in made.all(stage, "AWS::Logs::ResourcePolicy") if each.stack == "stores"]
    document = json.loads(text(policy.properties["PolicyDocument"]))
    (may,) = document["Statement"]
    assert may["Principal"] == {"Service": "es.amazonaws.com"}
    assert set(may["Action"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}
    assert set(may["Resource"]) == {text(each["CloudWatchLogsLogGroupArn"]) for each in published.values()}


def test_no_function_is_needed_to_make_what_holds_data(made, stage):
    found = [each for each in made.all(stage) if each.stack in {"landing", "state", "stores"}]
    assert len(found) > 50
    assert not [each for each in found if each.kind.startswith(("AWS::Lambda", "Custom::", "AWS::CloudFormation"))]


def test_ultrawarm_is_an_option_that_needs_masters():
    from infra.config.load import load

    found = load()["staging"]
    warm = replace(found.index, nodes=2, node="r7g.large.search", masters=3, warm_nodes=2)
    ((_, made_of_it),) = alone(replace(found, index=warm))["AWS::OpenSearchService::Domain"]
    cluster = made_of_it["ClusterConfig"]
    assert (cluster["WarmEnabled"], cluster["WarmCount"]) == (True, 2)
    assert cluster["WarmType"] == "ultrawarm1.medium.search"
