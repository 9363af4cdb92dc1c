"""What readers see of conversations, kept in PostgreSQL beside nodes in another store, whoever stops or dies where.

The real weave, settle and place, stopped before each call on the nodes and before each transaction of a real PostgreSQL. Rough reads of
nodes are as old as they may be at worst: anything that was ever true, even from before the reader's own writes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from random import Random

import pytest
from greenlet import greenlet
from schedule import Steps
from test_threads_sets import Mail, any_mails, best, focused, low_thresholds, several, stated

from mailloom.ports import Fenced, Node, NodeName, Stated, Threads
from mailloom.stores.postgres.connection import Connection, Connections
from mailloom.stores.postgres.scoped import Scoped
from mailloom.thread.batch import derive
from mailloom.thread.edits import Choose
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave
from mailloom.wire.servers import ServerThreads
from server_stores import MemoryNodes, database, placed

pytestmark = pytest.mark.servers
MAX_STEPS = 20_000


@pytest.fixture(autouse=True)
def _low() -> Iterator[None]:
    with low_thresholds():
        yield


@pytest.fixture
def connections(postgres_url: str) -> Iterator[Connections]:
    made = database(postgres_url, 202301, 202301)
    yield made
    made.close()


class Past(dict[NodeName, Node]):
    """Nodes that remember what they were."""

    def __init__(self) -> None:
        self.past: dict[NodeName, list[Node]] = {}

    def __setitem__(self, name: NodeName, node: Node) -> None:
        self.past.setdefault(name, [Node(name)]).append(node)
        super().__setitem__(name, node)

    def setdefault(self, name: NodeName, node: Node = Node(b"")) -> Node:  # noqa: B008
        if name not in self:
            self[name] = node
        return self[name]


class Stale(Steps):
    """Implements wire.servers.Nodes, a step at a time, with rough reads out of the past."""

    dice: Random

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:
        if not rough:
            return super().nodes(names)
        self.stop()
        pool = self.store.pool
        assert isinstance(pool, Past)
        return {name: self.dice.choice(pool.past[name]) for name in sorted(names) if name in pool}

    def leased(self, number: int) -> Stale:
        self.stop()
        assert isinstance(self.store, MemoryNodes)
        leased = Stale(self.store.leased(number), self.stop, fine=self.fine)
        leased.dice = self.dice
        return leased


class Stopping(Connections):
    """Connections that stop before each is taken."""

    def __init__(self, connections: Connections, stop: Callable[[], None]) -> None:
        self.connections, self.stop = connections, stop

    @contextmanager
    def take(self) -> Iterator[Connection]:
        self.stop()
        with self.connections.take() as connection:
            yield connection


class World:
    """Nodes and a scope of a database, as the actors share them."""

    def __init__(self, connections: Connections, dice: Random) -> None:
        self.connections, self.dice = connections, dice
        self.scope = secrets.token_hex(4)
        self.nodes = MemoryNodes()
        self.nodes.pool = Past()

    def threads(self, stop: Callable[[], None]) -> ServerThreads:
        nodes = Stale(self.nodes, stop, fine=False)
        nodes.dice = self.dice
        return ServerThreads(nodes, Scoped(Stopping(self.connections, stop), self.scope, lambda: 0))


class Actor:
    """A worker or a settle that goes on step by step. `done` is called at its end, if it comes there."""

    def __init__(self, world: World, work: Callable[[Threads], object], done: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work(world.threads(self._stop))
            except Fenced:
                return
            done()

        self._greenlet = greenlet(run)

    def _stop(self) -> None:
        parent = self._greenlet.parent
        assert parent is not None
        parent.switch()

    @property
    def ended(self) -> bool:
        return bool(self._greenlet.dead)

    def run(self, steps: int) -> None:
        while steps and not self.ended:
            self._greenlet.switch()
            steps -= 1

    def crash(self) -> None:
        if not self.ended:
            self._greenlet.throw()


def working(batch: Sequence[Stated]) -> Callable[[Threads], object]:
    def work(threads: Threads) -> None:
        weave(threads, batch)
        threads.place([s.message for s in batch])

    return work


def settling(choose: Choose) -> Callable[[Threads], object]:
    return lambda threads: settle(threads, choose=choose)


def run(world: World, everything: Sequence[Stated], choose: Choose) -> int:
    """Workers and settles, three at a time; the messages of whoever dies come again, in other batches. How many died."""
    r = world.dice
    waiting = [*everything, *r.sample(everything, len(everything) // 4)]
    r.shuffle(waiting)
    actors: list[tuple[Actor, list[Stated]]] = []
    died = steps = 0
    while waiting or actors:
        while len(actors) < 3 and (waiting or r.random() < 0.3):
            if waiting and r.random() < 0.75:
                size = r.choice([1, 1, 2, 3])
                batch, waiting = list({s.message: s for s in waiting[:size]}.values()), waiting[size:]
                actors.append((Actor(world, working(batch), lambda: None), batch))
            else:
                actors.append((Actor(world, settling(choose), lambda: None), []))
        at = r.randrange(len(actors)) if actors else 0
        actor, batch = actors[at] if actors else (None, [])
        if actor is None:
            break
        going = r.choice([1, 2, 5, 40, 400])
        actor.run(going)
        steps += going
        assert steps < 400 * MAX_STEPS, "nobody comes to an end"
        if not actor.ended and r.random() < 0.06:
            actor.crash()
            waiting += batch
            r.shuffle(waiting)
            died += 1
        if actor.ended:
            del actors[at]
    return died


@pytest.mark.parametrize("seed", range(24))
def test_readers_see_what_the_nodes_say_once_settled(seed: int, connections: Connections) -> None:
    dice = Random(seed)
    choose: Choose = dice.choice([best, several])
    mails = any_mails(dice, dice.choice([6, 9, 14]))
    world = World(connections, dice)
    everything = [stated(mail) for mail in mails]
    run(world, everything, choose)
    threads = world.threads(lambda: None)
    settle(threads, choose=choose)
    conversations, _ = derive(everything, choose=choose)
    seen = placed(connections, world.scope)
    wrong = {m[-1]: (seen.get(m, b"?")[-1:], c[-1:]) for m, c in conversations.items() if seen.get(m) != c}
    assert not wrong, "\n".join(["", *map(str, mails), str(wrong)])
    assert seen.keys() == conversations.keys()


def test_somebody_dies_and_something_moves(connections: Connections) -> None:
    """That the schedules above reach what they are there for."""
    died = moved = 0
    for seed in range(4):
        dice = Random(seed)
        world = World(connections, dice)
        everything = [stated(mail) for mail in any_mails(dice, 14)]
        died += run(world, everything, best)
        moved += sum(len(versions) > 2 for name, versions in world.nodes.pool.past.items() if name[0] == 0)  # type: ignore[attr-defined]
    assert died > 3
    assert moved > 3


# ------------------------------------------------------------------------------------------------ two, and every place to switch
REPLY, ROOT, LATE = (Mail(3, "c", ("b",)), Mail(2, "b", ("a",)), Mail(1, "a"))
"""The late one is what the root answers, so the root of the pool gives way to it."""


def begun(world: World, before: Sequence[Mail], works: Sequence[Callable[[Threads], object]]) -> list[Actor]:
    for mail in before:
        working([stated(mail)])(world.threads(lambda: None))
    return [Actor(world, work, lambda: None) for work in works]


def length(connections: Connections, before: Sequence[Mail], work: Callable[[Threads], object]) -> int:
    """The steps that it takes alone."""
    actor = begun(World(connections, Random(0)), before, [work])[0]
    steps = 0
    while not actor.ended:
        actor.run(1)
        steps += 1
    return steps


def told(world: World) -> dict[int, int]:
    return {message[-1]: conversation[-1] for message, conversation in placed(world.connections, world.scope).items()}


@pytest.mark.parametrize("dies", ["nobody", "late", "answering"])
def test_a_row_is_right_wherever_the_root_that_it_names_gives_way(dies: str, connections: Connections) -> None:
    """One brings an answer, the other what the root answers; no settle mends anything. Who dies comes again."""
    answering, late = working([stated(REPLY)]), working([stated(LATE)])
    n, m = (length(connections, [ROOT], work) for work in (answering, late))
    assert min(n, m) > 8
    places = list(product(range(n), range(1, m + 6)))
    for i, j in Random(dies).sample(places, 120):
        world = World(connections, Random(i * 100 + j))
        a, b = begun(world, [ROOT], [answering, late])
        a.run(i)
        b.run(-1 if dies == "answering" else j)
        a.run(j if dies == "answering" else -1)
        if dies == "answering":
            a.crash()
            answering(world.threads(lambda: None))
        if dies == "late":
            b.crash()
            late(world.threads(lambda: None))
            world.threads(lambda: None).lease()
        b.run(-1)
        assert told(world) == {1: 1, 2: 1, 3: 1}, (i, j)


def test_rows_that_were_brought_too_far_back_by_one_who_died(connections: Connections) -> None:
    """The root gives way to a second message while that gives way to a third; who brought the second dies, wherever it is."""
    second, third = working([stated(Mail(2, "a", ("z",)))]), working([stated(Mail(1, "z"))])
    before = [Mail(3, "b", ("a",)), Mail(4, "c", ("b",))]
    steps = length(connections, before, second)
    for i, j in ((n, m) for n in range(steps) for m in range(1, min(6, steps - n))):
        world = World(connections, Random(i * 100 + j))
        a, b = begun(world, before, [second, third])
        a.run(i)
        b.run(-1)
        a.run(j)
        a.crash()
        second(world.threads(lambda: None))
        world.threads(lambda: None).lease()
        assert told(world) == {1: 1, 2: 1, 3: 1, 4: 1}, (i, j)


def test_a_row_that_was_spoilt_by_one_who_died_and_had_no_need_to_come_again(connections: Connections) -> None:
    """Two have the same answer, one is done with it, so that the other's need not come again; meanwhile the root gives way twice."""
    before = [Mail(3, "b", ("a",))]
    answer = working([stated(Mail(4, "c", ("b",)))])
    second, third = working([stated(Mail(2, "a", ("z",)))]), working([stated(Mail(1, "z"))])
    steps = length(connections, before, answer) + 6
    places = [(i, j) for i in range(1, steps) for j in range(1, steps) if i + j <= steps + 4]
    for i, j in Random(1).sample(places, 120):
        world = World(connections, Random(i * 100 + j))
        actors = begun(world, before, [answer, answer, second, third])
        spoiling, same, *roots = actors
        same.run(-1)
        roots[0].run(-1)
        spoiling.run(i)
        roots[1].run(-1)
        spoiling.run(j)
        spoiling.crash()
        world.threads(lambda: None).lease()
        assert told(world) == {1: 1, 2: 1, 3: 1, 4: 1}, (i, j)


def test_a_settle_that_parts_beside_a_worker_that_joins(connections: Connections) -> None:
    """Two mails with one id were one conversation until somebody looked; a third brings what they answer."""
    r = Random(7)
    for _ in range(12):
        mails = focused(r)[:7]
        late, before = mails[-r.choice([1, 2]) :], mails[: -r.choice([1, 2])]
        everything = [stated(mail) for mail in {mail.id: mail for mail in (*before, *late)}.values()]
        choose = r.choice([best, several])
        works = [settling(choose), working([stated(mail) for mail in late])]
        if r.random() < 0.5:
            works.reverse()
        n, m = (length(connections, before, work) for work in works)
        for _ in range(12):
            world = World(connections, r)
            a, b = begun(world, before, works)
            a.run(r.randrange(n))
            b.run(r.randrange(m + 5))
            a.run(-1)
            b.run(-1)
            settle(world.threads(lambda: None), choose=choose)
            conversations, _targets = derive(everything, choose=choose)
            assert told(world) == {message[-1]: c[-1] for message, c in conversations.items()}, mails
