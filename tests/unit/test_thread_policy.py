"""Views of one conversation: whole, by subject, as Gmail documents its own; and a tree with only some of its messages."""

from __future__ import annotations

from itertools import permutations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom import cli
from mailloom.mail.model import MessageId
from mailloom.ports import Link, Stated
from mailloom.thread.keys import key_name
from mailloom.thread.policy import GMAIL_MOST, GMAIL_WEEK_MS, POLICIES, Member, Policy, pruned, split
from mailloom.thread.tree import Twig

BEGIN = 1_717_400_000_000
HOUR = 3_600_000


def member(number, subject, cites="", *, at=None, automatic=False, own=None):
    """Message `number` with id `own` (else its number), citing some ids."""
    own = str(number) if own is None else own
    links = [Link("message-id", key_name("id", own), True, own)] if own else []
    links += [Link("references", key_name("id", one), False, one) for one in cites.split()]
    when = BEGIN + number * HOUR if at is None else at
    name = MessageId(when.to_bytes(6, "big") + number.to_bytes(10, "big"))
    return Member(Stated(name, subject.encode(), (b"p" * 8,), when, tuple(links)), automatic)


def groups(members, policy):
    """The groups as lists of numbers, each named by its oldest."""
    found = split(members, policy)
    number = {m.stated.message: int.from_bytes(m.stated.message[6:], "big") for m in members}
    sorted_into = {}
    for message, first in found.items():
        sorted_into.setdefault(first, []).append(message)
    for first, some in sorted_into.items():
        assert first == min(some)
    return sorted(sorted(number[m] for m in some) for some in sorted_into.values())


TALK = [
    member(1, "lunch"),
    member(2, "lunch", "1"),
    member(3, "dinner", "1 2"),
    member(4, "dinner", "1 2 3"),
    member(5, "lunch", "1 2"),
    member(6, "lunch", own=""),  # joined by softer evidence: it cites nothing
]


@pytest.mark.parametrize(
    ("policy", "want"),
    [
        ("never", [[1, 2, 3, 4, 5, 6]]),
        ("subject", [[1, 2, 5, 6], [3, 4]]),
        ("gmail", [[1, 2, 5], [3, 4], [6]]),
    ],
)
def test_a_talk_in_which_the_subject_changes(policy, want):
    for order in list(permutations(TALK))[::7]:
        assert groups(order, policy) == want


def test_gmail_joins_two_with_one_subject_that_cite_the_same_missing_mail():
    assert groups([member(1, "x", "lost"), member(2, "x", "lost"), member(3, "y", "lost")], "gmail") == [[1, 2], [3]]


def test_gmail_breaks_off_after_a_hundred():
    long = [member(n, "x", "1" if n > 1 else "") for n in range(1, 2 * GMAIL_MOST + 2)]
    found = groups(long, "gmail")
    assert [len(group) for group in found] == [GMAIL_MOST, GMAIL_MOST, 1]
    assert found[1][0] == GMAIL_MOST + 1
    assert len(groups(long, "subject")) == 1


def test_gmail_parts_automatic_mail_by_a_week_and_people_never():
    week = [BEGIN, BEGIN + GMAIL_WEEK_MS, BEGIN + 2 * GMAIL_WEEK_MS + 1]
    robots = [member(n, "backup", "run", at=at, automatic=True) for n, at in enumerate(week)]
    assert groups(robots, "gmail") == [[0, 1], [2]]
    assert groups([m._replace(automatic=False) for m in robots], "gmail") == [[0, 1, 2]]


IDS = st.lists(st.sampled_from("1234567"), max_size=3).map(" ".join)


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), IDS, st.booleans()), min_size=1, max_size=7),
    st.sampled_from(POLICIES),
    st.randoms(),
)
def test_any_policy_parts_members_the_same_in_any_order_and_subjects_never_mix(mails, policy, dice):
    members = [member(n, subject, cites, automatic=robot) for n, (subject, cites, robot) in enumerate(mails, 1)]
    found = groups(members, policy)
    assert groups(dice.sample(members, len(members)), policy) == found
    assert sorted(n for group in found for n in group) == list(range(1, len(mails) + 1))
    if policy != "never":
        assert all(len({mails[n - 1][0] for n in group}) == 1 for group in found)
    finer = {"gmail": "subject", "subject": "never", "never": "never"}[policy]
    assert all(any(set(group) <= set(wide) for wide in groups(members, finer)) for group in found)


def test_the_command_line_offers_the_policies_that_there_are():
    (option,) = [p for p in cli.policy_option(lambda: None).__click_params__ if p.name == "policy"]
    assert tuple(option.type.choices) == POLICIES == get_args(Policy)
    assert option.envvar == "MAILLOOM_THREAD_POLICY"


# ------------------------------------------------------------------------------------------------ pruned
def drawn(twigs):
    lines = []
    todo = [(twig, 0) for twig in reversed(twigs)]
    while todo:
        twig, level = todo.pop()
        lines.append("-" * level + (twig.message.decode() if twig.message is not None else f"({twig.cited})"))
        todo += [(child, level + 1) for child in reversed(twig.children)]
    return lines


def twig(name, *children):
    one = Twig(None, name[1:-1]) if name.startswith("(") else Twig(MessageId(name.encode()), "")
    one.children = list(children)
    return one


TREE = [twig("a", twig("b", twig("(g)", twig("c"), twig("d")), twig("e")), twig("(h)", twig("(i)", twig("f"))))]


@pytest.mark.parametrize(
    ("keep", "want"),
    [
        ("abcdef", ["a", "-b", "--(g)", "---c", "---d", "--e", "-(h)", "--(i)", "---f"]),
        ("ade", ["a", "-(g)", "--d", "-e"]),
        ("ab", ["a", "-b"]),
        ("ce", ["(g)", "-c", "e"]),
        ("f", ["(h)", "-(i)", "--f"]),
        ("e", ["e"]),
        ("", []),
    ],
)
def test_what_hung_below_another_hangs_below_what_that_hung_on(keep, want):
    assert drawn(pruned(TREE, {MessageId(c.encode()) for c in keep})) == want
    assert len(drawn(TREE)) == 9, "the tree itself stays as it was"
