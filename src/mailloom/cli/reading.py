"""Which archive a command reads: a folder, or what the servers of the profile hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailloom.archive import Archive, open_archive
from mailloom.cli import on_servers


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
