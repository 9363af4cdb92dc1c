"""Lines that say who wrote what follows: "On DATE, NAME wrote:", in any language and script.

Known verbs raise the confidence; they are no condition. What counts is the shape: a line with a date, a time and an address
or name before a quote. Every function looks at a bounded number of lines of bounded length.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from mailloom.mail.cut.phrases import LEAD, says_wrote

MAX_ATTRIBUTION_LINES = 4
"""Clients wrap at 72-78 columns: a date, a long name and an address fill three lines, and the verb may stand alone."""
MAX_ATTRIBUTION = 400
"""Characters of an attribution: longer ones are prose."""
MAX_BEHIND = 5
"""Words behind the address of an attribution in a language that no table knows."""
MAX_UNMARKED = 100
"""Characters of one without a colon: what has a date and is longer tells something."""

INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060\xad\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What clients put around lines and nobody sees: a BOM (Outlook for Mac), marks of direction (Gmail in Hebrew)."""
BLANK = " \t\xa0" + INVISIBLE
COLONS = ":：︰։՝៖፦፡꞉"
"""What ends an introduction, in any script: Armenian, Khmer and Ethiopic have signs of their own."""
RULE_CHARS = "-_=*~#—–─━‐·+<>"
DECORATION = RULE_CHARS + " \t\xa0.|:：" + INVISIBLE


@dataclass(frozen=True, slots=True)
class Head:
    """`lines` of the text were read. `kind`: "attribution" (says "wrote"), "forward" (says "forwarded"), "original" (a head
    that replies and forwards have alike). `fields` hold from, to, cc, date, subject as written, unfolded.
    """

    kind: str
    lines: int
    rule: str
    confidence: int
    fields: dict[str, str] = field(default_factory=dict)
    glued: int = 0
    """Characters of the last line that belong to the head, where what it introduces stands on the same line; else 0."""
    word: str = ""
    """What "From" is called."""


# ---------------------------------------------------------------- what a line holds

ADDRESS = re.compile(r"(?<![^\s<>\[\]()\"',;:|])[^\s<>\[\]()\"',;:|@]{1,64}+@[^\s<>\[\]()\"',;:|]{1,255}")
"""An address from the beginning of a word: looking for one inside words would read each character 64 times."""
TIME = re.compile(r"(?<![\d.:])\d{1,2}\s?[:h時点시时]\s?\d{2}(?!\d)|(?<![\d.])\d{1,2}\.\d{2}(?!\d|\.\d)")
"""A time of day; with a dot as in Finnish, if it is not the half of a date."""
_YEAR = re.compile(r"(?<!\d)(?:19[6-9]|20[0-9]|25[4-9]|1[34][0-9])\d(?!\d)")
"""Gregorian, Buddhist (Thai) and Persian years."""
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"(?<![\dA-Za-z])\d{1,2}(?!\d)")


def plain_digits(text: str) -> str:
    """Arabic-Indic and other decimal digits as ASCII ones: clients write dates in the reader's digits."""
    if text.isascii():
        return text
    return _OTHER_DIGITS.sub(lambda m: str(int(m[0])), text)


_OTHER_DIGITS = re.compile(r"[^\D0-9]")


def has_date(text: str) -> bool:
    """A year with another number, or three numbers of one or two digits ("28/10/21", "Sep 3 at 2:14 PM")."""
    if _YEAR.search(text):
        return _NUMBER.search(text) is not None
    return len(_NUMBER.findall(text)) >= 3


# ---------------------------------------------------------------- "On DATE, NAME wrote:"


def attribution(lines: Sequence[str], end: int, first: int, near: bool) -> Head | None:
    """The attribution whose last line is lines[end - 1], looking back no further than lines[first].

    `near` says that a quote follows at once: then the shape is enough. Else a verb or all of date, time and address have to
    be there, for nothing else tells prose from an introduction.
    """
    last = lines[end - 1].rstrip(BLANK)
    colon = last[-1:] in _ENDINGS
    if not colon and not (near and ("@" in last or len(last) < 30 or _DIGIT.search(last))):
        return None
    stretch: list[str] = []
    size = 0
    for count in range(1, min(MAX_ATTRIBUTION_LINES, end - first) + 1):
        line = lines[end - count].strip(BLANK)
        size += len(line) + 1
        if not line or size > MAX_ATTRIBUTION:
            break
        stretch.append(line)
    whole = " ".join(reversed(stretch))
    if not ("@" in whole or says_wrote(whole) or (near and _DIGIT.search(whole))):
        return None
    opens = len(stretch) == end - first or not lines[end - len(stretch) - 1].strip()
    return _known_narrowest(tuple(stretch), opens, near)


_ENDINGS = frozenset(COLONS + "*_")
UNFINISHED = ".!?;,"
"""A line that ends so is a sentence, if it has no colon: nothing that introduces."""


