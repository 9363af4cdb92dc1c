"""A card: short lines at the end of a mail that say who wrote it, what he is and how to reach him, with nothing drawn above.

It begins with a name (the sender's, where that is known) or stands below a sign-off, and holds two pieces of evidence; what a
colon introduces, and a mail that is nothing else, are what somebody wanted to say. Only the last lines of a stretch are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailloom.mail.cut.greeting import is_name, is_signoff, name_words
from mailloom.mail.cut.phrases import CLOSING

MAX_CARD = 16
"""Lines of a card that are not blank."""
MAX_CARD_LINE = 100
"""Characters of one of its lines; with fields side by side it may have as many again."""
MAX_NAME = 40
"""Characters of a name."""
MAX_PLAIN = 5
"""Lines of a card that has no evidence but the sender's whole name on top."""
MAX_CARD_WORDS = 12
"""Words of one without fields side by side."""
MAX_GAP = 2
"""Blank lines inside a card: HTML made into text leaves some."""

Found = tuple[int, str, int]
"""(first line, rule, confidence)"""

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


def evidence(line: str) -> int:
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
                and not is_prose(text)
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
    if not words or len(words) > 10:
        return 0
    if words[0][0].isdigit() and len(words) > 2 and not _STREETS.isdisjoint([w.strip(",").lower() for w in words[1:4]]):
        # "12 rue de la Paix": in some languages streets are written small.
        return WHAT if text[-1] not in ".!?" else 0
    if is_prose(text):
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


def is_prose(text: str) -> bool:
    """A sentence, or a piece of one."""
    words = text.split()
    if len(words) < 4:
        return text[-1:] in "?;" or (len(words) > 1 and text[-1:] == "!")
    lower = sum([w[0].islower() for w in words if len(w) > 1])
    return lower > len(words) // 2 or (lower >= 3 and text[-1] in ".!?:") or text[-1] in "?;"


def _fields(line: str) -> list[str]:
    return [x for x in _PARTS.split(line) if x.strip()]


_NOTE = re.compile(r"\d{1,2}[.)] ")
"""A numbered item, or what a number in the text refers to."""
_POSTSCRIPT = frozenset(("ps", "ps:", "ps.", "ps ", "p.s"))
_TAG = re.compile(r"[A-Za-z]{2,20}-[A-Za-z\-]{2,20}: ")
"""A patch's "Signed-off-by: Ann Lee <ann@example.org>" is said of the patch."""
_NOT_OF_CARDS = "-*•>#$+|{}()[]=/\\<"
"""What lists, code, tables and the notes below a text ("[1] https://...") begin with."""


def _weigh(line: str) -> tuple[Card, bool]:
    """(evidence in it, may it be a card's line at all)"""
    text = line.strip()
    if text[0] == "*" == text[-1]:
        text = text.strip("*") or text
    if len(text) > 2 * MAX_CARD_LINE or text[0] in "[{#$>":
        return Card(0, 0), text[:5].lower() == "[cid:" or (text[0] == "[" and "]<http" in text)
    if _NOTE.match(text) or _TAG.match(text) or text[:3].lower() in _POSTSCRIPT:
        return Card(0, 0), False
    if len(text.split()) > MAX_CARD_WORDS and not any(mark in text for mark in "|•·"):
        return Card(0, 0), False
    kinds = [evidence(x) for x in _fields(text)]
    seen = Card(kinds.count(REACH), kinds.count(WHAT))
    if seen != (0, 0):
        return seen, True
    if len(text) > 70 or text[-1] in ":?;" or is_prose(text):
        return seen, False
    head, colon, _ = text.partition(":")
    if colon and " " not in head.strip():
        # "Signed-off-by: ...", "Name: value": somebody's data.
        return seen, False
    return seen, text[0] not in _NOT_OF_CARDS


