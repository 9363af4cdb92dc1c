"""What a mail costs a worker on servers: CPU by part, and calls and units of each service, of real mail.

    python bench/worker_cost.py [MAIL...] [--most N] [--rounds 3] [--evidence headers all] [--orders archive shuffled] [--profile]
                                [--delay MS] [--lanes N]

For each run it lays out a profile of its own (database, bucket, queues, tables, index) on the servers that `make services` starts, puts the
mails into the bucket, validates their events, and lets one worker, a process of its own, drain the full queue. CPU time is user and
system time of that process from the first mail on: imports, connections and the first few mails (made-up ones) are before it. `transform`
is measured in the same process before and after: on a busy machine all CPU times are too long, and their ratio less so.

--delay holds back each request to DynamoDB, and each answer, for half of that time by a proxy, as a region's network and service do; the wall time a
mail tells what a worker makes of it. --lanes 1 sends its calls one after another.

headers   soft evidence is left out of what is committed (it is still worked out): the threads of mail whose headers are whole
all       content anchors and all other clues, as a worker does
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mailloom import obs
from mailloom.config import load as load_settings
from mailloom.flow.transform import Sealed, seal, transform
from mailloom.mail.model import Origin
from mailloom.ports import Parcel, Pointer
from mailloom.run import arrivals
from mailloom.run.pointers import pointer_body
from mailloom.run.validate import Validator, follow
from mailloom.run.worker import Worker
from mailloom.sources import Item, load, walk
from mailloom.stores.dynamodb.statements import LANES
from mailloom.synth import generate
from mailloom.wire.profile import Servers, open_servers
from services import stack
from services.profile import Profile, lay_out
from services.servers import SERVERS, url

WARM = 300  # made-up mails before what is measured
SAMPLE = 400  # mails that `transform` alone is measured on
BOTO = ("s3", "sqs", "dynamodb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mail", nargs="*", help="folders, mboxes, archives (default: made-up mail)")
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evidence", nargs="+", choices=["headers", "all"], default=["headers", "all"])
    parser.add_argument("--orders", nargs="+", choices=["archive", "shuffled"], default=["archive", "shuffled"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--delay", type=float, default=0.0, help="ms that DynamoDB is away")
    parser.add_argument("--lanes", type=int, default=LANES, help="calls to DynamoDB at a time")
    parser.add_argument("--profile", action="store_true", help="print the functions that took most of the main thread")
    parser.add_argument("--child", nargs=4, metavar=("CONFIG", "EVIDENCE", "PROFILE", "LANES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        config, evidence, profile, lanes = given.child
        print(json.dumps(_work(Path(config), evidence, profile == "profile", int(lanes))))
        return
    mails = list(islice(mails_of(given.mail, given.most), given.most))
    print(f"{len(mails):,} mails, mean {sum(map(len, mails)) / len(mails) / 1000:.1f} KB")
    running = stack.start(SERVERS)
    urls = {name: url(name, running[name].port) for name in SERVERS}
    for order in given.orders:
        some = list(mails)
        if order == "shuffled":
            Random(1).shuffle(some)
        for evidence in given.evidence:
            runs = [_run(urls, some, evidence, given) for _ in range(given.rounds)]
            _print(f"{evidence}, {order}", runs)


def mails_of(paths: Sequence[str], most: int) -> Iterator[bytes]:
    if not paths:
        yield from (mail.raw for mail in generate(most, 1))
    for item in (found for path in paths for found in walk(path) if isinstance(found, Item)):
        mail = load(item)
        if isinstance(mail, Item) and mail.raw:
            yield mail.raw


# ------------------------------------------------------------------------------------------------ one run
def _run(urls: dict[str, str], mails: Sequence[bytes], evidence: str, given: argparse.Namespace) -> dict[str, Any]:
    """A profile of its own, filled, and drained by one worker; figures a mail."""
    with tempfile.TemporaryDirectory() as place, database(urls["postgres"]) as dsn:
        name = f"cost{secrets.token_hex(4)}"
        more = {"worker": {"jobs": given.jobs, "visibility": 600}}
        profile = lay_out({**urls, "postgres": dsn}, name, Path(place), more=more)
        os.environ.update(profile.environ)
        servers = opened(profile.config)
        try:
            list(servers.migrate())
            counts = _fill(servers, profile, mails)
            words = [str(profile.config), evidence, "profile" if given.profile else "", str(given.lanes)]
            with far(urls["dynamodb"], given.delay) as tables:
                env = profile.env() | {"MAILLOOM_AWS_DYNAMODB_URL": tables}
                done = subprocess.run(
                    [sys.executable, __file__, "--child", *words], env=env, check=True, stdout=subprocess.PIPE
                )
            found: dict[str, Any] = json.loads(done.stdout)
            assert found.pop("mails") == len(mails), found
            calls = Counter(found["calls"]) + counts
            found["calls"] = {call: count / len(mails) for call, count in sorted(calls.items())}
            return found
        finally:
            client = servers.clients.opensearch()
            client.indices.delete(index=f"{servers.names.template}-*")
            servers.close()


@contextmanager
def far(url: str, delay: float) -> Iterator[str]:
    """The address under which a server answers so many ms later."""
    if not delay:
        yield url
        return
    from tests.faults.proxy import Proxy

    port = urlsplit(url).port or 0
    with Proxy("127.0.0.1", port) as proxy:
        proxy.delay(delay / 2000)
        yield url.replace(str(port), str(proxy.port))


@contextmanager
def database(dsn: str) -> Iterator[str]:
    import psycopg

    name = f"cost{secrets.token_hex(4)}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        try:
            yield f"{dsn.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"drop database {name} with (force)")


def opened(config: Path) -> Servers:
    env = dict(os.environ)
    return open_servers(load_settings("aws", config, env, config.parent).settings, env)


def _fill(servers: Servers, profile: Profile, mails: Sequence[bytes]) -> Counter[str]:
    """Mails in the bucket, their pointers in the queue, in this order; what the validator used for them."""
    s3 = profile.client("s3")
    for number, raw in enumerate(mails):
        s3.put_object(Bucket=profile.name, Key=f"raw/{number:08}.eml", Body=raw)
    parts = (servers.buckets, servers.receipts, servers.ledger, servers.queue("work"))
    before = _totals(servers)
    follow(Validator(*parts), servers.queue("events"), lambda: False, wait=1, drain=True)
    counts = _totals(servers)
    counts.subtract(before)
    warm = []
    for number, mail in enumerate(generate(WARM, 99)):
        key = f"warm/{number:08}.eml"
        etag = s3.put_object(Bucket=profile.name, Key=key, Body=mail.raw)["ETag"].strip('"')
        warm.append(Parcel(pointer_body(Pointer(profile.name, key, "", etag, len(mail.raw), 0))))
    servers.queue("large").send(warm)
    return Counter({f"{call} (validator)": n for call, n in counts.items() if n})


def _totals(servers: Servers) -> Counter[str]:
    """What was used so far, of what the stores count themselves."""
    spent = servers.dynamo.spent
    counts: Counter[str] = Counter({f"{name} requests": servers.clients.requests[name] for name in BOTO})
    counts.update({f"write units {table}": n for table, n in spent.written.items()})
    counts.update({f"read units {table}": n for table, n in spent.read.items()})
    return counts


# ------------------------------------------------------------------------------------------------ the worker's process
class Meter:
    """Counts calls, and the main thread's CPU time by step."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.steps: dict[str, float] = defaultdict(float)
        self.open: list[float] = []

    def counted(self, owner: Any, name: str, called: str) -> None:
        inner = getattr(owner, name)

        def outer(*args: Any, **kwargs: Any) -> Any:
            self.calls[called] += 1
            return inner(*args, **kwargs)

        setattr(owner, name, outer)

    @contextmanager
    def step(self, name: str, **attributes: Any) -> Iterator[Any]:
        """In the place of obs.span: a step's CPU time without that of steps in it."""
        began = time.thread_time()
        self.open.append(0.0)
        try:
            yield obs.off.OFF
        finally:
            took = time.thread_time() - began
            self.steps[str(attributes.get("store", name))] += took - self.open.pop()
            if self.open:
                self.open[-1] += took


