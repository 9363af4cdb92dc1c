"""The long runs on all servers (`make soak`): a large set of mail with the answer of a folder, and half an hour at a steady rate.

MAILLOOM_SOAK_MAIL names folders of mail of your own that are worked through too, MAILLOOM_SOAK_MINUTES how long the steady run lasts.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from test_servers_whole import SHAPE, same_answer

from mailloom.sources import Item, Options, load, walk
from mailloom.synth import generate, shape_of
from whole import Whole

pytestmark = [pytest.mark.servers, pytest.mark.soak]
MAILS = int(os.environ.get("MAILLOOM_SOAK_MAILS", "20000"))
MINUTES = float(os.environ.get("MAILLOOM_SOAK_MINUTES", "30"))
SHARE = 0.6  # of what was sustained when nothing else was asked of the workers
SAMPLE = 10.0  # seconds


def own_mail() -> list[bytes]:
    """The mails of the folders that the environment names."""
    sources = filter(None, os.environ.get("MAILLOOM_SOAK_MAIL", "").split(os.pathsep))
    found = (one for source in sources for one in walk(source, known=lambda place: None, options=Options()))
    items = (load(one) for one in found if isinstance(one, Item))
    return [item.raw for item in items if isinstance(item, Item) and item.raw]


def test_the_same_answer_for_much_mail(whole: Whole, tmp_path: Path) -> None:
    mails = own_mail() + [mail.raw for mail in generate(MAILS, 16, shape_of(SHAPE))]
    same_answer(whole, tmp_path, mails, 16, limit=3600)


@dataclass
class Sample:
    """A moment of the steady run: seconds since it began, mails that were put and not yet done, MB of the worker."""

    at: float
    backlog: int
    memory: float


def memory(pid: int) -> float:
    process = psutil.Process(pid)
    return sum(p.memory_info().rss for p in (process, *process.children(recursive=True))) / 1e6


def done(books: dict[str, int]) -> int:
    return sum(books.get(state, 0) for state in ("stored", "duplicate", "rejected"))


def test_half_an_hour_at_a_steady_rate(whole: Whole) -> None:
    """The queue's age is bounded, memory is flat, the books balance."""
    dice = random.Random(36)
    made = ((f"steady/{n:07}.eml", mail.raw) for n, mail in enumerate(generate(10**7, 36, shape_of("size=4KB"))))
    worker = whole.start("worker", "work")
    whole.start("validator", "validate")
    whole.start("settle", "settle", "--every", "30")
    first = dict(next(made) for _ in range(1500))
    began = time.monotonic()
    whole.put(first)
    whole.wait(len(first))
    rate = SHARE * len(first) / (time.monotonic() - began)
    began, put, samples = time.monotonic(), len(first), []
    while (now := time.monotonic() - began) < MINUTES * 60:
        if (due := int(now * rate) + len(first) - put) > 0:
            some = dict(next(made) for _ in range(min(due, 500)))
            whole.put(dict(dice.sample(sorted(some.items()), len(some))))
            put += len(some)
        if not samples or now - samples[-1].at > SAMPLE:
            samples.append(Sample(now, put - done(whole.books()), memory(worker.pid)))
        time.sleep(0.2)
    books = whole.wait(put)
    assert books["received"] == put == done(books)
    assert [whole.end(name) for name in ("worker", "validator", "settle")] == [0, 0, 0]
    third = len(samples) // 3
    early, late = samples[third : 2 * third], samples[2 * third :]
    ages = [sample.backlog / rate for sample in late]
    print(
        f"{rate:.0f} mails/s for {MINUTES:g} min, {put:,} mails; seconds of backlog: median {statistics.median(ages):.1f}, "
        f"most {max(ages):.1f}; MB: {statistics.median(s.memory for s in early):.0f} then {statistics.median(s.memory for s in late):.0f}"
    )
    assert max(ages) < 60
    assert statistics.median(s.memory for s in late) < 1.15 * statistics.median(s.memory for s in early)
