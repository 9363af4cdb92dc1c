"""The tree of a conversation: parents by the strictest statement, ghosts for what is missing, no cycle, any order."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.model import MessageId
from mailloom.ports import Link, Soft, Stated
from mailloom.thread.components import topics
from mailloom.thread.keys import key_name
from mailloom.thread.tree import Twig, tree


def name(number: int) -> MessageId:
    return MessageId(number.to_bytes(16, "big"))


def says(number, own="", reply=(), references=(), index=""):
    """The evidence of message `number`, the oldest being 1."""
    links = [Link("message-id", key_name("id", own), True, own)] if own else []
    for kind, ids in (("in-reply-to", reply), ("references", references)):
        links += [Link(kind, key_name("id", one), False, one) for one in ids]
    if index:
        guid = index[12:44]
        links.append(Link("thread-index", key_name("guid", guid), len(index) == 44, index))
    return Stated(name(number), b"s" * 8, (b"p" * 8,), None, tuple(links))


def drawn(twigs, depth=0):
    """The tree as lines: a number for a message, (id) for a ghost, a dash a level."""
    lines = []
    todo = [(twig, depth) for twig in reversed(twigs)]
    while todo:
        twig, level = todo.pop()
        label = f"({twig.cited})" if twig.ghost else str(int.from_bytes(twig.message, "big"))
        lines.append("-" * level + label)
        todo += [(child, level + 1) for child in reversed(twig.children)]
    return lines


def in_every_order(stated, want, soft=()):
    for order in permutations(stated):
        assert drawn(tree(order, soft)) == want


def test_a_single_in_reply_to_is_the_parent_and_the_last_reference_is_where_there_is_none():
    in_every_order(
        [says(1, "a"), says(2, "b", ["a"], ["a"]), says(3, "c", ["b"], ["a", "b"]), says(4, "d", [], ["a", "b"])],
        ["1", "-2", "--3", "--4"],
    )


def test_in_reply_to_wins_over_references_that_end_elsewhere():
    in_every_order([says(1, "a"), says(2, "b", ["a"], ["a"]), says(3, "c", ["a"], ["a", "b"])], ["1", "-2", "-3"])


def test_two_ids_in_in_reply_to_leave_it_to_the_references():
    in_every_order([says(1, "a"), says(2, "b", ["a"]), says(3, "c", ["a", "b"], ["a", "b"])], ["1", "-2", "--3"])


def test_siblings_of_a_missing_parent_hang_on_its_ghost():
    in_every_order([says(1, "b", ["a"], ["a"]), says(2, "c", ["a"], ["a"])], ["(a)", "-1", "-2"])


def test_a_ghost_hangs_where_the_references_say():
    in_every_order([says(1, "a"), says(2, "c", ["b"], ["a", "b"])], ["1", "-(b)", "--2"])


def test_cut_references_hang_an_orphan_on_the_deepest_known_one():
    in_every_order(
        [says(1, "a"), says(2, "b", ["a"], ["a"]), says(3, "e", ["d"], ["a", "b", "d"])], ["1", "-2", "--(d)", "---3"]
    )


def test_a_cycle_is_broken_at_the_edge_of_the_latest_message():
    in_every_order([says(1, "a", ["c"]), says(2, "b", ["a"]), says(3, "c", ["b"])], ["3", "-1", "--2"])


def test_outlook_without_ids_is_placed_by_its_thread_index():
    head = "01" + "d6" * 5 + "ab" * 16
    in_every_order(
        [
            says(1, index=head),
            says(2, index=head + "11" * 5),
            says(3, index=head + "11" * 5 + "22" * 5),
            says(4, index=head + "33" * 5),
        ],
        ["1", "-2", "--3", "-4"],
    )


def test_a_missing_step_of_a_thread_index_is_skipped():
    head = "01" + "d6" * 5 + "ab" * 16
    in_every_order([says(1, index=head), says(3, index=head + "11" * 5 + "22" * 5)], ["1", "-3"])


def test_a_live_soft_link_places_mail_that_cites_nothing_and_a_dead_one_does_not():
    mails = [says(1, "a"), says(2, "b"), says(3, "c")]
    soft = [Soft(name(3), name(1), True, "subject", 1000), Soft(name(3), name(2), False, "subject", 2000)]
    in_every_order(mails, ["1", "-3", "2"], soft)


def test_the_strongest_soft_link_wins():
    soft = [Soft(name(3), name(1), True, "subject", 1000), Soft(name(3), name(2), True, "quote", 2000)]
    in_every_order([says(1, "a"), says(2, "b"), says(3, "c")], ["1", "2", "-3"], soft)


def test_variants_share_an_id_and_replies_hang_on_the_oldest():
    in_every_order([says(1, "a"), says(2, "a"), says(3, "c", ["a"])], ["1", "-3", "2"])


def test_a_message_that_cites_itself_is_a_root():
    assert drawn(tree([says(1, "a", ["a"], ["a"])])) == ["1"]


IDS = st.lists(st.sampled_from("abcdefg"), max_size=3, unique=True)


@given(st.lists(st.tuples(st.sampled_from("abcdefg") | st.just(""), IDS, IDS), max_size=7), st.randoms())
def test_any_statements_give_one_forest_in_any_order_with_each_message_once(mails, dice):
    stated = [says(n, own, reply, references) for n, (own, reply, references) in enumerate(mails, 1)]
    shuffled = dice.sample(stated, len(stated))
    twigs = tree(shuffled)
    assert drawn(twigs) == drawn(tree(stated))
    numbers = sorted(int(line.lstrip("-")) for line in drawn(twigs) if "(" not in line)
    assert numbers == list(range(1, len(mails) + 1))


def test_a_thread_of_twenty_thousand_levels_is_no_recursion():
    stated = [says(1, "1")] + [says(n, str(n), [str(n - 1)]) for n in range(2, 20_001)]
    twigs = tree(stated)
    depth = 0
    while twigs:
        (twig,) = twigs
        assert isinstance(twig, Twig)
        twigs, depth = twig.children, depth + 1
    assert depth == 20_000


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_topic_is_named_by_the_oldest_message_with_that_subject(order):
    pairs = [(name(1), b"x"), (name(2), b"y"), (name(3), b"y")]
    assert topics([pairs[n] for n in order]) == {name(1): name(1), name(2): name(2), name(3): name(2)}
