"""Nodes and items as bytes: what is packed comes back, and the same state is the same bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.model import MessageId
from mailloom.ports import ClueItem, KeyItem, Node
from mailloom.stores.dynamodb.items import State, pack, pack_clue, unpack, unpack_clue
from mailloom.stores.dynamodb.tables import scope_key

NAME = b"\x01" + b"k" * 16
names = st.binary(min_size=17, max_size=17)
hashes = st.binary(min_size=8, max_size=8)
states = st.builds(
    State,
    st.builds(Node, st.just(NAME) | names, st.none() | names, st.booleans()),
    st.builds(
        KeyItem,
        st.frozensets(hashes, max_size=2),
        st.frozensets(hashes, max_size=8),
        st.frozensets(hashes, max_size=8),
        st.booleans(),
    ),
)
clues = st.builds(
    ClueItem,
    st.frozensets(st.binary(min_size=16, max_size=16).map(MessageId), max_size=13),
    st.booleans(),
)


@given(state=states)
def test_a_node_comes_back(state: State) -> None:
    data = pack(NAME, state)
    assert data
    assert unpack(NAME, data) == state
    assert pack(NAME, unpack(NAME, data)) == data


@given(item=clues)
def test_a_clue_comes_back(item: ClueItem) -> None:
    data = pack_clue(item)
    assert data
    assert unpack_clue(data) == item
    assert pack_clue(unpack_clue(data)) == data


def test_nothing_is_what_nobody_wrote() -> None:
    assert unpack(NAME, b"") == State(Node(NAME), KeyItem())
    assert unpack_clue(b"") == ClueItem()


def test_scopes_are_apart() -> None:
    assert len({scope_key(scope) for scope in ("", "a", "b", "a\udc80")}) == 4
    assert {len(scope_key(scope)) for scope in ("", "a" * 1000)} == {16}
