"""Handlers for AWS Lambda: the same flow where there is no process of ours.

`validate`  S3's events, from a queue or directly    -> rows in the ledger, pointers in the work queue
`work`      pointers from the work queue             -> commits; what failed is named in batchItemFailures and comes again
`prefix`    {"bucket": ..., "prefix": ...}           -> works through it until a minute is left, keeps the place, hands on the rest
`manifest`  {"bucket": ..., "prefix": ..., "run": ...} -> lists the mail there, in parts of a manifest; goes on from its own answer
`enqueue`   {"bucket": ..., "Key": ...}              -> the mails of one part come to the workers as if they came just now
`settle`    {}                                       -> puts threads in order until a minute is left
`migrate`   {"phase": "before" or "after"}           -> brings tables up to this version, around its deployment

Clients and stores are made at the first call of a process and used by all later ones. Event source mappings need
ReportBatchItemFailures ("Using Lambda with Amazon SQS", AWS Lambda developer guide).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from mailloom import obs
from mailloom.ports import Failure, Ledger, Parcel, Pointer, Poison, Progress, Queue, Receipts, Transient, UserError
from mailloom.run import backfill
from mailloom.run.arrivals import SUSPECT, Mail, Transformer, Unit, fetch, land
from mailloom.run.arrivals import work as transformed
from mailloom.run.asked import as_object, body_of, count_of, name_of, text_of
from mailloom.run.causes import cause
from mailloom.run.pointers import dead_letter, read_pointer
from mailloom.run.prefix import Prefixes
from mailloom.run.rollout import PLAIN, Routes, routes_of
from mailloom.run.settler import Settler
from mailloom.run.validate import QUARANTINE, Buckets, Event, Validator
from mailloom.schema import VERSION

if TYPE_CHECKING:
    from mailloom.wire.profile import Servers

SPARE_MS = 60_000
"""Before its time is over a run stops: a batch may take that long."""
LAST_MS = 30_000
"""The same of a call with pointers, between two portions."""
PORTION_BYTES = 32 << 20
"""Of mail that such a call has in memory, for a batch may be a hundred mails of 10 MB."""
READERS = 16
Record = Mapping[str, Any]
"""A message of SQS as Lambda hands it over."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers work with. `stores` is called once, by the handlers that commit; `prefixes` is the queue that `prefix` sends itself
    on by (None: its caller goes on, told by "done" and "after").
    """

    stores: Callable[[], Unit]
    buckets: Buckets
    receipts: Receipts
    ledger: Ledger
    places: Progress
    work: Queue
    large: Queue | None = None
    dead: Queue | None = None
    prefixes: Queue | None = None
    keep: bool = False
    routes: Routes = PLAIN
    quarantine: str = QUARANTINE
    bucket: str = ""


class Context(Protocol):
    """What Lambda hands to a handler."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


_make: list[Callable[[], Parts]] = []


def opened(environ: Mapping[str, str]) -> Servers:
    """The servers of the profile that the environment names (MAILLOOM_PROFILE, else aws), with logs on. Raises UserError."""
    from mailloom.config import load
    from mailloom.wire.profile import open_servers

    settings = load(environ.get("MAILLOOM_PROFILE", "aws"), None, environ).settings
    obs.configure(replace(settings.obs, log=settings.obs.log or "info"))
    return open_servers(settings, environ)


def from_settings(environ: Mapping[str, str]) -> Parts:
    """The parts of that profile. Raises UserError where a setting is missing. Only `stores` needs PostgreSQL."""
    found = opened(environ)
    settings = found.settings

    def stores() -> Unit:
        found.check()
        return found.stores

    work, large, dead = found.queue("work"), found.queue_if_set("large"), found.queue_if_set("dead")
    return Parts(
        *(stores, found.buckets, found.receipts, found.objects, found.places, work, large, dead),
        routes=routes_of(settings.rollout, found.queue),
        quarantine=settings.aws.quarantine,
        bucket=settings.aws.bucket,
    )


