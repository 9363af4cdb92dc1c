"""All stages are there, whole: an app that came to little or nothing would pass every other test of this folder."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import infra
from infra.config.stages import Stage
from infra.config.typed import keys

FLOORS = {"network": 40, "landing": 14, "state": 6, "stores": 30, "compute": 50, "history": 20, "watch": 30}
"""Resources that each stack has at least."""
HERE = Path(infra.__file__).parent
SOURCES = [file.relative_to(HERE) for file in sorted(HERE.rglob("*.py")) if "node_modules" not in file.parts]


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
    files = [HERE / file for file in SOURCES if file.parts[0] != "config"]
    read = {
        node.attr
        for file in files
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute)
    }
    assert len(files) > 30
    assert sorted(key for key in keys(Stage) if not set(key.split(".")) <= read) == [
        "network.peers"
    ]  # for a rule alone


def imported(file: Path) -> set[str]:
    """What a module of infra/ imports, as `json`, `infra.nag`, `infra.watch.alarm`; names from it are not told from modules in it."""
    found = set()
    for node in ast.walk(ast.parse((HERE / file).read_bytes())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, file
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def test_rooms_look_at_what_all_share_and_into_no_other_room():
    """What one stack needs of another is handed over by app.py, as a value of parts.py."""
    rooms = {file.parts[0].removesuffix(".py") for file in SOURCES} & {*FLOORS, "config"}
    assert rooms == {*FLOORS, "config"}
    shared = {"parts", "keep", "log_groups", "nag", "config"}
    seen = 0
    for file in SOURCES:
        room = file.parts[0].removesuffix(".py")
        if room in rooms | shared:
            looked_at = {name.split(".")[1] for name in imported(file) if name.startswith("infra.")}
            assert looked_at <= {room} | (set() if room == "config" else shared), file
            assert room != "config" or "aws_cdk" not in {name.split(".")[0] for name in imported(file)}, file
            seen += len(looked_at)
    assert seen > 60


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
