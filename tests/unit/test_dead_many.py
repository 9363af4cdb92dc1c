"""Dead letters by the thousand: looking at them ends, and who is stopped in the middle of them leaves little to be done twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from mailloom.ports import Failure, Parcel, Pointer, Received
from mailloom.run import dead
from mailloom.run.pointers import pointer_body, read_pointer


class Letters:
    """A queue that shows `seen` messages later what it showed before, as visibility ends."""

    def __init__(self, count: int, seen: int) -> None:
        self.there = {f"{n:05}": pointer_body(Pointer("mail", f"raw/{n}", "", f"{n:032x}", 9, 1)) for n in range(count)}
        self.waiting, self.shown, self.seen, self.calls = list(self.there), [], seen, 0

    def receive(self, most: int, wait: float) -> list[Received]:
        self.calls += 1
        assert self.calls < 10 * len(self.there), "there is no end"
        while len(self.shown) > self.seen:
            self.waiting.append(self.shown.pop(0))
        some, self.waiting = self.waiting[:most], self.waiting[most:]
        self.shown += some
        return [Received(f"{id_} {self.calls}", id_, self.there[id_], {}, 6, 0) for id_ in some if id_ in self.there]

    def extend(self, receipts: Mapping[str, float]) -> None:
        """They are seen again at once."""

    def delete(self, receipts: Sequence[str]) -> None:
        for receipt in receipts:
            del self.there[receipt.split()[0]]


class Receipts:
    def failures(self, pointers: set[Pointer]) -> Mapping[Pointer, Failure]:
        return {}

    def received(self, pointers: Sequence[Pointer]) -> None:
        """Entered."""


class Dying:
    """A queue for workers, or a ledger, whose process is killed at the `call`-th call."""

    def __init__(self, call: int) -> None:
        self.left, self.keys = call, []

    def send(self, parcels: Sequence[Parcel]) -> None:
        self._called([read_pointer(parcel.body).key for parcel in parcels])

    def deliver(self, rows: Sequence[Any]) -> None:
        self._called([row.origin.path for row in rows])

    def _called(self, keys: list[str]) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        self.keys += keys


def test_letters_that_are_seen_again_before_the_last_end_the_look() -> None:
    queue: Any = Letters(500, seen=100)
    with dead.looking(queue, Receipts()) as found:  # type: ignore[arg-type]
        assert len(found) == 500


DOING: dict[str, Callable[[Any, Any, Any], int]] = {
    "retry": lambda found, queue, to: dead.retry(found, queue, Receipts(), to),  # type: ignore[arg-type]
    "drop": dead.drop,
}


@pytest.mark.parametrize("how", DOING)
def test_what_was_done_before_a_kill_is_not_done_again(how: str) -> None:
    queue: Any = Letters(1050, seen=2000)
    done: list[str] = []
    for call in (5, 3, 0):
        queue.waiting, queue.shown = list(queue.there), []
        to = Dying(call)
        with dead.looking(queue, Receipts()) as found:  # type: ignore[arg-type]
            if call:
                with pytest.raises(KeyboardInterrupt):
                    DOING[how](found, queue, to)
            else:
                assert DOING[how](found, queue, to) == len(found) == 1050 - 600
        done += to.keys
    assert sorted(done) == sorted(f"raw/{n}" for n in range(1050))
    assert not queue.there
