"""Where a signature begins: below a delimiter, at a name behind a dash, at a device's line; else at a card (mail/cut/card.py).

The delimiter is "-- " (RFC 3676 section 4.3); programs lose its blank and people draw lines of their own, so those count
only with what looks like a signature below. Only the last lines of a stretch are read.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from mailloom.mail.cut.card import MAX_CARD_LINE, REACH, Found, card, evidence, is_prose
from mailloom.mail.cut.greeting import is_name, is_signoff, opens_with_name
from mailloom.mail.cut.phrases import CLOSING

MAX_SIGNATURE = 45
"""Lines below "-- ": the four of good manners (RFC 3676 section 4.3) are seldom kept, but a page is a new text."""
MAX_BARE_SIGNATURE = 20
"""Lines below "--" without its blank, which is also how people part paragraphs."""
MAX_INDENT = 1
"""Blanks before it: a comment in code has more."""
MAX_DRAWN = 12
"""Lines below a line that somebody drew."""
LEAST_PATTERN = 8
"""Characters of a line drawn of several: "-=-=-=-="."""
MAX_DEVICE = 120
"""Characters of a device's line, a link in it included."""

_RULE_CHARS = "-_=*~#+—–─━"


def is_rule(text: str, least: int) -> bool:
    """Is a line, without blanks around it, drawn of one character, or of a pattern of some?"""
    if len(text) < least or text[0] not in _RULE_CHARS:
        return False
    return not text.strip(text[0] + " ") or (len(text) >= LEAST_PATTERN and not text.strip(_RULE_CHARS + " "))


def signature(lines: Sequence[str], first: int, last: int, drawn: Sequence[int], known: frozenset[str]) -> Found | None:
    """What of lines[first:last] signs it, `last` not being blank below. `drawn` are the numbers of lines that open with
    dashes, underscores or the like; `known` words of the sender's name.
    """
    found = _delimited(lines, max(first, last - MAX_SIGNATURE), last, drawn, known)
    if found is None and not _ends_in_prose(lines[last - 1]):
        found = _by_dash(lines, first, last, known) or card(lines, first, last, known)
    return found


def _ends_in_prose(line: str) -> bool:
    """A full line that ends a sentence: most mails do, and no signature does."""
    return len(line) > MAX_CARD_LINE // 3 and line.rstrip()[-1:] in ".?!:" and "|" not in line and line.count(" ") > 5


# ---------------------------------------------------------------- delimiters

_DAMAGED = frozenset(
    ("—", "–", "__", "- -", "—-", "-—", "––", "——", "- --", "- -- ", "*--*", "**--**", "~~", "- – -", "--=")
)
"""What "-- " becomes: typed by "smart" keyboards, escaped by OpenPGP (RFC 9580 section 7.2), bold in HTML."""


def _delimited(
    lines: Sequence[str], first: int, last: int, drawn: Sequence[int], known: frozenset[str]
) -> Found | None:
    bare = last
    for at in drawn[bisect_left(drawn, first) : bisect_left(drawn, last)]:
        line = lines[at]
        text = line.strip(" \t\xa0\r*")
        if text == "--" and len(line) - len(line.lstrip()) <= MAX_INDENT:
            if line[:2] == text and line != text:
                return at, "dash-dash-blank", 950
            if (
                last - at <= MAX_BARE_SIGNATURE
                and bare == last
                and _signs(lines, at + 1, last, known, MAX_BARE_SIGNATURE)
            ):
                bare = at
        elif text == "- --":
            return at, "dash-dash-escaped", 900
    if bare < last:
        return bare, "dash-dash", 850
    for at in range(max(first, last - MAX_DRAWN), last - 1):
        line = lines[at]
        if line[:1] not in _RULE_CHARS and line[:1] != " ":
            continue
        text = line.strip(" \t\xa0").removeprefix("- ")
        if not text or text[0] not in "-_=—–*~─━#" or (text not in _DAMAGED and not is_rule(text, 3)):
            continue
        if text[0] in "#~" and len(text) < 8:
            continue
        above = (
            at == first
            or not lines[at - 1].strip()
            or is_name(lines[at - 1], known)
            or is_signoff(lines[at - 1], known)
        )
        if above and _is_card_below(lines, at + 1, last, known):
            return at, "damaged" if text in _DAMAGED else "drawn", 700
    return None


def _signs(lines: Sequence[str], at: int, last: int, known: frozenset[str], most: int) -> bool:
    """A few lines, or lines that say how to reach somebody."""
    below = [x for x in lines[at:last] if x.strip()]
    if not below:
        return True
    if below[0].lstrip()[:2] == "--" or any(x.rstrip()[-1:] in ";{}`" for x in below):
        # Comments and code.
        return False
    if len(below) <= most // 2 and all(len(x) <= MAX_CARD_LINE for x in below):
        return True
    return any(evidence(x) or is_name(x, known) for x in below[:6])


