"""How many bytes a mail takes in each store of the server profile, and how they grow with the mail's text.

    python bench/store_bytes.py [MAIL...] [--shape SHAPE ...] [--most N]

Each MAIL (a folder, mbox or archive) and each SHAPE of made-up mail is a set of its own: a profile on the servers that `make services`
starts, its mails validated and drained by a worker, then read: PostgreSQL by pg_relation_size of tables, TOAST and indices after VACUUM,
OpenSearch by the store size of the primaries after a merge to one segment, DynamoDB by summed item sizes (names and values, and the 100 bytes
an item that storage is billed with), Parquet by writing Firehose's records as Firehose does (Snappy, one file).

All mails are dated within one month, in their order: hundreds of partitions with a half-full page each would tell of the pages, not of the mail.
What the servers worked is told as well: CPU time of PostgreSQL's backends and the WAL that they wrote, the time OpenSearch spent on our index.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from email.utils import formatdate
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from worker_cost import alone_ms, database, drain, mails_of, opened

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mailloom.flow.transform import seal, transform
from mailloom.mail.model import Origin
from mailloom.run.validate import Validator, follow
from mailloom.stores.dynamodb import TABLES
from mailloom.stores.firehose import Firehose, columns
from mailloom.synth import generate, shape_of
from mailloom.wire.profile import Servers
from services import stack
from services.profile import lay_out
from services.servers import SERVERS, url

FIRST = 1_772_323_200  # 2026-03-01; a month holds 28 days of what follows
MONTH = 27 * 86_400
DATE = re.compile(rb"^Date:[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE)
OVERHEAD = 100  # bytes an item, DynamoDB developer guide, "DynamoDB item sizes and formats"
FITTED = (
    "postgres",
    "postgres WAL",
    "postgres ms",
    "opensearch",
    "opensearch ms",
    "firehose",
    "firehose billed",
    "firehose ms",
    "parquet",
)
FIREHOSE = 5_000  # what a record is rounded up to, in bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("mail", nargs="*", help="folders, mboxes, archives: a set each")
    parser.add_argument(
        "--shape", nargs="*", default=[], help='sets of made-up mail, as `mailloom synth --shape`; "" is the default'
    )
    parser.add_argument("--most", type=int, default=2000, help="mails of a set")
    given = parser.parse_args()
    sets = [(path, list(islice(mails_of([path], given.most), given.most))) for path in given.mail]
    sets += [
        (f"synth {shape}", [mail.raw for mail in generate(given.most, 1, shape_of(shape))]) for shape in given.shape
    ]
    running = stack.start(SERVERS)
    urls = {name: url(name, running[name].port) for name in SERVERS}
    found = []
    for name, mails in sets:
        found.append(measured(urls, [dated(raw, n, len(mails)) for n, raw in enumerate(mails)]))
        told(name, found[-1])
    if len(found) > 3:  # a plane through three points misses none
        fitted(found)


def dated(raw: bytes, number: int, count: int) -> bytes:
    """The mail with a date of our own month, if it has one."""
    date = formatdate(FIRST + MONTH * number // count).encode()
    head, blank, body = raw.partition(b"\r\n\r\n" if b"\r\n\r\n" in raw[:65536] else b"\n\n")
    return DATE.sub(b"Date: " + date, head, count=1) + blank + body


def measured(urls: dict[str, str], mails: Sequence[bytes]) -> dict[str, float]:
    """Figures a stored message, by name; sizes in bytes, times in ms."""
    with tempfile.TemporaryDirectory() as place, database(urls["postgres"]) as dsn:
        name = f"bytes{secrets.token_hex(4)}"
        more = {"worker": {"visibility": 600}, "postgres": {"years_back": 1}}
        profile = lay_out({**urls, "postgres": dsn}, name, Path(place), more=more)
        os.environ.update(profile.environ)
        servers = opened(profile.config)
        try:
            list(servers.migrate())
            empty = Counter(postgres_bytes(dsn))
            s3 = profile.client("s3")
            for number, raw in enumerate(mails):
                s3.put_object(Bucket=profile.name, Key=f"raw/source=bench/{number:08}.eml", Body=raw)
            parts = (servers.buckets, servers.receipts, servers.ledger, servers.queue("work"))
            began = time.process_time()
            follow(Validator(*parts), servers.queue("events"), lambda: False, wait=1, drain=True)
            validated, before = time.process_time(), Counter(postgres_work(dsn))
            drain(servers, "work")
            worked = Counter(postgres_work(dsn))
            worked.subtract(before)
            worked |= {
                "validator ms": 1000 * (validated - began),
                "worker ms": 1000 * (time.process_time() - validated),
            }
            held = Counter(postgres_bytes(dsn))
            held.subtract(empty)
            sizes: dict[str, float] = {f"postgres {table}": size for table, size in held.items() if size > 0}
            sizes["postgres"] = sum(sizes.values())
            sizes |= worked | opensearch_bytes(servers) | dynamodb_bytes(servers)
            messages = count(dsn)
            found = {what: size / messages for what, size in sizes.items()}
        finally:
            servers.clients.opensearch().indices.delete(index=f"{servers.names.template}-*")
            servers.close()
    return {"messages": messages, "transform ms": alone_ms(mails[:400]), **sealed_bytes(mails), **found}


def postgres_bytes(dsn: str) -> dict[str, int]:
    """Bytes by table, its partitions, indices and TOAST counted with it. Free space maps are left out: they don't grow with mail here."""
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum")
        rows = connection.execute("""
            select coalesce(parent.relname, owner.relname), sum(pg_relation_size(part.oid))::bigint
            from pg_class owner join pg_namespace n on n.oid = owner.relnamespace
              left join pg_inherits i on i.inhrelid = owner.oid left join pg_class parent on parent.oid = i.inhparent
              cross join lateral (
                select owner.oid union all select indexrelid from pg_index where indrelid = owner.oid
                union all select owner.reltoastrelid where owner.reltoastrelid <> 0
                union all select indexrelid from pg_index where indrelid = owner.reltoastrelid) part
            where owner.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') group by 1""")
        return {name: int(size) for name, size in rows}


