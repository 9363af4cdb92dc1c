"""Lambda's handlers on a whole profile: as functions called here, and run for real by an emulator's Lambda."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mailloom.ports import Transient, UserError
from mailloom.run import aws_lambda
from mailloom.run.settler import Settler
from mailloom.stores.postgres.connection import Connections
from mailloom.thread import settle as settling
from whole import Whole, function, validator_lambda

pytestmark = pytest.mark.servers


def mail(n: int, answers: int | None = None) -> bytes:
    cites = f"In-Reply-To: <l{answers}@example.org>\r\n" if answers is not None else ""
    return (
        f"From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Tides {n}\r\nDate: Thu, 03 Oct 2024 10:{n:02}:00 +0000\r\n"
        f"Message-ID: <l{n}@example.org>\r\n{cites}\r\nThe tide tables of port {n} are ready.\r\n"
    ).encode()


class Context:
    """A Lambda's context whose time is over after so many questions."""

    aws_request_id = "call-1"

    def __init__(self, questions: int = 1000) -> None:
        self.left = questions

    def get_remaining_time_in_millis(self) -> int:
        self.left -= 1
        return 600_000 if self.left >= 0 else 59_000


@pytest.fixture
def environment(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> Iterator[Whole]:
    """The profile as a function finds it: by variables."""
    for name, value in whole.profile.environ.items():
        monkeypatch.setenv(name, value)
    aws_lambda.provide(lambda: aws_lambda.from_settings(dict(whole.profile.env())))
    yield whole
    if aws_lambda._servers.cache_info().currsize:
        aws_lambda._servers().close()
    aws_lambda.provide(lambda: aws_lambda.from_settings({}))


class FunctionFailedError(Exception):
    """A function ended with an error."""


def invoked(whole: Whole, name: str, event: Any) -> Any:
    answer = whole.profile.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    said = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise FunctionFailedError(said["errorMessage"])
    return said


# ------------------------------------------------------------------------------------------------ without a database
def test_the_validator_needs_no_postgresql(whole: Whole) -> None:
    """It rejects too, in the books and by a copy; so its function may be outside of the database's network."""
    whole.put({f"{n}.eml": mail(n) for n in range(4)} | {"note.txt": b"a note\n"})
    with validator_lambda(whole, MAILLOOM_DESK_POSTGRES="") as name:
        variables = whole.profile.client("lambda").get_function(FunctionName=name)["Configuration"]["Environment"]
        assert not any("postgresql" in value for value in variables["Variables"].values())
        until = time.monotonic() + 60
        want = {"received": 5, "stored": 0, "duplicate": 0, "rejected": 1, "pending": 4}
        while whole.books() != want and time.monotonic() < until:
            time.sleep(0.3)
    assert whole.books() == want
    (row,) = whole.servers.objects.rejected()
    assert row.reason.startswith("not mail")
    assert whole.servers.queue("work").depth()[0] == 4


def test_without_it_no_handler_but_those_that_commit_fails(environment: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILLOOM_DESK_POSTGRES")
    bare = {name: value for name, value in environment.profile.env().items() if name != "MAILLOOM_DESK_POSTGRES"}
    aws_lambda.provide(lambda: aws_lambda.from_settings(bare))
    environment.put({"1.eml": mail(1)})
    did = aws_lambda.manifest({"prefix": "raw/", "run": "r"}, Context())
    assert did["parts"] == 1
    assert aws_lambda.enqueue({"Key": "backfill/r/part-00000000.jsonl"})["queued"] == 1
    with pytest.raises(UserError, match="MAILLOOM_DESK_POSTGRES"):
        aws_lambda.settle({}, Context())


# ------------------------------------------------------------------------------------------------ a backfill
def test_a_backfill_by_real_functions_brings_all_to_the_archive(whole: Whole) -> None:
    name, client = whole.profile.name, whole.profile.client("s3")
    for n in range(12):
        client.put_object(Bucket=name, Key=f"old/{n:02}.eml", Body=mail(n))
    client.put_object(Bucket=name, Key="old/note.txt", Body=b"a note\n")
    with function(whole, "manifest") as manifest, function(whole, "enqueue") as enqueue:
        event = {"bucket": name, "prefix": "old/", "run": "first", "batch": 5}
        answer = invoked(whole, manifest, event)
        assert (answer["done"], answer["parts"], answer["objects"]) == (True, 3, 13)
        listed = client.list_objects_v2(Bucket=answer["manifest"]["bucket"], Prefix=answer["manifest"]["prefix"])
        counts = [invoked(whole, enqueue, {"bucket": name, "Key": one["Key"]}) for one in listed["Contents"]]
        assert [sum(one[what] for one in counts) for what in ("listed", "queued", "rejected")] == [13, 12, 1]
        whole.start("work", "work", "--drain")
        assert whole.wait(13)["stored"] == 12
        again = [invoked(whole, enqueue, {"bucket": name, "Key": one["Key"]}) for one in listed["Contents"]]
        assert sum(one["finished"] for one in again) == 13
        with pytest.raises(FunctionFailedError, match="no part old/none of a manifest"):
            invoked(whole, enqueue, {"bucket": name, "Key": "old/none"})


def machine(manifest: str, enqueue: str) -> dict[str, Any]:
    """List until it is done, then each part by itself: the shape that the manual tells."""
    here = "arn:aws:lambda:eu-central-1:000000000000:function:"
    part = {"bucket.$": "$.manifest.bucket", "Key.$": "$$.Map.Item.Value.Key"}
    task = {"Type": "Task", "Resource": here + enqueue, "End": True}
    return {
        "StartAt": "List",
        "States": {
            "List": {"Type": "Task", "Resource": here + manifest, "Next": "Listed"},
            "Listed": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.done", "BooleanEquals": True, "Next": "Enqueue"}],
                "Default": "List",
            },
            "Enqueue": {
                "Type": "Map",
                "ItemReader": {
                    "Resource": "arn:aws:states:::s3:listObjectsV2",
                    "Parameters": {"Bucket.$": "$.manifest.bucket", "Prefix.$": "$.manifest.prefix"},
                },
                "ItemSelector": part,
                "MaxConcurrency": 2,
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Part",
                    "States": {"Part": task},
                },
                "End": True,
            },
        },
    }


