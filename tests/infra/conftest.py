"""One synth for all tests of infra/: a stage takes 7 to 18 s and 600 MB."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.node import use_node

use_node()  # before any test file imports aws_cdk
if (
    importlib.util.find_spec("aws_cdk") is None
):  # without the extra there is nothing to look at; `make infra` then finds no test, and fails
    collect_ignore_glob = ["test_*.py"]
ROOT = Path(__file__).resolve().parents[2]
STAGES = ("dev", "staging", "prod")


class Resource(NamedTuple):
    """One resource of a template, with the stack it is in."""

    stack: str  # network, landing, state, stores, compute, history, watch
    id: str
    kind: str
    body: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        return self.body.get("Properties", {})


class Made(NamedTuple):
    """What all stages came to: templates by stage and stack, and where they lie."""

    folder: Path
    templates: Mapping[str, Mapping[str, Mapping[str, Any]]]
    findings: Mapping[str, Any] = {}  # cdk-nag's part of validation-report.json

    def all(self, stage: str, kind: str = "") -> list[Resource]:
        """The resources of a stage, of a type of CloudFormation or of all."""
        return [
            Resource(stack, name, body["Type"], body)
            for stack, template in self.templates[stage].items()
            for name, body in template.get("Resources", {}).items()
            if kind in {"", body["Type"]}
        ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("infra")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """All stages, synthesized once."""
    import json

    from infra import nag
    from infra.app import build
    from infra.config.load import load

    folder = tmp_path_factory.mktemp("infra")
    code = folder / "code.zip"
    with zipfile.ZipFile(code, "w") as file:  # the real one is 47 MB, and tests/e2e/test_packaging.py has it
        file.writestr("mailloom/run/aws_lambda.py", "")
    app, wholes = build(load().values(), code, folder / "out")
    nag.check(app)
    failed = None
    try:
        app.synth()
    except RuntimeError as error:  # of the checks: the templates are there all the same
        failed = error
    report = folder / "out" / "validation-report.json"
    if not report.exists():
        raise failed or RuntimeError("the synth made no validation-report.json")
    reports = {one["pluginName"]: one for one in json.loads(report.read_text())["pluginReports"]}
    findings = reports.pop(nag.PACK)  # they have a test of their own; all else stops here
    if failed is not None and (not findings["violations"] or any(one["violations"] for one in reports.values())):
        raise failed
    templates = {
        stage: {
            part: json.loads((folder / "out" / f"{stack.artifact_id}.template.json").read_text())
            for part, stack in whole.stacks.items()
        }
        for stage, whole in wholes.items()
    }
    return Made(folder / "out", templates, findings)
