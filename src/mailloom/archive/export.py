"""An archive's messages, what is nested in them, threads, links, people or duplicates as JSON lines, CSV or Parquet, written as they are read.

JSON lines and Parquet hold everything, CSV of messages what fits into cells: lists are joined by "; ".
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import orjson

from mailloom.archive.duplicates import groups, kinds
from mailloom.archive.reading import Archive
from mailloom.mail.model import Address, MessageId, Record
from mailloom.ports import Member
from mailloom.schema import arrow_line, arrow_schema, load_record, text_id, unpack
from mailloom.thread.batch import derive
from mailloom.thread.components import topics
from mailloom.thread.encoding import load_stated
from mailloom.thread.policy import Policy

if TYPE_CHECKING:
    import pyarrow as pa

What = Literal["messages", "nested", "threads", "links", "people", "duplicates"]
Format = Literal["jsonl", "parquet", "csv"]
Evidence = Literal["all", "headers"]
Row: TypeAlias = dict[str, Any]

CHUNK = 20_000  # lines of one row group of Parquet at most
GROUP_BYTES = 8 << 20  # JSON bytes that become one row group of Parquet
_JOINED = "; "


def export(
    archive: Archive,
    what: What,
    form: Format,
    file: BinaryIO,
    evidence: Evidence = "all",
    *,
    policy: Policy = "never",
) -> int:
    """Write all of one kind to a file; how many rows. Messages and threads are in the order of message ids, which is that of
    dates. With evidence "headers" a thread is what message ids and Thread-Index say: that is derived anew, in memory. `policy` says
    how threads are split.
    """
    with archive.snapshot():
        if what == "people":
            return _write(file, form, _PEOPLE, _people(archive))
        if what == "duplicates":
            return _write(file, form, _DUPLICATES, _duplicates(archive))
        if what == "nested":
            return _write(file, form, _NESTED, _nested(archive))
        if what == "links":
            return _write(file, form, _LINKS, _links(archive))
        members = _derived(archive) if evidence == "headers" else archive.whole.members()
        members = _viewed(archive, members, policy)
        if what == "threads":
            return _write(file, form, _THREADS, _threads(archive, members))
        return _messages(archive, members, form, file)


# ------------------------------------------------------------------------------------------------ membership
def _derived(archive: Archive) -> Iterator[Member]:
    """In the order of messages, by headers alone."""
    stated = [load_stated(message, body) for message, body in archive.whole.evidence()]
    threads, _ = derive(stated, soft=False)
    groups: dict[bytes, list[tuple[MessageId, bytes]]] = defaultdict(list)
    for message, _, subject in archive.whole.listed():
        groups[threads.get(message, message)].append((message, subject.encode()))
    topic = {message: first for members in groups.values() for message, first in topics(members).items()}
    return (Member(message, threads.get(message, message), topic[message]) for message in sorted(topic))


def _viewed(archive: Archive, members: Iterator[Member], policy: Policy) -> Iterator[Member]:
    """The same with threads as a policy splits them. Where subjects do, a topic is a thread."""
    if policy == "never":
        return members
    if policy == "subject":
        return (Member(message, topic, topic) for message, _, topic in members)
    order: list[MessageId] = []
    threads: dict[bytes, list[MessageId]] = defaultdict(list)
    for message, thread, _ in members:
        order.append(message)
        threads[thread].append(message)
    group = {one: first for thread in threads.values() for one, first in archive.split(thread, policy).items()}
    return (Member(message, group[message], group[message]) for message in order)


# ------------------------------------------------------------------------------------------------ threads, people
def _threads(archive: Archive, members: Iterable[Member]) -> Iterator[Row]:
    for (_, message_id, _), (message, thread, topic) in zip(archive.whole.listed(), members, strict=True):
        ids = {"thread": text_id(thread), "message": text_id(message), "topic": text_id(topic)}
        yield {"id": message_id, **ids}


def _nested(archive: Archive) -> Iterator[Row]:
    """One row a message inside another: what it says, without its parts."""
    for message, body in archive.whole.bodies():
        record = unpack(body)
        if b'"nested":[{' in record:  # in a string the quotes would stand behind backslashes
            for inner in orjson.loads(record)["nested"]:
                people = {
                    name: _JOINED.join(_named(one["name"], one["address"]) for one in inner[name])
                    for name in ("from", "to", "cc")
                }
                what = {name: inner[name] for name in ("path", "kind", "depth", "date", "subject", "text")}
                yield {"message": text_id(message), **what, **people}


def _links(archive: Archive) -> Iterator[Row]:
    """Who shares a key that joins (source: the message, target: the key's name), then the links that settle drew."""
    for key, message in archive.whole.hard_links():
        yield {"source": text_id(message), "target": key.hex(), "kind": "key", "weight": 1000, "detail": ""}
    for soft in archive.whole.soft_links():
        ids = {"source": text_id(soft.source), "target": text_id(soft.target)}
        yield {**ids, "kind": soft.kind, "weight": soft.weight, "detail": soft.detail}


def _people(archive: Archive) -> Iterator[Row]:
    """One row an address: in how many mails it stands in each role, and under which names, the most frequent first. A mail that
    names somebody in two roles counts for both.
    """
    for key, rows in groupby(archive.whole.people(), itemgetter(0)):
        names: dict[str, int] = defaultdict(int)
        roles = {"from": 0, "author": 0, "to": 0, "cc": 0}
        for _, name, role, mails in rows:
            roles[role] += mails
            if name:
                names[name] += mails
        by_count = sorted(names.items(), key=lambda item: (-item[1], item[0]))
        yield {
            "key": key,
            "name": by_count[0][0] if by_count else "",
            **roles,
            "mails": sum(roles.values()),
            "names": [{"name": name, "mails": mails} for name, mails in by_count],
        }


def _duplicates(archive: Archive) -> Iterator[Row]:
    """One row a message of each group; the similarity is that to the group's oldest, whose id is the group's. Copies are
    deliveries of one message: `mailloom sql "select * from copies"`. Servers have no near ones.
    """
    for kind in kinds(archive):
        for found in groups(archive, kind) if kind != "copies" else ():
            for message, similarity in [(found.first, 1.0), *((one.other, one.similarity) for one in found.others)]:
                ids = {"message": text_id(message), "group": text_id(found.first)}
                yield {"kind": kind, **ids, "similarity": similarity}


def _write(file: BinaryIO, form: Format, columns: dict[str, str], rows: Iterator[Row]) -> int:
    if form == "jsonl":
        return _write_lines(file, (orjson.dumps(row) for row in rows))
    if form == "csv":
        return _write_csv(file, rows, list(columns))
    schema = _arrow(columns)
    return _write_parquet(file, schema, (orjson.dumps(row) for row in rows), _reader(schema))


_THREADS = {"id": "text", "thread": "text", "message": "text", "topic": "text"}
_NESTED = {
    "message": "text",
    "path": "text",
    "kind": "text",
    "depth": "count",
    "date": "count",
    "subject": "text",
    "text": "text",
    "from": "text",
    "to": "text",
    "cc": "text",
}
_LINKS = {"source": "text", "target": "text", "kind": "text", "weight": "count", "detail": "text"}
_DUPLICATES = {"kind": "text", "message": "text", "group": "text", "similarity": "share"}
_PEOPLE = {
    "key": "text",
    "name": "text",
    "from": "count",
    "author": "count",
    "to": "count",
    "cc": "count",
    "mails": "count",
    "names": "names",
}


def _arrow(columns: dict[str, str]) -> pa.Schema:
    import pyarrow as pa

    names = pa.list_(pa.struct([("name", pa.string()), ("mails", pa.int64())]))
    kinds = {"text": pa.string(), "count": pa.int64(), "share": pa.float64(), "names": names}
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()])


