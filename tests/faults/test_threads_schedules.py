"""Workers and settles that overlap in any way, die anywhere and overtake each other: once settled, nothing of it is seen.

Three kinds of schedules. Systematic: one worker and one settle with two switches between them, at every pair of places, and a crash
before every step. Random with few preemptions (Burckhardt and others, 2010): several workers and settles, each running on
undisturbed but for a handful of places; a uniform random scheduler hardly ever finds the deep races.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random

import pytest
from schedule import Actor, Remembering
from test_threads_sets import Mail, any_mails, best, drain, focused, low_thresholds, several, stated, wrong

from mailloom.ports import Stated, Threads
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.edits import Choose
from mailloom.thread.keys import message_node, nodes_of
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

WAYS = [best, several]
MAX_STEPS = 40_000  # of one schedule: more is a livelock


@pytest.fixture(autouse=True)
def _low() -> Iterator[None]:
    with low_thresholds():
        yield


def told(mails: Sequence[Mail], bad: object) -> str:
    return "\n".join(["", *map(str, mails), str(bad)])


def weaving(batch: Sequence[Stated]) -> Callable[[Threads], object]:
    return lambda threads: weave(threads, batch)


def settling(choose: Choose, limit: int = 1000) -> Callable[[Threads], object]:
    return lambda threads: settle(threads, choose=choose, limit=limit)


# ------------------------------------------------------------------------------------------------ two switches, and crashes
def two_actors(
    r: Random,
) -> tuple[list[Mail], Callable[[], tuple[MemoryThreads, Actor, Actor]], Sequence[Stated], Choose]:
    """A set of which most has arrived, with a way to make the same state again: the store, a settle, and a worker with the rest.
    Sometimes another worker brings one of the rest in just before the settle.
    """
    mails = focused(r)[:8]
    if r.random() < 0.5:
        r.shuffle(mails)
        mails = mails[:6]
    everything = [stated(mail) for mail in mails]
    late = everything[-r.choice([1, 2, 2]) :]
    first = everything[: -len(late)]
    choose = r.choice(WAYS)
    settled, fine = r.choice(["never", "after each", "before the last"]), r.random() < 0.5
    company = len(late) > 1 and r.random() < 0.5
    old = r.getrandbits(20)

    def other(threads: Threads) -> None:
        if company:
            weave(threads, late[:1])
        settle(threads, choose=choose)

    def begin() -> tuple[MemoryThreads, Actor, Actor]:
        store = Remembering()
        for s in first:
            if settled == "before the last" and s is first[-1]:
                drain(store, choose)
            weave(store, [s])
            if settled == "after each":
                drain(store, choose)
        if len(late) > 1 and not company and settled != "after each":
            weave(store, late[:1])
        return (
            store,
            Actor("settle", store, other, fine=fine, seed=old),
            Actor("worker", store, weaving(late[1:] if company else late), fine=fine, seed=old + 1),
        )

    return mails, begin, everything, choose


def length(begin: Callable[[], tuple[MemoryThreads, Actor, Actor]], which: int) -> int:
    actor = begin()[which]
    assert isinstance(actor, Actor)
    actor.run()
    return actor.taken


def switches_twice(r: Random, sets: int, most: int) -> int:
    """One goes i steps, the other j, then the first to its end, then the other. At most so many pairs (i, j) a set."""
    runs = 0
    for _ in range(sets):
        mails, begin, everything, choose = two_actors(r)
        for first in (1, 2):
            places = [
                (i, j)
                for i in range(length(begin, first) + 1)
                for j in range(
                    max(1, length(begin, 3 - first)) + 20
                )  # the other may have more to do after the first's i steps
            ]
            for i, j in places if len(places) <= most else r.sample(places, most):
                started = begin()
                a, b = started[first], started[3 - first]
                assert isinstance(a, Actor)
                assert isinstance(b, Actor)
                a.run(i)
                b.run(j)
                a.run()
                b.run()
                drain(started[0], choose)
                bad = wrong(started[0], everything, choose)
                assert not bad, told(mails, (bad, a.name, i, b.name, j, choose))
                runs += 1
    return runs


def crashes_anywhere(r: Random, sets: int, most: int) -> int:
    """A worker dies and is run again, before or after a settle; a settle dies or is overtaken and goes on none the wiser."""
    runs = 0
    for _ in range(sets):
        mails, begin, everything, choose = two_actors(r)
        for way in ("worker, again", "worker, settle, again", "settle, worker", "settle overtaken"):
            which = 2 if way.startswith("worker") else 1
            places = range(length(begin, which) + 1)
            for i in places if len(places) <= most else sorted(r.sample(places, most)):
                store, settler, worker = begin()
                dying = worker if which == 2 else settler
                dying.run(i)
                if way == "settle overtaken":
                    weave(store, everything)
                    Actor("overtaker", store, settling(choose)).run(r.choice([5, 50, None]))
                    dying.run()
                else:
                    dying.crash()
                if way == "worker, settle, again":
                    drain(store, choose)
                weave(store, everything) if r.random() < 0.5 else worker_again(store, everything, r)
                drain(store, choose)
                bad = wrong(store, everything, choose)
                assert not bad, told(mails, (bad, way, i, choose))
                runs += 1
    return runs


def worker_again(store: MemoryThreads, everything: Sequence[Stated], r: Random) -> None:
    """A replay in other batches than before."""
    for s in r.sample(everything, len(everything)):
        weave(store, [s])


# ------------------------------------------------------------------------------------------------ few preemptions
class Play:
    """One random schedule of some mails; the same seed plays the same."""

    def __init__(self, mails: Sequence[Mail], seed: int, seen: Counter[str] | None = None) -> None:
        self.r = Random(seed)
        self.mails = mails
        self.everything = [stated(mail) for mail in mails]
        self.choose = self.r.choice(WAYS)
        self.limit = self.r.choice([1, 2, 1000])
        self.fine = self.r.random() < 0.7
        self.store = Remembering()
        self.batches = self.cut()
        self.begin()
        self.workers: list[tuple[Actor, list[Stated]]] = []
        self.settles: list[Actor] = []
        self.seen: Counter[str] = Counter() if seen is None else seen
        self.trace: list[str] = []

    def cut(self) -> list[list[Stated]]:
        """Batches, the last one first; some mails come twice, the second time as a replay."""
        arriving = self.everything + [s for s in self.everything if self.r.random() < 0.15]
        if self.r.random() < 0.5:
            self.r.shuffle(arriving)
        batches = []
        most = self.r.choice([1, 1, 2, 3])
        while arriving:
            size = self.r.randint(1, most)
            batches.append(arriving[:size])
            del arriving[:size]
        return batches[::-1]

    def begin(self) -> None:
        """In half of the plays some batches have arrived before, so that the few preemptions fall on what follows."""
        for _ in range(self.r.choice([0, self.r.randrange(len(self.batches))])):
            weave(self.store, self.batches.pop())
            if self.r.random() < 0.6:
                drain(self.store, self.choose)

    def run(self) -> list[str]:
        span = self.r.choice([100, 300, 900])
        cuts = sorted(self.r.sample(range(span), self.r.randint(1, 6)))
        most = self.r.choice([1, 2, 3])
        now: Actor | None = None
        steps = 0
        while True:
            self.start(most)
            actors = [*(worker for worker, _ in self.workers), *self.settles]
            if not actors:
                break
            if now not in actors:
                now = self.r.choice(actors)
            if cuts and steps >= cuts[0]:
                cuts.pop(0)
                self.trace.append(f"{now.name}@{now.taken}")
                now = self.preempt(now, [a for a in actors if a is not now])
                continue
            steps += 1
            if steps > MAX_STEPS:
                return ["livelock"]
            if not now.step():
                self.leave(now)
        drain(self.store, self.choose, self.limit)
        return wrong(self.store, self.everything, self.choose)

    def start(self, most: int) -> None:
        while self.batches and len(self.workers) < most:
            batch = self.batches.pop()
            name = f"worker {[s.message[-1] for s in batch]}"
            self.workers.append(
                (Actor(name, self.store, weaving(batch), fine=self.fine, seed=self.r.getrandbits(20)), batch)
            )
        if self.store.marks and not self.settles:
            self.take_over()

    def take_over(self) -> Actor:
        self.seen["settle"] += 1
        name = f"settle {self.seen['settle']}"
        self.settles.append(
            Actor(name, self.store, settling(self.choose, self.limit), fine=self.fine, seed=self.r.getrandbits(20))
        )
        return self.settles[-1]

    def preempt(self, now: Actor, others: Sequence[Actor]) -> Actor | None:
        """What happens at one of the few places: a crash, another settle, or somebody else's turn."""
        x = self.r.random()
        if x < 0.3:
            self.trace.append("dies")
            now.crash()
            self.seen["crash of a settle" if now in self.settles else "crash of a worker"] += 1
            for worker, batch in self.workers:
                if worker is now:
                    self.batches.insert(self.r.randint(0, len(self.batches)), batch)
            self.leave(now)
            return None
        if x < 0.45 and now in self.settles and self.store.marks:
            self.trace.append("overtaken")
            return self.take_over()
        return self.r.choice(others) if others else now

    def leave(self, actor: Actor) -> None:
        self.seen["fenced"] += actor.fenced
        self.trace.append(f"{actor.name} ends@{actor.taken}")
        self.workers = [(worker, batch) for worker, batch in self.workers if worker is not actor]
        self.settles = [other for other in self.settles if other is not actor]


