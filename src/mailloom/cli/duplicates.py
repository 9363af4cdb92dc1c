"""`mailloom duplicates`: mail that says the same as other mail, of one mail or of the whole archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailloom.archive.duplicates import KINDS, NO_SKETCHES, THRESHOLD, Duplicate, Group, Kind, groups, kinds
from mailloom.cli import archive_option, draw, json_option
from mailloom.cli.between import Between
from mailloom.cli.reading import reading
from mailloom.schema import text_id

if TYPE_CHECKING:
    from mailloom.archive import Archive
    from mailloom.mail.model import MessageId

LISTED = 6  # mails of a group that are listed
NAME = 14  # columns of a short id: mails of one day and more of one second share their first digits

_TOLD: dict[Kind, tuple[str, str]] = {
    "copies": ("message that came more than once", "messages that came more than once"),
    "twins": ("group of mails that are equal but for their ids", "groups of mails that are equal but for their ids"),
    "variants": (
        "Message-ID with other content under the same subject",
        "Message-IDs with other content under the same subject",
    ),
    "reused": ("Message-ID on mails with different subjects", "Message-IDs on mails with different subjects"),
    "near": ("group of mails with nearly the same text", "groups of mails with nearly the same text"),
}
_ONE: dict[Kind, tuple[str, str]] = {
    "copies": ("copy", "copies"),
    "twins": ("twin (same content, other ids)", "twins (same content, other ids)"),
    "variants": ("variant (same Message-ID, other content)", "variants (same Message-ID, other content)"),
    "reused": ("mail with another subject has its Message-ID", "mails with other subjects have its Message-ID"),
    "near": ("near duplicate", "near duplicates"),
}


@click.command()
@click.argument("id", metavar="[ID]", required=False)
@click.option("--kind", type=click.Choice(KINDS), help="Only this kind.")
@click.option(
    "--threshold",
    type=Between(0.5, 1.0),
    default=THRESHOLD,
    show_default=True,
    help="How alike near duplicates are at least.",
)
@click.option(
    "--limit", "-n", type=click.IntRange(1, 1_000_000), default=5, show_default=True, help="Groups of a kind."
)
@archive_option
@json_option
def duplicates(id: str | None, kind: Kind | None, threshold: float, limit: int, archive: Path, as_json: bool) -> int:
    """List mail that says the same as other mail.

    Groups of the whole archive, the largest first, or what is like the mail ID.

    \b
    copies     one message that came more than once
    twins      equal but for the ids, as exports that invent ids make them
    variants   the same Message-ID and subject, other content: a list's footer
    reused     a Message-ID that stands on mails with different subjects
    near       nearly the same text; twins and variants count once

    --json prints all groups, or all mails like ID, one a line. A similarity of 0.93 means that the two have 93 % of their pairs of
    neighbouring words in common.
    """  # noqa: D301  \b is click's mark for lines to be left as they are
    with reading(archive) as opened:
        if id is not None:
            return _of_one(opened, opened.find(id), (kind,) if kind else KINDS, threshold, as_json)
        found = {one: groups(opened, one, threshold) for one in ((kind,) if kind else kinds(opened))}
        if as_json:
            for value in _json(opened, found):
                draw.say_json(value)
        else:
            for line in _lines(opened, found, limit):
                draw.say(line)
        if kind is None and opened.on_servers:
            draw.say(NO_SKETCHES, error=True)
    return 0 if any(found.values()) else 1


# ------------------------------------------------------------------------------------------------ an archive
def _json(archive: Archive, found: dict[Kind, list[Group]]) -> Iterator[dict[str, Any]]:
    for group in chain(*found.values()):
        value = {"kind": group.kind, "group": text_id(group.first), "mails": group.mails, "spare": group.spare}
        if group.kind == "copies":
            yield {**value, "copies": [_place(copy) for copy in archive.copies(group.first)]}
        else:
            others = [{"message": text_id(one.other), "similarity": one.similarity} for one in group.others]
            yield {**value, "messages": [{"message": text_id(group.first), "similarity": 1.0}, *others]}


def _lines(archive: Archive, found: dict[Kind, list[Group]], limit: int) -> Iterator[str]:
    for kind, all_ in found.items():
        more = sum(group.mails - 1 for group in all_)
        spare = sum(group.spare for group in all_)
        said = f"; {draw.several(more, 'further mail')}, {draw.size(spare)}" if all_ else ""
        yield f"{draw.bold(f'{kind:<9}')} {draw.several(len(all_), *_TOLD[kind])}{said}"
    for kind, all_ in found.items():
        for group in all_[:limit]:
            yield from ("", *_group(archive, group))
        if len(all_) > limit:
            yield from ("", draw.dim(f"… {len(all_) - limit:,} more of {kind} (--limit N shows more, --json all)"))


def _group(archive: Archive, group: Group) -> Iterator[str]:
    room = draw.width()
    noun = "times the same mail" if group.kind == "copies" else "mails"
    yield f"{draw.bold(group.kind)}  {group.mails:,} {noun}, {draw.size(group.spare)} beyond one of them"
    subject = archive.summary(group.first).subject
    yield "  " + _mail(archive, group.first, "", None, room - 2)
    if group.kind == "copies":
        yield from _places(archive, group.first, room)
        return
    for one in group.others[:LISTED]:
        yield "  " + _mail(archive, one.other, _share(one), subject, room - 2)
    if len(group.others) > LISTED:
        yield draw.dim(f"  … {len(group.others) - LISTED:,} more (--json has all)")


def _mail(archive: Archive, message: MessageId, share: str, subject: str | None, room: int) -> str:
    """A mail in a line; its subject where it is not the one above."""
    summary, name = archive.summary(message), archive.short(message)
    said = "" if summary.subject == subject else draw.safe(summary.subject) or "(no subject)"
    sender = draw.clip(draw.safe(summary.sender), 24)
    head = f"{' ' * (NAME - len(name))}  {share:>4}  {draw.moment(summary.date)}  {sender}{' ' * (24 - draw.cells(sender))}  "
    return f"{draw.name_of(name)}{head}{draw.clip(said, max(10, room - draw.cells(name + head)))}".rstrip()


def _share(one: Duplicate) -> str:
    """Rounded down: 1.00 is said of equal words only."""
    return f"{int(one.similarity * 100) / 100:.2f}"


def _places(archive: Archive, message: MessageId, room: int) -> Iterator[str]:
    copies = archive.copies(message)
    for copy in copies[:LISTED]:
        where = f"{copy.source}{'/' if copy.path else ''}{copy.path}" + (
            f" at byte {copy.start:,}" if copy.start else ""
        )
        for number, line in enumerate(draw.wrap(draw.safe(where), room - 15)):
            yield f"    {copy.state if number == 0 else '':<9}  {line}"
    if len(copies) > LISTED:
        yield draw.dim(f"    … {len(copies) - LISTED:,} more (`mailloom where {archive.short(message)}`)")


def _place(copy: Any) -> dict[str, Any]:
    return {"source": copy.source, "path": copy.path, "start": copy.start, "length": copy.length, "state": copy.state}


# ------------------------------------------------------------------------------------------------ one mail
def _of_one(archive: Archive, message: MessageId, chosen: Sequence[Kind], threshold: float, as_json: bool) -> int:
    found = [one for one in archive.duplicates(message, threshold) if one.kind in chosen]
    copies = archive.copies(message) if "copies" in chosen else []
    if as_json:
        for copy in copies if len(copies) > 1 else []:
            draw.say_json({"kind": "copies", "message": text_id(message), **_place(copy)})
        for one in found:
            draw.say_json({"kind": one.kind, "message": text_id(one.other), "similarity": one.similarity})
    else:
        draw.say(_mail(archive, message, "", None, draw.width()))
        if len(copies) > 1:
            draw.say(f"{len(copies):,} copies")
            for line in _places(archive, message, draw.width()):
                draw.say(line)
        subject = archive.summary(message).subject
        for kind in chosen:
            if some := [one for one in found if one.kind == kind]:
                draw.say(draw.several(len(some), *_ONE[kind]))
            for one in some:
                draw.say("  " + _mail(archive, one.other, _share(one), subject, draw.width() - 2))
    if archive.on_servers and "near" in chosen:
        draw.say(NO_SKETCHES, error=True)
    if not found and len(copies) < 2:
        draw.say("nothing here says the same", error=True)
        return 1
    return 0


def told(archive: Archive, found: Sequence[Duplicate], most: int) -> Iterator[str]:
    """What `show` tells of duplicates, a line a kind."""
    for kind in KINDS:
        if some := [one for one in found if one.kind == kind]:
            named = [
                draw.name_of(archive.short(one.other)) + ("" if kind == "twins" else f" ({_share(one)})")
                for one in some[:most]
            ]
            more = f" and {len(some) - most:,} more" if len(some) > most else ""
            yield f"{draw.several(len(some), *_ONE[kind])}: {', '.join(named)}{more}"
