"""All stages are there, whole: an app that came to little or nothing would pass every other test of this folder."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import infra
from infra.stages import Stage
from infra.typed import keys

FLOORS = {"network": 40, "landing": 14, "state": 6, "stores": 30, "compute": 50, "history": 20, "watch": 30}
"""Resources that each stack has at least."""


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_each_stage_has_its_stacks_and_resources(made, stage):
    assert set(made.templates[stage]) == FLOORS.keys()
    counted = {part: len(template["Resources"]) for part, template in made.templates[stage].items()}
    assert {part for part, least in FLOORS.items() if counted[part] < least} == set(), counted
    assert len(made.all(stage, "AWS::DynamoDB::Table")) == 3


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_no_stack_is_too_large_for_cloudformation(made, stage):
    """500 resources and 1 MB a template ("AWS CloudFormation quotas")."""
    for part, template in made.templates[stage].items():
        assert len(template["Resources"]) <= 400, part
    sizes = [file.stat().st_size for file in made.folder.glob("*.template.json")]
    assert len(sizes) == 21
    assert max(sizes) < 800_000


def test_each_setting_is_used_by_a_stack():
    """A setting that nothing reads would be believed all the same."""
    folder = Path(infra.__file__).parent
    checks = {"stages.py", "rules.py", "typed.py", "addresses.py"}
    files = [file for file in folder.glob("*.py") if file.name not in checks]
    read = {
        node.attr
        for file in files
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute)
    }
    assert len(files) > 10
    assert sorted(key for key in keys(Stage) if not set(key.split(".")) <= read) == [
        "network.peers"
    ]  # for a rule alone


def test_what_is_left_out_can_be_let_go_by_who_uses_it(made):
    """CloudFormation deletes no export that is in use. So a stack that no longer wants something must find all else it asks for in what is
    deployed: `dev` has no readers, no exports of tables and fewer zones than `prod`.
    """
    exported = {
        output["Export"]["Name"].replace("MailloomProd", "MailloomDev")
        for template in made.templates["prod"].values()
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }
    less = {
        stack: set(re.findall(r'"Fn::ImportValue": "([^"]+)"', json.dumps(made.templates["dev"][stack])))
        for stack in ("compute", "history", "watch")
    }
    more = set(re.findall(r'"Fn::ImportValue": "([^"]+)"', json.dumps(made.templates["prod"]["compute"])))
    assert all(len(asked) > 5 for asked in less.values())
    assert any("ProxyReaders" in name for name in more)
    assert sorted(name for asked in less.values() for name in asked - exported) == []
