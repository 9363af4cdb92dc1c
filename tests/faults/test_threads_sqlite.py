"""One SQLite file, several connections: workers that bring batches, a settle that runs again and again, and an editor, all at once.

What each may do between two steps of the others is tried in test_threads_schedules.py; here the store's own transactions are at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest
from test_threads_edits import any_edit
from test_threads_sets import any_mails, best, id_of, low_thresholds, several, stated

from mailloom.mail.model import MessageId
from mailloom.ports import Fenced, Stated, Target
from mailloom.stores.sqlite import SqliteThreads, connect
from mailloom.thread.assign import roots
from mailloom.thread.batch import derive
from mailloom.thread.editing import make, take_back
from mailloom.thread.edits import Choose
from mailloom.thread.keys import message_node
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

WORKERS = 3


@pytest.fixture(autouse=True)
def _low() -> Iterator[None]:
    with low_thresholds():
        yield


class Crew:
    """Threads of this process, a connection each. What one of them raises is raised by `done`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[BaseException] = []
        self.threads: list[Thread] = []

    def start(self, work: Callable[[SqliteThreads], object]) -> Thread:
        def run() -> None:
            try:
                with closing(connect(self.path, write=True)) as connection:
                    work(SqliteThreads(connection, lambda: 0))
            except BaseException as error:
                self.errors.append(error)

        self.threads.append(Thread(target=run))
        self.threads[-1].start()
        return self.threads[-1]

    def done(self) -> None:
        for thread in self.threads:
            thread.join()
        for error in self.errors:
            raise error


def weaving(batches: Sequence[Sequence[Stated]]) -> Callable[[SqliteThreads], object]:
    def work(threads: SqliteThreads) -> None:
        for batch in batches:
            with threads.session():
                weave(threads, batch)

    return work


def settling(stop: Event, choose: Choose) -> Callable[[SqliteThreads], object]:
    """Two of these overtake each other: who lost the lease begins again."""

    def work(threads: SqliteThreads) -> None:
        while not stop.wait(0.01):  # else the workers would hardly get a turn
            try:
                settle(threads, choose=choose, limit=3)
            except Fenced:
                continue

    return work


def editing(r: Random, everything: Sequence[Stated], count: int) -> Callable[[SqliteThreads], object]:
    def work(threads: SqliteThreads) -> None:
        for _ in range(count):
            with threads.session():
                made = make(threads, any_edit(r, everything))
            if r.random() < 0.5:
                with threads.session():
                    take_back(threads, made.number, at=2)

    return work


@pytest.mark.parametrize("seed", range(6))
def test_workers_settles_and_an_editor_on_one_file_end_as_everything_at_once(seed: int, tmp_path: Path) -> None:
    r = Random(seed)
    choose: Choose = r.choice([best, several])
    everything = [stated(mail) for mail in any_mails(r, 30)]
    arriving = everything + r.sample(everything, 8)
    r.shuffle(arriving)
    path = tmp_path / "archive.sqlite"
    store = SqliteThreads(connect(path, write=True, create=True), lambda: 0)
    stop = Event()
    crew, settles = Crew(path), Crew(path)
    for _ in range(2):
        settles.start(settling(stop, choose))
    for number in range(WORKERS):
        mine = arriving[number::WORKERS]
        crew.start(weaving([mine[at : at + 3] for at in range(0, len(mine), 3)]))
    crew.start(editing(r, everything, 5))
    try:
        crew.done()
    finally:
        stop.set()
        settles.done()
    settle(store, choose=choose)
    assert wrong(store, everything, choose) == []


def wrong(store: SqliteThreads, everything: Sequence[Stated], choose: Choose) -> list[str]:
    with store.session():
        conversations, targets = derive(everything, choose=choose, edits=store.edits())
        nodes = {message_node(s.message) for s in everything}
        root, seen = roots(store, nodes), store.nodes(nodes)
        bad = [f"{len(store.dirty(9))} are marked"] if store.dirty(9) else []
        for message, conversation in conversations.items():
            node = message_node(message)
            if (seen[node].conv or root[node]) != message_node(conversation):
                bad.append(f"{message[-1]} is in the wrong conversation")
            rows = store.drawn([message])
            live = {Target(w.target, w.kind, w.weight, w.detail) for w in rows if w.source == message and w.live}
            if live != set(targets[message]):
                bad.append(f"soft links of {message[-1]} are {live}, should be {targets[message]}")
    return bad


def test_a_wrong_file_is_told_from_a_right_one(tmp_path: Path) -> None:
    store = SqliteThreads(connect(tmp_path / "archive.sqlite", write=True, create=True), lambda: 0)
    everything = [stated(mail) for mail in any_mails(Random(1), 9)]
    with store.session():
        weave(store, everything)
    settle(store, choose=best)
    assert wrong(store, everything, best) == []
    with store.session():
        store.mark([MessageId(id_of(1))])
    assert wrong(store, everything, best) == ["1 are marked"]


def test_no_statement_walks_through_all_rows_of_a_scope(tmp_path: Path) -> None:
    """By its plan, as SQLite makes it for an archive of any size: what a store is asked for by name is found by name."""
    connection = connect(tmp_path / "archive.sqlite", write=True, create=True)
    statements: set[str] = set()
    connection.exec_trace = lambda _, sql, __: statements.add(sql) is None
    store = SqliteThreads(connection, lambda: 0)
    everything = [stated(mail) for mail in any_mails(Random(2), 30)]
    with store.session():
        weave(store, everything)
    settle(store, choose=best)
    connection.exec_trace = None
    named = [sql for sql in statements if " where scope = ? and " in sql]
    assert any("target = ?" in sql for sql in named)
    for sql in named:
        for *_, step in connection.execute(f"explain query plan {sql}", ("", *[b""] * (sql.count("?") - 1))):
            assert not step.startswith("SCAN"), sql
            assert not step.endswith("(scope=?)"), sql
