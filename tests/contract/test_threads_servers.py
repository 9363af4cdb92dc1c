"""The contract of threads stores, kept by the composite of the server profile: nodes in one store, the rest in PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import test_threads_contract as contract
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailloom.ports import Threads
from mailloom.stores.postgres.connection import Connections
from server_stores import database, placed, threads_in

pytestmark = pytest.mark.servers

OTHER_STORES = {"test_threads_in_any_store_are_those_of_everything_at_once"}
# The contract's tests, which take this module's fixtures when they are found here.
globals().update({n: t for n, t in vars(contract).items() if n.startswith("test_") and n not in OTHER_STORES})


@pytest.fixture
def connections(postgres_url: str) -> Iterator[Connections]:
    made = database(postgres_url)
    yield made
    made.close()


@pytest.fixture
def resting(connections: Connections) -> Threads:
    return threads_in(connections)


@pytest.fixture
def threads(connections: Connections) -> Iterator[Threads]:
    store = threads_in(connections)
    with store.session():
        yield store


@given(mails=contract.mails, data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_readers_see_what_everything_at_once_says(
    connections: Connections, mails: list[tuple[int, list[int], int, bool]], data: st.DataObject
) -> None:
    """In any order, with a settle at any time; each example is a scope of its own in one database."""
    scope = secrets.token_hex(4)
    threads = threads_in(connections, scope)
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
