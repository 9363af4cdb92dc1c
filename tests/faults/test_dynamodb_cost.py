"""What a mail costs in DynamoDB, in units of its bill: made-up traffic like that of lists, through weave and the ledger."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from mailloom.flow.transform import transform
from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Delivery, Link, Pointer, Stated
from mailloom.stores.dynamodb import CLUES, NODES, Dynamo, DynamoLedger, DynamoNodes, create
from mailloom.stores.valkey import ValkeyCache
from mailloom.synth import generate
from mailloom.thread.keys import key_name
from mailloom.thread.weave import weave

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "contract"))
from dynamo_stores import Halves

pytestmark = pytest.mark.servers

MAILS, BATCH = 1000, 64


@pytest.fixture(scope="module")
def mails() -> list[Stated]:
    outcomes = [
        transform(mail.raw, Origin("made up", f"{n}", 0, len(mail.raw), len(mail.raw), 0))
        for n, mail in enumerate(generate(MAILS, 1))
    ]
    return [outcome.stated for outcome in outcomes if outcome.stated is not None]


def spend(dynamo: Dynamo, mails: Sequence[Stated], cache: Any = None) -> None:
    """Bring them in batch by batch, as a worker does, with their rows in the ledger."""
    threads = Halves(DynamoNodes(dynamo, lambda: 1_800_000_000_000, cache=cache))
    ledger = DynamoLedger(dynamo, lambda: 1_800_000_000_000)
    for at in range(0, len(mails), BATCH):
        batch = mails[at : at + BATCH]
        pointers = [Pointer("mail", s.message.hex(), "v1", "e", 5000, 1_800_000_000_000) for s in batch]
        ledger.received(pointers)
        weave(threads, batch)
        ledger.deliver(
            [
                Delivery(
                    Origin(p.source, p.key, 0, p.size, p.size, 0, p.at),
                    0,
                    p.at,
                    "stored",
                    s.message,
                    bytes(32),
                    b"{}",
                    "",
                    "1.0",
                    p.object,
                )
                for p, s in zip(pointers, batch, strict=True)
            ]
        )


@pytest.fixture
def dynamo(boto: Callable[[str], Any], prefix: str) -> Dynamo:
    client = boto("dynamodb")
    create(client, prefix)
    return Dynamo(client, prefix)


def test_header_evidence_costs_seven_write_units_and_four_read_units(dynamo: Dynamo, mails: list[Stated]) -> None:
    spend(dynamo, [s._replace(owns=(), asks=()) for s in mails])
    assert dynamo.spent.written.total() <= 7.0 * len(mails), dynamo.spent.written
    assert dynamo.spent.read.total() <= 4.0 * len(mails), dynamo.spent.read
    assert dynamo.spent.calls.total() <= 0.6 * len(mails), dynamo.spent.calls


def test_with_a_warm_cache_it_costs_two_read_units(dynamo: Dynamo, mails: list[Stated], valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        cache = ValkeyCache(client, time.monotonic)
        spend(dynamo, [s._replace(owns=(), asks=()) for s in mails], cache)
        assert dynamo.spent.written.total() <= 7.0 * len(mails), dynamo.spent.written
        assert dynamo.spent.read.total() <= 2.0 * len(mails), dynamo.spent.read
        assert cache.hits > 0
        assert not cache.errors


def test_a_first_mail_and_its_reply_write_each_item_once(dynamo: Dynamo) -> None:
    """A key that nobody met gets its parent and its notes at once; of who begins a thread there is no node; the reply notes the first one's key."""
    threads = Halves(DynamoNodes(dynamo, lambda: 1_800_000_000_000))
    first, reply = (
        Stated(MessageId(bytes(15) + bytes([n])), b"subject.", (b"person..",), n, links)
        for n, links in enumerate(
            (
                (Link("message-id", key_name("id", "a@example.org"), True, ""),),
                (
                    Link("message-id", key_name("id", "b@example.org"), True, ""),
                    Link("references", key_name("id", "a@example.org"), False, ""),
                ),
            ),
            1,
        )
    )
    weave(threads, [first])
    assert dynamo.spent.written == {NODES: 1}
    weave(threads, [reply])
    assert dynamo.spent.written == {NODES: 1 + 3}


def test_soft_evidence_is_most_of_the_bill(dynamo: Dynamo, mails: list[Stated]) -> None:
    """Made-up mail repeats its sentences, so its clues are written and refused more often than those of real lists (docs/dynamodb.md)."""
    spend(dynamo, mails)
    assert dynamo.spent.written[NODES] <= 5.2 * len(mails), dynamo.spent.written
    assert dynamo.spent.written[CLUES] <= 11.0 * len(mails), dynamo.spent.written
    assert dynamo.spent.read.total() <= 7.0 * len(mails), dynamo.spent.read


def test_bringing_everything_in_again_leaves_all_as_it_was(dynamo: Dynamo, mails: list[Stated]) -> None:
    """Once more than once: the first time again, long paths to roots are shortened."""
    some = mails[:200]
    spend(dynamo, some)
    spend(dynamo, some)
    before = {table: everything(dynamo, table) for table in (NODES, CLUES)}
    spend(dynamo, some)
    assert {table: everything(dynamo, table) for table in (NODES, CLUES)} == before


def everything(dynamo: Dynamo, table: str) -> dict[bytes, bytes]:
    pages = dynamo.client.get_paginator("scan").paginate(TableName=dynamo.prefix + table)
    return {item["k"]["B"]: item["b"]["B"] for page in pages for item in page["Items"]}