# ------------------------------------------------------------------------------------------------ messages
def _messages(archive: Archive, members: Iterable[Member], form: Format, file: BinaryIO) -> int:
    paired = ((unpack(body), member) for (_, body), member in zip(archive.whole.bodies(), members, strict=True))
    if form == "csv":
        return _write_csv(file, (_flat(load_record(body), member) for body, member in paired), _CSV)
    lines = (_with_thread(body, member) for body, member in paired)
    if form == "jsonl":
        return _write_lines(file, lines)
    import pyarrow as pa

    schema = arrow_schema().append(pa.field("thread", pa.string())).append(pa.field("topic", pa.string()))
    return _write_parquet(file, schema, lines, _reader(schema))


def _with_thread(body: bytes, member: Member) -> bytes:
    _, thread, topic = member
    return arrow_line(body)[:-1] + f',"thread":"{text_id(thread)}","topic":"{text_id(topic)}"}}'.encode()


_CSV = ["id", "thread", "topic", "message_id", "date", "from", "to", "cc", "subject", "list_id", "reply_text", "attachments",
        "nested", "problems"]  # fmt: skip


def _flat(record: Record, member: Member) -> Row:
    m = record.message
    _, thread, topic = member
    return {
        "id": text_id(record.id),
        "thread": text_id(thread),
        "topic": text_id(topic),
        "message_id": m.message_id,
        "date": _iso(m.date.ms),
        "from": _written(m.from_),
        "to": _written(m.to),
        "cc": _written(m.cc),
        "subject": m.subject,
        "list_id": m.list_id,
        "reply_text": m.reply_text,
        "attachments": _JOINED.join(a.name or a.type for a in m.attachments),
        "nested": len(m.nested),
        "problems": _JOINED.join(sorted({p.kind for p in m.problems})),
    }


