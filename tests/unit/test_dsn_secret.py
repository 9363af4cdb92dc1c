"""A DSN of PostgreSQL that can't be read is told without a word of it: what can't be read may be the password."""

from __future__ import annotations

import traceback

import pytest

from mailloom.ports import UserError
from mailloom.stores.postgres.connection import Connections

WORD = "hunter2"


@pytest.mark.parametrize(
    "dsn",
    [
        WORD,
        f"host='x password={WORD}",
        f"host=h port={WORD} user=u",
        f"postgresql://u:{WORD}@[::1/db",
        f"postgresql://u:p%ZZ{WORD}@h/db",
        f"postgresql://u:p@{WORD}@h/db",
        f"postgresql://u:p/{WORD}@h/db",
        f"postgresql://u:12/{WORD}@h/db",
        f"postgresql://u:p:{WORD}/x@h:5432/db",
        f"postgres://u:{WORD}/@h:5432/db",
        f"postgresql://u:p@h:{WORD}/db",
        f"postgresql://u:p@h/db?{WORD}=1",
    ],
)
def test_what_cant_be_read_is_not_said(dsn: str) -> None:
    with pytest.raises(UserError, match="the DSN of PostgreSQL can't be read") as refused:
        Connections(dsn)
    assert WORD not in str(refused.value)
    assert WORD not in "".join(traceback.format_exception(refused.value, chain=True))


@pytest.mark.parametrize(
    ("dsn", "name"),
    [
        (f"postgresql://u:{WORD}@h:5433/db", "h:5433/db"),
        (f"postgresql://u:p%40%2F{WORD}@h/db", "h:5432/db"),
        (f"postgresql://u:#{WORD}?x=[]@h/db", "h:5432/db"),
        ("postgresql://a:1,b:2/db", "a,b:1,2/db"),
        ("postgresql://[::1]:5433/db", "::1:5433/db"),
        ("postgresql:///db?host=/run/pg&user=me@example.org", "/run/pg:5432/db"),
        (f"host=h dbname=db password='{WORD} @/'", "h:5432/db"),
        ("", "localhost:5432/"),
    ],
)
def test_what_can_be_read_is_named_without_its_password(dsn: str, name: str) -> None:
    assert Connections(dsn).name == name
