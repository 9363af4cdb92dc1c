"""A record as JSON and as Arrow: one schema, defined once, for everything that leaves this library.

The JSON form is canonical (fixed order of keys, no blanks): equal records are equal bytes, which `digest` and `doctor` rely on.
docs/schema.md tells each column's meaning and stability.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import zstandard

from mailloom.mail.model import (
    OWN,
    Address,
    Attachment,
    Date,
    Message,
    MessageId,
    Nested,
    Problem,
    Record,
    Segment,
    Trace,
)
from mailloom.mail.parts.header import Headers
from mailloom.mail.visible import visible

if TYPE_CHECKING:
    import pyarrow as pa

LEVEL = 1  # zstd: level 3 saves 2 % of the bytes of these short texts and costs a fifth more
MAX_JSON = 1 << 30  # no record is larger: the mail it was made of has at most 150 MB
VERSION = "2"
"""The transform's version: raised whenever the same mail may give another record. Each delivery says which made it."""


# ------------------------------------------------------------------------------------------------ Record <-> JSON
def dump_record(record: Record) -> bytes:
    """The record as canonical JSON. Lone surrogates, which JSON can't hold, become U+FFFD."""
    try:
        return orjson.dumps(record_dict(record))
    except TypeError:  # a lone surrogate somewhere: rare, so the usual record isn't searched for one
        return orjson.dumps(_mended(record_dict(record)))


def record_dict(record: Record) -> dict[str, Any]:
    """The record as plain values; addresses and the like stay dataclasses, which orjson writes by itself."""
    m = record.message
    return {
        "id": text_id(record.id),
        "content_hash": record.content_hash.hex(),
        "twin": record.twin.hex(),
        "message_id": m.message_id,
        "in_reply_to": m.in_reply_to,
        "in_reply_to_text": "" if m.in_reply_to else m.in_reply_to_text,
        "references": m.references,
        "aliases": m.aliases,
        "thread_index": m.thread_index.hex(),
        **_date(m.date),
        "subject": m.subject,
        "base_subject": record.base_subject,
        "from": m.from_,
        "sender": m.sender,
        "reply_to": m.reply_to,
        "to": m.to,
        "cc": m.cc,
        "author": m.author if m.author != m.from_ else (),
        "list_id": m.list_id,
        "auto_submitted": m.auto_submitted,
        "marks": m.marks,
        "text": m.text,
        "text_origin": m.text_origin,
        "segments": [
            {"kind": kind, "start": start, "end": end, "level": level, "rule": rule, "confidence": confidence}
            for kind, start, end, level, rule, confidence in m.segments
        ],
        "nested": [_nested(n) for n in m.nested],
        "attachments": m.attachments,
        "problems": m.problems,
    }


def load_record(body: bytes | str) -> Record:
    """What dump_record wrote. `headers` and `trace` are a copy's, so they are empty here."""
    d = orjson.loads(body)
    message = Message(
        message_id=d["message_id"],
        in_reply_to=tuple(d["in_reply_to"]),
        in_reply_to_text=d["in_reply_to_text"],
        references=tuple(d["references"]),
        aliases=tuple(d["aliases"]),
        thread_index=bytes.fromhex(d["thread_index"]),
        date=Date(d["date"], d["zone"], d["date_text"]),
        subject=d["subject"],
        from_=_addresses(d["from"]),
        sender=_addresses(d["sender"]),
        reply_to=_addresses(d["reply_to"]),
        to=_addresses(d["to"]),
        cc=_addresses(d["cc"]),
        author=_addresses(d.get("author") or d["from"]),
        list_id=d["list_id"],
        auto_submitted=d["auto_submitted"],
        marks=tuple(d["marks"]),
        text=d["text"],
        text_origin=d["text_origin"],
        segments=tuple(Segment(**s) for s in d["segments"]),
        nested=tuple(_load_nested(n) for n in d["nested"]),
        attachments=tuple(Attachment(**a) for a in d["attachments"]),
        problems=tuple(Problem(**p) for p in d["problems"]),
        headers=Headers(),
        trace=Trace((), "", (), (), ()),
    )
    return Record(
        id=parse_id(d["id"]),
        content_hash=bytes.fromhex(d["content_hash"]),
        twin=bytes.fromhex(d["twin"]),
        base_subject=d["base_subject"],
        message=message,
    )


def pack_record(record: Record) -> bytes:
    """The record's JSON in one zstd frame: how stores keep it."""
    return _compressor().compress(dump_record(record))


def unpack(body: bytes) -> bytes:
    """The record's JSON out of what pack_record made."""
    return zstandard.ZstdDecompressor().decompress(body, max_output_size=MAX_JSON)


def read_record(body: bytes) -> Record | None:
    """The record that pack_record packed; None where its bytes were damaged."""
    try:
        return load_record(unpack(body))
    except (zstandard.ZstdError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


@cache
def _compressor() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)


