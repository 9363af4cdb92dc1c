"""cdk-nag's AwsSolutions pack over the whole app. What it finds is mended, or accepted one by one with a reason, where it is made.

A finding has an id: the rule's, and where a rule may find several things on a resource the thing in brackets, as `AwsSolutions-IAM5[Resource::*]`.
"""

from __future__ import annotations

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
