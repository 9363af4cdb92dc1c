"""The Lambda handlers: called as functions, and run for real by an event source of SQS."""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zipfile
from pathlib import Path

import pytest
from landing import Landing

from mailloom.archive import open_archive
from mailloom.ports import Parcel, Transient, UserError
from mailloom.run import arrivals, aws_lambda
from mailloom.run import prefix as prefixes
from mailloom.run.aws_lambda import Parts

pytestmark = pytest.mark.servers

HERE = Path(__file__).parent


def mail(n: int) -> bytes:
    return (
        f"From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Tides {n}\r\nDate: Thu, 03 Oct 2024 10:{n % 60:02}:00 +0000\r\n"
        f"Message-ID: <m{n}@example.org>\r\n\r\nThe tide tables of port {n} are ready.\r\n"
    ).encode()


@pytest.fixture
def landing(aws_url, prefix, tmp_path) -> Landing:
    return Landing(aws_url, prefix, tmp_path / "landing").make()


@pytest.fixture
def shed(landing):
    state = {"trouble": lambda rows: None, "made": 0, "most": 0}

    def trouble(rows):
        state["most"] = max(state["most"], len(rows))
        state["trouble"](rows)

    with landing.shed(trouble) as shed:

        def stores():
            state["made"] += 1
            return shed

        aws_lambda.provide(
            lambda: Parts(
                stores,
                landing.buckets(),
                landing.ledger,
                landing.ledger,
                landing.ledger,
                landing.queue("work"),
                large=landing.queue("large"),
                dead=landing.queue("dead"),
                prefixes=landing.queue("large"),
                keep=True,
            )
        )
        yield state


class Clock:
    """A Lambda's context whose time is over after so many questions."""

    def __init__(self, questions: int) -> None:
        self.left = questions

    def get_remaining_time_in_millis(self) -> int:
        self.left -= 1
        return 600_000 if self.left >= 0 else 59_000


def as_sqs(messages) -> dict:
    """Received messages as Lambda hands them over."""
    return {
        "Records": [
            {
                "messageId": m.id,
                "receiptHandle": m.receipt,
                "body": m.body,
                "attributes": {"ApproximateReceiveCount": str(m.attempts), "SentTimestamp": str(m.sent)},
                "messageAttributes": {n: {"stringValue": v, "dataType": "String"} for n, v in m.attributes.items()},
            }
            for m in messages
        ]
    }


def test_events_become_pointers_and_pointers_mail(landing, shed):
    for n in range(5):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.put("raw/none.txt", b"just a note\n")
    events = as_sqs(landing.queue("events").receive(10, 1))
    assert aws_lambda.validate(events) == {"batchItemFailures": []}
    assert landing.ledger.books() == {"pending": 5, "rejected": 1}
    pointers = as_sqs(landing.queue("work").receive(10, 1))
    assert shed["made"] == 0  # the validator makes no stores
    assert aws_lambda.work(pointers) == {"batchItemFailures": []}
    assert aws_lambda.work(pointers) == {"batchItemFailures": []}
    assert shed["made"] == 1
    assert landing.ledger.books() == {"stored": 5, "rejected": 1}


def test_s3_may_call_the_validator_itself(landing, shed):
    landing.put("raw/1.eml", mail(1))
    (message,) = landing.queue("events").receive(10, 1)
    aws_lambda.validate(json.loads(message.body))
    assert landing.queue("work").depth()[0] == 1


def test_only_the_mail_that_failed_comes_again(landing, shed):
    for n in range(8):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()

    def trouble(rows):
        if any(row.subject == "Tides 3" for row, _, _ in rows):
            raise ValueError("no")

    shed["trouble"] = trouble
    landing.queue("work").send([type("P", (), {"body": "nonsense", "attributes": {}})])
    messages = landing.queue("work").receive(10, 1)
    answer = aws_lambda.work(as_sqs(messages))
    (failed,) = answer["batchItemFailures"]
    (message,) = [m for m in messages if m.id == failed["itemIdentifier"]]
    assert json.loads(message.body)["key"] == "raw/3.eml"
    assert landing.ledger.books() == {"stored": 7, "pending": 1}
    assert landing.ledger.reasons()["raw/3.eml"].startswith("pending: ValueError at ")
    (dead,) = landing.queue("dead").receive(10, 1)
    assert dead.attributes["cause"] == "no pointer: JSONDecodeError"


