"""Who may do what: no wildcard on a wildcard, and nobody from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

STAGES = ("dev", "staging", "prod")
WHOLE = {
    # Actions that know no resource, or none that is there before they are called ("Actions, resources, and condition keys", service by service).
    "ec2:CreateNetworkInterface": "a function's way into the VPC",
    "ec2:DeleteNetworkInterface": "the same",
    "ec2:DescribeNetworkInterfaces": "the same",
    "ec2:DescribeSubnets": "the same",
    "ec2:AssignPrivateIpAddresses": "the same",
    "ec2:UnassignPrivateIpAddresses": "the same",
    "ecr:GetAuthorizationToken": "a token for all of a registry",
    "xray:PutTraceSegments": "traces belong to an account",
    "xray:PutTelemetryRecords": "the same",
    "xray:GetSamplingRules": "the same",
    "xray:GetSamplingTargets": "the same",
    "cloudwatch:GetMetricData": "reading metrics knows no namespace",
    "logs:CreateLogDelivery": "logs of state machines",
    "logs:GetLogDelivery": "the same",
    "logs:UpdateLogDelivery": "the same",
    "logs:DeleteLogDelivery": "the same",
    "logs:ListLogDeliveries": "the same",
    "logs:PutResourcePolicy": "the same",
    "logs:DescribeResourcePolicies": "the same",
    "logs:DescribeLogGroups": "the same",
}
"""What may be allowed on every resource, and why it must be."""


class Allowed(NamedTuple):
    where: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


def text(value: Any) -> str:
    """A value of a template as text: what is known at deployment only is <...>."""
    if isinstance(value, str):
        return re.sub(r"\$\{[^}]*\}", "<>", value)
    if isinstance(value, dict):
        (name, inside), *_ = value.items()
        if name == "Fn::Join":
            return inside[0].join(map(text, inside[1]))
        if name == "Fn::Sub":
            return text(inside if isinstance(inside, str) else inside[0])
    return "<>"


def listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def allowed(made, stage: str) -> Iterator[Allowed]:
    """Each statement of identities' policies that allows something."""
    for one in made.all(stage):
        policies = {
            "AWS::IAM::Policy": [one.properties],
            "AWS::IAM::ManagedPolicy": [one.properties],
            "AWS::IAM::Role": one.properties.get("Policies", []),
        }.get(one.kind, [])
        for policy in policies:
            for statement in listed(policy["PolicyDocument"]["Statement"]):
                if statement["Effect"] == "Allow":
                    assert not {"NotAction", "NotResource"} & set(statement), one.id
                    yield Allowed(
                        f"{one.stack} {one.id}",
                        listed(statement["Action"]),
                        tuple(map(text, listed(statement["Resource"]))),
                    )


def every(resource: str) -> bool:
    """All of a service in a region, or more."""
    return resource == "*" or re.fullmatch(r"arn:[^:]*:[^:]*:[^:]*:[^:]*:\*", resource) is not None


@pytest.mark.parametrize("stage", STAGES)
def test_no_wildcard_action_on_a_wildcard_resource(made, stage):
    statements = list(allowed(made, stage))
    assert len(statements) > 20
    bad = [
        f"{one.where}: {action} on *"
        for one in statements
        for action in one.actions
        if any(map(every, one.resources)) and "*" in action
    ]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("stage", STAGES)
def test_no_action_is_allowed_on_all_of_a_service(made, stage):
    """s3:* on one bucket deletes it."""
    bad = [f"{one.where}: {a}" for one in allowed(made, stage) for a in one.actions if re.fullmatch(r"\*|\w+:\*", a)]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_allowed_everywhere_is_what_knows_no_resource(made, stage):
    bad = [
        f"{one.where}: {action}"
        for one in allowed(made, stage)
        for action in one.actions
        if any(map(every, one.resources)) and action not in WHOLE
    ]
    assert not bad, "\n".join(bad)


def test_what_may_be_allowed_everywhere_is_used(made):
    used = {
        action
        for stage in STAGES
        for one in allowed(made, stage)
        if any(map(every, one.resources))
        for action in one.actions
    }
    assert WHOLE.keys() <= used, WHOLE.keys() - used


@pytest.mark.parametrize("stage", STAGES)
def test_nobody_unknown_is_let_in(made, stage):
    """A policy on a thing that allows everybody has a condition; a role is taken by a service or this account alone."""
    seen = 0
    for one in made.all(stage):
        for key in (
            "AssumeRolePolicyDocument",
            "PolicyDocument",
            "KeyPolicy",
            "ResourcePolicy",
            "RepositoryPolicyText",
            "AccessPolicies",
        ):
            document = one.properties.get(key)
            for statement in (
                listed(document["Statement"]) if isinstance(document, dict) and "Statement" in document else ()
            ):
                seen += 1
                if statement["Effect"] != "Allow" or "Principal" not in statement:
                    continue
                open_to_all = statement["Principal"] in ("*", {"AWS": "*"})
                gateway = one.kind == "AWS::EC2::VPCEndpoint"  # bounds what goes through; test_infra_network.py has it
                assert not open_to_all or gateway or statement.get("Condition"), f"{one.stack} {one.id}: {statement}"
                assert not (open_to_all and key == "AssumeRolePolicyDocument"), one.id
    assert seen > 20
