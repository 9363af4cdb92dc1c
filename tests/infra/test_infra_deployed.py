"""A stage in the emulator: its templates deployed by CloudFormation, its functions run from the real zip, PostgreSQL, Valkey and OpenSearch beside it.

What the emulator can't do is listed with its own words, and tried: a type that it has learned must go from the list. It ignores who may do what, networks, and
TTL, and has no containers: a task is taken for running until somebody stops it, which is what `Place.play` does after it did the task's work.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from emulator import MATHS, Emulator, Failed, kind_of, only, without
from psycopg import sql

from servers import FOLDER, Own

pytestmark = pytest.mark.servers

ROOT = Path(__file__).resolve().parents[2]
ARCH = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
UNKNOWN = "Unrecognized resource types"
CANT = {
    "AWS::ApplicationAutoScaling::ScalableTarget": UNKNOWN,
    "AWS::ApplicationAutoScaling::ScalingPolicy": UNKNOWN,
    "AWS::Athena::NamedQuery": UNKNOWN,
    "AWS::Budgets::Budget": UNKNOWN,
    MATHS: "metric math) is not supported",
    "AWS::CloudWatch::CompositeAlarm": UNKNOWN,
    "AWS::CodeDeploy::Application": UNKNOWN,
    "AWS::CodeDeploy::DeploymentGroup": UNKNOWN,
    "AWS::EC2::FlowLog": UNKNOWN,
    "AWS::EC2::SecurityGroupEgress": UNKNOWN,
    "AWS::EC2::SecurityGroupIngress": UNKNOWN,
    "AWS::ECS::ClusterCapacityProviderAssociations": UNKNOWN,
    "AWS::EMRServerless::Application": UNKNOWN,
    "AWS::ElastiCache::ServerlessCache": UNKNOWN,
    "AWS::RDS::DBCluster": "MasterUserSecret.SecretArn does not exist",
    "AWS::RDS::DBProxy": UNKNOWN,
    "AWS::RDS::DBProxyTargetGroup": UNKNOWN,
}
"""What the emulator can't do, with its words."""
NEEDS = {"AWS::RDS::DBInstance": "AWS::RDS::DBCluster"}
"""What it can do, but not without what it can't."""


def mail(n: int, subject: str = "Tides") -> bytes:
    return (
        f"From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: {subject} {n}\r\nDate: Thu, 03 Oct 2024 10:{n % 60:02}:00 +0000\r\n"
        f"Message-ID: <{subject.lower()}{n}@example.org>\r\n\r\nThe tables of port {n} are ready.\r\n"
    ).encode()


