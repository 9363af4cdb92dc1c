"""The rule of hand edits: which side a message is on, which of its links count, which are added, and what an edit is made of."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailloom.mail.model import MessageId
from mailloom.ports import Ask, Edit, Link, Soft, Stated, Target, UserError
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.batch import clue_items, derive
from mailloom.thread.editing import join, split, take_back
from mailloom.thread.edits import Hand, chosen, places_of, seen
from mailloom.thread.keys import key_name, message_node, short_hash


def m(number: int) -> MessageId:
    return MessageId(number.to_bytes(16, "big"))


def key(number: int) -> bytes:
    return key_name("id", f"{number}@example.org")


def says(
    number: int,
    *refs: int,
    guid: str = "",
    begins: bool = False,
    twin: str = "",
    owns: str = "",
    asks: Sequence[str] = (),
    own: int | None = None,
) -> Stated:
    """A mail that answers the last of `refs`."""
    links = [Link("message-id", key(own or number), True, f"{own or number}@example.org")]
    if refs:
        links.append(Link("in-reply-to", key(refs[-1]), False, f"{refs[-1]}@example.org"))
        links += [Link("references", key(ref), False, f"{ref}@example.org") for ref in refs]
    if guid:
        links.append(
            Link("thread-index", key_name("guid", guid), begins, "01" + "0" * 42 + ("" if begins else "0" * 10))
        )
    if twin:
        links.append(Link("twin", key_name("twin", twin), True, twin))
    return Stated(
        message=m(number),
        subject=short_hash("subject", "s"),
        people=(short_hash("person", "ann"),),
        when=number,
        links=tuple(links),
        owns=(short_hash("text", owns),) if owns else (),
        asks=tuple(Ask("text", short_hash("text", ask), ask) for ask in asks),
    )


def last(asker: Stated, clues: object, owners: object) -> tuple[Target, ...]:
    """Everybody who owns what is asked for may be the one; the latest is."""
    found = sorted({o for a in asker.asks for o in clues[a.clue].owners} & owners.keys())  # type: ignore[index,attr-defined]
    return (Target(found[-1], "text", 1, ""),) if found else ()


def numbers(names: frozenset[bytes]) -> list[int]:
    return sorted(int.from_bytes(name[1:]) for name in names if name[0] == 0)


def groups(everything: Sequence[Stated], *edits: Edit) -> list[list[int]]:
    numbered = [edit._replace(number=n) for n, edit in enumerate(edits, 1)]
    by: dict[MessageId, list[int]] = {}
    for message, conversation in derive(everything, choose=last, edits=numbered)[0].items():
        by.setdefault(conversation, []).append(int.from_bytes(message))
    return sorted(sorted(group) for group in by.values())


def cut(number: int, everything: Sequence[Stated], soft: Sequence[Soft] = (), hand: Hand | None = None) -> Edit:
    return split(m(number), everything, soft, hand or Hand(), at=0)


TALK = [says(1), says(2, 1), says(3, 1, 2), says(4, 1), says(5, 1, 2, 3)]


# ------------------------------------------------------------------------------------------------ what is split off
def test_a_message_goes_with_what_answers_it() -> None:
    edit = cut(2, TALK)
    assert (numbers(edit.inside), numbers(edit.outside)) == ([2, 3, 5], [1, 4])
    assert edit.inside - {message_node(m(n)) for n in (2, 3, 5)} == {key(2), key(3), key(5)}
    assert groups(TALK, edit) == [[1, 4], [2, 3, 5]]


def test_one_without_answers_goes_alone() -> None:
    assert groups(TALK, cut(5, TALK)) == [[1, 2, 3, 4], [5]]


@pytest.mark.parametrize(
    "late",
    [says(9, 1, 2), says(9, 1, 2, 3, 5), says(9, 5), says(9, 1, 8, 3)],
    ids=["to it", "to the last", "one reference only", "a missing one between"],
)
def test_a_late_answer_goes_with_what_it_answers(late: Stated) -> None:
    assert [2, 3, 5, 9] in groups([*TALK, late], cut(2, TALK))


def test_a_late_answer_to_the_rest_stays_with_the_rest() -> None:
    assert groups([*TALK, says(9, 1, 4)], cut(2, TALK)) == [[1, 4, 9], [2, 3, 5]]


def test_a_late_parent_that_was_missing_does_not_bring_both_sides_together() -> None:
    """4 answers 3, which nobody has and which answered 1: when 3 comes it belongs to 1, and 4 stays on its own."""
    talk = [says(1), says(2, 1), says(4, 1, 3)]
    edit = cut(4, talk)
    assert groups([*talk, says(3, 1)], edit) == [[1, 2, 3], [4]]


def test_a_missing_one_below_is_inside() -> None:
    talk = [says(1), says(2, 1), says(4, 1, 2, 3)]
    edit = cut(2, talk)
    assert key(3) in edit.inside
    assert groups([*talk, says(3, 1, 2)], edit) == [[1], [2, 3, 4]]


def test_twins_and_copies_go_along_with_what_answers_them() -> None:
    talk = [says(1), says(2, 1, twin="t"), says(3, 1, twin="t"), says(4, 1, 3), says(5, 1, own=2), says(6, 1)]
    assert numbers(cut(2, talk).inside) == [2, 3, 4, 5]
    assert groups(talk, cut(2, talk)) == [[1, 6], [2, 3, 4, 5]]
    assert groups([*talk, says(9, twin="t")], cut(2, talk)) == [[1, 6], [2, 3, 4, 5, 9]]


def test_those_who_were_only_joined_by_a_thread_index_stay_with_the_one_that_was_split_off() -> None:
    talk = [says(1, guid="g", begins=True), says(2, guid="g"), says(3, 2, guid="g"), says(4, guid="g")]
    edit = cut(2, talk)._replace(inside=frozenset({message_node(m(n)) for n in (2, 3)} | {key(2)}))
    assert groups(talk, edit) == [[1, 4], [2, 3]]
    alone = [talk[0], talk[1], says(3, guid="g"), talk[3]]  # 3 has nothing else that leads to 2
    assert groups(alone, edit) == [[1, 4], [2, 3]]


def test_what_likely_answers_it_goes_along() -> None:
    """3 answers something that nobody has, and quotes 2."""
    talk = [says(1), says(2, 1, owns="text"), says(3, 7, asks=["text"]), says(4, 7, 3)]
    assert groups(talk) == [[1, 2, 3, 4]]
    edit = cut(2, talk, [Soft(m(3), m(2), True)])
    assert groups(talk, edit) == [[1], [2, 3, 4]]


def test_the_first_of_a_conversation_cannot_be_split_off() -> None:
    with pytest.raises(UserError, match="begins its thread"):
        cut(1, TALK)


def test_a_split_of_a_split() -> None:
    outer = cut(2, TALK)._replace(number=1)
    part = [s for s in TALK if s.message in {m(2), m(3), m(5)}]
    inner = cut(3, part, hand=Hand(places_of([outer])))
    assert groups(TALK, outer, inner) == groups(TALK, inner, outer) == [[1, 4], [2], [3, 5]]
    assert groups([*TALK, says(9, 1, 2, 3, 5)], outer, inner) == [[1, 4], [2], [3, 5, 9]]


def test_a_split_around_a_split() -> None:
    inner = cut(3, TALK)._replace(number=1)
    rest = [s for s in TALK if s.message not in {m(3), m(5)}]
    outer = cut(2, rest, hand=Hand(places_of([inner])))
    assert groups([*TALK, says(9, 1, 2, 3)], inner, outer) == [[1, 4], [2], [3, 5, 9]]


# ------------------------------------------------------------------------------------------------ soft links
def test_no_soft_link_goes_through_a_wall() -> None:
    talk = [says(1, owns="text"), says(2, asks=["text"]), says(3, 2)]
    soft = [Soft(m(2), m(1), True)]
    assert groups(talk) == [[1, 2, 3]]
    assert groups(talk, cut(2, talk, soft)) == [[1], [2, 3]]


def test_what_was_split_off_does_not_go_on_to_the_next_best() -> None:
    talk = [says(1, owns="text"), says(2, owns="text"), says(3, asks=["text"])]
    assert groups(talk) == [[1], [2, 3]]
    assert groups(talk, cut(3, [talk[1], talk[2]], [Soft(m(3), m(2), True)])) == [[1], [2], [3]]


def test_what_is_on_the_outside_gets_the_next_best() -> None:
    talk = [says(1, owns="text"), says(2, 1, owns="text"), says(3, 1, asks=["text"])]
    hand = Hand(places_of([cut(2, talk)]))
    known = {s.message: s for s in talk}
    assert [t.target for t in chosen(talk[2], clue_items(talk), known, hand, last)] == [m(1)]
    assert [t.target for t in chosen(talk[2], clue_items(talk), known, Hand(), last)] == [m(2)]


def test_a_message_between_two_sides_belongs_to_the_inside() -> None:
    def both(*_: object) -> tuple[Target, ...]:
        return (Target(m(1), "text", 2, ""), Target(m(2), "text", 1, ""))

    late = says(9, asks=["a", "b"])
    talk = [says(1, owns="a"), says(2, 1, owns="b"), late]
    known, hand = {s.message: s for s in talk}, Hand(places_of([cut(2, talk[:2])]))
    assert [t.target for t in chosen(late, clue_items(talk), known, hand, both)] == [m(2)]


# ------------------------------------------------------------------------------------------------ joins
def test_a_join_hangs_the_later_on_the_earlier() -> None:
    assert join(m(3), m(7), 0) == join(m(7), m(3), 0)
    edit = join(m(3), m(7), 0)
    assert (edit.message, edit.target) == (m(7), m(3))
    assert groups([says(3), says(4, 3), says(7), says(8, 7)], edit) == [[3, 4, 7, 8]]


def test_a_join_with_a_mail_that_is_not_here_waits() -> None:
    assert groups([says(7), says(8, 7)], join(m(3), m(7), 0)) == [[7, 8]]


def test_a_join_goes_through_a_wall() -> None:
    assert groups(TALK, cut(2, TALK), join(m(4), m(5), 0)) == [[1, 2, 3, 4, 5]]


def test_what_was_joined_by_hand_is_not_split_there() -> None:
    edit = join(m(1), m(7), 0)._replace(number=4)
    with pytest.raises(UserError, match="--undo 4"):
        cut(7, [says(1), says(7)], [Soft(m(7), m(1), True, "hand")], Hand(places_of([edit])))


def test_edits_that_were_taken_back_say_nothing() -> None:
    assert groups(TALK, cut(2, TALK)._replace(undone=1)) == [[1, 2, 3, 4, 5]]


def test_an_unknown_number_is_told() -> None:
    with pytest.raises(UserError, match="no edit 3"):
        take_back(MemoryThreads(), 3, at=0)


def test_a_tree_does_not_show_what_is_behind_a_wall_as_missing() -> None:
    hand = Hand(places_of([cut(2, TALK)]))
    assert [link.detail for link in seen(TALK[2], hand).links if not link.owns] == ["2@example.org", "2@example.org"]
    assert [link.owns for link in seen(TALK[1], hand).links] == [True]
    assert seen(says(7), hand) == says(7)
