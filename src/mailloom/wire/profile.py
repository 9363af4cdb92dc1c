"""Settings -> the server profile: what commands and Lambda's handlers work with. servers.py puts its stores together, clients.py makes clients."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mailloom.config import Settings
from mailloom.flow.commit import Stores
from mailloom.ports import Blobs, Ledger, Progress, Queue, Receipts, Threads, UserError


class Unit(Stores, Protocol):
    """Stores with a unit of work around one commit."""

    def unit(self) -> AbstractContextManager[None]: ...


class Servers(Protocol):
    """The servers of a profile. Each part is made when it is first asked for, so `mailloom dead` needs no PostgreSQL. Raises UserError
    where a setting that a part needs is missing.
    """

    settings: Settings

    def buckets(self, name: str) -> Blobs:
        """A bucket's objects."""
        ...

    def queue(self, name: str) -> Queue:
        """One of aws.queues: events, work, large, dead. Raises UserError where it isn't set."""
        ...

    def queue_if_set(self, name: str) -> Queue | None:
        """The same, None where it isn't set."""
        ...

    @property
    def stores(self) -> Unit: ...
    @property
    def threads(self) -> Threads: ...
    @property
    def receipts(self) -> Receipts: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def places(self) -> Progress: ...

    @property
    def readable(self) -> Any:
        """What archive.Archive is made of (archive.reading.Readable)."""
        ...

    def check(self) -> None:
        """Raises UserError unless tables and templates are there in this version: what a worker asks first."""
        ...

    def migrate(self) -> Sequence[str]:
        """Bring tables, partitions and templates up to this version; what was done, in words."""
        ...

    def close(self) -> None: ...


def open_servers(settings: Settings, environ: Mapping[str, str] = os.environ) -> Servers:
    """The servers that the settings name. Raises UserError where the extra `aws` is not installed."""
    del environ
    raise UserError(f"profile {settings.profile}: this version has no servers yet")