def test_a_state_machine_lists_and_enqueues(whole: Whole) -> None:
    name, client = whole.profile.name, whole.profile.client("stepfunctions")
    for n in range(7):
        whole.profile.client("s3").put_object(Bucket=name, Key=f"old/{n}.eml", Body=mail(n))
    with function(whole, "manifest") as manifest, function(whole, "enqueue") as enqueue:
        made = client.create_state_machine(
            name=name,
            definition=json.dumps(machine(manifest, enqueue)),
            roleArn="arn:aws:iam::000000000000:role/machine",
        )["stateMachineArn"]
        asked = json.dumps({"bucket": name, "prefix": "old/", "run": "nightly", "batch": 3})
        started = client.start_execution(stateMachineArn=made, input=asked)["executionArn"]
        until = time.monotonic() + 60
        while (done := client.describe_execution(executionArn=started))["status"] == "RUNNING":
            assert time.monotonic() < until, done
            time.sleep(0.3)
        client.delete_state_machine(stateMachineArn=made)
    assert done["status"] == "SUCCEEDED", done
    assert whole.books()["pending"] == 7
    assert whole.servers.queue("work").depth()[0] == 7


# ------------------------------------------------------------------------------------------------ upkeep
def test_a_migration_tells_what_it_did_and_fails_aloud(whole: Whole, postgres_url: str) -> None:
    connections = Connections(postgres_url)
    with connections.take() as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    connections.close()
    with function(whole, "migrate") as name:
        did = invoked(whole, name, {"phase": "before"})["done"]
        assert any(line.startswith("PostgreSQL: ") for line in did)
        assert invoked(whole, name, {}) == {"done": []}
        assert invoked(whole, name, {"phase": "after"}) == {"done": []}
        with pytest.raises(FunctionFailedError, match="no phase 'later'"):
            invoked(whole, name, {"phase": "later"})
    with (
        function(whole, "migrate", MAILLOOM_DESK_POSTGRES=postgres_url + "_not_there") as name,
        pytest.raises(FunctionFailedError, match="check user, password and database"),
    ):
        invoked(whole, name, {"phase": "before"})


def marked(whole: Whole) -> int:
    return len(whole.servers.threads.dirty(1000))


def test_settle_stops_in_time_and_goes_on(environment: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.put({f"{n}.eml": mail(n) for n in range(6)})
    environment.run("validate", "--drain")
    environment.run("work", "--drain")
    threads = environment.servers.threads
    every = [one.id for one in environment.servers.reader.whole.listed()]
    threads.mark(every)
    monkeypatch.setattr("mailloom.run.aws_lambda.Settler", lambda threads, every: Settler(threads, every, limit=2))
    assert marked(environment) == 6
    first = aws_lambda.settle({}, Context(1))
    assert first["done"] is False
    assert first["looked"] >= 2
    assert marked(environment) == 4
    assert aws_lambda.settle({}, Context(0)) == {"done": False, "looked": 0, "changed": 0}
    assert aws_lambda.settle({}, Context())["done"] is True
    assert marked(environment) == 0
    assert aws_lambda.settle({}, Context()) == {"done": True, "looked": 0, "changed": 0}


def test_settle_that_is_overtaken_is_not_done_and_one_without_a_store_fails(
    environment: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailloom.ports import Fenced

    def raising(error: Exception) -> Any:
        def settle(*_: Any, **__: Any) -> Any:
            raise error

        return settle

    monkeypatch.setattr("mailloom.run.settler.settle", raising(Fenced("another")))
    assert aws_lambda.settle({}, Context()) == {"done": False, "looked": 0, "changed": 0}
    monkeypatch.setattr("mailloom.run.settler.settle", raising(Transient("PostgreSQL is away")))
    with pytest.raises(Transient, match="PostgreSQL is away"):
        aws_lambda.settle({}, Context())
    monkeypatch.setattr("mailloom.run.settler.settle", settling.settle)
    assert aws_lambda.settle({}, Context())["done"] is True


def test_a_real_function_settles(whole: Whole) -> None:
    whole.put({f"{n}.eml": mail(n, answers=n - 1 if n else None) for n in range(3)})
    whole.run("validate", "--drain")
    whole.run("work", "--drain")
    whole.servers.threads.mark([one.id for one in whole.servers.reader.whole.listed()])
    with function(whole, "settle") as name:
        assert invoked(whole, name, {})["done"] is True
    assert marked(whole) == 0
    whole.run("doctor")