def few_preemptions(r: Random, sets: int, plays: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(sets):
        mails = focused(r) if r.random() < 0.8 else any_mails(r, r.randrange(3, 8))
        for _ in range(plays):
            seed = r.getrandbits(40)
            play = Play(mails, seed, seen)
            bad = play.run()
            assert not bad, told(mails, (bad, seed, play.choose.__name__, play.limit, play.trace))
    return seen


# ------------------------------------------------------------------------------------------------ the tests
@pytest.mark.parametrize("seed", range(2))
def test_a_worker_and_a_settle_with_two_switches_anywhere_end_alike(seed: int) -> None:
    switches_twice(Random(seed), 25, 15)


@pytest.mark.parametrize("seed", range(2))
def test_a_crash_before_any_step_is_made_good_by_a_replay(seed: int) -> None:
    crashes_anywhere(Random(seed), 8, 15)


@pytest.mark.parametrize("seed", range(2))
def test_few_preemptions_crashes_and_takeovers_end_alike(seed: int) -> None:
    seen = few_preemptions(Random(seed), 30, 10)
    assert min(seen[name] for name in ("crash of a worker", "crash of a settle", "fenced")) >= 5, seen


def test_the_same_seed_plays_the_same() -> None:
    """A failure can be looked at again."""
    for seed in range(10):
        mails = focused(Random(seed))
        plays = [Play(mails, seed) for _ in range(2)]
        for play in plays:
            play.run()
        assert plays[0].trace == plays[1].trace


CITERS = [Mail(2 + j, f"citer{j}", ("bogus",), sender=j, subject=j) for j in range(3)]
TEXT = frozenset([0])
ASKER = Mail(7, "asker", ("ghost0",), quotes=TEXT)
TIGHT: dict[str, tuple[list[Mail], list[Mail], list[Mail], list[Mail]]] = {
    # name: what has settled; what is marked; what comes just before the settle; what comes beside it
    # The worker reads the key as dead and doesn't join it; settle has gathered before, and won't see the reply as affected.
    "a reply beside the revival of the key it cites": (CITERS, [Mail(9, "bogus")], [], [Mail(1, "reply", ("bogus",))]),
    "an owner while its asker writes": ([], [], [Mail(1, "owner", text=TEXT)], [ASKER]),
    "an asker while its owner writes": ([], [], [ASKER], [Mail(1, "owner", text=TEXT)]),
    "a parent while its reply asks": ([Mail(1, "owner", text=TEXT)], [], [Mail(2, "ghost0")], [ASKER]),
    "a reply that asks while its parent comes": ([Mail(1, "owner", text=TEXT)], [], [ASKER], [Mail(2, "ghost0")]),
    "a reply while the key it cites dies": (
        CITERS[:1],
        CITERS[1:2],
        CITERS[2:],
        [Mail(1, "reply", ("bogus", "citer0"))],
    ),
    # Were the id's key tied before both are in its pool, it could die while the second hangs on nothing with it, and gets no conv.
    "two replies to an id that dies as they come": ([Mail(9, "late", ("citer1",))], [], CITERS[2:], CITERS[:2]),
    "a reply while its parent's id is given again": (
        [Mail(3, "reused")],
        [],
        [Mail(4, "reused", subject=1)],
        [Mail(5, "reply", ("reused",), quotes=TEXT)],
    ),
    "a second parent while the first one's key dies": (
        [Mail(1, "reused"), Mail(2, "owner", text=TEXT), Mail(7, "asker", ("ghost0", "reused"), quotes=TEXT)],
        [Mail(3, "reused", subject=1)],
        [],
        [Mail(4, "ghost0")],
    ),
}


@pytest.mark.parametrize("name", TIGHT)
def test_tight_races_end_alike_at_every_place(name: str) -> None:
    before, marked, company, beside = TIGHT[name]
    mails = [*before, *marked, *company, *beside]

    def other(threads: Threads) -> None:
        weave(threads, [stated(mail) for mail in company])
        settle(threads, choose=best)

    def begin() -> tuple[MemoryThreads, Actor, Actor]:
        store = Remembering()
        weave(store, [stated(mail) for mail in before])
        drain(store, best)
        weave(store, [stated(mail) for mail in marked])
        worker = weaving([stated(mail) for mail in beside])
        return store, Actor("settle", store, other, fine=False), Actor("worker", store, worker, fine=False)

    settle_steps, worker_steps = length(begin, 1), length(begin, 2)
    places = [(i, j) for i in range(settle_steps + 1) for j in range(worker_steps + 1)]
    for i, j in places:
        store, settler, worker = begin()
        for actor, steps in ((settler, i), (worker, j), (settler, None), (worker, None)):
            actor.run(steps)
        bad = verdict(store, mails)
        assert not bad, told(mails, (bad, "settle", i, "worker", j))
    for j in range(worker_steps + 1):
        store, settler, worker = begin()
        for actor, steps in ((worker, j), (settler, None), (worker, None)):
            actor.run(steps)
        bad = verdict(store, mails)
        assert not bad, told(mails, (bad, "worker", j, "settle"))


def verdict(store: MemoryThreads, mails: Sequence[Mail]) -> list[str]:
    drain(store, best)
    return wrong(store, [stated(mail) for mail in mails], best)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 102))
