"""What was rejected, grouped by reason, and running again what was kept of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mailloom.archive import Archive
from mailloom.cli import draw, on_servers
from mailloom.cli.reading import reading

SHOWN = 10  # places of one reason: --json lists all


def rejected(archive: Archive, *, foreign: bool) -> list[dict[str, Any]]:
    names = ("source", "path", "start", "length", "state", "reason", "version", "read_at", "stored_at", "raw_sha256")
    found = []
    for copy in archive.deliveries.rejected(foreign=foreign):
        value = {name: getattr(copy, name) for name in names}
        value |= {name: draw.iso(value[name]) for name in ("read_at", "stored_at")}
        value["raw_sha256"] = value["raw_sha256"].hex() if value["raw_sha256"] else None
        found.append(value)
    return found


def lines(found: Sequence[dict[str, Any]], *, room: int) -> Iterator[str]:
    if not found:
        yield "nothing was rejected"
        return
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for one in found:
        groups[one["state"], _kind(one["reason"])].append(one)
    for (state, kind), members in sorted(groups.items(), key=lambda group: (group[0][0] == "foreign", -len(group[1]))):
        title = f"{len(members):,} {'not mail' if state == 'foreign' else 'rejected'}: {draw.safe(kind)}"
        yield draw.bold(draw.clip(title, room))
        for one in members[:SHOWN]:
            place = f"{one['source']}{'/' if one['path'] else ''}{one['path']}"
            at = f" at byte {one['start']:,}" if one["start"] else ""
            yield f"  {draw.safe(place)}{at}"
            if one["reason"] != kind:
                yield from (f"      {draw.dim(line)}" for line in draw.wrap(draw.safe(one["reason"]), room - 6))
        if len(members) > SHOWN:
            yield draw.dim(f"  … {len(members) - SHOWN:,} more (--json lists all)")
        yield f"  {advice(state, kind)}"
        yield ""


def _kind(reason: str) -> str:
    """A reason without the path it names."""
    if reason.startswith("bug: "):
        return reason
    return reason.split(": ", 1)[0]


def advice(state: str, kind: str) -> str:
    if state == "foreign":
        return "These hold no mail: nothing is to be done. Where one does, name it as a source of its own."
    if kind.startswith("bug: "):
        return "A fault of Mailloom's: their bytes are kept. Report it; a later version takes them in by `mailloom rejected --retry`."
    return "Mend that, then run the same ingest again: what is in already is left alone."


def retry(folder: Path, *, as_json: bool) -> int:
    """Run rejected deliveries again whose bytes were kept. Exit code 1 where some are rejected still."""
    from mailloom.run import ingest
    from mailloom.wire import open_for_writing

    if on_servers():
        return _sent_again(as_json=as_json)
    with open_for_writing(folder) as stores:
        books = ingest.retry(stores)
    with reading(folder) as archive:
        left = rejected(archive, foreign=False)
    without = sum(one["raw_sha256"] is None for one in left)
    if as_json:
        draw.say_json(
            {"tried": books.received, "stored": books.stored, "duplicate": books.duplicate, "rejected": len(left)}
        )
    else:
        draw.say(
            f"ran {books.received:,} again: stored {books.stored:,}, duplicate {books.duplicate:,}; rejected still {len(left):,}"
        )
        if without:
            draw.say(
                f"{without:,} of these could not be read, so no bytes were kept: run their ingest again once that is mended"
            )
        if left:
            draw.say("`mailloom rejected` says which and why")
    return 1 if left else 0


def _sent_again(*, as_json: bool) -> int:
    """The same on servers: workers do it."""
    from mailloom.cli.servers import servers
    from mailloom.run.again import LOST_MS, send_again, worth_it
    from mailloom.run.rollout import routes_of
    from mailloom.wire.clock import now_ms

    with servers() as found:
        rejected, lost = found.objects.rejected(), found.objects.pending(now_ms() - LOST_MS)
        rows = [row for row in rejected if worth_it(row)] + lost
        routes = routes_of(found.settings.rollout, found.queue)
        count = send_again(rows, found.queue("work"), found.queue_if_set("large"), routes)
    if as_json:
        draw.say_json({"sent": count, "rejected": len(rejected), "lost": len(lost)})
    else:
        draw.say(f"{draw.several(count, 'mail')} sent to the workers again, {len(lost):,} of them pending for too long")
    return 0
