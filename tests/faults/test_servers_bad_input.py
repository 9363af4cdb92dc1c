"""What nobody can work on, and what an owner must mend, on the whole server profile: each has its outcome. And two scopes on one set of
servers, which know nothing of each other.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from spoiling import Spoiling, refused
from trouble import Trouble, port

from mailloom.config import Worker as Settings
from mailloom.ports import Parcel, Poison, Transient
from mailloom.run import arrivals
from mailloom.run.pointers import pointer_body, read_pointer
from mailloom.run.validate import Validator, follow
from mailloom.run.worker import Worker
from mailloom.synth import generate, shape_of
from whole import COMMAND, Whole, plain

pytestmark = pytest.mark.servers
SMALL = {"worker": {"batch": 16, "batch_seconds": 0.2, "visibility": 10}}


def mail(number: int, text: str = "") -> bytes:
    head = f"From: ann@example.org\nTo: bo@example.net\nSubject: Tides {number}\nMessage-ID: <{number}@example.org>\n"
    return f"{head}Date: Mon, 6 Jul 2026 10:{number:02}:00 +0000\n\nThe tide of port {number} {text}\n".encode()


def reasons(whole: Whole) -> dict[str, str]:
    return {entry.path.removeprefix("raw/"): entry.reason for entry in whole.servers.objects.rejected()}


# ------------------------------------------------------------------------------------------------ mail and messages
def test_what_nobody_can_work_on(wholes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Whole = wholes(receives=3, more=SMALL)
    servers = whole.servers
    good = {f"good{n}.eml": mail(n) for n in range(10)}
    whole.put({**good, "poison.eml": mail(20), "deleted.eml": mail(21), "overwritten.eml": mail(22)})
    whole.event(["good0.eml", "good1.eml"])  # twice
    whole.run("validate", "--drain")
    servers.buckets(whole.profile.name).delete(["raw/deleted.eml"])
    whole.put({"overwritten.eml": mail(23), "foreign.png": b"\x89PNG\r\n\x1a\n" + bytes(100), "empty.eml": b""})
    servers.queue("events").send([Parcel("hello")])
    servers.queue("work").send([Parcel("no json"), Parcel('{"v": 99}')])
    whole.run("validate", "--drain")
    real = arrivals.transform

    def transform(raw: bytes, origin: Any) -> Any:
        if b"Subject: Tides 20" in raw:
            raise Poison("by a test")
        return real(raw, origin)

    monkeypatch.setattr(arrivals, "transform", transform)
    parts = (servers.queue("work"), servers.buckets, servers.stores, servers.receipts)
    done = Worker(*parts, dead=servers.queue("dead"), settings=Settings(**SMALL["worker"]), drain=True).run()
    assert done.dead == 2
    assert whole.books() == {"received": 16, "stored": 11, "duplicate": 0, "rejected": 5, "pending": 0}
    told = reasons(whole)
    assert told.pop("poison.eml").startswith("bug: Poison at ")
    assert told.pop("foreign.png").startswith("not mail: looks like ")
    assert told == {
        "deleted.eml": "deleted before it was read",
        "overwritten.eml": "overwritten before it was read",
        "empty.eml": "not mail: an empty file",
    }
    # A day late, all of it: nothing of what was stored changes, nor is the rest forgotten.
    monkeypatch.undo()
    before = whole.digest()
    whole.event([*good, "foreign.png"])
    whole.run("validate", "--drain")
    whole.run("work", "--drain")
    books = {"received": 16, "stored": 11, "duplicate": 0, "rejected": 5, "pending": 0}
    assert whole.books() == books
    assert whole.digest() == before
    causes = {
        group["cause"]: group["letters"] for group in map(json.loads, whole.run("dead", "list", "--json").splitlines())
    }
    assert causes == {
        "no S3 event: not JSON": 1,
        "no pointer: JSONDecodeError": 1,
        "no pointer: version 99, this mailloom reads 1": 1,
    }
    # Mail that ended by a bug is tried again by whoever has mended it.
    whole.event(["poison.eml"])
    whole.run("validate", "--drain")
    whole.run("work", "--drain")
    assert whole.books() == {**books, "stored": 12, "rejected": 4}
    whole.settle()
    assert "is sound" in whole.run("doctor", "--deep")


def test_a_pointer_into_a_bucket_that_is_not_there_ends_among_the_dead(wholes: Callable[..., Any]) -> None:
    whole: Whole = wholes(receives=2, more=SMALL)
    servers = whole.servers
    whole.put({"one.eml": mail(1), "two.eml": mail(2)})
    whole.run("validate", "--drain")
    held = servers.queue("work").receive(10, 1)
    pointer = read_pointer(held[0].body)
    servers.queue("work").delete([held[0].receipt])
    servers.queue("work").extend({message.receipt: 0 for message in held[1:]})
    servers.queue("work").send([Parcel(pointer_body(pointer._replace(bucket="no-such-bucket-here")))])
    whole.start("work", "work")
    until = time.monotonic() + 90
    while servers.queue("dead").depth() == (0, 0):
        assert time.monotonic() < until, whole.log("work")
        time.sleep(0.3)
    assert whole.processes["work"].poll() is None, "one bad pointer ended the worker"
    whole.end("work")
    (group,) = map(json.loads, whole.run("dead", "list", "--json").splitlines())
    assert group["letters"] == 1
    (letter,) = map(json.loads, whole.run("dead", "show", "all", "--json").splitlines())
    assert "does not exist" in letter["reason"]
    # Pending are the mail whose message was taken away, and the one that nobody can read.
    assert whole.books()["pending"] == 2
    servers.queue("work").send([Parcel(held[0].body)])
    whole.run("work", "--drain")
    whole.run("dead", "drop", "all")
    assert whole.books() == {"received": 3, "stored": 2, "duplicate": 0, "rejected": 1, "pending": 0}


# ------------------------------------------------------------------------------------------------ what an owner must mend
def told(whole: Whole, environ: Mapping[str, str], *words: str) -> str:
    """What a command says that ends with 2: one line."""
    done = subprocess.run(
        [*COMMAND, *words],
        env={**whole.profile.env(), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 2, (done.stdout, done.stderr)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_wrong_credentials_a_missing_database_and_a_newer_schema_are_told_in_one_line(
    wholes: Callable[..., Any],
) -> None:
    whole: Whole = wholes(more=SMALL)
    trouble = Trouble(whole)
    whole.put({"one.eml": mail(1)})
    whole.run("validate", "--drain")
    refusals = {
        "aws": (403, "InvalidClientTokenId", "queue .*credentials were not accepted"),
        "dynamodb": (400, "UnrecognizedClientException", "DynamoDB.*credentials"),
        "opensearch": (401, "Unauthorized", "OpenSearch refuses these credentials"),
    }
    for name, (status, code, words) in refusals.items():
        with Spoiling("127.0.0.1", port(trouble.urls()[name])) as proxy:
            proxy.spoil = refused(status, code)
            trouble.through = {name: proxy.port}
            line = told(whole, trouble.environ(), "work", "--drain")
            assert proxy.spoiled.total() <= 3, "wrong credentials were tried again and again"
        assert re.search(words, line), line
    dsn = trouble.urls()["postgres"]
    line = told(whole, {"MAILLOOM_DESK_POSTGRES": dsn.replace("mailloom@", "stranger:secret@")}, "work", "--drain")
    assert "check user, password and database" in line
    assert "secret" not in line
    line = told(whole, {"MAILLOOM_DESK_POSTGRES": dsn + "_none"}, "work", "--drain")
    assert "check user, password and database" in line
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("insert into schema_version (version, name) values (99, '0099_later.after')")
        for command in (["work", "--drain"], ["settle"], ["migrate"]):
            assert "newer" in told(whole, {}, *command)
        connection.execute("delete from schema_version where version = 99")
    assert whole.books()["pending"] == 1
    whole.run("work", "--drain")
    assert whole.books()["stored"] == 1


# ------------------------------------------------------------------------------------------------ events
class Away:
    """A ledger that is away for the first calls."""

    def __init__(self, inner: Any, calls: int) -> None:
        self.inner, self.calls = inner, calls

    def received(self, given: Any) -> Any:
        self.calls -= 1
        if self.calls >= 0:
            raise Transient("away")
        return self.inner.received(given)


def test_a_validator_waits_for_a_store_that_is_away(
    wholes: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailloom.flow.retry import Backoff
    from mailloom.run import following

    whole: Whole = wholes(more=SMALL)
    servers = whole.servers
    whole.put({f"{n}.eml": mail(n) for n in range(5)})

    def run(calls: int) -> Any:
        receipts = Away(servers.receipts, calls)
        validator = Validator(servers.buckets, receipts, servers.ledger, servers.queue("work"))  # type: ignore[arg-type]
        return follow(validator, servers.queue("events"), threading.Event().is_set, wait=1, drain=True)

    monkeypatch.setattr(following, "DRAINING", Backoff(0.01, 0.02, 3))
    with pytest.raises(Transient):
        run(100)
    assert servers.queue("events").depth()[1] == 0, "they were not given back"
    monkeypatch.setattr(following, "DRAINING", Backoff(0.01, 0.02, 30))
    assert run(3).queued == 5
    whole.run("work", "--drain")
    assert whole.books() == {"received": 5, "stored": 5, "duplicate": 0, "rejected": 0, "pending": 0}


def test_events_that_no_validator_took_are_put_back_or_dropped(wholes: Callable[..., Any]) -> None:
    """Dead events are mail that nobody knows of: no row of the ledger, only the letter."""
    whole: Whole = wholes(receives=1, more=SMALL)
    servers = whole.servers
    whole.put({f"{n}.eml": mail(n) for n in range(3)})
    events = servers.queue("events")
    until = time.monotonic() + 60
    # S3 also sent a message to see whether it may.
    while servers.queue("dead").depth()[0] < 4:
        assert time.monotonic() < until
        events.extend({message.receipt: 0 for message in events.receive(10, 0)})
    groups = map(json.loads, whole.run("dead", "list", "--json").splitlines())
    (group,) = (each for each in groups if each["cause"].startswith("an event of S3"))
    assert group["letters"] == 3
    assert "raw/" in whole.run("dead", "list")
    whole.run("dead", "drop", group["ids"][1])
    assert reasons(whole).popitem()[1].startswith("dropped by hand")
    whole.run("dead", "retry", "all")
    whole.run("validate", "--drain")
    whole.run("work", "--drain")
    assert whole.books() == {"received": 3, "stored": 2, "duplicate": 0, "rejected": 1, "pending": 0}


# ------------------------------------------------------------------------------------------------ two scopes
def test_two_scopes_on_the_same_servers_know_nothing_of_each_other(wholes: Callable[..., Any], tmp_path: Path) -> None:
    """The same bucket, tables, index, database and cache; the other scope has every second mail, and so the same ids and other threads."""
    one: Whole = wholes(scope="one", more=SMALL)
    name = one.profile.name
    shared = {"aws": {"bucket": name, "tables": f"{name}-"}, "opensearch": {"prefix": name}, **SMALL}
    two: Whole = wholes(scope="two", more=shared)
    raws = [each.raw for each in generate(60, 33, shape_of("size=1KB,again=0.05,late=0.2,lost=0.1"))]
    raws += [mail(40, "zanzibar"), mail(41, "yosemite")]
    half = raws[::2]
    one.put({f"{n:03}.eml": raw for n, raw in enumerate(raws)})
    one.run("validate", "--drain")
    held = {message.receipt: message for _ in range(40) for message in one.servers.queue("work").receive(10, 0)}
    bodies = {read_pointer(message.body).key: message.body for message in held.values()}
    assert len(bodies) == len(raws)
    one.servers.queue("work").extend(dict.fromkeys(held, 0))
    two.servers.queue("work").send([Parcel(body) for key, body in bodies.items() if int(key[4:7]) % 2 == 0])
    one.start("work", "work")
    two.start("work", "work")
    assert one.wait(len(raws))["received"] == len(raws)
    assert two.wait(len(half))["received"] == len(half)
    for whole, had in ((one, raws), (two, half)):
        whole.end("work")
        whole.settle()
        folder = tmp_path / f"plain{len(had)}"
        digest, exports = plain(folder, had)
        assert whole.digest() == digest
        assert whole.exported() == exports
        assert "is sound" in whole.run("doctor", "--deep")
        alone = {**os.environ, "MAILLOOM_ARCHIVE": str(folder / "plain" / "archive")}
        for words in (
            ["search", "from:example", "--count"],
            ["search", "subject:re", "--count"],
            ["search", "tide", "--count"],
        ):
            expected = subprocess.run([*COMMAND, *words], env=alone, capture_output=True, text=True, check=False)
            assert whole.run(*words, code=None) == expected.stdout, words
    theirs = "<41@example.org>"  # which `two` never got
    for words in (["show", theirs], ["thread", theirs], ["where", theirs], ["explain", theirs]):
        assert "yosemite" not in two.run(*words, code=None)
    assert two.run("search", "yosemite", "--count", code=None).strip() in {"0", ""}
    assert one.run("search", "yosemite", "--count", code=None).strip() == "1"
    assert "yosemite" in one.run("show", theirs)
    assert "zanzibar" in two.run("show", "<40@example.org>")
