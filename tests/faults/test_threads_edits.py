"""Hand edits mixed with mail, in any order, beside workers and settles, with crashes: threads are those of mail and edits at once.

Half of the edits are made as a person makes them, of the conversation as it is at that moment; the others name any nodes at all, which
no command would write, and must not do harm either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from random import Random

import pytest
from schedule import Actor
from test_threads_schedules import Play, length, settling, told, weaving
from test_threads_sets import (
    Mail,
    any_mails,
    best,
    drain,
    focused,
    low_thresholds,
    named,
    several,
    stated,
    wrong,
)

from mailloom.mail.model import MessageId
from mailloom.ports import Edit, Stated, Threads, UserError
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.editing import join, make, split, take_back
from mailloom.thread.edits import SPLIT, Choose, Hand
from mailloom.thread.keys import message_node, nodes_of
from mailloom.thread.weave import weave

WAYS = [best, several]
Work = Callable[[Threads], object]


@pytest.fixture(autouse=True)
def _low() -> Iterator[None]:
    with low_thresholds():
        yield


def any_edit(r: Random, everything: Sequence[Stated]) -> Edit:
    """An edit that names anything."""
    some = r.sample(everything, min(len(everything), r.choice([2, 2, 3, 4])))
    if r.random() < 0.3:
        return join(some[0].message, some[1].message, at=1)
    names = sorted({name for s in some for name in nodes_of(s)} - {message_node(some[0].message)})
    inside = {message_node(some[0].message), *(name for name in names if r.random() < 0.4)}
    outside = {name for name in names if name not in inside and r.random() < 0.8}
    return Edit(0, SPLIT, some[0].message, some[0].message, frozenset(inside), frozenset(outside), 1)


def a_persons_edit(r: Random, store: MemoryThreads) -> Edit | None:
    """An edit of the conversations as they are in a store, None where it would say nothing."""
    by_conversation: dict[bytes, list[MessageId]] = {}
    for m in sorted(store.evidence):
        by_conversation.setdefault(named(store, message_node(m)), []).append(m)
    if len(by_conversation) > 1 and r.random() < 0.4:
        a, b = r.sample(sorted(by_conversation), 2)
        return join(r.choice(by_conversation[a]), r.choice(by_conversation[b]), at=1)
    members = r.choice([*by_conversation.values()])
    states = [store.evidence[m] for m in members]
    hand = Hand(store.places({name for s in states for name in nodes_of(s)}))
    try:
        return split(r.choice(members), states, store.drawn(members), hand, at=1)
    except UserError:
        return None


def edit_for(r: Random, store: MemoryThreads, everything: Sequence[Stated]) -> Edit:
    edit = a_persons_edit(r, store) if store.evidence and r.random() < 0.5 else None
    return edit or any_edit(r, everything)


def a_set(r: Random, most: int) -> list[Mail]:
    mails = focused(r) if r.random() < 0.7 else any_mails(r, r.randrange(3, most + 1))
    return r.sample(mails, min(most, len(mails))) if len(mails) > 1 else [*mails, Mail(90, "other"), Mail(91, "third")]


# ------------------------------------------------------------------------------------------------ orders
Step = Callable[[MemoryThreads], object]


def every_order(r: Random, sets: int) -> int:
    """Four mails and two edits, one of which is taken back or not, in every order; settled between or not."""
    runs = 0
    for _ in range(sets):
        mails = a_set(r, 4)
        everything = [stated(mail) for mail in mails]
        whole = MemoryThreads()
        weave(whole, everything)
        choose = r.choice(WAYS)
        drain(whole, choose)
        edits = [edit_for(r, whole, everything) for _ in range(r.choice([1, 2, 2]))]
        undone = r.random() < 0.3
        steps: list[tuple[str, Step]] = [(f"mail {s.message[-1]}", _weave(s)) for s in everything]
        steps += [(f"edit {n}", _make(edit)) for n, edit in enumerate(edits)]
        orders = list(permutations(steps))
        for order in r.sample(orders, min(len(orders), 120)):
            settles = r.choice([0, -1, r.getrandbits(len(order))])
            store = MemoryThreads()
            for j, (_, step) in enumerate(order):
                step(store)
                if settles >> j & 1:
                    drain(store, choose, r.choice([1, 2, 1000]))
            if undone:
                take_back(store, number_of(store, edits[0]), at=2)
            drain(store, choose, r.choice([1, 2, 1000]))
            bad = wrong(store, everything, choose)
            assert not bad, told(mails, (bad, edits, undone, [name for name, _ in order], settles, choose))
            runs += 1
    return runs


def number_of(store: MemoryThreads, edit: Edit) -> int:
    return next(e.number for e in store.edits() if e._replace(number=0) == edit)


def _weave(s: Stated) -> Step:
    return lambda store: weave(store, [s])


def _make(edit: Edit) -> Step:
    return lambda store: make(store, edit)


# ------------------------------------------------------------------------------------------------ schedules
def editing(edit: Edit) -> Work:
    return lambda threads: make(threads, edit)


def undoing(number: int) -> Work:
    return lambda threads: take_back(threads, number, at=2)


class EditedPlay(Play):
    """A play in which people edit, too. An editor that dies is run again, as it would be by who sees no answer."""

    def __init__(self, mails: Sequence[Mail], seed: int, seen: Counter[str] | None = None) -> None:
        self.waiting = 0
        super().__init__(mails, seed, seen)
        self.waiting = self.r.choice([1, 2, 3])
        self.again: list[tuple[str, Work]] = []
        self.editors: dict[int, tuple[str, Work]] = {}

    def start(self, most: int) -> None:
        super().start(most)
        while self.again:
            self.enter(*self.again.pop())
        if self.waiting and (not self.batches or self.r.random() < 0.2):
            self.waiting -= 1
            there = [edit.number for edit in self.store.edits() if edit.undone is None]
            if there and self.r.random() < 0.35:
                number = self.r.choice(there)
                self.enter(f"undo {number}", undoing(number))
            else:
                edit = edit_for(self.r, self.store, self.everything)
                self.enter(f"edit {edit}", editing(edit))

    def enter(self, name: str, work: Callable[[Threads], object]) -> None:
        self.seen["edit"] += 1
        self.trace.append(name)
        actor = Actor(name, self.store, work, fine=self.fine)
        self.editors[id(actor)] = (name, work)
        self.workers.append((actor, []))

    def preempt(self, now: Actor, others: Sequence[Actor]) -> Actor | None:
        crashes = self.seen["crash of a worker"]
        turn = super().preempt(now, others)
        if id(now) in self.editors and self.seen["crash of a worker"] > crashes:
            self.batches = [batch for batch in self.batches if batch]
            self.again.append(self.editors[id(now)])
            self.seen["crash of an editor"] += 1
        return turn


def few_preemptions(r: Random, sets: int, plays: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for _ in range(sets):
        mails = a_set(r, 7)
        for _ in range(plays):
            seed = r.getrandbits(40)
            play = EditedPlay(mails, seed, seen)
            bad = play.run()
            assert not bad, told(mails, (bad, seed, play.choose.__name__, play.limit, play.trace, play.store.edits()))
    return seen


def two_actors(
    r: Random,
) -> tuple[list[Mail], Callable[[], tuple[MemoryThreads, Actor, Actor]], Sequence[Stated], Choose, Work]:
    """Most of the mail is there; an editor, and beside it a worker with the rest or a settle. And what the editor does."""
    mails = a_set(r, 6)
    everything = [stated(mail) for mail in mails]
    late = everything[-1:]
    choose: Choose = r.choice(WAYS)
    settled, fine, beside = r.random() < 0.7, r.random() < 0.5, r.random() < 0.6
    first = MemoryThreads()
    weave(first, everything[:-1])
    drain(first, choose)
    edit = edit_for(r, first, everything)
    undo = r.random() < 0.3
    work = undoing(1) if undo else editing(edit)

    def begin() -> tuple[MemoryThreads, Actor, Actor]:
        store = MemoryThreads()
        weave(store, everything[:-1])
        if undo:
            make(store, edit)
        if settled:
            drain(store, choose)
        if not beside:
            weave(store, late)
        other = weaving(late) if beside else settling(choose)
        return store, Actor("other", store, other, fine=fine), Actor("editor", store, work, fine=fine)

    return mails, begin, everything, choose, work


def switches_twice(r: Random, sets: int, most: int) -> int:
    runs = 0
    for _ in range(sets):
        mails, begin, everything, choose, _ = two_actors(r)
        for first in (1, 2):
            places = [(i, j) for i in range(length(begin, first) + 1) for j in range(length(begin, 3 - first) + 10)]
            for i, j in places if len(places) <= most else r.sample(places, most):
                started = begin()
                a, b = started[first], started[3 - first]
                assert isinstance(a, Actor)
                assert isinstance(b, Actor)
                for actor, steps in ((a, i), (b, j), (a, None), (b, None)):
                    actor.run(steps)
                drain(started[0], choose)
                bad = wrong(started[0], everything, choose)
                assert not bad, told(mails, (bad, started[0].edits(), a.name, i, b.name, j, choose))
                runs += 1
    return runs


def crashes_anywhere(r: Random, sets: int, most: int) -> int:
    """An editor, a worker or the settle that follows dies before any step, and is run again, perhaps after a settle."""
    runs = 0
    for _ in range(sets):
        mails, begin, everything, choose, work = two_actors(r)
        for which in (1, 2):
            places = range(length(begin, which) + 1)
            for i in places if len(places) <= most else sorted(r.sample(places, most)):
                started = begin()
                store, dying = started[0], started[which]
                assert isinstance(dying, Actor)
                dying.run(i)
                dying.crash()
                if r.random() < 0.5:
                    drain(store, choose)
                for again in r.sample([weaving(everything), work], 2):
                    again(store)
                drain(store, choose)
                bad = wrong(store, everything, choose)
                assert not bad, told(mails, (bad, store.edits(), which, i, choose))
                runs += 1
    return runs


# ------------------------------------------------------------------------------------------------ the tests
@pytest.mark.parametrize("seed", range(2))
def test_mail_and_edits_in_every_order_end_alike(seed: int) -> None:
    every_order(Random(seed), 12)


@pytest.mark.parametrize("seed", range(2))
def test_an_editor_beside_a_worker_or_a_settle_with_two_switches_ends_alike(seed: int) -> None:
    switches_twice(Random(seed), 25, 15)


@pytest.mark.parametrize("seed", range(2))
def test_a_crash_before_any_step_of_an_editor_is_made_good(seed: int) -> None:
    crashes_anywhere(Random(seed), 20, 15)


@pytest.mark.parametrize("seed", range(2))
def test_few_preemptions_of_editors_end_alike(seed: int) -> None:
    seen = few_preemptions(Random(seed), 30, 10)
    assert min(seen[name] for name in ("crash of an editor", "crash of a settle", "fenced")) >= 3, seen


def test_what_a_person_says_comes_true_and_can_be_taken_back() -> None:
    """No message of one side of a split is in a conversation with one of the other; two that are joined are in one; undone is undone."""
    r, kinds = Random(3), Counter[str]()
    for _ in range(400):
        everything = [stated(mail) for mail in a_set(r, 9)]
        choose = r.choice(WAYS)
        store = MemoryThreads()
        weave(store, everything)
        drain(store, choose)
        edit = a_persons_edit(r, store)
        if edit is None:
            continue
        kinds[edit.kind] += 1
        before = conversations(store, everything)
        made = make(store, edit)
        assert make(store, edit) == made, "said twice is said once"
        drain(store, choose)
        after = conversations(store, everything)
        sides = [{after[name] for name in side if name[0] == 0} for side in (edit.inside, edit.outside)]
        if edit.kind == SPLIT:
            assert sides[0].isdisjoint(sides[1]), (everything, edit)
        else:
            assert sides[0] == sides[1]
        take_back(store, made.number, at=2)
        drain(store, choose)
        assert conversations(store, everything) == before
    assert min(kinds["join"], kinds[SPLIT]) >= 50, kinds


def conversations(store: MemoryThreads, everything: Sequence[Stated]) -> dict[bytes, bytes]:
    return {node: named(store, node) for node in (message_node(s.message) for s in everything)}


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 104))
def test_many_sets_with_edits_end_alike(seed: int) -> None:
    r = Random(seed)
    every_order(r, 50)
    switches_twice(r, 40, 25)
    crashes_anywhere(r, 24, 15)
    few_preemptions(r, 80, 12)
