"""What a head or an attribution line states of its message -> id, people, date and subject.

It is kept as stated: a name without an address stays one, a date that can't be read keeps its text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mailloom.mail.cut.attribution import ADDRESS, TIME, Head, plain_digits
from mailloom.mail.cut.heading import block, phrase
from mailloom.mail.cut.months import calendar, fold
from mailloom.mail.cut.phrases import AROUND, LEAD, without_wrote
from mailloom.mail.inside.when import find, when
from mailloom.mail.model import Address, Date
from mailloom.mail.parts.dates import milliseconds, offset
from mailloom.mail.people.address import addresses, key, shown
from mailloom.mail.people.author import BEHALF
from mailloom.mail.visible import visible

MAX_LINE = 998
"""Characters of an attribution line that are searched for a date (RFC 5322 section 2.1.1: no line is longer)."""
MAX_DATE = 45
"""Characters from a date's first number to its time, words between them in any language."""
KEPT_HEAD = 1000
"""Characters up to which what a head states is kept for the next mail: replies to one message quote it again and again."""


class Stated(NamedTuple):
    """What a head says of its message; `subject` is None where it has none, which is not the same as an empty one."""

    message_id: str
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    date: Date
    subject: str | None


def _read_head(head: str) -> Stated:
    if head.startswith("On ") and (usual := _usual(head)):
        return usual
    fields = _labelled(head)
    if fields is None:
        lines = [x.lstrip(_QUOTE_SIGNS) for x in visible(head).replace("\0", " ").strip().split("\n")]
        if phrase(lines[0])[0] in ("forward", "original"):
            # Proton writes "Original Message" above its attribution.
            del lines[0]
        return _attributed(" ".join(" ".join(lines).split()))
    return Stated(
        message_id=fields.get("message-id", "").strip("<> "),
        from_=author(fields.get("from", "")),
        to=people(fields.get("to", "")),
        cc=people(fields.get("cc", "")),
        date=when(fields.get("date", ""), head),
        subject=fields.get("subject"),
    )


_short_head = lru_cache(maxsize=1024)(_read_head)


def stated(head: str) -> Stated:
    """What the lines of a head, or of an attribution, say."""
    return _short_head(head) if len(head) <= KEPT_HEAD else _read_head(head)


def _labelled(head: str) -> dict[str, str] | None:
    """from, to, cc, date, subject as written, of a head of `Label: value` lines; None of an attribution."""
    lines = head.split("\n")
    first = 0
    while first < len(lines) and not lines[first].strip(" \t\xa0>"):
        first += 1
    if first >= len(lines):
        return {}
    found: Head | None = block(lines, first, sure=True)
    if found is not None and not found.fields.keys().isdisjoint(("from", "subject", "date")):
        return found.fields
    return None


# ---------------------------------------------------------------- "On DATE, NAME wrote:", in any order

_BRACKETED = re.compile(
    r"[<\[(]\s{0,3}(?:mailto:)?([^\s<>\[\]()\"]{1,64}@[^\s<>\[\]()\"]{1,255})\s{0,3}[>\])]"
    r"|<\s{0,3}([^\s<>@]{1,64} at [^\s<>@]{1,255}\.[^\s<>@]{1,63})\s{0,3}>"
)
"""An address in brackets of any kind, also as archives write it."""
_QUOTE_SIGNS = "> \t\xa0"
_EDGES = " \t,;:：、，*_-–\"'“”«»"
_DATE_EDGES = _EDGES.replace("-", "") + "[]"
_QUOTING = re.compile(r"(?:quoting|zitat von|citeren|citando|citazione)\s", re.IGNORECASE)
"""What Horde opens with; a name follows, not a date."""


_FORWARDER = re.compile(
    r"\W*(?:forwarded by|weitergeleitet von|transféré par|reenviado por|inoltrato da|encaminhado por)\s", re.IGNORECASE
)
"""Lotus Notes names who forwarded and when, which is not who wrote."""