def card(lines: Sequence[str], first: int, last: int, known: frozenset[str]) -> Found | None:
    """A run of short lines at the end that begins with a name and says how to reach somebody or what he is."""
    if not _may_hold_card(lines, max(first, last - MAX_CARD), last, known):
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
        weight, fits = _weigh(line)
        if not fits:
            break
        seen[at], top, blank, count = weight, at, 0, count + 1
    start = _first_of_card(lines, seen, known, signed) if seen else None
    if start is None:
        named = last - 1
        if known and named > first and not lines[named - 1].strip() and _names_and_firm(lines[named], known):
            return (named, "card-line", 800) if any(x.strip() for x in lines[first:named]) else None
        return None
    if signed:
        start = _below_signed(lines, seen, start, known)
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
        enough = reach > 0 or not lone or _names_and_firm(lines[start], known)
    elif known:
        enough = reach + what >= 2 or (reach == 1 and top == start) or (not lone and is_full_name(lines[start], known))
    else:
        enough = reach >= 1 and reach + what >= 2
    return (start, "card", 850 if signed or known else 650) if enough else None


def _below_signed(lines: Sequence[str], seen: dict[int, Card], start: int, known: frozenset[str]) -> int:
    """The card below a name that belongs to the sign-off above it: a first name alone, or a name that the card repeats."""
    if start != min(seen) or seen[start] != (0, 0) or not is_name(lines[start], known):
        return start
    below = next((n for n in sorted(seen) if n > start), start)
    if below == start:
        return start
    again = is_full_name(lines[below], known) or _names_and_firm(lines[below], known)
    alone = len(lines[start].split()) == 1 and not _is_caseless(lines[start])
    return below if again or alone else start


def _names_and_firm(line: str, known: frozenset[str]) -> bool:
    """The sender's whole name, and whom he speaks for: "Ann Lee, Example Org"."""
    name, comma, firm = line.strip().partition(",")
    if not comma or len(line) > MAX_CARD_LINE // 2 or not firm.strip() or firm.rstrip()[-1] in ".!?:;,":
        return False
    return is_full_name(name, known) and not firm.strip()[0].islower() and not is_prose(line)


def is_full_name(line: str, known: frozenset[str]) -> bool:
    """Is a line the sender's name, and whole: two words of it and no others, or one in a script without capitals?"""
    if len(line) > MAX_NAME:
        return False
    words = name_words(line)
    if not words:
        return False
    if len(words) > 1:
        return known.issuperset(words)
    if line.isascii() or not _is_caseless(line):
        return False
    # The family's name and one's own are one word here, and two in the header.
    return words[0] in known or any(words[0].startswith(k) and words[0][len(k) :] in known for k in known)


def _is_caseless(line: str) -> bool:
    return line.lower() == line.upper()


def _may_hold_card(lines: Sequence[str], first: int, last: int, known: frozenset[str]) -> bool:
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
    return bool(known) and (
        any(is_full_name(line, known) for line in below[-MAX_PLAIN:-1])
        or any(_names_and_firm(line, known) for line in below[-1:])
    )


def _first_of_card(lines: Sequence[str], seen: dict[int, Card], known: frozenset[str], signed: bool) -> int | None:
    """The lowest line with a name above all evidence; with a sign-off above, else the first line of the run or of a block."""
    numbers = sorted(seen)
    begin = next((n for n in numbers if seen[n] != (0, 0)), -1)
    if begin < 0:
        # Nothing but short lines: the sender's whole name tells.
        named = [n for n in numbers[-MAX_PLAIN:-1] if is_full_name(lines[n], known)]
        above = lines[named[-1] - 1] if named else ""
        # One of several names is a list of them.
        return named[-1] if named and (not above.strip() or is_signoff(above, known) or is_name(above, known)) else None
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
    return (whole or name != line.strip()) and " " in name and not evidence(name) and is_name(name, frozenset())


def _first_field(line: str) -> str:
    return next((x.strip() for x in _PARTS.split(line) if x.strip()), "")
