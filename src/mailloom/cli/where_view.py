"""What became of each delivery of a mail, step by step, with its times: the ledger in words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mailloom.archive import Archive, Copy, NotFoundError
from mailloom.cli import draw
from mailloom.mail.model import MessageId
from mailloom.schema import text_id

S3 = "s3://"
SHOWN = 20  # deliveries that are told of a mailbox with thousands


def of_path(archive: Archive, name: str) -> Sequence[Copy]:
    """The deliveries of a file: by its path on disk, its path inside a source, or the end of one. Oldest first."""
    if name.startswith(S3):
        bucket, _, key = name.removeprefix(S3).partition("/")
        if found := archive.deliveries.delivered([(f"{S3}{bucket}", key)]):
            return found
    places = [
        (source, path) for source in archive.deliveries.sources() for path in dict.fromkeys(_inside(source, name))
    ]
    return archive.deliveries.delivered(places) or archive.deliveries.ending(name)


def _inside(source: str, name: str) -> Iterator[str]:
    """How a source may call this file: as given, or by what lies behind the source's own path; a Maildir's mail without cur/ and flags."""
    whole = os.path.abspath(name)  # noqa: PTH100  Path.resolve would follow links, which sources do not
    for path in (
        name,
        whole[len(source) :].lstrip("/") if whole == source or whole.startswith(source.rstrip("/") + "/") else name,
    ):
        yield path
        folder, _, file = path.rpartition("/")
        if folder.rpartition("/")[2] in {"cur", "new"}:
            yield f"{folder.rpartition('/')[0]}/{file.partition(':2,')[0]}".lstrip("/")


def arrivals(archive: Archive, name: str) -> Sequence[Copy]:
    """What a name means: a path first where it looks like one or is one, else an id or Message-ID. Raises NotFoundError."""
    as_path = "/" in name or Path(name).exists()
    if as_path and (found := of_path(archive, name)):
        return found
    try:
        return _landed(archive, archive.copies(archive.find(name)))
    except NotFoundError:
        if not as_path and (found := of_path(archive, name)):
            return found
        raise NotFoundError(
            f"nothing here is called {name!r}: give a path as it was ingested, an id or a Message-ID; `mailloom search in:SOURCE`"
            " lists a source, `mailloom rejected` what was not stored"
        ) from None


def _landed(archive: Archive, copies: Sequence[Copy]) -> Sequence[Copy]:
    """With what a ledger of objects knows besides: when each landed, and which version of it this is."""
    objects = dict.fromkeys((c.source, c.path) for c in copies if c.source.startswith(S3))
    if not objects:
        return copies
    told = {(c.source, c.path, c.raw_sha256): c for c in archive.deliveries.delivered(list(objects))}
    return [told.get((c.source, c.path, c.raw_sha256), c) for c in copies]


def steps(archive: Archive, one: Copy) -> list[dict[str, Any]]:
    """What happened to a delivery, in order: {step, at (ISO, "" where no time is kept), detail}."""
    told: list[tuple[str, int | None, str]] = []
    if one.received_at is not None and one.source.startswith(S3):
        told.append(("landed", one.received_at, f"{draw.several(one.length, 'byte')} in its bucket"))
    elif one.received_at is not None:
        told.append(("received", one.received_at, "by its mailbox, as the mailbox says"))
    if one.state == "received":
        why = f", last tried in vain: {one.reason} (version {one.version})" if one.reason else ""
        told.append(("waits", None, f"for a worker{why}"))
    else:
        told.append(
            ("read", one.read_at, f"{draw.several(one.length, 'byte')}, sha256 {one.raw_sha256.hex() or 'none'}")
        )
        told.append(_end(one))
    told.append(("raw", None, archive.readable.raw_at(one) or "its bytes are not kept"))
    if one.message is not None:
        told += _message_steps(archive, one.message)
    return [{"step": step, "at": draw.iso(at), "detail": detail} for step, at, detail in told]


def _end(one: Copy) -> tuple[str, int | None, str]:
    if one.message is None:
        return one.state, one.stored_at, f"{one.reason} (version {one.version})"
    what = "as" if one.state == "stored" else "of"
    return one.state, one.stored_at, f"{what} {text_id(one.message)} (version {one.version})"


def _message_steps(archive: Archive, message: MessageId) -> Iterator[tuple[str, int | None, str]]:
    with archive.snapshot():
        if not archive.messages.summaries([message]):
            return
        if analysed := archive.readable.analysed_at(message):
            yield "parquet", None, analysed
        for at, entry in archive.evidence.told([message]):
            yield "thread renamed", at, f"{entry.why}: the thread it named is in {entry.new[0].hex()} now"
        marked = archive.evidence.unsettled([message])
        state = "waits for settle (the next ingest does it)" if marked else "settled"
        yield "thread", None, f"{text_id(archive.conversation(message))}, {state}"


def lines(archive: Archive, found: Sequence[Copy], *, room: int) -> Iterator[str]:
    for one in found[:SHOWN]:
        place = f"{one.source}{'/' if one.path else ''}{one.path}"
        yield draw.bold(draw.safe(place)) + (f" bytes {one.start:,}-{one.start + one.length:,}" if one.start else "")
        more = [f"folder {one.folder}" if one.folder else "", f"labels {one.labels}" if one.labels else ""]
        more += [
            f"flags {one.flags}" if one.flags else "",
            f"content number {one.generation + 1}" if one.generation else "",
        ]
        if any(more):
            yield f"  {draw.safe(', '.join(part for part in more if part))}"
        for step in steps(archive, one):
            head = f"  {step['at']:<24}  {step['step']:<14}  "
            for number, line in enumerate(draw.wrap(draw.safe(step["detail"]), max(30, room - len(head)))):
                yield (draw.dim(head) if number == 0 else " " * len(head)) + line
        yield ""
    if len(found) > SHOWN:
        yield draw.dim(f"… {len(found) - SHOWN:,} more (--json has all)")


def value(archive: Archive, one: Copy) -> dict[str, Any]:
    told = asdict(one)
    del told["trace"]  # it has fields of its own in `show`
    return {
        **told,
        "message": text_id(one.message) if one.message else None,
        "raw_sha256": one.raw_sha256.hex(),
        "received_at": draw.iso(one.received_at) or None,
        "read_at": draw.iso(one.read_at),
        "stored_at": draw.iso(one.stored_at),
        "steps": steps(archive, one),
    }
