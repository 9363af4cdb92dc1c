"""Real servers for tests that carry `pytestmark = pytest.mark.servers`: one fixture for each, started when first asked for.

What `make services` started is used; the rest is started once for the whole test run, by whichever worker of xdist
needs it first, and stopped by the process that began the run. A test gets a part of a server that nobody else uses
(a database, a prefix), so tests need not tidy up. A server that can't be had skips the test at a desk and fails it
where CI=true.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
# services/ is a package of the repository, not an installed one.
sys.path.insert(0, str(ROOT))

from services import stack  # noqa: E402
from services.fetch import Unavailable  # noqa: E402
from services.servers import REGION, url  # noqa: E402

# Set by the process that begins the run; the workers inherit it.
FOLDER = "MAILLOOM_SERVICES_RUN"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[FOLDER] = str(ROOT / "build" / "services-run" / str(os.getpid()))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        remove(Path(os.environ.pop(FOLDER)))


def remove(folder: Path) -> None:
    """Stop the servers of a test run, and those that a test had for itself."""
    for each in (folder, *folder.glob("*/")):
        stack.stop(folder=each)
    shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Stop what a test run left that was killed."""
    for folder in (ROOT / "build" / "services-run").glob("[0-9]*"):
        if not psutil.pid_exists(int(folder.name)):
            remove(folder)


@pytest.fixture(scope="session")
def server(server_missing: Callable[[str], NoReturn]) -> Callable[[str], str]:
    """server(name) -> its URL, started if need be."""
    known: dict[str, str] = {}

    def have(name: str) -> str:
        if name not in known:
            folder = stack.DESK if name in stack.alive() else Path(os.environ[FOLDER])
            try:
                if folder != stack.DESK:
                    sweep()
                known[name] = url(name, stack.start([name], folder)[name].port)
            except Unavailable as error:
                server_missing(str(error))
        return known[name]

    return have


class Own:
    """A server that is one test's alone, to be killed, held and started again at the same `url`."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._running = stack.start([name], folder)[name]
        self.url = url(name, self._running.port)
        self.port = self._running.port

    def kill(self, sign: signal.Signals = signal.SIGKILL) -> None:
        """End it by this signal; comes back when it has ended."""
        stack.kill(self._running, sign)

    def start(self) -> None:
        """Start it again. PostgreSQL and OpenSearch have their data then, the others are empty."""
        self._running = stack.again(self._name, self._folder)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let it not run for a while: connections stay open, nothing answers."""
        process = self._running.process()
        assert process is not None
        family = [process, *process.children(recursive=True)]
        for each in family:
            each.suspend()
        try:
            yield
        finally:
            for each in family:
                each.resume()


@pytest.fixture
def own_server(tmp_path: Path, server_missing: Callable[[str], NoReturn]) -> Iterator[Callable[[str], Own]]:
    """own_server(name) -> a server of this test's own, stopped when the test ends."""
    folder = Path(os.environ[FOLDER]) / tmp_path.name

    def begin(name: str) -> Own:
        try:
            return Own(name, folder)
        except Unavailable as error:
            server_missing(str(error))

    yield begin
    stack.stop(folder=folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def prefix() -> str:
    """A short name that no other test has: for tables, buckets, queues, streams and indexes."""
    return "t" + secrets.token_hex(5)


@pytest.fixture
def postgres_url(server: Callable[[str], str]) -> Iterator[str]:
    """A DSN of a new, empty database."""
    import psycopg
    from psycopg import sql

    main = server("postgres")
    name = "t" + secrets.token_hex(5)
    with psycopg.connect(main, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield main.removesuffix("postgres") + name
    with psycopg.connect(main, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def valkey_url(server: Callable[[str], str]) -> str:
    """A URL with the number of an empty database that no other test uses at the same time."""
    import redis

    main = server("valkey")
    with redis.Redis.from_url(main) as counter:
        number = 1 + int(counter.incr("tests")) % 4095
    with redis.Redis.from_url(f"{main}/{number}") as client:
        client.flushdb()
    return f"{main}/{number}"


@pytest.fixture
def dynamodb_url(server: Callable[[str], str]) -> str:
    """DynamoDB Local's endpoint; `prefix` keeps tables apart."""
    return server("dynamodb")


@pytest.fixture
def aws_url(server: Callable[[str], str]) -> str:
    """The endpoint of S3, SQS, Lambda, Firehose and the rest; `prefix` keeps names apart."""
    return server("aws")


@pytest.fixture
def opensearch_url(server: Callable[[str], str]) -> str:
    """OpenSearch's URL; `prefix` keeps indexes and templates apart."""
    return server("opensearch")


@pytest.fixture
def boto(server: Callable[[str], str]) -> Iterator[Callable[[str], Any]]:
    """boto(service) -> a boto3 client of that service on these servers."""
    import boto3
    from botocore.config import Config

    made: dict[str, Any] = {}
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)

    def client(service: str) -> Any:
        if service not in made:
            endpoint = server("dynamodb" if service == "dynamodb" else "aws")
            config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1, "mode": "standard"})
            made[service] = session.client(service, endpoint_url=endpoint, config=config)
        return made[service]

    yield client
    for each in made.values():
        each.close()


@pytest.fixture
def wholes(
    aws_url: str,
    dynamodb_url: str,
    postgres_url: str,
    opensearch_url: str,
    valkey_url: str,
    prefix: str,
    tmp_path: Path,
) -> Iterator[Callable[..., Any]]:
    """wholes(...) -> a profile `aws` on all servers, migrated: whole.Whole. `urls` are of servers that are to be taken instead, `more` are
    further settings by table, the rest is as services.profile.lay_out has it. Several are apart from each other.
    """
    from services.profile import lay_out
    from whole import Whole

    shared = {
        "aws": aws_url,
        "dynamodb": dynamodb_url,
        "postgres": postgres_url,
        "opensearch": opensearch_url,
        "valkey": valkey_url,
    }
    made: list[Any] = []

    def make(
        *, urls: Mapping[str, str] | None = None, more: Mapping[str, Mapping[str, object]] | None = None, **how: Any
    ) -> Any:
        tables: dict[str, dict[str, object]] = {
            "worker": {"batch_seconds": 0.3, "visibility": 30},
            "postgres": {"years_back": 1},
        }
        for table, values in (more or {}).items():
            tables.setdefault(table, {}).update(values)
        number = str(len(made) or "")
        folder = tmp_path / f"whole{number}"
        made.append(Whole(lay_out({**shared, **(urls or {})}, prefix + number, folder, more=tables, **how), folder))
        made[-1].run("migrate")
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def whole(wholes: Callable[..., Any]) -> Any:
    """One of them as it comes."""
    return wholes()
