"""Ways mail comes in: a path or a stream -> (origin, raw bytes), one mail at a time, in constant memory."""

from mailloom.sources.bucket import bucket_of, is_bucket, walk_bucket
from mailloom.sources.place import (
    Finished,
    Found,
    Item,
    Known,
    Options,
    Place,
    Refused,
    SourceError,
    Unchanged,
    fingerprint,
    load,
)
from mailloom.sources.walk import STDIN, survey, walk

__all__ = [
    "STDIN",
    "Finished",
    "Found",
    "Item",
    "Known",
    "Options",
    "Place",
    "Refused",
    "SourceError",
    "Unchanged",
    "bucket_of",
    "fingerprint",
    "is_bucket",
    "load",
    "survey",
    "walk",
    "walk_bucket",
]
