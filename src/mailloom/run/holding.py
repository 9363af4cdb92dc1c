"""Messages that are held: received and not yet deleted. Bounds how many there are, and keeps them from coming again meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition

from mailloom import obs
from mailloom.ports import Queue, Received, Transient

RENEW = 0.5  # of its visibility: a message that has no more left is renewed, so most are never


@dataclass(slots=True)
class Held:
    """One message with the bytes of its mail and when its visibility ends (monotonic seconds)."""

    message: Received
    size: int
    until: float


@dataclass(slots=True)
class Holding:
    """Safe to use from any thread. `most` messages and about `most_bytes` of mail are held; `visibility` in seconds, as the queue
    was told at receiving.
    """

    queue: Queue
    visibility: float
    most: int
    most_bytes: int
    clock: Callable[[], float] = time.monotonic
    _held: dict[str, Held] = field(default_factory=dict)
    _promised: int = 0
    _changed: Condition = field(default_factory=Condition)

    def room(self, wanted: int, timeout: float) -> int:
        """Wait until `wanted` more may be received, and promise them; 0 where that took too long."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._fits(wanted), timeout):
                return 0
            self._promised += wanted
            return wanted

    def _fits(self, wanted: int) -> bool:
        return len(self._held) + self._promised + wanted <= self.most and self.bytes < self.most_bytes

    @property
    def bytes(self) -> int:
        """Of the mails that are held."""
        return sum(held.size for held in self._held.values())

    def take(self, messages: Mapping[str, tuple[Received, int]], began: float, promised: int) -> None:
        """Hold what came (receipt -> message, bytes of its mail) for a promise; it was asked for at `began`."""
        with self._changed:
            self._promised -= promised
            for receipt, (message, size) in messages.items():
                self._held[receipt] = Held(message, size, began + self.visibility)
            self._changed.notify_all()

    def forget(self, receipts: Collection[str]) -> None:
        """Hold these no more."""
        with self._changed:
            for receipt in receipts:
                held = self._held.pop(receipt, None)
                if held is not None and held.until < self.clock():
                    obs.count("expired")
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def receipts(self) -> Sequence[str]:
        with self._changed:
            return list(self._held)

    def beat(self) -> None:
        """Renew the visibility of those whose end is near. A queue that is away is asked again at the next beat."""
        now = self.clock()
        with self._changed:
            near = [r for r, held in self._held.items() if held.until - now < self.visibility * RENEW]
        if not near:
            return
        try:
            self.queue.extend(dict.fromkeys(near, self.visibility))
        except Transient:
            obs.count("errors", 1, kind="transient", place="heartbeat")
            return
        with self._changed:
            for receipt in near:
                if receipt in self._held:
                    self._held[receipt].until = now + self.visibility
