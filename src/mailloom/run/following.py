"""Receive, work, delete, one batch after the other, until told to stop: for what commits nothing (run/worker.py does) and needs no threads for it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from mailloom import obs
from mailloom.flow.retry import Backoff
from mailloom.ports import Queue, Received, Transient, UserError

RETURN = Backoff(first=2.0, most=900.0, attempts=1 << 30)
"""How long what couldn't be worked on stays hidden, by how often it came; as workers have it."""
PAUSE = Backoff(first=1.0, most=60.0, attempts=1 << 30)
"""How long it waits for a store that is away, by how often it failed."""
HELD_S = 60.0
"""What is held stays hidden for so long beyond the next try."""
DRAINING = Backoff(first=1.0, most=30.0, attempts=8)
"""The same for who wants an end."""
ATONCE = 10  # messages that a queue gives in one request


def follow(
    queue: Queue,
    work: Callable[[Sequence[Received]], None],
    stopped: Callable[[], bool],
    *,
    place: str,
    wait: float = 20.0,
    most: int = ATONCE,
    seconds: float = 0.0,
    ended: Callable[[], bool] | None = None,
) -> None:
    """Give `work` up to `most` messages at a time, or what came within `seconds` of the first, until `stopped`. It deletes those that are done;
    it may raise Transient, and is called with the same messages later.

    With `ended` it stops as well where nothing comes and that says so; then a store that is away is waited for, but not for ever: Transient is
    raised. Raises UserError where the owner must mend something. `place` is what errors are counted under.
    """
    queue.depth()  # wrong credentials or no such queue: told at once
    failures = 0
    patience = PAUSE if ended is None else DRAINING
    messages: Sequence[Received] = ()
    while not stopped():
        try:
            messages = messages or _gathered(queue, stopped, wait, most, seconds)
            if not messages and ended is not None and ended():
                break
            if messages:
                work(messages)
                messages = ()
            failures = 0
        except Transient as error:
            failures += 1
            delay = patience.delay(error, failures, random.random())  # noqa: S311  no secret
            obs.count("errors", 1, kind="transient", place=place)
            obs.log.warning("messages wait", messages=len(messages), why=str(error))
            if delay is None:
                _hide(messages, queue, 0.0)
                raise
            # Held until the store is back: each receiving brings a message nearer to the dead letters.
            _hide(messages, queue, delay + HELD_S)
            _sleep(delay, stopped)
        except UserError:
            _hide(messages, queue, RETURN.first)
            raise
    _hide(messages, queue, 0.0)


def _gathered(queue: Queue, stopped: Callable[[], bool], wait: float, most: int, seconds: float) -> Sequence[Received]:
    messages = list(queue.receive(min(ATONCE, most), wait))
    until = time.monotonic() + seconds
    while messages and len(messages) < most and not stopped() and (left := until - time.monotonic()) > 0:
        try:
            messages += queue.receive(min(ATONCE, most - len(messages)), min(wait, left))
        except Transient:  # what is here is worked on; the next call tells if it stays so
            break
    return messages


def _hide(messages: Sequence[Received], queue: Queue, seconds: float) -> None:
    if messages:
        with suppress(Transient):  # their visibility ends by itself
            queue.extend({message.receipt: seconds for message in messages})


def _sleep(seconds: float, stopped: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while not stopped() and (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))
