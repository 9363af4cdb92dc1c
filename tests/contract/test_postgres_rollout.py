"""Two versions on one database: the old one goes on while the new one is brought out, and may come back until its tables are taken away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest

from arrivals import arrivals
from mailloom.ports import UserError
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.messages import PostgresMessages
from mailloom.stores.postgres.migrate import Migration, check, migrate, migrations, waiting
from mailloom.stores.postgres.scoped import Scoped

pytestmark = pytest.mark.servers

OLD = migrations()
LAST = OLD[-1].number
ADD = Migration(
    LAST + 1, f"{LAST + 1:04}_add", "create table added (x text); alter table messages add column mood text"
)
DROP = Migration(LAST + 2, f"{LAST + 2:04}_drop.after", "alter table messages drop column mood; drop table added")
MORE = Migration(LAST + 3, f"{LAST + 3:04}_more", "create table more (x text)")
NEW = [*OLD, ADD, DROP, MORE]


@pytest.fixture
def empty(postgres_url: str) -> Iterator[Connections]:
    made = Connections(postgres_url, size=8)
    yield made
    made.close()


@pytest.fixture
def old(empty: Connections) -> Connections:
    migrate(empty, OLD)
    migrate(empty, OLD, after=True)
    return empty


def tables(connections: Connections) -> set[str]:
    rows = Scoped(connections, "", lambda: 0).rows(
        "select to_regclass(name)::text from unnest(%s::text[]) name", (["added", "more"],)
    )
    return {row[0] for row in rows if row[0]}


def work(connections: Connections, seed: int) -> int:
    """Store mail as this version does; how many messages there are."""
    scoped = Scoped(connections, "", lambda: 0)
    rows: Sequence[Any] = [(a.sealed.row, a.sealed.words, a.sealed.people) for a in arrivals(seed, 5) if a.sealed.row]
    assert rows
    PostgresMessages(scoped).put(rows)
    return int(scoped.rows("select count(*) from messages", ())[0][0])


def test_the_old_version_works_on_until_its_tables_are_taken_away(old: Connections) -> None:
    first = work(old, 1)
    assert migrate(old, NEW) == [ADD.name, MORE.name]
    for version in (OLD, NEW):
        check(old, version)
        assert migrate(old, version) == []
    assert work(old, 2) > first
    assert (waiting(old, OLD), waiting(old, NEW)) == ([], [DROP.name])
    assert migrate(old, NEW, after=True) == [DROP.name]
    assert migrate(old, NEW, after=True) == waiting(old, NEW) == []
    check(old, NEW)
    for touch in (check, migrate, waiting):
        with pytest.raises(
            UserError, match=rf"newer mailloom \(version {DROP.number}, {DROP.name}.*knows {LAST}.*nothing was touched"
        ):
            touch(old, OLD)
    assert tables(old) == {"more"}


def test_a_version_that_knows_what_was_taken_away_may_run_beside_one_that_only_adds(old: Connections) -> None:
    """Three versions: who may run is who knows the last of the second kind, not who knows most."""
    middle = [*OLD, ADD, DROP]
    migrate(old, middle)
    migrate(old, middle, after=True)
    migrate(old, NEW)
    check(old, middle)
    with pytest.raises(UserError, match="update mailloom"):
        check(old, OLD)


def test_the_new_version_waits_for_what_it_needs_and_for_no_more(old: Connections) -> None:
    with pytest.raises(
        UserError, match=rf"has tables of version {LAST}, this mailloom needs {MORE.number}: run `mailloom migrate`"
    ):
        check(old, NEW)
    migrate(old, [*OLD, ADD])
    with pytest.raises(UserError, match=f"needs {MORE.number}"):
        check(old, NEW)
    migrate(old, NEW)
    check(old, NEW)


def test_nothing_is_taken_away_before_what_comes_before_it(empty: Connections) -> None:
    names = ", ".join([one.name for one in OLD if not one.after] + [ADD.name])
    with pytest.raises(UserError, match=rf"{DROP.name} can't be run at .*: {names} comes before it and was not run"):
        migrate(empty, [*(one for one in OLD if not one.after), ADD, DROP], after=True)
    migrate(empty, OLD)
    with pytest.raises(UserError, match=rf": {ADD.name} comes before it .* then run `mailloom migrate --after` again"):
        migrate(empty, [*(one for one in OLD if not one.after), ADD, DROP], after=True)
    migrate(empty, [*OLD, ADD])
    migrate(empty, [*OLD, ADD, DROP], after=True)  # MORE, which is newer, is not waited for
    with pytest.raises(UserError, match=f"needs {MORE.number}"):
        check(empty, NEW)


def test_one_that_fails_leaves_nothing_and_those_before_it_stay(old: Connections) -> None:
    bad = MORE._replace(sql="create table more (x text); selekt 1")
    with pytest.raises(psycopg.errors.SyntaxError):
        migrate(old, [*OLD, ADD, DROP, bad])
    assert tables(old) == {"added"}
    check(old, OLD)
    assert migrate(old, NEW) == [MORE.name]


def test_several_who_take_away_at_once_do_it_once(old: Connections) -> None:
    migrate(old, NEW)
    barrier = Barrier(4)

    def run(_: int) -> list[str]:
        barrier.wait()
        return migrate(old, NEW, after=True)

    with ThreadPoolExecutor(4) as pool:
        assert [name for names in pool.map(run, range(4)) for name in names] == [DROP.name]
