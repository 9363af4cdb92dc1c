"""Settings -> Stores: the only package that knows both. `embedded` is a folder, `servers` the server profile."""

from mailloom.wire.embedded import (
    FIRST_MONTH,
    LAST_MONTH,
    Embedded,
    EmbeddedRaws,
    now_ms,
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
