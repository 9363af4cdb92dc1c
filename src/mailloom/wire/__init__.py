"""Settings -> Stores: the only package that knows both. `embedded` is a folder, `servers` and `profile` the server profile.

The names of `embedded` may be had from here; they are looked up late, as servers need nothing of what a folder is made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailloom.wire.clock import now_ms
    from mailloom.wire.embedded import (
        FIRST_MONTH,
        LAST_MONTH,
        Embedded,
        EmbeddedRaws,
        open_for_reading,
        open_for_writing,
    )

__all__ = [
    "FIRST_MONTH",
    "LAST_MONTH",
    "Embedded",
    "EmbeddedRaws",
    "now_ms",
    "open_for_reading",
    "open_for_writing",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mailloom.wire import embedded

    return getattr(embedded, name)