def count(dsn: str) -> int:
    import psycopg

    with psycopg.connect(dsn) as connection:
        (found,) = connection.execute("select count(*) from messages").fetchone() or (0,)
        return int(found)


def postgres_work(dsn: str) -> dict[str, float]:
    """CPU ms of our database's backends, which are still open, and the WAL bytes they wrote, among them this many whole pages, which Aurora doesn't write."""
    import psutil
    import psycopg

    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select pid, (pg_stat_get_backend_wal(pid)).wal_bytes, (pg_stat_get_backend_wal(pid)).wal_fpi"
            " from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchall()
    times = [psutil.Process(pid).cpu_times() for pid, _, _ in rows]
    return {
        "postgres ms": 1000 * sum(one.user + one.system for one in times),
        "postgres WAL": sum(float(size or 0) for _, size, _ in rows),
        "postgres whole pages": sum(float(pages or 0) for _, _, pages in rows),
    }


def opensearch_bytes(servers: Servers) -> dict[str, float]:
    """Bytes of the primaries as they were left, and merged to one segment; ms that indexing, refreshing and merging took until then."""
    client, indices = servers.clients.opensearch(), f"{servers.names.template}-*"
    client.indices.refresh(index=indices)
    before = client.indices.stats(index=indices)["_all"]["primaries"]
    spent = before["indexing"]["index_time_in_millis"] + before["refresh"]["total_time_in_millis"] + before["merges"]["total_time_in_millis"]  # fmt: skip
    client.indices.forcemerge(index=indices, max_num_segments=1, request_timeout=600)
    client.indices.flush(index=indices)
    after = client.indices.stats(index=indices)["_all"]["primaries"]
    return {
        "opensearch": after["store"]["size_in_bytes"],
        "opensearch unmerged": before["store"]["size_in_bytes"],
        "opensearch ms": spent,
    }


