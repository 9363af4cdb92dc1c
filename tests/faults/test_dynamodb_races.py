"""Many at once on the real DynamoDB Local, with a service that throttles, loses answers and cuts connections: one truth at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Barrier, Event
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from test_threads_sets import any_mails, best, focused, low_thresholds, stated, wrong

from mailloom.ports import Fenced, KeyNote, Node, Stated, Transient
from mailloom.stores.dynamodb import Dynamo, DynamoNodes, create
from mailloom.thread.assign import union
from mailloom.thread.keys import key_name, message_node, short_hash
from mailloom.thread.settle import settle
from mailloom.thread.weave import weave

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "contract"))
from dynamo_stores import Halves

pytestmark = pytest.mark.servers

KEY = key_name("id", "a@example.org")


@pytest.fixture
def client_of(dynamodb_url: str, prefix: str) -> Iterator[Callable[[], Any]]:
    """A new client each time: no pool of connections is shared."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    config = Config(retries={"max_attempts": 1, "mode": "standard"})
    made: list[Any] = []

    def client() -> Any:
        made.append(session.client("dynamodb", endpoint_url=dynamodb_url, config=config))
        return made[-1]

    create(client(), prefix)
    yield client
    for each in made:
        each.close()


def now() -> int:
    return time.time_ns() // 1_000_000


def name(n: int) -> bytes:
    return message_node(n.to_bytes(16, "big"))


# ------------------------------------------------------------------------------------------------ one item, many writers
def test_of_fifty_writers_of_one_node_one_wins(client_of: Callable[[], Any], prefix: str) -> None:
    dynamos = [Dynamo(client_of(), prefix) for _ in range(50)]
    for turn in range(3):
        node = key_name("id", f"{turn}@example.org")
        barrier = Barrier(50)

        def race(n: int, node: bytes = node, barrier: Barrier = barrier) -> bool:
            nodes = DynamoNodes(dynamos[n], now)
            nodes.enter([node], fresh=[node] if n % 2 else [])
            barrier.wait()
            return list(nodes.swing([(node, node, name(n + 1))]))[0]

        with ThreadPoolExecutor(50) as threads:
            won = list(threads.map(race, range(50)))
        assert won.count(True) == 1
        assert DynamoNodes(dynamos[0], now).nodes([node]) == {node: Node(name(won.index(True) + 1))}


def test_fifty_notes_of_one_key_are_all_kept(client_of: Callable[[], Any], prefix: str) -> None:
    dynamos = [Dynamo(client_of(), prefix) for _ in range(50)]
    barrier = Barrier(50)

    def race(n: int) -> int:
        barrier.wait()
        note = KeyNote(KEY, citer=(short_hash("who", str(n % 8)), short_hash("what", str(n % 7))))
        return len(DynamoNodes(dynamos[n], now).note([note])[0][1].senders)

    with ThreadPoolExecutor(50) as threads:
        assert max(threads.map(race, range(50))) == 8
    item = DynamoNodes(dynamos[0], now).keys([KEY])[KEY]
    assert (len(item.senders), len(item.subjects)) == (8, 7)


def test_unions_from_both_ends_at_once_are_one_pool(client_of: Callable[[], Any], prefix: str) -> None:
    pairs = [(name(n), name(n + 1)) for n in range(1, 120)]
    dynamos = [Dynamo(client_of(), prefix) for _ in range(8)]

    def join(n: int) -> None:
        mine = Random(n).sample(pairs, len(pairs))
        nodes = DynamoNodes(dynamos[n], now)
        for at in range(0, len(mine), 10):
            union(nodes, mine[at : at + 10])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(join, range(8)))
    parents = {
        n: node.parent for n, node in DynamoNodes(dynamos[0], now).nodes([name(n) for n in range(1, 121)]).items()
    }
    for node in parents:
        at = node
        while parents[at] != at:
            assert parents[at] < at
            at = parents[at]
        assert at == name(1)


# ------------------------------------------------------------------------------------------------ whole threads
def bring_in(batches: Sequence[Sequence[Stated]], worker: Halves) -> None:
    """As a worker does: a batch that fails for a while comes again."""
    for batch in batches:
        for _ in range(50):
            try:
                weave(worker, batch)
                break
            except Transient:
                time.sleep(0.01)
        else:
            raise AssertionError("a batch failed 50 times")


def keep_settling(store: Halves, until: Event) -> int:
    fenced = 0
    while not until.is_set():
        try:
            settle(store, choose=best)
        except Fenced:
            fenced += 1
        except Transient:
            pass
        time.sleep(0.02)
    return fenced


def merged(
    store: Halves, everything: Sequence[Stated], workers: Sequence[Halves], settles: Sequence[Halves], seed: int
) -> None:
    """Each worker brings in everything, in an order of its own; settles go on beside them, and overtake each other."""
    orders = []
    for n in range(len(workers)):
        mine = Random(f"{seed} {n}").sample(everything, len(everything))
        size = 1 + n % 4
        orders.append([mine[at : at + size] for at in range(0, len(mine), size)])
    done = Event()
    with ThreadPoolExecutor(len(workers) + len(settles)) as threads:
        beside = [threads.submit(keep_settling, each, done) for each in settles]
        try:
            list(threads.map(bring_in, orders, workers))
        finally:
            done.set()
        for each in beside:
            each.result()
    for _ in range(20):
        try:
            settle(store, choose=best)
            break
        except Transient:
            continue
    bad = wrong(store.in_memory(), everything, best)
    assert not bad, bad