def _work(config: Path, evidence: str, profiled: bool, lanes: int) -> dict[str, Any]:
    servers = opened(config)
    servers.check()
    servers.dynamo.lanes = lanes
    meter = Meter()
    _watch(servers, meter)
    if evidence == "headers":
        arrivals.seal = _headers_only
    drain(servers, "large")
    blobs = servers.buckets(servers.settings.aws.bucket)
    raws = [raw for place in islice(blobs.list("raw/"), SAMPLE) if (raw := blobs.get(place.key)) is not None]
    alone = [alone_ms(raws)]
    calls, meter.steps = meter.calls.copy(), defaultdict(float)
    before, began, used = _totals(servers), time.monotonic(), _cpu()
    profiler = cProfile.Profile()
    done = profiler.runcall(drain, servers, "work") if profiled else drain(servers, "work")
    used = _cpu() - used
    wall = time.monotonic() - began
    meter.calls.subtract(calls)
    meter.calls.update(_totals(servers))
    meter.calls.subtract(before)
    alone.append(alone_ms(raws))
    if profiled:
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    mails = sum(done.states.values())
    steps = {name: 1000 * took / mails for name, took in meter.steps.items()}
    steps["other threads"] = 1000 * used / mails - sum(steps.values())
    states = {f"mails {state}": n for state, n in done.states.items()}
    servers.close()
    return {"mails": mails, "cpu": 1000 * used / mails, "wall": 1000 * wall / mails, "alone": sum(alone) / 2, "peak": peak_mb(), "steps": steps, "calls": +meter.calls | Counter(states)}  # fmt: skip


