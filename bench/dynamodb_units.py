"""What a mail costs in DynamoDB: write and read units, calls and CPU time a mail, of real mail in batches of several sizes.

    python bench/dynamodb_units.py FOLDER... [--most N] [--batches 1 32 256] [--shuffled] [--causes]

Nodes and clue items are written to DynamoDB (Local) where AWS_ENDPOINT_URL_DYNAMODB says where it is, else to tables in memory that take
the same statements, and so cost the same units and calls. The rest of the threads is kept in memory and costs next to nothing. A batch of
one is the worst there can be: no two mails of a batch share a thread. `--shuffled` brings replies before what they answer. `--causes` tells
which step wrote or read what of which kind of item, of the largest batch without a cache. The ledger adds 2 write units a mail.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import boto3

from mailloom.flow.transform import transform
from mailloom.ports import Stated
from mailloom.sources import Item, load, walk
from mailloom.stores.dynamodb import CLUES, NODES, Dynamo, DynamoNodes, create
from mailloom.stores.dynamodb.items import unpack, unpack_clue
from mailloom.stores.dynamodb.statements import Change
from mailloom.thread.weave import weave

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "contract"))
from dynamo_stores import Halves


class Everything(dict[bytes, bytes]):
    """A cache that forgets nothing: the best that a cache can be."""

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:  # type: ignore[override]
        return {key: self[key] for key in keys if key in self}

    def put(self, values: Mapping[bytes, bytes]) -> None:
        self.update(values)


KINDS = {
    b"w": "wrote",
    b"t": "text",
    b"q": "siblings",
    b"s": "subject",
    b"r": "replies",
    b"a": "again",
    b"k": "ticket",
    b"n": "series",
}
STEPS = ("nodes", "look", "swing", "tie", "note", "hint", "keys", "clues")


class Causes(Dynamo):
    """Counts what each step writes and reads, by the kind of item. `kinds` are those of keys; `step` is what is going on."""

    def __init__(self, client: Any, prefix: str, kinds: Mapping[bytes, str]) -> None:
        super().__init__(client, prefix)
        self.kinds, self.step = kinds, ""
        self.causes: Counter[tuple[str, str, str]] = Counter()

    def kind(self, table: str, key: bytes) -> str:
        name = key[16:]
        if table == CLUES:
            return KINDS[name[2:3]]
        return "message" if name[0] == 0 else self.kinds.get(name, "key")

    def write(self, table: str, changes: Sequence[Change]) -> dict[bytes, bytes | None]:
        refused = super().write(table, changes)
        for change in changes:
            self.causes[self.step, self.kind(table, change.key), _what(table, change, change.key in refused)] += 1
        return refused

    def read(self, table: str, keys: Collection[bytes], *, strong: bool = True) -> dict[bytes, bytes]:
        found = super().read(table, keys, strong=strong)
        for key in keys:
            what = f"{'' if strong else 'half '}read, {'there' if key in found else 'absent'}"
            self.causes[self.step, self.kind(table, key), what] += 1
        return found

    def tell(self, mails: int) -> None:
        """Writes first, the most of each first."""
        ordered = sorted(self.causes.items(), key=lambda one: ("read" in one[0][2], -one[1]))
        for (step, kind, what), count in ordered:
            print(f"    {count / mails:7.3f}  {step:6} {kind:8} {what}")

    def watch(self, threads: Halves) -> None:
        """Tell of each step what it is; one that another makes is that one's."""
        for name in STEPS:
            if hasattr(threads, name):
                setattr(threads, name, self._telling(name, getattr(threads, name)))

    def _telling(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.step = name
            return method(*arguments, **named)

        return call


class InMemory(Causes):
    """The two calls that a worker makes, on tables in memory."""

    def __init__(self, prefix: str, kinds: Mapping[bytes, str]) -> None:
        super().__init__(None, prefix, kinds)
        self.rows: dict[str, dict[bytes, bytes]] = {prefix + NODES: {}, prefix + CLUES: {}}

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        self.spent.add(self.spent.calls, operation, 1)
        if operation == "batch_execute_statement":
            return {"Responses": [self._execute(**one) for one in arguments["Statements"]]}
        ((table, wanted),) = arguments["RequestItems"].items()
        rows, keys = self.rows[table], [key["k"]["B"] for key in wanted["Keys"]]
        return {"Responses": {table: [{"k": {"B": key}, "b": {"B": rows[key]}} for key in keys if key in rows]}}

    def _execute(self, Statement: str, Parameters: Sequence[Mapping[str, Any]], **_: str) -> dict[str, Any]:  # noqa: N803  of the service
        rows, values = self.rows[Statement.split('"')[1]], [one["B"] for one in Parameters if "B" in one]
        insert = Statement.startswith("INSERT")
        key, new, old = (*values, b"") if insert else (values[1], values[0], values[2])
        there = rows.get(key, b"")
        if there != old:
            item = {"b": {"B": there}} if there else {}
            return {"Error": {"Code": "DuplicateItem"} if insert else {"Code": "ConditionalCheckFailed", "Item": item}}
        rows[key] = new
        return {}


def _what(table: str, change: Change, refused: bool) -> str:
    if refused:
        return f"refused, {'was there' if not change.old else 'was another'}"
    if table == CLUES:
        before, after = unpack_clue(change.old), unpack_clue(change.new)
        changed = ["owner"] * (before.owners != after.owners) + ["asked"] * (before.asked != after.asked)
    else:
        name = change.key[16:]
        old, new = unpack(name, change.old), unpack(name, change.new)
        changed = [f for f in old.node._fields if getattr(old.node, f) != getattr(new.node, f)]
        changed += [f for f in old.item._fields if getattr(old.item, f) != getattr(new.item, f)]
    return f"{'put' if not change.old else 'changed'}: {', '.join(changed)}"


def statements(folders: Sequence[str]) -> Iterator[Stated]:
    seen = set()
    for found in (found for folder in folders for found in walk(folder) if isinstance(found, Item)):
        mail = load(found)
        stated = transform(mail.raw, mail.origin).stated if isinstance(mail, Item) and mail.raw is not None else None
        if stated is not None and stated.message not in seen:
            seen.add(stated.message)
            yield stated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("--causes", action="store_true")
    given = parser.parse_args()
    mails = list(islice(statements(given.folders), given.most))
    if given.shuffled:
        Random(1).shuffle(mails)
    prefix = f"bench{secrets.token_hex(4)}-"
    client: Any = None
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_DYNAMODB"):
        client = boto3.client("dynamodb", endpoint_url=endpoint)
        create(client, prefix)
    print(
        f"{len(mails)} mails\nevidence  batch  cache  write units (nodes + clues)  read units  calls  CPU ms, with weave"
    )
    for what, some in (("headers", [s._replace(owns=(), asks=()) for s in mails]), ("all", mails)):
        kinds = {link.key: "twin" if link.kind == "twin" else "own key" for s in some for link in s.links if link.owns}
        for batch in given.batches:
            for cache in (None, Everything()):
                dynamo = Causes(client, prefix, kinds) if client else InMemory(prefix, kinds)
                measure(dynamo, some, batch, cache, what)
                if given.causes and cache is None and batch == max(given.batches):
                    dynamo.tell(len(some))


def measure(dynamo: Causes, mails: Sequence[Stated], batch: int, cache: Everything | None, what: str) -> None:
    scope = secrets.token_hex(4)
    threads = Halves(DynamoNodes(dynamo, lambda: time.time_ns() // 1_000_000, scope, cache=cache))
    dynamo.watch(threads)
    began = time.process_time()
    for at in range(0, len(mails), batch):
        weave(threads, mails[at : at + batch])
    cpu = 1000 * (time.process_time() - began) / len(mails)
    written, read, calls = (counter for counter in (dynamo.spent.written, dynamo.spent.read, dynamo.spent.calls))
    nodes, clues = written[NODES] / len(mails), written[CLUES] / len(mails)
    print(
        f"{what:8} {batch:6} {'warm' if cache is not None else 'none':>6}  {nodes + clues:6.2f} ({nodes:.2f} + {clues:.2f})"
        f"  {read.total() / len(mails):6.2f}  {calls.total() / len(mails):6.2f}  {cpu:6.2f}"
    )


if __name__ == "__main__":
    main()
