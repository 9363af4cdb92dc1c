"""PostgreSQL's schema, partitions, limits and errors, and that look-ups by key stay look-ups as partitions become many."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from arrivals import arrivals
from mailloom.flow.retry import Backoff, persist
from mailloom.mail.model import MessageId
from mailloom.ports import Fenced, Transient, UserError
from mailloom.stores.postgres.connection import Connections, endpoints
from mailloom.stores.postgres.messages import PostgresMessages
from mailloom.stores.postgres.migrate import check, migrate, migrations
from mailloom.stores.postgres.partitions import NO_MONTH, TABLES, make, month_of, months, window
from mailloom.stores.postgres.scoped import Scoped
from server_stores import database, threads_in

pytestmark = pytest.mark.servers
JANUARY = 1_704_067_200_000  # 2024-01-01


@pytest.fixture
def empty(postgres_url: str) -> Iterator[Connections]:
    made = Connections(postgres_url, size=8)
    yield made
    made.close()


def ask(connections: Connections, query: str, *values: object) -> list[tuple[Any, ...]]:
    return Scoped(connections, "", lambda: 0).rows(query, values)


# ------------------------------------------------------------------------------------------------ versions
def test_an_empty_database_gets_every_table_once(empty: Connections) -> None:
    with pytest.raises(UserError, match=r"has no tables, .* run `mailloom migrate`"):
        check(empty)
    assert migrate(empty) == [m.name for m in migrations() if not m.after]
    check(empty)
    assert migrate(empty) == []


def test_several_who_migrate_at_once_do_it_once(empty: Connections) -> None:
    barrier = Barrier(4)

    def run(_: int) -> list[str]:
        barrier.wait()
        return migrate(empty)

    with ThreadPoolExecutor(4) as pool:
        done = [name for names in pool.map(run, range(4)) for name in names]
    assert sorted(done) == [m.name for m in migrations() if not m.after]


def test_a_newer_schema_is_left_alone(empty: Connections) -> None:
    migrate(empty)
    ask(empty, "insert into schema_version values (99, 'later.after') returning 1")
    for touch in (migrate, check):
        with pytest.raises(UserError, match=r"newer mailloom \(version 99.*update mailloom; nothing was touched"):
            touch(empty)


def test_numbers_have_no_gap() -> None:
    assert [m.number for m in migrations()] == list(range(1, len(migrations()) + 1))


# ------------------------------------------------------------------------------------------------ partitions
def message(ms: int) -> MessageId:
    return MessageId(ms.to_bytes(6, "big") + secrets.token_bytes(10))


@pytest.mark.parametrize(
    ("ms", "month"),
    [
        (0, 197001),
        (JANUARY - 1, 202312),
        (JANUARY, 202401),
        (JANUARY + 31 * 86_400_000 - 1, 202401),
        (253_402_300_799_999, 999912),
        (253_402_300_800_000, NO_MONTH),
        ((1 << 48) - 1, NO_MONTH),
    ],
)
def test_the_month_follows_from_the_id(ms: int, month: int) -> None:
    assert month_of(message(ms)) == month


def test_a_window_is_years_back_and_months_ahead() -> None:
    assert window(JANUARY, back=10, ahead=3) == (201401, 202404)
    assert window(JANUARY - 1, back=0, ahead=1) == (202301, 202401)
    assert window(JANUARY - 1, back=0, ahead=0) == (202301, 202312)
    assert list(months(202311, 202402)) == [202311, 202312, 202401, 202402]


def put(connections: Connections, ms: int) -> MessageId:
    sealed = next(a.sealed for a in arrivals(3, 1) if a.sealed.row is not None)
    assert sealed.row is not None
    assert sealed.words is not None
    one = message(ms)
    row, words = sealed.row._replace(id=one), sealed.words
    messages = PostgresMessages(Scoped(connections, "", lambda: 0))
    persist(lambda: messages.put([(row, words, ())]), Backoff(), lambda _: None, lambda: 0.0)
    return one


def where(connections: Connections, one: MessageId) -> str:
    return str(ask(connections, "select tableoid::regclass::text from messages where id = %b", one)[0][0])


def test_what_has_no_partition_lies_in_the_default_one_until_there_is_one(empty: Connections) -> None:
    migrate(empty)
    early, late, never = put(empty, JANUARY), put(empty, JANUARY - 1), put(empty, (1 << 48) - 1)
    assert {where(empty, one) for one in (early, late, never)} == {"messages_rest"}
    assert make(empty, 202312, 202401) == 2 * len(TABLES)
    assert (where(empty, early), where(empty, late)) == ("messages_202401", "messages_202312")
    assert where(empty, never) == "messages_rest"
    assert make(empty, 202312, 202402) == len(TABLES)
    assert len(ask(empty, "select 1 from messages")) == 3
    finished = PostgresMessages(Scoped(empty, "", lambda: 0))
    finished.finish([early])
    assert finished.finished([early, late, never]) == {early}


def test_partitions_are_made_by_several_at_once_and_beside_a_worker(empty: Connections) -> None:
    migrate(empty)
    barrier = Barrier(4)

    def run(number: int) -> int:
        barrier.wait()
        if number:
            return make(empty, 202401, 202404)
        for day in range(100):
            put(empty, JANUARY + day * 86_400_000)
        return 0

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(4))) == 4 * len(TABLES)
    assert len(ask(empty, "select 1 from messages")) == 100
    assert not ask(empty, "select 1 from messages_rest")


# ------------------------------------------------------------------------------------------------ plans
def plan(connections: Connections, statement: str, values: Any) -> str:
    """Without what was never executed: which partition has a key may be found only when the key is known."""
    how = "explain (analyze)" if statement.startswith("select") else "explain"
    with connections.take() as connection, connection.transaction():
        for table in ("new_messages", "new_copies", "new_stated", "new_links"):
            connection.execute(
                f"create temporary table if not exists {table} (like {table[4:]}) on commit drop".encode()
            )
        rows = connection.execute(f"{how} {statement}".encode(), values)
        return "\n".join(row[0] for row in rows if "never executed" not in row[0])


def test_a_large_default_partition_may_take_its_time(empty: Connections) -> None:
    """A limit would be met every month anew, and no partition be made again. Other statements have theirs (below)."""
    migrate(empty)
    with empty.take() as connection:
        for statement in (
            "create table noted (setting text)",
            """create function note() returns event_trigger language plpgsql as
              $$ begin insert into noted values (current_setting('statement_timeout')); end $$""",
            "create event trigger noting on ddl_command_end execute function note()",
        ):
            connection.execute(statement)
    assert make(empty, 202403, 202404) == 2 * len(TABLES)
    with empty.take() as connection:
        assert connection.execute("select distinct setting from noted").fetchall() == [("0",)]


def test_no_look_up_visits_every_partition(postgres_url: str) -> None:
    """By its plan with ten years of partitions: what is asked for by message touches its month, what by key one sixteenth."""
    connections = database(postgres_url, 201401, 202312)
    asked: list[tuple[str, Any]] = []

    class Watching(Scoped):
        def rows(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
            asked.append((statement, values))
            return super().rows(statement, values)

        def write(self, statement: str, values: Any) -> None:
            asked.append((statement, values))
            super().write(statement, values)

    threads = threads_in(connections)
    watching = Watching(connections, "", lambda: 0)
    messages = PostgresMessages(watching)
    for part in (threads._evidence, threads._marks, threads._edits, threads._conversations):
        part.scoped = watching  # type: ignore[attr-defined]
    ids = [message(JANUARY - 1), message(JANUARY - 40 * 86_400_000)]
    messages.finished(ids)
    messages.finish(ids)
    threads.stated(ids)
    threads.linked([b"\x01" + bytes(16)])
    threads.asking([bytes(16)])
    threads.drawn(ids)
    threads.mark(ids)
    threads.unmark(threads.dirty(9))
    assert len(asked) >= 8
    for statement, values in asked:
        found = set(
            re.findall(r"(?:on|using) (?:\w+ on )?(\w+?_(?:\d+|rest))\b", plan(connections, statement, values).lower())
        )
        assert len(found) <= 2, (statement, found)
    assert any("messages" in statement for statement, _ in asked)
    connections.close()


# ------------------------------------------------------------------------------------------------ leases
def test_whoever_writes_under_a_lease_is_waited_for(postgres_url: str) -> None:
    connections = database(postgres_url, 202301, 202301)
    scoped = Scoped(connections, "", lambda: 0)
    first = scoped.leased()
    with ThreadPoolExecutor(1) as pool:
        with first.transaction() as connection:
            taking = pool.submit(scoped.leased)
            with pytest.raises(TimeoutError):
                taking.result(timeout=0.3)
            connection.execute("insert into marks values ('', 'm', 1)")
        assert taking.result(timeout=10).lease == 2
    with pytest.raises(Fenced, match="settle 1 was overtaken by settle 2"):
        first.write("insert into marks values ('', 'n', 1)", ())
    assert ask(connections, "select message from marks") == [(b"m",)]
    connections.close()


def test_leases_of_scopes_are_apart(postgres_url: str) -> None:
    connections = database(postgres_url, 202301, 202301)
    first = Scoped(connections, "a", lambda: 0).leased()
    Scoped(connections, "b", lambda: 0).leased()
    first.write("insert into marks values ('a', 'm', 1)", ())
    connections.close()


# ------------------------------------------------------------------------------------------------ errors
def raised(work: Callable[[], object], kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match) as told:
        work()
    assert type(told.value) is kind


def connect(dsn: str) -> None:
    connections = Connections(dsn)
    try:
        ask(connections, "select 1")
    finally:
        connections.close()


def test_what_its_owner_can_mend_is_said(postgres_url: str, empty: Connections) -> None:
    raised(
        lambda: connect(make_conninfo(postgres_url, dbname="nowhere")),
        UserError,
        "nowhere.*check user, password and database",
    )
    raised(
        lambda: connect(make_conninfo(postgres_url, user="nobody")),
        UserError,
        "nobody.*check user, password and database",
    )
    raised(lambda: connect("postgres//wrong"), UserError, "can't be read.*it looks like postgresql://")
    raised(lambda: ask(empty, "select 1 from messages"), UserError, "lacks tables.*run `mailloom migrate`")
    raised(lambda: connect(make_conninfo(postgres_url, port="1")), Transient, "127.0.0.1:1/.* does not answer")


def test_no_password_is_told(postgres_url: str) -> None:
    with pytest.raises(UserError) as told:
        connect(make_conninfo(postgres_url, user="nobody", password="s3cret"))
    assert "s3cret" not in str(told.value)


def test_a_bug_goes_up(empty: Connections) -> None:
    with pytest.raises(psycopg.errors.SyntaxError):
        ask(empty, "selekt 1")


def test_statements_and_locks_have_limits(empty: Connections) -> None:
    with empty.take() as connection:
        limits = [
            connection.execute(f"show {name}".encode()).fetchone() for name in ("statement_timeout", "lock_timeout")
        ]
    assert limits == [("1min",), ("10s",)]
    with empty.take() as connection:
        connection.execute("set statement_timeout = 50")
    raised(lambda: ask(empty, "select pg_sleep(5)"), Transient, "can't do it now.*statement timeout")


def test_two_in_a_deadlock_are_told_to_come_again(postgres_url: str) -> None:
    connections = database(postgres_url, 202301, 202301)
    ask(connections, "insert into leases values ('', 'a', 0), ('', 'b', 0) returning 1")
    barrier = Barrier(2)

    def run(names: str) -> bool:
        try:
            with connections.take() as connection, connection.transaction():
                for name in names:
                    connection.execute("update leases set number = number + 1 where name = %s", (name,))
                    if name == names[0]:
                        barrier.wait()
        except Transient:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(run, ("ab", "ba"))) == [False, True]
    assert ask(connections, "select name, number from leases order by 1") == [("a", 1), ("b", 1)]
    connections.close()


def test_the_reader_endpoint_writes_nothing(postgres_url: str) -> None:
    database(postgres_url, 202301, 202301).close()
    writer, reader = endpoints(postgres_url)
    ask(writer, "insert into marks values ('', 'm', 1) returning 1")
    assert ask(reader, "select message from marks") == [(b"m",)]
    with pytest.raises(Transient):  # as after a failover, when the writer's name still leads to a reader
        ask(reader, "insert into marks values ('', 'n', 1) returning 1")
    writer.close()
    reader.close()


def test_no_statement_is_no_statement(postgres_url: str) -> None:
    """What is asked with nothing to ask for costs no round trip."""
    connections = database(postgres_url, 202301, 202301)
    threads = threads_in(connections)
    connections.close()
    connections.take = None  # type: ignore[method-assign, assignment]
    threads.mark([])
    threads.unmark({})
    threads.ask([])
    threads.draw([])
    threads.tell([])
    assert not threads.stated([])
    assert not threads.linked([])
    assert not threads.asking([])
    assert not threads.drawn([])
