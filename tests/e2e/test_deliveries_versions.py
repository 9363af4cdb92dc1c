"""In a bucket with versions a listing names the same deliveries as events do: going over mail that came by events changes nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mailloom.run import aws_lambda
from mailloom.stores.s3 import S3Blobs
from mailloom.synth import generate, shape_of
from whole import Whole, plain

pytestmark = pytest.mark.servers
MAILS = 200


class Context:
    """A Lambda's context that has all the time."""

    aws_request_id = "call-1"

    def get_remaining_time_in_millis(self) -> int:
        return 600_000


Versioned = Callable[..., Whole]


@pytest.fixture
def versioned(wholes: Callable[..., Whole], monkeypatch: pytest.MonkeyPatch) -> Iterator[Versioned]:
    """versioned(more=...) -> a profile whose bucket keeps versions, as functions find it too."""

    def make(**how: Any) -> Whole:
        whole = wholes(**how)
        for name, value in whole.profile.environ.items():
            monkeypatch.setenv(name, value)
        aws_lambda.provide(lambda: aws_lambda.from_settings(dict(whole.profile.env())))
        keep(whole, "Enabled")
        return whole

    yield make
    if aws_lambda._servers.cache_info().currsize:
        aws_lambda._servers().close()
    aws_lambda.provide(lambda: aws_lambda.from_settings({}))


def keep(whole: Whole, status: str) -> None:
    whole.profile.client("s3").put_bucket_versioning(
        Bucket=whole.profile.name, VersioningConfiguration={"Status": status}
    )


def mails(seed: int) -> tuple[list[bytes], dict[str, bytes]]:
    """Mails, and the objects that they are, in no order."""
    made = [mail.raw for mail in generate(MAILS, seed, shape_of("size=2KB,again=0.05,late=0.2,lost=0.1"))]
    objects = [(f"source=test/date=2026-11-{1 + n % 28:02}/{n:04}.eml", raw) for n, raw in enumerate(made)]
    random.Random(seed).shuffle(objects)
    return made, dict(objects)


def by_events(whole: Whole) -> None:
    """Validate what events tell of, and work it off."""
    whole.run("validate", "--drain")
    whole.run("work", "--drain")


def lose_events(whole: Whole) -> None:
    queue = whole.servers.queue("events")
    while messages := queue.receive(10, 2):
        queue.delete([one.receipt for one in messages])


def backfill(whole: Whole, run: str) -> dict[str, int]:
    """List all mail, and enqueue each part; the counts of all parts."""
    listed = aws_lambda.manifest({"prefix": "raw/", "run": run, "batch": 70}, Context())
    assert listed["done"]
    parts = whole.profile.client("s3").list_objects_v2(Bucket=whole.profile.name, Prefix=listed["manifest"]["prefix"])
    did = [aws_lambda.enqueue({"Key": one["Key"]}) for one in parts["Contents"]]
    return {name: sum(one[name] for one in did) for name in did[0]}


def prefix(whole: Whole) -> dict[str, Any]:
    return dict(json.loads(whole.run("ingest", f"s3://{whole.profile.name}/raw/", "--json")))


def waiting(whole: Whole) -> dict[str, int]:
    return {name: sum(whole.servers.queue(name).depth()) for name in ("work", "large", "dead")}


NOTHING = {"work": 0, "large": 0, "dead": 0}


