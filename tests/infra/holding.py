"""What the tests of stacks that hold data share: templates read as text, and those of a stage that stages.toml doesn't have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]


def text(value: Any) -> str:
    """A value of a template in one line: references as <Name> and <Name.Attribute>."""
    if isinstance(value, str):
        return value
    (kind, of) = next(iter(value.items()))
    if kind == "Fn::Join":
        return of[0].join(map(text, of[1]))
    return f"<{of if isinstance(of, str) else '.'.join(of)}>"


def many(value: Any) -> list[str]:
    """A policy's actions, resources: one or a list."""
    return [text(each) for each in (value if isinstance(value, list) else [value])]


def alone(stage: Any) -> dict[str, list[tuple[str, Json]]]:
    """A stage's stacks that hold data, without those that run: each type's resources as (id, properties)."""
    from infra.node import use_node

    use_node()
    import aws_cdk as cdk
    from aws_cdk import assertions

    from infra.app import CONTEXT
    from infra.landing import LandingStack
    from infra.network import NetworkStack
    from infra.state import StateStack
    from infra.stores.stack import StoresStack

    app = cdk.App(analytics_reporting=False, post_cli_context=CONTEXT)
    network = NetworkStack(app, "Network", stage)
    stacks = [
        LandingStack(app, "Landing", stage),
        StateStack(app, "State", stage, network.out),
        StoresStack(app, "Stores", stage, network.out),
    ]
    found: dict[str, list[tuple[str, Json]]] = {}
    for stack in stacks:
        template = assertions.Template.from_stack(stack).to_json()
        for name, body in template["Resources"].items():
            found.setdefault(body["Type"], []).append((name, body["Properties"]))
        found.setdefault("outputs", []).extend(template.get("Outputs", {}).items())
    return found


def rules(bucket: Json) -> dict[str, Json]:
    """A bucket's lifecycle rules by id."""
    return {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}


def statements(policy: Json) -> Iterator[Json]:
    yield from policy["PolicyDocument" if "PolicyDocument" in policy else "KeyPolicy"]["Statement"]