def _attributed(text: str) -> Stated:
    """Who wrote when. The name stands before the address; where there is none, it is the longest of what verb and date part."""
    if _FORWARDER.match(text):
        return Stated("", (), (), (), Date(None, None, ""), None)
    address = ""
    if "@" in text or " at " in text:
        address, text = _address(text)
    text = without_wrote(text)
    date = Date(None, None, "")
    if known := find(text):
        date = Date(known.date.ms, known.date.zone, known.date.text.strip(_DATE_EDGES))
        rest = text[known.outer_end :]
        if known.date.zone is None and (zone := _ZONE_WORD.match(rest)):
            rest = rest[zone.end() :]
        text = f"{text[: known.outer]}\0{rest}"
    elif guess := _date_span(plain_digits(text)):
        date = Date(None, None, text[guess[0] : guess[1]].strip(_DATE_EDGES))
        text = f"{text[: guess[0]]}\0{text[guess[1] :]}"
    name = _name(text)
    if not (address or name):
        return Stated("", (), (), (), date, None)
    return Stated("", (Address(shown(name, address), address, key(address)),), (), (), date, None)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "|".join(_MONTHS)
_USUAL = re.compile(
    rf"On ((?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(?:(\d{{1,2}}) ({_MONTH})|({_MONTH}) (\d{{1,2}}),) (\d{{4}}),?(?: at)?"
    r" (\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AP])M)?(?: ([+-])(\d\d)(\d\d))?),? ((?:[^\W\d_]|[ .,'-]){2,80})"
    r"(?: < ?([\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})++)>)? wrote:"
)


def _usual(head: str) -> Stated | None:
    """What `_attributed` says of the form that most clients write in English: three of four attributions on lists, read in a
    tenth of the time. None for another form, and for names that begin like a weekday or a zone.
    """
    usual = _USUAL.fullmatch(" ".join(head.split()))
    if usual is None:
        return None
    written, day, month, month_first, day_second, year, hour, minute, second, half, sign, east, more, name, address = (
        usual.groups("")
    )
    first = name.split(" ", 1)[0]
    table = calendar()
    if (
        first.isupper()
        or name[0] in _EDGES
        or name[-1] in _EDGES
        or (known := fold(first)) in table.days
        or known in table.at
    ):
        return None
    hours = int(hour) % 12 + (12 if half == "P" else 0) if half and int(hour) <= 12 else int(hour)
    zone = offset(sign, east, more) if sign else None
    zone = None if zone == 0 and sign == "-" else zone
    on = int(year), _MONTHS.index(month or month_first) + 1, int(day or day_second)
    ms = milliseconds(on, (hours, int(minute), int(second or 0)), zone)
    if ms is None or on[0] >= 2200 or _bare_name(name) != name:
        return None
    return Stated("", (Address(shown(name, address), address, key(address)),), (), (), Date(ms, zone, written), None)


_ZONE_WORD = re.compile(r"[ \xa0\u202f]?[A-Z]{3,5}(?=,)")
"""A zone that no table knows, behind a time: "15:28:41 BRT, NAME"."""
_HERE = "\1"
"""Where the address stood."""


def _address(text: str) -> tuple[str, str]:
    """The first address, and the text with a mark in its place and a NUL in that of others: "ann@example.org
    <mailto:ann@example.org>" is one twice, and what follows is a list's.
    """
    mailbox = _BRACKETED.search(text) or ADDRESS.search(text)
    if mailbox is None:
        return "", text
    address = (mailbox[mailbox.lastindex] if mailbox.lastindex else mailbox[0]).removeprefix("mailto:")
    before, after = text[: mailbox.start()], text[mailbox.end() :]
    if "@" in before:
        before = ADDRESS.sub("\0", before)
    if "@" in after:
        after = ADDRESS.sub("\0", _BRACKETED.sub("\0", after))
    return address, f"{before}\0{_HERE}\0{after}"


def _name(text: str) -> str:
    """The piece before the address, else the longest of those that are no more than a line's opening."""
    pieces = text.split("\0")
    if _HERE in pieces[1:]:
        before = pieces[pieces.index(_HERE) - 1]
        name = _bare_name(before)
        if _is_name(name):
            return name
    names = [_bare_name(piece) for piece in pieces if not LEAD.fullmatch(piece.strip(_EDGES))]
    return max((name for name in names if _is_name(name)), key=len, default="")


def _is_name(text: str) -> bool:
    # One letter is a name where names are short: "李".
    return any(c.isalpha() for c in text) and (len(text) > 1 or not text.isascii())


_PARTICLES = frozenset(("de", "von"))
"""Words of names, too, where the family's name comes first: "de Vries, Ann"."""


