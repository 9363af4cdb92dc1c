"""Runs an ingest in a forked child and kills it with SIGKILL at the n-th thing that it does to a store or a file.

A program of its own, so that nothing else is in the process that forks: `python killing.py FOLDER SHARE... -- SOURCE...` prints a JSON
line for an undisturbed run and one for each share (0-1) of its events: was it killed there, did the same command end well
afterwards, and what does the archive say then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from hashlib import sha256
from pathlib import Path

import apsw
import duckdb  # noqa: F401  imported once, here, and not in every child
import pyarrow.json
import pyarrow.parquet  # noqa: F401

from mailloom.archive import open_archive
from mailloom.archive.digest import digest
from mailloom.run import ingest as run
from mailloom.stores import files
from mailloom.stores.sqlite import sketches
from mailloom.wire import embedded as wire


class Counter:
    """Counts events; at the n-th the process dies as if the power had gone."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def hook(counter: Counter) -> None:
    """Every SQL statement, and the moments before and after a write to a pack and the naming of a Parquet file, are events."""
    connect, append, replace = wire.connect, files.Packs.append, Path.replace

    def counted_connect(path: Path, *, write: bool, create: bool = False) -> apsw.Connection:
        connection = connect(path, write=write, create=create)
        connection.exec_trace = lambda *_: counter() or True
        return connection

    def counted_append(self, frames):
        counter()
        where = append(self, frames)
        counter()  # written, and nobody knows it yet
        return where

    def counted_replace(self, target):
        counter()
        result = replace(self, target)
        counter()
        return result

    wire.connect, files.Packs.append, Path.replace = counted_connect, counted_append, counted_replace


def ingest(archive: Path, sources: list[str], at: int) -> int:
    counter = Counter(at)
    hook(counter)
    run.BATCH_MAILS, run.COPY_AT, sketches.PACK_AT = 16, 64, 50
    with wire.open_for_writing(archive) as stores:
        run.ingest(sources, stores)
    return counter.count


def state(archive: Path) -> dict[str, object]:
    """What must be equal: the digest with the raw bytes, the ledger's counts, and where packs end."""
    with open_archive(archive) as opened:
        tables = [list(table) for table in digest(opened, raw=True)]
        books = list(opened.connection.execute("select state, count(*) from deliveries group by state order by state"))
        parquet = opened.connection.execute("select sum(mails) from files").get
        kept = opened.stores.records.sketches
        rows = opened.connection.execute("select id, seq from messages order by id").fetchall()
        near = sha256(b"".join(message + kept.sketch(seq) for message, seq in rows)).hexdigest()
    return {"digest": tables, "books": books, "parquet": parquet, "near": near}


def in_child(work, *args) -> tuple[int, object]:
    """Fork and work there: (the child's wait status, what it returned)."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 3
        try:
            os.write(writing, json.dumps(work(*args)).encode())
            code = 0
        except BaseException as error:
            print(repr(error), file=sys.stderr)
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    return status, json.loads(said) if said else None


def main() -> None:
    split = sys.argv.index("--")
    folder, shares, sources = Path(sys.argv[1]), [float(s) for s in sys.argv[2:split]], sys.argv[split + 1 :]
    _, events = in_child(ingest, folder / "undisturbed", sources, 0)
    assert isinstance(events, int), "the undisturbed run failed"
    print(json.dumps({"events": events, "state": in_child(state, folder / "undisturbed")[1]}), flush=True)
    for number, share in enumerate(shares):
        archive, point = folder / str(number), max(1, min(events, round(share * events)))
        status, _ = in_child(ingest, archive, sources, point)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        again, _ = in_child(ingest, archive, sources, 0)
        print(
            json.dumps({"point": point, "killed": killed, "again": again, "state": in_child(state, archive)[1]}),
            flush=True,
        )


if __name__ == "__main__":
    main()
