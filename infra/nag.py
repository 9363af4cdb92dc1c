"""Findings of cdk-nag that are meant so: each with its reason, at what it is about."""

from __future__ import annotations

from constructs import IConstruct


def accept(construct: IConstruct, rule_id: str, reason: str) -> None:
    """Say that this construct (and what it is made of) breaks this rule on purpose."""
