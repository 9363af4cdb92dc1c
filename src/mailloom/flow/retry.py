"""What a failure means: try again after a while, put the mail aside, or let the bug go up.

Capped exponential backoff with full jitter: of the ways to spread retries, the one with the fewest collisions (M. Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mailloom.ports import Poison, Transient

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first` and `most` are seconds; after `attempts` tries a transient failure is taken for a lasting one."""

    first: float = 0.1
    most: float = 30.0
    attempts: int = 8

    def delay(self, error: Exception, attempt: int, dice: float) -> float | None:
        """Seconds to wait after the `attempt`-th try (from 1) failed; None to give up. `dice` is in [0, 1).

        Raises the error itself where it is neither Transient nor Poison: that is a bug, and no retry mends it.
        """
        if isinstance(error, Poison):
            return None
        if not isinstance(error, Transient):
            raise error
        if attempt >= self.attempts:
            return None
        return dice * min(self.most, self.first * 2.0 ** (attempt - 1))


def persist(
    work: Callable[[], Result], backoff: Backoff, sleep: Callable[[float], None], dice: Callable[[], float]
) -> Result:
    """Do the work, again after each transient failure. Raises the last error where it is given up."""
    attempt = 0
    while True:
        attempt += 1
        try:
            return work()
        except Transient as error:
            delay = backoff.delay(error, attempt, dice())
            if delay is None:
                raise
        sleep(delay)
