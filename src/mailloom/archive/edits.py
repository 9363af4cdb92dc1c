"""Threads edited by hand: what was said is kept in the archive, and its conversations are settled anew at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mailloom.archive.reading import Archive, open_archive
from mailloom.mail.model import MessageId
from mailloom.ports import Edit, Fenced, Threads, UserError
from mailloom.thread import editing
from mailloom.thread.settle import settle
from mailloom.wire import now_ms, open_for_writing

BY_HAND = "by hand"
"""What the feed says of conversations that an edit changed."""


TRIES = 5  # to be the one who settles


class Edited(NamedTuple):
    """An edit, and the conversations now: that of its message, and that of what it was split off from or joined with."""

    edit: Edit
    conversation: MessageId
    other: MessageId


class Editable(NamedTuple):
    """An archive whose threads we may change, with nothing left to settle: an edit is made of conversations as they are."""

    archive: Archive
    threads: Threads


def split(found: Editable, name: str) -> Edited:
    """Make a message and what answers it a conversation of their own. `name` is as `Archive.find` takes it.

    Raises UserError: nothing goes by that name, or nothing is left without it.
    """
    archive = found.archive
    message = archive.find(name)
    members = archive.members(archive.conversation(message))
    stated = archive.stated(members)
    return _made(found, editing.split(message, stated, archive.soft(members), archive.by_hand(stated), now_ms()))


def join(found: Editable, name: str, other: str) -> Edited:
    """Make the conversations of two messages one. Raises as `split` does."""
    archive = found.archive
    one, two = archive.find(name), archive.find(other)
    if archive.conversation(one) == archive.conversation(two):
        raise UserError(
            f"{name} and {other} are in one thread already, {archive.short(archive.conversation(one))}: nothing was done"
        )
    return _made(found, editing.join(one, two, now_ms()))


def undo(found: Editable, number: int) -> Edited:
    """Take an edit back. Raises UserError for a number that none has."""
    with found.threads.session():
        edit = editing.take_back(found.threads, number, now_ms())
    return _settled(found, edit)


@contextmanager
def in_folder(folder: Path, scope: str = "") -> Iterator[Editable]:
    """The archive in a folder, held by us. Raises ArchiveError where there is none, or somebody else writes."""
    with open_archive(folder, scope):
        pass  # an archive that isn't there must not be made
    with open_for_writing(folder, scope) as stores:
        settled(stores.threads)
        yield Editable(Archive(stores), stores.threads)


def settled(threads: Threads, why: str = "") -> None:
    """Settle to the end. Raises UserError where others take the lease again and again: they will do it."""
    for _ in range(TRIES):
        try:
            settle(threads, why=why)
        except Fenced:
            continue
        return
    raise UserError("others are settling threads at the same time: what was said is kept, look again in a minute")


def _made(found: Editable, edit: Edit) -> Edited:
    with found.threads.session():
        made = editing.make(found.threads, edit)
    return _settled(found, made)


def _settled(found: Editable, edit: Edit) -> Edited:
    settled(found.threads, BY_HAND)
    rest = sorted(name for name in edit.outside if name[0] == 0)
    conversation = found.archive.conversation
    return Edited(edit, conversation(edit.message), conversation(MessageId(rest[0][1:])))


__all__ = ["BY_HAND", "Editable", "Edited", "in_folder", "join", "settled", "split", "undo"]
