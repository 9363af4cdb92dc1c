"""The whole server profile of a test: all servers, real processes of ours, and what to ask of them. Everything is done by commands,
as an operator would; only the books are read from the ledger in this process, as they are polled.
"""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.profile import Profile

COMMAND = [sys.executable, "-m", "mailloom"]
EXPORTS = ("messages", "nested", "threads", "links")


@dataclass
class Whole:
    """A profile, and the processes on it that a test started."""

    profile: Profile
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    # -------------------------------------------------------------------------------------------- processes
    def run(self, *words: str, local: bool = False, code: int | None = 0) -> str:
        """A command to its end; what it printed."""
        env = dict(os.environ) if local else self.profile.env()
        done = subprocess.run([*COMMAND, *words], env=env, capture_output=True, text=True, check=False, timeout=600)
        assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, name: str, *words: str, **environ: str) -> subprocess.Popen[bytes]:
        """A command that goes on, by a name; its log is in the folder."""
        return self.launch(name, [*COMMAND, *words], environ)

    def launch(self, name: str, words: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """The same for any program."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words, env={**self.profile.env(), **environ}, stdout=log, stderr=log
            )
        return self.processes[name]

    def kill(self, name: str) -> None:
        """SIGKILL, and forget it."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def end(self, name: str, patience: float = 110) -> int:
        """SIGTERM; its exit code."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(patience)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        if "servers" in self.__dict__:
            self.servers.close()

    # -------------------------------------------------------------------------------------------- mail
    def put(self, mails: Mapping[str, bytes]) -> None:
        """Objects into the bucket below raw/, many at a time."""
        s3 = self.profile.client("s3")

        def one(item: tuple[str, bytes]) -> None:
            s3.put_object(Bucket=self.profile.name, Key=f"raw/{item[0]}", Body=item[1])

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(one, mails.items()))

    def event(self, keys: Iterable[str]) -> None:
        """Tell of objects that are there once more, as S3 may."""
        s3, sqs = self.profile.client("s3"), self.profile.client("sqs")
        url = self.servers.settings.aws.queues.events
        for key in keys:
            head = s3.head_object(Bucket=self.profile.name, Key=f"raw/{key}")
            what = {"key": f"raw/{key}", "size": head["ContentLength"], "eTag": head["ETag"].strip('"')}
            record = {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "eventTime": "2026-01-01T00:00:00.000Z",
                "s3": {"bucket": {"name": self.profile.name}, "object": what},
            }
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))

    # -------------------------------------------------------------------------------------------- what came of it
    @cached_property
    def servers(self) -> Any:
        from mailloom.config import load
        from mailloom.wire.profile import open_servers

        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            os.environ.setdefault(name, self.profile.environ[name])
        env = self.profile.env()
        return open_servers(load("aws", self.profile.config, env, self.folder).settings, env)

    def books(self) -> dict[str, int]:
        """received, stored, duplicate, rejected, pending, of the bucket; empty before anything came."""
        found = list(self.servers.objects.books().values())
        names = ("received", "stored", "duplicate", "rejected", "pending")
        return {name: sum(getattr(books, name) for books in found) for name in names} if found else {}

    def wait(
        self,
        received: int,
        limit: float = 300,
        meanwhile: Callable[[], None] = lambda: None,
        *,
        watch: bool = True,
    ) -> dict[str, int]:
        """Until so many objects came and none is pending; the books then. `watch`: a process that ends is a failure."""
        until = time.monotonic() + limit
        while True:
            books = self.books()
            if books and books["received"] >= received and not books["pending"]:
                return books
            meanwhile()
            broken = {name: self.log(name)[-2000:] for name, p in self.processes.items() if p.poll() not in (None, 0)}
            assert not (watch and broken), broken
            assert time.monotonic() < until, (books, {name: self.log(name)[-1500:] for name in self.processes})
            time.sleep(0.5)

    def settle(self) -> None:
        """Until nothing is marked any more."""
        for _ in range(20):
            done = json.loads(self.run("settle", "--json"))
            if not done["looked"]:
                return
        raise AssertionError("settle finds no end")

    def digest(self) -> list[Any]:
        return [json.loads(line) for line in self.run("digest", "--json").splitlines()]

    def exported(self) -> dict[str, list[str]]:
        return {what: sorted(self.run("export", what).splitlines()) for what in EXPORTS}


def plain(folder: Path, mails: Sequence[bytes]) -> tuple[list[Any], dict[str, list[str]]]:
    """The digest and the exports of an archive in a folder that got the same mails."""
    place = folder / "plain"
    (place / "mail").mkdir(parents=True)
    for raw in mails:
        (place / "mail" / f"{sha256(raw).hexdigest()}.eml").write_bytes(raw)
    env = {**os.environ, "MAILLOOM_ARCHIVE": str(place / "archive")}

    def run(*words: str) -> str:
        return subprocess.run([*COMMAND, *words], env=env, capture_output=True, text=True, check=True).stdout

    run("ingest", str(place / "mail"), "--quiet", "--jobs", "1")
    digest = [json.loads(line) for line in run("digest", "--json").splitlines()]
    return digest, {what: sorted(run("export", what).splitlines()) for what in EXPORTS}


@contextmanager
def function(whole: Whole, handler: str, **environ: str) -> Iterator[str]:
    """A handler of ours as a real function of ministack's Lambda; its name. `environ` is set besides the profile's ("" takes away)."""
    client = whole.profile.client("lambda")
    name = f"{whole.profile.name}-{handler}"
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        path = os.pathsep.join(filter(None, sys.path))
        call = f"exec {shlex.quote(sys.executable)} -m awslambdaric mailloom.run.aws_lambda.{handler}"
        file.writestr(entry, f"#!/bin/sh\nPYTHONPATH={shlex.quote(path)} {call}\n")
    client.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler=f"mailloom.run.aws_lambda.{handler}",
        Role="arn:aws:iam::000000000000:role/lambda",
        Code={"ZipFile": code.getvalue()},
        Timeout=120,
        MemorySize=512,
        Environment={"Variables": {n: v for n, v in {**whole.profile.environ, **environ}.items() if v}},
    )
    try:
        yield name
    finally:
        client.delete_function(FunctionName=name)


@contextmanager
def validator_lambda(whole: Whole, **environ: str) -> Iterator[str]:
    """The validator as such a function, fed by the queue of events; its name."""
    client, sqs = whole.profile.client("lambda"), whole.profile.client("sqs")
    url = whole.servers.settings.aws.queues.events
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    with function(whole, "validate", **environ) as name:
        mapping = client.create_event_source_mapping(
            EventSourceArn=arn, FunctionName=name, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"]
        )
        try:
            yield name
        finally:
            client.delete_event_source_mapping(UUID=mapping["UUID"])
