"""What differs between two groupings of the same messages, against a plain derivation of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.archive import Archive
from mailloom.archive.analyse import Analysis
from mailloom.archive.changes import LOOKED_AT, Change, Changes, Counts, Side
from mailloom.mail.model import MessageId
from mailloom.ports import Link, Soft, Stated
from mailloom.stores.sqlite import SqliteThreads, connect
from mailloom.stores.sqlite.connection import transaction
from mailloom.thread.assign import union
from mailloom.thread.components import components
from mailloom.thread.keys import key_name, message_node, short_hash
from mailloom.wire import Embedded

Groups = Mapping[MessageId, MessageId]


def number(n: int) -> MessageId:
    return MessageId(n.to_bytes(16, "big"))


def grouped(labels: Sequence[int]) -> Groups:
    """Message n is in the group labels[n], which the smallest of its messages names."""
    first: dict[int, MessageId] = {}
    for n, label in enumerate(labels):
        first.setdefault(label, number(n))
    return {number(n): first[label] for n, label in enumerate(labels)}


def compared(
    old: Groups, new: Groups, most: int | None = None
) -> tuple[Counts, list[Change], dict[bytes, list[bytes]]]:
    """Both as pools of an archive in a file, and what is said of them."""
    with TemporaryDirectory() as room:
        connection = connect(Path(room) / "archive.sqlite", write=True, create=True)
        rows = [(n, "", message, b"", b"", None, *[""] * 7, 0, 0, 0, "", 1) for n, message in enumerate(old, 1)]
        with transaction(connection):
            connection.executemany(f"insert into messages values ({', '.join('?' * 18)})", rows)
        sides = []
        for epoch, groups in enumerate((old, new)):
            threads = SqliteThreads(connection, lambda: 0, "", epoch)
            with threads.session():
                threads.enter([message_node(message) for message in groups])
                union(threads, [(message_node(message), message_node(group)) for message, group in groups.items()])
            sides.append(Side(connection, threads.scope))
        with Analysis(Archive(Embedded(Path(room), connection))) as analysis:
            changes = Changes(analysis, *sides, len(old), 0)
            result = changes.counts, list(changes.largest(most)), dict(changes.renamed())
        connection.close()
    return result


def expected(old: Groups, new: Groups) -> dict[MessageId, tuple[str, int, int, set[MessageId], set[MessageId]]]:
    """{oldest message: (kind, messages, renamed, conversations before, after)} of all changes."""
    low = components([(b"o" + old[m], b"n" + new[m]) for m in old])
    members: dict[bytes, list[MessageId]] = defaultdict(list)
    for message in old:
        members[low[b"o" + old[message]]].append(message)
    changes = {}
    for those in members.values():
        before, after = {old[m] for m in those}, {new[m] for m in those}
        if before != after:
            kind = "joined" if len(after) == 1 else "split" if len(before) == 1 else "regrouped"
            changes[min(those)] = (kind, len(those), sum(old[m] != new[m] for m in those), before, after)
        elif len(before) > 1:
            changes[min(those)] = ("regrouped", len(those), sum(old[m] != new[m] for m in those), before, after)
    return changes


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 14).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 6), min_size=n, max_size=n)] * 2)))
def test_changes_of_any_two_groupings(labels: tuple[list[int], list[int]]) -> None:
    old, new = map(grouped, labels)
    want = expected(old, new)
    counts, found, renamed = compared(old, new)
    said = {c.oldest: (c.kind, c.messages, c.renamed, c.befores, c.afters) for c in found}
    assert said == {oldest: (*sizes, len(b), len(a)) for oldest, (*sizes, b, a) in want.items()}
    for change in found:
        _, _, _, before, after = want[change.oldest]
        assert {part.thread for part in change.before} == before
        assert {part.thread for part in change.after} == after
        assert sum(part.messages for part in change.before) == change.messages
    kinds = [kind for kind, *_ in want.values()]
    assert counts == Counts(
        messages=len(old),
        restated=0,
        before=len(set(old.values())),
        after=len(set(new.values())),
        renamed=sum(old[m] != new[m] for m in old),
        joined=kinds.count("joined"),
        split=kinds.count("split"),
        regrouped=kinds.count("regrouped"),
    )
    became: dict[bytes, set[bytes]] = defaultdict(set)
    for message, group in old.items():
        became[group].add(new[message])
    assert renamed == {group: sorted(those) for group, those in became.items() if those != {group}}


def test_a_long_chain_of_overlaps_is_one_change() -> None:
    """Each conversation shares one message with the next: what hangs together is found in few steps, or this takes minutes."""
    size = 3000
    old, new = grouped([n // 2 for n in range(size)]), grouped([(n + 1) // 2 for n in range(size)])
    counts, found, _ = compared(old, new)
    assert (counts.regrouped, len(found), found[0].messages) == (1, 1, size)
    assert found[0].befores == size // 2
    assert sum(part.messages for part in found[0].before) <= LOOKED_AT


def test_the_largest_come_first() -> None:
    old = grouped([0, 1, 1, 2, 2, 2, 3])
    new = grouped([0, 1, 4, 2, 5, 6, 3])
    _, found, _ = compared(old, new)
    assert [change.renamed for change in found] == [2, 1]
    assert compared(old, new, 1)[1] == found[:1]
    assert compared(old, new, 0)[1] == []


# ------------------------------------------------------------------------------------------------ by which links
A, B, C = number(1), number(2), number(3)


def link(kind: str, value: str, *, owns: bool = False) -> Link:
    return Link(kind, key_name("id", value), owns, value)


OWNED, CITED = link("message-id", "a", owns=True), link("in-reply-to", "a")
ALSO = link("references", "a")
TWINS = link("twin", "t", owns=True)
ABSENT = link("references", "x")


@pytest.mark.parametrize(
    ("links", "soft", "dead", "joins"),
    [
        ({A: [OWNED], B: [CITED, ALSO]}, [], [], {"in-reply-to": 1}),
        ({A: [OWNED], B: [CITED], C: [ALSO]}, [], [], {"in-reply-to": 1, "references": 1}),
        ({A: [TWINS], B: [TWINS]}, [], [], {"twin": 2}),
        ({A: [ABSENT], B: [ABSENT]}, [], [], {"references": 2}),
        ({A: [OWNED], B: [CITED]}, [], [CITED.key], {}),
        ({A: [OWNED], B: []}, [Soft(B, A, True, "quote", 900)], [], {"quote": 1}),
        ({A: [OWNED], B: [CITED]}, [Soft(B, A, True, "quote", 900)], [], {"in-reply-to": 1}),
        ({A: [OWNED], B: []}, [Soft(B, A, False, "quote", 900)], [], {}),
    ],
)
def test_a_join_is_told_by_what_lives_between(
    links: dict[MessageId, list[Link]], soft: list[Soft], dead: list[bytes], joins: dict[str, int], tmp_path: Path
) -> None:
    from mailloom.archive.changes import _across

    connection = connect(tmp_path / "archive.sqlite", write=True, create=True)
    threads = SqliteThreads(connection, lambda: 0)
    with threads.session():
        threads.enter([one.key for some in links.values() for one in some])
        threads.state([Stated(m, short_hash("s", ""), (b"",), None, tuple(some)) for m, some in links.items()])
        threads.draw(soft)
    connection.executemany("update nodes set dead = 1 where name = ?", [(key,) for key in dead])
    apart = {message: bytes(message) for message in links}
    together = dict.fromkeys(links, b"one")
    assert _across(Side(connection, ""), apart) == joins
    assert _across(Side(connection, ""), together) == {}
