"""cdk-nag's AwsSolutions pack over the whole app. What it finds is mended, or accepted one by one with a reason, where it is made.

A finding has an id: the rule's, and where a rule may find several things on a resource the thing in brackets, as `AwsSolutions-IAM5[Resource::*]`.
"""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from constructs import IConstruct

PACK = "AwsSolutions"


def check(app: cdk.App) -> None:
    """Have the synth look at all stacks; what it finds fails it, with a report beside the templates (validation-report.json)."""
    from cdk_nag import AwsSolutionsChecks

    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))


def accept(construct: IConstruct, rule: str, reason: str) -> None:
    """Take a finding on a construct, and what is below it, as it is. `rule` is its whole id, `reason` says why that does no harm."""
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"{PACK}::{rule}", reason=reason))


def accept_star(construct: IConstruct, resource: str, reason: str) -> None:
    """The same for a star in a resource of a policy (AwsSolutions-IAM5)."""
    stack = cdk.Stack.of(construct)
    accept(construct, f"AwsSolutions-IAM5[Resource::{_written(stack.resolve(resource))}]", reason)


def accept_managed(construct: IConstruct, policy: str, reason: str) -> None:
    """The same for a policy of AWS's own (AwsSolutions-IAM4), by its path."""
    accept(construct, f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}]", reason)


def _written(value: Any) -> str:
    """A resolved value as cdk-nag writes it in an id."""
    if isinstance(value, str):
        return value
    ((kind, of),) = value.items()
    if kind == "Fn::Join":
        return str(of[0]).join(_written(part) for part in of[1])
    if kind == "Fn::ImportValue":
        return _written(of)
    return f"<{'.'.join(of) if isinstance(of, list) else of}>"
