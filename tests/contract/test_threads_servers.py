"""The contract of threads stores, kept by the composite of the server profile: nodes in one store, the rest in PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import test_threads_contract as contract
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from server_stores import database, threads_in

from mailloom.ports import Threads
from mailloom.stores.postgres.connection import Connections

pytestmark = pytest.mark.servers

globals().update({name: test for name, test in vars(contract).items() if name.startswith("test_") and "given" not in name})


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
