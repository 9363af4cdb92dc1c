"""The contract of threads stores, kept by the composite of the server profile: nodes in one store, the rest in PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import test_threads_contract as contract
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailloom.ports import Threads
from mailloom.stores.dynamodb import Dynamo, DynamoNodes, create
from mailloom.stores.postgres.connection import Connections
from mailloom.wire import now_ms
from server_stores import MemoryNodes, database, placed, threads_in

pytestmark = pytest.mark.servers

OTHER_STORES = {"test_threads_in_any_store_are_those_of_everything_at_once"}
# The contract's tests, which take this module's fixtures when they are found here.
globals().update({n: t for n, t in vars(contract).items() if n.startswith("test_") and n not in OTHER_STORES})


@pytest.fixture
def connections(postgres_url: str) -> Iterator[Connections]:
    made = database(postgres_url)
    yield made
    made.close()


NodesOf = Callable[[str], Any]


@pytest.fixture(params=["memory", "dynamodb"])
def nodes_of(request: pytest.FixtureRequest) -> NodesOf:
    """nodes_of(scope) -> the half that has nodes and items."""
    if request.param == "memory":
        return lambda _: MemoryNodes()
    client, prefix = request.getfixturevalue("boto")("dynamodb"), request.getfixturevalue("prefix")
    create(client, prefix)
    dynamo = Dynamo(client, prefix)
    return lambda scope: DynamoNodes(dynamo, now_ms, scope)


@pytest.fixture
def resting(connections: Connections, nodes_of: NodesOf) -> Threads:
    return threads_in(connections, nodes=nodes_of(""))


@pytest.fixture
def threads(resting: Threads) -> Iterator[Threads]:
    with resting.session():
        yield resting


@given(mails=contract.mails, data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_readers_see_what_everything_at_once_says(
    connections: Connections,
    nodes_of: NodesOf,
    mails: list[tuple[int, list[int], int, bool]],
    data: st.DataObject,
) -> None:
    """In any order, with a settle at any time; each example is a scope of its own in one database."""
    scope = secrets.token_hex(4)
    threads = threads_in(connections, scope, nodes_of(scope))
    everything = [
        contract.of_numbers(n, own, cites, subject, reply=re) for n, (own, cites, subject, re) in enumerate(mails, 1)
    ]
    for stated in data.draw(st.permutations(everything)):
        with threads.session():
            contract.weave(threads, [stated])
            threads.place([stated.message])
        if data.draw(st.booleans()):
            contract.settle(threads)
    contract.settle(threads)
    conversations, targets = contract.derive(everything)
    assert placed(connections, scope) == conversations
    assert not threads._scoped.rows("select 1 from moves where scope = %s", (scope,))
    for message in conversations:
        live = {row.target for row in threads.drawn([message]) if row.source == message and row.live}
        assert live == {t.target for t in targets[message]}


def test_placing_reads_little_more_than_the_roots(
    connections: Connections, boto: Callable[[str], Any], prefix: str
) -> None:
    """Replies give way in the batch that brings them, when no row names them yet: nothing has to be asked of their nodes."""
    client = boto("dynamodb")
    create(client, prefix)
    dynamo = Dynamo(client, prefix)
    threads = threads_in(connections, nodes=DynamoNodes(dynamo, now_ms, ""))
    mails = [contract.of_numbers(n, [n], [n - n % 10], 1, reply=n % 10 > 0) for n in range(10, 110)]
    for batch in (mails[:50], mails[50:]):
        with threads.session():
            contract.weave(threads, batch)
            before = dynamo.spent.read.total()
            threads.place([stated.message for stated in batch])
            assert dynamo.spent.read.total() - before <= 5 + 1
    assert len(set(placed(connections, "").values())) == 10
    assert not threads._scoped.rows("select 1 from moves", ())
