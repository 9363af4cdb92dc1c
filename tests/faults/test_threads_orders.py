"""Threads don't depend on the order of arrival, nor on how mail is cut into batches, nor on when settle runs, nor on replays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from random import Random

import pytest
from test_threads_sets import Mail, any_mails, best, drain, focused, low_thresholds, several, stated, wrong

from mailloom.ports import Stated
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.edits import Choose
from mailloom.thread.weave import weave

WAYS = [best, several]


@pytest.fixture(autouse=True)
def _low() -> Iterator[None]:
    with low_thresholds():
        yield


def deliver(batches: Sequence[Sequence[Stated]], settles: int, choose: Choose, limit: int = 1000) -> MemoryThreads:
    """Bring in the batches; bit j of `settles` says whether settle runs after batch j. It runs at the end in any case."""
    store = MemoryThreads()
    for j, batch in enumerate(batches):
        weave(store, batch)
        if settles >> j & 1:
            drain(store, choose, limit)
    drain(store, choose, limit)
    return store


def told(mails: Sequence[Mail], bad: object) -> str:
    return "\n".join(["", *map(str, mails), str(bad)])


def every_order(r: Random, sets: int) -> int:
    runs = 0
    for _ in range(sets):
        mails = focused(r)
        mails = r.sample(mails, min(5, len(mails)))
        everything = [stated(mail) for mail in mails]
        choose = r.choice(WAYS)
        for order in permutations(everything):
            full = (1 << len(mails)) - 1
            for settles in {0, full, r.getrandbits(len(mails))}:
                store = deliver([[s] for s in order], settles, choose, r.choice([1, 2, 1000]))
                bad = wrong(store, everything, choose)
                assert not bad, told(mails, (bad, [s.message[-1] for s in order], settles, choose))
                runs += 1
    return runs


def any_batches(r: Random, runs: int) -> None:
    for _ in range(runs):
        mails = focused(r) if r.random() < 0.7 else any_mails(r, r.randrange(5, 12))
        everything = [stated(mail) for mail in mails]
        again = [s for s in everything if r.random() < 0.3]
        arriving = everything + again
        r.shuffle(arriving)
        batches: list[list[Stated]] = []
        while arriving:
            size = r.choice([1, 2, 3, 8])
            batches.append(arriving[:size])
            del arriving[:size]
        choose = r.choice(WAYS)
        settles = r.choice([0, r.getrandbits(20), -1])
        bad = wrong(deliver(batches, settles, choose, r.choice([1, 2, 1000])), everything, choose)
        assert not bad, told(mails, (bad, [[s.message[-1] for s in b] for b in batches], settles, choose))


@pytest.mark.parametrize("seed", range(2))
def test_every_order_of_small_sets_ends_alike(seed: int) -> None:
    every_order(Random(seed), 5)


@pytest.mark.parametrize("seed", range(2))
def test_any_batches_and_replays_end_alike(seed: int) -> None:
    any_batches(Random(seed), 500)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 102))
def test_every_order_of_many_small_sets_ends_alike(seed: int) -> None:
    every_order(Random(seed), 60)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 102))
def test_many_batches_and_replays_end_alike(seed: int) -> None:
    any_batches(Random(seed), 6000)
