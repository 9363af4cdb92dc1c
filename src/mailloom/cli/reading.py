"""Which archive a command reads or edits: a folder, or what the servers of the profile hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mailloom.archive import Archive, open_archive
from mailloom.cli import on_servers

if TYPE_CHECKING:
    from mailloom.archive.edits import Editable


@contextmanager
def reading(folder: Path) -> Iterator[Archive]:
    """The archive to read. Raises UserError where there is none."""
    if not on_servers():
        with open_archive(folder) as archive:
            yield archive
        return
    from mailloom.cli.servers import servers

    with servers() as found, Archive(found.readable) as archive:
        yield archive


@contextmanager
def editing(folder: Path) -> Iterator[Editable]:
    """The archive, its threads to be changed by hand. Raises UserError where there is none, or somebody else is at it."""
    from mailloom.archive.edits import Editable, in_folder, settled  # numpy, which `search` must start without

    if not on_servers():
        with in_folder(folder) as found:
            yield found
        return
    from mailloom.cli.servers import servers

    with servers() as opened:
        opened.check()
        settled(opened.threads)
        with Archive(opened.written()) as archive:
            yield Editable(archive, opened.threads)
