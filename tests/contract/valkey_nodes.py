"""A cluster of Valkey on loopback: two nodes with half of the slots each, as one test's own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from services import fetch
from services.servers import HOST
from services.stack import free_ports

SLOTS = 16384


class Nodes:
    """`url` is of the first one. Nodes may be killed, held and started again, empty but for who has which slots."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ports = folder, free_ports(4)
        self.processes = [self._start(number) for number in (0, 1)]
        self.url = f"redis://{HOST}:{self.ports[0]}"
        first, second = self.clients = [redis.Redis(HOST, port) for port in self.ports[:2]]
        for client in self.clients:
            self._until(client.ping)
        first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS // 2 - 1)
        second.execute_command("CLUSTER", "ADDSLOTSRANGE", SLOTS // 2, SLOTS - 1)
        first.execute_command("CLUSTER", "MEET", HOST, self.ports[1], self.ports[3])
        self._until(lambda: all(self._whole(client) for client in self.clients))

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        place = self.folder / str(number)
        place.mkdir(parents=True, exist_ok=True)
        options = ["--bind", HOST, "--port", self.ports[number], "--save", "", "--dir", place]
        options += [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            self.ports[number + 2],
            "--cluster-node-timeout",
            2000,
        ]
        with (place / "log").open("ab") as log:
            argv = [f"{fetch.valkey()}/valkey-server", *map(str, options)]
            return subprocess.Popen(argv, stdout=log, stderr=log)

    def _whole(self, client: redis.Redis) -> bool:
        return client.cluster("info")["cluster_state"] == "ok"

    def _until(self, done) -> None:
        until = time.monotonic() + 20
        while True:
            try:
                if done():
                    return
            except redis.ConnectionError:
                pass
            assert time.monotonic() < until, [(self.folder / str(n) / "log").read_text()[-1000:] for n in (0, 1)]
            time.sleep(0.05)

    def move(self, slot: int, to: int) -> None:
        """Give a slot to another node, without the keys in it."""
        owner = self.clients[1 - to]
        for key in owner.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            owner.delete(key)
        name = self.clients[to].execute_command("CLUSTER", "MYID").decode()
        for client in (self.clients[to], owner):
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)

    def flush(self) -> None:
        for client in self.clients:
            client.flushall()

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait()

    def start(self, number: int) -> None:
        self.processes[number] = self._start(number)
        self._until(lambda: all(self._whole(client) for client in self.clients))

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for number in (0, 1):
            self.kill(number)


@contextmanager
def nodes(folder: Path) -> Iterator[Nodes]:
    made = Nodes(folder)
    try:
        yield made
    finally:
        made.close()
