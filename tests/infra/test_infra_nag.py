"""cdk-nag's AwsSolutions pack: what it finds is mended, or accepted one by one with a reason, and no acceptance outlives its finding."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from infra.config.load import load


class Accepted(NamedTuple):
    path: str  # of the construct, without the stage
    rule: str
    reason: str


def without_stage(path: str) -> str:
    stages = "|".join(stage.capitalize() for stage in load())
    return re.sub(rf"^/?Mailloom({stages})", "", path)


def accepted(made) -> Iterator[Accepted]:
    for file in sorted(made.folder.glob("*.metadata.json")):
        for path, entries in json.loads(file.read_text()).items():
            for entry in entries:
                if entry["type"] == "aws:cdk:acknowledged-rules":
                    for rule, reason in entry["data"].items():
                        if rule.startswith("AwsSolutions"):
                            yield Accepted(without_stage(path), rule, reason)


def test_nothing_is_found_that_was_not_accepted(made):
    found = [
        f"{one['ruleName']} at {construct['constructPath']}: {one['description']}"
        for one in made.findings["violations"]
        for construct in one["violatingConstructs"]
    ]
    assert not found, "\n".join(found)


def test_the_pack_ran_over_all_stages(made):
    """Nothing found would also be true of checks that never ran."""
    seen = {
        construct["constructPath"].partition("/")[0]
        for one in made.findings["suppressedViolations"]
        for construct in one["violatingConstructs"]
    }
    assert {f"Mailloom{stage.capitalize()}Compute" for stage in load()} <= seen


def test_each_acceptance_still_meets_its_finding(made):
    met = {
        (without_stage(one["acknowledgedAt"]), one["acknowledgedId"]) for one in made.findings["suppressedViolations"]
    }
    stale = sorted({f"{one.path}: {one.rule}" for one in accepted(made) if (one.path, one.rule) not in met})
    assert met
    assert not stale, "accepted, and no longer found in any stage:\n" + "\n".join(stale)


def test_each_acceptance_is_of_one_part_and_has_a_reason(made):
    every = list(accepted(made))
    assert len(every) > 5
    assert [one for one in every if "/" not in one.path] == []  # of a whole stack
    assert [one for one in every if len(one.reason.split()) < 4] == []


def test_no_blanket_is_thrown_over_the_app(made):
    assert "aws:cdk:acknowledged-rules" not in (made.folder / "manifest.json").read_text()
