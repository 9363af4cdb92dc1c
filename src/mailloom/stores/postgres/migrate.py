"""The schema's versions: numbered SQL files, each run once, in its own transaction, by the operator's command and never by a worker.

    0002_add.sql          before the new version runs: what it adds, the old one can live with
    0003_drop.after.sql   after the old version has ended everywhere: what takes away or narrows

So the old version goes on while the new one is brought out, and may come back until the second kind has run: whoever knows all of that kind that
were run may work with a database, whatever else was added. A file of the first kind must not need one of the second: it may run earlier.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.resources import files
from typing import NamedTuple

from mailloom.ports import UserError
from mailloom.stores.postgres.connection import Connection, Connections

AFTER = ".after"
_LOCK = "select pg_advisory_xact_lock(hashtext('mailloom schema'))"
_VERSIONS = """create table if not exists schema_version (
  version integer primary key, name text not null, at timestamptz not null default now())"""


class Migration(NamedTuple):
    """One file of migrations/: its number, its name, its statements."""

    number: int
    name: str
    sql: str

    @property
    def after(self) -> bool:
        """It waits until no older version runs."""
        return self.name.endswith(AFTER)


def migrations() -> list[Migration]:
    """All that this version knows, in their order."""
    found = [
        Migration(int(file.name[:4]), file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in files("mailloom.stores.postgres").joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found)


def migrate(connections: Connections, known: Sequence[Migration] | None = None, *, after: bool = False) -> list[str]:
    """Bring an empty or older database up to this version (`known` None: what it has), for both versions to run, or (`after`) for this one alone;
    the names of what was run. Several at once do it once.

    Raises UserError where a newer version has had its database to itself, and for `after` where one of the first kind of a lower number is missing.
    """
    known = migrations() if known is None else known
    done = []
    with connections.take() as connection:
        for migration in known:
            if migration.after is not after:
                continue
            with connection.transaction():
                connection.execute(_LOCK)
                connection.execute(_VERSIONS)
                there = _there(connection, connections.name, known)
                if migration.number in there:
                    continue
                if after:
                    _none_missing(migration, known, there, connections.name)
                connection.execute("select set_config('statement_timeout', '0', true)")
                connection.execute(migration.sql.encode())
                connection.execute(
                    "insert into schema_version (version, name) values (%s, %s)", (migration.number, migration.name)
                )
                done.append(migration.name)
    return done


def _none_missing(migration: Migration, known: Sequence[Migration], there: Collection[int], name: str) -> None:
    missing = [one.name for one in known if not one.after and one.number < migration.number and one.number not in there]
    if missing:
        raise UserError(
            f"{migration.name} can't be run at PostgreSQL at {name}: {', '.join(missing)} comes before it and was not run: run `mailloom"
            " migrate`, bring this version out everywhere, then run `mailloom migrate --after` again"
        )


def waiting(connections: Connections, known: Sequence[Migration] | None = None) -> list[str]:
    """The names of what `migrate` with `after` would run. Raises as `check` does."""
    known = migrations() if known is None else known
    there = _found(connections, known)
    return [one.name for one in known if one.after and one.number not in there]


def check(connections: Connections, known: Sequence[Migration] | None = None) -> None:
    """Raises UserError unless the database has what this version needs and nothing that it can't live with: what a worker calls when it starts."""
    known = migrations() if known is None else known
    there = _found(connections, known)
    missing = [one.number for one in known if not one.after and one.number not in there]
    if missing:
        has = f"tables of version {max(there)}" if there else "no tables"
        raise UserError(
            f"PostgreSQL at {connections.name} has {has}, this mailloom needs {missing[-1]}: run `mailloom migrate`"
        )


def _found(connections: Connections, known: Sequence[Migration]) -> set[int]:
    with connections.take() as connection:
        there = connection.execute("select to_regclass('schema_version') is not null").fetchone() == (True,)
        return _there(connection, connections.name, known) if there else set()


def _there(connection: Connection, name: str, known: Sequence[Migration]) -> set[int]:
    """The numbers of what was run. Raises UserError where that took away what this version needs: a file of the second kind that it doesn't know."""
    rows = connection.execute("select version, name from schema_version order by version").fetchall()
    numbers = {one.number for one in known}
    if stranger := next((row for row in rows if row[0] not in numbers and str(row[1]).endswith(AFTER)), None):
        raise UserError(
            f"PostgreSQL at {name} was migrated by a newer mailloom (version {stranger[0]}, {stranger[1]}, for which no older one may run; this"
            f" one knows {max(numbers, default=0)}): update mailloom; nothing was touched"
        )
    return {row[0] for row in rows}
