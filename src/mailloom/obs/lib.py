"""The libraries of the extra `aws` that obs needs, or a word on how to get them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailloom.ports.errors import UserError

TIMEOUT = 5
"""Seconds that a collector gets for a report with all retries: it must not hold up the end of a process."""


@contextmanager
def otel() -> Iterator[None]:
    """Imports inside may fail where the extra is not installed. Raises UserError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f'{error.name} is needed and not installed: pip install "mailloom[aws]"') from None
