"""commit() over the server profile's PostgreSQL, with whoever works on it killed, cut off or in each other's way: the rows are those of a
run that nobody disturbed.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import psycopg
import pytest
from proxy import Proxy
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from arrivals import arrivals, batches
from mailloom.flow.commit import Arrived, commit
from mailloom.flow.retry import Backoff, persist
from mailloom.mail.model import MessageId
from mailloom.ports import Delivery, Frame, Transient
from mailloom.stores.postgres.connection import Connection, Connections
from mailloom.stores.postgres.messages import PostgresCopies, PostgresMessages
from mailloom.stores.postgres.migrate import migrate
from mailloom.stores.postgres.scoped import Scoped
from mailloom.thread.settle import settle
from mailloom.wire.servers import ServerLedger, ServerMessages, ServerThreads
from server_stores import LockedNodes, MemoryNodes, database, threads_in

pytestmark = pytest.mark.servers
MAILS = 60


class Raws:
    def keep(self, frames: Sequence[Frame]) -> None: ...


class Books:
    """A ledger in memory: what each delivery was told to be, last."""

    def __init__(self) -> None:
        self.states: dict[str, str] = {}

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        self.states.update((d.origin.path, d.state) for d in deliveries)


class Stores:
    """flow.commit.Stores of one worker. Workers of one world share a database, nodes and books."""

    def __init__(self, connections: Connections, scope: str, nodes: MemoryNodes, books: Books) -> None:
        scoped = Scoped(connections, scope, lambda: 7)
        self.connections, self.scope = connections, scope
        self.threads: ServerThreads = threads_in(connections, scope, nodes)
        self.messages = ServerMessages(PostgresMessages(scoped), ())
        self.ledger = ServerLedger(PostgresCopies(scoped), books)
        self.raws = Raws()


def world(connections: Connections, scope: str = "") -> Stores:
    return Stores(connections, scope, MemoryNodes(), Books())


@pytest.fixture
def connections(postgres_url: str) -> Iterator[Connections]:
    made = database(postgres_url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def arriving() -> list[Arrived]:
    return arrivals(MAILS, 11)


TABLES = {
    "messages": "month, id, content_hash, twin, subject, base_subject, sender, message_id, marks, attachments, nested, problems, body, sketch",
    "people": "*",
    "nested": "*",
    "attachments": "*",
    "stated": "*",
    "links": "*",
    "linked": "*",
    "unfinished": "*",
    "conversations": "*",
    "moves": "message",
    "marks": "message",
    "soft": "*",
    "copies": "message, place, source, path, raw_sha256, trace",
}


def rows(connections: Connections, scope: str = "") -> dict[str, list[Any]]:
    """All that a run leaves, but for what is of the copy that came first, and what is history."""
    found: dict[str, list[Any]] = {}
    with connections.take() as connection:
        for table, columns in TABLES.items():
            query = f"select {columns} from {table} where scope = %s{' and live' if table == 'soft' else ''}"
            some = connection.execute(query.encode(), (scope,), binary=True).fetchall()
            found[table] = sorted((row[columns == "*" :] for row in some), key=repr)  # without the scope
    return found


def stored_once(connections: Connections, scope: str = "") -> bool:
    with connections.take() as connection:
        query = """select count(*) from (select from copies where scope = %s group by message
          having count(*) filter (where state = 'stored') <> 1) odd"""
        return connection.execute(query, (scope,)).fetchone() == (0,)


def settled(stores: Stores) -> dict[str, list[Any]]:
    settle(stores.threads)
    assert stored_once(stores.connections, stores.scope)
    return rows(stores.connections, stores.scope)


@pytest.fixture
def undisturbed(connections: Connections, arriving: list[Arrived]) -> dict[str, list[Any]]:
    calm = world(connections, "calm")
    for batch in batches(arriving, 16):
        commit(batch, (), calm)
    found = settled(calm)
    assert not found["unfinished"]
    assert not found["moves"]
    assert not found["marks"]
    assert all(found[table] for table in ("messages", "people", "nested", "attachments", "links", "copies", "soft"))
    return found


def patient(work: Callable[..., object], *values: object) -> None:
    persist(lambda: work(*values), Backoff(first=0.01, most=0.2, attempts=60), lambda _: None, lambda: 0.0)


# ------------------------------------------------------------------------------------------------ scopes, order, replays
def test_two_scopes_with_the_same_mail(
    connections: Connections, arriving: list[Arrived], undisturbed: dict[str, list[Any]]
) -> None:
    first = world(connections, "a")
    second = world(connections, "b")
    for batch in batches(arriving, 16):
        commit(batch, (), first)
    assert all(not some for some in rows(connections, "b").values())
    for batch in batches(arriving[:20], 7):
        commit(batch, (), second)
    assert settled(first) == undisturbed
    assert len(settled(second)["messages"]) < len(undisturbed["messages"])
    assert settled(first) == undisturbed


class Died(Exception):
    """A worker was killed."""


class Mortal:
    """Stores whose worker dies before the n-th call of any store."""

    def __init__(self, stores: Stores, calls: int) -> None:
        self.left = calls
        for name in ("threads", "messages", "ledger", "raws"):
            setattr(self, name, Dying(getattr(stores, name), self))


class Dying:
    def __init__(self, store: object, mortal: Mortal) -> None:
        self._store, self._mortal = store, mortal

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*values: Any, **named: Any) -> Any:
            if self._mortal.left == 0:
                raise Died
            self._mortal.left -= 1
            return method(*values, **named)

        return call


@pytest.mark.parametrize("seed", range(8))
def test_a_crash_between_any_two_calls_and_a_replay(
    seed: int, connections: Connections, arriving: list[Arrived], undisturbed: dict[str, list[Any]]
) -> None:
    """Workers die and their mails come again, in any order and in other batches; some come again without reason."""
    r = Random(seed)
    nodes, books = MemoryNodes(), Books()
    waiting = [*arriving, *r.sample(arriving, 10)]
    r.shuffle(waiting)
    died = 0
    while waiting:
        size = r.choice([3, 9, 20])
        batch, waiting = waiting[:size], waiting[size:]
        mortal = Mortal(Stores(connections, "", nodes, books), r.choice([r.randrange(10), 10_000]))
        try:
            commit(batch, (), mortal)  # type: ignore[arg-type]
        except Died:
            died += 1
            waiting += batch
            r.shuffle(waiting)
    assert died
    assert settled(Stores(connections, "", nodes, books)) == undisturbed
    assert len(books.states) == len(arriving)
    assert sum(state == "stored" for state in books.states.values()) == len(undisturbed["messages"])


# ------------------------------------------------------------------------------------------------ connections
class Killing(Connections):
    """Connections whose backend is terminated before some statement of a transaction."""

    def __init__(self, connections: Connections, r: Random) -> None:
        super().__init__(connections.dsn, size=2)
        self.other, self.r, self.kills = connections, r, 0

    @contextmanager
    def take(self) -> Iterator[Connection]:
        with super().take() as connection:
            if self.r.random() < 0.4:
                pid = connection.info.backend_pid
                after = self.r.randrange(6)
                execute = connection.execute

                def dying(*values: Any, **named: Any) -> Any:
                    nonlocal after
                    if after == 0:
                        self.kills += 1
                        with self.other.take() as another:
                            another.execute("select pg_terminate_backend(%s, 5000)", (pid,))
                    after -= 1
                    return execute(*values, **named)

                connection.execute = dying  # type: ignore[method-assign]
                try:
                    yield connection
                finally:
                    connection.execute = execute  # type: ignore[method-assign]
            else:
                yield connection


def test_a_backend_that_is_killed_in_the_middle_of_a_commit(
    connections: Connections, arriving: list[Arrived], undisturbed: dict[str, list[Any]]
) -> None:
    killing = Killing(connections, Random(5))
    stores = world(killing)
    for batch in batches(arriving, 16):
        patient(commit, batch, (), stores)
    patient(settle, stores.threads)
    assert killing.kills > 10
    assert settled(Stores(connections, "", MemoryNodes(), Books())) == undisturbed
    killing.close()


def test_a_connection_that_is_cut_anywhere(
    connections: Connections, arriving: list[Arrived], undisturbed: dict[str, list[Any]]
) -> None:
    """In what is sent and in what is answered, so that a commit may be done whose answer never comes."""
    parts = conninfo_to_dict(connections.dsn)
    r = Random(6)
    cuts = 0
    with Proxy("127.0.0.1", int(parts["port"] or 0)) as proxy:
        cut = Connections(
            make_conninfo(connections.dsn, port=proxy.port, sslmode="disable", gssencmode="disable"), size=2
        )
        stores = world(cut)
        for batch in batches(arriving, 16):
            for _ in range(4):
                proxy.cut(r.randrange(60_000) if r.random() < 0.7 else r.randrange(4000), answers=r.random() < 0.3)
                try:
                    commit(batch, (), stores)
                except Transient:
                    cuts += 1
            proxy.forward()
            patient(commit, batch, (), stores)
        proxy.forward()
        patient(settle, stores.threads)
        cut.close()
    assert cuts > 5
    assert settled(Stores(connections, "", MemoryNodes(), Books())) == undisturbed


def test_a_server_that_is_away_is_transient_and_then_there_again(postgres_url: str) -> None:
    parts = conninfo_to_dict(postgres_url)
    with Proxy("127.0.0.1", int(parts["port"] or 0)) as proxy:
        away = Connections(make_conninfo(postgres_url, port=proxy.port))
        migrate(away)
        proxy.refuse()
        with pytest.raises(Transient, match=f"{proxy.port}"):
            Scoped(away, "", lambda: 0).rows("select 1", ())
        proxy.forward()
        assert Scoped(away, "", lambda: 0).rows("select 1", ()) == [(1,)]
        away.close()


def test_a_writer_that_became_a_reader_is_left_for_the_new_one(
    postgres_url: str, own_server: Callable[[str], Any]
) -> None:
    """After a failover of Aurora, the writer's name leads to the old one for some seconds: that takes connections, and writes nothing."""
    parts = conninfo_to_dict(postgres_url)
    before = own_server("postgres")
    with psycopg.connect(before.url, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(str(parts["dbname"]))))
        data = str(admin.execute("show data_directory").fetchall()[0][0])
    for dsn in (postgres_url, make_conninfo(postgres_url, port=before.port)):
        each = Connections(dsn)
        migrate(each)
        each.close()
    before.kill(signal.SIGINT)
    Path(data, "standby.signal").touch()
    before.start()
    with Proxy("127.0.0.1", before.port) as name:
        writer = Connections(make_conninfo(postgres_url, port=name.port))
        finish = PostgresMessages(Scoped(writer, "", lambda: 0)).finish
        for _ in range(2):
            with pytest.raises(Transient, match="read-only"):
                finish([MessageId(b"one")])
        name.forward(int(parts["port"] or 0))
        finish([MessageId(b"one")])
        writer.close()


