"""A password that Secrets Manager rotates: a process that runs goes on with the new one, whoever changed it first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from mailloom.config import load
from mailloom.ports import Transient, UserError
from mailloom.stores.postgres.connection import Connections, Password
from mailloom.wire.profile import open_servers

servers = pytest.mark.servers
ROLE = "rotated"


class Role:
    """A role that must give its password, on a server of its own. `dsn` is without it; `manager` is what a secret store says."""

    def __init__(self, url: str) -> None:
        self.admin = psycopg.connect(url, autocommit=True)
        self.dsn = make_conninfo(url, user=ROLE)
        self.said, self.asked = "first", 0
        (rules,) = self.admin.execute("show hba_file").fetchone() or ("",)
        there = Path(str(rules)).read_text()
        Path(str(rules)).write_text(f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n{there}")
        self.admin.execute("select pg_reload_conf()")
        self.admin.execute("create role rotated login superuser password 'first'")

    def alter(self, word: str) -> None:
        self.admin.execute(f"alter role rotated password '{word}'")

    def rotate(self, word: str) -> None:
        self.alter(word)
        self.said = word

    def say(self) -> str:
        self.asked += 1
        return self.said

    def cut(self) -> None:
        """End all its connections, as a failover does."""
        self.admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'rotated'")


@pytest.fixture
def role(own_server: Callable[[str], Any]) -> Iterator[Role]:
    made = Role(own_server("postgres").url)
    yield made
    made.admin.close()


def ask(connections: Connections) -> str:
    with connections.take() as connection:
        return str((connection.execute("select current_user").fetchone() or ("",))[0])


def after_a_cut(role: Role, connections: Connections) -> str:
    """A connection that was cut costs one failed call."""
    role.cut()
    for _ in range(len(connections.idle)):
        with pytest.raises(Transient):
            ask(connections)
    return ask(connections)


@servers
def test_the_server_does_ask_for_it(role: Role) -> None:
    with pytest.raises(UserError, match="refuses the connection"):
        ask(Connections(role.dsn))
    with pytest.raises(UserError, match=r"password authentication failed.*check user, password"):
        ask(Connections(make_conninfo(role.dsn, password="none")))


@servers
def test_a_new_password_is_found_when_the_old_one_is_refused(role: Role) -> None:
    connections = Connections(role.dsn, password=role.say)
    assert ask(connections) == ROLE
    role.rotate("second")
    assert ask(connections) == ROLE  # what is open stays open
    assert role.asked == 1
    assert after_a_cut(role, connections) == ROLE
    assert role.asked == 2
    assert after_a_cut(role, connections) == ROLE
    assert role.asked == 2, "what is known is not asked for again"
    connections.close()


@servers
def test_between_the_server_and_the_secret_it_waits(role: Role) -> None:
    """Single-user rotation: the server has the new one while the secret still says the old one."""
    connections = Connections(role.dsn, password=role.say)
    ask(connections)
    role.alter("second")
    role.cut()
    with pytest.raises(Transient):  # of the connection that was cut
        ask(connections)
    with pytest.raises(Transient, match=r"refuses the password that was good before: .*password authentication failed"):
        ask(connections)
    role.said = "second"
    assert ask(connections) == ROLE
    connections.close()


@servers
def test_one_that_never_was_good_is_its_owners_fault(role: Role) -> None:
    role.said = "wrong"
    connections = Connections(role.dsn, password=role.say)
    with pytest.raises(UserError, match="refuses the connection") as told:
        ask(connections)
    assert role.asked == 2
    assert "wrong" not in str(told.value)
    role.said = "first"
    assert ask(connections) == ROLE
    connections.close()


@servers
def test_a_password_in_the_dsn_counts_for_more(role: Role) -> None:
    role.said = "wrong"
    connections = Connections(make_conninfo(role.dsn, password="first"), password=role.say)
    assert ask(connections) == ROLE
    assert role.asked == 0
    connections.close()


@servers
def test_many_threads_that_are_refused_at_once_all_go_on(role: Role) -> None:
    connections = Connections(role.dsn, size=8, password=role.say)
    ask(connections)
    role.rotate("second")
    connections.close()  # of what is idle: each has to open one
    together = Barrier(8)

    def one(_: int) -> str:
        with connections.take() as connection:
            together.wait(30)
            return str((connection.execute("select current_user").fetchone() or ("",))[0])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(8))) == [ROLE] * 8
    assert role.asked <= 9
    connections.close()


@servers
def test_a_worker_goes_on_through_a_rotation_in_secrets_manager(
    role: Role, aws_url: str, wholes: Callable[..., Any], boto: Callable[[str], Any], prefix: str
) -> None:
    name = f"{prefix}/rotated"
    manager = boto("secretsmanager")
    manager.create_secret(Name=name, SecretString=json.dumps({"username": ROLE, "password": "first"}))
    role.admin.execute("create database rotating")
    urls = {"postgres": make_conninfo(role.dsn, dbname="rotating")}
    whole = wholes(urls=urls, more={"postgres": {"password": f"secretsmanager:{name}#password"}})
    whole.start("validate", "validate")
    whole.start("work", "work")
    whole.put({f"{n}.eml": mail(n) for n in range(20)})
    assert whole.wait(20)["stored"] == 20
    role.alter("second")
    role.cut()
    whole.put({f"{n}.eml": mail(n) for n in range(20, 30)})
    manager.put_secret_value(SecretId=name, SecretString=json.dumps({"username": ROLE, "password": "second"}))
    assert whole.wait(30)["stored"] == 30
    assert whole.end("work") == 0
    assert len(whole.run("export", "messages").splitlines()) == 30, "readers have it too"


@servers
def test_both_endpoints_of_a_profile_take_it(role: Role) -> None:
    environ = {
        "MAILLOOM_POSTGRES_DSN": role.dsn,
        "MAILLOOM_POSTGRES_READER_DSN": make_conninfo(role.dsn, application_name="reader"),
        "MAILLOOM_POSTGRES_PASSWORD": "env:WORD",
        "WORD": "first",
        "MAILLOOM_AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
    }
    servers = open_servers(load("aws", None, environ, Path("/nowhere")).settings, environ)
    assert ask(servers.writer) == ROLE
    with servers.reader.state.take() as connection:
        assert connection.execute("select current_user").fetchone() == (ROLE,)
    assert "first" not in repr(servers.settings)
    servers.writer.close()
    servers.reader.close()


# By "Troubleshooting for RDS Proxy" (Amazon RDS user guide), with what libpq puts before it; there is none to try.
REFUSALS = [
    'connection failed: FATAL:  password authentication failed for user "rotated"',
    "connection failed: FATAL:  The password that was provided for the role rotated is wrong.",
    "connection failed: FATAL:  This RDS proxy has no credentials for the role rotated. Check the credentials for this role and try again.",
]


@pytest.mark.parametrize("words", REFUSALS)
def test_the_words_of_a_proxy_are_known_too(words: str) -> None:
    said, tried = iter(["old", "new"]), []

    def connect(word: str) -> Any:
        tried.append(word)
        if word == "old":
            raise psycopg.OperationalError(words)
        return "connected"

    assert Password(lambda: next(said)).tried(connect) == "connected"
    assert tried == ["old", "new"]


def test_an_error_that_no_password_mends_asks_for_none() -> None:
    asked: list[str] = []

    def connect(_: str) -> Any:
        raise psycopg.OperationalError("connection refused")

    with pytest.raises(psycopg.OperationalError):
        Password(lambda: asked.append("x") or "word").tried(connect)
    assert asked == ["x"]


def mail(n: int) -> bytes:
    return (
        f"From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Tides {n}\r\nDate: Thu, 03 Oct 2024 10:{n:02}:00 +0000\r\n"
        f"Message-ID: <rotated{n}@example.org>\r\n\r\nThe tide tables of port {n} are ready.\r\n"
    ).encode()
