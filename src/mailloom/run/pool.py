"""A pool of worker processes that outlives what mail may do to one of them.

Each worker has a pipe of its own: where the parent dies, even by SIGKILL, the pipe ends and the worker with it; where a worker
dies, its pipe ends and the parent knows which batch it had. Batches go round and come back in any order.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.util import Finalize
from queue import SimpleQueue
from threading import Thread
from typing import Generic, Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")
Key = TypeVar("Key")

READY = -1  # what a worker says when it has begun
AHEAD = 2  # jobs a worker has at hand: it never waits for the parent, and no more is in memory


RARELY = 10_000  # objects more than before, until a worker looks for cycles


class WorkerDied(Exception):
    """A worker process ended while it had a job: it was killed, or ran out of memory."""


class Pool(Generic[Job, Result]):
    """`size` processes that run `work` on jobs. Results come as (number of the job, result or WorkerDied)."""

    def __init__(self, work: Callable[[Job], Result], size: int) -> None:
        self.work, self.size = work, size
        self.context = multiprocessing.get_context("spawn")
        self.pending: dict[Connection, dict[int, Job]] = {}
        self.ready: set[Connection] = set()
        self.processes: dict[Connection, SpawnProcess] = {}
        # Also where nobody closes it: at its exit Python would end them by SIGTERM, and wait.
        self.end = Finalize(self, _end, args=(self.processes,), exitpriority=0)
        for _ in range(size):
            self._start()

    def _start(self) -> None:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_serve, args=(theirs, self.work), daemon=True)
        # Ctrl-C, and a SIGTERM to all processes of a service, are the parent's business, from the first moment: a process inherits what is blocked.
        # multiprocessing's own helper is started first, as its start unblocks the signals.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.pending[ours], self.processes[ours] = {}, process

    @property
    def busy(self) -> int:
        return sum(map(len, self.pending.values()))

    @property
    def room(self) -> bool:
        return self.busy < AHEAD * len(self.pending)

    def submit(self, number: int, job: Job) -> None:
        """Give a job to the worker with the fewest. Call it where `room` is true."""
        pipe = min(self.pending, key=lambda p: len(self.pending[p]))
        self.pending[pipe][number] = job
        with suppress(OSError):  # it died: `results` finds the pipe's end
            pipe.send((number, job))

    def results(self, timeout: float | None = None) -> Iterator[tuple[int, Result | WorkerDied]]:
        """What has come in, waiting for the first."""
        for pipe in wait(list(self.pending), timeout):
            assert isinstance(pipe, Connection)
            try:
                number, result = pipe.recv()
            except (EOFError, OSError):
                yield from self._bury(pipe)
            else:
                if isinstance(result, Exception):
                    raise result
                if number == READY:
                    self.ready.add(pipe)
                else:
                    del self.pending[pipe][number]
                    yield number, result

    def _bury(self, pipe: Connection) -> Iterator[tuple[int, WorkerDied]]:
        """A worker died: its first job is the one it died of, as jobs are done in order; the others are given out again."""
        process, jobs = self.processes.pop(pipe), self.pending.pop(pipe)
        process.join(5)
        pipe.close()
        if pipe not in self.ready:
            raise RuntimeError(
                f"a worker process ended with {_how(process.exitcode)} before it began: a script that calls ingest needs"
                ' `if __name__ == "__main__":` around its work, as processes are started by importing it; or use jobs=1'
            )
        self.ready.remove(pipe)
        self._start()
        for position, (number, job) in enumerate(jobs.items()):
            if position == 0:
                yield number, WorkerDied(f"the worker process ended with {_how(process.exitcode)}")
            else:
                self.submit(number, job)

    def close(self) -> None:
        """End the workers. Jobs under way are dropped."""
        self.end()
        self.ready.clear()
        self.pending.clear()


def _end(processes: dict[Connection, SpawnProcess]) -> None:
    for pipe, process in processes.items():
        pipe.close()
        process.kill()
    for process in processes.values():
        process.join(5)
    processes.clear()


def in_order(
    pool: Pool[Job, Result], jobs: Iterator[tuple[Key, Job]], died: Callable[[Job, WorkerDied], Result]
) -> Iterator[tuple[Key, Result]]:
    """Each job's key with its result, in the order of the jobs, which are asked for as workers can take them. `died` gives the
    result of a job whose worker died of it.
    """
    given: dict[int, tuple[Key, Job]] = {}
    done: dict[int, Result] = {}
    numbered = enumerate(jobs)
    first, more = 0, True
    while more or given:
        while more and pool.room and len(given) < 2 * AHEAD * pool.size:
            number, one = next(numbered, (-1, None))
            if one is None:
                more = False
            else:
                given[number] = one
                pool.submit(number, one[1])
        if first not in done and given:
            for number, result in pool.results():
                done[number] = died(given[number][1], result) if isinstance(result, WorkerDied) else result
        while first in done:
            yield given.pop(first)[0], done.pop(first)
            first += 1


class Spread(Protocol):
    """What builtin map does, wherever."""

    def __call__(self, work: Callable[[Job], Result], jobs: Iterable[Job], /) -> Iterable[Result]: ...


def spread(size: int) -> Spread:
    """A map over `size` processes; the builtin one for 1. A worker that dies is no matter: its job is done here."""

    def spread_out(work: Callable[[Job], Result], jobs: Iterable[Job], /) -> Iterator[Result]:
        pool: Pool[Job, Result] = Pool(work, size)
        try:
            for _, result in in_order(pool, ((None, job) for job in jobs), lambda job, _: work(job)):
                yield result
        finally:
            pool.close()

    return spread_out if size > 1 else map


def _how(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"signal {-exitcode} ({signal.Signals(-exitcode).name})"
    return f"exit code {exitcode}"


def _serve(pipe: Connection, work: Callable[[Job], Result]) -> None:
    """A worker's life.

    Jobs are read by a thread of their own: were the worker busy sending a large result while the parent sends a large job, both
    would wait for each other.
    """
    # What a batch makes is freed by its counts; to look for cycles among it takes 2 % of the time and finds none.
    gc.freeze()
    gc.set_threshold(RARELY)
    jobs: SimpleQueue[tuple[int, Job] | None] = SimpleQueue()
    Thread(target=_receive, args=(pipe, jobs), daemon=True).start()
    with suppress(OSError):
        pipe.send((READY, None))
    while (given := jobs.get()) is not None:
        number, job = given
        try:
            result: object = work(job)
        except Exception as error:  # noqa: BLE001  a bug: the parent raises it
            result = RuntimeError(f"{type(error).__name__}: {error}")
        try:
            pipe.send((number, result))
        except OSError:  # the parent is gone
            return


def _receive(pipe: Connection, jobs: SimpleQueue[tuple[int, Job] | None]) -> None:
    """Jobs until the pipe ends, be it in the middle of one (an OSError that has no name of its own)."""
    with suppress(EOFError, OSError):
        while True:
            jobs.put(pipe.recv())
    jobs.put(None)