def test_two_switches_at_every_place_end_alike(seed: int) -> None:
    switches_twice(Random(seed), 12, 400)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 102))
def test_a_crash_before_any_step_of_many_sets_is_made_good(seed: int) -> None:
    crashes_anywhere(Random(seed), 30, 1000)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 104))
def test_many_schedules_with_few_preemptions_end_alike(seed: int) -> None:
    few_preemptions(Random(seed), 250, 20)


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_union_that_was_cut_short_joins_nobody_in_the_end(limit: int) -> None:
    """A worker died between two swings of one call: two replies to an id that nobody has are in one pool, and the id's key is
    not. Then the key dies of others, so that nothing leads from one to the other any more.
    """
    cut = [Mail(1, "i1", ("bogus",), sender=1, subject=1), Mail(8, "i8", ("bogus",), sender=2, subject=2)]
    store = MemoryThreads()
    one, eight = (stated(mail) for mail in cut)
    store.enter({name for s in (one, eight) for name in nodes_of(s)})
    store.state([one, eight])
    assert store.swing([(message_node(eight.message), message_node(eight.message), message_node(one.message))]) == [
        True
    ]
    others = [stated(mail._replace(id=mail.id + 20)) for mail in CITERS]
    weave(store, others)
    drain(store, best)
    later = stated(Mail(9, "late", ("i8",)))
    for s in (one, eight, later):
        weave(store, [s])
        drain(store, best, limit)
        weave(store, [one])
        drain(store, best, limit)
    assert not wrong(store, [one, eight, later, *others], best)
