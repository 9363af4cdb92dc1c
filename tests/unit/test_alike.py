"""Whom a message of an archive is compared with, and whom it then follows: against the rule written down plainly."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mailloom.archive import alike


@given(st.lists(st.integers(0, 5), max_size=40), st.randoms(use_true_random=False))
def test_in_a_band_each_meets_the_oldest_and_the_one_before(values: list[int], dice: random.Random) -> None:
    places = list(range(len(values)))
    dice.shuffle(places)
    buckets: dict[int, list[int]] = defaultdict(list)
    for place, value in zip(places, values, strict=True):
        buckets[value].append(place)
    want = set()
    for bucket in map(sorted, buckets.values()):
        for before, place in pairwise(bucket):
            want |= {(place, bucket[0]), (place, before)}
    pairs = alike._met(np.array(places, np.int64), np.array(values, np.int64))
    assert {(pair >> 32, pair & 0xFFFFFFFF) for pair in pairs.tolist()} == want


@given(
    st.lists(st.integers(1, 1 << 31), unique=True, min_size=1, max_size=30),
    st.lists(st.integers(1, 1 << 31), max_size=30),
    st.data(),
)
def test_places_of_seqs(there: list[int], others: list[int], data: st.DataObject) -> None:
    seqs = np.array(there, np.int64)
    messages = alike.Messages(b"", seqs, seqs, np.argsort(seqs))
    asked = data.draw(st.permutations([*there, *others]))
    column = b"".join(seq.to_bytes(4, "little") for seq in asked)
    want = [there.index(seq) if seq in there else -1 for seq in asked]
    assert alike._places(messages, column).tolist() == want
