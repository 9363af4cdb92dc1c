"""What queues carry: S3's events, and the pointers that we make of them. Never mail.

An event message has the structure of "Event message structure" in the S3 user guide; keys in it are URL-encoded, as a form is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import orjson

from mailloom.flow.commit import Arrived
from mailloom.flow.transform import refuse, seal
from mailloom.mail.model import Origin
from mailloom.ports import Delivery, Pointer, Poison

VERSION = 1  # of a pointer's JSON


class Told(NamedTuple):
    """What one message of S3 said: objects that came; how many records tell of something else; why (a part of) it is no event."""

    pointers: tuple[Pointer, ...]
    ignored: int
    refused: str


def read_event(body: str) -> Told:
    """An S3 event notification -> pointers. Never raises."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Told((), 0, "no S3 event: not JSON")
    if isinstance(event, dict) and event.get("Event") == "s3:TestEvent":  # sent once when notifications are set up
        return Told((), 1, "")
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list):
        return Told((), 0, "no S3 event: it has no Records")
    pointers, ignored, refused = [], 0, ""
    for number, record in enumerate(records):
        try:
            if not str(record["eventName"]).removeprefix("s3:").startswith("ObjectCreated:"):
                ignored += 1
                continue
            pointers.append(_created(record))
        except (KeyError, TypeError, ValueError) as error:
            refused = f"no S3 event: record {number}: {type(error).__name__}: {error}"
    return Told(tuple(pointers), ignored, refused)


def _created(record: Mapping[str, Any]) -> Pointer:
    thing = record["s3"]["object"]
    key, bucket = unquote_plus(thing["key"], errors="strict"), record["s3"]["bucket"]["name"]
    if not key or not isinstance(bucket, str) or not bucket:
        raise ValueError("a key or a bucket without a name")
    version = str(thing.get("versionId") or "")
    at = datetime.fromisoformat(record["eventTime"])
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return Pointer(
        bucket,
        key,
        "" if version == "null" else version,
        str(thing.get("eTag") or "").strip('"'),
        int(thing.get("size", 0)),
        int(at.timestamp() * 1000),
    )


def pointer_body(pointer: Pointer) -> str:
    """A pointer as the body of a message."""
    return orjson.dumps({"v": VERSION} | pointer._asdict()).decode()


def read_pointer(body: str) -> Pointer:
    """The pointer in a message. Raises Poison where it is none."""
    try:
        said = orjson.loads(body)
        if said["v"] != VERSION:
            raise Poison(f"no pointer: version {str(said['v'])[:20]}, this mailloom reads {VERSION}")
        pointer = Pointer(*(said[name] for name in Pointer._fields))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Poison(f"no pointer: {type(error).__name__}") from None
    texts = (pointer.bucket, pointer.key, pointer.version, pointer.etag)
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in (pointer.size, pointer.at))
    if not all(isinstance(text, str) for text in texts) or not whole or not pointer.bucket or not pointer.key:
        raise Poison("no pointer: a field of the wrong kind")
    return pointer


def origin(pointer: Pointer, length: int | None = None, received_at: int | None = None) -> Origin:
    """Where the mail that is this object came from."""
    size = pointer.size if length is None else length
    return Origin(pointer.source, pointer.key, 0, size, pointer.size, pointer.at * 1_000_000, received_at)


def rejected(pointer: Pointer, reason: str, now: int, raw: bytes | None = None) -> Arrived:
    """A pointer that comes to its end without a message; `raw`: what was read of it."""
    return Arrived(seal(refuse(origin(pointer), reason, raw)), 0, now, object=pointer.object)


def rejection(pointer: Pointer, reason: str, now: int) -> Delivery:
    """The ledger's row of such a one."""
    sealed = seal(refuse(origin(pointer), reason, None))
    return Delivery(
        sealed.origin, 0, now, "rejected", None, b"", sealed.trace, reason, sealed.version, object=pointer.object
    )