@dataclass
class Place:
    """A deployed stage."""

    aws: Emulator
    templates: dict[str, dict[str, Any]]  # by stack, as they are for AWS
    names: dict[str, str]  # of stacks
    stage: str
    dsn: str

    @cached_property
    def ids(self) -> dict[str, dict[str, str]]:
        """Stack -> logical -> physical ids."""
        return {stack: self.aws.resources(name) for stack, name in self.names.items()}

    def one(self, stack: str, kind: str, begins: str = "") -> str:
        """The physical id of the one resource of a type whose name begins so."""
        (found,) = [
            self.ids[stack][name]
            for name, body in self.templates[stack]["Resources"].items()
            if body["Type"] == kind and name.startswith(begins) and name in self.ids[stack]
        ]
        return found

    @cached_property
    def bucket(self) -> str:
        return self.one("landing", "AWS::S3::Bucket", "Raw")

    def put(self, key: str, raw: bytes) -> None:
        self.aws.client("s3").put_object(Bucket=self.bucket, Key=key, Body=raw)

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """The bucket tells of nothing that comes in now."""
        s3 = self.aws.client("s3")
        told = s3.get_bucket_notification_configuration(Bucket=self.bucket)
        told.pop("ResponseMetadata")
        s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration={})
        yield
        s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=told)

    # -------------------------------------------------------------------------------------------- what came of it
    @cached_property
    def servers(self) -> Any:
        """The product on what the deployed validator has been told."""
        from mailloom.config import load
        from mailloom.wire.profile import open_servers

        name = self.one("compute", "AWS::Lambda::Function", "Prefix")
        function = self.aws.client("lambda").get_function_configuration(FunctionName=name)
        environ = {**function["Environment"]["Variables"], **KEYS}
        return open_servers(load("aws", None, environ).settings, environ)

    def books(self) -> dict[str, int]:
        names = ("received", "stored", "duplicate", "rejected", "pending")
        found = self.servers.objects.books().values()
        return {name: sum(getattr(one, name) for one in found) for name in names}

    # -------------------------------------------------------------------------------------------- machines
    def run(self, machine: str, given: object) -> dict[str, Any]:
        """Run a machine to its end; what describe_execution says."""
        states = self.aws.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]
        return self.ended(arn)

    def ended(self, execution: str) -> dict[str, Any]:
        states = self.aws.client("stepfunctions")
        until(lambda: states.describe_execution(executionArn=execution)["status"] != "RUNNING")
        return dict(states.describe_execution(executionArn=execution))

    def play(self, done: Collection[str]) -> tuple[str, list[str]]:
        """Be Fargate: wait for a task that no service asked for and that isn't `done`, run its container's command with the environment of its definition, and
        stop it. -> its ARN and command.
        """
        ecs, cluster = self.aws.client("ecs"), self.one("compute", "AWS::ECS::Cluster")

        def asked() -> list[dict[str, Any]]:
            arns = ecs.list_tasks(cluster=cluster)["taskArns"]
            tasks = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
            return [one for one in tasks if not one["group"].startswith("service:") and one["taskArn"] not in done]

        until(asked)
        task = asked()[0]
        (override,) = task["overrides"]["containerOverrides"]
        defined = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]
        (container,) = [each for each in defined["containerDefinitions"] if each["name"] == override["name"]]
        told = {each["name"]: each["value"] for each in container["environment"]}
        command = [sys.executable, "-m", "mailloom", *override["command"]]
        ran = subprocess.run(command, env={**os.environ, **told, **KEYS}, check=False, capture_output=True, text=True)
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        ecs.stop_task(cluster=cluster, task=task["taskArn"])
        return task["taskArn"], override["command"]

    def partitions(self) -> list[str]:
        """The months of the table of messages."""
        sql = "select inhrelid::regclass::text from pg_inherits where inhparent = 'messages'::regclass"
        with psycopg.connect(self.dsn) as connection:
            return sorted(name for (name,) in connection.execute(sql) if name[-1].isdigit())


def until(asked: Callable[[], Any], patience: float = 120) -> None:
    """Wait for it to be so."""
    end = time.monotonic() + patience
    while not (found := asked()):
        assert time.monotonic() < end, f"still {found!r}"
        time.sleep(0.3)


