"""Starts and stops servers, and remembers in a folder which run: NAME.json and NAME.log for each.

Several processes may call at the same time: a lock for each server lets one in. A process is known by its id and its time of
start, so none that took over an id is ever ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from services.fetch import ROOT, Unavailable, locked
from services.servers import HOST, NOBODY, SERVERS, Launch, Room, as_nobody, url

# What `make services` starts and stops.
DESK = ROOT / "build" / "services"


class Ended(Unavailable):
    """A server ended by itself."""


@dataclass(frozen=True)
class Running:
    """A server that was started: process, ports, its folder of data, its log."""

    pid: int
    born: float
    port: int
    port2: int
    data: str
    log: str

    def process(self) -> psutil.Process | None:
        """The process, None once it has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.born) < 1 and not gone(process):
                return process
        return None


def load(folder: Path) -> dict[str, Running]:
    """What was started and not stopped, alive or not."""
    found = {}
    for name in SERVERS:
        with contextlib.suppress(FileNotFoundError):
            found[name] = Running(**json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
    return found


def save(name: str, folder: Path, running: Running) -> None:
    half = folder / f"{name}.json.half"
    half.write_text(json.dumps(asdict(running)), encoding="utf-8")
    half.replace(folder / f"{name}.json")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, below those that the kernel gives to clients.

    From among the clients' a server could lose its port while it is down: to a client of anything, or even to its own
    client, whose attempt to reach the port from that same port would succeed.
    """
    found: list[int] = []
    with contextlib.ExitStack() as opened:
        while len(found) < count:
            port = random.randrange(15000, 32000)  # noqa: S311  no secret
            held = opened.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                held.bind((HOST, port))
                found.append(port)
    return found


def spawn(launch: Launch, log: Path, data: Path, *, nobody: bool) -> int:
    """Start a process that outlives this one, is nobody's child, and writes to log; its id."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(data), "LANG": "C.UTF-8"} | launch.env
    argv = as_nobody(launch.argv) if nobody else launch.argv
    # The shell ends at once, so init adopts the server: no zombie is left, whoever stops it.
    script = 'log=$1; shift; "$@" >>"$log" 2>&1 </dev/null & echo $!'
    done = subprocess.run(
        ["sh", "-c", script, "sh", str(log), *argv],
        env=env, cwd=launch.cwd, check=True, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    return int(done.stdout)


def begin(name: str, folder: Path, room: Room) -> Running:
    """Start one server in a room, without waiting for it."""
    server = SERVERS[name]
    nobody = server.refuses_root and os.geteuid() == 0
    if nobody:
        os.chown(room.data, NOBODY, NOBODY)
    launch = server.launch(room)
    if nobody:
        for path in room.data.rglob("*"):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    log = folder / f"{name}.log"
    log.write_bytes(b"")
    pid = spawn(launch, log, room.data, nobody=nobody)
    try:
        born = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        born = 0.0
    return Running(pid, born, room.port, room.port2, str(room.data), str(log))


def wait(name: str, running: Running) -> None:
    """Come back when the server answers.

    Raises:
        Ended: it did before it answered.
        Unavailable: its time was up. Both with the last lines of its log.
    """
    server = SERVERS[name]
    end = time.monotonic() + server.limit
    while not server.up(running.port):
        if running.process() is None:
            raise Ended(f"{name} ended before it answered{tail(running)}")
        if time.monotonic() > end:
            raise Unavailable(f"{name} did not answer within {server.limit:.0f} s{tail(running)}")
        time.sleep(0.1)


def tail(running: Running) -> str:
    """The end of a server's log, for a message."""
    lines = Path(running.log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    shown = "".join(f"\n    {line[:300]}" for line in lines[-12:])
    return f"; its log {running.log} ends:{shown}" if shown else f"; its log {running.log} is empty"


def start(
    names: Iterable[str],
    folder: Path = DESK,
    ports: dict[str, int] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Running]:
    """Have each of the servers running; those that run already stay as they are. `tell` is given a line when one answers, for who waits: from any thread.

    Returns what was asked for. Ports are free ones unless given.

    Raises:
        Unavailable: one can't be had or didn't come up; the others run.
    """
    given = ports or {}

    def one(name: str) -> Running:
        began = time.monotonic()
        running = start_one(name, folder, given.get(name, 0))
        tell(f"  {name:<10} answers, after {time.monotonic() - began:.0f} s")
        return running

    with ThreadPoolExecutor(len(SERVERS)) as threads:
        begun = {name: threads.submit(one, name) for name in names}
    return {name: future.result() for name, future in begun.items()}


def start_one(name: str, folder: Path, port: int, *, tries: int = 3) -> Running:
    with locked(folder / f"{name}.lock"):
        old = load(folder).get(name)
        if old and old.process():
            return old
        if old:
            end(name, folder, old)
        while True:
            tries -= 1
            try:
                return start_new(name, folder, port)
            except Ended:
                # Somebody may have taken the free port meanwhile.
                if port or not tries:
                    raise


def start_new(name: str, folder: Path, port: int) -> Running:
    free, port2 = free_ports(2)
    room = Room(Path(tempfile.mkdtemp(prefix=f"mailloom-{name}-")), port or free, port2)
    try:
        running = begin(name, folder, room)
    except BaseException:
        shutil.rmtree(room.data, ignore_errors=True)
        raise
    save(name, folder, running)
    try:
        wait(name, running)
    except BaseException:
        end(name, folder, running)
        raise
    return running


def again(name: str, folder: Path) -> Running:
    """Start a server that was killed: at its old port, with what it kept of its data.

    PostgreSQL and OpenSearch keep what they had acknowledged; Valkey, DynamoDB Local and ministack come back empty.

    Raises:
        Unavailable: it didn't come up.
    """
    with locked(folder / f"{name}.lock"):
        old = load(folder)[name]
        kill(old, signal.SIGKILL)
        # PostgreSQL believes that its predecessor runs for as long as init has not taken note of its end.
        limit = time.monotonic() + 10
        while psutil.pid_exists(old.pid) and time.monotonic() < limit:
            time.sleep(0.05)
        running = begin(name, folder, Room(Path(old.data), old.port, old.port2))
        save(name, folder, running)
        wait(name, running)
        return running


def gone(process: psutil.Process) -> bool:
    """Whether it has ended; whether init has taken note of that doesn't matter."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def kill(running: Running, sign: signal.Signals, patience: float = 15.0) -> None:
    """End a server's process and all that it started: by sign, and what is left after that many seconds by SIGKILL."""
    process = running.process()
    if process is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.send_signal(sign)
        limit = time.monotonic() + patience
        while not gone(process) and time.monotonic() < limit:
            time.sleep(0.02)
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        while not all(gone(each) for each in family) and time.monotonic() < limit + 5:
            time.sleep(0.02)


def end(name: str, folder: Path, running: Running) -> None:
    """Stop a server, remove its data and forget it; its log stays."""
    kill(running, SERVERS[name].end)
    shutil.rmtree(running.data, ignore_errors=True)
    (folder / f"{name}.json").unlink(missing_ok=True)


def stop(names: Iterable[str] | None = None, folder: Path = DESK) -> list[str]:
    """Stop these servers, or all that were started; the names of those stopped."""
    chosen = [name for name in load(folder) if names is None or name in set(names)]
    for name in chosen:
        with locked(folder / f"{name}.lock"):
            if running := load(folder).get(name):
                end(name, folder, running)
    return chosen


def alive(folder: Path = DESK) -> dict[str, Running]:
    """What runs now."""
    return {name: running for name, running in load(folder).items() if running.process()}


def variables(running: dict[str, Running]) -> dict[str, str]:
    """The environment in which Mailloom and AWS's tools talk to these servers."""
    urls = {name: url(name, each.port) for name, each in running.items()}
    names = {
        "postgres": "MAILLOOM_POSTGRES_DSN",
        "valkey": "MAILLOOM_VALKEY_URL",
        "opensearch": "MAILLOOM_OPENSEARCH_URL",
        "aws": "AWS_ENDPOINT_URL",
        "dynamodb": "AWS_ENDPOINT_URL_DYNAMODB",
    }
    found = {variable: urls[name] for name, variable in names.items() if name in urls}
    if "aws" in urls or "dynamodb" in urls:
        found |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1"}
        found |= {"AWS_DEFAULT_REGION": found["AWS_REGION"]}
    return found
