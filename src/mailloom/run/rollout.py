"""Which of the mail that arrives goes the way of a new version: by shares, and always the same mail.

The choice is a hash of the object, so it is the same whenever and wherever it is made, and however often an event comes. Each share has a hash
of its own: who is in one says nothing of who is in another. A share that grows only adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from mailloom.config import Rollout
from mailloom.ports import Pointer, Queue

ALL = Rollout()


def within(pointer: Pointer, name: str, share: float) -> bool:
    """Whether an object belongs to the share (0 to 1) of that name. Pure."""
    return share > 0 and _place(pointer, name) < share


def _place(pointer: Pointer, name: str) -> float:
    """A number from 0 up to 1, evenly spread over objects. The key comes last, as it alone may hold a NUL."""
    said = f"{name}\0{pointer.bucket}\0{pointer.object}\0{pointer.key}".encode("utf-8", "surrogatepass")
    # 53 bits, what a float holds: of more, the last would round to 1, which is in no share.
    return (int.from_bytes(sha256(said).digest()[:8], "big") >> 11) / (1 << 53)


@dataclass(frozen=True, slots=True)
class Routes:
    """The shares, and the queues that those above 0 need."""

    shares: Rollout = ALL
    next: Queue | None = None
    shadow: Queue | None = None

    def accepts(self, pointer: Pointer) -> bool:
        """Whether it is taken at all."""
        return within(pointer, "accept", self.shares.accept)

    def to_next(self, pointer: Pointer) -> bool:
        """Whether it goes to `next` instead of `work`."""
        return self.next is not None and within(pointer, "next", self.shares.next)

    def to_shadow(self, pointer: Pointer) -> bool:
        """Whether a copy of it goes to `shadow`."""
        return self.shadow is not None and within(pointer, "shadow", self.shares.shadow)


PLAIN = Routes()
"""All mail is taken, and goes to `work`."""


def routes_of(shares: Rollout, queue: Callable[[str], Queue]) -> Routes:
    """`queue` gives a queue by its name, and raises UserError where it isn't set; it is asked for those that the shares need."""
    return Routes(shares, *(queue(name) if share > 0 else None for name, share in _queued(shares)))


def _queued(shares: Rollout) -> tuple[tuple[str, float], tuple[str, float]]:
    return ("next", shares.next), ("shadow", shares.shadow)
