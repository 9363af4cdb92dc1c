"""What a mail costs in DynamoDB: write and read units, calls and CPU time a mail, of real mail in batches of several sizes.

    eval "$(python -m services env)"; python bench/dynamodb_units.py FOLDER... [--most N] [--batches 1 32 256] [--shuffled]

Nodes and clue items are written to DynamoDB (Local), the rest of the threads is kept in memory and costs next to nothing. A batch of
one is the worst there can be: no two mails of a batch share a thread. `--shuffled` brings replies before what they answer. The ledger
adds 2 write units a mail.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import boto3

from mailloom.flow.transform import transform
from mailloom.ports import Stated
from mailloom.sources import Item, load, walk
from mailloom.stores.dynamodb import CLUES, NODES, Dynamo, DynamoNodes, create
from mailloom.thread.weave import weave

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "contract"))
from dynamo_stores import Halves


class Everything(dict[bytes, bytes]):
    """A cache that forgets nothing: the best that a cache can be."""

    def get(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:  # type: ignore[override]
        return {key: self[key] for key in keys if key in self}

    def put(self, values: Mapping[bytes, bytes]) -> None:
        self.update(values)


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
    given = parser.parse_args()
    mails = list(islice(statements(given.folders), given.most))
    if given.shuffled:
        Random(1).shuffle(mails)
    endpoint = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
    client = boto3.client("dynamodb", endpoint_url=endpoint)
    prefix = f"bench{secrets.token_hex(4)}-"
    create(client, prefix)
    print(
        f"{len(mails)} mails\nevidence  batch  cache  write units (nodes + clues)  read units  calls  CPU ms, with weave"
    )
    for what, some in (("headers", [s._replace(owns=(), asks=()) for s in mails]), ("all", mails)):
        for batch in given.batches:
            for cache in (None, Everything()):
                measure(Dynamo(client, prefix), some, batch, cache, what)


def measure(dynamo: Dynamo, mails: Sequence[Stated], batch: int, cache: Everything | None, what: str) -> None:
    scope = secrets.token_hex(4)
    threads = Halves(DynamoNodes(dynamo, lambda: time.time_ns() // 1_000_000, scope, cache=cache))
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