def test_where_a_store_is_away_all_come_again(landing, shed, monkeypatch):
    from mailloom.flow.retry import Backoff

    for n in range(3):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    monkeypatch.setattr(
        arrivals.land, "__kwdefaults__", {**arrivals.land.__kwdefaults__, "backoff": Backoff(0.01, 0.01, 2)}
    )

    def trouble(rows):
        raise Transient("away")

    shed["trouble"] = trouble
    landing.queue("work").send([Parcel("no pointer")])
    messages = landing.queue("work").receive(10, 1)
    (none,) = (message.id for message in messages if message.body == "no pointer")
    failed = {one["itemIdentifier"] for one in aws_lambda.work(as_sqs(messages))["batchItemFailures"]}
    assert failed == {message.id for message in messages} - {none}, "a dead letter is none a second time"
    shed["trouble"] = lambda rows: None
    assert aws_lambda.work(as_sqs([m for m in messages if m.id in failed])) == {"batchItemFailures": []}
    assert landing.ledger.books() == {"stored": 3}


def test_a_call_that_fails_leaves_no_letter_behind(landing, shed):
    """What is no pointer comes again with all others then, as often as the owner has not mended it."""
    landing.put("raw/1.eml", mail(1))
    landing.validate()

    def trouble(rows):
        raise UserError("a table of a newer version")

    shed["trouble"] = trouble
    landing.queue("work").send([Parcel("no pointer")])
    messages = as_sqs(landing.queue("work").receive(10, 1))
    for _ in range(2):
        with pytest.raises(UserError, match="newer"):
            aws_lambda.work(messages)
    shed["trouble"] = lambda rows: None
    assert aws_lambda.work(messages) == {"batchItemFailures": []}
    assert [letter.body for letter in landing.queue("dead").receive(10, 1)] == ["no pointer"]


def test_a_call_has_some_of_its_mail_in_memory_and_says_what_it_had_no_time_for(landing, shed, monkeypatch):
    monkeypatch.setattr(aws_lambda, "PORTION_BYTES", 3 * len(mail(1)))
    for n in range(9):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    messages = landing.queue("work").receive(10, 1)
    failed = {one["itemIdentifier"] for one in aws_lambda.work(as_sqs(messages), Late(1))["batchItemFailures"]}
    assert len(failed) == 3
    assert landing.ledger.books() == {"stored": 6, "pending": 3}
    rest = as_sqs([message for message in messages if message.id in failed])
    assert aws_lambda.work(rest, Late(0)) == {"batchItemFailures": []}, "a portion is worked on however late it is"
    assert landing.ledger.books() == {"stored": 9}
    assert shed["most"] == 3


class Late:
    """A context by which there is time for so many portions more."""

    def __init__(self, portions: int) -> None:
        self.left = portions

    def get_remaining_time_in_millis(self) -> int:
        self.left -= 1
        return 100_000 if self.left >= 0 else 10_000


def test_mail_that_came_three_times_is_read_apart_and_last(landing, shed, monkeypatch):
    for n in range(5):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    event = as_sqs(landing.queue("work").receive(10, 1))
    for number in (0, 2):
        event["Records"][number]["attributes"]["ApproximateReceiveCount"] = "3"
    apart = []

    class Apart:
        def alone(self, mails, limit):
            assert landing.ledger.books()["stored"] >= 3
            apart.append((len(mails), limit))
            return arrivals.work([one._replace(reason="bug: it ended") for one in mails], keep=True)

    monkeypatch.setattr(aws_lambda, "_transformer", Apart)
    assert aws_lambda.work(event, Late(100)) == {"batchItemFailures": []}
    assert apart == [(1, 50.0)] * 2
    assert landing.ledger.books() == {"stored": 3, "rejected": 2}


def test_a_prefix_is_worked_through_in_turns_and_the_place_is_kept(landing, shed, monkeypatch):
    monkeypatch.setattr(prefixes, "BATCH_MAILS", 4)
    for n in range(10):
        landing.put(f"old/{n:02}.eml", mail(n))
    landing.put("old/05.txt", b"a note\n")
    landing.put("other/1.eml", mail(11))
    asked = {"bucket": landing.name, "prefix": "old/"}
    first = aws_lambda.prefix(asked, Clock(1))
    assert (first["done"], first["after"], first["received"]) == (False, "old/03.eml", 4)
    assert landing.ledger.books() == {"stored": 4}
    (rest,) = landing.queue("large").receive(10, 1)  # it sent itself on
    assert json.loads(rest.body) == asked
    second = aws_lambda.prefix(as_sqs([rest]), Clock(100))
    assert (second["done"], second["after"], second["received"]) == (True, "old/09.eml", 7)
    assert landing.ledger.books() == {"stored": 10, "rejected": 1}
    assert aws_lambda.prefix(asked, Clock(100))["received"] == 0
    landing.put("old/10.eml", mail(12))
    assert aws_lambda.prefix(asked, Clock(100))["received"] == 1