def test_what_came_by_events_is_not_entered_sent_or_stored_again(versioned: Versioned) -> None:
    """Objects that were overwritten or deleted, and some from before versions were kept, among it."""
    whole = versioned()
    _, objects = mails(3)
    keys = sorted(objects)
    keep(whole, "Suspended")  # its objects have no version, as in a bucket that never kept any
    whole.put({key: objects[key] for key in keys[:20]})
    keep(whole, "Enabled")
    whole.put({key: objects[key] for key in keys[20:]})
    whole.put({keys[n]: objects[keys[-1 - n]] for n in (3, 30)})  # over what is there
    for key in (keys[5], keys[50]):
        whole.profile.client("s3").delete_object(Bucket=whole.profile.name, Key=f"raw/{key}")
    by_events(whole)
    books, digest = whole.books(), whole.digest()
    assert (books["received"], books["pending"]) == (MAILS + 2, 0)
    assert books["rejected"] == 2  # overwritten and deleted before they were read, and no version stayed of these
    did = backfill(whole, "first")
    assert did == {"listed": MAILS - 2, "finished": MAILS - 2, "queued": 0, "rejected": 0}
    assert waiting(whole) == NOTHING
    assert prefix(whole)["received"] == MAILS - 2
    assert waiting(whole) == NOTHING
    assert whole.books() == books
    assert whole.digest() == digest
    whole.settle()
    assert "is sound" in whole.run("doctor")


@pytest.mark.parametrize("way", ["backfill", "prefix"])
def test_what_no_event_told_of_is_taken_and_no_more(versioned: Versioned, tmp_path: Path, way: str) -> None:
    """In the end the archive is what it would have been."""
    whole = versioned()
    made, objects = mails(4)
    keys = list(objects)
    known, rest = keys[: MAILS * 3 // 10], keys[MAILS * 3 // 10 :]
    whole.put({key: objects[key] for key in known})
    by_events(whole)
    assert whole.books()["received"] == len(known)
    whole.put({key: objects[key] for key in rest})
    lose_events(whole)
    if way == "backfill":
        did = backfill(whole, "rest")
        assert did == {"listed": MAILS, "finished": len(known), "queued": len(rest), "rejected": 0}
        assert waiting(whole) == NOTHING | {"work": len(rest)}
        whole.run("work", "--drain")
    else:
        assert prefix(whole)["received"] == MAILS
    assert waiting(whole) == NOTHING
    books = whole.books()
    assert (books["received"], books["pending"], books["rejected"]) == (MAILS, 0, 0)
    whole.settle()
    digest, _ = plain(tmp_path, made)
    assert whole.digest() == digest
    assert backfill(whole, "again")["finished"] == MAILS


def test_what_a_share_held_is_taken_once_and_the_share_is_left_alone(versioned: Versioned, tmp_path: Path) -> None:
    """A version is brought out to three mails of ten, then to all."""
    whole = versioned(more={"rollout": {"accept": 0.3}})
    made, objects = mails(6)
    whole.put(objects)
    by_events(whole)
    share = whole.books()
    assert MAILS * 0.15 < share["received"] < MAILS * 0.45
    assert (share["pending"], share["rejected"]) == (0, 0)
    did = backfill(whole, "all")
    held = MAILS - share["received"]
    assert did == {"listed": MAILS, "finished": share["received"], "queued": held, "rejected": 0}
    whole.run("work", "--drain")
    books = whole.books()
    assert (books["received"], books["pending"], books["rejected"]) == (MAILS, 0, 0)
    assert backfill(whole, "again")["finished"] == MAILS
    assert prefix(whole)["received"] == MAILS
    assert whole.books() == books
    assert waiting(whole) == NOTHING
    whole.settle()
    digest, _ = plain(tmp_path, made)
    assert whole.digest() == digest


def test_what_was_entered_by_its_etag_before_becomes_one_duplicate(
    versioned: Versioned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As mailloom did when it listed no versions."""
    whole = versioned()
    _, objects = mails(5)
    whole.put(dict(list(objects.items())[:20]))
    lose_events(whole)
    with monkeypatch.context() as before:
        before.setattr(S3Blobs, "current", S3Blobs.list)
        assert backfill(whole, "before")["queued"] == 20
    whole.run("work", "--drain")
    books, digest = whole.books(), whole.digest()
    assert books["received"] == 20
    assert backfill(whole, "now")["queued"] == 20
    whole.run("work", "--drain")
    assert whole.books() == books | {"received": 40, "duplicate": books["duplicate"] + 20}
    assert whole.digest() == digest
    assert backfill(whole, "again")["finished"] == 20
