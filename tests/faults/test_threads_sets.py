"""Small sets of mail that reach every rule of the threads, what they should become, and proof that they do reach the rules.

A set is a few `Mail`s: ids that are there, ids that nobody has ("ghosts"), an id that automatic mail cites, GUIDs, twins, text
that others quote, attribution lines, subjects. With thresholds of 3 instead of 8 and 13, six mails meet all the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from typing import NamedTuple
from unittest import mock

import pytest

from mailloom.mail.model import MessageId
from mailloom.ports import Ask, ClueItem, ClueName, KeyItem, Link, NodeName, Soft, Stated, Target
from mailloom.stores.memory import MemoryThreads
from mailloom.thread import keys
from mailloom.thread.batch import derive, key_items
from mailloom.thread.decide import is_asking
from mailloom.thread.edits import Choose, Hand, places_of
from mailloom.thread.keys import is_common, is_dead, key_name, message_node, short_hash
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

WINDOW = 5  # of ids: a subject links only mails so near in time


@contextmanager
def low_thresholds() -> Iterator[None]:
    with mock.patch.object(keys, "MAX_CITERS", 3), mock.patch.object(keys, "MAX_OWNERS", 3):
        yield


class Mail(NamedTuple):
    """One mail of a set. `text` are shingles it owns, `quotes` shingles it quotes, `names` (sender, minute) of attribution lines."""

    id: int
    own: str
    cites: tuple[str, ...] = ()
    guid: str = ""
    begins_guid: bool = False
    subject: int = 0
    sender: int = 0
    text: frozenset[int] = frozenset()
    quotes: frozenset[int] = frozenset()
    minute: int = 0
    names: tuple[tuple[int, int], ...] = ()
    reply: bool = False
    twin: str = ""

    def __str__(self) -> str:
        said = [f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True) if value]
        return f"Mail({', '.join(said)})"


def id_of(number: int) -> MessageId:
    return MessageId(number.to_bytes(16, "big"))


def stated(mail: Mail) -> Stated:
    """What the mail would state. Every mail owns its subject and its minute, as no real one would: the more links the better."""
    links = [Link("message-id", key_name("id", mail.own), True, mail.own)]
    links += [Link("references", key_name("id", c), False, c) for c in mail.cites if c != mail.own]
    if mail.guid:
        links.append(Link("thread-index", key_name("guid", mail.guid), mail.begins_guid, mail.guid))
    if mail.twin:
        links.append(Link("twin", key_name("twin", mail.twin), True, mail.twin))
    owns = [short_hash("text", str(x)) for x in sorted(mail.text)]
    owns += [short_hash("sent", f"{mail.sender} {mail.minute}"), short_hash("subject", str(mail.subject))]
    asks = [Ask("text", short_hash("text", str(x)), str(x), 2000) for x in sorted(mail.quotes)]
    asks += [Ask("sent", short_hash("sent", f"{who} {minute}"), f"{who} {minute}", 3000) for who, minute in mail.names]
    asks += [Ask("subject", short_hash("subject", str(mail.subject)), "")] if mail.reply else []
    return Stated(
        message=id_of(mail.id),
        subject=short_hash("subject", str(mail.subject)),
        people=(short_hash("person", str(mail.sender)),),
        when=mail.id,
        links=tuple(links),
        owns=tuple(owns),
        asks=tuple(asks),
    )


# ------------------------------------------------------------------------------------------------ ways to decide
def best(asker: Stated, clues: Mapping[ClueName, ClueItem], owners: Mapping[MessageId, Stated]) -> tuple[Target, ...]:
    """The candidate with the most weight, the latest of equals."""
    scores = _scores(asker, clues, owners)
    return _targets(scores, [max(scores, key=lambda o: (scores[o], o))]) if scores else ()


def several(
    asker: Stated, clues: Mapping[ClueName, ClueItem], owners: Mapping[MessageId, Stated]
) -> tuple[Target, ...]:
    """Every candidate that more than a subject speaks for."""
    scores = _scores(asker, clues, owners)
    return _targets(scores, [owner for owner in sorted(scores) if scores[owner] >= 2000])


def _scores(
    asker: Stated, clues: Mapping[ClueName, ClueItem], owners: Mapping[MessageId, Stated]
) -> Counter[MessageId]:
    scores: Counter[MessageId] = Counter()
    senders = [clues.get(ask.clue, ClueItem()) for ask in asker.asks if ask.kind == "sent"]
    for ask in asker.asks:
        item = clues.get(ask.clue, ClueItem())
        if ask.kind == "sent" or is_common(item):
            continue
        for owner in item.owners & owners.keys():
            near = _time(asker) - _time(owners[owner]) <= WINDOW
            if owner < asker.message and (ask.kind == "text" or near):
                scores[owner] += ask.weight
    meant = frozenset[MessageId]().union(*(item.owners for item in senders)) - {asker.message}
    if len(meant) == 1 and not any(map(is_common, senders)) and min(meant) < asker.message:
        scores[min(meant)] += 3000
    return scores


def _time(of: Stated) -> int:
    assert of.when is not None
    return of.when


def _targets(scores: Counter[MessageId], chosen: list[MessageId]) -> tuple[Target, ...]:
    return tuple(Target(owner, "content", scores[owner], f"{scores[owner]}") for owner in chosen)


# ------------------------------------------------------------------------------------------------ is it right?
def drain(store: MemoryThreads, choose: Choose, limit: int = 1000) -> None:
    settle(store, choose=choose, limit=limit)
    assert not store.marks, "settle ended with marks left"


def root_of(store: MemoryThreads, name: NodeName) -> NodeName:
    while store.pool[name].parent != name:
        assert store.pool[name].parent < name, "a parent is never larger than its child"
        name = store.pool[name].parent
    return name


def named(store: MemoryThreads, name: NodeName) -> NodeName:
    return store.pool[name].conv or root_of(store, name)


def wrong(store: MemoryThreads, everything: Sequence[Stated], choose: Choose) -> list[str]:
    """What a settled store says that everything at once would not, and what it has not got ready for mail that comes later."""
    by_id = {s.message: s for s in everything}
    items = key_items(by_id.values())
    conversations, targets = derive(list(by_id.values()), choose=choose, edits=store.edits())
    hand = Hand(places_of(store.edits()))
    bad: list[str] = [f"{m[-1]} is still marked" for m in store.marks]
    for m, s in by_id.items():
        node = message_node(m)
        if named(store, node) != message_node(conversations[m]):
            bad.append(f"conversation of {m[-1]} is {named(store, node)[-1]}, should be {conversations[m][-1]}")
        live = {Target(r.target, r.kind, r.weight, r.detail) for r in store.drawn([m]) if r.source == m and r.live}
        if live != set(targets[m]):
            bad.append(f"soft links of {m[-1]} are {live}, should be {targets[m]}")
        for link in s.links:
            dead = is_dead(items.get(link.key, KeyItem()))
            if store.pool[link.key].dead != dead:
                bad.append(f"key {link.detail} is {'alive' if dead else 'dead'}")
            if m not in store.back[link.key]:
                bad.append(f"no way back from key {link.detail} to {m[-1]}")
            if not dead and link.key not in hand.walled(s) and named(store, link.key) != message_node(conversations[m]):
                bad.append(f"key {link.detail} is named otherwise than {m[-1]} that it joins")
        bad += _unready(store, s) if is_asking(s, items) else []
    return bad


def _unready(store: MemoryThreads, asker: Stated) -> list[str]:
    """An asker must be found by whoever owns later what it asks for."""
    bad = [f"no ask of {asker.message[-1]}" for a in asker.asks if asker.message not in store.ask_rows[a.clue]]
    bad += [f"clue {a.detail} is not asked" for a in asker.asks if not store.clue_items[a.clue].asked]
    cited = [link for link in asker.links if not link.owns]
    return bad + [f"key {link.detail} is not asked" for link in cited if not store.key_items[link.key].asked]


# ------------------------------------------------------------------------------------------------ sets
def any_mails(r: Random, count: int, *, soft: bool = True, bogus: bool = True) -> list[Mail]:
    """Everything may happen to every mail."""
    ids = [f"i{j}" for j in range(count)]
    taste = r.random()  # how much of this set is automatic mail
    mails = []
    for j in range(count):
        cites = set()
        for _ in range(r.choice([0, 1, 1, 1, 2])):
            x = r.random()
            if bogus and x < 0.35 * taste + 0.1:
                cites.add("bogus")
            else:
                cites.add(r.choice(["ghost0", "ghost1"]) if x < 0.6 else r.choice(ids))
        own = ids[j]
        if bogus and r.random() < 0.15:
            own = r.choice([*ids, "bogus", "ghost0", "ghost1"])
        elif r.random() < 0.12:
            own = r.choice(["ghost0", "ghost1"])
        guid = r.choice(["g0", "g1"]) if r.random() < 0.25 else ""
        mails.append(
            Mail(
                id=j + 1,
                own=own,
                cites=tuple(sorted(cites)),
                guid=guid,
                begins_guid=bool(guid) and r.random() < 0.4,
                subject=r.randrange(3) if bogus else 0,
                sender=r.randrange(3),
                text=_some(r, 5, [0, 1, 1, 2]) if soft else frozenset(),
                quotes=_some(r, 5, [0, 0, 1, 1, 2]) if soft else frozenset(),
                minute=r.randrange(2),
                names=tuple((r.randrange(3), r.randrange(2)) for _ in range(r.choice([0, 0, 1, 2]) if soft else 0)),
                reply=soft and r.random() < 0.3,
                twin=r.choice(["t0", "t1"]) if r.random() < 0.1 else "",
            )
        )
    return mails


def _some(r: Random, of: int, counts: list[int]) -> frozenset[int]:
    return frozenset(r.sample(range(of), r.choice(counts)))


def focused(r: Random) -> list[Mail]:
    """A set around one of the rules, in an order of arrival that makes it interesting; dates are in any order."""
    x = r.random()
    if x < 0.15:
        return any_mails(r, r.choice([2, 3, 4, 5]))
    mails = _automatic(r) if x < 0.45 else _reused(r) if x < 0.6 else _orphaned(r) if x < 0.7 else _contents(r)
    numbers = [*range(1, len(mails) + 1)]
    r.shuffle(numbers)
    if r.random() < 0.1:
        mails[:2] = [mail._replace(twin="t0") for mail in mails[:2]]
    return [
        mail._replace(id=number, own=mail.own or f"i{j}")
        for j, (mail, number) in enumerate(zip(mails, numbers, strict=True), 1)
    ]


def _automatic(r: Random) -> list[Mail]:
    """Mail of many senders and subjects cites an id that nobody has; then perhaps somebody has it after all; then more of it."""
    mails = []
    for j in range(r.choice([3, 3, 4])):
        cites = ("bogus", r.choice(["ghost0", "ghost1"])) if r.random() < 0.4 else ("bogus",)
        quotes = frozenset([r.randrange(2)]) if r.random() < 0.2 else frozenset[int]()
        mails.append(Mail(0, "", cites, sender=j % 3, subject=j % 3, quotes=quotes))
    for _ in range(r.choice([0, 0, 1, 2])):
        cited = r.choice(["ghost0", "ghost1", "i1", "i2", "i3", "bogus"])
        mails.append(Mail(0, "", (cited,), sender=r.randrange(3), subject=r.randrange(3)))
    for _ in range(r.choice([0, 1, 1, 2])):
        text = frozenset([r.randrange(2)]) if r.random() < 0.2 else frozenset[int]()
        mails.append(Mail(0, "bogus", subject=r.randrange(2), text=text))
    for _ in range(r.choice([0, 1, 1, 2])):
        cites = ("bogus", "ghost0") if r.random() < 0.3 else ("bogus",)
        mails.append(Mail(0, "", cites, sender=r.randrange(3), subject=r.randrange(3)))
    return mails


def _reused(r: Random) -> list[Mail]:
    """One id on mails of one or two subjects, and replies to it."""
    mails = []
    for _ in range(r.choice([2, 2, 3])):
        text = frozenset([0]) if r.random() < 0.4 else frozenset[int]()
        mails.append(Mail(0, "reused", subject=r.randrange(2), text=text))
    for _ in range(r.choice([1, 1, 2])):
        cites = ("reused", "ghost0") if r.random() < 0.4 else ("reused",)
        quotes = frozenset([0]) if r.random() < 0.5 else frozenset[int]()
        mails.append(Mail(0, "", cites, subject=r.randrange(2), quotes=quotes))
    if r.random() < 0.6:
        mails.append(Mail(0, "", ("ghost0",)))
    if r.random() < 0.5:
        mails.append(Mail(0, "", text=frozenset([0])))
    return mails


def _orphaned(r: Random) -> list[Mail]:
    """A reply's parent loses its id to another mail, so that the reply asks anew; then another that it cites may come after all."""
    mails = [Mail(0, "reused"), Mail(0, "", text=frozenset([0]))]
    mails += [Mail(0, "", ("ghost0", "reused"), quotes=frozenset([0])) for _ in range(r.choice([1, 1, 2]))]
    mails.append(Mail(0, "reused", subject=1))
    mails.append(Mail(0, "ghost0") if r.random() < 0.7 else Mail(0, "", text=frozenset([0])))
    return mails


