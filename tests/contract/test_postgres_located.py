"""What `in:` names is found in PostgreSQL by the few places that copies lie in, whoever wrote them, and never by reading all copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Delivery
from mailloom.stores.postgres import located
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.located import Located
from mailloom.stores.postgres.messages import PostgresCopies
from mailloom.stores.postgres.migrate import migrate, migrations
from mailloom.stores.postgres.partitions import make
from mailloom.stores.postgres.scoped import Scoped
from mailloom.stores.postgres.snapshot import Snapshot, Values

pytestmark = pytest.mark.servers
BOX = "s3://mail"
JANUARY = 1_704_067_200_000  # 2024-01-01
MONTH_MS = 31 * 86_400_000


@pytest.fixture
def empty(postgres_url: str) -> Iterator[Connections]:
    made = Connections(postgres_url)
    yield made
    made.close()


def message(number: int, month: int = 0) -> MessageId:
    return MessageId((JANUARY + month * MONTH_MS + number).to_bytes(6, "big") + bytes(6) + number.to_bytes(4, "big"))


def keep(connections: Connections, copies: Sequence[tuple[MessageId, str, tuple[str, ...]]], scope: str = "") -> None:
    deliveries = [
        Delivery(Origin(BOX, "a.eml", 0, 1, 1, 1, folder=folder, labels=labels), 0, 0, "stored", m, b"", b"{}", "", "1")
        for m, folder, labels in copies
    ]
    PostgresCopies(Scoped(connections, scope, lambda: 0)).keep(deliveries)


def found(connections: Connections, name: str, scope: str = "") -> list[MessageId]:
    return sorted(Located(Snapshot(connections, scope))(name))


def test_copies_that_were_there_before_the_table_of_places_are_found(empty: Connections) -> None:
    """And those that a worker of the version before brings beside the new one."""
    migrate(empty, migrations()[:1])
    keep(empty, [(message(1), "Old", ())])
    migrate(empty)
    keep(empty, [(message(2), "New", ("todo",))])
    assert found(empty, "old") == [message(1)]
    assert found(empty, "todo") == [message(2)]
    assert found(empty, "mail") == [message(1), message(2)]


def test_a_copy_is_found_by_what_it_says_now(empty: Connections) -> None:
    migrate(empty)
    keep(empty, [(message(1), "Inbox", ("todo",))])
    keep(empty, [(message(1), "Done", ("seen",))])
    assert [found(empty, name) for name in ("inbox", "todo")] == [[], []]
    assert [found(empty, name) for name in ("done", "seen")] == [[message(1)], [message(1)]]


def test_places_stay_in_their_scope(empty: Connections) -> None:
    migrate(empty)
    for scope in ("", "other"):
        keep(empty, [(message(len(scope)), f"Box{scope}", ())], scope)
    assert found(empty, "box") == [message(0)]
    assert found(empty, "boxother") == []
    assert found(empty, "boxother", "other") == [message(5)]


def test_copies_that_moved_into_a_month_of_their_own_are_found(empty: Connections) -> None:
    migrate(empty)
    keep(empty, [(message(1), "Inbox", ())])
    make(empty, 202401, 202401)
    assert found(empty, "inbox") == [message(1)]


def test_a_place_of_few_copies_is_found_by_an_index(empty: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each month that has copies."""
    migrate(empty)
    make(empty, 202401, 202403)
    copies = [(message(n, n % 3), "Sent" if n < 6 else "Inbox", ()) for n in range(3000)]
    keep(empty, copies)
    with empty.take() as connection:
        connection.execute("analyze copies")
    assert len(found(empty, "sent")) == 6
    plans: list[str] = []

    def explained(self: Snapshot, statement: str, values: Values) -> list[tuple[int]]:
        with self.take() as connection:
            if statement is located._LOCATED:
                plans.append("\n".join(row[0] for row in connection.execute(b"explain " + statement.encode(), values)))
            return connection.execute(statement.encode(), values, binary=True).fetchall()

    monkeypatch.setattr(Snapshot, "rows", explained)
    found(empty, "sent")
    (plan,) = plans
    for month in (202401, 202402, 202403):
        assert f"Seq Scan on copies_{month}" not in plan, plan
    assert "hashtextextended" in plan