def dynamodb_bytes(servers: Servers) -> dict[str, float]:
    client, sizes = servers.clients.aws("dynamodb"), Counter[str]()
    for table in TABLES:
        for page in client.get_paginator("scan").paginate(TableName=servers.settings.aws.tables + table):
            sizes[f"dynamodb {table}"] += sum(OVERHEAD + item_bytes(item) for item in page["Items"])
            sizes[f"dynamodb {table} items"] += len(page["Items"])
    return dict(sizes)


def item_bytes(item: dict[str, Any]) -> int:
    """An item's size by the rules of the developer guide; a number is a byte for two digits, and one."""
    total = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        size = (
            len(value)
            if kind == "B"
            else len(value.encode())
            if kind == "S"
            else len(value) // 2 + 2
            if kind == "N"
            else 1
        )
        total += len(name.encode()) + size
    return total


def sealed_bytes(mails: Sequence[bytes]) -> dict[str, float]:
    """What follows from the mails alone: raw and text bytes, Firehose's records, billed and as Parquet; a mail."""
    import pyarrow.json as pj
    import pyarrow.parquet as pq

    firehose, records, text, took = Firehose(None, "none"), [], 0, 0.0
    for raw in mails:
        sealed = seal(transform(raw, Origin("bench", "box", 0, len(raw), len(raw), 0)))
        if sealed.row is not None and sealed.words is not None:
            began = time.thread_time()
            records.append(firehose._record(sealed.row))  # noqa: SLF001  what is sent, without sending
            base64.b64encode(records[-1])  # as its JSON carries it
            took += time.thread_time() - began
            text += sum(len(words.encode("utf-8", "surrogatepass")) for words in sealed.words)
    options = pj.ParseOptions(explicit_schema=columns(), unexpected_field_behavior="ignore")
    table = pj.read_json(io.BytesIO(b"\n".join(records)), pj.ReadOptions(block_size=64 << 20), options)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="snappy")
    sizes = {
        "raw": sum(map(len, mails)) / len(mails) * len(records),
        "text": text,
        "firehose ms": 1000 * took,
        "firehose": sum(map(len, records)),
        "firehose billed": sum(-(-len(record) // FIREHOSE) * FIREHOSE for record in records),
        "parquet": sink.tell(),
    }
    return {name: size / len(records) for name, size in sizes.items()}


def told(name: str, figures: dict[str, float]) -> None:
    print(f"\n{name}: {figures['messages']:,.0f} messages")
    for what, value in figures.items():
        print(f"    {what:<28}{value:12,.3f}")
    print(json.dumps({what: round(value, 3) for what, value in figures.items()}), flush=True)


def fitted(sets: Sequence[dict[str, float]]) -> None:
    """Bytes = base + slope x text, least squares over the sets weighed alike; `off` is the worst set's miss."""
    print("\nwhat                  base   a byte of text   off")
    text = np.array([[1.0, one["text"]] for one in sets])
    for what in FITTED:
        values = np.array([one[what] for one in sets])
        (base, slope), *_ = np.linalg.lstsq(text, values, rcond=None)
        off = float(np.max(np.abs(text @ [base, slope] - values) / values))
        print(f"{what:<16}{base:10,.3f}   {slope:10.6f}   {off:5.0%}")
    both = np.array([[1.0, one["raw"] / 1000, one["text"] / 1000] for one in sets])
    for what in ("transform ms", "worker ms"):
        (base, raw, words), *_ = np.linalg.lstsq(both, np.array([one[what] for one in sets]), rcond=None)
        print(f"{what} {base:.3f} + {raw:.4f} a KB of raw mail + {words:.4f} a KB of text")


if __name__ == "__main__":
    main()