def provide(make: Callable[[], Parts]) -> None:
    """Say how the parts are made otherwise, before the first event."""
    _make[:] = [make]
    _parts.cache_clear()
    _stores.cache_clear()
    _transformer.cache_clear()
    _servers.cache_clear()


@cache
def _parts() -> Parts:
    return _make[0]() if _make else from_settings(os.environ)


@cache
def _stores() -> Unit:
    return _parts().stores()


@cache
def _transformer() -> Transformer:
    return Transformer(1, keep=_parts().keep)


@cache
def _servers() -> Servers:
    return opened(os.environ)


# ------------------------------------------------------------------------------------------------ S3's events
def validate(event: Mapping[str, Any], context: Context | None = None) -> dict[str, Any]:  # noqa: ARG001  as Lambda calls it
    """S3's events in messages of SQS, or as S3 itself calls a function. Raises where a store is away: all come again."""
    validator = _validator(_parts())
    records = event.get("Records", ())
    try:
        if any("s3" in record for record in records):
            done = validator.validate([Event(orjson.dumps(event).decode())])
            if done.again:
                raise Transient("an object couldn't be read")
            return {"batchItemFailures": []}
        done = validator.validate([Event(record["body"], _attributes(record)) for record in records])
        return _failures([records[number] for number in sorted(done.again)])
    finally:
        obs.flush()


def _validator(parts: Parts) -> Validator:
    return Validator(
        *(parts.buckets, parts.receipts, parts.ledger, parts.work),
        large=parts.large,
        dead=parts.dead,
        routes=parts.routes,
        quarantine=parts.quarantine,
        bucket=parts.bucket,
    )


# ------------------------------------------------------------------------------------------------ pointers
def work(event: Mapping[str, Any], context: Context | None = None) -> dict[str, Any]:
    """Pointers in messages of SQS: those of mail that failed, or for which there was no time, or of all where a store is away, are named as failures."""
    parts, records = _parts(), list(event["Records"])
    try:
        with obs.batch("work", [_attributes(r) for r in records], [_number(r, "SentTimestamp") for r in records]):
            return _failures(_work(parts, records, context))
    finally:
        obs.flush()


def _work(parts: Parts, records: Sequence[Record], context: Context | None) -> list[Record]:
    """The records whose messages must come again."""
    pointers: dict[Pointer, list[Record]] = {}
    again: list[Record] = []
    letters: list[Parcel] = []
    for record in records:
        try:
            pointers.setdefault(read_pointer(record["body"]), []).append(record)
        except Poison as error:
            obs.count("errors", 1, kind="poison", place="pointer")
            if parts.dead is None:
                again.append(record)
            else:
                letters.append(dead_letter(record["body"], _attributes(record), str(error)))
    portions = deque(_portions(pointers))
    is_first = True
    while portions and (is_first or not _is_late(context, LAST_MS)):
        try:
            again += _landed(parts, portions[0], context)
        except Transient as error:
            obs.log.warning("mails are given back", mails=sum(map(len, portions)), why=str(error))
            break
        portions.popleft()
        is_first = False
    again += [record for portion in portions for some in portion.values() for record in some]
    # Last: where the call fails all come again, and each time there would be a letter more.
    if parts.dead is not None and letters:
        parts.dead.send(letters)
    return again


def _portions(pointers: Mapping[Pointer, list[Record]]) -> Iterator[dict[Pointer, list[Record]]]:
    """What is in memory at a time: about PORTION_BYTES of mail. What may have ended calls before comes last, each by itself."""
    suspects = {pointer for pointer, records in pointers.items() if _attempts(records) >= SUSPECT}
    portion: dict[Pointer, list[Record]] = {}
    for pointer, records in pointers.items():
        if pointer in suspects:
            continue
        if portion and sum(one.size for one in portion) + pointer.size > PORTION_BYTES:
            yield portion
            portion = {}
        portion[pointer] = records
    if portion:
        yield portion
    for pointer in suspects:
        yield {pointer: pointers[pointer]}


