"""What queues carry: S3's events, and the pointers that we make of them. Never mail.

An event message has the structure of "Event message structure" in the S3 user guide; keys in it are URL-encoded, as a form is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import orjson

from mailloom import obs
from mailloom.flow.commit import Arrived
from mailloom.flow.transform import refuse, seal
from mailloom.mail.model import Origin
from mailloom.ports import Delivery, Parcel, Pointer, Poison, Queue, Transient, UserError
from mailloom.run.rollout import PLAIN, Routes

VERSION = 1  # of a pointer's JSON
NAME_BYTES = 1024
"""Of a key: S3 has none longer."""
LARGEST = 1 << 53  # bytes: no number in JSON is surer
LAST_MS = (1 << 63) // 1_000_000  # in the year 2262: nanoseconds are kept in 64 bits
LETTER_BYTES = 200_000  # of a message that becomes a dead letter: it gets a cause besides, and queues take 256 KB
CONTEXT = 512  # characters of one part of a trace's context: what W3C allows
_TAG = re.compile(r"[!#-~]{0,1000}")  # a part of a key in DynamoDB, and a header
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")


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
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            refused = f"no S3 event: record {number}: {type(error).__name__}: {error}"[:300]
    return Told(tuple(pointers), ignored, refused)


def _created(record: Mapping[str, Any]) -> Pointer:
    thing, bucket = record["s3"]["object"], record["s3"]["bucket"]["name"]
    if not all(isinstance(text, str) for text in (bucket, thing["key"], record["eventTime"])):
        raise TypeError("a name or the time is no text")
    version = str(thing.get("versionId") or "")
    at = datetime.fromisoformat(record["eventTime"])
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    pointer = Pointer(
        bucket,
        unquote_plus(thing["key"], errors="strict"),
        "" if version == "null" else version,
        str(thing.get("eTag") or "").strip('"'),
        int(thing.get("size", 0)),
        int(at.timestamp() * 1000),
    )
    if fault := _fault(pointer):
        raise ValueError(fault)
    return pointer


def _fault(pointer: Pointer) -> str:
    """Why S3 can't have such an object, "" if it can: so nothing that a store refuses comes further than this."""
    if not _BUCKET.fullmatch(pointer.bucket):
        return "no bucket has such a name"
    if not pointer.key or len(pointer.key.encode("utf-8", "replace")) > NAME_BYTES:
        return f"a key has 1 to {NAME_BYTES} bytes"
    if not pointer.object or not all(_TAG.fullmatch(text) for text in (pointer.version, pointer.etag)):
        return "a version id or an ETag that can't be"
    if not (0 <= pointer.size <= LARGEST and 0 <= pointer.at < LAST_MS):
        return "a size or a time that can't be"
    return ""


def pointer_body(pointer: Pointer) -> str:
    """A pointer as the body of a message."""
    body = orjson.dumps({"v": VERSION} | pointer._asdict()).decode()
    return body.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")  # SQS takes what XML 1.0 does


def passed_on(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """The context of a trace as it came."""
    found = {name: attributes.get(name, "") for name in ("traceparent", "tracestate", "AWSTraceHeader")}
    return {name: value for name, value in found.items() if 0 < len(value) <= CONTEXT}


COPY = "copy"
"""The attribute by which a copy is known from the pointer itself, wherever it comes to lie: nothing may be done to the mail because of it."""
LARGE_BYTES = 10 << 20
"""Mail above this goes to a queue of its own, whose workers have the memory for it."""


class Sent(NamedTuple):
    """How many pointers went to each queue."""

    work: int
    large: int
    next: int


def dispatch(
    pointers: Sequence[tuple[Pointer, Mapping[str, str]]],
    work: Queue,
    large: Queue | None = None,
    routes: Routes = PLAIN,
) -> Sent:
    """Send pointers, each with the context of its trace, to the queue for their size (`large` None: as all others), those of little mail to
    `work` or, by their share, to `next`.
    """
    to: dict[str, list[Parcel]] = {"work": [], "large": [], "next": []}
    for pointer, trace in pointers:
        is_large = large is not None and pointer.size > LARGE_BYTES
        way = "large" if is_large else "next" if routes.to_next(pointer) else "work"
        to[way].append(Parcel(pointer_body(pointer), trace))
    for queue, way in ((work, "work"), (large, "large"), (routes.next, "next")):
        if queue is not None and to[way]:
            queue.send(to[way])
    return Sent(*(len(some) for some in to.values()))


def copy_to_shadow(pointers: Sequence[tuple[Pointer, Mapping[str, str]]], routes: Routes) -> None:
    """Send copies of the pointers of this share, but of large mail, to the queue `shadow`. A copy that it doesn't take is lost, which is counted:
    it was a sample, and no mail may wait for it.
    """
    some = [
        Parcel(pointer_body(pointer), {**trace, COPY: "shadow"})
        for pointer, trace in pointers
        if pointer.size <= LARGE_BYTES and routes.to_shadow(pointer)
    ]
    if routes.shadow is None or not some:
        return
    try:
        routes.shadow.send(some)
    except UserError as error:
        kind = "transient" if isinstance(error, Transient) else "poison"
        obs.count("errors", len(some), kind=kind, place="shadow")
        obs.log.warning("copies for the shadow worker are lost", copies=len(some), why=str(error))


def dead_letter(body: str, attributes: Mapping[str, str], cause: str) -> Parcel:
    """A message that nobody can work on, as the dead letters get it. It came from a stranger: what would be too large with its cause is cut, and
    characters that no attribute may have are replaced, or this one message would stop who found it.
    """
    cut = body.encode()[:LETTER_BYTES].decode("utf-8", "ignore")
    words = "".join(c if c.isprintable() else "?" for c in cause[:500])
    return Parcel(cut, {**passed_on(attributes), "cause": words})


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
    if not all(isinstance(text, str) for text in texts) or not whole:
        raise Poison("no pointer: a field of the wrong kind")
    if fault := _fault(pointer):
        raise Poison(f"no pointer: {fault}")
    return pointer


def origin(pointer: Pointer, length: int | None = None, received_at: int | None = None) -> Origin:
    """Where the mail that is this object came from: its folder is what its key says before the last "/", as where a bucket is read into a folder."""
    size = pointer.size if length is None else length
    folder = pointer.key.rpartition("/")[0]
    return Origin(
        pointer.source, pointer.key, 0, size, pointer.size, pointer.at * 1_000_000, received_at, folder=folder
    )


def rejected(pointer: Pointer, reason: str, now: int, raw: bytes | None = None) -> Arrived:
    """A pointer that comes to its end without a message; `raw`: what was read of it."""
    return Arrived(seal(refuse(origin(pointer), reason, raw)), 0, now, object=pointer.object)


def rejection(pointer: Pointer, reason: str, now: int) -> Delivery:
    """The ledger's row of such a one."""
    sealed = seal(refuse(origin(pointer), reason, None))
    return Delivery(
        sealed.origin, 0, now, "rejected", None, b"", sealed.trace, reason, sealed.version, object=pointer.object
    )