def _written(people: tuple[Address, ...]) -> str:
    return _JOINED.join(_named(a.name, a.address) for a in people)


def _named(name: str, address: str) -> str:
    return f"{name} <{address}>" if name else address


def _iso(ms: int | None) -> str:
    """ISO 8601 in UTC, "" for none and for years that datetime lacks."""
    try:
        return "" if ms is None else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).isoformat()
    except OverflowError:
        return ""


# ------------------------------------------------------------------------------------------------ forms
def _write_lines(file: BinaryIO, lines: Iterable[bytes]) -> int:
    count = 0
    for line in lines:
        file.write(line + b"\n")
        count += 1
    return count


def _write_csv(file: BinaryIO, rows: Iterable[Row], columns: list[str]) -> int:
    """RFC 4180 in UTF-8. A cell that a spreadsheet would take for a formula gets an apostrophe in front: mail is not trusted."""
    count = 0
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_csv_cell(row[column]) for column in columns])
        count += 1
    text.detach()
    return count


def _csv_cell(value: Any) -> str:
    if isinstance(value, list):
        return _csv_cell(_JOINED.join(str(item["name"]) for item in value))
    cell = str(value).replace("\0", " ")
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not isinstance(value, int) else cell


def _reader(schema: pa.Schema) -> Callable[[bytes], pa.Table]:
    import pyarrow.json as pj

    options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")

    def read(lines: bytes) -> pa.Table:
        block = pj.ReadOptions(
            block_size=len(lines) + 1, use_threads=False
        )  # one block: a line may be as long as it likes
        return pj.read_json(io.BytesIO(lines), block, options).select(schema.names).cast(schema)

    return read


def _write_parquet(file: BinaryIO, schema: pa.Schema, lines: Iterator[bytes], read: Callable[[bytes], pa.Table]) -> int:
    import pyarrow.parquet as pq

    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for first in lines:
            group, size = [first], len(first)
            for line in islice(lines, CHUNK):
                group.append(line)
                size += len(line)
                if size >= GROUP_BYTES:
                    break
            writer.write_table(read(b"\n".join(group)))
            count += len(group)
    return count


__all__ = ["Evidence", "Format", "What", "export"]
