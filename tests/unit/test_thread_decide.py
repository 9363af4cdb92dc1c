"""Which soft links live, and what everything at once makes of links: a function of the set of mail alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.model import MessageId
from mailloom.ports import Ask, ClueItem, Link, Stated, Target
from mailloom.thread.batch import clue_items, derive, key_items
from mailloom.thread.decide import ADDRESSED, NOBODY, PEOPLE, SUBJECT, decide
from mailloom.thread.keys import MAX_CITERS, MAX_OWNERS, is_dead, key_name, short_hash
from mailloom.thread.speaker import DAY_MS

LUNCH = short_hash("subject", "lunch tomorrow")
ANN, BOB, EVE = (short_hash("person", who) for who in ("ann", "bob", "eve"))


def at(day: int, people: Sequence[bytes], *, asks: bool = False, links: Sequence[Link] = (), n: int = 0) -> Stated:
    """A mail of that day with the subject in question, which it owns unless it asks for it."""
    return Stated(
        message=MessageId((day + 1).to_bytes(8, "big") + n.to_bytes(8, "big")),
        subject=short_hash("subject", "lunch tomorrow"),
        people=tuple(people),
        when=day * DAY_MS,
        links=tuple(links),
        owns=() if asks else (LUNCH,),
        asks=(Ask("subject", LUNCH, "lunch tomorrow"),) if asks else (),
        reply=asks,
    )


def chosen(asker: Stated, owners: Sequence[Stated]) -> list[MessageId]:
    by_id = {s.message: s for s in (*owners, asker)}
    return [t.target for t in decide(asker, clue_items(owners), by_id)]


def test_a_reply_joins_the_mail_of_that_subject_among_the_same_people() -> None:
    owner = at(1, [ANN, BOB])
    for people, weight, who in (
        ([BOB, ANN], SUBJECT + PEOPLE + ADDRESSED, "2 take part in both, and it goes to the one who wrote that mail"),
        ([BOB], SUBJECT + PEOPLE, "one takes part in both"),
    ):
        assert decide(at(3, people, asks=True), clue_items([owner]), {owner.message: owner}) == (
            Target(owner.message, "subject", weight, f"the same subject, 2 days later; {who}"),
        )


@pytest.mark.parametrize(
    ("asker", "owner"),
    [
        (at(3, [EVE], asks=True), at(1, [ANN, BOB])),
        (at(3, [NOBODY], asks=True), at(1, [NOBODY, BOB])),
        (at(62, [ANN], asks=True), at(1, [ANN])),
        (at(1, [ANN], asks=True), at(3, [ANN])),
        (at(3, [ANN], asks=True)._replace(when=None), at(1, [ANN])),
        (at(3, [ANN], asks=True), at(1, [ANN])._replace(when=None)),
    ],
    ids=["strangers", "two without a sender", "after 60 days", "a later mail", "undated reply", "undated beginning"],
)
def test_a_subject_alone_joins_nobody(asker: Stated, owner: Stated) -> None:
    assert chosen(asker, [owner]) == []


def test_a_twin_is_no_candidate() -> None:
    twin = Link("twin", key_name("twin", b"same"), True, "same")
    first, owner = at(1, [ANN]), at(2, [ANN], links=[twin])
    assert chosen(at(3, [ANN], asks=True, links=[twin]), [first, owner]) == [first.message]


def test_sixty_days_are_near_enough() -> None:
    owner = at(1, [ANN])
    assert chosen(at(61, [ANN], asks=True), [owner]) == [owner.message]


def test_of_equals_the_latest_is_meant() -> None:
    owners = [at(day, [ANN]) for day in (1, 4, 2)]
    assert chosen(at(5, [ANN], asks=True), owners) == [owners[1].message]


def test_a_common_clue_tells_nobody_apart() -> None:
    owners = [at(1, [ANN], n=n) for n in range(MAX_OWNERS)]
    asker = at(2, [ANN], asks=True)
    assert chosen(asker, owners[:-1]) == [owners[-2].message]
    assert chosen(asker, owners) == []


def test_an_owner_whose_evidence_is_not_here_is_left_out() -> None:
    owner = at(1, [ANN])
    assert decide(at(2, [ANN], asks=True), {LUNCH: ClueItem(frozenset({owner.message}))}, {}) == ()


# ------------------------------------------------------------------------------------------------ everything at once
def cites(key: str, *, owns: bool = False, kind: str = "references") -> Link:
    return Link(kind, key_name("id", key), owns, key)


def test_a_conversation_is_named_by_its_oldest_mail() -> None:
    mails = [at(day, [EVE], links=[cites("ghost@example.org")]) for day in (9, 3, 7)]
    assert set(derive(mails)[0].values()) == {mails[1].message}


def test_without_soft_evidence_only_headers_count() -> None:
    mails = [at(1, [ANN]), at(2, [ANN], asks=True), at(3, [EVE], links=[cites("x")]), at(4, [EVE], links=[cites("x")])]
    ids = [m.message for m in mails]
    assert derive(mails)[0] == dict(zip(ids, [ids[0], ids[0], ids[2], ids[2]], strict=True))
    assert derive(mails, soft=False) == (
        dict(zip(ids, [ids[0], ids[1], ids[2], ids[2]], strict=True)),
        dict.fromkeys(ids, ()),
    )


def test_a_reply_to_mail_that_is_here_asks_for_nothing() -> None:
    parent = at(1, [EVE], links=[cites("p", owns=True)])._replace(owns=())
    reply = at(3, [ANN], asks=True, links=[cites("p")])
    owner = at(2, [ANN])
    assert derive([parent, reply, owner])[0][reply.message] == parent.message
    assert derive([reply, owner])[0][reply.message] == owner.message, "without the parent, the subject counts"


def test_twins_join_however_many_they_are() -> None:
    """A twin key has no item: many subjects that own it can't kill it."""
    twin = Link("twin", key_name("twin", b"same"), True, "same")
    mails = [at(n, [EVE], links=[twin])._replace(subject=b"%d" % n) for n in range(20)]
    assert set(derive(mails)[0].values()) == {mails[0].message}
    assert key_items(mails) == {}


@given(
    numbers=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2), st.booleans()), max_size=12),
    data=st.data(),
)
def test_the_order_and_the_number_of_copies_don_t_count(
    numbers: list[tuple[int, int, int, bool]], data: st.DataObject
) -> None:
    mails = [
        at(day, [ANN], asks=asks, links=[cites(f"{own}", owns=True), cites(f"{cited}")])._replace(
            subject=b"%d" % subject
        )
        for day, (own, cited, subject, asks) in enumerate(numbers)
    ]
    again = data.draw(st.permutations(mails + mails[::2]))
    assert derive(again) == derive(mails)
    assert {key for key, item in key_items(again).items() if is_dead(item)} == {
        key for key, item in key_items(mails).items() if is_dead(item)
    }


def test_a_key_that_automatic_mail_cites_joins_nobody() -> None:
    mails = [
        at(n, [b"robot%d" % n], links=[cites("0000")])._replace(subject=b"report %d" % n, owns=())
        for n in range(MAX_CITERS)
    ]
    assert derive(mails)[0] == {m.message: m.message for m in mails}
    assert set(derive(mails[1:])[0].values()) == {mails[1].message}
