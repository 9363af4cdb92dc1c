"""Arrangements that no stage has by itself: workers as Lambda functions, and an upgrade on its way."""

from __future__ import annotations

import json
import zipfile

import pytest
from values import Values

OLD, NEW = "1.0.0", "1.1.0"
WORKERS = {"arrangement": "lambda", "function_seconds": 120}
TABLES = {
    "lambda": {"workers": WORKERS, "landing": {"work_seconds": 720}},
    "shadow": {"release": {"kind": "upgrade", "phase": "shadow", "image": OLD, "next_image": NEW}},
    "one": {"release": {"kind": "upgrade", "phase": "1%", "image": OLD, "next_image": NEW}},
    "all": {"release": {"kind": "upgrade", "phase": "all", "image": OLD, "next_image": NEW}},
    "trial": {"release": {"phase": "shadow", "image": OLD}},
    "prefix": {"history": {"way": "prefix"}},
    "enqueue": {"history": {"way": "enqueue"}},
}


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    """Name -> templates by stack."""
    from infra.node import use_node

    use_node()
    from infra.app import build
    from infra.config.load import read

    folder = tmp_path_factory.mktemp("variants")
    code = folder / "code.zip"
    with zipfile.ZipFile(code, "w") as file:
        file.writestr("mailloom/run/aws_lambda.py", "")
    app, wholes = build([read(name, table) for name, table in TABLES.items()], code, folder / "out")
    app.synth()
    return {
        name: {
            part: json.loads((folder / "out" / f"{stack.artifact_id}.template.json").read_text())
            for part, stack in whole.stacks.items()
        }
        for name, whole in wholes.items()
    }


def of(templates, kind):
    return [body for body in templates["compute"]["Resources"].values() if body["Type"] == kind]


def services(templates):
    """Name -> (service, the tag it runs)."""
    values = Values(templates)
    found = {}
    for service in of(templates, "AWS::ECS::Service"):
        task = values.resource(service["Properties"]["TaskDefinition"])["Properties"]
        image = values.text(task["ContainerDefinitions"][0]["Image"])
        found[task["Family"].rpartition("-")[2]] = (service["Properties"], image.rpartition(":")[2])
    return found


def validator(templates):
    (found,) = [
        body["Properties"]["Environment"]["Variables"]
        for body in of(templates, "AWS::Lambda::Function")
        if body["Properties"]["Handler"].endswith(".validate")
    ]
    return {name.removeprefix("MAILLOOM_ROLLOUT_"): value for name, value in found.items() if "ROLLOUT" in name}


def test_lambda_workers_take_pointers_in_batches_and_tell_failures(variants):
    templates = variants["lambda"]
    values = Values(templates)
    (mapping,) = [
        one["Properties"]
        for one in of(templates, "AWS::Lambda::EventSourceMapping")
        if values.place(one["Properties"]["EventSourceArn"]).id.startswith("Work")
    ]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    assert mapping["MaximumBatchingWindowInSeconds"] >= 1
    (function,) = [
        body["Properties"]
        for body in of(templates, "AWS::Lambda::Function")
        if body["Properties"]["Handler"].endswith(".work")
    ]
    queue = values.resource(mapping["EventSourceArn"])["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]


def test_lambda_workers_leave_large_mail_to_tasks(variants):
    """A mail of 150 MB takes several times that; and a batch of them more than a function has."""
    assert set(services(variants["lambda"])) == {"large", "settle", "next", "shadow"}
    assert len(of(variants["lambda"], "AWS::CodeDeploy::DeploymentGroup")) == 2  # new versions of both by a canary


@pytest.mark.parametrize(
    ("name", "accept", "share", "shadow"),
    [("shadow", "1", "0", "0.05"), ("one", "1", "0.01", "0.05"), ("all", "1", "0", "0"), ("trial", "0", "0", "1")],
)
def test_the_validator_is_told_the_shares(variants, name, accept, share, shadow):
    assert validator(variants[name]) == {"ACCEPT": accept, "NEXT": share, "SHADOW": shadow}


@pytest.mark.parametrize(
    ("name", "images"),
    [("shadow", (OLD, OLD, NEW)), ("one", (OLD, NEW, NEW)), ("all", (NEW, NEW, NEW)), ("trial", (OLD, OLD, OLD))],
)
def test_images_follow_the_phase(variants, name, images):
    found = services(variants[name])
    assert tuple(found[service][1] for service in ("work", "next", "shadow")) == images


@pytest.mark.parametrize(
    ("name", "phases"),
    [("shadow", ["before"]), ("one", ["before"]), ("all", ["before"]), ("lambda", ["after", "before"])],
)
def test_what_an_older_version_needs_stays_until_none_may_come_back(variants, name, phases):
    found = [one["Properties"]["phase"] for one in of(variants[name], "Custom::MailloomMigration")]
    assert sorted(found) == phases


def test_each_queue_of_tasks_is_finished_whatever_the_phase(variants):
    """A step back leaves mail in `next`: it must not wait for the next upgrade."""
    for name, templates in variants.items():
        targets = of(templates, "AWS::ApplicationAutoScaling::ScalableTarget")
        assert len(targets) == (3 if name == "lambda" else 4)
        assert all(one["Properties"]["MaxCapacity"] >= 1 for one in targets)


def test_the_way_of_a_backfill_can_be_changed_where_one_is_deployed(variants):
    """Compute is deployed before History: an output that goes while History of before imports it would stop it, and so would one that is not there yet."""

    def imported(value):
        if isinstance(value, dict):
            if "Fn::ImportValue" in value:
                yield value["Fn::ImportValue"].partition(":")[2]
            for one in value.values():
                yield from imported(one)
        elif isinstance(value, list):
            for one in value:
                yield from imported(one)

    told = {}
    for name in ("prefix", "enqueue"):
        exports = {
            one["Export"]["Name"].partition(":")[2]
            for one in variants[name]["compute"]["Outputs"].values()
            if "Export" in one
        }
        told[name] = (exports, {one for one in imported(variants[name]["history"]) if "Live" in one})
    assert told["prefix"][1] != told["enqueue"][1]
    for exports, _ in told.values():
        for _, wanted in told.values():
            assert wanted
            assert wanted <= exports
