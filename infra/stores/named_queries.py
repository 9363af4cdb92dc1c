"""Queries that Athena's workgroup has ready: the view that has each mail once, and what is asked of it most."""

from __future__ import annotations

from typing import NamedTuple

from mailloom.stores.firehose import PARTITION, view_sql


class Query(NamedTuple):
    name: str
    tells: str
    sql: str


def named(table: str, view: str) -> list[Query]:
    """`table` and `view` may have a database before a dot. All but the first ask the view, which the first makes."""
    month = f'"{PARTITION}"'
    return [
        Query("mails once", "Run it first, once: the view that the others ask", view_sql(table, view)),
        Query(
            "mails by month",
            "How many mails of each month there are, and what they hold in characters",
            f'select {month}, count(*) as mails, sum(length("text")) as characters from {view} group by {month} order by {month}',  # noqa: S608
        ),
        Query(
            "lists of a month",
            "The busiest mailing lists of a month: write another",
            f'select "list_id", count(*) as mails from {view}'  # noqa: S608
            f" where {month} = '2024-03' and \"list_id\" <> '' group by \"list_id\" order by mails desc limit 50",
        ),
        Query(
            "left out",
            "Mails of a month that were too large for some columns, and where the whole mail is",
            f'select "scope", "id", "left_out", "pointer" from {view}'  # noqa: S608
            f" where {month} = '2024-03' and \"pointer\" <> ''",
        ),
    ]
