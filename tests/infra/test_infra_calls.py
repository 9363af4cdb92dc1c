"""Each call of AWS that the product makes is allowed to whom makes it, and nothing is allowed that nobody calls. No emulator looks at rights."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

STAGES = ("dev", "staging", "prod")
SOURCES = Path(__file__).resolve().parents[2] / "src" / "mailloom"
CALLING = (
    "stores/dynamodb",
    "stores/s3.py",
    "stores/sqs.py",
    "stores/firehose.py",
    "wire/profile.py",
    "config/secrets.py",
)

CALLS = {
    # what boto3 calls it -> what IAM does, and who needs it
    "batch_execute_statement": ({"dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"}, {"validate", "work", "settle"}),
    "batch_get_item": ({"dynamodb:BatchGetItem"}, {"validate", "work", "settle", "shadow", "doctor"}),
    "get_item": ({"dynamodb:GetItem"}, {"settle"}),
    "update_item": ({"dynamodb:UpdateItem"}, {"prefix", "settle"}),
    "transact_write_items": ({"dynamodb:PutItem", "dynamodb:ConditionCheckItem"}, {"settle"}),
    "query": ({"dynamodb:Query"}, {"work", "doctor"}),
    "scan": ({"dynamodb:Scan"}, {"doctor"}),
    "describe_table": ({"dynamodb:DescribeTable"}, {"work", "settle", "migrate"}),
    "get_object": (
        {"s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"},
        {"validate", "work", "large", "prefix", "shadow"},
    ),
    "head_object": ({"s3:GetObject"}, {"validate"}),
    "copy_object": (
        {"s3:PutObject", "s3:PutObjectTagging", "s3:GetObjectTagging", "kms:GenerateDataKey"},
        {"validate", "work", "prefix", "enqueue"},
    ),
    "put_object": ({"s3:PutObject", "kms:GenerateDataKey"}, {"validate", "manifest", "shadow"}),
    "list_objects_v2": ({"s3:ListBucket"}, {"desk"}),
    "list_object_versions": ({"s3:ListBucketVersions"}, {"manifest", "prefix", "desk"}),
    "receive_message": ({"sqs:ReceiveMessage"}, {"validate", "work", "large", "next", "shadow"}),
    "delete_message_batch": ({"sqs:DeleteMessage"}, {"validate", "work", "large", "next", "shadow"}),
    "change_message_visibility_batch": ({"sqs:ChangeMessageVisibility"}, {"work", "large", "next", "shadow"}),
    "send_message_batch": ({"sqs:SendMessage"}, {"validate", "enqueue", "prefix", "work"}),
    "get_queue_attributes": ({"sqs:GetQueueAttributes"}, {"validate", "work", "large", "next", "shadow"}),
    "put_record_batch": ({"firehose:PutRecordBatch"}, {"work", "large", "next", "prefix"}),
    "get_secret_value": (
        {"secretsmanager:GetSecretValue"},
        {"work", "settle", "migrate", "doctor", "shadow", "prefix"},
    ),
}
AT_A_DESK = {
    "create_table": "the app makes them",
    "update_time_to_live": "the app makes them",
    "get_waiter": "after create_table",
    "delete_objects": "tests and desks",
}
NOT_BY_NAME = {
    "es:ESHttpGet": "OpenSearch", "es:ESHttpHead": "OpenSearch", "es:ESHttpPost": "OpenSearch", "es:ESHttpPut": "OpenSearch",
    "es:ESHttpDelete": "OpenSearch, migrate: months out of search",
    "ecs:UpdateTaskProtection": "run/protection.py", "ecs:GetTaskProtection": "the agent, for the same",
    "xray:PutTraceSegments": "Lambda, and the collector", "xray:PutTelemetryRecords": "the same",
    "logs:CreateLogStream": "Lambda", "logs:PutLogEvents": "Lambda",
    "kms:Encrypt": "DynamoDB in the caller's name", "kms:DescribeKey": "the same", "kms:ReEncryptFrom": "the same", "kms:ReEncryptTo": "the same",
    "s3:GetObjectVersionTagging": "copy_object of a version",
}  # fmt: skip


def called():
    """The names of boto3's operations in the sources."""
    found = set()
    for path in CALLING:
        for file in sorted((SOURCES / path).rglob("*.py")) if (SOURCES / path).is_dir() else [SOURCES / path]:
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                of = node.func.value
                name = of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", "")
                if node.func.attr == "call" and node.args and isinstance(node.args[0], ast.Constant):
                    found.add(node.args[0].value)
                elif name == "client" and node.func.attr != "close":
                    found.add(node.func.attr)
    return found


def rights(made, stage):
    """Component -> its actions."""
    found = {}
    for one in made.all(stage, "AWS::IAM::Role"):
        if one.stack != "compute":
            continue
        for policy in one.properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                name = one.id.partition("Task" if "TaskRole" in one.id else "Role")[0].lower()
                found.setdefault(name, set()).update([actions] if isinstance(actions, str) else actions)
    assert len(found) >= 11
    return found


def test_every_call_is_known():
    found = called()
    assert len(found) >= 15
    assert found - set(CALLS) - set(AT_A_DESK) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_who_calls_may(made, stage):
    may = rights(made, stage)
    missing = [(who, action) for actions, callers in CALLS.values() for who in callers for action in actions - may[who]]
    assert missing == []


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_allowed_that_nobody_calls(made, stage):
    known = {action for actions, _ in CALLS.values() for action in actions} | set(NOT_BY_NAME)
    surplus = [
        (who, action)
        for who, actions in rights(made, stage).items()
        for action in actions - known
        if not action.startswith("ec2:")
    ]
    assert surplus == []


@pytest.mark.parametrize("stage", STAGES)
def test_who_has_no_business_with_the_database_has_no_password(made, stage):
    may = rights(made, stage)
    for who in ("validate", "enqueue", "manifest"):
        assert "secretsmanager:GetSecretValue" not in may[who]
    for who in ("shadow", "doctor"):  # they compare, and change nothing
        assert not {"dynamodb:PartiQLUpdate", "es:ESHttpPut", "es:ESHttpDelete", "firehose:PutRecordBatch"} & may[who]
