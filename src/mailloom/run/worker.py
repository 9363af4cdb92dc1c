"""Until it is stopped: receive pointers, read what they point to, transform, commit, delete the messages.

Receiving and reading go on in threads while a batch is worked on, as far as there is room: so a store that is slow holds up the receiving and
nothing else, and a worker that is killed loses what it held to its queue. A message is deleted after the commit of its mail, never before; whatever
happens in between, it comes again, and doing it again is doing it once.
"""

from __future__ import annotations

import queue as queues
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread

from mailloom import obs
from mailloom.config import Worker as Settings
from mailloom.flow.retry import Backoff
from mailloom.ports import Failure, Pointer, Poison, Queue, Receipts, Received, Transient, UserError
from mailloom.run.arrivals import BACKOFF, SUSPECT, Landed, Mail, Transformer, Unit, fetch, land
from mailloom.run.causes import cause
from mailloom.run.health import Health, serving_if
from mailloom.run.holding import Holding
from mailloom.run.pointers import dead_letter, read_pointer
from mailloom.run.protection import Protection
from mailloom.run.signals import on_signals
from mailloom.run.validate import Buckets
from mailloom.schema import VERSION
from mailloom.wire.clock import now_ms

RECEIVERS = 2
BATCHES = 2  # of mails that are held: one is worked on while the next comes in
WAIT = 10.0  # seconds of a long poll: an idle worker costs 12 requests a minute, and ends within that
RETURN = Backoff(first=2.0, most=900.0, attempts=1 << 30)
"""How long a message that failed stays hidden, by how often it came."""
PAUSE = Backoff(first=1.0, most=60.0, attempts=1 << 30)
"""How long nothing is received after a store stayed away."""
STILL = 300.0  # seconds without any movement: a worker that hangs


@dataclass(slots=True)
class Task:
    """One object with the messages that point to it (an event may come twice) and its reading."""

    pointer: Pointer
    messages: list[Received]
    mail: Future[Mail]

    @property
    def receipts(self) -> list[str]:
        return [message.receipt for message in self.messages]

    @property
    def attempts(self) -> int:
        return max(message.attempts for message in self.messages)


@dataclass(slots=True)
class Done:
    """What a worker did."""

    received: int = 0
    states: Counter[str] = field(default_factory=Counter)
    returned: int = 0
    failed: int = 0
    dead: int = 0


