"""Threads put right by hand: what an edit did, and the list of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mailloom.archive import Archive
from mailloom.archive import edits as by_hand
from mailloom.archive.edits import Edited
from mailloom.cli import draw
from mailloom.cli.reading import editing, reading
from mailloom.mail.model import MessageId
from mailloom.ports import Edit
from mailloom.schema import text_id

FIXED = 68  # columns of a line of the list without its two subjects


def run(
    archive: Path,
    id: str | None,
    splitting: bool,
    other: str | None,
    listing: bool,
    number: int | None,
    *,
    as_json: bool,
) -> int:
    """One of the four; more than one of them, or what has no ID that needs one, is wrong usage."""
    if splitting + (other is not None) + listing + (number is not None) > 1:
        raise click.UsageError("one at a time: --split, --join OTHER, --edits or --undo NUMBER")
    if (splitting or other is not None) == (id is None):
        raise click.UsageError("--split and --join need a mail's ID, --edits and --undo take none")
    if listing:
        with reading(archive) as opened:
            edits = opened.edits()
            for edit in edits:
                draw.say_json(_value(edit)) if as_json else draw.say(_listed(opened, edit))
        if not edits:
            draw.say("nothing was split or joined by hand", error=True)
        return 0
    with editing(archive) as found:
        if number is not None:
            done = by_hand.undo(found, number)
        else:
            done = by_hand.split(found, id or "") if other is None else by_hand.join(found, id or "", other)
    with reading(archive) as opened:
        if as_json:
            draw.say_json(
                {**_value(done.edit), "thread": text_id(done.conversation), "other_thread": text_id(done.other)}
            )
        else:
            _say(_told(opened, done, undone=number is not None))
    return 0


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        for part in draw.wrap(line, draw.width()):
            draw.say(part)


def _told(archive: Archive, done: Edited, *, undone: bool) -> Iterator[str]:
    number = done.edit.number
    name = draw.name_of(archive.short(done.edit.message))
    if undone:
        yield f"edit {number} is taken back: {name} is in {_thread(archive, done.conversation)}"
        if done.other != done.conversation:
            yield f"the other side is {_thread(archive, done.other)}"
    elif done.edit.kind == "split":
        yield f"edit {number}: {name} and what answers it are {_thread(archive, done.conversation)}"
        yield f"the rest is {_thread(archive, done.other)}"
    else:
        yield f"edit {number}: both are {_thread(archive, done.conversation)}"
    if not undone:
        yield draw.dim(f"`mailloom thread --undo {number}` takes it back")


def _thread(archive: Archive, conversation: MessageId) -> str:
    count = draw.several(len(archive.members(conversation)), "message")
    return f"thread {draw.name_of(archive.short(conversation))}, {count}"


def _listed(archive: Archive, edit: Edit) -> str:
    other = "" if edit.kind == "split" else f" with {_mail(archive, edit.target)}"
    what = ("split off" if edit.kind == "split" else "joined") + f" {_mail(archive, edit.message)}{other}"
    line = f"{edit.number:>3}  {draw.moment(edit.at)}  {'' if edit.undone is None else 'taken back: '}{what}"
    return line if edit.undone is None else draw.dim(line)


def _mail(archive: Archive, message: MessageId) -> str:
    subject = draw.clip(draw.safe(archive.summary(message).subject), max(8, (draw.width() - FIXED) // 2))
    return f"{draw.name_of(archive.short(message))} {subject}".rstrip()


def _value(edit: Edit) -> dict[str, Any]:
    return {
        "number": edit.number,
        "kind": edit.kind,
        "message": text_id(edit.message),
        "target": text_id(edit.target),
        "at": draw.iso(edit.at),
        "undone": draw.iso(edit.undone) or None,
        "messages": [len([name for name in side if name[0] == 0]) for side in (edit.inside, edit.outside)],
    }