def _landed(parts: Parts, pointers: Mapping[Pointer, Sequence[Record]], context: Context | None) -> list[Record]:
    """The records of mail that must come again. Raises Transient where that are all, UserError."""
    mails, failed = _read(parts, list(pointers))
    if any(_attempts(records) >= SUSPECT for records in pointers.values()):
        limit = None if context is None else context.get_remaining_time_in_millis() / 2000
        worked = _transformer().alone(mails, limit)
    else:
        worked = transformed(mails, keep=parts.keep)
    landed = land(mails, worked, _stores(), keep=parts.keep)
    failed |= {mails[number].pointer: error for number, error in landed.failed.items()}
    again: list[Record] = []
    failures: dict[Pointer, Failure] = {}
    for pointer, why in failed.items():
        again += pointers[pointer]
        if not isinstance(why, Transient):
            obs.count("errors", 1, kind="bug", place="worker")
            obs.log.error("mail failed", why, source=pointer.source, path=pointer.key)
            failures[pointer] = Failure(cause(why), VERSION, _attempts(pointers[pointer]))
    if failures:
        parts.receipts.failed(failures)
    return again


def _read(parts: Parts, pointers: Sequence[Pointer]) -> tuple[list[Mail], dict[Pointer, Exception]]:
    def one(pointer: Pointer) -> Mail | Exception:
        try:
            return fetch(parts.buckets(pointer.bucket), pointer)
        except Exception as error:  # noqa: BLE001  one object must not hold others
            return error

    if not pointers:
        return [], {}
    with ThreadPoolExecutor(min(READERS, len(pointers))) as readers:
        found = dict(zip(pointers, readers.map(one, pointers), strict=True))
    mails = [mail for mail in found.values() if isinstance(mail, Mail)]
    return mails, {pointer: error for pointer, error in found.items() if isinstance(error, Exception)}


