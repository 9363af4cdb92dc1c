"""What must never cost a settle: mail without soft evidence, in any order, and plain replies to mail that is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

import pytest
from test_threads_sets import Mail, any_mails, best, low_thresholds, stated, wrong

from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, ClueName, Node, NodeName, Stated, Target
from mailloom.stores.memory import MemoryThreads
from mailloom.thread import settle as settling
from mailloom.thread.batch import derive
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave


@pytest.fixture(autouse=True)
def _low() -> Iterator[None]:
    with low_thresholds():
        yield


def test_without_soft_evidence_and_dead_keys_nothing_is_ever_dirty() -> None:
    r = Random(9)
    for _ in range(250):
        everything = [stated(mail) for mail in any_mails(r, r.randrange(2, 9), soft=False, bogus=False)]
        r.shuffle(everything)
        store = MemoryThreads()
        for s in everything:
            weave(store, [s])
        assert not store.counters["mark"]
        assert wrong(store, everything, best) == []


def test_replies_with_quotes_and_attributions_after_their_parents_are_never_dirty() -> None:
    r = Random(10)
    for _ in range(250):
        mails: list[Mail] = []
        store = MemoryThreads()
        for number in range(1, r.randrange(3, 9)):
            parent = r.choice(mails) if mails and r.random() < 0.8 else None
            mail = Mail(number, f"i{number}", subject=number, sender=r.randrange(3), text=frozenset([r.randrange(5)]))
            if parent:
                names = ((parent.sender, parent.minute),)
                mail = mail._replace(
                    cites=(parent.own,), subject=parent.subject, quotes=parent.text, names=names, reply=True
                )
            mails.append(mail)
        for mail in mails:
            weave(store, [stated(mail)])
        assert not store.counters["mark"]
        assert wrong(store, [stated(mail) for mail in mails], best) == []


def test_nothing_dirty_is_nothing_written() -> None:
    store = MemoryThreads()
    weave(store, [stated(Mail(1, "a")), stated(Mail(2, "b", ("a",)))])
    before = dict(store.pool)
    assert settle(store, choose=best).looked == 0
    assert store.pool == before


class Counting(MemoryThreads):
    """Counts the nodes read and written."""

    read = written = 0

    def nodes(self, names: object, *, rough: bool = False) -> dict[NodeName, Node]:
        found = super().nodes(names)  # type: ignore[arg-type]
        self.read += len(found)
        return dict(found)

    def swing(self, changes: object) -> list[bool]:
        done = super().swing(changes)  # type: ignore[arg-type]
        self.written += len(done)
        return list(done)


@pytest.mark.parametrize("size", [10, 1000])
def test_a_long_thread_gains_one_mail_in_the_time_of_a_short_one(size: int) -> None:
    store = Counting()
    for j in range(1, size + 1):
        weave(store, [stated(Mail(j, f"i{j}", (f"i{j - 1}",)))])
    store.read = store.written = 0
    weave(store, [stated(Mail(size + 1, "last", (f"i{size}",)))])
    assert store.read <= 20
    assert store.written <= 8


def test_replies_before_their_parents_cost_as_much_as_after() -> None:
    """Nodes read and written for a chain of replies, last one first against first one first."""
    costs = []
    for order in (range(1, 501), range(500, 0, -1)):
        store = Counting()
        for j in order:
            weave(store, [stated(Mail(j, f"i{j}", (f"i{j - 1}",)))])
        assert set(derive(list(store.evidence.values()))[0].values()) == {min(store.evidence)}
        costs.append(store.read + store.written)
    assert costs[1] <= 1.3 * costs[0], costs


class Deciding:
    """Counts how often it is asked to decide."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(
        self, asker: Stated, clues: Mapping[ClueName, ClueItem], owners: Mapping[MessageId, Stated]
    ) -> tuple[Target, ...]:
        self.count += 1
        return best(asker, clues, owners)


def test_a_flood_of_replies_under_one_subject_costs_as_much_as_its_mails_are() -> None:
    """Their subject is common soon: who comes later finds nobody by it, and is no news to those before. Each pass decides once."""
    store, decided = MemoryThreads(), Deciding()
    for j in range(1, 201):
        weave(store, [stated(Mail(j, f"i{j}", subject=1, sender=j, reply=True))])
        settle(store, choose=decided)
    assert decided.count <= 2 * sum(range(1, 14)) + 2 * 13
    assert wrong(store, list(store.evidence.values()), best) == []


def test_a_pass_decides_in_parts_and_ends_as_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "PART", 2)
    monkeypatch.setattr(settling, "OWNERS", 3)
    r = Random(11)
    for _ in range(100):
        everything = [stated(mail) for mail in any_mails(r, 12)]
        store = MemoryThreads()
        for s in everything:
            weave(store, [s])
        settle(store, choose=best)
        assert wrong(store, everything, best) == []
