"""Partitions by month: which one a message is in follows from its id, and those of a window of years are made ahead.

Dates lie, so the window is what was configured, not what mail says: what is dated outside of it lies in the default partition, and
moves into its own if the window is ever made to hold it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from psycopg import sql

from mailloom.stores.postgres.connection import Connection, Connections

TABLES = ("messages", "copies", "nested", "attachments", "stated", "links")
NO_MONTH = 999_999
"""Of a message without a date, or with one that ids can't hold: ids then begin with 48 ones (mail/identity.py)."""
_DAY_MS = 86_400_000
_LAST_DAY = 2_932_896  # 9999-12-31, the last that datetime knows


def month_of(message: bytes) -> int:
    """Year * 100 + month of the date in a message's id."""
    return _month(int.from_bytes(message[:6], "big") // _DAY_MS)


@lru_cache(maxsize=4096)
def _month(day: int) -> int:
    if day > _LAST_DAY:
        return NO_MONTH
    date = datetime.fromtimestamp(day * 86_400, UTC)
    return date.year * 100 + date.month


def window(now_ms: int, back: int = 10, ahead: int = 3) -> tuple[int, int]:
    """The months from January, `back` years ago, to `ahead` months after now, both included: what a schedule keeps made."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    months = now.year * 12 + now.month - 1 + ahead
    return (now.year - back) * 100 + 1, months // 12 * 100 + months % 12 + 1


def months(first: int, last: int) -> Iterator[int]:
    """Each month from first to last, both included."""
    month = first
    while month <= last:
        yield month
        month = after(month)


def after(month: int) -> int:
    return month + 1 if month % 100 < 12 else month + 89


def make(connections: Connections, first: int, last: int) -> int:
    """Make the partitions of these months that are not there; how many. A month is one transaction, so this may be stopped anywhere, run
    again, and run by several at once.

    Messages of such a month that lie in the default partition move into the new one.
    """
    made = 0
    with connections.take() as connection:
        there = {row[0] for row in connection.execute(_THERE, (list(TABLES),))}
        for month in months(first, last):
            missing = [table for table in TABLES if f"{table}_{month}" not in there]
            if missing:
                with connection.transaction():
                    # The default partition is read through twice: with mail of decades before the window in it, that takes its time.
                    connection.execute("select set_config('statement_timeout', '0', true)")
                    connection.execute("select pg_advisory_xact_lock(hashtext('mailloom partitions'))")
                    made += sum(_made(connection, table, month) for table in missing)
    return made


_THERE = """select child.relname from pg_inherits join pg_class child on child.oid = inhrelid
  join pg_class parent on parent.oid = inhparent
  where parent.relname = any(%s) and parent.relnamespace = current_schema()::regnamespace"""


def _made(connection: Connection, table: str, month: int) -> bool:
    """Attaching, other than making a table as a partition, lets others write meanwhile. The default partition is locked for as long as it
    takes to see that it holds nothing of the month.
    """
    name = f"{table}_{month}"
    found = connection.execute("select to_regclass(%s)", (name,)).fetchone()
    if found and found[0] is not None:
        return False
    like = "including defaults including constraints including storage"
    names = {
        "new": sql.Identifier(name),
        "whole": sql.Identifier(table),
        "rest": sql.Identifier(f"{table}_rest"),
        "from": sql.Literal(month),
        "to": sql.Literal(after(month)),
    }
    for statement in (
        f"create table {{new}} (like {{whole}} {like})",
        "lock table {rest} in share row exclusive mode",
        "with moved as (delete from {rest} where month = {from} returning *) insert into {new} select * from moved",
        "alter table {whole} attach partition {new} for values from ({from}) to ({to})",
    ):
        connection.execute(sql.SQL(statement).format(**names))
    return True
