"""Does four times the input take about four times the time? Asked so that a busy machine can't fail it by chance, and quadratic work can't pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

ROUNDS = 6
BOUND = 10
"""Linear work takes 4 times as long, quadratic work 16 times."""
SLACK = 0.02
"""Seconds that count for nothing: what is shorter says more of the clock than of the work."""


def seconds(work: Callable[[T], object], what: T) -> float:
    """Processor time of this process: what else runs does not count."""
    begun = time.process_time()
    work(what)
    return time.process_time() - begun


def linear(work: Callable[[T], object], make: Callable[[int], T], count: int) -> None:
    """Fails where work(make(4 * count)) takes more than BOUND times as long as work(make(count)). The best of each of up to ROUNDS
    rounds counts, and the first that is good enough is the last, so only work that is slow is measured again."""
    small, large = make(count), make(4 * count)
    work(small)  # what is loaded once, or kept in a cache, is no growth
    one = four = 1e9
    for _ in range(ROUNDS):
        one, four = min(one, seconds(work, small)), min(four, seconds(work, large))
        if four < BOUND * one + SLACK:
            return
    raise AssertionError(f"{one:.4f} s, then {four:.4f} s for four times as much")
