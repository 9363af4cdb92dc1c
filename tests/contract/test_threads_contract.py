"""What every threads store must do. A new store is one line in STORES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.model import MessageId
from mailloom.ports import (
    Ask,
    ClueItem,
    ClueNote,
    Edit,
    FeedEntry,
    Fenced,
    KeyItem,
    KeyNote,
    Link,
    Node,
    Place,
    Soft,
    Stamp,
    Stated,
    Threads,
    Tie,
)
from mailloom.stores.memory import MemoryThreads
from mailloom.stores.sqlite.connection import connect
from mailloom.stores.sqlite.threads import SqliteThreads
from mailloom.thread.batch import derive
from mailloom.thread.keys import (
    MAX_CITERS,
    MAX_OWNER_SUBJECTS,
    MAX_OWNERS,
    key_name,
    message_node,
    short_hash,
)
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

STORES: dict[str, Callable[[Path], Threads]] = {
    "memory": lambda _: MemoryThreads(),
    "sqlite": lambda folder: SqliteThreads(connect(folder / "archive.sqlite", write=True, create=True), lambda: 0),
}


@pytest.fixture(params=STORES)
def threads(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Threads]:
    """An empty store, inside a session."""
    store = STORES[request.param](tmp_path)
    with store.session():
        yield store


@pytest.fixture(params=STORES)
def resting(request: pytest.FixtureRequest, tmp_path: Path) -> Threads:
    """An empty store outside of any session."""
    return STORES[request.param](tmp_path)


ONE, TWO, THREE = (MessageId(bytes(15) + bytes([n])) for n in (1, 2, 3))
NODE = message_node(ONE)
KEY, OTHER = key_name("id", "a@example.org"), key_name("id", "b@example.org")
CLUE = short_hash("subject", "lunch")


def word(text: str) -> bytes:
    return short_hash("word", text)


def full_statement(message: MessageId, subject: str = "lunch") -> Stated:
    return Stated(
        message=message,
        subject=word(subject),
        people=(word("ann"), word("bob")),
        when=1_700_000_000_000,
        links=(Link("message-id", KEY, True, "a@example.org"), Link("references", OTHER, False, "b@example.org", 900)),
        owns=(CLUE,),
        asks=(Ask("subject", CLUE, "lunch \N{FORK AND KNIFE}", 700),),
    )


# ------------------------------------------------------------------------------------------------ pools
def test_a_node_is_its_own_parent_at_first(threads: Threads) -> None:
    threads.enter([NODE, KEY])
    found = dict(threads.nodes([NODE, KEY, OTHER]))
    assert found.pop(OTHER, Node(OTHER)) == Node(OTHER), "never entered: left out, or its own parent"
    assert found == {NODE: Node(NODE), KEY: Node(KEY)}


def test_entering_again_changes_nothing(threads: Threads) -> None:
    threads.enter([NODE, KEY])
    threads.swing([(KEY, KEY, NODE)])
    threads.stamp([Stamp(KEY, conv=NODE, dead=True)])
    threads.enter([KEY, NODE])
    assert threads.nodes([KEY])[KEY] == Node(NODE, NODE, True)


def test_a_swing_is_a_compare_and_set(threads: Threads) -> None:
    threads.enter([NODE, KEY, OTHER])
    assert list(threads.swing([(OTHER, OTHER, KEY), (KEY, NODE, NODE), (OTHER, OTHER, NODE)])) == [True, False, False]
    assert threads.nodes([KEY, OTHER]) == {KEY: Node(KEY), OTHER: Node(KEY)}
    assert list(threads.swing([(OTHER, KEY, NODE)])) == [True]
    assert threads.nodes([OTHER])[OTHER].parent == NODE


def test_a_tie_hangs_a_key_and_notes_it_or_does_neither(threads: Threads) -> None:
    threads.enter([NODE, KEY, OTHER], fresh=[KEY])
    threads.note([KeyNote(OTHER, asked=True)])
    threads.swing([(OTHER, OTHER, NODE)])
    notes = [KeyNote(KEY, owner=word("s")), KeyNote(KEY, citer=(word("ann"), word("t")))]
    owned = KeyItem(frozenset({word("s")}), frozenset({word("ann")}), frozenset({word("t")}))
    late = Tie(OTHER, message_node(TWO), [KeyNote(OTHER, owner=word("s"))])
    assert list(threads.tie([Tie(KEY, NODE, notes), late])) == [owned, None]
    assert dict(threads.keys([KEY, OTHER])) == {KEY: owned, OTHER: KeyItem(asked=True)}
    assert threads.nodes([KEY, OTHER]) == {KEY: Node(NODE), OTHER: Node(NODE)}


def test_a_tie_keeps_what_was_there_before(threads: Threads) -> None:
    threads.enter([NODE, KEY])
    threads.note([KeyNote(KEY, asked=True)])
    threads.stamp([Stamp(KEY, conv=KEY, dead=True)])
    threads.enter([NODE, KEY], fresh=[KEY])
    assert list(threads.tie([Tie(KEY, NODE)])) == [KeyItem(asked=True)]
    assert threads.look([KEY]) == {KEY: Node(NODE, KEY, True)}
    assert list(threads.tie([Tie(KEY, NODE)])) == [None]


def test_a_look_sees_what_was_written(threads: Threads) -> None:
    threads.enter([NODE, KEY], fresh=[KEY])
    threads.note([KeyNote(KEY, asked=True)])
    threads.swing([(KEY, KEY, NODE)])
    assert threads.look([NODE, KEY]) == {NODE: Node(NODE), KEY: Node(NODE)}


def test_fresh_names_may_be_there(threads: Threads) -> None:
    threads.enter([NODE, KEY])
    threads.swing([(KEY, KEY, NODE)])
    threads.enter([NODE, KEY], fresh=[KEY])
    assert list(threads.swing([(KEY, KEY, NODE)])) == [False]
    assert threads.look([KEY]) == {KEY: Node(NODE)}


def test_a_swing_leaves_conv_and_dead(threads: Threads) -> None:
    threads.enter([NODE, KEY])
    threads.stamp([Stamp(KEY, conv=KEY, dead=True)])
    threads.swing([(KEY, KEY, NODE)])
    assert threads.nodes([KEY])[KEY] == Node(NODE, KEY, True)


@pytest.mark.parametrize(
    ("stamp", "after"),
    [
        (Stamp(KEY), Node(KEY, OTHER, True)),
        (Stamp(KEY, conv=NODE), Node(KEY, NODE, True)),
        (Stamp(KEY, conv=b""), Node(KEY, None, True)),
        (Stamp(KEY, dead=False), Node(KEY, OTHER, False)),
        (Stamp(KEY, conv=b"", dead=False), Node(KEY, None, False)),
    ],
)
def test_a_stamp_sets_what_it_names_and_leaves_the_rest(threads: Threads, stamp: Stamp, after: Node) -> None:
    threads.enter([KEY, OTHER])
    threads.stamp([Stamp(KEY, conv=OTHER, dead=True)])
    threads.stamp([stamp])
    assert threads.nodes([KEY, OTHER]) == {KEY: after, OTHER: Node(OTHER)}


# ------------------------------------------------------------------------------------------------ evidence
def test_what_was_stated_comes_back_whole(threads: Threads) -> None:
    bare = Stated(TWO, word(""), (word(""),), None, ())
    threads.enter([KEY, OTHER])
    threads.state([full_statement(ONE), bare])
    assert threads.stated([ONE, TWO, THREE]) == {ONE: full_statement(ONE), TWO: bare}


def test_messages_are_found_by_the_keys_that_they_own_and_cite(threads: Threads) -> None:
    threads.enter([KEY, OTHER])
    threads.state([full_statement(ONE), full_statement(TWO)])
    threads.state([full_statement(ONE)])
    found = threads.linked([KEY, OTHER, key_name("id", "nobody")])
    assert {key: sorted(messages) for key, messages in found.items() if messages} == {
        KEY: [ONE, TWO],
        OTHER: [ONE, TWO],
    }


# ------------------------------------------------------------------------------------------------ key items
def test_a_note_tells_the_item_before_and_after(threads: Threads) -> None:
    threads.enter([KEY])
    notes = [KeyNote(KEY, owner=word("s")), KeyNote(KEY, citer=(word("ann"), word("t"))), KeyNote(KEY, asked=True)]
    first = KeyItem(frozenset({word("s")}))
    second = KeyItem(frozenset({word("s")}), frozenset({word("ann")}), frozenset({word("t")}))
    third = second._replace(asked=True)
    assert list(threads.note(notes)) == [(KeyItem(), first), (first, second), (second, third)]
    assert list(threads.note(notes[:1])) == [(third, third)]
    assert dict(threads.keys([KEY])) == {KEY: third}


def test_an_unknown_key_has_no_item_or_an_empty_one(threads: Threads) -> None:
    threads.enter([KEY])
    assert threads.keys([KEY, OTHER]).get(KEY, KeyItem()) == KeyItem()
    assert OTHER not in threads.keys([KEY, OTHER])


def test_the_lists_of_a_key_are_capped(threads: Threads) -> None:
    threads.enter([KEY])
    threads.note([KeyNote(KEY, citer=(word(f"a{n}"), word(f"s{n % 5}"))) for n in range(20)])
    threads.note([KeyNote(KEY, owner=word(f"s{n}")) for n in range(20)])
    item = threads.keys([KEY])[KEY]
    assert (len(item.owners), len(item.senders), len(item.subjects)) == (MAX_OWNER_SUBJECTS, MAX_CITERS, 5)


def test_items_and_nodes_of_a_key_do_not_disturb_each_other(threads: Threads) -> None:
    threads.enter([KEY, NODE])
    threads.note([KeyNote(KEY, owner=word("s"), asked=True)])
    threads.swing([(KEY, KEY, NODE)])
    threads.stamp([Stamp(KEY, dead=True)])
    threads.note([KeyNote(KEY, owner=word("t"))])
    assert threads.keys([KEY])[KEY] == KeyItem(frozenset({word("s"), word("t")}), asked=True)
    assert threads.nodes([KEY])[KEY] == Node(NODE, None, True)


# ------------------------------------------------------------------------------------------------ clues
def test_a_hint_tells_the_item_before_and_after(threads: Threads) -> None:
    hints = [ClueNote(CLUE, owner=ONE), ClueNote(CLUE, asked=True), ClueNote(CLUE, owner=ONE)]
    owned, asked = ClueItem(frozenset({ONE})), ClueItem(frozenset({ONE}), asked=True)
    assert list(threads.hint(hints)) == [(ClueItem(), owned), (owned, asked), (asked, asked)]
    assert dict(threads.clues([CLUE, short_hash("subject", "dinner")])) == {CLUE: asked}


def test_a_common_clue_takes_no_more_owners(threads: Threads) -> None:
    threads.hint([ClueNote(CLUE, owner=MessageId(bytes(15) + bytes([n]))) for n in range(20)])
    assert len(threads.clues([CLUE])[CLUE].owners) == MAX_OWNERS
    before, after = threads.hint([ClueNote(CLUE, owner=THREE, asked=True)])[0]
    assert before.owners == after.owners
    assert after.asked


def test_asks_are_rows_that_can_be_withdrawn(threads: Threads) -> None:
    dinner = short_hash("subject", "dinner")
    threads.ask([(CLUE, ONE), (CLUE, TWO), (dinner, ONE), (CLUE, ONE)])
    threads.ask([(CLUE, ONE), (dinner, THREE)], withdraw=True)
    found = threads.asking([CLUE, dinner, short_hash("subject", "tea")])
    assert {clue: set(messages) for clue, messages in found.items() if messages} == {CLUE: {TWO}, dinner: {ONE}}


def test_any_number_may_ask(threads: Threads) -> None:
    many = [MessageId(n.to_bytes(16, "big")) for n in range(1000)]
    threads.ask((CLUE, m) for m in many)
    assert sorted(threads.asking([CLUE])[CLUE]) == many


# ------------------------------------------------------------------------------------------------ soft links
def test_soft_links_are_found_from_both_ends(threads: Threads) -> None:
    rows = [Soft(TWO, ONE, True, "subject", 1000, "lunch"), Soft(THREE, ONE, False)]
    threads.draw(rows)
    assert sorted(threads.drawn([ONE])) == rows
    assert list(threads.drawn([TWO])) == rows[:1]
    assert sorted(threads.drawn([ONE, TWO, THREE])) == rows, "a row between two of them comes once"


def test_drawing_again_changes_the_row(threads: Threads) -> None:
    threads.draw([Soft(TWO, ONE, False)])
    threads.draw([Soft(TWO, ONE, True, "subject", 900, "why")])
    assert list(threads.drawn([ONE])) == [Soft(TWO, ONE, True, "subject", 900, "why")]


# ------------------------------------------------------------------------------------------------ hand edits
SPLIT = Edit(1, "split", ONE, ONE, frozenset({NODE, KEY}), frozenset({message_node(TWO), OTHER}), 1_700_000_000_000)
JOIN = Edit(2, "join", THREE, ONE, frozenset({message_node(THREE)}), frozenset({NODE}), 5)


def test_an_edit_comes_back_whole_and_by_its_names(threads: Threads) -> None:
    assert threads.put(SPLIT)
    assert threads.put(JOIN)
    assert list(threads.edits()) == [SPLIT, JOIN]
    places = threads.places([NODE, OTHER, key_name("id", "nobody")])
    assert set(places) == {
        Place(NODE, 1, "split", True, ONE, ONE),
        Place(NODE, 2, "join", False, THREE, ONE),
        Place(OTHER, 1, "split", False, ONE, ONE),
    }
    assert len(places) == 3
    assert not threads.places([])


def test_a_number_is_given_once(threads: Threads) -> None:
    assert threads.put(SPLIT)
    assert not threads.put(JOIN._replace(number=1))
    assert threads.put(SPLIT), "the same again is the same"
    assert list(threads.edits()) == [SPLIT]
    assert not threads.places([message_node(THREE)])


def test_an_edit_that_was_taken_back_stays_and_says_nothing(threads: Threads) -> None:
    threads.put(SPLIT)
    threads.put(JOIN)
    threads.undo(1, 77)
    threads.undo(1, 99)
    assert list(threads.edits()) == [SPLIT._replace(undone=77), JOIN]
    assert {place.number for place in threads.places([NODE, KEY, OTHER])} == {2}


# ------------------------------------------------------------------------------------------------ marks and the lease
def test_the_oldest_marks_come_first(threads: Threads) -> None:
    threads.mark([THREE])
    threads.mark([ONE])
    threads.mark([TWO])
    assert list(threads.dirty(2)) == [THREE, ONE]
    assert set(threads.dirty(9)) == {ONE, TWO, THREE}


def test_a_mark_made_again_outlives_the_taking_away_of_the_first(threads: Threads) -> None:
    threads.mark([ONE, TWO])
    taken = threads.dirty(9)
    threads.mark([ONE])
    threads.unmark(taken)
    assert list(threads.dirty(9)) == [ONE]
    threads.unmark(threads.dirty(9))
    assert not threads.dirty(9)


def test_a_mark_taken_away_and_made_again_has_another_version(threads: Threads) -> None:
    threads.mark([ONE])
    stale = threads.dirty(9)
    threads.unmark(stale)
    threads.mark([ONE])
    threads.unmark(stale)
    assert list(threads.dirty(9)) == [ONE]


WRITES: dict[str, Callable[[Threads], object]] = {
    "enter": lambda t: t.enter([OTHER]),
    "swing": lambda t: t.swing([(KEY, KEY, NODE)]),
    "tie": lambda t: t.tie([Tie(KEY, NODE, [KeyNote(KEY, asked=True)])]),
    "stamp": lambda t: t.stamp([Stamp(KEY, dead=True)]),
    "state": lambda t: t.state([full_statement(ONE)]),
    "note": lambda t: t.note([KeyNote(KEY, asked=True)]),
    "ask": lambda t: t.ask([(CLUE, ONE)]),
    "withdraw": lambda t: t.ask([(CLUE, TWO)], withdraw=True),
    "hint": lambda t: t.hint([ClueNote(CLUE, owner=ONE)]),
    "draw": lambda t: t.draw([Soft(TWO, ONE, True)]),
    "mark": lambda t: t.mark([ONE]),
    "unmark": lambda t: t.unmark(t.dirty(9)),
    "put": lambda t: t.put(SPLIT),
    "undo": lambda t: t.undo(2, 7),
    "tell": lambda t: t.tell([FeedEntry(TWO, (ONE,), "joined")]),
}


@pytest.mark.parametrize("write", WRITES)
def test_who_lost_the_lease_writes_nothing(resting: Threads, write: str) -> None:
    with resting.session():
        resting.enter([NODE, KEY])
        resting.ask([(CLUE, TWO)])
        resting.mark([TWO])
        resting.put(JOIN)
    first = resting.lease()
    second = resting.lease()
    with pytest.raises(Fenced), first.session():
        WRITES[write](first)
    with second.session():
        found = dict(second.nodes([KEY, OTHER]))
        assert found.pop(OTHER, Node(OTHER)) == Node(OTHER)
        assert found == {KEY: Node(KEY)}
        assert list(second.dirty(9)) == [TWO]
        assert set(second.asking([CLUE])[CLUE]) == {TWO}
        assert not second.stated([ONE])
        assert not second.clues([CLUE])
        assert not second.drawn([ONE])
        assert list(second.edits()) == [JOIN]
        WRITES[write](second)


def test_workers_need_no_lease(resting: Threads) -> None:
    resting.lease()
    with resting.session():
        resting.enter([NODE])
        assert NODE in resting.nodes([NODE])


# ------------------------------------------------------------------------------------------------ the whole of it
mails = st.lists(
    st.tuples(st.integers(0, 5), st.lists(st.integers(0, 5), max_size=3), st.integers(0, 2), st.booleans()), max_size=8
)


def of_numbers(number: int, own: int, cites: list[int], subject: int, *, reply: bool) -> Stated:
    links = [Link("message-id", key_name("id", f"{own}"), True, f"{own}")]
    links += [Link("references", key_name("id", f"{c}"), False, f"{c}") for c in dict.fromkeys(cites) if c != own]
    clue = short_hash("subject", f"{subject}")
    return Stated(
        message=MessageId(number.to_bytes(16, "big")),
        subject=word(f"{subject}"),
        people=(word("ann"),),
        when=number,
        links=tuple(links),
        owns=() if reply else (clue,),
        asks=(Ask("subject", clue, f"{subject}"),) if reply else (),
    )


@pytest.mark.parametrize("store", STORES)
@given(mails=mails, data=st.data())
def test_threads_in_any_store_are_those_of_everything_at_once(
    store: str,
    mails: list[tuple[int, list[int], int, bool]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    threads = STORES[store](tmp_path_factory.mktemp("threads"))
    everything = [of_numbers(n, own, cites, subject, reply=re) for n, (own, cites, subject, re) in enumerate(mails, 1)]
    for stated in data.draw(st.permutations(everything)):
        with threads.session():
            weave(threads, [stated])
        if data.draw(st.booleans()):
            settle(threads)
    settle(threads)
    conversations, targets = derive(everything)
    with threads.session():
        for message, conversation in conversations.items():
            name = message_node(message)
            while (parent := threads.nodes([name])[name].parent) != name:
                name = parent
            own = threads.nodes([message_node(message)])[message_node(message)]
            assert (own.conv or name) == message_node(conversation)
            live = {row.target for row in threads.drawn([message]) if row.source == message and row.live}
            assert live == {t.target for t in targets[message]}
