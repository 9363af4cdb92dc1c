"""What commands share that work on servers: the servers of the profile, and logs and metrics on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mailloom import obs
from mailloom.cli import settings
from mailloom.ports import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mailloom.config import Settings
    from mailloom.wire.profile import Servers


@contextmanager
def servers(*, service: bool = False, figures: bool = False) -> Iterator[Servers]:
    """The profile's servers, closed at the end. A `service` logs unless told otherwise, and its standard output may have EMF lines between;
    other commands print what they were asked for and nothing else, but with `figures` have EMF lines on standard error, which ends in the
    same log. Raises UserError.
    """
    found = settings()
    if not found.servers:
        raise UserError(
            f"profile {found.profile} keeps mail in a folder, and this works on servers: --profile aws (docs/configuration.md)"
        )
    open_servers = _opener()
    told = (
        replace(found.obs, log=found.obs.log or "info")
        if service
        else replace(found.obs, emf=found.obs.emf and figures)
    )
    obs.configure(told, out=None if service else sys.stderr)
    try:
        opened = open_servers(found)
        try:
            yield opened
        finally:
            obs.close()  # which looks at them once more
            opened.close()
    finally:
        obs.close()


def _opener() -> Callable[[Settings], Servers]:
    """open_servers, which a plain `pip install mailloom` can't import: its libraries are an extra."""
    try:
        from mailloom.wire.profile import open_servers
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "mailloom":
            raise
        raise UserError(f'{error.name} is needed for servers and not installed: pip install "mailloom[aws]"') from None
    return open_servers
