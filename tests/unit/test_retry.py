"""Transient failures are tried again, later and later; poison and bugs are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.flow.retry import Backoff, persist
from mailloom.ports import Poison, Transient


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_a_delay_lies_between_nothing_and_a_doubling_bound_with_a_cap(attempt, dice):
    backoff = Backoff(first=0.5, most=20, attempts=50)
    delay = backoff.delay(Transient("busy"), attempt, dice)
    assert 0 <= delay <= min(20, 0.5 * 2 ** (attempt - 1))


def test_full_jitter_uses_the_whole_range():
    assert Backoff(first=1).delay(Transient(), 3, 0.0) == 0
    assert Backoff(first=1).delay(Transient(), 3, 0.75) == 3


def test_poison_is_put_aside_at_once_and_a_bug_goes_up():
    assert Backoff().delay(Poison("a mail of 2 GB"), 1, 0.5) is None
    with pytest.raises(KeyError):
        Backoff().delay(KeyError("a bug"), 1, 0.5)


def test_work_is_done_again_until_it_succeeds():
    failures, slept = [Transient("1"), Transient("2")], []

    def work():
        if failures:
            raise failures.pop()
        return "done"

    assert persist(work, Backoff(first=1), slept.append, lambda: 0.5) == "done"
    assert slept == [0.5, 1.0]


def test_a_failure_that_lasts_is_raised_after_the_last_attempt():
    tries, slept = [], []

    def work():
        tries.append(1)
        raise Transient("still busy")

    with pytest.raises(Transient, match="still busy"):
        persist(work, Backoff(attempts=4), slept.append, lambda: 0.1)
    assert (len(tries), len(slept)) == (4, 3)


def test_poison_from_the_work_is_not_tried_again():
    tries = []

    def work():
        tries.append(1)
        raise Poison("never")

    with pytest.raises(Poison):
        persist(work, Backoff(), lambda _: None, lambda: 0.1)
    assert len(tries) == 1
