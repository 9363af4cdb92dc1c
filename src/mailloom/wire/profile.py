"""Settings -> the server profile: what commands and Lambda's handlers work with. servers.py and reading.py put stores together, clients.py
makes clients; here is who gets which.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from threading import Lock

from mailloom import obs
from mailloom.config import Settings
from mailloom.mail.model import MessageId
from mailloom.ports import Blobs, Books, Frame, Queue, Row, Sink, Threads, UserError, Words
from mailloom.ports.scope import checked
from mailloom.stores.dynamodb import TABLES, Dynamo, DynamoLedger, DynamoNodes, create, life
from mailloom.stores.firehose import Firehose
from mailloom.stores.opensearch.index import Index
from mailloom.stores.opensearch.layout import Names, expire, first, install
from mailloom.stores.opensearch.layout import check as check_index
from mailloom.stores.opensearch.search import Search
from mailloom.stores.postgres.checks import PostgresChecks
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.figures import PostgresFigures
from mailloom.stores.postgres.located import Located
from mailloom.stores.postgres.messages import PostgresCopies, PostgresMessages
from mailloom.stores.postgres.migrate import check as check_tables
from mailloom.stores.postgres.migrate import migrate as migrate_tables
from mailloom.stores.postgres.migrate import waiting as waiting_tables
from mailloom.stores.postgres.partitions import make, window
from mailloom.stores.postgres.reading import PostgresReader
from mailloom.stores.postgres.scoped import Scoped
from mailloom.stores.s3 import S3Blobs
from mailloom.stores.sqs import SqsQueue
from mailloom.stores.valkey import ValkeyCache
from mailloom.wire.clients import Clients, missing
from mailloom.wire.clock import now_ms
from mailloom.wire.reading import LedgerHistory, ServerReading
from mailloom.wire.servers import ServerLedger, ServerMessages, ServerThreads

QUEUES = ("events", "work", "large", "next", "shadow", "dead", "dead_shadow")
MARKS = 10_000  # that are counted for the gauge `dirty`: more is as bad


class ObjectRaws:
    """Implements ports.Raws where the object that landed is the raw copy: there is nothing to keep."""

    def keep(self, frames: Sequence[Frame]) -> None:
        """Nothing."""


class Traced:
    """A sink whose puts are steps of a trace. Implements ports.Sink."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name, self.sink = name, sink

    def put(self, rows: Sequence[tuple[Row, Words, Sequence[tuple[str, str, str]]]]) -> None:
        with obs.span("sink", store=self.name, mails=len(rows)):
            self.sink.put(rows)


class ServerStores:
    """The stores of a committing thread. Implements run.arrivals.Unit: no transaction lies over them, and none is needed."""

    def __init__(self, threads: ServerThreads, messages: ServerMessages, ledger: ServerLedger) -> None:
        self.threads, self.messages, self.ledger, self.raws = threads, messages, ledger, ObjectRaws()

    def unit(self) -> AbstractContextManager[None]:
        return self.threads.session()


