"""Epochs of threads: one row says which counts, scopes never meet, what doesn't count goes in small steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.model import MessageId
from mailloom.ports import ClueNote, FeedEntry, KeyNote, Link, Soft, Stated, UserError
from mailloom.ports.scope import checked
from mailloom.stores.sqlite import Connection, SqliteThreads, connect, epochs
from mailloom.stores.sqlite.connection import transaction
from mailloom.thread.keys import key_name, message_node, short_hash

ONE = MessageId(bytes(15) + b"\x01")
KEY, CLUE = key_name("id", "a@example.org"), short_hash("subject", "lunch")


@pytest.fixture
def connection(tmp_path: Path) -> Connection:
    return connect(tmp_path / "archive.sqlite", write=True, create=True)


def fill(threads: SqliteThreads, messages: int = 1) -> None:
    """A row or more in each thread table."""
    with threads.session():
        for number in range(1, messages + 1):
            message = MessageId(number.to_bytes(16, "big"))
            threads.enter([message_node(message), KEY])
            links = (Link("message-id", KEY, True, "a@example.org"),)
            threads.state([Stated(message, short_hash("s", ""), (short_hash("p", ""),), None, links)])
            threads.note([KeyNote(KEY, owner=short_hash("s", ""))])
            threads.ask([(CLUE, message)])
            threads.hint([ClueNote(CLUE, owner=message)])
            threads.draw([Soft(message, ONE, True)])
            threads.mark([message])


def rows(connection: Connection) -> dict[str, dict[str, int]]:
    """{table: {what its column scope holds: rows}}"""
    return {
        table: dict(connection.execute(f"select scope, count(*) from {table} group by scope"))
        for table in epochs.TABLES
    }


def scopes(connection: Connection) -> set[str]:
    return {scope for counts in rows(connection).values() for scope in counts}


def switched(connection: Connection, scope: str) -> int:
    number = epochs.reserve(connection, scope)
    fill(SqliteThreads(connection, lambda: 0, scope, number))
    with transaction(connection):
        epochs.switch(connection, scope, number, "2")
    return number


def test_every_thread_table_is_known(connection: Connection) -> None:
    """A new table with a scope belongs either to epochs or to the scope: say which, here and in epochs.TABLES."""
    of_the_scope = {"messages", "people", "deliveries", "sources", "containers", "feed", "edits", "edit_names"}
    names = {row[0] for row in connection.execute("select name from sqlite_schema where type = 'table'")}
    with_scope = {
        name for name in names if any(row[1] == "scope" for row in connection.execute(f"pragma table_info({name})"))
    }
    assert with_scope == of_the_scope | epochs.TABLES.keys()


def test_a_switch_is_seen_by_who_was_there_before(connection: Connection) -> None:
    threads = SqliteThreads(connection, lambda: 0, "case")
    fill(threads)
    assert threads.scope == "case"
    switched(connection, "case")
    assert threads.scope == "case\x1f1"
    with threads.session():
        threads.enter([KEY, key_name("id", "late@example.org")])
    assert rows(connection)["nodes"] == {"case": 2, "case\x1f1": 3}


def test_what_is_being_made_is_not_seen_and_tells_nobody(connection: Connection) -> None:
    threads = SqliteThreads(connection, lambda: 0)
    fill(threads)
    number = epochs.reserve(connection, "")
    made = SqliteThreads(connection, lambda: 0, "", number)
    with made.session():
        assert not made.nodes([message_node(ONE)])
        made.enter([KEY])
        made.tell([FeedEntry(ONE, (ONE,), "joined")])
    leased = made.lease()
    with leased.session():
        leased.tell([FeedEntry(ONE, (ONE,), "joined")])
        leased.enter([message_node(ONE)])
    assert connection.execute("select count(*) from feed").get == 0
    assert rows(connection)["nodes"] == {"": 2, "\x1f1": 2}
    assert threads.scope == ""


@pytest.mark.parametrize("chunk", [1, 3, 4, 5, 100])
def test_a_sweep_takes_what_does_not_count_and_nothing_else(connection: Connection, chunk: int) -> None:
    for scope in ("", "a", "b"):
        fill(SqliteThreads(connection, lambda: 0, scope), messages=4)
    switched(connection, "a")
    epochs.sweep(connection, "a", chunk)
    assert scopes(connection) == {"", "a\x1f1", "b"}
    before = rows(connection)
    for scope in ("", "a", "b"):
        epochs.sweep(connection, scope, chunk)
    assert rows(connection) == before
    names = {row[0] for row in connection.execute("select name from meta")}
    assert names == {"epoch a", "rules a\x1f1", "mark"}


@pytest.mark.parametrize("stopped", ["while it was made", "before it was swept"])
def test_what_a_stopped_run_left_is_swept_by_the_next(connection: Connection, stopped: str) -> None:
    fill(SqliteThreads(connection, lambda: 0))
    if stopped == "while it was made":
        fill(SqliteThreads(connection, lambda: 0, "", epochs.reserve(connection, "")))
        kept = ""
    else:
        switched(connection, "")
        kept = "\x1f1"
    number = epochs.reserve(connection, "")
    assert scopes(connection) == {kept}
    assert number == epochs.current(connection, "") + 1


def test_a_sweep_needs_no_scan(connection: Connection) -> None:
    """A step costs what it takes away, however many rows there are of epochs and scopes that count."""
    seen: list[str] = []
    for table, columns in epochs.TABLES.items():
        some = f"select {columns} from {table} where scope = ?1 limit 5"
        sql = f"explain query plan delete from {table} where scope = ?1 and ({columns}) in ({some})"
        seen += [row[3] for row in connection.execute(sql, ("x",))]
    assert not [step for step in seen if step.startswith("SCAN")], seen
    outer = [step for step in seen if step.startswith("SEARCH") and "scope=?)" not in step]
    assert len(outer) == len(epochs.TABLES), seen


@pytest.mark.parametrize("scope", ["a\x1f1", "\x1f", "a\0", "a\nb"])
def test_no_scope_looks_like_an_epoch_of_another(connection: Connection, scope: str) -> None:
    with pytest.raises(UserError, match="control character"):
        SqliteThreads(connection, lambda: 0, scope)


typed = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=4)


@given(typed, typed, st.integers(0, 20), st.integers(0, 20))
def test_keys_of_different_epochs_differ(one: str, other: str, first: int, second: int) -> None:
    same = epochs.key_of(checked(one), first) == epochs.key_of(checked(other), second)
    assert same == ((one, first) == (other, second))


def test_the_rules_of_threads_are_noted_once(connection: Connection) -> None:
    epochs.begin(connection, "", "1")
    assert epochs.rules(connection, "") is None
    fill(SqliteThreads(connection, lambda: 0))
    assert epochs.rules(connection, "") == "1"
    epochs.begin(connection, "", "2")
    assert epochs.rules(connection, "") == "1", "an archive whose threads are made by 1 does not become one of 2"
    switched(connection, "")
    assert epochs.rules(connection, "") == "2"


def test_threads_from_before_rules_had_versions_are_of_unknown_ones(connection: Connection) -> None:
    fill(SqliteThreads(connection, lambda: 0))
    epochs.begin(connection, "", "1")
    assert epochs.rules(connection, "") == ""