# ------------------------------------------------------------------------------------------------ deployed once
@pytest.fixture(scope="module")
def beside(server) -> Iterator[dict[str, str]]:
    """The settings of real servers for what the emulator has not: a new database, an own part of the others."""
    main, name = server("postgres"), "t" + secrets.token_hex(5)
    with psycopg.connect(main, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    with redis.Redis.from_url(server("valkey")) as counter:
        number = 1 + int(counter.incr("tests")) % 4095
    with redis.Redis.from_url(f"{server('valkey')}/{number}") as client:
        client.flushdb()
    dsn = main.removesuffix("postgres") + name
    yield {
        "MAILLOOM_POSTGRES_DSN": dsn,
        "MAILLOOM_POSTGRES_READER_DSN": dsn,
        "MAILLOOM_POSTGRES_PASSWORD": "",
        "MAILLOOM_POSTGRES_YEARS_BACK": "1",
        "MAILLOOM_VALKEY_URL": f"{server('valkey')}/{number}",
        "MAILLOOM_VALKEY_CLUSTER": "false",
        "MAILLOOM_OPENSEARCH_URL": server("opensearch"),
        "MAILLOOM_OPENSEARCH_SIGNED": "false",
        "MAILLOOM_OPENSEARCH_PREFIX": name,
    }
    with psycopg.connect(main, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def emulator(server_missing) -> Iterator[Emulator]:
    """An emulator of this module's own: it is an account with nothing in it."""
    from services import stack
    from services.fetch import Unavailable

    folder = Path(os.environ[FOLDER]) / f"deployed-{os.getpid()}"
    try:
        own = Own("aws", folder)
    except Unavailable as error:
        server_missing(str(error))
    made = Emulator(own.url, "us-east-1")
    made.bootstrap()
    yield made
    made.close()
    stack.stop(folder=folder)


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory) -> tuple[Path, str, dict[str, Any], dict[str, str]]:
    """A stage like `dev`, with workers that are functions: folder, stage, templates and artifacts by stack. Its zip is for this machine."""
    from infra.node import use_node

    use_node()
    from infra.app import build
    from infra.config.load import read
    from infra.history import backfill

    folder = tmp_path_factory.mktemp("deployed")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [sys.executable, ROOT / "packaging/lambda_zip.py", "--arch", ARCH, "--python", version, "--out", folder]
    subprocess.run(command, check=True, capture_output=True)
    (real,) = folder.glob("*.zip")
    # A worker of the emulator unpacks its code anew, 123 MB: what Mailloom needs is unpacked once, beside, and its own modules are what is deployed.
    code = folder / "own.zip"
    with zipfile.ZipFile(real) as whole, zipfile.ZipFile(code, "w") as own:
        whole.extractall(folder / "zip")
        for name in whole.namelist():
            if name.startswith("mailloom/"):
                own.writestr(name, whole.read(name))
    shutil.rmtree(folder / "zip" / "mailloom")
    stage, settings = (
        "t" + secrets.token_hex(4),
        {"workers": {"arrangement": "lambda"}, "landing": {"work_seconds": 720}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backfill, "PART", 5)  # so that a little mail makes many parts
        app, wholes = build([read(stage, settings)], code, folder / "out")
        app.synth()
    artifacts = {part: stack.artifact_id for part, stack in wholes[stage].stacks.items()}
    templates = {part: json.loads((folder / "out" / f"{a}.template.json").read_text()) for part, a in artifacts.items()}
    return folder / "out", stage, templates, artifacts


@pytest.fixture(scope="module")
def place(emulator, synthesized, beside) -> Iterator[Place]:
    """All stacks of it, deployed in the order in which they need each other."""
    folder, stage, templates, artifacts = synthesized
    told = {**beside, "MAILLOOM_AWS_ENDPOINT_URL": emulator.endpoint}
    for part, template in templates.items():
        emulator.publish(folder, artifacts[part])
        emulator.deploy(artifacts[part], retold(without(template, {*CANT, *NEEDS}), told, folder.parent / "zip"))
    keys = pytest.MonkeyPatch()
    for name, value in KEYS.items():
        keys.setenv(name, value)
    made = Place(emulator, templates, artifacts, stage, beside["MAILLOOM_POSTGRES_DSN"])
    yield made
    if "servers" in made.__dict__:
        made.servers.close()
    keys.undo()


def retold(template: dict[str, Any], told: dict[str, str], packages: Path) -> dict[str, Any]:
    """The template with functions and tasks of ours told of other stores, functions of where their packages are."""
    for body in template["Resources"].values():
        if body["Type"] == "AWS::Lambda::Function":
            variables = body["Properties"].get("Environment", {}).get("Variables", {})
            if "MAILLOOM_PROFILE" in variables:
                variables.update(told, PYTHONPATH=str(packages))
        if body["Type"] == "AWS::ECS::TaskDefinition":
            for container in body["Properties"]["ContainerDefinitions"]:
                kept = [each for each in container.get("Environment", ()) if each["Name"] not in told]
                if any(each["Name"] == "MAILLOOM_PROFILE" for each in kept):
                    container["Environment"] = kept + [{"Name": name, "Value": value} for name, value in told.items()]
    return template


# ------------------------------------------------------------------------------------------------ what it can't do
def test_all_is_deployed_but_what_the_emulator_cannot_do(place):
    wanted = Counter(kind_of(body) for template in place.templates.values() for body in template["Resources"].values())
    assert sum(wanted.values()) > 200
    left = Counter()
    for part, template in place.templates.items():
        for name, body in template["Resources"].items():
            if name not in place.ids[part]:
                left[kind_of(body)] += 1
    assert set(left) == {*CANT, *NEEDS}, "what isn't there is listed, and what is listed isn't there"
    assert sum(left.values()) < sum(wanted.values()) / 2


@pytest.mark.parametrize("kind", CANT)
def test_what_is_listed_still_does_not_work(emulator, synthesized, kind):
    _, _, templates, _ = synthesized
    (first, *_) = [t for t in templates.values() if kind in {kind_of(body) for body in t["Resources"].values()}]
    with pytest.raises(Failed, match=re.escape(CANT[kind])):
        emulator.deploy(f"only-{re.sub('[^A-Za-z]+', '-', kind)}", only(first, kind))


def test_what_is_left_out_with_something_else_needs_it():
    assert set(NEEDS.values()) <= set(CANT)


# ------------------------------------------------------------------------------------------------ mail
def test_a_mail_put_into_the_bucket_is_stored_by_what_was_deployed(place):
    before = place.books()
    place.put("raw/source=desk/1.eml", mail(1))
    place.put("raw/source=desk/note.txt", b"just a note\n")
    expected = {"received": 2, "stored": 1, "duplicate": 0, "rejected": 1, "pending": 0}
    until(lambda: {name: count - before[name] for name, count in place.books().items()} == expected)
    aside = place.aws.client("s3").list_objects_v2(Bucket=place.bucket, Prefix="quarantine/")["Contents"]
    assert [each["Key"] for each in aside if each["Key"].endswith("source=desk/note.txt")]


def test_a_backfill_lists_prefixes_and_enqueues_what_no_event_told_of(place):
    before = place.books()
    with place.deaf():
        for n in range(12):
            place.put(f"raw/source=old/date=2019-01-{n + 1:02}/{n}.eml", mail(n, "Old"))
        place.put("raw/source=old/date=2019-01-05/note.txt", b"just a note\n")
        for n in range(4):
            place.put(f"raw/source=older/{n}.eml", mail(n, "Older"))
    assert place.books() == before
    machine = place.one("history", "AWS::StepFunctions::StateMachine", "Backfill")
    ended = place.run(machine, {"prefixes": ["raw/source=old/", "raw/source=older/"]})
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    until(lambda: place.books()["pending"] == 0)
    after = place.books()
    assert {name: after[name] - before[name] for name in ("received", "stored", "rejected")} == {
        "received": 17,
        "stored": 16,
        "rejected": 1,
    }
    parts = place.aws.client("s3").list_objects_v2(Bucket=place.bucket, Prefix="backfill/")["Contents"]
    assert sorted(Counter(part["Key"].split("/")[1] for part in parts).values()) == [1, 3]
    runs = place.aws.client("stepfunctions").list_map_runs(executionArn=ended["executionArn"])["mapRuns"]
    assert len(runs) == 2

    again = place.run(machine, {"prefixes": ["raw/source=old/"]})
    assert again["status"] == "SUCCEEDED"
    assert place.books() == after, "twice is once"


def test_a_backfill_of_nothing_says_what_to_give_it(place):
    machine = place.one("history", "AWS::StepFunctions::StateMachine", "Backfill")
    for given in ({}, {"prefixes": []}, {"prefixes": [7]}):
        ended = place.run(machine, given)
        assert ended["status"] == "FAILED"
        assert "no prefixes" in ended["cause"]


def other(place: Place, name: str, definition: dict[str, Any]) -> str:
    """A machine beside the deployed ones."""
    made = place.aws.client("stepfunctions").create_state_machine(
        name=f"{place.stage}-{name}", definition=json.dumps(definition), roleArn="arn:aws:iam::000000000000:role/any"
    )
    return str(made["stateMachineArn"])


def test_parts_that_cannot_be_enqueued_are_letters_and_the_run_fails(place):
    """The deployed definition, with a function that isn't there."""
    states, sqs = place.aws.client("stepfunctions"), place.aws.client("sqs")
    machine = place.one("history", "AWS::StepFunctions::StateMachine", "Backfill")
    deployed = json.loads(states.describe_state_machine(stateMachineArn=machine)["definition"])
    part = deployed["States"]["Enqueue"]["ItemProcessor"]["States"]["Enqueue part"]
    part["Parameters"]["FunctionName"] = "arn:aws:lambda:us-east-1:000000000000:function:none"
    before = place.books()
    with place.deaf():
        for n in range(7):
            place.put(f"raw/source=lost/{n}.eml", mail(n, "Lost"))
    ended = place.run(other(place, "lost", deployed), {"prefixes": ["raw/source=lost/"]})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert place.books() == before
    queue = place.one("history", "AWS::SQS::Queue", "Letters")
    letters = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    bodies = [json.loads(letter["Body"]) for letter in letters]
    assert {body["bucket"] for body in bodies} == {place.bucket}
    assert sorted(body["Key"].rpartition("/")[2] for body in bodies) == ["part-00000000.jsonl", "part-00000001.jsonl"]
    assert all(body["error"]["Error"] for body in bodies)


def test_the_other_way_works_through_prefixes_without_workers(place):
    from infra.config.stages import History
    from infra.history import backfill

    states = place.aws.client("stepfunctions")
    name = place.one("compute", "AWS::Lambda::Function", "Prefix")
    function = place.aws.client("lambda").get_alias(FunctionName=name, Name="live")["AliasArn"]
    before = place.books()
    with place.deaf():
        for n in range(6):
            place.put(f"raw/source=small{n % 2}/{n}.eml", mail(n, "Small"))
    machine = other(place, "prefix", backfill.by_prefix(History(), place.bucket, {"prefix": function}))
    ended = place.run(machine, {"prefixes": ["raw/source=small0/", "raw/source=small1/"]})
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    assert place.books()["stored"] - before["stored"] == 6, "when it ends, all is stored"
    (run,) = states.list_map_runs(executionArn=ended["executionArn"])["mapRuns"]
    counts = states.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
    assert (counts["total"], counts["succeeded"]) == (2, 2)


# ------------------------------------------------------------------------------------------------ the clock
def test_schedules_fire_and_the_night_settles_and_looks(place):
    """They are told to be each minute, all else stays as deployed, so that nobody must wait for the night; the emulator looks every ten seconds."""
    scheduler, states = place.aws.client("scheduler"), place.aws.client("stepfunctions")
    group = f"mailloom-{place.stage}"
    machine = place.one("history", "AWS::StepFunctions::StateMachine", "Nightly")
    assert not states.list_executions(stateMachineArn=machine)["executions"]
    *rest, latest = place.partitions()
    with psycopg.connect(place.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop table {}").format(sql.Identifier(latest)))
    schedules = scheduler.list_schedules(GroupName=group)["Schedules"]
    assert len(schedules) == 3
    for each in schedules:
        known = scheduler.get_schedule(Name=each["Name"], GroupName=group)
        if known["Target"].get("Input") == '{"look":false}':  # the nights of settle alone: a chain at a time
            continue
        kept = {key: known[key] for key in ("Name", "GroupName", "FlexibleTimeWindow", "Target", "State")}
        scheduler.update_schedule(**kept, ScheduleExpression="rate(1 minute)")
    until(lambda: states.list_executions(stateMachineArn=machine)["executions"], 150)
    until(lambda: place.partitions() == [*rest, latest], 150)
    for each in schedules:
        scheduler.delete_schedule(Name=each["Name"], GroupName=group)
    night = states.list_executions(stateMachineArn=machine)["executions"][-1]["executionArn"]
    done = {}
    for _ in range(2):
        arn, command = place.play(done)
        done[arn] = command
    assert list(done.values()) == [["settle", "--json"], ["doctor", "--json"]]
    assert place.ended(night)["status"] == "SUCCEEDED"
