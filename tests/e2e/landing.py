"""A place where mail lands: a bucket whose events go to a queue, the queues of work, large work and dead letters, and stores behind
them: the embedded archive, with a ledger of its own that tells versions of an object apart as DynamoDB's does.

Also a program: `python landing.py ENDPOINT NAME FOLDER [OPTION=VALUE...]` is a worker process on all of that.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.credentials import Credentials

from mailloom.config import Worker as Settings
from mailloom.ports import Failure, Transient
from mailloom.run.validate import Validator, follow
from mailloom.run.worker import Worker
from mailloom.stores.s3 import S3Blobs
from mailloom.stores.sqs import SqsQueue
from mailloom.wire import open_for_writing

REGION = "eu-central-1"


class FileLedger:
    """Implements ports.Ledger, Receipts and Progress on a file: each call durable when it returns."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        self.db.execute("pragma journal_mode = wal")
        self.db.execute(
            "create table if not exists rows (source, key, object, state, reason, version, attempts, message, primary key (source, key, object))"
        )
        self.db.execute("create table if not exists places (name primary key, after)")

    def received(self, pointers):
        sql = "insert or ignore into rows values (?, ?, ?, 'pending', '', '', 0, null)"
        return {p for p in pointers if not self.db.execute(sql, (p.source, p.key, p.object)).rowcount}

    def failed(self, failures):
        self.received(list(failures))
        sql = "update rows set reason = ?, version = ?, attempts = ? where state = 'pending' and source = ? and key = ? and object = ?"
        for p, failure in failures.items():
            self.db.execute(sql, (*failure, p.source, p.key, p.object))

    def failures(self, pointers):
        sql = "select reason, version, attempts from rows where state = 'pending' and reason > '' and source = ? and key = ? and object = ?"
        found = {p: self.db.execute(sql, (p.source, p.key, p.object)).fetchone() for p in pointers}
        return {p: Failure(*row) for p, row in found.items() if row}

    def finished(self, pointers):
        sql = "select 1 from rows where state != 'pending' and source = ? and key = ? and object = ?"
        return [p for p in pointers if self.db.execute(sql, (p.source, p.key, p.object)).fetchone()]

    def deliver(self, deliveries):
        sql = """insert into rows values (?, ?, ?, ?, ?, ?, 0, ?) on conflict do update set
          state = case when message is not null and (excluded.message is null or state = 'stored' and message = excluded.message)
            then state else excluded.state end,
          reason = iif(message is not null and excluded.message is null, reason, excluded.reason),
          version = excluded.version, message = coalesce(excluded.message, message)"""
        for d in deliveries:
            assert d.object
            assert d.generation == 0
            self.db.execute(sql, (d.origin.source, d.origin.path, d.object, d.state, d.reason, d.version, d.message))

    def progress(self, name):
        row = self.db.execute("select after from places where name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def advance(self, name, before, after):
        if self.progress(name) != before:
            return False
        self.db.execute("insert or replace into places values (?, ?)", (name, after))
        return True

    def books(self) -> Counter:
        return Counter(dict(self.db.execute("select state, count(*) from rows group by state")))

    def reasons(self) -> dict[str, str]:
        return dict(self.db.execute("select key, state || ': ' || reason from rows where reason > '' order by key"))


class Shed:
    """Stores for a worker: the embedded archive, the file's ledger. `trouble` is called before each commit's messages.put."""

    def __init__(self, embedded, ledger, trouble=lambda rows: None) -> None:
        self.embedded, self.ledger, self.trouble = embedded, ledger, trouble
        self.threads, self.raws, self.messages = embedded.threads, embedded.raws, self
        self.commits = []

    def unit(self):
        return self.embedded.unit()

    def finished(self, ids):
        return self.embedded.messages.finished(ids)

    def put(self, rows):
        self.trouble(rows)
        self.commits.append(len(rows))
        self.embedded.messages.put(rows)

    def finish(self, ids):
        self.embedded.messages.finish(ids)


class Landing:
    """The parts on an endpoint, by name; `make` creates them."""

    def __init__(self, endpoint: str, name: str, folder: Path) -> None:
        self.endpoint, self.name, self.folder = endpoint, name, folder
        self.session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        self.s3, self.sqs = self.client("s3"), self.client("sqs")
        folder.mkdir(exist_ok=True)
        self.ledger = FileLedger(folder / "ledger.sqlite")

    def client(self, service):
        config = Config(
            s3={"addressing_style": "path"}, retries={"max_attempts": 2, "mode": "standard"}, max_pool_connections=32
        )
        return self.session.client(service, endpoint_url=self.endpoint, config=config)

    def make(self, *, receives: int = 3, versioned: bool = False) -> Landing:
        self.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioned:
            self.s3.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        self._queue("dead")
        redrive = json.dumps({"deadLetterTargetArn": self._arn("dead"), "maxReceiveCount": receives})
        for role in ("events", "work", "large"):
            self._queue(role, RedrivePolicy=redrive)
        events = {"QueueConfigurations": [{"QueueArn": self._arn("events"), "Events": ["s3:ObjectCreated:*"]}]}
        self.s3.put_bucket_notification_configuration(Bucket=self.name, NotificationConfiguration=events)
        queue = self.queue("events", 60)
        (test,) = queue.receive(10, 5)  # S3 sends one to see whether it may
        assert json.loads(test.body)["Event"] == "s3:TestEvent"
        queue.delete([test.receipt])
        return self

    def _queue(self, role, **attributes):
        self.sqs.create_queue(QueueName=f"{self.name}-{role}", Attributes={"VisibilityTimeout": "20", **attributes})

    def _arn(self, role):
        url = self.sqs.get_queue_url(QueueName=f"{self.name}-{role}")["QueueUrl"]
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def queue(self, role, visibility=None) -> SqsQueue:
        url = self.sqs.get_queue_url(QueueName=f"{self.name}-{role}")["QueueUrl"]
        return SqsQueue(self.client("sqs"), url, visibility)

    def blobs(self, bucket: str | None = None) -> S3Blobs:
        return S3Blobs(self.client("s3"), bucket or self.name, Credentials("test", "test"))

    def buckets(self):
        return cache(self.blobs)

    def put(self, key: str, raw: bytes) -> str:
        return self.s3.put_object(Bucket=self.name, Key=key, Body=raw).get("VersionId", "")

    def validator(self) -> Validator:
        return Validator(
            self.buckets(),
            self.ledger,
            self.ledger,
            self.queue("work"),
            large=self.queue("large"),
            dead=self.queue("dead"),
        )

    def validate(self):
        """Validate all events that there are."""
        return follow(self.validator(), self.queue("events", 60), lambda: False, wait=1, drain=True)

    @contextmanager
    def shed(self, trouble=lambda rows: None) -> Iterator[Shed]:
        with open_for_writing(self.folder / "archive") as embedded:
            yield Shed(embedded, self.ledger, trouble)

    def worker(self, shed: Shed, role: str = "work", *, queue=None, drain: bool = True, **settings) -> Worker:
        given = Settings(**{"visibility": 30, "batch_seconds": 0.2, **settings})
        queue = queue or self.queue(role, given.visibility)
        return Worker(
            queue,
            self.buckets(),
            shed,
            self.ledger,
            dead=self.queue("dead"),
            settings=given,
            keep=True,
            drain=drain,
            name=role,
        )

    def archive(self) -> Path:
        return self.folder / "archive"


def main() -> None:
    endpoint, name, folder, *options = sys.argv[1:]
    given = {option.partition("=")[0]: json.loads(option.partition("=")[2]) for option in options}
    slow, down = given.pop("slow", 0), given.pop("down", "")

    def trouble(rows):
        time.sleep(slow)
        if down and Path(down).exists():
            raise Transient("the store is away")

    landing = Landing(endpoint, name, Path(folder))
    with landing.shed(trouble) as shed:
        drain = given.pop("drain", False)
        worker = landing.worker(shed, drain=drain, **given)
        worker.abandon = lambda: os._exit(1)
        print("ready", flush=True)
        done = worker.run()
        print(json.dumps({"received": done.received, **done.states, "returned": done.returned}), flush=True)


if __name__ == "__main__":
    main()
