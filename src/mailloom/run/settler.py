"""Settle every so often, until stopped. Several may run: each run takes the lease, and who is overtaken begins again at the next time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from threading import Event

from mailloom import obs
from mailloom.flow.retry import Backoff, persist
from mailloom.ports import Fenced, Threads, Transient
from mailloom.run.health import Health
from mailloom.run.signals import on_signals
from mailloom.thread.settle import BATCH, Settled, settle

PAUSE = Backoff(first=5.0, most=300.0, attempts=1 << 30)
"""How long it waits after a store was away, where that is less than the usual pause."""
AGAIN = Backoff(first=1.0, most=20.0, attempts=6)
"""Of a run that somebody waits for: a restart or a failover of PostgreSQL is over by then."""


@dataclass(slots=True)
class Settler:
    """`every` is the pause between two runs in seconds, `limit` how many marked messages are one part of a run."""

    threads: Threads
    every: float
    limit: int = BATCH
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    words: str = ""

    def once(self, stopped: Callable[[], bool] = lambda: False) -> Settled | None:
        """One run, which ends between two parts once it is stopped. None where it was overtaken or a store was away: the marks stay, so
        nothing is lost. Raises UserError, or what is a bug.
        """
        began = self.clock()
        try:
            with obs.span("settle", parent={}) as span:
                self.threads.place(())  # conversations that a crash left to be named
                done = settle(self.threads, limit=self.limit, stopped=stopped)
                self.threads.place(())
                span.set(looked=done.looked, changed=done.changed)
        except Fenced:
            obs.count("fenced")
            obs.log.info("settle was overtaken")
            return None
        except Transient as error:
            self.failures += 1
            self.words = str(error)
            obs.count("errors", 1, kind="transient", place="settle")
            obs.log.warning("settle stopped", why=str(error))
            return None
        self.failures, self.words = 0, ""
        obs.timing("settle_time", (self.clock() - began) * 1000)
        return done

    def at_last(self, backoff: Backoff = AGAIN, sleep: Callable[[float], None] = time.sleep) -> Settled | None:
        """One run, tried again where a store is away for a moment: the marks stay, so a later try goes on where this one stopped. None where it
        was overtaken, or the store stays away.
        """

        def one() -> Settled | None:
            done = self.once()
            if done is None and self.failures:
                raise Transient(self.words)
            return done

        with suppress(Transient):
            return persist(one, backoff, sleep, random.random)
        return None

    def run(self, stopping: Event | None = None) -> None:
        """Until SIGTERM or SIGINT comes, or the event is set."""
        ended = stopping or Event()
        with on_signals(ended.set):
            while not ended.is_set():
                self.once(ended.is_set)
                pause = self.every
                if self.failures:
                    delay = PAUSE.delay(Transient(), self.failures, random.random()) or 0.0  # noqa: S311  no secret
                    pause = min(pause, 1.0 + delay)
                ended.wait(pause)

    def health(self) -> Health:
        """Whether the stores are there."""
        return Health(live=True, ready=not self.failures, words=self.words)