def _bare_name(text: str) -> str:
    """A name without the words that the language puts beside it ("heeft NAME geschreven")."""
    text = _QUOTING.sub("", text.strip(_EDGES), count=1) if _QUOTING.match(text.strip(_EDGES)) else text
    words = text.strip(_EDGES).split(" ")
    # Those are in lower case; "De Vries" is a name.
    while words and words[0] in AROUND and not (words[0] in _PARTICLES and "," in text.strip(_EDGES)):
        words = words[1:]
    while words and words[-1] in AROUND:
        words.pop()
    name = " ".join(words).strip(_EDGES)
    name = name.strip("<>" + _EDGES)
    for opening, closing in ("()", "[]"):
        # Brackets that lost their other half with the address or the date, and those around the whole.
        if name.count(opening) != name.count(closing) or (name[:1] == opening and name.find(closing) == len(name) - 1):
            name = name.strip(opening + closing + _EDGES)
    return name


_DIGIT = re.compile(r"\d")
_AFTER_TIME = re.compile(
    r"(?::\d{2})?(?:\.\d{1,3})?[\s\u202f]{0,2}(?:[AaPp]\.?\s?[Mm]\.?(?![A-Za-z]))?(?:[\s\u202f]{0,2}(?:\(?(?:GMT|UTC)?\s?[+-]\d{1,2}:?\d{2}\)?|\(?[A-Z]{2,5}\)?(?![A-Za-z])))?"
)
_YEAR_AFTER = re.compile(r"[\s,]{0,3}(?:\d{1,2}[./ ][^\W\d]{0,12}[./ ])?\d{4}(?!\d)")


def _date_span(text: str) -> tuple[int, int] | None:
    """Where a date in a language without a table stands: from the first word before its first number that can belong to it, to its time and zone."""
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


# ---------------------------------------------------------------- people of labelled lines

_BRACKETS_IN_NAME = re.compile(r"(?<![^,;])\s{0,3}+([^\"<>,;@]{1,80}\([^()<>\"@]{1,80}\)[^\"<>,;@]{0,80}?)\s{0,3}<")
"""Clients write a name as it is shown, so that brackets are part of it; in header fields they would be a comment."""
_SQUARE = re.compile(r"\[\s{0,3}(?:mailto:|smtp:)?([^\s\[\]<>]{1,320}@[^\s\[\]<>]{1,255})\s{0,3}\]", re.IGNORECASE)
_ROUND = re.compile(r"\(\s{0,3}(?:mailto:)?([^\s()<>@]{1,64}+@[^\s()<>]{1,255})\s{0,3}\)")
_LINKED = re.compile(r"<\s{0,3}mailto:([^<>\s]{1,600})>", re.IGNORECASE)
_DOUBLED = re.compile(r"([^\s<>\"';,]{1,64}@[^\s<>\"';,]{1,255})\s{0,2}<\1>")


def people(value: str) -> tuple[Address, ...]:
    """Addresses of a head's line: with Outlook's [mailto:...] and doubled `x@y<mailto:x@y>`, and names without an address."""
    if not value:
        return ()
    value = visible(value)
    if "[" in value:
        value = _SQUARE.sub(r"<\1>", value)
    if "(" in value:
        value = _ROUND.sub(r"<\1>", value)
        value = _BRACKETS_IN_NAME.sub(r'"\1" <', value)
    if "mailto:" in value:
        value = _DOUBLED.sub(r"<\1>", _LINKED.sub(r"<\1>", value))
    if "*" in value:
        value = value.replace("*", "")
    if ";" in value and "," in value and '"' not in value:
        # Where semicolons part people, commas part names: "Lee, Ann; Doe, Bob".
        value = "; ".join(f'"{one.strip()}"' if "," in one and "@" not in one else one for one in value.split(";"))
    return addresses(value)


def author(value: str) -> tuple[Address, ...]:
    """Who wrote, of a From line: one, and of "a@example.org On Behalf Of Ann Lee" the other."""
    said = BEHALF.search(value) if value else None
    if said and value[said.end() :].strip(" :"):
        value = value[said.end() :].strip(" :")
    if "@" not in value and value.count(",") == 1 and ";" not in value and '"' not in value:
        value = f'"{value.strip(" *")}"'  # "Lee, Ann"
    return people(value)[:1]