def _narrowest(stretch: tuple[str, ...], opens: bool, near: bool) -> Head | None:
    """The fewest lines, counted from below, that make an attribution; more where the line above opens like one, or has what
    the lines found so far lack of a time, an address and a word for "wrote".
    """
    joined = ""
    best: Head | None = None
    for count, line in enumerate(stretch, 1):
        if best is not None and best.rule != "short":
            if _leads(line):
                return Head(best.kind, count, best.rule, best.confidence)
            if line[-1:] in UNFINISHED and line[-1:] != ",":
                return best
            if _adds(line, joined):
                best = Head("attribution", count, "wrote", best.confidence)
            joined = f"{line} {joined}"
            continue
        joined = f"{line} {joined}" if joined else line
        # "NAME wrote:" may be the end of a longer one.
        best = _judge(plain_digits(joined), count, near, opens=opens and count == len(stretch)) or best
        if best is not None and best.rule != "short" and _leads(line):
            return best
    return best


# An attribution comes back with each reply to the reply it is in: every other one was seen before.
_known_narrowest = lru_cache(maxsize=1024)(_narrowest)


def _adds(line: str, found: str) -> bool:
    """Has a line what an attribution's end below it lacks?"""
    if line[-1:] == "<":
        return True
    if not has_date(plain_digits(found)):
        plain = plain_digits(line)
        return has_date(plain) and TIME.search(plain) is not None
    return ("@" in line and "@" not in found) or (says_wrote(line) and not says_wrote(found))


def _leads(line: str) -> bool:
    found = LEAD.match(line.lstrip('>*"“ '))
    # "Dana" is Croatian for a day, and opens addresses, too.
    return found is not None and _DIGIT.search(line) is not None and "@" not in line.split(maxsplit=1)[0]


def _judge(text: str, count: int, near: bool, opens: bool) -> Head | None:
    end = text.rstrip(" *_\"'" + INVISIBLE)[-1:]
    colon = end in COLONS
    if not colon and (not near or end in UNFINISHED):
        return None
    address = "@" in text and ADDRESS.search(text) is not None
    if near and not colon and not address and not _DIGIT.search(text):
        return None
    verb = says_wrote(text)
    date = has_date(text)
    starts = opens or _leads(text) or text[:1].isdigit()
    if near:
        return _judge_near(text, count, (colon, verb, date, address, starts))
    if not date or not starts:
        return None
    time = TIME.search(text) is not None
    if verb and (time or address or len(text) < 60):
        return Head("attribution", count, "wrote", 850)
    if address and _names_only(text.rstrip(" *_" + BLANK), time):
        return Head("attribution", count, "date-address", 700)
    return None


def _names_only(text: str, time: bool) -> bool:
    """Is a line with a date and an address, whose verb no table knows, more than prose or a log's entry? Its address stands
    in brackets with a few words behind it, or at its end; and nothing in it is parted by a colon and a blank.
    """
    core = text.rstrip(COLONS + " ")
    if ": " in core.replace(" :", "") or (not time and core[-1:] != ">"):
        return False
    before, _, rest = core.rpartition("@")
    behind = rest.split()
    if len(behind) <= 1:
        return True
    return any(x in behind[0] for x in ">)]") and (len(behind) <= MAX_BEHIND or not has_date(before))


def _judge_near(text: str, count: int, has: tuple[bool, bool, bool, bool, bool]) -> Head | None:
    """A quote follows: less is enough."""
    colon, verb, date, address, starts = has
    if verb and (date or address):
        return Head("attribution", count, "wrote", 950)
    if date and address and (colon or _YEAR.search(text) or TIME.search(text)):
        # Without a colon, three numbers and an address are a telephone's: a signature stands there.
        return Head("attribution", count, "date-address", 850)
    if starts and ((colon and (address or date)) or (date and len(text) <= MAX_UNMARKED and TIME.search(text))):
        return Head("attribution", count, "shape", 700)
    if verb and colon and len(text) <= 80 and count == 1:
        return Head("attribution", count, "short", 700)
    return None


# ---------------------------------------------------------------- the same between dashes, and glued to what follows


def drawn_attribution(text: str) -> bool:
    """Does a line between dashes (Zoho), or behind them with a colon at its end (Zimbra, old Yahoo), say who wrote when?"""
    if text[:2] in ("- ", "* ") or (text[-1:] not in COLONS and text[-2:-1] != text[-1:]):
        return False
    core = plain_digits(text.strip(DECORATION))
    if not core or len(core) > MAX_ATTRIBUTION or not ("@" in core or _DIGIT.search(core)):
        return False
    address = "@" in core and ADDRESS.search(core) is not None
    if says_wrote(core):
        return address or has_date(core)
    return address and has_date(core) and TIME.search(core) is not None


def glued_attribution(line: str) -> int:
    """Characters of an attribution at the beginning of a line that goes on with what it introduces (Yahoo on phones, and
    others whose HTML lost its breaks); 0 if there is none. It has all: date, address and colon, in this order.
    """
    at = line.find("@")
    colon = line.find(":", at, at + MAX_ATTRIBUTION)
    if at < 0 or at > MAX_ATTRIBUTION or colon < 0:
        return 0
    before, head = plain_digits(line[:at].strip(BLANK)), line[: colon + 1]
    if not (before[:1].isdigit() or _leads(before)) or not has_date(before):
        return 0
    if not (line[colon - 1] == ">" or says_wrote(head[at:])):
        return 0
    while colon + 1 < len(line) and line[colon + 1] in BLANK:
        colon += 1
    return colon + 1
