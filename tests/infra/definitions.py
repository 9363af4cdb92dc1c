"""The definitions of state machines in a template, as JSON with stand-ins for what only CloudFormation knows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def definition(body: Mapping[str, Any]) -> dict[str, Any]:
    """A state machine's DefinitionString (a string or Fn::Join) -> its JSON."""
    return json.loads(text(body["Properties"]["DefinitionString"]))


def text(value: Any) -> str:
    """A value of a template as text: references are ARNs that name what they refer to."""
    if isinstance(value, str):
        return value
    if "Fn::Join" in value:
        between, parts = value["Fn::Join"]
        return between.join(text(part) for part in parts)
    (function, what), *_ = value.items()
    named = what if isinstance(what, str) else ".".join(what)
    if function == "Ref" and named.startswith("AWS::"):
        return {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012"}[named]
    return f"arn:aws:stand-in:us-east-1:123456789012:{named.replace(':', '-')}"


def states(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All states, those inside Maps too."""
    from infra.asl import machines_in

    for _, each in machines_in(machine):
        yield from each["States"].items()
