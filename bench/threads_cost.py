"""What threads cost: in any order, in a long thread, in a growing archive, as a share of an ingest. CPU time of this process.

    python bench/threads_cost.py orders [--sizes 2000 4000 8000] [--rounds 5]
    python bench/threads_cost.py long [--members 100000] [--more 300]
    python bench/threads_cost.py share FOLDER... [--most N]
    python bench/threads_cost.py growth [--mails 1000000] [--out build/growth.csv] [--svg docs/growth.svg]

orders   one thread whose replies come before what they answer, against the same mails parent first: ms a mail of both
long     one mail more in a thread of 100,000 and in one of 10, in the same archive, in turns: the median of each
share    evidence, the threads' part of commit, and settle, of all that an ingest of these folders costs
growth   made-up mail into one archive: ms a mail of each 10,000, from the first to the last
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from statistics import median

from mailloom.flow.commit import Arrived, commit
from mailloom.flow.transform import Sealed, seal, transform
from mailloom.mail.model import Origin
from mailloom.run.pool import Pool, WorkerDied
from mailloom.sources import Item, load, walk
from mailloom.stores.files import frames
from mailloom.synth import generate, shape_of
from mailloom.thread.clues import clues
from mailloom.thread.evidence import evidence
from mailloom.thread.settle import settle
from mailloom.thread.sketch import pack, runs
from mailloom.thread.weave import weave
from mailloom.wire import Embedded, open_for_writing

BATCH = 256
CHUNK = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    orders = commands.add_parser("orders")
    orders.add_argument("--sizes", type=int, nargs="+", default=[2000, 4000, 8000])
    orders.add_argument("--rounds", type=int, default=5)
    long = commands.add_parser("long")
    long.add_argument("--members", type=int, default=100_000)
    long.add_argument("--more", type=int, default=300)
    share = commands.add_parser("share")
    share.add_argument("folders", nargs="+")
    share.add_argument("--most", type=int, default=4000)
    growth = commands.add_parser("growth")
    growth.add_argument("--mails", type=int, default=1_000_000)
    growth.add_argument("--workers", type=int, default=1)
    growth.add_argument(
        "--size", default="2KB", help="of a mail, in the mean: small ones, so that what grows isn't hidden"
    )
    growth.add_argument("--out", type=Path, default=Path("build/growth.csv"))
    growth.add_argument("--svg", type=Path)
    given = parser.parse_args()
    {"orders": _orders, "long": _long, "share": _share, "growth": _growth}[given.what](given)


@contextmanager
def archive() -> Iterator[Embedded]:
    with tempfile.TemporaryDirectory() as place, open_for_writing(Path(place) / "archive") as stores:
        yield stores


def origin(number: int, size: int) -> Origin:
    return Origin("bench", "box", number, size, size, 0)


def sealed(mails: Sequence[bytes], first: int = 0) -> list[Sealed]:
    return [seal(transform(raw, origin(first + n, len(raw)))) for n, raw in enumerate(mails)]


def bring(stores: Embedded, some: Sequence[Sealed], batch: int = BATCH) -> float:
    """Commit them; CPU seconds."""
    began = time.process_time()
    for at in range(0, len(some), batch):
        with stores.unit():
            commit([Arrived(s, 0, 0) for s in some[at : at + batch]], [], stores)
    return time.process_time() - began


# ------------------------------------------------------------------------------------------------ orders
def chain(size: int, *, dated: bool) -> list[bytes]:
    """One thread, each mail citing its last twenty ancestors; undated as what hurts peers most, or dated, each quoting its parent."""
    ids = [f"<{n}@deep.example.org>" for n in range(size)]
    mails = []
    for n in range(size):
        at = datetime(2024, 6, 4, tzinfo=UTC) + timedelta(minutes=7 * n)
        said = f"body {n}"
        if dated:
            words = f"Answer number {n} has some words of its own {n + 1} so that {n + 2} who quotes it {n + 3} can be told from others."
            before = at - timedelta(minutes=7)
            said = f"{words}\n\nOn {before:%a, %d %b %Y %H:%M:%S} +0000, Ann Archer wrote:\n> {words.replace(str(n), str(n - 1))}"
        date = f"Date: {at:%a, %d %b %Y %H:%M:%S} +0000\n" if dated else ""
        head = f"From: Ann Archer <ann@example.org>\nSubject: Re: deep\n{date}Message-ID: {ids[n]}\n"
        mails.append(f"{head}References: {' '.join(ids[max(0, n - 20) : n])}\n\n{said}\n".encode())
    return mails


def _orders(given: argparse.Namespace) -> None:
    print(
        f"{'mails':>8}{'parents first':>18}{'replies first':>18}{'ratio':>8}   (ms a mail, medians of {given.rounds})"
    )
    for size, dated in [(size, dated) for dated in (False, True) for size in given.sizes]:
        mails = chain(size, dated=dated)
        ways: list[tuple[list[bytes], list[float]]] = [(mails, []), (mails[::-1], [])]
        for _ in range(given.rounds):
            for order, times in ways:
                with archive() as stores:
                    began = time.process_time()
                    bring(stores, sealed(order))
                    settle(stores.threads)
                    times.append((time.process_time() - began) * 1000 / size)
        friendly, hostile = (median(times) for _, times in ways)
        print(
            f"{size:>8,}{'dated' if dated else 'undated':>10}{friendly:>18.3f}{hostile:>18.3f}{hostile / friendly:>8.2f}",
            flush=True,
        )


# ------------------------------------------------------------------------------------------------ long
def _long(given: argparse.Namespace) -> None:
    def reply(thread: str, number: int) -> bytes:
        parents = f"<0@{thread}.example.org> <{max(0, number - 1)}@{thread}.example.org>" if number else ""
        return (
            f"From: p{number % 50}@example.org\nTo: list@example.org\nSubject: {'Re: ' if number else ''}{thread}\n"
            f"Date: Tue, 4 Jun 2024 {number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02} +0000\n"
            f"Message-ID: <{number}@{thread}.example.org>\nReferences: {parents}\n\nAnswer number {number} of {thread}.\n"
        ).encode()

    with archive() as stores:
        for at in range(0, given.members, CHUNK):
            bring(stores, sealed([reply("long", n) for n in range(at, min(at + CHUNK, given.members))], at))
        settle(stores.threads)
        times: dict[str, list[float]] = {"long": [], "short": []}
        for n in range(given.more):
            for name, first in (("long", given.members), ("short", 10)):
                thread = name if name == "long" else f"short{n}"
                if name == "short":
                    bring(stores, sealed([reply(thread, k) for k in range(10)]))
                one = sealed([reply(thread, first + (n if name == "long" else 0))])
                took = bring(stores, one)
                began = time.process_time()
                settle(stores.threads)
                times[name].append((took + time.process_time() - began) * 1000)
        long, short = median(times["long"]), median(times["short"])
        print(
            f"one mail more: {long:.3f} ms in a thread of {given.members:,}, {short:.3f} ms in one of 10: {long / short:.2f}"
        )


# ------------------------------------------------------------------------------------------------ share
def _share(given: argparse.Namespace) -> None:
    mails = [m for f in given.folders for x in walk(f) if isinstance(x, Item) and isinstance(m := load(x), Item)]
    mails = mails[: given.most]
    cost: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        began = time.process_time()
        result = work()
        cost[name] = (time.process_time() - began) * 1000 / len(mails)
        return result

    outcomes = [transform(m.raw, m.origin) for m in mails]
    timed("transform", lambda: [transform(m.raw, m.origin) for m in mails])
    records = [o.record for o in outcomes if o.record is not None]
    timed("evidence", lambda: [evidence(r) for r in records])
    timed("soft evidence", lambda: [clues(r, cites=False) for r in records])
    texts = [(r.message.reply_text, "\n".join(n.text for n in r.message.nested if n.depth == 1)) for r in records]
    timed("sketches", lambda: [(pack(runs(own)), pack(runs(quoted))) for own, quoted in texts])
    some = [seal(o) for o in outcomes]
    timed("seal", lambda: [seal(o) for o in outcomes])
    timed("raw frames", lambda: [frames([(o.raw_sha256, m.raw) for o, m in zip(outcomes, mails, strict=True)])])
    with archive() as stores:
        timed("commit", lambda: bring(stores, some))
        timed("settle", lambda: settle(stores.threads))
        timed("parquet", stores.copy)
    with archive() as stores:
        timed("weave", lambda: _weave(stores, some))
    whole = sum(cost[name] for name in ("transform", "seal", "raw frames", "commit", "settle", "parquet"))
    threads = cost["evidence"] + cost["weave"] + cost["settle"]
    for name, ms in cost.items():
        print(f"  {name:<14}{ms:8.3f} ms a mail")
    print(
        f"an ingest {whole:.3f} ms a mail of CPU; threads (evidence, weave, settle) {threads:.3f}: {threads / whole:.0%}"
    )


def _weave(stores: Embedded, some: Sequence[Sealed]) -> None:
    stated = [s.stated for s in some if s.stated is not None]
    for at in range(0, len(stated), BATCH):
        with stores.threads.session():
            weave(stores.threads, stated[at : at + BATCH])


# ------------------------------------------------------------------------------------------------ growth
def work(job: tuple[int, list[bytes]]) -> tuple[list[Sealed], float]:
    """In a worker: the mails sealed, and the CPU seconds that took."""
    began = time.process_time()
    first, mails = job
    return sealed(mails, first), time.process_time() - began


def _jobs(mails: int, size: str) -> Iterator[tuple[int, list[bytes]]]:
    stream = generate(mails, 7, shape_of(f"size={size}"))
    number = 0
    while some := [m.raw for m in islice(stream, BATCH)]:
        yield number, some
        number += len(some)


def _results(mails: int, size: str, workers: int) -> Iterator[tuple[list[Sealed], float]]:
    pool: Pool[tuple[int, list[bytes]], tuple[list[Sealed], float]] = Pool(work, workers)
    try:
        jobs = enumerate(_jobs(mails, size))
        more = True
        while more or pool.busy:
            while more and pool.room:
                if more := (job := next(jobs, None)) is not None:
                    pool.submit(*job)
            for _, result in pool.results() if pool.busy else ():
                if isinstance(result, WorkerDied):
                    raise result
                yield result
    finally:
        pool.close()


def _growth(given: argparse.Namespace) -> None:
    rows: list[tuple[int, float, float, float]] = []
    with archive() as stores:
        done = seen = 0
        reading = committing = 0.0
        for some, took in _results(given.mails, given.size, given.workers):
            reading += took
            committing += bring(stores, some)
            done += len(some)
            if done - seen >= CHUNK or done == given.mails:
                began = time.process_time()
                settle(stores.threads)
                stores.copy()
                settling = time.process_time() - began
                count = done - seen
                rows.append((done, reading * 1000 / count, committing * 1000 / count, settling * 1000 / count))
                print("{:>10,}  read {:.3f}  commit {:.3f}  settle and Parquet {:.3f} ms".format(*rows[-1]), flush=True)
                seen, reading, committing = done, 0.0, 0.0
        print(f"{stores.conversations():,} conversations, {stores.disk() / 1e6:,.0f} MB")
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["mails", "read_ms", "commit_ms", "settle_parquet_ms"])
        writer.writerows((n, *(f"{ms:.4f}" for ms in some)) for n, *some in rows)
    if given.svg:
        given.svg.write_text(_plot(rows), encoding="utf-8")
    first, last = sum(rows[0][1:]), median([sum(row[1:]) for row in rows[-10:]])
    print(f"ms a mail at {rows[0][0]:,}: {first:.3f}; median of the last ten chunks: {last:.3f}: {last / first:.2f}")


WIDTH, HEIGHT, LEFT, BELOW = 720, 300, 50, 40
CURVES = (("reading", "#4878a8"), ("commit", "#d08030"), ("settle and Parquet", "#609060"), ("all", "#222222"))


def _plot(rows: Sequence[tuple[int, float, float, float]]) -> str:
    """The curves as an SVG: mails in the archive against milliseconds a mail."""
    most, top = rows[-1][0], 1.15 * max(sum(row[1:]) for row in rows)

    def point(mails: float, ms: float) -> str:
        return f"{LEFT + mails / most * (WIDTH - LEFT - 40):.1f},{(1 - ms / top) * (HEIGHT - BELOW):.1f}"

    values = [(n, (*some, sum(some))) for n, *some in rows]
    lines = []
    for place, (name, colour) in enumerate(CURVES):
        points = " ".join(point(n, some[place]) for n, some in values)
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        lines.append(f'<text x="{LEFT + 10 + 140 * place}" y="14" fill="{colour}">{name}</text>')
    for step in range(5):
        x, y = point(most * step / 4, 0), point(0, top * step / 4)
        lines.append(f'<text x="{x.split(",")[0]}" y="{HEIGHT - 22}" text-anchor="middle">{most * step // 4:,}</text>')
        lines.append(
            f'<text x="{LEFT - 6}" y="{float(y.split(",")[1]) + 4:.0f}" text-anchor="end">{top * step / 4:.2f}</text>'
        )
    lines.append(
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle">mails in the archive; ms of CPU a mail</text>'
    )
    body = "\n".join(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


if __name__ == "__main__":
    main()
