"""A worker process, as landing.py's, that some mail ends: by its subject, wherever it is read."""

from __future__ import annotations

import os

import landing

from mailloom.run import arrivals

_transform = arrivals.transform


def transform(raw, origin):
    if b"Subject: Killer" in raw:
        os._exit(9)
    return _transform(raw, origin)


arrivals.transform = transform  # in the processes that it starts, too: they import this file

if __name__ == "__main__":
    landing.main()
