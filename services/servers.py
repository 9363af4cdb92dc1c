"""How each server is fetched, prepared, started, asked whether it is up, and told to end."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from services import fetch
from services.java import java

HOST = "127.0.0.1"
REGION = "eu-central-1"
NOBODY = 65534


@dataclass(frozen=True)
class Room:
    """Where one run of a server lives: its own folder for data, its port, and a second one for what talks to itself."""

    data: Path
    port: int
    port2: int


@dataclass(frozen=True)
class Launch:
    """What is executed: arguments, the environment beside PATH, HOME and the locale, and the working directory."""

    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Server:
    """A server that can be started.

    launch(room) fetches and prepares what is missing and says what to run; up(port) is True once it answers;
    end is the signal that ends it when its data is thrown away: SIGKILL, unless it would leave something behind; limit is how many seconds it may take to come up.
    """

    launch: Callable[[Room], Launch]
    up: Callable[[int], bool]
    end: signal.Signals
    limit: float
    refuses_root: bool = False


def as_nobody(argv: list[str]) -> list[str]:
    """The same command as a user without rights, when root runs this."""
    if os.geteuid() != 0:
        return argv
    if shutil.which("setpriv") is None:
        raise fetch.Unavailable(f"{Path(argv[0]).name} refuses to run as root, and setpriv (util-linux) is not here")
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *argv]


def says(port: int, path: str) -> int:
    """The HTTP status of a path, 0 while nothing answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def postgres(room: Room) -> Launch:
    home = fetch.postgres()
    data = room.data / "cluster"
    if not data.exists():
        # trust: the server is on loopback, holds made-up mail and lives as long as the tests.
        argv = [
            f"{home}/bin/initdb",
            "-D",
            str(data),
            "-U",
            "mailloom",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]
        done = subprocess.run(as_nobody([*argv, "--no-sync"]), check=False, capture_output=True, cwd=room.data)
        if done.returncode:
            raise fetch.Unavailable(f"postgres: initdb failed: {done.stderr.decode(errors='replace').strip()}")
    settings = {
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "max_connections": "200",
        # The tests kill PostgreSQL, not the machine: what the kernel holds is kept.
        "fsync": "off",
        "timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Launch([f"{home}/bin/postgres", "-D", str(data), "-p", str(room.port), *options], cwd=room.data)


def postgres_up(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(f"postgresql://mailloom@{HOST}:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def valkey(room: Room) -> Launch:
    options = ["--bind", HOST, "--port", str(room.port), "--save", "", "--databases", "4096", "--dir", str(room.data)]
    return Launch([f"{fetch.valkey()}/valkey-server", *options], cwd=room.data)


def valkey_up(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def dynamodb(room: Room) -> Launch:
    jars = fetch.jars("dynamodb")
    home = java(17, compiler=True)
    options = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", f"-Djava.library.path={jars}", "-cp", f"{jars}/*"]
    argv = [f"{home}/bin/java", *options, str(fetch.HERE / "Loopback.java")]
    return Launch([*argv, "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(room.port)], cwd=room.data)


def opensearch(room: Room) -> Launch:
    home = fetch.opensearch()
    config, data = room.data / "config", room.data / "data"
    if not config.exists():
        shutil.copytree(home / "config", config)
    for folder in (data, room.data / "logs", room.data / "tmp"):
        folder.mkdir(exist_ok=True)
    settings = {
        "cluster.name": "mailloom-services",
        "discovery.type": "single-node",
        "network.host": HOST,
        "http.port": room.port,
        "transport.port": room.port2,
        "path.data": data,
        "path.logs": room.data / "logs",
        # A desk's disk is often fuller than a server's may be; at 95 % all indexes would become read-only.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "action.destructive_requires_name": "false",
    }
    lines = [f"{name}: {value}\n" for name, value in settings.items()]
    (config / "opensearch.yml").write_text("".join(lines), encoding="utf-8")
    # Without the optimising compiler it starts with 10 s of CPU time instead of 17; tests don't run long enough to gain.
    # The distribution's own options name files relative to its home, which is read-only here.
    heap = "-Xms512m\n-Xmx512m\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n"
    agent = f"-javaagent:{home}/agent/opensearch-agent.jar\n"
    (config / "jvm.options").write_text(heap + agent + f"-Djava.io.tmpdir={room.data}/tmp\n", encoding="utf-8")
    env = {
        "OPENSEARCH_PATH_CONF": str(config),
        "OPENSEARCH_JAVA_HOME": str(java(21)),
        "OPENSEARCH_TMPDIR": f"{room.data}/tmp",
    }
    return Launch(["bash", f"{home}/bin/opensearch"], env, cwd=home)


def ministack(room: Room) -> Launch:
    home = fetch.ministack()
    env = {
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "GATEWAY_PORT": str(room.port),
        "MINISTACK_REGION": REGION,
        "SFTP_ENABLED": "0",
        "TMPDIR": str(room.data),
        # Its Lambda runtime starts `python3`, which has to be the one that knows awslambdaric.
        "PATH": f"{home}/bin:{os.environ.get('PATH', os.defpath)}",
    }
    return Launch([f"{home}/bin/ministack"], env, cwd=room.data)


SERVERS = {
    # Killed, PostgreSQL would leave its shared memory. SIGINT is its fast shutdown; SIGTERM would wait for its clients.
    "postgres": Server(postgres, postgres_up, signal.SIGINT, 60, refuses_root=True),
    "valkey": Server(valkey, valkey_up, signal.SIGKILL, 20),
    "dynamodb": Server(dynamodb, lambda port: says(port, "/") > 0, signal.SIGKILL, 90),
    "aws": Server(ministack, lambda port: says(port, "/_ministack/health") == 200, signal.SIGKILL, 60),
    "opensearch": Server(
        opensearch, lambda port: says(port, "/_cluster/health") == 200, signal.SIGKILL, 300, refuses_root=True
    ),
}


def url(name: str, port: int) -> str:
    """Where clients reach a server."""
    if name == "postgres":
        return f"postgresql://mailloom@{HOST}:{port}/postgres"
    return f"{'redis' if name == 'valkey' else 'http'}://{HOST}:{port}"
