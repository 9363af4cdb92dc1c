"""Doctor beside workers: what somebody is in the middle of is no fault, what nobody will bring to its end is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from mailloom.archive.doctor.servers import LOOKS, Parts, misplaced
from mailloom.mail.model import MessageId
from mailloom.ports import Node, NodeName
from mailloom.thread.keys import message_node

OLD, ROOT, REPLY = (MessageId(bytes([number]) * 16) for number in (1, 2, 3))


class Stores:
    """REPLY hangs below ROOT, and ROOT just came below OLD; the rows still say ROOT."""

    def __init__(self) -> None:
        self.parents = {OLD: OLD, ROOT: OLD, REPLY: ROOT}
        self.rows = {OLD: OLD, ROOT: ROOT, REPLY: ROOT}
        self.moves: set[MessageId] = set()
        self.late: set[MessageId] = set()

    def members(self) -> Iterator[Any]:
        yield from (SimpleNamespace(message=m, conversation=c) for m, c in self.rows.items())

    def conversations(self, messages: Collection[MessageId]) -> Mapping[MessageId, MessageId]:
        return {message: self.rows[message] for message in messages}

    @contextmanager
    def session(self) -> Iterator[None]:
        yield

    def nodes(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        known = {message_node(m): Node(message_node(p)) for m, p in self.parents.items()}
        return {name: known[name] for name in names}

    def moving(self, messages: Collection[MessageId]) -> Collection[MessageId]:
        return self.moves & set(messages)

    def unfinished(self, messages: Collection[MessageId]) -> Collection[MessageId]:
        return self.late & set(messages)

    def found(self, pause: Callable[[], None] = lambda: None) -> list[MessageId]:
        all_: Any = self
        readable: Any = SimpleNamespace(reader=SimpleNamespace(whole=all_, threads=all_))
        return misplaced(Parts(readable, all_, all_, dict, None, pause=pause))


def test_rows_that_nobody_will_move_are_a_fault() -> None:
    assert Stores().found() == [ROOT, REPLY]


def test_rows_that_follow_a_root_that_gave_way_are_none() -> None:
    stores = Stores()
    stores.moves = {ROOT}
    assert stores.found() == []


def test_a_root_that_stands_in_moves_and_did_not_give_way_explains_nothing() -> None:
    """Whoever wanted to hang it below another was overtaken, and it stays on the list for as long as it is a root."""
    stores = Stores()
    stores.parents[ROOT] = ROOT
    stores.rows[REPLY] = OLD
    stores.moves = {ROOT, OLD}
    assert stores.found() == [REPLY]


def test_a_message_that_comes_again_is_none() -> None:
    stores = Stores()
    stores.late = {ROOT, REPLY}
    assert stores.found() == []


@pytest.mark.parametrize("look", range(1, LOOKS + 1))
def test_what_settle_gets_done_meanwhile_is_none(look: int) -> None:
    """It writes nodes, then rows, and notes nothing: only time tells it from a fault."""
    stores, pauses = Stores(), []

    def pause() -> None:
        pauses.append(look)
        if len(pauses) == look:
            stores.rows |= {ROOT: OLD, REPLY: OLD}

    assert stores.found(pause) == []
    assert len(pauses) == look  # and no longer than that
