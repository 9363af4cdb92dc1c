"""Definitions of state machines, checked: by the npm package asl-validator (JSON Schema and paths), and by what it doesn't look at.

`python -m infra.asl` installs the package here from its lock, with the Node that the locked Python packages brought.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.node import node_command

HERE = Path(__file__).parent


def validate(definitions: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """What asl-validator says of each. Raises FileNotFoundError where it isn't installed."""
    if not (HERE / "node_modules" / "asl-validator").exists():
        raise FileNotFoundError(f"asl-validator is not in {HERE}: install it by `python -m infra.asl`")
    done = subprocess.run(
        node_command(HERE / "validate.cjs"), input=json.dumps(definitions), check=True, capture_output=True, text=True
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def machines_in(definition: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The definition and those inside its Map and Parallel states: (path, {"StartAt", "States"})."""
    yield name, definition
    for state, body in definition["States"].items():
        inside = [body[key] for key in ("ItemProcessor", "Iterator") if key in body] + list(body.get("Branches", ()))
        for each in inside:
            yield from machines_in(each, f"{name}/{state}")


def targets(state: Mapping[str, Any]) -> set[str]:
    """The states that may come after this one."""
    ways = [state, *state.get("Choices", ()), *state.get("Catch", ())]
    return {way["Next"] for way in ways if "Next" in way} | ({state["Default"]} if "Default" in state else set())


def dangling(definition: Mapping[str, Any]) -> list[str]:
    """Targets that are no state, and states that nothing leads to: a sentence each. No schema sees that."""
    found = []
    for name, machine in machines_in(definition):
        states = machine["States"]
        reached, ahead = set(), {machine["StartAt"]}
        while ahead:
            state = ahead.pop()
            if state not in states:
                found.append(f"{name}/{state}: something leads there, but there is no such state")
            elif state not in reached:
                reached.add(state)
                ahead |= targets(states[state])
        found += [f"{name}/{state}: nothing leads there" for state in states if state not in reached]
    return found
