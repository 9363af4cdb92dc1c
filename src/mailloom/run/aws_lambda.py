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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from mailloom import obs
from mailloom.ports import Failure, Ledger, Parcel, Pointer, Poison, Progress, Queue, Receipts, Transient, UserError
from mailloom.run import backfill
from mailloom.run.arrivals import Mail, Unit, fetch, land
from mailloom.run.arrivals import work as transformed
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
READERS = 16


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
    _servers.cache_clear()


@cache
def _parts() -> Parts:
    return _make[0]() if _make else from_settings(os.environ)


@cache
def _stores() -> Unit:
    return _parts().stores()


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
def work(event: Mapping[str, Any], context: Context | None = None) -> dict[str, Any]:  # noqa: ARG001  as Lambda calls it
    """Pointers in messages of SQS: those of mail that failed, or of all where a store is away, are named as failures."""
    parts, records = _parts(), list(event["Records"])
    try:
        with obs.batch("work", [_attributes(r) for r in records], [_number(r, "SentTimestamp") for r in records]):
            return _failures(_work(parts, records))
    finally:
        obs.flush()


def _work(parts: Parts, records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The records whose messages must come again."""
    pointers: dict[Pointer, list[Mapping[str, Any]]] = {}
    again: list[Mapping[str, Any]] = []
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
    again += _landed(parts, pointers)
    if (
        parts.dead is not None and letters
    ):  # last: where the call fails all come again, and each time there would be a letter more
        parts.dead.send(letters)
    return again


def _landed(parts: Parts, pointers: Mapping[Pointer, Sequence[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """The records of mail that must come again."""
    mails, failed = _read(parts, list(pointers))
    try:
        landed = land(mails, transformed(mails, keep=parts.keep), _stores(), keep=parts.keep)
    except Transient as error:
        obs.log.warning("mails are given back", mails=len(mails), why=str(error))
        return [record for some in pointers.values() for record in some]
    failed |= {mails[number].pointer: error for number, error in landed.failed.items()}
    again: list[Mapping[str, Any]] = []
    failures: dict[Pointer, Failure] = {}
    for pointer, why in failed.items():
        again += pointers[pointer]
        if not isinstance(why, Transient):
            obs.count("errors", 1, kind="bug", place="worker")
            obs.log.error("mail failed", why, source=pointer.source, path=pointer.key)
            attempts = max(_number(record, "ApproximateReceiveCount") for record in pointers[pointer])
            failures[pointer] = Failure(cause(why), VERSION, attempts)
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
    asked = [_json(record) for record in event["Records"]] if "Records" in event else [event]
    runs = Prefixes(
        *(parts.buckets, _stores(), parts.receipts, parts.places, parts.work, parts.keep, parts.quarantine),
        large=parts.large,
        routes=parts.routes,
    )
    answer: dict[str, Any] = {}
    try:
        for one in asked:
            rest = {"bucket": _name(one, "bucket"), "prefix": _text(one, "prefix")}
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
    bucket, prefix = _name(event, "bucket", parts.bucket), _text(event, "prefix")
    run = _text(event, "run", "") or context.aws_request_id
    size = _count(event, "batch", backfill.PART_MAILS)
    counts = (_count(event, name, 0) for name in ("parts", "objects", "bytes"))
    so_far = backfill.Listed(False, _text(event, "after", ""), *counts)
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
    whole = _event(event)
    keys = [_name(item, "Key") for item in whole.get("Items", [event])]
    blobs = parts.buckets(_name(whole.get("BatchInput", event), "bucket", parts.bucket))
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
    asked = _event(event or {})
    if asked.get("RequestType") == "Delete":
        return {"done": []}
    phase = _event(asked.get("ResourceProperties", asked)).get("phase", "before")
    if phase not in ("before", "after"):  # it may be anything, and a set asks for a hash
        raise UserError(f"there is no phase {phase!r} of a migration: before, after")
    try:
        return {"done": list(_servers().migrate(after=phase == "after"))}
    finally:
        obs.flush()


# ------------------------------------------------------------------------------------------------ what is asked for
def _event(event: object) -> Mapping[str, Any]:
    if not isinstance(event, Mapping):
        raise UserError(f"the event is {str(event)[:100]!r}, and no object: docs/operations.md has each handler's")
    return event


def _text(event: object, name: str, default: str | None = None) -> str:
    """A member of an event. Raises UserError where it is no text, or missing without a default."""
    found = _event(event).get(name)
    if found is None and default is not None:
        return default
    if not isinstance(found, str):
        raise UserError(
            f"the event's {name!r} is {str(found)[:100]}, and has to be a text: docs/operations.md has each handler's event"
        )
    return found


def _name(event: object, name: str, default: str | None = None) -> str:
    """The same of what may not be empty."""
    found = _text(event, name, default) or default
    if not found:
        raise UserError(f"the event's {name!r} is empty: docs/operations.md has each handler's event")
    return found


def _count(event: object, name: str, default: int) -> int:
    found = _event(event).get(name)
    if found is None:
        return default
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise UserError(f"the event's {name!r} is {str(found)[:100]}, and has to be a whole number from 0 on")
    return found


def _json(record: Mapping[str, Any]) -> Any:
    """The body of a message of SQS."""
    try:
        return orjson.loads(record["body"])
    except orjson.JSONDecodeError:
        raise UserError(
            f"the message {record.get('messageId', '')} is not JSON: docs/operations.md has each handler's event"
        ) from None


# ------------------------------------------------------------------------------------------------ Lambda's forms
def _is_late(context: Context) -> bool:
    return context.get_remaining_time_in_millis() < SPARE_MS


def _failures(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in records]}


def _attributes(record: Mapping[str, Any]) -> dict[str, str]:
    own = {n: v["stringValue"] for n, v in (record.get("messageAttributes") or {}).items() if v.get("stringValue")}
    trace = (record.get("attributes") or {}).get("AWSTraceHeader")
    return own | ({"AWSTraceHeader": trace} if trace else {})


def _number(record: Mapping[str, Any], name: str) -> int:
    return int((record.get("attributes") or {}).get(name, 0))
