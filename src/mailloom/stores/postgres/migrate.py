"""The schema's versions: numbered SQL files, each run once, in its own transaction, by the operator's command and never by a worker."""

from __future__ import annotations

from importlib.resources import files
from typing import NamedTuple

from mailloom.ports import UserError
from mailloom.stores.postgres.connection import Connection, Connections

_LOCK = "select pg_advisory_xact_lock(hashtext('mailloom schema'))"
_VERSIONS = """create table if not exists schema_version (
  version integer primary key, name text not null, at timestamptz not null default now())"""


class Migration(NamedTuple):
    """One file of migrations/: its number, its name, its statements."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All that this version knows, in their order."""
    found = [
        Migration(int(file.name[:4]), file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in files("mailloom.stores.postgres").joinpath("migrations").iterdir()
        if file.name.endswith(".sql")
    ]
    return sorted(found)


def migrate(connections: Connections) -> list[str]:
    """Bring an empty or older database up to this version; the names of what was run. Several at once do it once.

    Raises UserError where a newer mailloom has been at it.
    """
    done = []
    with connections.take() as connection:
        for migration in migrations():
            with connection.transaction():
                connection.execute(_LOCK)
                connection.execute(_VERSIONS)
                if _version(connection, connections.name) < migration.number:
                    connection.execute("select set_config('statement_timeout', '0', true)")
                    connection.execute(migration.sql.encode())
                    connection.execute(
                        "insert into schema_version (version, name) values (%s, %s)", (migration.number, migration.name)
                    )
                    done.append(migration.name)
    return done


def check(connections: Connections) -> None:
    """Raises UserError unless the database has the tables of this version: what a worker calls when it starts."""
    with connections.take() as connection:
        there = connection.execute("select to_regclass('schema_version') is not null").fetchone() == (True,)
        version = _version(connection, connections.name) if there else 0
    if version < migrations()[-1].number:
        has = f"tables of version {version}" if version else "no tables"
        raise UserError(
            f"PostgreSQL at {connections.name} has {has}, this mailloom needs {migrations()[-1].number}: run `mailloom migrate`"
        )


def _version(connection: Connection, name: str) -> int:
    row = connection.execute("select coalesce(max(version), 0) from schema_version").fetchone()
    version = int(row[0]) if row else 0
    known = migrations()[-1].number
    if version > known:
        raise UserError(
            f"PostgreSQL at {name} was migrated by a newer mailloom (version {version}, this one knows {known}): update mailloom;"
            " nothing was touched"
        )
    return version