def text_id(message: bytes) -> str:
    """An id as people and columns write it: 8-4-4-4-12 hex digits."""
    digits = message.hex()  # by way of a UUID it takes five times as long
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_id(text: str) -> MessageId:
    return MessageId(UUID(text).bytes)


def _date(date: Date) -> dict[str, Any]:
    return {"date": date.ms, "zone": date.zone, "date_text": "" if date.ms is not None else date.text}


def _nested(n: Nested) -> dict[str, Any]:
    return {
        "path": n.path,
        "kind": n.kind,
        "depth": n.depth,
        "message_id": n.message_id,
        "from": n.from_,
        "to": n.to,
        "cc": n.cc,
        "date": n.date.ms,
        "zone": n.date.zone,
        "date_text": n.date.text,
        "subject": n.subject,
        "text": n.text,
        "attachments": n.attachments,
        "part": n.part,
        "start": n.start,
        "end": n.end,
    }


def _load_nested(d: dict[str, Any]) -> Nested:
    return Nested(
        path=d["path"],
        kind=d["kind"],
        depth=d["depth"],
        message_id=d["message_id"],
        from_=_addresses(d["from"]),
        to=_addresses(d["to"]),
        cc=_addresses(d["cc"]),
        date=Date(d["date"], d["zone"], d["date_text"]),
        subject=d["subject"],
        text=d["text"],
        attachments=tuple(Attachment(**a) for a in d["attachments"]),
        part=d["part"],
        start=d["start"],
        end=d["end"],
    )


def _addresses(values: list[dict[str, str]]) -> tuple[Address, ...]:
    return tuple(Address(**v) for v in values)


def _mended(value: Any) -> Any:
    """Plain values with every lone surrogate replaced. The depth is that of the record, not of the mail."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, dict):
        return {key: _mended(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(v) for v in value]
    if hasattr(value, "__slots__"):
        return {name: _mended(getattr(value, name)) for name in value.__slots__}
    return value


# ------------------------------------------------------------------------------------------------ Arrow
def arrow_schema() -> pa.Schema:
    """The columns of messages/*.parquet, of `to_arrow()` and of `export messages --format parquet`."""
    import pyarrow as pa

    kinds = _kinds()
    return pa.schema([(name, kinds[kind]) for name, kind in _COLUMNS.items()], metadata={"mailloom.schema": VERSION})


_COLUMNS = {
    "id": "text", "content_hash": "text", "twin": "text", "message_id": "text", "in_reply_to": "texts",
    "in_reply_to_text": "text", "references": "texts", "aliases": "texts", "thread_index": "text", "date": "long",
    "zone": "int", "date_text": "text", "subject": "text", "base_subject": "text", "from": "people", "sender": "people",
    "reply_to": "people", "to": "people", "cc": "people", "author": "people", "list_id": "text", "auto_submitted": "text", "marks": "texts",
    "text": "text", "text_origin": "text", "segments": "segments", "nested": "nested", "attachments": "attachments",
    "problems": "problems", "reply_text": "text",
}  # fmt: skip
_ADDRESS = {"name": "text", "address": "text", "key": "text", "group": "text"}
_ATTACHMENT = {
    "part": "int", "name": "text", "type": "text", "size": "long", "sha256": "text", "content_id": "text", "inline": "bool",
    "inside": "text",
}  # fmt: skip
_SEGMENT = {"kind": "text", "start": "int", "end": "int", "level": "int", "rule": "text", "confidence": "int"}
_NESTED = {
    "path": "text", "kind": "text", "depth": "int", "message_id": "text", "from": "people", "to": "people", "cc": "people",
    "date": "long", "zone": "int", "date_text": "text", "subject": "text", "text": "text", "attachments": "attachments",
    "part": "int", "start": "int", "end": "int",
}  # fmt: skip
_PROBLEM = {"kind": "text", "where": "text", "detail": "text"}


def _kinds() -> dict[str, pa.DataType]:
    """The types that columns and fields name; lists of structs are made of those before them."""
    import pyarrow as pa

    kinds = {
        "text": pa.string(),
        "int": pa.int32(),
        "long": pa.int64(),
        "bool": pa.bool_(),
        "texts": pa.list_(pa.string()),
    }
    structs = {
        "people": _ADDRESS,
        "attachments": _ATTACHMENT,
        "segments": _SEGMENT,
        "problems": _PROBLEM,
        "nested": _NESTED,
    }
    for name, fields in structs.items():
        kinds[name] = pa.list_(pa.struct([(field, kinds[kind]) for field, kind in fields.items()]))
    return kinds


def arrow_line(body: bytes) -> bytes:
    """A record's canonical JSON with what Arrow holds besides: `reply_text`, so that nobody has to cut spans in SQL."""
    record = orjson.loads(body)
    text = record["text"]
    reply = visible("".join(text[s["start"] : s["end"]] for s in record["segments"] if s["kind"] in OWN)).strip()
    return body[:-1] + b',"reply_text":' + orjson.dumps(reply) + b"}"
