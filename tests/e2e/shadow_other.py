"""`mailloom` with a transform that is of another version: `python shadow_other.py work --shadow --drain`.

What it changes follows from the mail, so a test knows what must be found: of one mail in four the text, of one in four what is nested (where there
is something), and one in eight it can't read.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from hashlib import sha256

from mailloom.flow.transform import Outcome, transform
from mailloom.mail.model import Origin
from mailloom.run import arrivals

VERSION = "77"
SLOW = float(os.environ.get("SHADOW_OTHER_SLOW", "0"))


def fate(raw: bytes) -> str:
    """What the other version makes of a mail that this one reads."""
    return {0: "text", 1: "text", 2: "nested", 3: "nested", 4: "failed"}.get(sha256(raw).digest()[0] % 8, "same")


def other(raw: bytes, origin: Origin) -> Outcome:
    time.sleep(SLOW)
    outcome = replace(transform(raw, origin), version=VERSION)
    assert outcome.record is not None
    message, what = outcome.record.message, fate(raw)
    if what == "failed":
        return replace(outcome, record=None, stated=None, reason="bug: KeyError: 'secret words of a mail' at read:7")
    if what == "text":
        message = replace(message, text=message.text + "!")
    if what == "nested":
        message = replace(message, nested=tuple(one._replace(subject=one.subject + "?") for one in message.nested))
    return replace(outcome, record=replace(outcome.record, message=message))


if __name__ == "__main__":
    from mailloom.cli import main

    arrivals.transform = other
    main()