# ------------------------------------------------------------------------------------------------ prefixes
def prefix(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """{"bucket", "prefix"}, or messages of SQS with that -> {"done", "after", "received", "failed"} of the last one."""
    parts = _parts()
    asked = [body_of(record) for record in event["Records"]] if "Records" in event else [event]
    runs = Prefixes(
        *(parts.buckets, _stores(), parts.receipts, parts.places, parts.work, parts.keep, parts.quarantine),
        large=parts.large,
        routes=parts.routes,
    )
    answer: dict[str, Any] = {}
    try:
        for one in asked:
            rest = {"bucket": name_of(one, "bucket"), "prefix": text_of(one, "prefix")}
            did = runs.run(rest["bucket"], rest["prefix"], lambda: _is_late(context))
            answer = {**rest, **did._asdict()}
            if not did.done and parts.prefixes is not None:
                parts.prefixes.send([Parcel(orjson.dumps(rest).decode())])
    finally:
        obs.flush()
    return answer


# ------------------------------------------------------------------------------------------------ a bucket's mail, by a state machine
def manifest(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """{"bucket", "prefix"}, with "run" (else the id of the call) and "batch" (mails a part) if wanted -> the same with {"done", "after", "parts",
    "objects", "bytes"} and {"manifest": {"bucket", "prefix"}}, where the parts are. While "done" is false it is to be called with its own answer.
    """
    parts = _parts()
    bucket, prefix = name_of(event, "bucket", parts.bucket), text_of(event, "prefix")
    run = text_of(event, "run", "") or context.aws_request_id
    size = count_of(event, "batch", backfill.PART_MAILS)
    counts = (count_of(event, name, 0) for name in ("parts", "objects", "bytes"))
    so_far = backfill.Listed(False, text_of(event, "after", ""), *counts)
    try:
        listing = backfill.Manifest(bucket, parts.buckets(bucket), run, parts.quarantine, size)
        did = listing.write(prefix, so_far, lambda: _is_late(context))
    finally:
        obs.flush()
    asked = {"bucket": bucket, "prefix": prefix, "run": run, "batch": size}
    return {**asked, **did._asdict(), "manifest": {"bucket": bucket, "prefix": backfill.prefix_of(run)}}


def enqueue(event: Mapping[str, Any], context: Context | None = None) -> dict[str, Any]:  # noqa: ARG001  as Lambda calls it
    """{"bucket", "Key"}, a part of a manifest, or a batch of a Distributed Map ({"BatchInput": {"bucket"}, "Items": [{"Key"}, ...]}) ->
    {"listed", "finished", "queued", "rejected"}. Raises where some mail couldn't be looked at: the same again does the rest.
    """
    parts = _parts()
    whole = as_object(event)
    keys = [name_of(item, "Key") for item in whole.get("Items", [event])]
    blobs = parts.buckets(name_of(whole.get("BatchInput", event), "bucket", parts.bucket))
    try:
        did = [backfill.enqueue(key, blobs, parts.receipts, _validator(parts)) for key in keys]
    finally:
        obs.flush()
    return backfill.Enqueued(*(sum(one) for one in zip(*did, strict=True)))._asdict()


# ------------------------------------------------------------------------------------------------ upkeep
def settle(event: Mapping[str, Any], context: Context) -> dict[str, Any]:  # noqa: ARG001  as Lambda calls it
    """One run -> {"done", "looked", "changed"}. While "done" is false there is more: time was over, or another settle took over. Raises
    where a store is away.
    """
    late: list[bool] = []

    def stopped() -> bool:
        late.append(_is_late(context))
        return late[-1]

    servers = _servers()
    try:
        servers.check()
        settler = Settler(servers.threads, servers.settings.settle.seconds)
        did = settler.once(stopped)
    finally:
        obs.flush()
    if did is None:
        if settler.failures:
            raise Transient(settler.words)
        return {"done": False, "looked": 0, "changed": 0}
    return {"done": not late[-1], "looked": did.looked, "changed": did.changed}


def migrate(event: Mapping[str, Any] | None, context: Context | None = None) -> dict[str, Any]:  # noqa: ARG001  as Lambda calls it
    """{"phase": "before"} (or nothing) a deployment, "after" it -> {"done": what was done, in words}. Raises, so that the deployment fails.

    As a custom resource of CloudFormation it is asked by `ResourceProperties`; that a resource is taken out of a template undoes nothing.
    """
    asked = as_object(event or {})
    if asked.get("RequestType") == "Delete":
        return {"done": []}
    phase = as_object(asked.get("ResourceProperties", asked)).get("phase", "before")
    if phase not in ("before", "after"):  # it may be anything, and a set asks for a hash
        raise UserError(f"there is no phase {phase!r} of a migration: before, after")
    try:
        return {"done": list(_servers().migrate(after=phase == "after"))}
    finally:
        obs.flush()


# ------------------------------------------------------------------------------------------------ Lambda's forms
def _is_late(context: Context | None, spare: int = SPARE_MS) -> bool:
    return context is not None and context.get_remaining_time_in_millis() < spare


def _attempts(records: Sequence[Record]) -> int:
    return max(_number(record, "ApproximateReceiveCount") for record in records)


def _failures(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}


def _attributes(record: Mapping[str, Any]) -> dict[str, str]:
    own = {n: v["stringValue"] for n, v in (record.get("messageAttributes") or {}).items() if v.get("stringValue")}
    trace = (record.get("attributes") or {}).get("AWSTraceHeader")
    return own | ({"AWSTraceHeader": trace} if trace else {})


def _number(record: Mapping[str, Any], name: str) -> int:
    return int((record.get("attributes") or {}).get(name, 0))