def _contents(r: Random) -> list[Mail]:
    """Owners of texts, askers for them, replies to each, perhaps a real parent and another that has its id, a better owner."""
    mails = [Mail(0, "", text=_some(r, 3, [1, 2]), sender=r.randrange(2)) for _ in range(r.choice([1, 2, 2, 3]))]
    for _ in range(r.choice([1, 1, 2])):
        cites = ("ghost0",) if r.random() < 0.5 else ()
        names = ((0, 0),) if r.random() < 0.3 else ()
        reply = r.random() < 0.2
        mails.append(Mail(0, "", cites, quotes=_some(r, 3, [1, 2]), names=names, sender=2, minute=1, reply=reply))
    replied = r.choices(["ghost0", "i1", "i2", "i3"], k=r.choice([0, 1, 2]))
    mails += [Mail(0, "", (cited,), sender=2, minute=1) for cited in replied]
    if r.random() < 0.4:
        mails.append(Mail(0, "ghost0", sender=2, minute=1))
    if r.random() < 0.3:
        mails.append(Mail(0, "ghost0", subject=1, sender=2, minute=1))
    if r.random() < 0.3:
        mails.append(Mail(0, "", text=_some(r, 3, [1, 2])))
    return mails


# ------------------------------------------------------------------------------------------------ do they reach the rules?
def _rules_met(mails: Sequence[Mail]) -> Iterator[str]:
    """The names of the rules that a set meets, seen from the whole of it."""
    everything = [stated(mail) for mail in mails]
    items = key_items(everything)
    yield from ("dead id that nobody has" for i in items.values() if is_dead(i) and not i.owners)
    yield from ("dead id of two mails" for i in items.values() if is_dead(i) and i.owners)
    yield from ("id of two mails, alive" for n in Counter(m.own for m in mails).values() if n > 1)
    one = derive(everything, choose=best)[1]
    more = derive(everything, choose=several)[1]
    yield from ("soft link" for targets in one.values() if targets)
    yield from ("several soft links" for targets in more.values() if len(targets) > 1)
    askers = [s for s in everything if is_asking(s, items)]
    yield from ("asker without a parent" for _ in askers)
    yield from ("ask withdrawn" for s in everything if s.asks and s not in askers)
    owners = Counter(clue for s in everything for clue in s.owns)
    yield from ("common clue that is asked" for s in askers for ask in s.asks if owners[ask.clue] >= 3)
    yield from ("twin" for n in Counter(m.twin for m in mails if m.twin).values() if n > 1)
    yield from ("guid" for m in mails if m.guid)