# ------------------------------------------------------------------------------------------------ at the same time
def test_eight_committers_with_the_same_mails(
    connections: Connections, arriving: list[Arrived], undisturbed: dict[str, list[Any]]
) -> None:
    """Each brings three quarters of all, in its own order; who is told to wait, or is in a deadlock, comes again."""
    nodes, books = LockedNodes(), Books()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        r = Random(number)
        mine = r.sample(arriving, len(arriving) * 3 // 4)
        stores = Stores(connections, "", nodes, books)
        try:
            for batch in batches(mine, 15):
                patient(commit, batch, (), stores)
        except BaseException as error:
            errors.append(error)

    crew = [Thread(target=work, args=(number,)) for number in range(8)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    assert not errors
    calm = Stores(connections, "", nodes, books)
    for batch in batches(arriving, 15):
        commit(batch, (), calm)
    assert settled(calm) == undisturbed


def test_a_server_whose_machine_vanished_is_noticed(postgres_url: str) -> None:
    """What TCP is told, as no test can take a machine away; what the DSN says of it counts for more."""
    for dsn, idle in ((postgres_url, 30), (make_conninfo(postgres_url, keepalives_idle=7), 7)):
        connections = Connections(dsn)
        with connections.take() as connection:
            told = socket.socket(fileno=os.dup(connection.fileno()))
            with told:
                assert told.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
                assert 60_000 < told.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 120_000
        connections.close()
