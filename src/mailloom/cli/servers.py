"""What commands share that work on servers: the servers of the profile, and logs and metrics on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mailloom import obs
from mailloom.cli import settings
from mailloom.ports import UserError

if TYPE_CHECKING:
    from mailloom.wire.profile import Servers


@contextmanager
def servers(*, log: str = "") -> Iterator[Servers]:
    """The profile's servers, closed at the end. `log` is the level of logs where the settings say none. Raises UserError."""
    found = settings()
    if not found.servers:
        raise UserError(
            f"profile {found.profile} keeps mail in a folder, and this works on servers: --profile aws (docs/configuration.md)"
        )
    from mailloom.wire.profile import open_servers

    obs.configure(replace(found.obs, log=found.obs.log or log))
    try:
        opened = open_servers(found)
        try:
            yield opened
        finally:
            obs.close()  # which looks at them once more
            opened.close()
    finally:
        obs.close()
