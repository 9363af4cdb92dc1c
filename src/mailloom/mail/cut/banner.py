"""What a gateway puts above a mail that came from elsewhere: "CAUTION: This email originated from outside ...", "[EXTERNAL]".

Only the first paragraphs of a text are looked at, and only short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailloom.mail.cut.phrases import CLOSING, has_any

MAX_BANNER = 900
"""Characters of a banner: two languages and how to report it."""
MAX_LINES = 14
"""Lines of a banner's paragraph."""
MAX_BANNERS = 4
"""Paragraphs: a gateway's, another gateway's, and the mail program's."""
MAX_LEAD = 60
"""Characters from the start of a banner in which it is told to be one, drawn ones included."""

_BANNER: Final = CLOSING["banner"]
_OUTSIDE: Final = tuple(dict.fromkeys(_BANNER["outside"]))
_MAIL: Final = tuple(dict.fromkeys(_BANNER["mail"]))
_WARNING: Final = tuple(dict.fromkeys(_BANNER["warning"]))
_LEADS: Final = tuple(_BANNER["leads"])
_LEAD_OPENINGS: Final = frozenset(lead[:2] for lead in _LEADS)
"""Most texts are told by their first two letters to be none: there are a hundred ways to begin one."""
_TAGS: Final = frozenset(_BANNER["tags"])
_WRAPS = "[](){}<>*#!|=-_~⚠️ℹ️🛑❗:. \t\xa0\u200b\ufeff"
_PGP = "-----BEGIN PGP SIGNED MESSAGE-----"
_MARKED = "zjqcmqryfpfptbanner"
"""Proofpoint writes this word, "Start" and "End" behind it, around its banner."""


def banner(lines: Sequence[str], start: int, end: int) -> tuple[int, str]:
    """(line after the banners that open lines[start:end], rule); (start, "") if there are none. `start` is not blank."""
    at, rule = start, ""
    for _ in range(MAX_BANNERS):
        below = _below(lines, at, end)
        if below == at:
            break
        rule = "banner"
        at = below
        while at < end and not lines[at].strip():
            at += 1
    return at, rule


def _below(lines: Sequence[str], at: int, end: int) -> int:
    """The line after the banner at `at`, a box drawn of lines around it or not."""
    if at + 1 >= end or not is_drawn(lines[at]):
        return _below_one(lines, at, end)
    below = _below_one(lines, at + 1, end)
    if below == at + 1:
        return at
    return below + 1 if below < end and is_drawn(lines[below]) else below


def _below_one(lines: Sequence[str], at: int, end: int) -> int:
    """The line after the banner at `at`."""
    if at >= end:
        return at
    line = lines[at]
    if len(line) > MAX_BANNER:
        return at
    if line.startswith(_PGP):
        # The cleartext framework: "Hash: ..." and a blank line follow (RFC 9580 section 7).
        last = at + 1
        while last < end and last < at + MAX_LINES and lines[last].startswith(("Hash:", "Charset:", "NotDashEscaped:")):
            last += 1
        return last
    bare = line.strip(_WRAPS).lower()
    if bare in _TAGS and (line.strip()[:1] in "[(*#<!=|-⚠️" or line.strip().isupper()):
        return at + 1
    if bare.startswith(_MARKED):
        return next((n + 1 for n in range(at + 1, min(end, at + 30)) if _MARKED + "end" in lines[n].lower()), at + 1)
    if not has_lead(line[: 2 * MAX_LEAD].lower()):
        return at
    last = at
    while last < end and last < at + MAX_LINES and lines[last].strip():
        last += 1
    if not is_banner("\n".join(lines[at:last]).lower()):
        return at
    # As far as it speaks of that: the mail itself may begin on the next line.
    spoken = at
    while spoken + 1 < last:
        low = lines[spoken + 1].lower()
        goes_on = low[:1].isalpha() and lines[spoken + 1][:1] == low[:1] and len(lines[spoken]) > MAX_LEAD // 2
        if not (has_any(low, _OUTSIDE) or has_any(low, _WARNING) or goes_on):
            break
        spoken += 1
    return spoken + 1


def is_drawn(line: str) -> bool:
    text = line.strip()
    return len(text) > 2 and not text.strip("-_=*#~+| ")


def has_lead(text: str) -> bool:
    """Cheap, and true of few texts: does it open with a word of warning or of where it came from?"""
    opened = text[:MAX_LEAD].lstrip(_WRAPS)
    return opened[:2] in _LEAD_OPENINGS and opened.startswith(_LEADS)


def is_banner(text: str) -> bool:
    """Does a paragraph, in lower case, speak of mail, of where it came from, and warn? All in few words, and first things first."""
    if len(text) > MAX_BANNER or not has_lead(text):
        return False
    if not all(has_any(text, row) for row in (_OUTSIDE, _MAIL, _WARNING)):
        return False
    if text[:MAX_LEAD].lstrip(_WRAPS).startswith("this ") and " from " not in text:
        return False
    return "?" not in text.replace("?]", "").replace("?url", "") or "http" in text
