"""What every store of messages and of their copies must do: SQLite's and PostgreSQL's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from arrivals import arrivals, arrived
from mailloom.flow.transform import Sealed
from mailloom.mail.model import Origin
from mailloom.ports import Delivery, Ledger, Messages, Row, Words
from mailloom.stores.postgres.messages import PostgresCopies, PostgresMessages
from mailloom.stores.postgres.scoped import Scoped
from mailloom.stores.sqlite import SqliteRecords, connect
from mailloom.wire.servers import ServerLedger
from server_stores import database

Entry = tuple[Row, Words, Sequence[tuple[str, str, str]]]
STORES = ["sqlite", pytest.param("postgres", marks=pytest.mark.servers)]


class Kept(NamedTuple):
    """A store of one scope, and a look into it: the answer to a query that both databases understand."""

    messages: Messages
    ledger: Ledger
    rows: Callable[[str], list[tuple[Any, ...]]]
    deliveries: str


class Nowhere:
    """A ledger that nobody asks."""

    def deliver(self, deliveries: Sequence[Delivery]) -> None: ...


Open = Callable[[str], Kept]


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """kept(scope) -> the store of that scope; all are in one database."""
    if request.param == "postgres":
        connections = database(request.getfixturevalue("postgres_url"))

        def in_postgres(scope: str) -> Kept:
            scoped = Scoped(connections, scope, lambda: 7)
            ledger = ServerLedger(PostgresCopies(scoped), Nowhere())
            return Kept(PostgresMessages(scoped), ledger, lambda q: scoped.rows(q, ()), "copies")

        yield in_postgres
        connections.close()
        return
    connection = connect(tmp_path / "archive.sqlite", write=True, create=True)

    def in_sqlite(scope: str) -> Kept:
        records = SqliteRecords(connection, lambda: 7, scope)
        return Kept(records, records, lambda q: list(connection.execute(q)), "deliveries")

    yield in_sqlite


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    sealed = {a.sealed.row.id: a.sealed for a in arrivals(40, 5) if a.sealed.row is not None}
    return [entry(s) for s in sealed.values()]


def entry(sealed: Sealed) -> Entry:
    assert sealed.row is not None
    assert sealed.words is not None
    return sealed.row, sealed.words, sealed.people


def ids(entries: Collection[Entry]) -> set[bytes]:
    return {row.id for row, _, _ in entries}


def people(entries: Collection[Entry]) -> list[tuple[Any, ...]]:
    count = Counter(person for _, _, some in entries for person in some)
    return sorted((*person, mails) for person, mails in count.items())


def counted(store: Kept, scope: str = "") -> list[tuple[Any, ...]]:
    return sorted(store.rows(f"select key, name, role, mails from people where scope = '{scope}'"))


COLUMNS = "id, content_hash, twin, date, subject, base_subject, sender, message_id, list_id, marks, charsets, size, attachments, nested, problems"


def held(store: Kept, scope: str = "") -> list[tuple[Any, ...]]:
    return store.rows(f"select {COLUMNS} from messages where scope = '{scope}' order by id")


# ------------------------------------------------------------------------------------------------ messages
def test_what_was_put_is_there_as_it_was(kept: Open, entries: list[Entry]) -> None:
    store = kept("")
    store.messages.put(entries)
    assert held(store) == sorted(tuple(row[:-3]) for row, _, _ in entries)


def test_who_was_put_is_finished_only_when_told(kept: Open, entries: list[Entry]) -> None:
    store = kept("")
    every = ids(entries)
    assert not store.messages.finished(every)
    store.messages.put(entries)
    assert not store.messages.finished(every)
    some = ids(entries[:7])
    store.messages.finish(some)
    assert set(store.messages.finished(every)) == some
    store.messages.finish(some)
    store.messages.put(entries)
    assert set(store.messages.finished(every)) == some, "what is finished stays so"


def test_nothing_is_nothing(kept: Open) -> None:
    store = kept("")
    store.messages.put([])
    store.messages.finish([])
    store.ledger.deliver([])
    assert not store.messages.finished([])
    assert held(store) == []


def test_a_replay_counts_nobody_twice(kept: Open, entries: list[Entry]) -> None:
    store = kept("")
    store.messages.put(entries[:20])
    before = held(store)
    store.messages.put(entries[:20])
    assert held(store) == before
    assert counted(store) == people(entries[:20])
    store.messages.put(entries[10:])
    assert counted(store) == people(entries)


def test_scopes_have_nothing_to_do_with_each_other(kept: Open, entries: list[Entry]) -> None:
    one, other = kept("one"), kept("other")
    one.messages.put(entries)
    one.messages.finish(ids(entries))
    assert not other.messages.finished(ids(entries))
    assert held(other, "other") == []
    other.messages.put(entries[:5])
    assert counted(one, "one") == people(entries)
    assert counted(other, "other") == people(entries[:5])
    assert not other.messages.finished(ids(entries))


HOSTILE = b"""From: "%s" <a@example.org>\r\nTo: "=?utf-8?q?N=00UL?=" <b@example.org>\r\nSubject: =?utf-8?q?a=00b?= \xed\xa0\x80\r
Message-ID: <%s@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nHi\r\n--x\r
Content-Type: application/x-%s; name="=?utf-8?q?f=00%s?="\r\n\r\ndata\r\n--x--\r\n"""


def test_what_a_sender_makes_long_or_strange_can_be_kept(kept: Open) -> None:
    noise = "".join(chr(0x4E00 + (n * 7919) % 20000) for n in range(9000)).encode()
    store = kept("")
    some = [entry(arrived(HOSTILE.replace(b"%s", noise[at:]), 0).sealed) for at in (0, 3000)]
    store.messages.put(some)
    store.messages.put(some)
    assert len(held(store)) == 2
    assert sorted(mails for _, _, role, mails in counted(store) if role == "to") == [2]


# ------------------------------------------------------------------------------------------------ deliveries
def delivery(entry: Entry, path: str, state: str, **changes: Any) -> Delivery:
    origin = Origin("s3://raw", path, 0, 99, 99, 0, 1, "in", ("a", "b"), "S")
    made = Delivery(origin, 0, 5, state, entry[0].id, bytes(32), b"{}", "", "2")
    return made._replace(**changes)


def told(store: Kept) -> list[tuple[Any, ...]]:
    query = f"select path, generation, state, message, version, labels, stored_at from {store.deliveries} order by path, generation"
    return store.rows(query)


def test_each_copy_has_its_row(kept: Open, entries: list[Entry]) -> None:
    store = kept("")
    one = entries[0]
    some = [
        delivery(one, "a", "stored"),
        delivery(one, "b", "duplicate"),
        delivery(one, "b", "duplicate", generation=1),
    ]
    store.ledger.deliver(some)
    store.ledger.deliver(some)
    m = one[0].id
    assert told(store) == [
        ("a", 0, "stored", m, "2", "a b", 7),
        ("b", 0, "duplicate", m, "2", "a b", 7),
        ("b", 1, "duplicate", m, "2", "a b", 7),
    ]


def test_what_was_stored_stays_so_when_it_comes_again(kept: Open, entries: list[Entry]) -> None:
    store = kept("")
    store.ledger.deliver([delivery(entries[0], "a", "stored")])
    store.ledger.deliver([delivery(entries[0], "a", "duplicate", version="3")])
    assert [(row[2], row[4]) for row in told(store)] == [("stored", "3")]


def test_an_event_twice_in_a_batch_is_one_copy(kept: Open, entries: list[Entry]) -> None:
    store = kept("")
    store.ledger.deliver([delivery(entries[0], "a", "stored"), delivery(entries[0], "a", "duplicate")])
    assert [row[2] for row in told(store)] == ["stored"]


@pytest.mark.servers
def test_one_copy_of_a_message_is_stored_whatever_was_believed(postgres_url: str, entries: list[Entry]) -> None:
    """Two workers had the same mail; or one died before it told that its copy was the stored one."""
    connections = database(postgres_url)
    copies = PostgresCopies(Scoped(connections, "", lambda: 7))
    one, other = entries[:2]
    first = copies.keep([delivery(one, "a", "stored"), delivery(other, "x", "duplicate")])
    assert [d.state for d in first] == ["stored", "stored"]
    second = copies.keep(
        [delivery(one, "b", "stored"), delivery(one, "a", "stored"), delivery(other, "x", "duplicate")]
    )
    assert [d.state for d in second] == ["duplicate", "stored", "stored"]
    connections.close()