class Worker:
    """One process's work on one queue.

    `keep`: the stores want the raw bytes (where the object itself isn't the raw copy). `dead` takes messages that are no pointers. `drain`: stop when
    the queue is empty. `protection` is told whether mail is held. `abandon` ends a process that is there still long after its time to drain.
    """

    def __init__(
        self,
        queue: Queue,
        buckets: Buckets,
        stores: Unit,
        receipts: Receipts,
        *,
        dead: Queue | None = None,
        settings: Settings | None = None,
        keep: bool = False,
        drain: bool = False,
        name: str = "work",
        wait: float = WAIT,
        backoff: Backoff = BACKOFF,
        protection: Protection | None = None,
        abandon: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue, self.buckets, self.stores, self.receipts, self.dead = queue, buckets, stores, receipts, dead
        self.settings = settings or Settings()
        self.keep, self.drain, self.name, self.backoff, self.clock = keep, drain, name, backoff, clock
        self.wait = min(1.0, wait) if drain else wait
        self.protection, self.abandon = protection, abandon
        self.done = Done()
        self.stopping, self.hurry, self.ended = Event(), Event(), Event()
        self.moved, self.stop_at = clock(), 0.0
        self.trouble, self.words, self.paused_until = 0, "", 0.0
        self.broken: BaseException | None = None
        most = max(BATCHES * self.settings.batch, 1)
        self.holding = Holding(
            queue, self.settings.visibility, most, max(BATCHES * self.settings.batch_bytes, 1), clock=clock
        )
        # No SimpleQueue: its get() may wait for ever where a signal comes as its time is up (CPython 3.11).
        self.inbox: queues.Queue[Task] = queues.Queue()
        self.suspects: deque[Task] = deque()
        self.readers = ThreadPoolExecutor(self.settings.readers, thread_name_prefix="reader")

    # -------------------------------------------------------------------------------------------- its life
    def run(self) -> Done:
        """Work until stop() is called, SIGTERM or SIGINT comes, or (`drain`) the queue is empty.

        Raises UserError where an owner must mend something first; what was held is given back.
        """
        self.queue.depth()  # wrong credentials or no such queue: before anything is received
        threads = [Thread(target=self._receiving, name=f"receiver {n}", daemon=True) for n in range(RECEIVERS)]
        beating = Thread(target=self._beating, name="heartbeat", daemon=True)
        transformer = Transformer(self.settings.jobs, keep=self.keep)
        limit = self.settings.drain_seconds + self.wait  # a long poll ends by itself
        with on_signals(self.stop, self.abandon, limit), serving_if(self.health, self.settings):
            obs.log.info("worker begins", queue=self.name)
            for thread in (*threads, beating):
                thread.start()
            try:
                self._work(transformer)
            except UserError as error:
                self.broken = error
            finally:
                self.stop()
                transformer.close()
                for thread in threads:  # what a long poll brings now is given back
                    thread.join(self.wait + 5)
                self._give_back_all()
                self.readers.shutdown(wait=False, cancel_futures=True)
                self.ended.set()
                self.hurry.set()
        obs.log.info("worker ends", queue=self.name, received=self.done.received)
        if self.broken is not None:
            raise self.broken
        return self.done

    def stop(self) -> None:
        """Receive nothing more, finish what is held, and end. Safe in a signal handler."""
        if not self.stopping.is_set():
            self.stop_at = self.clock()
            self.stopping.set()

    def health(self) -> Health:
        """Whether it moves and can work."""
        still = self.clock() - self.moved
        if still > STILL:
            return Health(live=False, ready=False, words=f"nothing moved for {still:.0f} s")
        if self.stopping.is_set():
            return Health(live=True, ready=False, words="it is stopping")
        return Health(live=True, ready=not self.trouble, words=self.words)

    def _work(self, transformer: Transformer) -> None:
        while self.broken is None and not self.hurry.is_set():
            batch = self._gather()
            self.moved = self.clock()
            if batch:
                self._work_off(batch, transformer)
            elif not len(self.holding) and (self.stopping.is_set() or self._is_empty()):
                return

    def _is_empty(self) -> bool:
        """With `drain`: whether nothing waits, nor is held by anybody."""
        try:
            return self.drain and self.clock() >= self.paused_until and self.queue.depth() == (0, 0)
        except Transient:
            return False

    # -------------------------------------------------------------------------------------------- threads beside it
    def _receiving(self) -> None:
        wanted = min(10, self.settings.batch)
        failures = 0
        while not self.stopping.is_set():
            if self.clock() < self.paused_until or (self.trouble and len(self.holding)):
                self.stopping.wait(0.1)
                continue
            if not (promised := self.holding.room(wanted, 0.5)):
                continue
            began = self.clock()
            taken: dict[str, tuple[Received, int]] = {}
            try:
                taken = self._taken(self.queue.receive(promised, self.wait))
                failures = 0
            except Transient as error:
                failures += 1
                obs.count("errors", 1, kind="transient", place="receive")
                self.stopping.wait(PAUSE.delay(error, failures, random.random()) or 0)  # noqa: S311  no secret
            except Exception as error:  # noqa: BLE001  it ends the worker, which raises it
                self.broken = error
                self.stop()
            finally:
                self.holding.take(taken, began, promised)
            for message, _ in taken.values():
                pointer = read_pointer(message.body)
                self.inbox.put(Task(pointer, [message], self.readers.submit(self._fetch, pointer)))

    def _taken(self, messages: Sequence[Received]) -> dict[str, tuple[Received, int]]:
        """What came, with the bytes it points to; given back where the worker stops meanwhile, dead where it points to nothing."""
        if self.stopping.is_set():
            self.queue.extend(dict.fromkeys((message.receipt for message in messages), 0))
            return {}
        taken = {}
        for message in messages:
            try:
                taken[message.receipt] = message, read_pointer(message.body).size
            except Poison as error:
                self._bury(message, str(error))
        self.done.received += len(taken)
        if obs.on():
            now = now_ms()
            for message in messages:
                obs.timing("queue_age", max(0, now - message.sent) / 1000, queue=self.name)
        return taken

    def _bury(self, message: Received, reason: str) -> None:
        """A message that no worker can do anything with goes to the dead letters at once, with the cause."""
        obs.count("errors", 1, kind="poison", place="pointer")
        obs.log.error("no pointer", message=message.id, reason=reason)
        self.done.dead += 1
        if self.dead is None:
            return
        try:
            self.dead.send([dead_letter(message.body, message.attributes, reason)])
            self.queue.delete([message.receipt])
        except Transient as error:  # it comes again by itself; what was received beside it is worked on
            obs.count("errors", 1, kind="transient", place="dead")
            obs.log.warning("a dead letter waits", message=message.id, why=str(error))

    def _fetch(self, pointer: Pointer) -> Mail:
        return fetch(self.buckets(pointer.bucket), pointer)

    def _beating(self) -> None:
        drain = self.settings.drain_seconds * 0.8  # the rest is for giving back what is held
        while not self.hurry.wait(min(5.0, self.settings.visibility / 8)):
            try:
                self.holding.beat()
                if self.protection is not None:
                    self.protection.tell(holds=len(self.holding) > 0, now=self.clock())
            except Exception as error:  # noqa: BLE001  it ends the worker, which raises it
                self.broken = error
                self.stop()
                return
            if self.stopping.is_set() and self.clock() - self.stop_at > drain:
                self.hurry.set()
        if not self.ended.wait(self.settings.drain_seconds * 0.1):
            self._give_back_all()  # its commit may come to an end still: doing it again is doing it once

    # -------------------------------------------------------------------------------------------- batches
    def _gather(self) -> list[Task]:
        """A batch: full, or all that came within a while of its first; one that is suspect is a batch by itself."""
        if self.suspects:
            return [self.suspects.popleft()]
        batch: dict[tuple[str, str, str], Task] = {}
        size, first = 0, 0.0
        while len(batch) < self.settings.batch and size < self.settings.batch_bytes:
            left = first + self.settings.batch_seconds - self.clock() if batch else 0.2
            try:
                task = self.inbox.get(timeout=max(0.0, left))
            except queues.Empty:
                break
            pointer = task.pointer
            if (same := batch.get(key := (pointer.bucket, pointer.key, pointer.object))) is not None:
                same.messages += task.messages
            elif task.attempts >= SUSPECT:
                self.suspects.append(task)
                if not batch:
                    return [self.suspects.popleft()]
            else:
                first = first or self.clock()
                batch[key] = task
                size += pointer.size
        return list(batch.values())

    def _work_off(self, batch: Sequence[Task], transformer: Transformer) -> None:
        parents = [task.messages[0].attributes for task in batch]
        with obs.batch("work", parents, [task.messages[0].sent for task in batch], queue=self.name) as traced:
            for number, task in enumerate(batch):
                traced.about(number, source=task.pointer.source, path=task.pointer.key)
            with obs.span("read"):
                tasks, mails = self._read(batch)
            if not tasks:
                return
            with obs.span("transform"):
                is_suspect = any(task.attempts >= SUSPECT for task in tasks)
                worked = transformer.alone(mails) if is_suspect else transformer(mails)
            try:
                landed = land(mails, worked, self.stores, keep=self.keep, sleep=self._sleep, backoff=self.backoff)
            except Transient as error:
                self._return(tasks, error)
                self._pause(error)
                return
            except UserError as error:
                self._return(tasks, error)
                raise
        self.trouble, self.words = 0, ""
        self._settle(tasks, landed)

    def _read(self, batch: Sequence[Task]) -> tuple[list[Task], list[Mail]]:
        """The mails that could be read; the others are given back."""
        tasks, mails = [], []
        failed: dict[int, Exception] = {}
        away: list[Task] = []
        for number, task in enumerate(batch):
            try:
                mails.append(task.mail.result())
                tasks.append(task)
            except Transient as error:
                obs.count("errors", 1, kind="transient", place="s3")
                away.append(task)
                self.words = str(error)
            except Exception as error:  # noqa: BLE001  a bucket that isn't ours, or a bug: this mail's failure
                failed[number] = error
            self.moved = self.clock()
        if failed:
            self._fail({batch[number].pointer: (batch[number], error) for number, error in failed.items()})
        if away:
            self._return(away)
        if not tasks and (away or failed):  # nothing can be read: S3 is away, or the role may not read it
            self._pause(next(iter(failed.values()), Transient(self.words)))
        return tasks, mails

    def _settle(self, tasks: Sequence[Task], landed: Landed) -> None:
        """Delete the messages of what was committed, and give those that failed to the queue's redrive."""
        self.done.states += landed.states
        receipts = [r for number, task in enumerate(tasks) if number not in landed.failed for r in task.receipts]
        try:
            self.queue.delete(receipts)
        except Transient as error:  # they come again and are duplicates of themselves
            obs.count("errors", 1, kind="transient", place="delete")
            obs.log.warning("messages were not deleted", why=str(error))
        self.holding.forget(receipts)
        if landed.failed:
            self._fail({tasks[n].pointer: (tasks[n], error) for n, error in landed.failed.items()})

    def _fail(self, failed: Mapping[Pointer, tuple[Task, Exception]]) -> None:
        """Keep why these mails failed, and let them come again: after its last receiving the queue itself puts a message among the dead."""
        failures = {}
        for pointer, (task, error) in failed.items():
            kind = "poison" if isinstance(error, (Poison, UserError)) else "bug"
            obs.count("errors", 1, kind=kind, place="worker")
            obs.log.error("mail failed", error, source=pointer.source, path=pointer.key, attempts=task.attempts)
            failures[pointer] = Failure(cause(error), VERSION, task.attempts)
        self.done.failed += len(failures)
        try:
            self.receipts.failed(failures)
        except Transient as error:
            obs.log.warning("reasons were not kept", why=str(error))
        self._return([task for task, _ in failed.values()])

    def _return(self, tasks: Sequence[Task], why: Exception | None = None) -> None:
        """Let messages come again, later the more often they came."""
        again: dict[str, float] = {}
        for task in tasks:
            delay = RETURN.delay(Transient(), task.attempts, random.random()) or 0.0  # noqa: S311  no secret
            again |= dict.fromkeys(task.receipts, max(1.0, delay))
        self.done.returned += len(again)
        obs.count("returned", len(again))
        if why is not None:
            obs.log.warning("mails are given back", mails=len(tasks), why=str(why))
        self._extend(again)
        self.holding.forget(again)

    def _extend(self, again: Mapping[str, float]) -> None:
        try:
            self.queue.extend(again)
        except Transient:  # their visibility ends by itself
            obs.count("errors", 1, kind="transient", place="return")

    def _pause(self, error: Exception) -> None:
        """A store is away: receive nothing for a while, then a few to see."""
        self.trouble += 1
        self.words = str(error) if isinstance(error, UserError) else cause(error)
        self.paused_until = self.clock() + (PAUSE.delay(Transient(), self.trouble, random.random()) or 0)  # noqa: S311

    def _give_back_all(self) -> None:
        receipts = self.holding.receipts
        with suppress(UserError):  # they come again by themselves
            self._extend(dict.fromkeys(receipts, 0))
        self.holding.forget(receipts)

    def _sleep(self, seconds: float) -> None:
        """Between two tries of a commit. Raises Transient once there is no time for another: what is held is given back."""
        self.moved = self.clock()
        if self.hurry.wait(seconds):
            raise Transient("the worker has to end before the stores came back")
