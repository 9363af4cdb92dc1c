"""The reading side of PostgreSQL answers as the embedded one does, method by method, for the same mail; and nothing crosses scopes."""

from __future__ import annotations

import io
import random
import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from mailloom.archive import Archive, NotFoundError
from mailloom.archive.digest import digest
from mailloom.archive.duplicates import duplicates, groups
from mailloom.archive.export import export
from mailloom.archive.story import story
from mailloom.mail.model import MessageId
from mailloom.ports import Copy, Edit, Reader, Transient, UserError
from mailloom.stores.postgres.connection import Connections
from mailloom.thread import editing
from mailloom.thread.keys import key_name, message_node, nodes_of
from mailloom.thread.settle import settle
from mailloom.wire import Embedded, open_for_reading, open_for_writing
from reading_both import (
    BUCKET,
    ServerStores,
    arrivals,
    fill_embedded,
    fill_servers,
    new_database,
    reading,
)

pytestmark = pytest.mark.servers

MAILS = 250
NOBODY = MessageId(b"\x01" * 16)


class Both(NamedTuple):
    """The same mail twice, in the scope "one"; the other scopes hold some of it, and other mail."""

    embedded: Archive
    server: Archive

    @property
    def readers(self) -> tuple[Reader, Reader]:
        return self.embedded.reader, self.server.reader

    def ids(self) -> list[MessageId]:
        return [one.id for one in self.embedded.whole.listed()]


def _edit(stores: Embedded | ServerStores, ids: list[MessageId]) -> None:
    """One edit in force, and one that was taken back."""
    for number in (1, 2):
        with stores.threads.session():
            editing.make(stores.threads, editing.join(ids[2 + number], ids[-30 - number], 1000 + number))
    with stores.threads.session():
        stores.threads.undo(2, 2000)
    settle(stores.threads, why="by hand")


