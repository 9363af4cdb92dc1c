"""The union-find: whoever unites what, in whatever order and with whatever luck, the pools are the connected components."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mailloom.mail.model import MessageId
from mailloom.ports import KeyItem, Link, Node, NodeName, Stamp, Stated, Tie
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.assign import SLACK, assign, roots, union
from mailloom.thread.components import components
from mailloom.thread.keys import nodes_of

COUNT = 30


def name(number: int) -> NodeName:
    return bytes([number % 2]) + number.to_bytes(16, "big")


NAMES = [name(n) for n in range(COUNT)]
pairs_of_numbers = st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)), max_size=60)


def truth(pairs: Sequence[tuple[int, int]]) -> dict[NodeName, NodeName]:
    """Each node -> the smallest of its connected component, by scipy."""
    rows, columns = [a for a, _ in pairs], [b for _, b in pairs]
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(COUNT, COUNT))
    _, labels = connected_components(graph, directed=False)
    least = {label: min(NAMES[n] for n in range(COUNT) if labels[n] == label) for label in set(labels)}
    return {NAMES[n]: least[labels[n]] for n in range(COUNT)}


def named(pairs: Sequence[tuple[int, int]]) -> list[tuple[NodeName, NodeName]]:
    return [(NAMES[a], NAMES[b]) for a, b in pairs]


class Flaky(MemoryThreads):
    """Others get in between: swings fail at random, and sometimes somebody else has united two pools just before."""

    def __init__(self, seed: int, others: Sequence[tuple[NodeName, NodeName]] = ()) -> None:
        super().__init__()
        self.r = Random(seed)
        self.others = list(others)
        self.enter(NAMES)

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        done: list[bool] = []
        for change in changes:
            if self.others and self.r.random() < 0.3:
                union(Calm(self), [self.others.pop()])
            done += super().swing([change]) if self.r.random() < 0.6 else [False]
        return done


class Calm:
    """The same pools for a peer who has luck. Implements ports.Pools."""

    def __init__(self, flaky: Flaky) -> None:
        self.flaky = flaky

    def enter(self, names: Collection[NodeName], *, fresh: Collection[NodeName] = ()) -> None:
        self.flaky.enter(names)

    def look(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        return self.flaky.look(names)

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:
        return self.flaky.nodes(names)

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        return MemoryThreads.swing(self.flaky, changes)

    def tie(self, ties: Sequence[Tie]) -> Sequence[KeyItem | None]:
        return MemoryThreads.tie(self.flaky, ties)

    def stamp(self, stamps: Sequence[Stamp]) -> None:
        self.flaky.stamp(stamps)


@given(pairs=pairs_of_numbers)
def test_components_are_those_of_scipy(pairs: list[tuple[int, int]]) -> None:
    mentioned = {NAMES[n] for pair in pairs for n in pair}
    assert components(named(pairs)) == {node: low for node, low in truth(pairs).items() if node in mentioned}


@given(pairs=pairs_of_numbers, size=st.integers(1, 60))
def test_pools_are_those_of_scipy_in_batches_of_any_size(pairs: list[tuple[int, int]], size: int) -> None:
    threads = MemoryThreads()
    threads.enter(NAMES)
    for at in range(0, len(pairs), size):
        union(threads, named(pairs[at : at + size]))
    assert roots(threads, NAMES) == truth(pairs)


@given(pairs=pairs_of_numbers, seed=st.integers(0, 1 << 30))
def test_failing_swings_and_peers_in_between_end_alike(pairs: list[tuple[int, int]], seed: int) -> None:
    mine, others = pairs[::2], pairs[1::2]
    threads = Flaky(seed, named(others))
    union(threads, named(mine))
    union(Calm(threads), threads.others)
    assert roots(threads, NAMES) == truth(pairs)


@given(pairs=pairs_of_numbers, seed=st.integers(0, 1 << 30))
def test_a_parent_is_never_larger_so_there_are_no_cycles(pairs: list[tuple[int, int]], seed: int) -> None:
    threads = Flaky(seed)
    for pair in named(pairs):
        union(threads, [pair])
        assert all(node.parent <= name for name, node in threads.pool.items())


@given(pairs=pairs_of_numbers)
def test_uniting_again_changes_and_tells_nothing(pairs: list[tuple[int, int]]) -> None:
    threads = MemoryThreads()
    threads.enter(NAMES)
    union(threads, named(pairs))
    assert union(threads, named(pairs)) == []


@given(pairs=pairs_of_numbers)
def test_what_is_told_is_each_pool_that_gave_way_once(pairs: list[tuple[int, int]]) -> None:
    threads = MemoryThreads()
    threads.enter(NAMES)
    joined = [j for pair in named(pairs) for j in union(threads, [pair])]
    assert all(j.new < j.old for j in joined)
    assert sorted(j.old for j in joined) == sorted(n for n, low in truth(pairs).items() if n != low)


def chained(length: int) -> tuple[MemoryThreads, list[NodeName]]:
    threads = MemoryThreads()
    chain = [name(2 * n) for n in range(length)]
    threads.enter(chain)
    for low, high in pairwise(chain):
        threads.swing([(high, high, low)])
    return threads, chain


def test_paths_are_shortened_and_keep_their_end() -> None:
    threads, chain = chained(200)
    assert roots(threads, chain[-1:]) == {chain[-1]: chain[0]}
    for step, node in enumerate(chain):
        assert threads.pool[node].parent == (chain[0] if step > SLACK else chain[max(0, step - 1)])


def test_a_path_that_is_walked_in_pieces_is_shortened_as_a_whole_one() -> None:
    """Whoever is met first."""
    whole, chain = chained(50)
    roots(whole, chain[-1:])
    for seed in range(5):
        pieces, _ = chained(50)
        roots(pieces, Random(seed).sample(chain, len(chain)))
        assert pieces.pool == whole.pool


def test_a_short_path_is_left_as_it_is() -> None:
    threads, chain = chained(SLACK + 1)
    before = dict(threads.pool)
    assert roots(threads, chain) == dict.fromkeys(chain, chain[0])
    assert threads.pool == before


def test_a_shortened_path_that_somebody_changed_meanwhile_is_left_alone() -> None:
    threads = Flaky(1)
    threads.r.random = lambda: 0.9  # type: ignore[method-assign]  # every swing fails
    chain = [name(2 * n) for n in range(SLACK + 2)]
    MemoryThreads.swing(threads, [(high, high, low) for low, high in pairwise(chain)])
    assert roots(threads, chain[-1:]) == {chain[-1]: chain[0]}
    assert threads.pool[chain[-1]].parent == chain[-2]


def test_a_message_joins_its_keys_but_not_through_a_dead_one() -> None:
    threads = MemoryThreads()
    good, dead = b"\x01" + bytes(16), b"\x01" + b"\xff" * 16
    links = (Link("message-id", good, True, "good"), Link("references", dead, False, "dead"))
    stated = Stated(MessageId(bytes(15) + b"\x01"), b"", (b"",), None, links)
    assert nodes_of(stated) == [b"\x00" + stated.message, good, dead]
    threads.enter(nodes_of(stated))
    threads.stamp([Stamp(dead, dead=True)])
    assign(threads, [stated])
    assert roots(threads, [good, dead]) == {good: b"\x00" + stated.message, dead: dead}
