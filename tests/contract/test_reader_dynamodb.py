"""The reading side over all of the server profile's stores of record: PostgreSQL, DynamoDB, objects."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mailloom.archive import Archive
from mailloom.archive.digest import digest
from mailloom.archive.story import story
from mailloom.cli import where_view
from mailloom.cli.rejected_view import rejected
from mailloom.flow.commit import Arrived
from mailloom.ports import Copy, Pointer
from mailloom.stores.dynamodb import Dynamo, DynamoLedger, DynamoNodes, create
from mailloom.stores.files import RawError
from mailloom.stores.postgres.connection import Connections
from mailloom.synth import generate, shape_of
from mailloom.wire import open_for_reading, open_for_writing
from mailloom.wire.reading import LedgerHistory
from reading_both import BUCKET, SHAPE, ServerStores, arrivals, fill_embedded, fill_servers, new_database, reading

pytestmark = pytest.mark.servers

SCOPE = "case 7"


class Objects:
    """A bucket by key and version, as far as reading goes."""

    def __init__(self, raws: dict[tuple[str, str], bytes]) -> None:
        self.raws = raws

    def get(self, key: str, version: str = "", etag: str = "") -> bytes | None:
        return self.raws.get((key, version))


def in_bucket(arrived: Arrived) -> Arrived:
    """As a runner of the server profile hands it on."""
    return replace(arrived, object=f"version of {arrived.sealed.origin.path}")


@pytest.fixture
def ledger(boto: Callable[[str], Any], prefix: str) -> tuple[Dynamo, DynamoLedger]:
    client = boto("dynamodb")
    create(client, prefix)
    dynamo = Dynamo(client, prefix)
    return dynamo, DynamoLedger(dynamo, lambda: 5000, SCOPE)


def test_the_server_profile_reads_as_a_folder_does(
    server: Callable[[str], str], ledger: tuple[Dynamo, DynamoLedger], tmp_path: Path
) -> None:
    url = new_database(server("postgres"), "t" + secrets.token_hex(5))
    connections = Connections(url)
    dynamo, books = ledger
    batches = [[in_bucket(one) for one in batch] for batch in arrivals(100, 5)]
    with open_for_writing(tmp_path / "archive", SCOPE) as stores:
        fill_embedded(stores, batches)
    books.received([Pointer("mail-bucket", "in/waiting.eml", "v1", "e", 7, 4000)])
    servers = ServerStores(connections, SCOPE, DynamoNodes(dynamo, lambda: 5000, SCOPE), books)
    fill_servers(servers, batches)
    fresh = DynamoNodes(dynamo, lambda: 5000, SCOPE)
    servers.nodes = fresh
    served_by = reading(url, servers, SCOPE, history=LedgerHistory(books))
    with Archive(open_for_reading(tmp_path / "archive", SCOPE)) as folder, Archive(served_by) as served:
        assert digest(served, raw=True) == digest(folder, raw=True)
        ids = [one.id for one in served.whole.listed()]
        for message in ids[::7]:
            assert replace(story(served, message), near=()) == replace(story(folder, message), near=())
        told, expected = rejected(served, foreign=True), rejected(folder, foreign=True)
        assert [(one["path"], one["reason"]) for one in told if one["state"] == "rejected"] == [
            (one["path"], one["reason"]) for one in expected if one["state"] == "rejected"
        ]
        _paths_are_told(served, [one.path for some in served.deliveries.copies(ids[:20]).values() for one in some])
        assert not fresh._known, "a reader remembers nothing"
    connections.close()


def _paths_are_told(served: Archive, paths: list[str]) -> None:
    for path in paths:
        for name in (path, f"{BUCKET}/{path}"):
            (found,) = where_view.arrivals(served, name)
            assert (found.source, found.path, found.object) == (BUCKET, path, f"version of {path}")
            assert found.trace != b"{}"
            steps = {step["step"]: step["detail"] for step in where_view.steps(served, found)}
            assert steps["raw"].startswith(f"{BUCKET}/{path}")
            assert "settled" in steps["thread"]
    (waiting,) = where_view.arrivals(served, f"{BUCKET}/in/waiting.eml")
    assert [step["step"] for step in where_view.steps(served, waiting)] == ["landed", "waits", "raw"]
    (bad,) = where_view.arrivals(served, "in/bad/1.bin")
    assert "too large" in {step["step"]: step["detail"] for step in where_view.steps(served, bad)}["rejected"]


def test_an_object_that_was_overwritten_is_found_by_its_version(server: Callable[[str], str]) -> None:
    url = new_database(server("postgres"), "t" + secrets.token_hex(5))
    connections = Connections(url)
    stores = ServerStores(connections, "")
    raws = {}

    def bucket(name: str) -> Any:
        assert name == "mail-bucket"
        return Objects(raws)

    batch = [one for one in arrivals(3, 5)[0] if one.sealed.row is not None][:1]
    fill_servers(stores, [[in_bucket(one) for one in batch]])
    served_by = reading(url, stores, "", bucket=bucket)
    with Archive(served_by) as served:
        (row,) = served.whole.listed()
        (copy,) = served.copies(row.id)
        raw = _raw_of(copy)
        for there in ({(copy.path, ""): raw}, {(copy.path, ""): b"other", (copy.path, f"version of {copy.path}"): raw}):
            raws.clear()
            raws.update(there)
            assert served.raw(row.id) == raw
        for there in ({}, {(copy.path, ""): b"other"}):
            raws.clear()
            raws.update(there)
            with pytest.raises(RawError):
                served.raw(row.id)
    connections.close()


def _raw_of(copy: Copy) -> bytes:
    return next(mail.raw for mail in generate(3, 5, shape_of(SHAPE)) if sha256(mail.raw).digest() == copy.raw_sha256)
