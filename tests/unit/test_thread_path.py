"""The shortest way between two messages goes along links that join, and exists where and only where they are one conversation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.model import MessageId
from mailloom.ports import KeyItem, Link, Soft, Stated
from mailloom.thread.batch import derive, key_items
from mailloom.thread.keys import is_dead, key_name
from mailloom.thread.path import Step, path


def name(number: int) -> MessageId:
    return MessageId(bytes([number + 1]) * 16)


def mail(number: int, *cites: str, kind: str = "references") -> Stated:
    own = f"{number}@example.org"
    links = [Link("message-id", key_name("id", own), True, own)]
    links += [Link(kind, key_name("id", one), False, one) for one in cites]
    return Stated(name(number), b"subject", (b"person",), 0, tuple(links))


def test_each_way_has_its_word() -> None:
    mails = [mail(0), mail(1, "0@example.org"), mail(2, "gone@example.org"), mail(3, "gone@example.org"), mail(4)]
    soft = [Soft(name(4), name(3), True, "text", 1000), Soft(name(2), name(1), True, "subject", 650)]
    assert path(mails, soft, (), name(4), name(0)) == [
        Step("follows", name(3)),
        Step("both cite", name(2), "gone@example.org"),
        Step("follows", name(1)),
        Step("cites", name(0)),
    ]
    assert [step.way for step in path(mails, soft, (), name(0), name(4))] == [
        "cited",
        "followed",
        "both cite",
        "followed",
    ]
    assert path(mails, [], (), name(4), name(0)) == []
    assert path(mails, [row._replace(live=False) for row in soft], (), name(4), name(0)) == []
    assert path(mails, soft, {key_name("id", "gone@example.org")}, name(4), name(0)) == []


def test_twins_versions_and_indexes() -> None:
    def with_link(number: int, kind: str, owns: bool) -> Stated:
        return mail(number)._replace(links=(Link(kind, key_name(kind, "x"), owns, "x"),))

    for kind, ways in (("twin", ("same", "")), ("message-id", ("same", "x")), ("thread-index", ("index", ""))):
        (step,) = path([with_link(0, kind, True), with_link(1, kind, True)], [], (), name(1), name(0))
        assert step == Step(ways[0], name(0), ways[1])


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from([*(f"{n}@example.org" for n in range(10)), "a@b.c", "d@e.f"]))
    )
)
def test_there_is_a_path_where_and_only_where_there_is_a_conversation(pairs: list[tuple[int, str]]) -> None:
    mails = [mail(n, *[one for number, one in pairs if number == n and one != f"{n}@example.org"]) for n in range(10)]
    threads, _ = derive(mails)
    dead = {key for key, item in key_items(mails).items() if is_dead(item or KeyItem())}
    for n in range(1, 10):
        steps = path(mails, [], dead, name(n), name(0))
        assert bool(steps) == (threads[name(n)] == threads[name(0)])
        if steps:
            assert steps[-1].message == name(0)
            assert len({step.message for step in steps}) == len(steps)
