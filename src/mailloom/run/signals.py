"""What a process that runs for long does when it is asked to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, current_thread, main_thread

from mailloom import obs


@contextmanager
def on_signals(
    stop: Callable[[], None], abandon: Callable[[], None] | None = None, seconds: float = 0.0
) -> Iterator[None]:
    """SIGTERM and SIGINT call `stop` meanwhile; a second one does what it did before. Nothing but on the main thread, as Python has it.

    `abandon` is called where the process is there still so many seconds after the first.
    """
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    asked = Event()
    if abandon is not None:  # begun now: a handler may begin no thread, as it may have come while one is begun
        Thread(target=_last, args=(asked, abandon, seconds), name="last", daemon=True).start()

    def stopping(number: int, _: object) -> None:
        stop()
        asked.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stopping)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _last(asked: Event, abandon: Callable[[], None], seconds: float) -> None:
    asked.wait()
    time.sleep(seconds)
    obs.log.error("the process can't end by itself", seconds=seconds)
    abandon()