class Servers:
    """The servers of a profile. Each part is made when it is first asked for, so `mailloom dead` needs no PostgreSQL. Raises UserError where a
    setting that a part needs is missing, and Transient or UserError as the stores do.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
        self.settings, self.scope = settings, checked(settings.scope)
        self.clients = Clients(settings, environ)
        self._buckets: dict[str, S3Blobs] = {}
        self._queues: dict[str, SqsQueue] = {}
        self._told: Counter[tuple[str, ...]] = Counter()
        self._naming = Lock()
        obs.observe(self._observe)

    # -------------------------------------------------------------------------------------------- what brings mail
    def buckets(self, name: str) -> Blobs:
        """A bucket's objects. From any thread."""
        with self._naming:
            if name not in self._buckets:
                client = self.clients.aws("s3")
                self._buckets[name] = S3Blobs(client, name, self.clients.direct(client))
            return self._buckets[name]

    def bucket(self) -> str:
        """The bucket that mail lands in. Raises UserError where it isn't set."""
        if name := self.settings.aws.bucket:
            return name
        raise missing(self.settings, "aws.bucket")

    def queue(self, name: str) -> SqsQueue:
        """One of QUEUES. Raises UserError where its URL isn't set."""
        if name not in self._queues:
            url: str = getattr(self.settings.aws.queues, name)
            if not url:
                raise missing(self.settings, f"aws.queues.{name}")
            self._queues[name] = SqsQueue(self.clients.aws("sqs"), url, self.settings.worker.visibility)
        return self._queues[name]

    def queue_if_set(self, name: str) -> Queue | None:
        """The same, None where it isn't set."""
        return self.queue(name) if getattr(self.settings.aws.queues, name) else None

    # -------------------------------------------------------------------------------------------- PostgreSQL and DynamoDB
    @cached_property
    def writer(self) -> Connections:
        return self._connections(self.clients.wanted(self.settings.postgres.dsn, "postgres.dsn"))

    def _connections(self, dsn: str, *, read_only: bool = False) -> Connections:
        postgres = self.settings.postgres
        password = (lambda: self.clients.text(postgres.password)) if postgres.password else None
        return Connections(dsn, size=postgres.pool, read_only=read_only, password=password)

    @cached_property
    def dynamo(self) -> Dynamo:
        return Dynamo(self.clients.aws("dynamodb"), self.settings.aws.tables)

    @cached_property
    def cache(self) -> ValkeyCache | None:
        client = self.clients.valkey()
        if client is None:
            return None
        from mailloom.stores.aws_errors import told

        # A guess must have been true once. What a cache knows of other tables never was, and joins would be lost by it.
        with told(f"DynamoDB table {self.settings.aws.tables}nodes"):
            prefix = f"{self.settings.aws.tables}{life(self.clients.aws('dynamodb'), self.settings.aws.tables)}:"
        return ValkeyCache(client, time.monotonic, prefix, ttl=self.settings.valkey.seconds)

    def _nodes(self) -> DynamoNodes:
        return DynamoNodes(self.dynamo, now_ms, self.scope, cache=self.cache, clue_days=self.settings.aws.clue_days)

    @property
    def scoped(self) -> Scoped:
        return Scoped(self.writer, self.scope, now_ms)

    @cached_property
    def objects(self) -> DynamoLedger:
        """Deliveries from object storage: ports.Receipts, Progress and the reading side of the ledger. A ports.Ledger too, for deliveries that
        bring no message: they have no copies, so who only rejects needs no PostgreSQL.
        """
        return DynamoLedger(self.dynamo, now_ms, self.scope)

    @property
    def receipts(self) -> DynamoLedger:
        return self.objects

    @property
    def places(self) -> DynamoLedger:
        return self.objects

    @cached_property
    def ledger(self) -> ServerLedger:
        return ServerLedger(PostgresCopies(self.scoped), self.objects)

    @cached_property
    def threads(self) -> Threads:
        return ServerThreads(self._nodes(), self.scoped)

    @cached_property
    def stores(self) -> ServerStores:
        """What a worker commits to."""
        messages = ServerMessages(PostgresMessages(self.scoped), self.sinks)
        return ServerStores(ServerThreads(self._nodes(), self.scoped), messages, self.ledger)

    # -------------------------------------------------------------------------------------------- sinks, and what is read
    @property
    def names(self) -> Names:
        return Names(self.settings.opensearch.prefix)

    @cached_property
    def index(self) -> Index | None:
        if not self.settings.opensearch.url:
            return None
        return Index(self.clients.opensearch(), self.names, self.scope, report=_not_whole, since=self._searched)

    def _searched(self) -> str:
        """The first month that search holds."""
        return first(self.settings.opensearch.days, now_ms())

    @cached_property
    def sinks(self) -> list[Sink]:
        found: list[Sink] = []
        if self.index is not None:
            found.append(Traced("opensearch", self.index))
        if self.settings.aws.stream:
            sink = Firehose(self.clients.aws("firehose"), self.settings.aws.stream, self.scope)
            found.append(Traced("firehose", sink))
        return found

    @cached_property
    def reader(self) -> PostgresReader:
        postgres = self.settings.postgres
        return self._reader(self.clients.text(postgres.reader_dsn) or self.clients.wanted(postgres.dsn, "postgres.dsn"))

    def _reader(self, dsn: str) -> PostgresReader:
        connections = self._connections(dsn, read_only=True)
        bucket = self.settings.aws.bucket
        sources = (f"s3://{bucket}",) if bucket else ()
        nodes = DynamoNodes(self.dynamo, now_ms, self.scope)  # read strongly: no cache is asked
        return PostgresReader(connections, nodes, LedgerHistory(self.objects), self.scope, sources)

    @cached_property
    def readable(self) -> ServerReading:
        """What archive.Archive is made of."""
        return self._readable(self.reader)

    def _readable(self, reader: PostgresReader) -> ServerReading:
        finder = Search(self.clients.opensearch(), self.names, self.scope, located=Located(reader.state))
        return ServerReading(reader, finder, self.buckets, PostgresFigures(reader.state, self._books))

    def _books(self) -> Mapping[str, Books]:
        return self.objects.books()

    def written(self) -> ServerReading:
        """The same, read where it is written: a replica may lag behind what we wrote just now. Close it."""
        return self._readable(self._reader(self.clients.wanted(self.settings.postgres.dsn, "postgres.dsn")))

    @property
    def checks(self) -> PostgresChecks:
        """What `mailloom doctor` counts."""
        return PostgresChecks(self.reader.state)

    # -------------------------------------------------------------------------------------------- tables
    def check(self) -> None:
        """Raises UserError unless tables and templates are there in this version: what a worker asks first."""
        check_tables(self.writer)
        if absent := self._absent():
            raise UserError(
                f"DynamoDB has no table {', '.join(absent)}: run `mailloom migrate`, or make it as AWS is set up"
            )
        if self.settings.opensearch.url:
            check_index(self.clients.opensearch(), self.names)

    def check_reader(self) -> None:
        """The same for who only reads records: raises UserError unless the reader endpoint has the tables."""
        check_tables(self.reader.state.connections)

    def _absent(self) -> list[str]:
        from botocore.exceptions import ClientError

        from mailloom.stores.aws_errors import told

        absent = []
        client = self.clients.aws("dynamodb")
        for name in (self.settings.aws.tables + table for table in TABLES):
            with told(f"DynamoDB table {name}"):
                try:
                    client.describe_table(TableName=name)
                except ClientError as error:
                    if error.response["Error"]["Code"] != "ResourceNotFoundException":
                        raise
                    absent.append(name)
        return absent

    def migrate(self, *, after: bool = False) -> Iterator[str]:
        """Bring tables, partitions and templates up to this version, so that the one before can go on running; `after` it has ended everywhere:
        take away what only that one needed. What was done, in words.
        """
        for name in migrate_tables(self.writer, after=after):
            yield f"PostgreSQL: {name}"
        if after:
            return
        postgres = self.settings.postgres
        if made := make(self.writer, *window(now_ms(), postgres.years_back, postgres.months_ahead)):
            yield f"PostgreSQL: {made} partitions"
        if absent := self._absent():
            create(self.clients.aws("dynamodb"), self.settings.aws.tables)
            yield f"DynamoDB: {', '.join(absent)}"
        index = self.settings.opensearch
        if index.url and install(
            self.clients.opensearch(), self.names, shards=index.shards, replicas=index.replicas, refresh=index.refresh
        ):
            yield f"OpenSearch: template {self.names.template}"
        if index.url and (gone := expire(self.clients.opensearch(), self.names, self._searched())):
            yield f"OpenSearch: {', '.join(gone)} out of search (opensearch.days)"

    def waiting(self) -> list[str]:
        """What `migrate` with `after` would do."""
        return waiting_tables(self.writer)

    # -------------------------------------------------------------------------------------------- figures
    def _observe(self) -> None:
        """Before each report: what was spent since the last, and how long queues are."""
        for service, count in dict(self.clients.requests).items():  # others add to it meanwhile
            obs.count("requests", self._since(count, service), store=service)
        if "dynamo" in self.__dict__:
            for kind, spent in (("write", self.dynamo.spent.written), ("read", self.dynamo.spent.read)):
                for table, units in dict(spent).items():
                    obs.count("units", self._since(units, table, kind), table=table, kind=kind)
        if (cache := self.__dict__.get("cache")) is not None:
            for outcome, count in (("hit", cache.hits), ("miss", cache.misses), ("away", cache.errors)):
                obs.count("cache", self._since(count, "cache", outcome), outcome=outcome)
        for name, queue in list(self._queues.items()):
            depth, held = queue.depth()
            obs.gauge("queue_depth", depth, queue=name)
            obs.gauge("queue_held", held, queue=name)
            if name == "dead":
                obs.gauge("dead_letters", depth + held)
        if "threads" in self.__dict__:
            obs.gauge("dirty", len(self.threads.dirty(MARKS)))

    def _since(self, total: float, *what: str) -> float:
        before, self._told[what] = self._told[what], total  # type: ignore[assignment]  # halves of units
        return total - before

    def close(self) -> None:
        for name in ("writer", "reader"):
            if name in self.__dict__:
                self.__dict__[name].close()
        self.clients.close()


def _not_whole(message: MessageId, fields: Sequence[str], reason: str) -> None:
    """A mail that the index took in part: the rest of it is not found by search."""
    obs.count("reduced", 1, store="opensearch")
    obs.log.warning("mail indexed in part", message=message, without=list(fields), reason=reason)


def open_servers(settings: Settings, environ: Mapping[str, str] = os.environ) -> Servers:
    """The servers that the settings name; nothing is connected to before it is used."""
    return Servers(settings, environ)
