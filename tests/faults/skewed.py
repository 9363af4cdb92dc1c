"""A `mailloom` whose clock goes wrong: python skewed.py SECONDS work ..."""

from __future__ import annotations

import sys
import time

from mailloom.cli import main

if __name__ == "__main__":
    ahead = float(sys.argv.pop(1))
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + ahead
    time.time_ns = lambda: nanoseconds() + int(ahead * 1e9)
    main()
