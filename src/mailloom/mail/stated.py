"""What a head or an attribution line states of its message -> id, people, date and subject.

It is kept as stated: a name without an address stays one, a date that can't be read keeps its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from mailloom.mail.address import addresses
from mailloom.mail.heading import ADDRESS, TIME, Head, block, plain_digits
from mailloom.mail.model import Address, Date
from mailloom.mail.phrases import AROUND, LEAD, without_wrote
from mailloom.mail.when import span, visible, when

MAX_LINE = 998
"""Characters of an attribution line that are searched for a date (RFC 5322 section 2.1.1: no line is longer)."""
MAX_DATE = 45
"""Characters from a date's first number to its time, words between them in any language."""
KEPT_HEAD = 1000
"""Characters up to which what a head states is kept for the next mail: replies to one message quote it again and again."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a head says of its message; `subject` is None where it has none, which is not the same as an empty one."""

    message_id: str
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    date: Date
    subject: str | None


def _read_head(head: str) -> Stated:
    fields = heading_fields(head)
    return Stated(
        message_id=fields.get("message-id", "").strip("<> "),
        from_=people(fields.get("from", ""))[:1],
        to=people(fields.get("to", "")),
        cc=people(fields.get("cc", "")),
        date=when(fields.get("date", ""), head),
        subject=fields.get("subject"),
    )


_short_head = lru_cache(maxsize=1024)(_read_head)


def stated(head: str) -> Stated:
    """What the lines of a head, or of an attribution, say."""
    return _short_head(head) if len(head) <= KEPT_HEAD else _read_head(head)


def heading_fields(head: str) -> dict[str, str]:
    """from, to, cc, date, subject as written in a head or an attribution line."""
    lines = head.split("\n")
    first = 0
    while first < len(lines) and not lines[first].strip(" \t\xa0>"):
        first += 1
    if first >= len(lines):
        return {}
    found: Head | None = block(lines, first, sure=True)
    if found is not None and not found.fields.keys().isdisjoint(("from", "subject", "date")):
        return found.fields
    return _attributed(" ".join(x.strip() for x in lines[first:] if x.strip()))


_BRACKETED = re.compile(r"[<\[(]\s{0,3}(?:mailto:)?([^\s<>\[\]()\"]{1,64}@[^\s<>\[\]()\"]{1,255})\s{0,3}[>\])]")
_AFTER_TIME = re.compile(
    r"(?::\d{2})?(?:\.\d{1,3})?[\s\u202f]{0,2}(?:[AaPp]\.?\s?[Mm]\.?(?![A-Za-z]))?(?:[\s\u202f]{0,2}(?:\(?(?:GMT|UTC)?\s?[+-]\d{1,2}:?\d{2}\)?|\(?[A-Z]{2,5}\)?(?![A-Za-z])))?"
)
_APART = re.compile(r"\0|  +")
_EDGES = " \t,;:：*_-–\"'“”«»" + "\ufeff\u200b\u200e\u200f"


def _attributed(text: str) -> dict[str, str]:
    """Who wrote when, of an attribution line in any order: what stands on the far side of the time or date is the name."""
    fields: dict[str, str] = {}
    address = ""
    text = visible(text)
    found = (_BRACKETED.search(text) or ADDRESS.search(text)) if "@" in text else None
    if found:
        address = found[1] if found.lastindex else found[0]
        rest = text[: found.start()] + "\0" + text[found.end() :]
    else:
        rest = text
    rest = without_wrote(rest)
    if known := span(rest):
        outer, start, end, outer_end = known
    elif found_span := _date_span(plain_digits(rest)):
        start, end = outer, outer_end = found_span
    else:
        start = end = -1
    if start >= 0:
        fields["date"] = rest[start:end].strip(_EDGES.replace("-", "") + "[]")
        rest = rest[:outer] + "\0" + rest[outer_end:]
    if lead := LEAD.match(rest.lstrip(_EDGES)):
        rest = rest.lstrip(_EDGES)[lead.end() :]
    names = [_bare_name(piece) for piece in _APART.split(rest)]
    name = max((n for n in names if len(n) > 1 and any(c.isalpha() for c in n)), key=len, default="")
    if address or name:
        quoted = name.replace('"', "")
        fields["from"] = f'"{quoted}" <{address}>' if address and quoted else address or quoted
    return fields


def _bare_name(text: str) -> str:
    """A name without the words that the language puts beside it ("heeft NAME geschreven")."""
    words = text.strip(_EDGES).split(" ")
    while words and words[0].lower() in AROUND:
        words = words[1:]
    while words and words[-1].lower() in AROUND:
        words.pop()
    return " ".join(words).strip(_EDGES)


_DIGIT = re.compile(r"\d")
_YEAR_AFTER = re.compile(r"[\s,]{0,3}(?:\d{1,2}[./ ][^\W\d]{0,12}[./ ])?\d{4}(?!\d)")


def _date_span(text: str) -> tuple[int, int] | None:
    """Where the date stands: from the first word before its first number that can belong to it, to its time and zone."""
    time = TIME.search(text, 0, MAX_LINE)
    if time:
        end = time.end()
        after = _AFTER_TIME.match(text, end)
        end = after.end() if after else end
        day = _DIGIT.search(text, max(0, time.start() - MAX_DATE))
        first = day.start() if day else time.start()
        year = _YEAR_AFTER.match(text, end)
        end = year.end() if year else end
    else:
        numbers = [m.start() for m in _DIGIT.finditer(text, 0, MAX_LINE)]
        if not numbers:
            return None
        end = first = numbers[0]
        for number in numbers:
            if number > end + 16:
                break
            end = number + 1
    start = first
    head = text[:first]
    # Weekday and month names stand before the first number: up to three words, behind the opening word.
    begin = max(head.rfind("\0"), head.rfind(">"), head.rfind('"'), -1) + 1
    lead = LEAD.match(head, begin + len(head[begin:]) - len(head[begin:].lstrip(_EDGES)))
    if lead:
        begin = lead.end()
    words = head[begin:].split(" ")
    if len([w for w in words if w]) <= 3:
        start = begin
    return start, max(end, first + 1)


_BRACKETS_IN_NAME = re.compile(r"(?<![^,;])\s{0,3}+([^\"<>,;@]{1,80}\([^()<>\"@]{1,80}\)[^\"<>,;@]{0,80}?)\s{0,3}<")
"""Clients write a name as it is shown, so that brackets are part of it; in header fields they would be a comment."""


def people(value: str) -> tuple[Address, ...]:
    """Addresses of a head's line: with Outlook's [mailto:...] and doubled `x@y<mailto:x@y>`, and names without an address."""
    if not value:
        return ()
    if "[" in value:
        value = re.sub(r"\[\s{0,3}(?:mailto:)?([^\s\[\]<>]{1,320}@[^\s\[\]<>]{1,255})\s{0,3}\]", r"<\1>", value)
    if "(" in value:
        value = re.sub(r"\(\s{0,3}([^\s()<>@]{1,64}+@[^\s()<>]{1,255})\s{0,3}\)", r"<\1>", value)
        value = _BRACKETS_IN_NAME.sub(r'"\1" <', value)
    if "mailto:" in value:
        value = re.sub(r"<\s{0,3}mailto:([^<>\s]{1,600})>", r"<\1>", value)
        value = re.sub(r"([^\s<>\"';,]{1,64}@[^\s<>\"';,]{1,255})\s{0,2}<\1>", r"<\1>", value)
    if "*" in value:
        value = value.replace("*", "")
    return addresses(value)
