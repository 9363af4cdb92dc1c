"""Threads edited by hand: what was said is kept in the archive, and its conversations are settled anew at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mailloom.archive.reading import Archive, open_archive
from mailloom.mail.model import MessageId
from mailloom.ports import Edit, UserError
from mailloom.thread import editing
from mailloom.thread.settle import settle
from mailloom.wire import now_ms, open_for_writing

BY_HAND = "by hand"
"""What the feed says of conversations that an edit changed."""


class Edited(NamedTuple):
    """An edit, and the conversations now: that of its message, and that of what it was split off from or joined with."""

    edit: Edit
    conversation: MessageId
    other: MessageId


def split(folder: Path, name: str, scope: str = "") -> Edited:
    """Make a message and what answers it a conversation of their own. `name` is as `Archive.find` takes it.

    Raises UserError: nothing goes by that name, nothing is left without it, somebody else is writing.
    """
    with open_archive(folder, scope) as archive:
        message = archive.find(name)
    with _writing(folder, scope) as archive:
        members = archive.members(archive.conversation(message))
        stated = archive.stated(members)
        return _made(archive, editing.split(message, stated, archive.soft(members), archive.by_hand(stated), now_ms()))


def join(folder: Path, name: str, other: str, scope: str = "") -> Edited:
    """Make the conversations of two messages one. Raises as `split` does."""
    with open_archive(folder, scope) as archive:
        one, two = archive.find(name), archive.find(other)
    with _writing(folder, scope) as archive:
        if archive.conversation(one) == archive.conversation(two):
            raise UserError(
                f"{name} and {other} are in one thread already, {archive.short(archive.conversation(one))}: nothing was done"
            )
        return _made(archive, editing.join(one, two, now_ms()))


def undo(folder: Path, number: int, scope: str = "") -> Edited:
    """Take an edit back. Raises as `split` does."""
    with open_archive(folder, scope):
        pass  # an archive that isn't there must not be made
    with _writing(folder, scope) as archive:
        with archive.stores.threads.session():
            edit = editing.take_back(archive.stores.threads, number, now_ms())
        return _settled(archive, edit)


@contextmanager
def _writing(folder: Path, scope: str) -> Iterator[Archive]:
    """The archive, held by us, with nothing left to settle: an edit is made of conversations as they are."""
    with open_for_writing(folder, scope) as stores:
        settle(stores.threads)
        yield Archive(stores)


def _made(archive: Archive, edit: Edit) -> Edited:
    with archive.stores.threads.session():
        made = editing.make(archive.stores.threads, edit)
    return _settled(archive, made)


def _settled(archive: Archive, edit: Edit) -> Edited:
    settle(archive.stores.threads, why=BY_HAND)
    rest = sorted(name for name in edit.outside if name[0] == 0)
    return Edited(edit, archive.conversation(edit.message), archive.conversation(MessageId(rest[0][1:])))


__all__ = ["BY_HAND", "Edited", "join", "split", "undo"]
