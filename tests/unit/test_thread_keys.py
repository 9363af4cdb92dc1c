"""Names and items: a function of what was noted, whatever the order and the number of times."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, ClueNote, KeyItem, KeyNote, Node, Stamp
from mailloom.thread.keys import (
    MAX_CITERS,
    MAX_OWNERS,
    hinted,
    is_common,
    is_dead,
    is_owned,
    key_name,
    message_node,
    noted,
    short_hash,
    stamped,
)

KEY = key_name("id", "a@example.org")
words = st.integers(0, 12).map(lambda n: short_hash("word", str(n)))
notes = st.one_of(
    st.builds(lambda s: KeyNote(KEY, owner=s), words),
    st.builds(lambda a, s: KeyNote(KEY, citer=(a, s)), words, words),
    st.just(KeyNote(KEY, asked=True)),
)
many_citers = st.lists(st.builds(lambda a, s: KeyNote(KEY, citer=(a, s)), words, words), max_size=60)


def item_of(some: list[KeyNote]) -> KeyItem:
    return reduce(noted, some, KeyItem())


@given(some=st.lists(notes, max_size=30), more=many_citers, data=st.data())
def test_whether_a_key_is_dead_depends_on_the_set_of_notes_alone(
    some: list[KeyNote], more: list[KeyNote], data: st.DataObject
) -> None:
    """The caps keep other citers in another order; what the item says of the key is the same."""
    everything = some + more
    item = item_of(everything)
    again = item_of(
        data.draw(st.permutations(everything)) + data.draw(st.lists(st.sampled_from(everything or [KeyNote(KEY)])))
    )
    assert (is_dead(item), is_owned(item), item.asked) == (is_dead(again), is_owned(again), again.asked)
    senders = {note.citer[0] for note in everything if note.citer}
    subjects = {note.citer[1] for note in everything if note.citer}
    owners = {note.owner for note in everything if note.owner}
    full = len(senders) >= MAX_CITERS and len(subjects) >= MAX_CITERS
    assert is_dead(item) == (len(owners) >= 2 or (not owners and full))
    assert is_owned(item) == (len(owners) == 1)


def test_a_key_that_many_cite_dies_only_if_both_senders_and_subjects_are_many() -> None:
    one_sender = [KeyNote(KEY, citer=(b"ann", b"%d" % n)) for n in range(50)]
    one_subject = [KeyNote(KEY, citer=(b"%d" % n, b"lunch")) for n in range(50)]
    assert not is_dead(item_of(one_sender))
    assert not is_dead(item_of(one_subject))
    assert is_dead(item_of(one_sender + one_subject))
    assert not is_dead(item_of([*one_sender, *one_subject, KeyNote(KEY, owner=b"lunch")]))


@given(owners=st.lists(st.integers(0, 30), max_size=60), data=st.data())
def test_whether_a_clue_is_common_depends_on_its_owners_alone(owners: list[int], data: st.DataObject) -> None:
    clue = short_hash("subject", "lunch")

    def item(order: list[int]) -> ClueItem:
        return reduce(hinted, [ClueNote(clue, owner=MessageId(n.to_bytes(16, "big"))) for n in order], ClueItem())

    first, second = item(owners), item(data.draw(st.permutations(owners)))
    assert is_common(first) == is_common(second) == (len(set(owners)) >= MAX_OWNERS)
    if not is_common(first):
        assert first == second


def test_no_two_kinds_or_values_share_a_name() -> None:
    names = {
        key_name(kind, value) for kind in ("id", "guid", "twin") for value in ("a", "b", "", "é", "\udcff", b"a\0b")
    }
    assert len(names) == 18
    assert key_name("id", "é") == key_name("id", "é".encode())


def test_messages_sort_before_keys() -> None:
    assert message_node(b"\xff" * 16) < key_name("id", "a@example.org")
    assert (len(message_node(bytes(16))), len(KEY), len(short_hash("x", "y"))) == (17, 17, 8)


def test_a_stamp_leaves_what_it_does_not_name() -> None:
    node = Node(KEY, conv=b"c", dead=True)
    assert stamped(node, Stamp(KEY)) == node
    assert stamped(node, Stamp(KEY, conv=b"")) == node._replace(conv=None)
    assert stamped(node, Stamp(KEY, dead=False)) == node._replace(dead=False)