def _is_card_below(lines: Sequence[str], at: int, last: int, known: frozenset[str]) -> bool:
    """Does a name stand below a drawn line, or how to reach somebody?"""
    below = [x.strip() for x in lines[at:last] if x.strip()]
    if not below or len(below) > 8 or any(len(x) > 2 * MAX_CARD_LINE for x in below):
        return False
    if is_name(below[0], known) and (known or " " in below[0]):
        return True
    seen = [evidence(x) for x in below]
    return (opens_with_name(below[0], known) and any(seen)) or (
        not any(map(is_prose, below)) and sum(map(bool, seen)) >= max(1, len(below) // 2)
    )


def _by_dash(lines: Sequence[str], first: int, last: int, known: frozenset[str]) -> Found | None:
    """A name behind a dash ("-Ann", "-- Ann Lee") or, in the north, a slash ("/Ann"), alone on the last line."""
    if last <= first:
        return None
    if known and (found := _dash_above_reach(lines, first, last, known)):
        return found
    text = lines[last - 1].strip()
    if text[:1] not in "-–—/" or not 2 <= len(text) <= 40 or text[-2:] == "--":
        return None
    name = text.lstrip("-–—/ ")
    if not name or (text[0] == "/" and ("/" in name or (not known and " " in name))):
        return None
    if known and is_name(name, known):
        return last - 1, "dash-name", 800
    words = name.split()
    if not 1 <= len(words) <= 3 or not all(w.replace(".", "").replace("-", "").isalpha() for w in words):
        return None
    if not all(w[0].isupper() for w in words) and not (text[:2] == "--" and len(words) == 1):
        # Nicknames are in lower case: then it takes two dashes.
        return None
    above = lines[last - 2].strip() if last - 1 > first else ""
    if above and (text[1:2] == " " or above[:1] == text[0] or above[-1:] == ":"):
        return None
    if (
        text[1:2] == " "
        and text[:2] != "--"
        and (known or any(x.lstrip()[:2] == text[:2] for x in lines[max(first, last - 12) : last - 1]))
    ):
        # A list's item, if others are above it. Not the sender's name, if that is known.
        return None
    return last - 1, "dash-name", 700


def _dash_above_reach(lines: Sequence[str], first: int, last: int, known: frozenset[str]) -> Found | None:
    """The sender's name behind a dash, and below it how to reach him."""
    for at in range(last - 1, max(first, last - 5) - 1, -1):
        text = lines[at].strip()
        if text[:1] in ("-", "–", "—") and is_name(text.lstrip("-–— "), known):
            return (at, "dash-name", 800) if at < last - 1 else None
        if not text or evidence(text) != REACH:
            return None
    return None


# ---------------------------------------------------------------- a device's line

_DEVICE: Final = CLOSING["device"]
_STARTS: Final = tuple(_DEVICE["starts"])
_OPENINGS: Final = frozenset(start[:2] for start in _STARTS)
"""Most lines are told by their first two letters to be none of them."""
_ENDS: Final = tuple(_DEVICE["ends"])
_CLOSINGS: Final = frozenset(end[-1] for end in _ENDS)
_OWN: Final = tuple(_DEVICE["own"])
_PRODUCTS: Final = tuple(_DEVICE["products"])
_PAD = "-_*<>[]()\u200b\ufeff\u200e\u200f\u202b\u202c \t\xa0|~"


def is_device(line: str) -> bool:
    """Is a line what a phone or a mail program writes: "Sent from my iPhone", "Get Outlook for iOS<https://...>"?"""
    written = line.strip(_PAD)
    if not written or len(written) > MAX_DEVICE:
        return False
    if written[:2].lower() not in _OPENINGS and written[-1] not in _CLOSINGS:
        return False
    low = written.lower()
    if not ((low[:2] in _OPENINGS and low.startswith(_STARTS)) or low.endswith(_ENDS)):
        return False
    words = written.partition("http")[0].split()
    if len(words) > 14 or (written[-1] == "." and "," in written and written[1:].islower()):
        return False
    if low.startswith(_OWN) and low.isascii() and low[:4] == "sent":
        return True
    for product in _PRODUCTS:
        if product in low:
            return True
    # An unknown product is written as a name, behind few words.
    return (
        len(words) <= 6
        and len(words) > 2
        and words[-1][0].isupper()
        and written[-1] not in ".,:;?"
        and low.startswith(_BY_SHAPE)
    )


_BY_SHAPE = (
    "sent from", "sent via", "sent using", "sent with", "gesendet von", "gesendet mit", "envoyé depuis", "envoyé avec", "enviado desde", "enviado con", "enviado com",
    "inviato da", "inviato con", "verstuurd vanaf", "verzonden met", "skickat från", "skickat med", "sendt fra", "sendt med", "lähetetty", "wysłano z", "odesláno z", "отправлено из", "отправлено с", "надіслано з", "trimis din",
)  # fmt: skip


def device(lines: Sequence[str], first: int, last: int) -> Found | None:
    """The line of a phone or program, if it is the last thing said, give or take two short lines; a drawn line above it too."""
    at, seen, found = last, 0, last
    while at > first and seen < 3:
        at -= 1
        line = lines[at]
        text = line.strip()
        if not text:
            continue
        seen += 1
        if is_device(line):
            found, seen = at, 1
        elif len(text) > MAX_DEVICE or (found == last and is_prose(text)):
            break
    if found == last:
        return None
    while found > first and (
        is_rule(lines[found - 1].strip(), 2)
        or (lines[found - 1].strip() == "" and found - 2 >= first and is_rule(lines[found - 2].strip(), 2))
    ):
        found -= 1
    return found, "device", 900


_ALONE = re.compile(r"\n\n([^\n]{4,60})(?=\n[ \t]*\n)")


def device_alone(text: str) -> tuple[int, int] | None:
    """(start, end) of a phone's line that stands alone with text below it: phones put their line above what they quote,
    and some do not mark that at all.
    """
    for found in _ALONE.finditer(text):
        line = found[1].strip()
        if line.lower().startswith(_OWN) and ". " not in line and is_device(line) and text[found.end() :].strip():
            return found.start(1), found.end(1)
    return None