def corpus(seed: int) -> list[Stated]:
    """Several small sets beside each other, ids apart."""
    r = Random(seed)
    mails = []
    for group in range(4):
        some = focused(r)[:8] if group else any_mails(r, 8)
        mails += [
            mail._replace(
                id=mail.id + 20 * group,
                own=f"{group}{mail.own}",
                cites=tuple(f"{group}{c}" for c in mail.cites),
                subject=mail.subject + 10 * group,
                sender=mail.sender + 10 * group,
                text=frozenset(t + 10 * group for t in mail.text),
                quotes=frozenset(t + 10 * group for t in mail.quotes),
                names=tuple((who + 10 * group, minute) for who, minute in mail.names),
                guid=mail.guid and f"{group}{mail.guid}",
                twin=mail.twin and f"{group}{mail.twin}",
            )
            for mail in some
        ]
    return [stated(mail) for mail in mails]


@pytest.mark.parametrize("seed", range(2))
def test_sixteen_mergers_with_settles_beside_them_end_as_everything_at_once(
    client_of: Callable[[], Any], prefix: str, seed: int
) -> None:
    with low_thresholds():
        everything = corpus(seed)
        dynamos = [Dynamo(client_of(), prefix) for _ in range(18)]
        store = Halves(DynamoNodes(dynamos[0], now))
        workers = [store.beside(DynamoNodes(d, now)) for d in dynamos[:16]]
        settles = [store.beside(DynamoNodes(d, now)) for d in dynamos[16:]]
        merged(store, everything, workers, settles, seed)


# ------------------------------------------------------------------------------------------------ a service that fails
class Raw:
    """A body as AWSResponse reads it."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self) -> Iterator[bytes]:
        yield self.body


class Trouble:
    """Hooks of a client: before a call it is throttled or the connection is cut; after it some statements are told to have been throttled though they
    were done, and some answers are lost. `share` of calls each.
    """

    def __init__(self, client: Any, share: float, seed: int) -> None:
        self.r, self.share, self.met = Random(seed), share, 0
        client.meta.events.register("before-send.dynamodb", self.before)
        client.meta.events.register("after-call.dynamodb", self.after)

    def hit(self, share: float) -> bool:
        hit = self.r.random() < share
        self.met += hit
        return hit

    def before(self, request: Any, **_: Any) -> AWSResponse | None:
        if self.hit(self.share / 2):
            body = b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"slow down"}'
            return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, Raw(body))
        if self.hit(self.share / 4):
            raise ConnectionClosedError(endpoint_url=request.url)
        return None

    def after(self, parsed: dict[str, Any], **_: Any) -> None:
        if self.hit(self.share / 4):
            raise ConnectionClosedError(endpoint_url="lost answer")
        for one in parsed.get("Responses", ()) if isinstance(parsed.get("Responses"), list) else ():
            if self.hit(self.share / 4):
                one.clear()
                one["Error"] = {"Code": "ThrottlingError", "Message": "slow down"}


@pytest.mark.parametrize(("share", "attempts"), [(0.25, 8), (0.5, 2)])
def test_a_service_that_fails_half_of_the_time_changes_nothing(
    client_of: Callable[[], Any], prefix: str, share: float, attempts: int
) -> None:
    with low_thresholds():
        everything = corpus(7)
        dynamos, troubles = [], []
        for n in range(6):
            client = client_of()
            troubles.append(Trouble(client, share, n))
            dynamos.append(Dynamo(client, prefix, attempts=attempts, first=0.001, most=0.01))
        good = Halves(DynamoNodes(Dynamo(client_of(), prefix), now))
        workers = [good.beside(DynamoNodes(d, now)) for d in dynamos[:4]]
        settles = [good.beside(DynamoNodes(d, now)) for d in dynamos[4:]]
        merged(good, everything, workers, settles, 7)
        assert sum(trouble.met for trouble in troubles) > 100


def test_a_service_that_only_throttles_is_transient_after_some_tries(client_of: Callable[[], Any], prefix: str) -> None:
    client, slept = client_of(), []
    dynamo = Dynamo(client, prefix, attempts=5, first=1.0, most=3.0, sleep=slept.append, dice=lambda: 0.5)
    client.meta.events.register("before-send.dynamodb", Trouble(client_of(), 2.0, 1).before)
    nodes = DynamoNodes(dynamo, now)
    for work in (
        lambda: nodes.nodes([KEY]),
        lambda: nodes.note([KeyNote(KEY, asked=True)]),
        lambda: nodes.leased(1),
    ):
        slept.clear()
        with pytest.raises(Transient, match="5 times"):
            work()
        assert slept == [0.5, 1.0, 1.5, 1.5]


def test_statements_and_keys_left_over_come_again(client_of: Callable[[], Any], prefix: str) -> None:
    """Of each call the service does only a part."""
    client = client_of()

    def half(parsed: dict[str, Any], **_: Any) -> None:
        responses = parsed.get("Responses")
        if isinstance(responses, dict):
            for table, items in responses.items():
                left, kept = items[1::2], items[::2]
                responses[table] = kept
                if left:
                    parsed["UnprocessedKeys"] = {table: {"Keys": [{"k": item["k"]} for item in left]}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", half)
    nodes = DynamoNodes(Dynamo(client, prefix, first=0.001, attempts=20), now)
    names = [name(n) for n in range(2, 90)]
    assert all(nodes.swing([(n, n, name(1)) for n in names]))
    assert set(nodes.nodes(names).values()) == {Node(name(1))}