def test_a_prefix_goes_on_after_a_mail_that_fails_and_gives_it_to_the_workers(landing, shed):
    for n in range(4):
        landing.put(f"old/{n}.eml", mail(n))

    def trouble(rows):
        if any(row.subject == "Tides 2" for row, _, _ in rows):
            raise ValueError("no")

    shed["trouble"] = trouble
    did = aws_lambda.prefix({"bucket": landing.name, "prefix": "old/"}, Clock(100))
    assert (did["done"], did["received"], did["failed"]) == (True, 4, 1)
    assert landing.ledger.books() == {"stored": 3, "pending": 1}
    (message,) = landing.queue("work").receive(10, 1)
    shed["trouble"] = lambda rows: None
    assert aws_lambda.work(as_sqs([message])) == {"batchItemFailures": []}
    assert landing.ledger.books() == {"stored": 4}


def test_two_runs_on_one_prefix_make_no_mail_twice(landing, shed, monkeypatch):
    monkeypatch.setattr(prefixes, "BATCH_MAILS", 2)
    for n in range(6):
        landing.put(f"old/{n}.eml", mail(n))
    real, once = landing.ledger.advance, []

    def advance(name, before, after):
        if not once:
            once.append(1)
            real(name, before, "old/3.eml")  # the other was faster
        return real(name, before, after)

    monkeypatch.setattr(landing.ledger, "advance", advance)
    asked = {"bucket": landing.name, "prefix": "old/"}
    did = aws_lambda.prefix(asked, Clock(100))
    assert (did["done"], did["after"]) == (False, "old/3.eml")


def test_the_handlers_take_the_profile_of_the_environment(monkeypatch):
    aws_lambda.provide(lambda: aws_lambda.from_settings(os.environ))
    for name in [name for name in os.environ if name.startswith("MAILLOOM_")]:
        monkeypatch.delenv(name)
    with pytest.raises(UserError, match=r"aws\.queues\.work"):
        aws_lambda.validate({"Records": []})


# ------------------------------------------------------------------------------------------------ a real Lambda
def function(landing: Landing, handler: str) -> str:
    """Deploy a handler as a function of its own; its name."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        path = os.pathsep.join([str(HERE), *filter(None, sys.path)])
        file.writestr(
            entry, f"#!/bin/sh\nPYTHONPATH='{path}' exec '{sys.executable}' -m awslambdaric landing_lambda.{handler}\n"
        )
    client, name = landing.client("lambda"), f"{landing.name}-{handler}"
    environment = {"ENDPOINT": landing.endpoint, "NAME": landing.name, "FOLDER": str(landing.folder)}
    client.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler=f"landing_lambda.{handler}",
        Role="arn:aws:iam::000000000000:role/lambda",
        Code={"ZipFile": code.getvalue()},
        Timeout=60,
        MemorySize=512,
        Environment={"Variables": environment},
    )
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)  # an archive has one writer
    return name


def test_real_functions_take_mail_from_the_event_to_the_archive(aws_url, prefix, tmp_path):
    landing = Landing(aws_url, prefix, tmp_path / "landing").make(receives=100)
    client = landing.client("lambda")
    for role, handler in (("events", "validate"), ("work", "work")):
        client.create_event_source_mapping(
            EventSourceArn=landing._arn(role),
            FunctionName=function(landing, handler),
            BatchSize=10,
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
    for n in range(25):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.put("raw/note.txt", b"a note\n")
    until = time.monotonic() + 90
    while landing.ledger.books() != {"stored": 25, "rejected": 1} and time.monotonic() < until:
        time.sleep(0.5)
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        if landing.name in mapping["FunctionArn"]:
            client.delete_event_source_mapping(UUID=mapping["UUID"])
    for handler in ("validate", "work"):
        client.delete_function(FunctionName=f"{landing.name}-{handler}")
    assert landing.ledger.books() == {"stored": 25, "rejected": 1}
    with open_archive(landing.archive()) as archive:
        assert archive.stores.count() == 25