def _count_rounds(dynamo: Any, meter: Meter) -> None:
    """How often DynamoDB is waited for: calls of a step that go side by side are waited for together."""
    inner = dynamo.side_by_side

    def outer(one: Any, all_of: Any) -> Any:
        each = list(all_of)
        meter.calls["DynamoDB rounds"] += -(-len(each) // dynamo.lanes)
        return inner(one, each)

    dynamo.side_by_side = outer


def drain(servers: Servers, queue: str) -> Any:
    settings = servers.settings.worker
    worker = Worker(
        servers.queue(queue), servers.buckets, servers.stores, servers.receipts, settings=settings, drain=True
    )
    return worker.run()


def peak_mb() -> float:
    """The most memory this process had, in MB. What getrusage tells begins with that of the process that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def alone_ms(raws: Sequence[bytes]) -> float:
    """CPU ms a mail of transform and seal alone: the least of several rounds would hide what the machine does to the worker as well."""
    began = time.thread_time()
    for raw in raws:
        seal(transform(raw, Origin("bench", "box", 0, len(raw), len(raw), 0)))
    return 1000 * (time.thread_time() - began) / len(raws)


def _headers_only(outcome: Any) -> Sealed:
    sealed = seal(outcome)
    stated = sealed.stated
    return sealed if stated is None else sealed._replace(stated=stated._replace(owns=(), asks=()))


def _watch(servers: Servers, meter: Meter) -> None:
    import psycopg

    from mailloom.stores.s3 import S3Blobs

    _count_rounds(servers.dynamo, meter)
    meter.counted(S3Blobs, "get", "S3 GET")
    meter.counted(psycopg.Cursor, "execute", "PostgreSQL statements")
    meter.counted(psycopg.Cursor, "copy", "PostgreSQL COPYs")
    meter.counted(psycopg.Connection, "transaction", "PostgreSQL transactions")
    meter.counted(servers.clients.opensearch(), "bulk", "OpenSearch bulks")
    meter.counted(servers.clients.valkey(), "execute_command", "Valkey commands")
    meter.counted(servers.clients.valkey(), "pipeline", "Valkey pipelines")
    meter.counted(arrivals, "commit", "commits")
    obs.span = meter.step


# ------------------------------------------------------------------------------------------------ told
def _print(what: str, runs: Sequence[dict[str, Any]]) -> None:
    def middle(of: Callable[[dict[str, Any]], float]) -> float:
        return median(of(run) for run in runs)

    cpu = middle(lambda run: run["cpu"])
    rates = ", ".join(f"{1000 / run['cpu']:.0f}" for run in runs)
    print(f"\n{what}: {1000 / cpu:.0f} mails a CPU-second (of {rates}), {cpu:.2f} ms a mail", flush=True)
    ratio = middle(lambda run: run["cpu"] / run["alone"])
    print(f"  transform and seal alone {middle(lambda run: run['alone']):.2f} ms a mail; the worker {ratio:.2f} times that; wall {middle(lambda run: run['wall']):.2f} ms; {max(run['peak'] for run in runs):.0f} MB at most")  # fmt: skip
    for kind in ("steps", "calls"):
        for name in dict.fromkeys(name for run in runs for name in run[kind]):
            print(f"    {name:<36}{middle(lambda run, n=name, k=kind: run[k].get(n, 0.0)):8.3f}")  # type: ignore[misc]
    commits = middle(lambda run: run["calls"].get("commits", 0.0))
    print(f"  a batch is {1 / commits:.0f} mails in the mean" if commits else "")


if __name__ == "__main__":
    main()
