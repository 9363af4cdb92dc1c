"""The contract of threads stores, kept by DynamoDB's half of them; and what that half alone must do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import test_threads_contract as contract
from botocore.credentials import Credentials
from dynamo_stores import Halves
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_threads_contract import CLUE, KEY, NODE, ONE, OTHER, TWO, word

from mailloom.ports import ClueItem, ClueNote, Fenced, KeyItem, KeyNote, Node, Stamp, Threads
from mailloom.stores.aws_json import JsonClient
from mailloom.stores.dynamodb import CLUES, NODES, Dynamo, DynamoNodes, create
from mailloom.thread.keys import message_node

pytestmark = pytest.mark.servers

# The last of them is below, in another form.
globals().update({n: test for n, test in vars(contract).items() if n.startswith("test_")})


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def dynamo(boto: Callable[[str], Any], prefix: str) -> Dynamo:
    client = boto("dynamodb")
    create(client, prefix)
    return Dynamo(JsonClient(client, Credentials("test", "test")), prefix)


@pytest.fixture
def resting(dynamo: Dynamo) -> Threads:
    return Halves(DynamoNodes(dynamo, now))


@pytest.fixture
def threads(resting: Halves) -> Iterator[Threads]:
    with resting.session():
        yield resting


@given(mails=contract.mails, data=st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_threads_in_any_store_are_those_of_everything_at_once(
    dynamo: Dynamo, mails: list[tuple[int, list[int], int, bool]], data: st.DataObject
) -> None:
    """Each example is a scope of its own in the same tables."""
    threads = Halves(DynamoNodes(dynamo, now, secrets.token_hex(4)))
    everything = [
        contract.of_numbers(n, own, cites, subject, reply=re) for n, (own, cites, subject, re) in enumerate(mails, 1)
    ]
    for stated in data.draw(st.permutations(everything)):
        contract.weave(threads, [stated])
        if data.draw(st.booleans()):
            contract.settle(threads)
    contract.settle(threads)
    conversations, targets = contract.derive(everything)
    store = threads.in_memory()
    for message, conversation in conversations.items():
        name = message_node(message)
        while store.pool[name].parent != name:
            name = store.pool[name].parent
        assert (store.pool[message_node(message)].conv or name) == message_node(conversation)
        live = {row.target for row in threads.drawn([message]) if row.source == message and row.live}
        assert live == {t.target for t in targets[message]}


# ------------------------------------------------------------------------------------------------ guesses
def test_a_wrong_guess_is_found_out(dynamo: Dynamo) -> None:
    """Somebody else has written since, and before it the name was taken for fresh."""
    mine, other = DynamoNodes(dynamo, now), DynamoNodes(dynamo, now)
    mine.enter([KEY, NODE], fresh=[KEY, NODE])
    other.note([KeyNote(KEY, owner=word("s"))])
    assert mine.nodes([KEY], rough=True) == {KEY: Node(KEY)}
    assert list(mine.note([KeyNote(KEY, asked=True)])) == [
        (KeyItem(frozenset({word("s")})), KeyItem(frozenset({word("s")}), asked=True))
    ]
    other.swing([(KEY, KEY, NODE)])
    assert list(mine.swing([(KEY, KEY, message_node(TWO))])) == [False]
    other.stamp([Stamp(KEY, conv=NODE)])
    assert next(iter(mine.note([KeyNote(KEY, asked=True)])))[0].asked
    assert mine.look([KEY]) == {KEY: Node(NODE, NODE)}, "a note that changes nothing reads what is there"


def test_a_look_is_as_late_as_the_last_write_and_a_strong_read_is_now(dynamo: Dynamo) -> None:
    mine, other = DynamoNodes(dynamo, now), DynamoNodes(dynamo, now)
    mine.enter([KEY, OTHER])
    mine.note([KeyNote(KEY, asked=True)])
    other.stamp([Stamp(KEY, dead=True), Stamp(OTHER, dead=True)])
    assert mine.look([KEY, OTHER]) == {KEY: Node(KEY), OTHER: Node(OTHER, None, True)}
    assert mine.nodes([KEY]) == {KEY: Node(KEY, None, True)}
    mine.enter([KEY])
    assert mine.look([KEY]) == {KEY: Node(KEY, None, True)}, "another batch"


def test_hints_that_change_nothing_tell_what_is_there_now(dynamo: Dynamo) -> None:
    mine, other = DynamoNodes(dynamo, now), DynamoNodes(dynamo, now)
    mine.hint([ClueNote(CLUE, asked=True)])
    other.hint([ClueNote(CLUE, owner=ONE)])
    asked = ClueItem(frozenset({ONE}), asked=True)
    assert list(mine.hint([ClueNote(CLUE, asked=True)])) == [(asked, asked)]


def test_a_cache_may_say_anything_that_was_true_once(dynamo: Dynamo) -> None:
    class Stale(dict[bytes, bytes]):
        def get(self, keys: Any) -> Any:
            return dict.fromkeys(keys, b"")

        def put(self, values: Any) -> None: ...

    DynamoNodes(dynamo, now).note([KeyNote(KEY, owner=word("s"))])
    mine = DynamoNodes(dynamo, now, cache=Stale())
    assert mine.note([KeyNote(KEY, owner=word("s"))])[0][0].owners == {word("s")}
    assert list(mine.swing([(KEY, KEY, NODE)])) == [True]
    assert mine.keys([KEY]) == {KEY: KeyItem(frozenset({word("s")}))}


def test_more_items_than_fit_into_a_call(dynamo: Dynamo) -> None:
    nodes = DynamoNodes(dynamo, now)
    names = [message_node(n.to_bytes(16, "big")) for n in range(1, 331)]
    assert all(nodes.swing([(name, name, NODE) for name in names]))
    leased = nodes.leased(1)
    leased.stamp([Stamp(name, conv=NODE) for name in names])
    assert set(leased.nodes(names).values()) == {Node(NODE, NODE)}
    assert dynamo.spent.calls["batch_execute_statement"] == 14
    assert dynamo.spent.calls["transact_write_items"] == 4


# ------------------------------------------------------------------------------------------------ scopes, leases, time
def test_scopes_know_nothing_of_each_other(dynamo: Dynamo) -> None:
    one, other = (DynamoNodes(dynamo, now, scope) for scope in ("one", "other"))
    one.swing([(KEY, KEY, NODE)])
    one.note([KeyNote(KEY, asked=True)])
    one.hint([ClueNote(CLUE, owner=ONE)])
    one.leased(5)
    assert other.nodes([KEY]) == {KEY: Node(KEY)}
    assert not other.keys([KEY])
    assert not other.clues([CLUE])
    other.leased(1).swing([(KEY, KEY, NODE)])


def test_a_lease_can_not_go_back(dynamo: Dynamo) -> None:
    nodes = DynamoNodes(dynamo, now)
    late = nodes.leased(7)
    with pytest.raises(Fenced):
        nodes.leased(6)
    late.stamp([Stamp(KEY, conv=NODE)])
    nodes.leased(8)
    for write in (
        lambda: late.stamp([Stamp(KEY, conv=b"")]),
        lambda: late.stamp([Stamp(KEY, conv=NODE)]),
        lambda: late.note([KeyNote(KEY, asked=True)]),
        lambda: late.hint([ClueNote(CLUE, asked=True)]),
        lambda: late.swing([(KEY, KEY, NODE)]),
        lambda: late.swing([]),
    ):
        with pytest.raises(Fenced):
            write()
    assert nodes.nodes([KEY]) == {KEY: Node(KEY, NODE)}
    assert not nodes.keys([KEY])
    assert not nodes.clues([CLUE])


def until(dynamo: Dynamo, key: bytes) -> int:
    """Days until the item goes."""
    item = dynamo.items(CLUES, [{"k": {"B": key}}])[0]
    return round((int(item["ttl"]["N"]) - now() / 1000) / 86_400)


def test_clues_go_some_time_after_the_last_write(dynamo: Dynamo) -> None:
    """The service deletes them: DynamoDB Local within seconds if it has little else to do, so that is not waited for here."""
    described = dynamo.client.describe_time_to_live(TableName=dynamo.prefix + CLUES)["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    nodes = DynamoNodes(dynamo, now)
    key = nodes._prefix + CLUE
    DynamoNodes(dynamo, lambda: now() - 40 * 86_400_000).hint([ClueNote(CLUE, owner=ONE)])
    assert until(dynamo, key) == 50
    nodes.hint([ClueNote(CLUE, owner=ONE)])
    assert until(dynamo, key) == 50, "nothing was written"
    nodes.hint([ClueNote(CLUE, owner=TWO)])
    assert until(dynamo, key) == 90
    DynamoNodes(dynamo, now, clue_days=7).leased(1).hint([ClueNote(CLUE, asked=True)])
    assert until(dynamo, key) == 7


def test_a_clue_that_went_begins_anew(dynamo: Dynamo) -> None:
    nodes = DynamoNodes(dynamo, now)
    nodes.hint([ClueNote(CLUE, owner=ONE)])
    dynamo.client.delete_item(TableName=dynamo.prefix + CLUES, Key={"k": {"B": nodes._prefix + CLUE}})
    owned = ClueItem(frozenset({TWO}))
    assert list(nodes.hint([ClueNote(CLUE, owner=TWO)])) == [(ClueItem(), owned)], "though it is remembered"
    assert nodes.clues([CLUE]) == {CLUE: owned}


def test_an_item_is_small(dynamo: Dynamo) -> None:
    """One write unit, whatever the caps allow."""
    nodes = DynamoNodes(dynamo, now)
    nodes.note([KeyNote(KEY, owner=word(f"o{n}"), citer=(word(f"a{n}"), word(f"b{n}"))) for n in range(20)])
    nodes.swing([(KEY, KEY, NODE)])
    nodes.stamp([Stamp(KEY, conv=NODE, dead=True)])
    nodes.hint([ClueNote(CLUE, owner=contract.MessageId(n.to_bytes(16, "big"))) for n in range(20)])
    assert len(dynamo.read(NODES, [nodes._prefix + KEY])[nodes._prefix + KEY]) == 4 + 2 * 17 + 18 * 8
    assert len(dynamo.read(CLUES, [nodes._prefix + CLUE])[nodes._prefix + CLUE]) == 1 + 13 * 16
