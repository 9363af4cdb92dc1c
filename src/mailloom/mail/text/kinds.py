"""What kind of mail the parts make it: signed, encrypted, a report, a bounce, a receipt, an invitation.

Only the parts' types and what machines wrote for machines decide, never a word of a text.
"""

from __future__ import annotations

import re

from mailloom.mail.forms import cms
from mailloom.mail.forms.unpack import CMS_TYPES
from mailloom.mail.parts.mime import Mime, Part

# RFC 3464, RFC 6533.
_DELIVERY = frozenset(("message/delivery-status", "message/global-delivery-status"))
# RFC 8098, RFC 6533.
_READ = frozenset(("message/disposition-notification", "message/global-disposition-notification"))
# RFC 5965, RFC 3886, RFC 8460.
_OTHER_REPORTS = frozenset(
    ("message/feedback-report", "message/tracking-status", "application/tlsrpt+gzip", "application/tlsrpt+json")
)
_CALENDAR = frozenset(("text/calendar", "application/ics", "text/x-vcalendar"))
_ACTION = re.compile(rb"^Action[ \t]*+:[ \t]*+([A-Za-z]+)", re.IGNORECASE | re.MULTILINE)
_ARRIVED = frozenset((b"delivered", b"relayed", b"expanded"))
MAX_STATUS = 1 << 20
"""Bytes of a delivery status that are looked at: some thousand recipients."""


def kinds(mime: Mime) -> list[str]:
    """In this order, each at most once: signed, encrypted, report, bounce, receipt, calendar."""
    found = set()
    if len(mime.parts) == 1 and mime.parts[0].type in ("text/plain", "text/html"):
        return []
    for part in mime.parts:
        kind = part.type
        if kind in ("text/plain", "text/html"):
            continue
        if kind in _CALENDAR:
            found.add("calendar")
        elif kind == "multipart/signed" or (part.inside == "pgp" and kind == "application/pgp-signature"):
            found.add("signed")
        elif kind in ("multipart/encrypted", "application/pgp-encrypted"):
            found.add("encrypted")
        elif kind in CMS_TYPES or part.name.lower().endswith(".p7m"):
            found |= _cryptographic(mime, part)
        elif kind in _DELIVERY:
            found |= {"report", _delivery(mime.payload(part.index)[:MAX_STATUS])}
        elif kind in _READ:
            found |= {"report", "receipt"}
        elif kind in _OTHER_REPORTS or kind == "multipart/report":
            found.add("report")
    return [kind for kind in ("signed", "encrypted", "report", "bounce", "receipt", "calendar") if kind in found]


def _cryptographic(mime: Mime, part: Part) -> set[str]:
    """Of S/MIME: what its outermost tag says, or where that can't be read, its parameter (RFC 8551 section 3.2.2)."""
    kind = cms.content(mime.payload(part.index)[: cms.HEAD_BYTES]).kind
    stated = part.params.get("smime-type", "").lower()
    if kind == "other" and stated:
        kind = "signed" if stated == "signed-data" else "encrypted" if "enveloped" in stated else "other"
    return {kind} if kind in ("signed", "encrypted") else set()


def _delivery(status: bytes) -> str:
    """A receipt where it says of everyone that the mail arrived, else a bounce (a delay too is one: RFC 3464 section 2.3.3)."""
    actions = {found.lower() for found in _ACTION.findall(status)}
    return "receipt" if actions and actions <= _ARRIVED else "bounce"
