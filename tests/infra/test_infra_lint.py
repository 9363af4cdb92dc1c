"""cfn-lint finds nothing in any template. What it can't see (targets of states, sizes of buffers, names of engines) has tests of its own."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path

import pytest

from infra.config.load import load

CFN_LINT = Path(sysconfig.get_path("scripts")) / "cfn-lint"
LEFT = {
    "W3005": "the CDK says what depends on what for policies of a role too, where a reference says it already: no harm",
}
"""Rules whose findings are left, and why."""


def findings(region: str, *templates: Path) -> list[dict]:
    command = [CFN_LINT, "--format", "json", "--regions", region, "--", *map(str, templates)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout.startswith("["), done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def found(made) -> dict[str, list[dict]]:
    """What is found in each stage."""
    stages = {}
    for stage, values in load().items():
        templates = sorted(made.folder.glob(f"Mailloom{stage.capitalize()}*.template.json"))
        assert len(templates) == 7
        stages[stage] = findings(values.region, *templates)
    return stages


@pytest.mark.parametrize("stage", ["dev", "staging", "prod"])
def test_cfn_lint_finds_nothing(found, stage):
    bad = [
        f"{one['Rule']['Id']} {Path(one['Filename']).name} {'/'.join(map(str, one['Location']['Path'] or []))}: {one['Message']}"
        for one in found[stage]
        if one["Rule"]["Id"] not in LEFT
    ]
    assert not bad, "\n".join(bad)


def test_it_finds_what_is_wrong(tmp_path):
    template = {"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": "long"}}}}
    (tmp_path / "wrong.template.json").write_text(json.dumps(template))
    assert {one["Rule"]["Id"] for one in findings("us-east-1", tmp_path / "wrong.template.json")} == {"E3012"}


def test_what_is_left_is_still_found(found):
    assert {one["Rule"]["Id"] for stage in found.values() for one in stage} == LEFT.keys()