def test_the_sets_meet_every_rule_often() -> None:
    met: Counter[str] = Counter()
    r = Random(1)
    with low_thresholds():
        for _ in range(600):
            met.update(set(_rules_met(focused(r))))
    assert len(met) == 10
    assert min(met.values()) >= 5, met


def test_a_wrong_store_is_told_from_a_right_one() -> None:
    """The check itself: each thing it looks at, broken by hand, is found."""
    with low_thresholds():
        mails = [stated(Mail(1, "a", text=frozenset([1]))), stated(Mail(2, "b", ("ghost",), quotes=frozenset([1])))]
        for damage in _DAMAGE:
            store = MemoryThreads()
            weave(store, mails)
            drain(store, best)
            assert wrong(store, mails, best) == []
            damage(store)
            assert wrong(store, mails, best), damage


_ONE, _TWO, _GHOST = message_node(id_of(1)), message_node(id_of(2)), key_name("id", "ghost")
_DAMAGE: list[Callable[[MemoryThreads], object]] = [
    lambda store: store.pool.update({_TWO: store.pool[_TWO]._replace(conv=_TWO)}),
    lambda store: store.pool.update({_GHOST: store.pool[_GHOST]._replace(conv=_GHOST)}),
    lambda store: store.pool.update({_GHOST: store.pool[_GHOST]._replace(dead=True)}),
    lambda store: store.back[_GHOST].clear(),
    lambda store: store.ask_rows.clear(),
    lambda store: store.clue_items.update({name: i._replace(asked=False) for name, i in store.clue_items.items()}),
    lambda store: store.key_items.update({name: i._replace(asked=False) for name, i in store.key_items.items()}),
    lambda store: store.draw([Soft(id_of(2), id_of(1), False)]),
    lambda store: store.mark([id_of(1)]),
]


@pytest.mark.parametrize("choose", [best, several])
def test_a_decision_reads_only_clues_and_their_owners(choose: Choose) -> None:
    """The ways to decide used here are pure: else a difference would be theirs."""
    r = Random(2)
    with low_thresholds():
        for _ in range(100):
            mails = [stated(mail) for mail in focused(r)]
            want = derive(mails, choose=choose)
            r.shuffle(mails)
            assert derive(mails, choose=choose) == want
