"""Epochs: the whole of a scope's threads, derived by one version of the rules, under a key of its own.

The rule it keeps: a reader sees one epoch whole, or the other. The thread tables begin with a column `scope`; for the first epoch
it holds the scope itself, for a later one the scope, SEPARATOR and a number. Which one counts is one row of `meta`, so a switch
is one write. Three rows a scope: `epoch` is the number of the current one (absent: 0), `rest` that of another whose rows lie
there still, unfinished or outlived (at most one), `rules` + key the version of the rules that derived it.
"""

from __future__ import annotations

from typing import Any

from mailloom.stores.sqlite.connection import Connection, transaction

SEPARATOR = "\x1f"
"""ASCII's unit separator: no scope may hold a control character, so no scope looks like another's epoch."""
CHUNK = 20_000  # rows that one transaction sweeps: bounds how long others wait, and what a kill undoes
TABLES = {
    "nodes": "name",
    "stated": "message",
    "links": "key, message",
    "clues": "name",
    "asks": "clue, message",
    "soft": "source, target",
    "marks": "message",
}
"""The thread tables with their keys after `scope`. Messages, deliveries, the feed and what was done by hand belong to the scope."""


def key_of(scope: str, number: int) -> str:
    return f"{scope}{SEPARATOR}{number}" if number else scope


def current(connection: Connection, scope: str) -> int:
    return int(_meta(connection, f"epoch {scope}") or 0)


def current_key(connection: Connection, scope: str) -> str:
    """What the column `scope` of the thread tables holds now. Hold a transaction where more than one statement hangs on it."""
    return key_of(scope, current(connection, scope))


def rules(connection: Connection, scope: str) -> str | None:
    """The version of the rules that derived the current epoch, "" for one from before there were versions, None where it is empty."""
    key = current_key(connection, scope)
    return str(_meta(connection, f"rules {key}") or "") if _filled(connection, key) else None


def begin(connection: Connection, scope: str, version: str) -> None:
    """Note the rules of an archive without threads; of one that has some it is known, or can't be known any more."""
    key = current_key(connection, scope)
    if _meta(connection, f"rules {key}") is None and not _filled(connection, key):
        with transaction(connection):
            _put(connection, f"rules {key}", version)


def reserve(connection: Connection, scope: str) -> int:
    """The number of a new epoch, whose rows are rests until `switch`."""
    sweep(connection, scope)
    with transaction(connection):
        number = current(connection, scope) + 1
        _put(connection, f"rest {scope}", number)
    return number


def switch(connection: Connection, scope: str, number: int, version: str) -> None:
    """Make a reserved epoch the current one, and the current one rests. The caller holds the transaction."""
    _put(connection, f"rest {scope}", current(connection, scope))
    _put(connection, f"epoch {scope}", number)
    _put(connection, f"rules {key_of(scope, number)}", version)


def sweep(connection: Connection, scope: str, chunk: int = CHUNK) -> None:
    """Take away the rows of an epoch that doesn't count, if there is one, some at a time: it may be stopped anywhere, and run again."""
    rest = _meta(connection, f"rest {scope}")
    if rest is None:
        return
    key = key_of(scope, int(rest))
    for table, columns in TABLES.items():
        some = f"select {columns} from {table} where scope = ?1 limit {chunk}"  # noqa: S608  constants only
        more = True
        while more:
            with transaction(connection):
                connection.execute(f"delete from {table} where scope = ?1 and ({columns}) in ({some})", (key,))  # noqa: S608
                more = connection.changes() == chunk
    with transaction(connection):
        connection.execute("delete from meta where name in (?, ?)", (f"rest {scope}", f"rules {key}"))


def _filled(connection: Connection, key: str) -> bool:
    return connection.execute("select 1 from stated where scope = ? limit 1", (key,)).get is not None


def _meta(connection: Connection, name: str) -> Any:
    return connection.execute("select value from meta where name = ?", (name,)).get


def _put(connection: Connection, name: str, value: int | str) -> None:
    connection.execute("insert or replace into meta values (?, ?)", (name, value))
