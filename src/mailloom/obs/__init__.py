"""What a run tells of itself: obs.log, obs.count, obs.gauge, obs.timing, obs.span, obs.batch.

Off until configure() is called, and then next to free: nothing is imported, nothing formatted, nothing stored. Metrics are summed here
and reported at intervals (emf.py, otlp.py); every name is in metrics.TABLE. A mail's text never goes through here: logs and spans name a
mail by its source and path, or its message id.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, TextIO

from mailloom.obs import log
from mailloom.obs.off import OFF, OFF_BATCH, Batch, Span
from mailloom.ports.errors import UserError

if TYPE_CHECKING:
    from mailloom.config import Obs
    from mailloom.obs.meter import Meter, Series
    from mailloom.obs.trace import Tracing

__all__ = [
    "Batch",
    "Span",
    "batch",
    "carrier",
    "close",
    "configure",
    "count",
    "flush",
    "gauge",
    "log",
    "observe",
    "on",
    "span",
    "timing",
]

_meter: Meter | None = None
_tracing: Tracing | None = None
_reports: list[Callable[[], None]] = []
_observers: list[Callable[[], None]] = []
_stop = threading.Event()
_late: threading.Thread | None = None
PATIENCE = 10.0
"""Seconds that a report may take whoever waits for it: twice what a collector gets for spans, then for metrics (lib.TIMEOUT)."""


# ------------------------------------------------------------------------------------------------ what is told
def count(name: str, value: float = 1, **dims: str) -> None:
    """Add to a counter of metrics.TABLE; `dims` are the values of its dimensions."""
    if _meter is not None:
        _meter.add(name, value, dims)


def gauge(name: str, value: float, **dims: str) -> None:
    """Say how much of something there is now."""
    if _meter is not None:
        _meter.set(name, value, dims)


def timing(name: str, value: float, **dims: str) -> None:
    """Enter one value of a distribution, in the unit that the table gives: a duration, a size."""
    if _meter is not None:
        _meter.record(name, value, dims)


def span(
    name: str, *, parent: Mapping[str, str] | None = None, start: int | None = None, **attributes: str | float
) -> AbstractContextManager[Span]:
    """A step with a beginning and an end. It is part of the step it lies in; with `parent`, the attributes of a queue message, of the one
    that sent the message ({}: a trace of its own). `start` is in ms, where it began before now.
    """
    if _tracing is None:
        return OFF
    return _tracing.span(name, attributes, parent, start)


def batch(
    name: str, parents: Sequence[Mapping[str, str]], sent: Sequence[int] = (), **attributes: str | float
) -> AbstractContextManager[Batch]:
    """A span for mails that are worked on together, linked to a span for each. `parents` are the attributes of their queue messages,
    `sent` when these were sent (ms), which shows as a span `queue`. Steps inside are shown in the trace of each mail.
    """
    if _tracing is None:
        return OFF_BATCH
    return _tracing.batch(name, parents, sent, attributes)


def carrier() -> dict[str, str]:
    """The context of the present span, as attributes for a queue message: W3C's traceparent and X-Ray's AWSTraceHeader."""
    return _tracing.carrier() if _tracing is not None else {}


def observe(look: Callable[[], None]) -> None:
    """Call this before each report, to tell of what is counted elsewhere. It may fail as stores do; close() forgets it."""
    if _meter is not None:
        _observers.append(look)


def on() -> bool:
    """Whether metrics are collected: ask it before a figure that costs something to find."""
    return _meter is not None


# ------------------------------------------------------------------------------------------------ on and off
def configure(settings: Obs, *, out: TextIO | None = None, err: TextIO | None = None) -> None:
    """Begin to tell, as the settings say: logs to `err`, EMF lines to `out` (the standard streams by default).

    Raises UserError where a library is missing. What was configured before is closed first.
    """
    global _meter, _tracing  # noqa: PLW0603  one process, one voice
    close()
    log.configure(settings.log, err or sys.stderr)
    if not (settings.emf or settings.otlp_endpoint):
        return
    from mailloom.obs.meter import Meter

    _meter = Meter()
    writers: list[Callable[[int, Sequence[Series]], None]] = []
    if settings.emf:
        from mailloom.obs import emf

        writers.append(partial(emf.write, out or sys.stdout, settings))
    if settings.otlp_endpoint:
        from mailloom.obs.otlp import Metrics
        from mailloom.obs.trace import Tracing

        writers.append(Metrics(settings).export)
        _tracing = Tracing(settings)
        _reports.append(_tracing.flush)
    report = partial(_report, _meter, writers)
    _reports.append(report)
    _stop.clear()
    threading.Thread(target=_often, args=(settings.interval, report), name="obs", daemon=True).start()


def _report(meter: Meter, writers: Sequence[Callable[[int, Sequence[Series]], None]]) -> None:
    for look in _observers:
        try:
            look()
        except UserError as error:  # a store is away: mail goes on without figures
            log.warning("figures could not be had", why=str(error))
        except Exception as error:  # noqa: BLE001  a bug must not end the thread that reports, and all figures with it
            log.error("figures could not be had", error)
    series, now = meter.drain(), time.time_ns() // 1_000_000
    for write in writers if series else ():
        try:
            write(now, series)
        except Exception as error:  # noqa: BLE001  a closed pipe, an exporter's own bug: mail goes on without figures
            log.error("metrics could not be written", error)


def _often(interval: float, report: Callable[[], None]) -> None:
    while not _stop.wait(interval):
        report()


def flush() -> None:
    """Report now: at the end of a Lambda call, before the process is frozen. What takes longer than PATIENCE goes on by itself: timeouts of a collector are
    for each byte that it says, so one that is slow enough never comes to an end.
    """
    if _reports:
        _in_time(partial(_all, list(_reports)))


def _all(reports: Sequence[Callable[[], None]]) -> None:
    for report in reports:
        report()


def _in_time(work: Callable[[], None]) -> None:
    global _late  # noqa: PLW0603
    if _late is not None and _late.is_alive():
        return  # as slow as ever: no mail waits for it a second time
    _late = threading.Thread(target=work, name="obs late", daemon=True)
    try:
        _late.start()
    except RuntimeError:  # at its very end an interpreter begins no thread
        work()
        return
    _late.join(PATIENCE)


def close() -> None:
    """Report what is left and be off again."""
    global _meter, _tracing  # noqa: PLW0603
    _stop.set()
    flush()
    _reports.clear()
    _observers.clear()
    if _tracing is not None:
        _in_time(_tracing.close)
    _meter = _tracing = None
    log.off()


def _forget() -> None:
    """A forked child has no thread that reports, and must not report its parent's figures."""
    global _meter, _tracing, _late  # noqa: PLW0603
    _meter = _tracing = _late = None
    _reports.clear()
    _observers.clear()


os.register_at_fork(after_in_child=_forget)
atexit.register(close)
