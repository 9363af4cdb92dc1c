"""Which line of an mbox parts two messages. RFC 4155 names the format; what writers do is wider, so:

a line "From SENDER DATE" with a date in the manner of asctime or RFC 822 parts, if a header follows, or if it stands after an
empty line and what follows is empty, the end, or the writer is the one of the file's first From_ line. "From HASH Mon Sep 17
00:00:00 2001" is git's: patches are pasted into mails, so it parts only in a file that git wrote, one that begins with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

LINE = 1024
"""A From_ line and the line after it are looked at this far. RFC 5322 allows 998 in a line."""

_DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_MONTH = rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = rb"(\d{1,2}):(\d\d)(?::(\d\d))?"
_ZONE = rb"([+-]\d{4}|[A-Z]{1,5})"
# "Thu Sep  3 02:14:00 2026", the zone before or after the year, or none.
_ASCTIME = re.compile(
    rb"[ \t]" + _DAY + rb",? {1,3}" + _MONTH + rb" {1,3}(\d{1,2}) {1,3}" + _TIME
    + rb"(?: " + _ZONE + rb")?(?: [A-Z]{3,4})? (\d{4})(?: " + _ZONE + rb")?"
)  # fmt: skip
# "Thu, 3 Sep 2026 02:14:00 +0000"
_RFC822 = re.compile(
    rb"[ \t](?:"
    + _DAY
    + rb",? {1,3})?(\d{1,2})[ -]"
    + _MONTH
    + rb"[ -](\d{4}) {1,3}"
    + _TIME
    + rb"(?: "
    + _ZONE
    + rb")?"
)
# By far the most common, at once: the line, and the field name after it.
USUAL = re.compile(
    rb"From (?![0-9a-f]{40})[^ \r\n]{1,250} {1,2}"
    + _DAY
    + rb" "
    + _MONTH
    + rb" ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})\r?\n[!-9;-~]{1,100}:"
)
# "remote from uucp-host" or "(a comment)" may follow.
_AFTER = re.compile(rb"remote from [^ ]+\Z|\([^()]*\)\Z")
_HEADER = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_HEADER_CUT = re.compile(rb"[!-9;-~]{1,200}\Z")
_JUNK = b"\xef\xbb\xbf\x00 \t"
_DATE_CUT = re.compile(rb"[ \t]*(?:[A-Z][a-z]{0,2}(?:,? [A-Za-z0-9: +-]*)?)?")
_GIT = re.compile(rb"[0-9a-f]{40,64} Mon Sep 17 00:00:00 2001\Z")
_MONTHS = {name: n for n, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_ZONES = {
    b"EST": -300,
    b"EDT": -240,
    b"CST": -360,
    b"CDT": -300,
    b"MST": -420,
    b"MDT": -360,
    b"PST": -480,
    b"PDT": -420,
}

Shape = Literal["dated", "git", "bare", "prose"]


@dataclass(frozen=True, slots=True)
class Style:
    """How a file's writer makes its From_ lines, read off the first; `strict` is off where every From_ line is known to part."""

    shape: Shape
    sender: bytes
    strict: bool = True


def shape(line: bytes) -> Shape:
    """What kind of line begins with "From ": with a date, git's, with just an address, or prose."""
    rest = line[5:].strip()
    if _GIT.match(rest):
        return "git"
    match = _dated(line)
    if match is not None:
        sender = line[5 : match.start()].strip()
        # "From what I saw on Mon Jan  3 ..." is prose; "ann at example.org" and "Ann Lee <ann@example.org>" are senders.
        return "dated" if len(sender.split()) <= 1 or b"@" in sender or b" at " in sender else "prose"
    return "bare" if len(rest.split()) == 1 and (b"@" in rest or b"!" in rest or b"-" in rest) else "prose"


def style(first: bytes, *, strict: bool = True) -> Style:
    """The style of a file whose first line is `first`."""
    return Style(shape(first), _sender(first), strict)


def parts(line: bytes, following: bytes | None, after_blank: bool, own: Style) -> bool:
    """Whether `line` ("From ...", without its newline) begins a message. `following` is the next line, None at the end."""
    kind = shape(line)
    if kind == "prose" or kind not in {"dated", own.shape}:
        return False
    if not own.strict:
        return True
    headed = following is not None and looks_like_header(following)
    if kind == "bare":
        return after_blank and headed
    if headed:
        return True
    return after_blank and (not following or not following.strip() or _sender(line) == own.sender)


def looks_like_header(line: bytes) -> bool:
    """A field name and a colon (RFC 5322 section 3.6.8), after what broken mails put before their first; or a quoted From_ line,
    which some delivery programs leave as a mail's first.
    """
    line = line.lstrip(_JUNK)
    return _HEADER.match(line) is not None or line.startswith(b">From ")


def could_be_cut_header(line: bytes) -> bool:
    """Whether a last line without an end may be the beginning of a header."""
    return looks_like_header(line) or _HEADER_CUT.match(line) is not None


def could_be_cut(line: bytes) -> bool:
    """Whether a last line without an end is the beginning of a From_ line: one word, then the beginning of a date."""
    _, _, rest = line[5:].strip(b" \t").partition(b" ")
    return _DATE_CUT.fullmatch(rest) is not None


def received_at(line: bytes) -> int | None:
    """The time of a From_ line in milliseconds; UTC where no zone is given (RFC 4155 demands it). None if there is none or it is
    git's, which is the same for all.
    """
    if b" 00:00:00 2001" in line and _GIT.match(line[5:].strip()):
        return None
    match = _dated(line)
    if match is None:
        return None
    if match.re is _ASCTIME:
        month, day, hour, minute, second, before, year, after = match.groups()
        zone = after or before
    else:
        day, month, year, hour, minute, second, zone = match.groups()
    days = int(day), int(hour), int(minute), int(second or 0)
    if not (1 <= days[0] <= 31 and days[1] <= 23 and days[2] <= 59 and days[3] <= 60 and int(year) >= 1970):
        return None
    seconds = ((_month(year, month) + days[0] - 1) * 24 + days[1]) * 3600 + days[2] * 60 + days[3]
    # The beginning of 1970 is what tools write that know no time.
    return (seconds - 60 * _east(zone)) * 1000 if seconds else None


@lru_cache(maxsize=64)
def _month(year: bytes, month: bytes) -> int:
    """Days from 1970 to the first of a month."""
    return date(int(year), _MONTHS[month], 1).toordinal() - date(1970, 1, 1).toordinal()


def _dated(line: bytes) -> re.Match[bytes] | None:
    if b":" not in line:
        return None
    for pattern in (_ASCTIME, _RFC822):
        match = pattern.search(line, 4)
        if match is not None:
            after = line[match.end() :].strip()
            if not after or _AFTER.match(after):
                return match
    return None


def _sender(line: bytes) -> bytes:
    return line[5:].split(b" ", 1)[0].strip()


def _east(zone: bytes | None) -> int:
    if zone is None:
        return 0
    if zone[:1] in b"+-":
        minutes = int(zone[1:3]) * 60 + int(zone[3:5])
        return -minutes if zone[:1] == b"-" else minutes
    return _ZONES.get(zone, 0)
