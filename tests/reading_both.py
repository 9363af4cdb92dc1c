"""The same deliveries in an embedded archive and on the stores of the server profile, to be read from both."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

from mailloom.flow.commit import Arrived, commit
from mailloom.flow.transform import refuse, seal, transform
from mailloom.mail.model import Origin
from mailloom.ports import Blobs, Books, Copy, Delivery, Frame, History, Ledger, Sink, Threads
from mailloom.query import Finder, Found, Members, Query
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.figures import PostgresFigures
from mailloom.stores.postgres.messages import PostgresCopies, PostgresMessages
from mailloom.stores.postgres.reading import PostgresReader
from mailloom.stores.postgres.scoped import Scoped
from mailloom.synth import generate, shape_of
from mailloom.thread.settle import settle
from mailloom.wire import Embedded
from mailloom.wire.reading import ServerReading
from mailloom.wire.servers import Nodes, ServerLedger, ServerMessages, ServerThreads
from server_stores import MemoryNodes, database

SHAPE = "size=1KB,attachments=0.05,again=0.1,late=0.2,delay=80,lost=0.2,missing=0.1,broken=0.1,retopic=0.1"
BUCKET = "s3://mail-bucket"
BATCH = 40


class MemoryHistory:
    """Implements ports.Ledger and ports.History."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, int], Delivery] = {}

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        self.rows |= {(d.origin.source, d.origin.path, d.origin.start): d for d in deliveries}

    def _copies(self) -> list[Copy]:
        return [_copy(delivery) for _, delivery in sorted(self.rows.items())]

    def books(self) -> dict[str, Books]:
        n = Counter(copy.state for copy in self._copies())
        return {BUCKET: Books(n.total(), n["stored"], n["duplicate"], n["rejected"] + n["foreign"], 0)}

    def where(self, places: Collection[tuple[str, str]]) -> list[Copy]:
        return [copy for place in places for copy in self._copies() if (copy.source, copy.path) == place]

    def rejected(self) -> Iterator[Copy]:
        found = [copy for copy in self._copies() if copy.state in {"rejected", "foreign"}]
        return iter(sorted(found, key=lambda copy: copy.state, reverse=True))


def _copy(d: Delivery) -> Copy:
    o = d.origin
    what = (d.state, d.message, d.raw_sha256, o.folder, " ".join(o.labels), o.flags, o.received_at, d.trace)
    return Copy(o.source, o.path, o.start, d.generation, o.length, *what, d.reason, d.version, d.read_at, 0, d.object)


class NoRaws:
    """Raw mail lies in the bucket already."""

    def keep(self, frames: Sequence[Frame]) -> None: ...


class NoIndex:
    """Finds nothing."""

    def find(self, query: Query, members: Members, limit: int) -> list[Found]:
        return []

    def count(self, query: Query, members: Members) -> int:
        return 0


class ServerStores:
    """Implements flow.commit.Stores for one scope."""

    def __init__(
        self,
        connections: Connections,
        scope: str,
        nodes: Nodes | None = None,
        ledger: Ledger | None = None,
        sinks: Sequence[Sink] = (),
    ) -> None:
        scoped = Scoped(connections, scope, lambda: 0)
        self.history = MemoryHistory()
        self.nodes: Nodes = nodes or MemoryNodes()
        self.threads = ServerThreads(self.nodes, scoped)
        self.messages = ServerMessages(PostgresMessages(scoped), sinks)
        self.ledger = ServerLedger(PostgresCopies(scoped), ledger or self.history)
        self.raws = NoRaws()


def no_bucket(name: str) -> Blobs:
    raise AssertionError(name)


def reading(
    url: str,
    stores: ServerStores,
    scope: str,
    *,
    finder: Finder | None = None,
    history: History | None = None,
    bucket: Callable[[str], Blobs] = no_bucket,
) -> ServerReading:
    connections = Connections(url, read_only=True)
    reader = PostgresReader(connections, stores.nodes, history or stores.history, scope, (BUCKET,))
    figures = PostgresFigures(reader.state, stores.history.books)
    return ServerReading(reader, finder or NoIndex(), bucket, figures)


def arrivals(mails: int, seed: int) -> list[list[Arrived]]:
    """Batches of deliveries in any order: mail as real as synth makes it, copies, twins, variants, and what is no mail."""
    raws = [mail.raw for mail in generate(mails, seed, shape_of(SHAPE))]
    raws += [raw.replace(b"Message-ID: <", b"Message-ID: <other.", 1) for raw in raws[:20]]
    raws += [raw + b"\n-- \nlist footer\n" for raw in raws[20:40]]
    raws += [raw.replace(b"Subject: ", b"Subject: else ", 1) for raw in raws[40:50]]
    some = []
    for number, raw in enumerate(raws):
        origin = Origin(
            BUCKET,
            f"in/{number % 7}/{number:05}.eml",
            0,
            len(raw),
            len(raw),
            0,
            folder=f"f{number % 3}",
            labels=("a", "b"),
        )
        some.append(Arrived(seal(transform(raw, origin)), 0, number))
    for number in range(5):
        origin = Origin(BUCKET, f"in/bad/{number}.bin", 0, 0, 0, 0)
        some.append(Arrived(seal(refuse(origin, "too large: 1 GB", None)), 0, number, foreign=number == 0))
    random.Random(seed).shuffle(some)
    return [some[at : at + BATCH] for at in range(0, len(some), BATCH)]


def fill_embedded(stores: Embedded, batches: Sequence[list[Arrived]]) -> None:
    for batch in batches:
        with stores.unit():
            commit(batch, [], stores)
    settle(stores.threads)


def fill_servers(stores: ServerStores, batches: Sequence[list[Arrived]]) -> None:
    threads: Threads = stores.threads
    for batch in batches:
        with threads.session():
            commit(batch, [], stores)
    settle(threads)


def new_database(main: str, name: str) -> str:
    """A DSN of a new database with tables."""
    import psycopg

    with psycopg.connect(main, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
    url = main.removesuffix("postgres") + name
    database(url, 202401, 202406).close()
    return url
