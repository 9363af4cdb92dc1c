"""What `mailloom doctor` finds wrong between the stores of the server profile, and what of it `--repair` mends."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import pytest

from mailloom.archive import Archive
from mailloom.archive.digest import digest
from mailloom.archive.doctor.servers import CHECKS, Overdue, Parts, examine, mend
from mailloom.flow.commit import Arrived
from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Delivery
from mailloom.stores.dynamodb import Dynamo, DynamoLedger, DynamoNodes, create
from mailloom.stores.opensearch.client import connect
from mailloom.stores.opensearch.index import Index
from mailloom.stores.opensearch.layout import OTHER, Names, expire, install, month
from mailloom.stores.opensearch.search import Search
from mailloom.stores.postgres.checks import PostgresChecks
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.figures import PostgresFigures
from mailloom.stores.postgres.reading import PostgresReader
from mailloom.synth import generate, shape_of
from mailloom.thread.keys import message_node
from mailloom.wire.reading import LedgerHistory, ServerReading
from reading_both import BUCKET, SHAPE, ServerStores, arrivals, fill_servers, new_database

pytestmark = pytest.mark.servers

MAILS = 60
SCOPE = "acme"


class Objects:
    """A bucket, as far as reading goes."""

    def __init__(self, raws: dict[str, bytes]) -> None:
        self.raws = raws

    def get(self, key: str, version: str = "", etag: str = "") -> bytes | None:
        return None if version else self.raws.get(key)


class Yard(NamedTuple):
    """The servers with mail on them, and what a test needs to break them."""

    parts: Parts
    writer: Connections
    dynamo: Dynamo
    client: Any
    names: Names
    raws: dict[str, bytes]
    ids: list[MessageId]

    def sql(self, statement: str, *values: object) -> None:
        with self.writer.take() as connection:
            connection.execute(statement.encode(), values)

    def faults(self, *, deep: bool = True) -> dict[str, str]:
        return {one.check: one.found for one in examine(self.parts, deep=deep) if not one.ok}

    def mended(self, *checks: str) -> dict[str, str]:
        assert list(mend(self.parts, checks))
        return self.faults()


def raw_mail() -> dict[bytes, bytes]:
    raws = [mail.raw for mail in generate(MAILS, 9, shape_of(SHAPE))]
    return {sha256(raw).digest(): raw for raw in raws}


@pytest.fixture
def yard(server: Callable[[str], str], boto: Callable[[str], Any], opensearch_url: str, prefix: str) -> Iterator[Yard]:
    url = new_database(server("postgres"), "t" + secrets.token_hex(5))
    writer, tables, client, names = Connections(url), boto("dynamodb"), connect(opensearch_url), Names(prefix)
    create(tables, prefix)
    install(client, names, replicas=0)
    dynamo, index = Dynamo(tables, prefix), Index(client, names, SCOPE)
    ledger = DynamoLedger(dynamo, lambda: 5000, SCOPE)
    stores = ServerStores(writer, SCOPE, DynamoNodes(dynamo, lambda: 5000, SCOPE), ledger, [index])
    mine = raw_mail()
    batches: list[list[Arrived]] = [
        [one for one in some if one.sealed.raw_sha256 in mine] for some in arrivals(MAILS, 9)
    ]
    fill_servers(stores, batches)
    raws = {one.sealed.origin.path: mine[one.sealed.raw_sha256] for some in batches for one in some}
    other = ServerStores(
        writer, "other", DynamoNodes(dynamo, lambda: 5000, "other"), DynamoLedger(dynamo, lambda: 0, "other")
    )
    fill_servers(other, batches[:1])
    reader = PostgresReader(
        Connections(url, read_only=True),
        DynamoNodes(dynamo, lambda: 5000, SCOPE),
        LedgerHistory(ledger),
        SCOPE,
        (BUCKET,),
    )
    readable = ServerReading(
        reader, Search(client, names, SCOPE), lambda _: Objects(raws), PostgresFigures(reader.state)
    )  # type: ignore[arg-type, return-value]
    parts = Parts(readable, stores.threads, PostgresChecks(reader.state), ledger.books, index)
    ids = [one.id for one in reader.whole.listed()]
    yield Yard(parts, writer, dynamo, client, names, raws, ids)
    readable.close()
    writer.close()
    client.indices.delete(index=f"{names.template}-*")


def digests(yard: Yard) -> Any:
    return digest(Archive(yard.parts.readable))


def test_what_the_index_holds_and_search_does_not_read(yard: Yard) -> None:
    """As where an index was restored from a snapshot without its alias: asked by its key, each document is there."""
    yard.client.indices.delete_alias(index=yard.names.index(yard.ids[0]), name=yard.names.alias)
    faults = yard.faults(deep=False)
    assert list(faults) == ["index"]
    assert "only" in faults["index"]
    assert install(yard.client, yard.names, replicas=0)
    assert yard.faults() == {}


def test_sound_servers_are_sound_and_looking_changes_nothing(yard: Yard) -> None:
    before = digests(yard)
    for deep in (True, False):
        findings = list(examine(yard.parts, deep=deep, seed=b"\x07"))
        assert [one.check for one in findings if not one.ok] == []
        assert [one.check for one in findings] == list(CHECKS)
    assert f"{len(yard.ids)} messages" in {one.check: one.found for one in findings}["conversations"]
    assert digests(yard) == before


def test_a_delivery_without_a_message_is_a_fault_and_a_dead_letter_is_none(yard: Yard) -> None:
    for pending, dead, fault in ((0, 0, False), (0, 3, False), (3, 3, False), (4, 3, True), (1, 0, True)):
        parts = replace(yard.parts, overdue=partial(Overdue, pending, dead))
        found = {one.check: one for one in examine(parts) if not one.ok}
        assert set(found) == ({"overdue"} if fault else set())
        if fault:
            assert f"{pending} deliveries are pending for more than a day, {dead} messages" in found["overdue"].found
            assert "mailloom ingest" in found["overdue"].mend


def test_what_is_wrong_in_tables_is_found_and_mended(yard: Yard) -> None:
    before = digests(yard)
    some = list(yard.ids[:3])
    yard.sql("delete from conversations where scope = %s and message = any(%b)", SCOPE, some)
    assert yard.faults().keys() >= {"tables"}
    assert "3 messages have no conversation" in yard.faults()["tables"]
    yard.sql("delete from stated where scope = %s and message = any(%b)", SCOPE, some[:2])
    yard.sql("delete from linked where scope = %s and message = %b", SCOPE, yard.ids[10])
    found = yard.faults()["tables"]
    assert "2 messages have no evidence" in found
    assert "links lack their way back" in found
    assert yard.mended("tables") == {}
    assert digests(yard) == before


def test_a_conversation_that_is_not_what_nodes_say_is_found_and_mended(yard: Yard) -> None:
    before = digests(yard)
    wrong = yard.ids[-1]
    yard.sql("update conversations set conversation = %b where scope = %s and message = %b", yard.ids[0], SCOPE, wrong)
    faults = yard.faults(deep=False)
    assert faults.keys() == {"conversations"}
    assert faults["conversations"].startswith("1 messages are not where")
    assert yard.mended("conversations") == {}
    assert digests(yard) == before


def test_what_a_worker_is_in_the_middle_of_is_no_fault(yard: Yard) -> None:
    """A root gave way in the nodes, and the rows that name it wait for the worker, or for who comes after it."""
    alone = [one.id for one in yard.parts.readable.reader.whole.listed()]
    rows = yard.parts.readable.reader.threads.conversations(alone)
    older, younger = sorted({conversation for conversation in rows.values() if conversation == rows[conversation]})[:2]
    threads = yard.parts.threads
    with threads.session():
        assert all(threads.swing([(message_node(younger), message_node(younger), message_node(older))]))
    findings = {one.check: one for one in examine(yard.parts)}
    assert [name for name, one in findings.items() if not one.ok] == []
    assert "1 roots may have moved" in findings["waiting"].found
    yard.sql("delete from moves where scope = %s", SCOPE)  # nobody will place them now
    assert yard.faults(deep=False).keys() == {"conversations"}
    assert yard.mended("conversations").keys() <= {"threads"}  # which no evidence joined


def test_what_differs_is_looked_at_again_after_a_while(yard: Yard) -> None:
    """Settle writes nodes, then rows, and notes nothing: only time tells it from a fault."""
    wrong = yard.ids[-1]
    right = yard.parts.readable.reader.threads.conversations([wrong])[wrong]
    put = "update conversations set conversation = %b where scope = %s and message = %b"
    yard.sql(put, yard.ids[0], SCOPE, wrong)
    pauses = []

    def pause() -> None:
        pauses.append(len(pauses))
        if len(pauses) == 2:
            yard.sql(put, right, SCOPE, wrong)

    assert {one.check: one.ok for one in examine(replace(yard.parts, pause=pause))}["conversations"]
    assert pauses == [0, 1]


@pytest.mark.parametrize("deep", [True, False])
def test_what_is_too_old_for_search_is_not_missed_there(yard: Yard, deep: bool) -> None:
    assert {month(message) for message in yard.ids} == {"2024-03", OTHER}
    since = "2024-04"
    limited = Index(yard.client, yard.names, SCOPE, since=lambda: since)
    kept = yard._replace(parts=replace(yard.parts, index=limited))
    assert expire(yard.client, yard.names, since) == [f"{yard.names.template}-2024-03"]
    assert "index" in yard.faults(deep=deep)  # who searches everything misses them
    assert kept.faults(deep=deep) == {}
    gone = [message for message in yard.ids if month(message) == OTHER]
    assert 0 < len(gone) < len(yard.ids)
    for message in gone:
        versioned = {"version": limited.version, "version_type": "external_gte"}
        yard.client.delete(index=yard.names.index(message), id=f"{SCOPE}/{message.hex()}", params=versioned)
    assert kept.faults(deep=deep)["index"].startswith(f"{len(gone)} messages are not in the search index")
    assert kept.mended("index") == {}
    assert list(yard.client.indices.get_alias(index=f"{yard.names.template}-*")) == [f"{yard.names.template}-{OTHER}"]


def test_what_the_index_lacks_is_found_and_put_in(yard: Yard) -> None:
    lost = [yard.ids[1], yard.ids[7]]
    before = yard.client.get(index=yard.names.index(lost[0]), id=f"{SCOPE}/{lost[0].hex()}")["_source"]
    for message in lost:
        # As of the version that is there: a plain one would leave behind that a newer version was deleted.
        versioned = {"version": yard.parts.index.version, "version_type": "external_gte"}  # type: ignore[union-attr]
        yard.client.delete(index=yard.names.index(message), id=f"{SCOPE}/{message.hex()}", params=versioned)
    faults = yard.faults(deep=False)
    assert faults.keys() == {"index"}
    assert faults["index"].startswith("2 messages are not in the search index")
    assert yard.mended("index") == {}
    after = yard.client.get(index=yard.names.index(lost[0]), id=f"{SCOPE}/{lost[0].hex()}")["_source"]
    assert after == before


def test_what_cannot_be_made_again_is_told(yard: Yard) -> None:
    copy = yard.parts.readable.reader.deliveries.copies([yard.ids[4]])[yard.ids[4]][0]
    for other in yard.parts.readable.reader.deliveries.copies([yard.ids[4]])[yard.ids[4]]:
        yard.raws[other.path] = b"overwritten"
    yard.sql("update messages set body = %b where scope = %s and id = %b", b"rubbish", SCOPE, yard.ids[5])
    faults = yard.faults()
    assert faults.keys() == {"raw", "records"}
    assert faults["raw"].startswith("the bytes of 1 of")
    assert faults["records"].startswith("1 of")
    assert list(mend(yard.parts, list(faults))) == []
    assert copy.path in yard.raws


def test_books_that_say_more_than_there_is(yard: Yard) -> None:
    (line,) = [one.found for one in examine(yard.parts) if one.check == "books"]
    assert line.startswith(f"{BUCKET}: received ")
    lied = [replace_delivery(number) for number in range(700)]
    DynamoLedger(yard.dynamo, lambda: 0, SCOPE).deliver(lied)
    assert "but there are" in yard.faults(deep=False)["books"]


def replace_delivery(number: int) -> Delivery:
    origin = Origin(BUCKET, f"lie/{number}", 0, 1, 1, 0)
    return Delivery(origin, 0, 0, "stored", MessageId(b"l" * 16), b"", b"{}", "", "1", object="v")


def test_a_store_that_is_away_fails_its_checks_only(yard: Yard) -> None:
    from mailloom.ports import Transient

    def away() -> Any:
        raise Transient("DynamoDB is away")

    findings = {one.check: one for one in examine(replace(yard.parts, books=away))}
    assert not findings["books"].ok
    assert "away" in findings["books"].found
    assert all(one.ok for name, one in findings.items() if name != "books")
