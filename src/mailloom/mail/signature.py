"""Where a signature begins: below a delimiter, at a device's line, or as a card of short lines with nothing drawn above it.

The delimiter is "-- " (RFC 3676 section 4.3); programs lose its blank and people draw lines of their own, so those count
only with what looks like a signature below. A card has to begin with a name (the sender's, where that is known) and to say
how to reach him or what he is. Only the last lines of a stretch are read.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailloom.mail.greeting import is_name, is_signoff, opens_with_name
from mailloom.mail.phrases import CLOSING

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
MAX_CARD = 16
"""Lines of a card that are not blank."""
MAX_CARD_LINE = 100
"""Characters of one of its lines; with fields side by side it may have as many again."""
MAX_CARD_WORDS = 12
"""Words of one without fields side by side."""
MAX_GAP = 2
"""Blank lines inside a card: HTML made into text leaves some."""

_RULE_CHARS = "-_=*~#+—–─━"

Found = tuple[int, str, int]
"""(first line, rule, confidence)"""


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
    return any(_evidence(x) or is_name(x, known) for x in below[:6])


def _is_card_below(lines: Sequence[str], at: int, last: int, known: frozenset[str]) -> bool:
    """Does a name stand below a drawn line, or how to reach somebody?"""
    below = [x.strip() for x in lines[at:last] if x.strip()]
    if not below or len(below) > 8 or any(len(x) > 2 * MAX_CARD_LINE for x in below):
        return False
    if is_name(below[0], known) and (known or " " in below[0]):
        return True
    seen = [_evidence(x) for x in below]
    return (opens_with_name(below[0], known) and any(seen)) or (
        not any(map(_is_prose, below)) and sum(map(bool, seen)) >= max(1, len(below) // 2)
    )


def _by_dash(lines: Sequence[str], first: int, last: int, known: frozenset[str]) -> Found | None:
    """A name behind a dash ("-Ann", "-- Ann Lee") or, in the north, a slash ("/Ann"), alone on the last line."""
    if last <= first:
        return None
    if known and (found := _dash_above_reach(lines, first, last, known)):
        return found
    text = lines[last - 1].strip()
    if text[:1] not in "-–—/" or not 2 <= len(text) <= 40:
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
        if not text or _evidence(text) != REACH:
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
        elif len(text) > MAX_DEVICE or (found == last and _is_prose(text)):
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


# ---------------------------------------------------------------- cards

_CARD: Final = CLOSING["card"]
_LABELS: Final = frozenset(_CARD["labels"])
_ROLES: Final = frozenset(_CARD["roles"])
_FORMS: Final = frozenset(_CARD["forms"])
_WHAT: Final = _ROLES | _FORMS
_STREETS: Final = frozenset(_CARD["streets"])
_STREET_ENDS: Final = tuple(_CARD["street_ends"])
_REACH = re.compile(
    r"(?P<mail>[^\s@<>\[\]()]{1,64}@[\w.\-]{3,100})|(?P<web>https?://\S|www\.\w)|(?P<phone>\+?\(?\d[\d ().\-/\u2010-\u2015\xa0]{5,24}\d)",
    re.IGNORECASE,
)
_ANY_REACH = re.compile(r"@|www\.|://|\d[\d ().\-/\u2010-\u2015\xa0]{5}")
_DOMAIN = re.compile(r"(?:[\w\-]{1,63}\.){1,4}[a-z]{2,12}(?:/[\w./\-]{0,80})?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,3}(?:\.\d{1,3}){3}")
_POSTCODE = re.compile(
    r"(?:[A-Z]{1,2}-)?\d{4,6} [A-ZÄÖÜÅØÉ]\w|[A-Z]{2}\.? \d{5}\b|[A-Z]{1,2}\d{1,2}[A-Z]? \d[A-Z]{2}\b|\b\d{2}-\d{3} [A-Z]|\b\d{3} \d{2} [A-Z]|〒?\d{3}-\d{4}"
)
_PARTS = re.compile(r"[|•·│¦]|  +|\t")
_SOCIAL = frozenset(
    (
        "linkedin",
        "twitter",
        "facebook",
        "instagram",
        "github",
        "youtube",
        "xing",
        "skype",
        "blog",
        "website",
        "web",
        "vkontakte",
    )
)

REACH, WHAT = 1, 2
"""Kinds of evidence: how to reach somebody; what he is, for whom, and where."""


class Card(NamedTuple):
    reach: int
    what: int


def _evidence(line: str) -> int:
    """REACH, WHAT or 0 for one field or line of a card."""
    text = line.strip(" \t\xa0*_|-–")
    if not text or len(text) > MAX_CARD_LINE:
        return 0
    label, colon, value = text[:20].partition(":")
    if not colon:
        label, colon, value = (
            text[:12].partition(" ")
            if text[:12].partition(" ")[0].lower().rstrip(".") in _LABELS and any(map(str.isdigit, text))
            else (text, "", "")
        )
    labelled = bool(colon) and label.lower().strip(" .*") in _LABELS
    found = _REACH.search(text)
    if found:
        rest = len(text) - (found.end() - found.start())
        if found.lastgroup == "phone":
            digits = sum(map(str.isdigit, found[0]))
            letters = sum(map(str.isalpha, text))
            if (
                not _DATE.fullmatch(found[0].strip())
                and 7 <= digits <= 15
                and (labelled or letters <= 12)
                and not _is_prose(text)
            ):
                return REACH
        elif found.lastgroup == "web":
            if labelled or len(text.split()) <= 3:
                return REACH
        elif labelled or rest <= 30:
            return REACH
    if labelled and value.strip():
        return REACH
    words = text.split()
    if len(words) > 10:
        return 0
    if words[0][0].isdigit() and len(words) > 2 and not _STREETS.isdisjoint([w.strip(",").lower() for w in words[1:4]]):
        # "12 rue de la Paix": in some languages streets are written small.
        return WHAT if text[-1] not in ".!?" else 0
    if _is_prose(text):
        return 0
    low = [w.strip(",;()").lower() for w in words]
    if len(words) <= 4 and any(w.strip("<>[]:") in _SOCIAL for w in low):
        return REACH
    if len(words) == 1 and _DOMAIN.fullmatch(text) and text.islower():
        return REACH
    if not _is_capital_line(words):
        return 0
    digit = any(map(str.isdigit, text))
    if not _WHAT.isdisjoint(low):
        return WHAT
    if digit and (any(w in _STREETS or w.endswith(_STREET_ENDS) for w in low) or _POSTCODE.search(text)):
        return WHAT
    return 0


def _is_capital_line(words: list[str]) -> bool:
    """Are most words written as names are? Prose has a few capitals, a title has many."""
    long = [w for w in words if len(w) > 3 and w[0].isalpha()]
    return not long or 2 * sum([not w[0].islower() for w in long]) >= len(long)


def _is_prose(text: str) -> bool:
    """A sentence, or a piece of one."""
    words = text.split()
    if len(words) < 4:
        return text[-1:] in "?;" or (len(words) > 1 and text[-1:] == "!")
    lower = sum([w[0].islower() for w in words if len(w) > 1])
    return lower > len(words) // 2 or (lower >= 3 and text[-1] in ".!?:") or text[-1] in "?;"


def _fields(line: str) -> list[str]:
    return [x for x in _PARTS.split(line) if x.strip()]


_NOT_OF_CARDS = "-*•>#$+|{}()[]=/\\<"
"""What lists, code, tables and the notes below a text ("[1] https://...") begin with."""


def _weigh(line: str) -> tuple[Card, bool]:
    """(evidence in it, may it be a card's line at all)"""
    text = line.strip()
    if text[0] == "*" == text[-1]:
        text = text.strip("*") or text
    if len(text) > 2 * MAX_CARD_LINE or text[0] in "[{#$>":
        return Card(0, 0), text[:5].lower() == "[cid:" or (text[0] == "[" and "]<http" in text)
    if len(text.split()) > MAX_CARD_WORDS and not any(mark in text for mark in "|•·"):
        return Card(0, 0), False
    kinds = [_evidence(x) for x in _fields(text)]
    seen = Card(kinds.count(REACH), kinds.count(WHAT))
    if seen != (0, 0):
        return seen, True
    if len(text) > 70 or text[-1] in ":?;" or _is_prose(text):
        return seen, False
    head, colon, _ = text.partition(":")
    if colon and " " not in head.strip():
        # "Signed-off-by: ...", "Name: value": somebody's data.
        return seen, False
    return seen, text[0] not in _NOT_OF_CARDS


def card(lines: Sequence[str], first: int, last: int, known: frozenset[str]) -> Found | None:
    """A run of short lines at the end that begins with a name and says how to reach somebody or what he is."""
    if not _may_hold_card(lines, max(first, last - MAX_CARD), last):
        return None
    at, blank, count = last, 0, 0
    top = last
    seen: dict[int, Card] = {}
    signed = False
    while at > first and count < MAX_CARD and blank <= MAX_GAP:
        at -= 1
        line = lines[at]
        if not line.strip():
            blank += 1
            continue
        if is_signoff(line, known):
            signed = True
            break
        evidence, fits = _weigh(line)
        if not fits:
            break
        seen[at], top, blank, count = evidence, at, 0, count + 1
    if not seen or sum(c.reach + c.what for c in seen.values()) == 0:
        return None
    start = _first_of_card(lines, seen, known, signed)
    if start is None:
        return None
    reach = sum(c.reach for n, c in seen.items() if n >= start)
    what = sum(c.what for n, c in seen.items() if n >= start)
    lone = sum(n >= start for n in seen) == 1
    above = start
    while above > first and not lines[above - 1].strip():
        above -= 1
    if above <= first or (not signed and lines[above - 1].rstrip()[-1:] in ":："):
        # What is all card is what one wanted to say; and so is what a colon introduces.
        return None
    if signed:
        enough = reach > 0 or not lone
    elif known:
        enough = reach + what >= 2 or (reach == 1 and top == start)
    else:
        enough = reach >= 1 and reach + what >= 2
    return (start, "card", 850 if signed or known else 650) if enough else None


def _may_hold_card(lines: Sequence[str], first: int, last: int) -> bool:
    """Most mails end in words: told by what every card has."""
    below = [line for line in lines[max(first, last - 8) : last] if len(line) < 2 * MAX_CARD_LINE]
    if _ANY_REACH.search("\n".join(below)):
        return True
    for line in below[-3:]:
        if (
            0 < len(line) <= 70
            and not line[0].islower()
            and not _WHAT.isdisjoint([w.strip(",;") for w in line.lower().split()])
        ):
            return True
    return False


def _first_of_card(lines: Sequence[str], seen: dict[int, Card], known: frozenset[str], signed: bool) -> int | None:
    """The lowest line with a name above all evidence; with a sign-off above, else the first line of the run or of a block."""
    numbers = sorted(seen)
    begin = next(n for n in numbers if seen[n] != (0, 0))
    if known and (named := [n for n in numbers if n <= begin and is_name(_first_field(lines[n]), known)]):
        return named[-1]
    if known and not signed:
        return None
    named = [n for n in numbers if n <= begin and _opens_card(lines[n], n < begin)]
    if named or not signed:
        return named[0] if named else None
    # "Best,\nAnn" stays; what follows a blank line is the card.
    blocks = [n for n in numbers if n <= begin and not lines[n - 1].strip()]
    return blocks[-1] if blocks else begin


def _opens_card(line: str, whole: bool) -> bool:
    """A name of two words, on a line of its own or before other fields."""
    name = _first_field(line)
    return (whole or name != line.strip()) and " " in name and not _evidence(name) and is_name(name, frozenset())


def _first_field(line: str) -> str:
    return next((x.strip() for x in _PARTS.split(line) if x.strip()), "")
