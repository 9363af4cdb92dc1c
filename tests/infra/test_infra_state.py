"""The state of threads and deliveries: the tables that the code calls, kept, bounded, and a cache that may be lost."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from holding import alone, many, text

from mailloom.stores.dynamodb import TABLES


@pytest.fixture(params=["dev", "staging", "prod"])
def stage(request):
    return request.param


def tables(made, stage):
    found = {
        table.properties["TableName"].removeprefix(f"mailloom-{stage}-"): table
        for table in made.all(stage, "AWS::DynamoDB::Table")
    }
    assert set(found) == set(TABLES)
    return found


def test_tables_are_those_of_the_code_key_by_key(made, stage):
    for name, table in tables(made, stage).items():
        kinds = {each["AttributeName"]: each["AttributeType"] for each in table.properties["AttributeDefinitions"]}
        keys = [
            (key["AttributeName"], kinds[key["AttributeName"]], key["KeyType"]) for key in table.properties["KeySchema"]
        ]
        assert keys == TABLES[name]["keys"], name
        ttl = table.properties.get("TimeToLiveSpecification")
        assert ttl == ({"AttributeName": "ttl", "Enabled": True} if "ttl" in TABLES[name] else None), name
    assert [name for name in TABLES if "ttl" in TABLES[name]] == ["clues"]


def test_tables_are_paid_by_request_recoverable_and_under_our_key(made, stage):
    for name, table in tables(made, stage).items():
        found = table.properties
        assert found["BillingMode"] == "PAY_PER_REQUEST", name
        assert found["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True, name
        assert found["PointInTimeRecoverySpecification"]["RecoveryPeriodInDays"] >= 7, name
        assert found["SSESpecification"]["SSEType"] == "KMS", name
        assert "Fn::GetAtt" in found["SSESpecification"]["KMSMasterKeyId"], name
        assert found["DeletionProtectionEnabled"] is (stage == "prod"), name


def test_the_cache_is_serverless_valkey_in_the_network_and_bounded(made, stage):
    (cache,) = made.all(stage, "AWS::ElastiCache::ServerlessCache")
    found = cache.properties
    assert (found["Engine"], found["MajorEngineVersion"]) == ("valkey", "9")
    assert found["CacheUsageLimits"]["DataStorage"]["Maximum"] <= 10
    assert found["CacheUsageLimits"]["DataStorage"]["Unit"] == "GB"
    assert found["CacheUsageLimits"]["ECPUPerSecond"]["Maximum"] >= 1000
    assert found["SnapshotRetentionLimit"] == 0
    assert len(found["SecurityGroupIds"]) == 1
    assert 2 <= len(found["SubnetIds"]) <= 3
    assert "Fn::GetAtt" in found["KmsKeyId"]


def test_in_production_every_table_is_exported_by_a_role_that_can_do_nothing_else(made, stage):
    found = [each for each in made.all(stage, "AWS::Scheduler::Schedule") if each.stack == "state"]
    assert len(found) == (3 if stage == "prod" else 0)
    if stage != "prod":
        return
    for schedule in found:
        target = schedule.properties["Target"]
        assert text(target["Arn"]).endswith(":scheduler:::aws-sdk:dynamodb:exportTableToPointInTime")
        assert schedule.properties["ScheduleExpression"] == "rate(7 days)"
        assert target["DeadLetterConfig"]["Arn"]
        assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0
    asked = [json.loads(text(schedule.properties["Target"]["Input"])) for schedule in found]
    ids = {table.id for table in tables(made, stage).values()}
    assert {each["TableArn"] for each in asked} == {f"<{table}.Arn>" for table in ids}
    assert {each["S3Prefix"] for each in asked} == {f"tables/{name}" for name in TABLES}
    # What ExportTableToPointInTime takes (DynamoDB API reference).
    assert {frozenset(each) for each in asked} == {
        frozenset({"TableArn", "S3Bucket", "S3Prefix", "S3SseAlgorithm", "S3SseKmsKeyId", "ExportFormat"})
    }
    (role,) = [role for role in made.all(stage, "AWS::IAM::Role") if role.stack == "state"]
    actions = [
        action
        for policy in role.properties["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in many(statement["Action"])
    ]
    assert "dynamodb:ExportTableToPointInTime" in actions
    assert not [action for action in actions if "*" in action]
    assert not [policy for policy in made.all(stage, "AWS::IAM::Policy") if policy.stack == "state"]


def test_costs_can_be_bounded_and_a_table_begun_warm(made):
    from infra.config.load import load

    found = load()["prod"]
    bounded = replace(
        found,
        state=replace(found.state, max_write_units=500, max_read_units=300, warm_write_units=12_000, export_days=0),
    )
    made_of_it = alone(bounded)["AWS::DynamoDB::Table"]
    assert len(made_of_it) == 3
    for _, table in made_of_it:
        assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": 300, "MaxWriteRequestUnits": 500}
        assert table["WarmThroughput"] == {"WriteUnitsPerSecond": 12_000}
    assert not [table for table in tables(made, "prod").values() if "OnDemandThroughput" in table.properties]