@pytest.fixture(scope="module")
def both(server: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("reader") / "archive"
    url = new_database(server("postgres"), "t" + secrets.token_hex(5))
    connections = Connections(url)
    mine, others = arrivals(MAILS, 7), arrivals(60, 8)
    for scope, batches in (("", others), ("one", mine), ("one2", mine[:2] + others)):
        with open_for_writing(folder, scope) as stores:
            fill_embedded(stores, batches)
            servers = ServerStores(connections, scope)
            fill_servers(servers, batches)
            ids = [row.id for row in stores.reader.whole.listed()]
            for each in (stores, servers):
                _edit(each, ids)
        if scope == "one":
            kept = servers
    with Archive(open_for_reading(folder, "one")) as embedded, Archive(reading(url, kept, "one")) as served:
        yield Both(embedded, served)
    connections.close()


def plain(value: Any) -> Any:
    """Without what differs by when it was written."""
    if isinstance(value, Copy):
        return replace(value, stored_at=0, object="")
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [plain(one) for one in value]
    return value


def same(both: Both, ask: Callable[[Reader], Any]) -> Any:
    """What both answer, which must be equal."""
    embedded, server = (plain(ask(reader)) for reader in both.readers)
    assert server == embedded
    return server


# ------------------------------------------------------------------------------------------------ messages
def test_messages_by_id(both: Both) -> None:
    some = [*random.Random(1).sample(both.ids(), 120), NOBODY]
    for method in ("summaries", "bodies", "subjects"):
        found = same(both, lambda reader, method=method: dict(getattr(reader.messages, method)(some)))
        assert found.keys() == set(some) - {NOBODY}
    assert same(both, lambda reader: set(reader.messages.marked(some, "automatic"))) == set()
    assert same(both, lambda reader: dict(reader.messages.twins(some)))
    assert same(both, lambda reader: dict(reader.messages.summaries([]))) == {}


def test_messages_by_name(both: Both) -> None:
    ids = both.ids()
    for message in ids[::10]:
        for digits in (2, 3, 5, 16):
            low, high = (MessageId(message[:digits].ljust(16, fill)) for fill in (b"\0", b"\xff"))
            assert same(both, lambda reader, low=low, high=high: list(reader.messages.between(low, high, 6)))
    names = {one.message_id for one in both.embedded.whole.listed()}
    found = same(both, lambda reader: dict(reader.messages.called({*names, "nobody@example.org"}, 6)))
    assert found.keys() == names - {""}
    assert max(map(len, found.values())) > 1
    assert [len(one) for one in both.server.messages.called(names, 1).values()] == [1] * len(found)


def test_neighbours_are_those_just_before_and_after(both: Both) -> None:
    """As far as a store has to look: those with the same first 4 bytes."""
    ids = both.ids()
    met = 0
    for before, message, after in zip([None, *ids], ids, [*ids[1:], None], strict=False):
        for reader in both.readers:
            for told, near in zip(reader.messages.neighbours(message), (before, after), strict=True):
                is_near = near is not None and near[:4] == message[:4]
                assert told == near if is_near else told in (near, None)
                met += is_near
    assert met, "some ids must be near each other, or this shows nothing"


def test_short_ids_are_the_same(both: Both) -> None:
    short = [both.embedded.short(message) for message in both.ids()]
    assert [both.server.short(message) for message in both.ids()] == short
    assert max(map(len, short)) > 8
    assert all(both.server.find(name) == message for name, message in zip(short, both.ids(), strict=True))


def test_who_reuses_a_message_id(both: Both) -> None:
    found = [same(both, lambda reader, m=m: list(reader.messages.reusing(m, 3))) for m in both.ids()]
    assert {kind for some in found for _, kind in some} == {True, False}


# ------------------------------------------------------------------------------------------------ threads
def test_conversations(both: Both) -> None:
    ids = both.ids()
    named = same(both, lambda reader: dict(reader.threads.conversations([*ids, NOBODY])))
    assert named.keys() == set(ids)
    assert 20 < len(set(named.values())) < len(ids) - 20
    members = same(both, lambda reader: dict(reader.threads.members({*named.values(), NOBODY})))
    assert sorted(message for some in members.values() for message in some) == ids
    assert all(some[0] == conversation for conversation, some in members.items())


def test_evidence(both: Both) -> None:
    ids = both.ids()
    stated = same(both, lambda reader: dict(reader.threads.stated([*ids, NOBODY])))
    assert stated.keys() == set(ids)
    keys = {link.key for s in stated.values() for link in s.links}
    asked = [*keys, key_name("id", b"nobody@example.org")]
    assert same(both, lambda reader: dict(reader.threads.linked(asked))).keys() == keys
    assert same(both, lambda reader: sorted(reader.threads.soft(ids)))
    assert same(both, lambda reader: sorted(reader.threads.drawn(ids[:100])))
    assert any(same(both, lambda reader: dict(reader.threads.keys(keys))).values())
    clues = {ask.clue for s in stated.values() for ask in s.asks}
    assert same(both, lambda reader: dict(reader.threads.clues(clues)))
    names = [message_node(message) for message in ids]
    dead = same(both, lambda reader: {name: node.dead for name, node in reader.threads.nodes(names).items()})
    assert dead.keys() == set(names)
    assert same(both, lambda reader: set(reader.threads.unsettled(ids))) == set()


def test_edits_and_what_followers_are_told(both: Both) -> None:
    edits: list[Edit] = same(both, lambda reader: list(reader.threads.edits()))
    assert [(edit.number, edit.undone) for edit in edits] == [(1, None), (2, 2000)]
    names = {name for s in both.embedded.stated(both.ids()) for name in nodes_of(s)}
    assert same(both, lambda reader: sorted(reader.threads.places(names)))
    told = same(both, lambda reader: [entry for _, entry in reader.threads.told(both.ids())])
    assert "joined by hand" in {entry.why for entry in told}


# ------------------------------------------------------------------------------------------------ deliveries
def test_deliveries(both: Both) -> None:
    ids = both.ids()

    def sets(found: Collection[Copy]) -> list[tuple[object, ...]]:
        return sorted(
            (c.source, c.path, c.start, c.state, c.trace, c.message or b"", c.folder, c.labels) for c in found
        )

    copies = same(both, lambda reader: {m: sets(some) for m, some in reader.deliveries.copies([*ids, NOBODY]).items()})
    assert copies.keys() == set(ids)
    assert max(map(len, copies.values())) > 1
    assert same(both, lambda reader: list(reader.deliveries.sources())) == [BUCKET]
    places = [(BUCKET, str(one[1])) for some in copies.values() for one in some]
    asked = [*places, (BUCKET, "in/bad/1.bin"), (BUCKET, "nowhere"), ("s3://other", places[0][1])]
    found = same(both, lambda reader: list(reader.deliveries.delivered(asked)))
    assert len(found) == len(places) + 1
    assert len(same(both, lambda reader: list(reader.deliveries.ending("00012.eml")))) == 1
    assert same(both, lambda reader: list(reader.deliveries.ending("0001_.eml"))) == []
    assert len(same(both, lambda reader: list(reader.deliveries.rejected(foreign=False)))) == 4
    assert len(same(both, lambda reader: list(reader.deliveries.rejected(foreign=True)))) == 5


# ------------------------------------------------------------------------------------------------ everything
@pytest.mark.parametrize(
    "method", ["count", "bodies", "listed", "members", "evidence", "hard_links", "soft_links", "traces", "raws"]
)
def test_all_of_it_in_order(both: Both, method: str) -> None:
    def ask(reader: Reader) -> Any:
        found = getattr(reader.whole, method)()
        return found if isinstance(found, int) else list(found)

    assert same(both, ask)


def test_all_of_it_in_any_order(both: Both) -> None:
    assert same(both, lambda reader: sorted(reader.whole.stored()))
    assert same(both, lambda reader: sorted(reader.whole.people()))
    assert same(both, lambda reader: sorted(reader.whole.repeated()))
    for kind in ("twins", "variants", "reused"):
        assert same(both, lambda reader, kind=kind: sorted(reader.whole.equal(kind), key=lambda row: row[1]))
        assert groups(both.server, kind) == groups(both.embedded, kind)  # type: ignore[arg-type]
    assert groups(both.server, "copies") == groups(both.embedded, "copies")


def test_members_of_all_are_the_conversations_of_each(both: Both) -> None:
    for archive in (both.embedded, both.server):
        for message, conversation, _ in archive.whole.members():
            assert archive.conversation(message) == conversation


# ------------------------------------------------------------------------------------------------ the archive over it
def test_digests_are_equal(both: Both) -> None:
    tables = digest(both.server, raw=True)
    assert tables == digest(both.embedded, raw=True)
    assert all(table.rows for table in tables)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("what", ["messages", "threads", "people"])
def test_exports_are_equal(both: Both, what: Any, form: Any) -> None:
    written = [io.BytesIO(), io.BytesIO()]
    for archive, file in zip(both, written, strict=True):
        assert export(archive, what, form, file)
    assert written[0].getvalue() == written[1].getvalue()


@pytest.mark.parametrize("policy", ["never", "subject", "gmail"])
def test_views_are_equal(both: Both, policy: Any) -> None:
    for message in both.ids()[::7]:
        assert list(both.server.view(message, policy)) == list(both.embedded.view(message, policy))
        assert repr(both.server.tree(message, policy)) == repr(both.embedded.tree(message, policy))
        assert both.server.held(message, policy) == both.embedded.held(message, policy)


def test_stories_are_equal_but_for_near_duplicates(both: Both) -> None:
    for message in both.ids()[::5]:
        told, expected = story(both.server, message), story(both.embedded, message)
        assert replace(told, near=()) == replace(expected, near=())
        assert duplicates(both.server, message) == [
            one for one in duplicates(both.embedded, message) if one.kind != "near"
        ]


def test_nobody_is_not_found(both: Both) -> None:
    for ask in (both.server.summary, both.server.record, both.server.conversation):
        with pytest.raises(NotFoundError):
            ask(NOBODY)
    with pytest.raises(NotFoundError):
        both.server.find("nobody@example.org")


def test_figures(both: Both) -> None:
    """All that `stats` tells; what a folder tells apart as foreign, a ledger of objects has rejected."""
    from mailloom.archive.stats import stats

    for top in (1, 10, 1000):
        embedded, server = (stats(archive, top) for archive in both)
        states = dict(embedded.deliveries)
        states["rejected"] += states.pop("foreign")
        assert server.disk > 0
        assert repr(server) == repr(replace(embedded, deliveries=states, disk=server.disk))  # in the same order, too
    assert server.messages == len(both.ids())
    assert len(server.longest) > 1
    assert all((server.months, server.domains, server.sizes, server.charsets, server.problems, server.types))


def test_what_needs_a_folder_says_so(both: Both) -> None:
    from mailloom.archive.analyse import Analysis

    for ask in (Analysis, lambda archive: groups(archive, "near")):
        with pytest.raises(UserError, match="on servers"):
            ask(both.server)


# ------------------------------------------------------------------------------------------------ snapshots, scopes
def test_a_snapshot_is_one_state_whoever_writes(server: Callable[[str], str]) -> None:
    url = new_database(server("postgres"), "t" + secrets.token_hex(5))
    connections = Connections(url)
    stores = ServerStores(connections, "")
    batches = arrivals(60, 3)
    fill_servers(stores, batches[:1])
    with Archive(reading(url, stores, "")) as archive:
        with archive.snapshot():
            before = len(archive), list(archive.whole.members())
            bodies = archive.whole.bodies()
            next(bodies)
            fill_servers(stores, batches[1:])
            assert (len(archive), list(archive.whole.members())) == before
            assert 1 + len(list(bodies)) == before[0]
        assert len(archive) > before[0]
        assert len(list(archive.whole.members())) == len(archive)
        unread = archive.whole.bodies()
        next(unread)
        del unread  # a reader that stops half way gives its connection back
        assert len(archive) > before[0]
    connections.close()


def test_a_message_that_is_not_placed_yet_is_a_conversation_of_its_own(server: Callable[[str], str]) -> None:
    url = new_database(server("postgres"), "t" + secrets.token_hex(5))
    connections = Connections(url)
    stores = ServerStores(connections, "")
    rows = [a.sealed for a in arrivals(20, 3)[0] if a.sealed.row is not None]
    stores.messages.put([(s.row, s.words, s.people) for s in rows if s.row and s.words])
    with Archive(reading(url, stores, "")) as archive:
        for message, conversation, topic in archive.whole.members():
            assert message == conversation == topic == archive.conversation(message)
            assert archive.members(message) == [message]
            assert [one.message for one in archive.tree(message)] == [message] or not archive.stated([message])
    connections.close()


def test_a_connection_that_is_cut_is_told_and_the_next_call_works(server: Callable[[str], str]) -> None:
    url = new_database(server("postgres"), "t" + secrets.token_hex(5))
    connections = Connections(url)
    stores = ServerStores(connections, "")
    fill_servers(stores, arrivals(20, 3)[:1])
    with Archive(reading(url, stores, "")) as archive:
        many = len(archive)
        for held in (archive.snapshot, nullcontext):
            with pytest.raises(Transient):
                _cut_between(archive, connections, held())
            assert len(archive) == many
    connections.close()


def _cut_between(archive: Archive, connections: Connections, held: AbstractContextManager[None]) -> None:
    others = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with held:
        assert len(archive)
        with connections.take() as connection:
            connection.execute(others.encode())
        len(archive)
