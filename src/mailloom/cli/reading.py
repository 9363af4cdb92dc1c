"""Which archive a command reads: a folder, or what the servers of the profile hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from click.core import ParameterSource

from mailloom.archive import Archive, open_archive
from mailloom.cli import settings
from mailloom.ports import UserError


def on_servers() -> bool:
    """Whether the profile has servers, and no folder was named by --archive."""
    named = click.get_current_context().get_parameter_source("archive") == ParameterSource.COMMANDLINE
    return settings().servers and not named


def folder_only() -> None:
    """Raises UserError where the archive is on servers: what the command does is for folders."""
    if on_servers():
        name = click.get_current_context().info_name
        raise UserError(
            f"`mailloom {name}` does this in an archive in a folder only: name one by --archive, or leave out --profile"
        )


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
