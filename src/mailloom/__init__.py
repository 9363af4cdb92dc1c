"""Raw email in; clean, nested, threaded, searchable conversations out.

    import mailloom

    message = mailloom.parse(raw)          # what one mail says
    message.reply_text, message.nested     # what its author typed; the messages inside it

    with mailloom.open_archive("archive") as archive:
        for hit in archive.search('from:ann "purchase order"'):
            print(hit.record.message.subject)

`transform(raw, origin)` is what every runner calls: a Record with the evidence for its thread.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailloom.archive import Archive, open_archive
    from mailloom.flow.transform import Outcome, transform
    from mailloom.mail.model import Message, Origin, Record
    from mailloom.mail.parse import parse
    from mailloom.mail.people.mailbox import identities

__all__ = ["Archive", "Message", "Origin", "Outcome", "Record", "identities", "open_archive", "parse", "transform"]

_HOME = {
    "Archive": "mailloom.archive",
    "Message": "mailloom.mail.model",
    "Origin": "mailloom.mail.model",
    "Outcome": "mailloom.flow.transform",
    "Record": "mailloom.mail.model",
    "identities": "mailloom.mail.people.mailbox",
    "open_archive": "mailloom.archive",
    "parse": "mailloom.mail.parse",
    "transform": "mailloom.flow.transform",
}


def __getattr__(name: str) -> object:
    """Names are imported when they are first used: `mailloom search` needs no parser, and must start fast."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'mailloom' has no attribute {name!r}")
