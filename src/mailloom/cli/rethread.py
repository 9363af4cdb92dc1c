"""`mailloom rethread`: derive all threads again, and tell what that changes and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from mailloom.archive import Archive
from mailloom.archive.changes import Change, Changes, Part
from mailloom.archive.rethread import preview
from mailloom.archive.rethread import rethread as derive_again
from mailloom.cli import archive_option, draw, folder_only, jobs_option, json_option, quiet_option
from mailloom.cli.bar import bar
from mailloom.cli.reading import reading
from mailloom.run.pool import spread
from mailloom.schema import text_id
from mailloom.thread.keys import RULES
from mailloom.wire import open_for_writing


@click.command()
@click.option(
    "--dry-run", is_flag=True, help="Only tell what would change. The archive is read, and others may write to it."
)
@click.option(
    "--limit", "-n", type=click.IntRange(0), default=10, show_default=True, help="Print at most so many changes."
)
@jobs_option
@archive_option
@json_option
@quiet_option
def rethread(dry_run: bool, limit: int, jobs: int, archive: Path, as_json: bool, quiet: bool) -> int:
    """Derive all threads again by the rules of this version.

    Tells what changes and why, and switches to them at once.

    Run it after an update that has better rules; `mailloom stats` and `doctor` say so. It reads the stored records, not the mail. Until
    the switch everybody sees the threads as they were, and where it is stopped they stay so. --json prints a line a change and
    one with the sums.
    """
    stopped: BrokenPipeError | None = None
    with _opened(archive, dry_run=dry_run) as opened, ExitStack() as stack:
        total = len(opened)
        with bar(lambda: total, quiet=quiet) as show:

            def progress(messages: int) -> None:
                if show:
                    show(f"{messages:,} messages" if messages < total else "settling ...", messages)

            if dry_run:
                changes = stack.enter_context(preview(opened, spread=spread(jobs), progress=progress))
            else:
                changes = stack.enter_context(derive_again(opened.stores, spread=spread(jobs), progress=progress))
        try:
            if as_json:
                _report_json(changes, dry_run)
            else:
                _report(opened, changes, limit)
        except BrokenPipeError as error:
            stopped = error  # `mailloom rethread | head` has seen enough; the switch was asked for all the same
    if stopped is not None:
        raise stopped
    if not as_json:
        draw.say(
            "nothing was touched: `mailloom rethread` without --dry-run does it"
            if dry_run
            else f"done: these threads count from now on (rules {RULES})"
        )
    return 0


@contextmanager
def _opened(folder: Path, *, dry_run: bool) -> Iterator[Archive]:
    """The archive, for writing only where it exists: re-threading makes none."""
    folder_only()
    with reading(folder) as opened:
        if dry_run:
            yield opened
            return
    with open_for_writing(folder) as stores:
        yield Archive(stores)


def _report_json(changes: Changes, dry_run: bool) -> None:
    for change in changes:
        before, after = (
            [{"thread": text_id(one.thread), "messages": one.messages} for one in parts]
            for parts in (change.before, change.after)
        )
        draw.say_json({**change._asdict(), "oldest": text_id(change.oldest), "before": before, "after": after})
    draw.say_json({"rules": RULES, "dry_run": dry_run, **changes.counts._asdict()})


_LINKS = {
    "message-id": "the same Message-ID",
    "in-reply-to": "In-Reply-To",
    "references": "References",
    "alias": "the id that a mail was resent under",
    "thread-index": "Thread-Index",
    "twin": "the same content under another id",
    "subject": "the subject",
    "wrote": "a quote's head, which says who wrote when",
    "text": "quoted words",
    "siblings": "quotes of the same missing mail",
    "again": "the same words sent again",
    "ticket": "the same ticket",
    "series": "a numbered series",
}
"""What a kind of link is to a person; a kind that is not here is named as it is."""


def _report(archive: Archive, changes: Changes, limit: int) -> None:
    counts = changes.counts
    restated = f", {counts.restated:,} of which state other evidence than before" if counts.restated else ""
    draw.say(f"{draw.several(counts.messages, 'message')} read again by rules {RULES}{restated}")
    kinds = {"joined": counts.joined, "split": counts.split, "regrouped": counts.regrouped}
    total = sum(kinds.values())
    if not total:
        draw.say(f"{draw.several(counts.before, 'thread')}, none of them changes")
        return
    told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    draw.say(
        f"{counts.before:,} threads become {counts.after:,}: {told};"
        f" {draw.several(counts.renamed, 'message')} in a thread of another id"
    )
    for change in list(changes.largest(limit)):
        for line in ("", *_told(archive, change)):
            draw.say(line)
    if total > limit:
        more = draw.several(total - limit, "more change")
        draw.say("\n" + draw.dim(f"{more}: --limit N shows more, --json has all"))
    draw.say()


def _told(archive: Archive, change: Change) -> Iterator[str]:
    room = draw.width()
    before, after = (draw.several(count, "thread") for count in (change.befores, change.afters))
    yield f"{draw.bold(change.kind)}  {before} → {after}, {draw.several(change.messages, 'message')}"
    for says, kinds in (("now joined by", change.joins), ("no longer joined by", change.parts)):
        if kinds:
            yield from (f"  {line}" for line in draw.wrap(f"{says} {_kinds(kinds)}", room - 2))
    if change.kind != "split":
        yield from _threads(archive, change.before, change.befores, room)
    if change.kind == "regrouped":
        yield "  become"
    if change.kind != "joined":
        yield from _threads(archive, change.after, change.afters, room)


def _threads(archive: Archive, parts: Sequence[Part], count: int, room: int) -> Iterator[str]:
    """Each by its oldest message: whether they belong together, a person sees by who wrote what when."""
    for part in parts:
        oldest = archive.summary(part.thread)
        name = archive.short(part.thread)
        head = f"  {part.messages:>5,}  {name:<12}  {draw.moment(oldest.date)}  "
        sender = draw.clip(draw.safe(oldest.sender), 28)
        subject = draw.safe(oldest.subject) or "(no subject)"
        yield draw.clip(f"{head}{sender}  {subject}", room)
    if count > len(parts):
        yield draw.dim(f"         and {count - len(parts):,} more")


def _kinds(kinds: Mapping[str, int]) -> str:
    return ", ".join(
        f"{_LINKS.get(kind, draw.safe(kind))}{f' ({count:,} messages)' if count > 1 else ''}"
        for kind, count in kinds.items()
    )
