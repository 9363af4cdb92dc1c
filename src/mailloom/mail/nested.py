"""Forwards and quoted replies inside a text -> messages of their own, to any depth by a work list.

What they state of themselves is kept as stated: from, to, cc, date, subject. The text of a nested message is what its
author wrote and quoted, without `>` and without the forwards inside it, which are messages of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from mailloom.mail.address import addresses
from mailloom.mail.header import date as read_date
from mailloom.mail.heading import ADDRESS, TIME, Head, block, plain_digits
from mailloom.mail.model import Address, Date, Nested, NestedKind, Problem, Segment
from mailloom.mail.phrases import AROUND, LEAD, subject_says, without_wrote
from mailloom.mail.segment import cut_heads

MAX_DEPTH = 12
"""Messages inside messages. Ladders in real mail end near ten; each level is read again, so this bounds the work."""
MAX_NESTED = 500
"""Nested messages of one text: a digest has some dozens."""
MAX_SUBJECT = 998
MAX_DATE = 45
"""Characters from a date's first number to its time, words between them in any language."""
KEPT_HEAD, KEPT_TEXT = 1000, 4000
"""Characters up to which what a head states, and where a quoted text has heads, is kept for the next mail: replies to one
message quote it again and again. Mail of a thread comes close together, so that few need to be kept.
"""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One nested message as found: head, text and span in the text of its carrier."""

    kind: NestedKind
    head: str
    text: str
    start: int
    end: int


def inline(
    text: str,
    segments: Sequence[Segment],
    path: str = "",
    depth: int = 1,
    subject: str = "",
    *,
    problems: list[Problem] | None = None,
) -> tuple[Nested, ...]:
    """The messages that stand in a text, each before those inside it. `path` and `depth` are the carrier's: "" and 1 at the top.

    `subject` is the carrier's: a forward whose head states none (Outlook for Mac) has what follows "FW:" there.
    start and end of a Nested are its span, head included, in the text of the message around it as that stood there: quote
    signs of outer levels are taken off before an inner message is looked for. A limit that was hit is told in `problems`.
    """
    told = problems if problems is not None else []
    out: list[Nested] = []
    work: list[tuple[str, Sequence[Segment], str, int]] = [(text, segments, path, depth)]
    while work and len(out) < MAX_NESTED:
        around, cuts, trail, level = work.pop()
        deeper = []
        for number, piece in enumerate(_pieces(around, cuts), 1):
            if len(out) >= MAX_NESTED:
                work.append((around, cuts, trail, level))
                break
            name = f"{trail}.{number}" if trail else str(number)
            stated = _short_head(piece.head) if len(piece.head) <= KEPT_HEAD else _stated(piece.head)
            title = stated.subject
            if title is None and piece.kind == "forwarded" and level == depth and subject_says(subject) == "forward":
                title = subject.partition(":")[2].strip()
            inner: Sequence[Segment] = ()
            if _may_nest(piece.text):
                inner = _short_text(piece.text) if len(piece.text) <= KEPT_TEXT else cut_heads(piece.text)
            if level >= MAX_DEPTH and inner:
                if any(s.kind in ("attribution", "forward") for s in inner):
                    told.append(Problem("messages nested too deep", name, f"{level} levels"))
                inner = ()
            out.append(
                Nested(
                    path=name,
                    kind=piece.kind,
                    depth=level,
                    message_id=stated.message_id,
                    from_=stated.from_,
                    to=stated.to,
                    cc=stated.cc,
                    date=stated.date,
                    subject=(title or "")[:MAX_SUBJECT],
                    text=_own(piece.text, inner),
                    attachments=(),
                    part=-1,
                    start=piece.start,
                    end=piece.end,
                )
            )
            if inner:
                deeper.append((piece.text, inner, name, level + 1))
        work.extend(reversed(deeper))
    if work:
        told.append(Problem("too many messages in a text", work[-1][2], f"the first {MAX_NESTED}"))
    if len(out) > 1:
        out.sort(key=lambda n: tuple(map(int, n.path.split("."))))
    return tuple(out)


_short_text = lru_cache(maxsize=256)(cut_heads)


# ---------------------------------------------------------------- the pieces


def _pieces(text: str, segments: Sequence[Segment]) -> list[_Piece]:
    """Each head with the quote or forward that follows it; a quote without a head belongs to nobody we could name."""
    out: list[_Piece] = []
    at, count = 0, len(segments)
    while at < count:
        head = segments[at]
        if head.kind not in ("attribution", "forward"):
            at += 1
            continue
        start = at
        at += 1
        kind: NestedKind = "forwarded" if head.kind == "forward" else "quoted"
        body_kind = "forward" if kind == "forwarded" else "quote"
        while at < count and segments[at].kind == body_kind and not (body_kind == "forward" and at > start + 1):
            at += 1
        end = segments[at - 1].end
        lines = text[head.start : head.end]
        body = text[head.end : end]
        if ">" in lines:
            lines = _unquoted(lines)
        prefixed = head.level > 0 or body.lstrip()[:1] == ">"
        out.append(_Piece(kind, lines, (_unquoted(body) if prefixed else body).strip("\n"), head.start, end))
    return out


_SIGN = re.compile(r"\n[ \t]{0,3}> ?")


def _unquoted(text: str) -> str:
    """quote.unquote for each line, by one search."""
    return _SIGN.sub("\n", "\n" + text)[1:] if ">" in text else text


_LABELLED = re.compile(r"\n[^\n:：]{1,29}[:：][^\n]*\n{1,3}[^\n:：]{1,29}[:：]")
_LINES_END = (":\n", ": \n", ":*\n", ":\xa0\n", "：\n")


def _may_nest(text: str) -> bool:
    """Could there be a message inside? It has an attribution (a line that ends in a colon, with a quote or an address near),
    a drawn line, or two labelled lines. Most quotes have none, and are not cut again.
    """
    if (">" in text or "@" in text) and any(end in text for end in _LINES_END):
        return True
    return "--" in text or _LABELLED.search("\n" + text) is not None


def _own(text: str, inner: Sequence[Segment]) -> str:
    """A nested message's text without the forwards inside it."""
    own = "".join(text[s.start : s.end] for s in inner if s.kind != "forward") if inner else text
    return own.strip(" \t\n") if text[:1] not in (" ", "\t") else _dedented(own)


def _dedented(text: str) -> str:
    """Outlook for Mac indents what it quotes by four blanks."""
    lines = text.rstrip(" \t\n").split("\n")
    depth = min((len(x) - len(x.lstrip(" ")) for x in lines if x.strip()), default=0)
    return "\n".join(x[depth:] for x in lines).strip("\n")


# ---------------------------------------------------------------- what a head states


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a head says of its message; `subject` is None where it has none, which is not the same as an empty one."""

    message_id: str
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    date: Date
    subject: str | None


def _stated(head: str) -> _Stated:
    fields = heading_fields(head)
    return _Stated(
        message_id=fields.get("message-id", "").strip("<> "),
        from_=people(fields.get("from", ""))[:1],
        to=people(fields.get("to", "")),
        cc=people(fields.get("cc", "")),
        date=stated_date(fields.get("date", "")),
        subject=fields.get("subject"),
    )


_short_head = lru_cache(maxsize=1024)(_stated)


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
    found = (_BRACKETED.search(text) or ADDRESS.search(text)) if "@" in text else None
    if found:
        address = found[1] if found.lastindex else found[0]
        rest = text[: found.start()] + "\0" + text[found.end() :]
    else:
        rest = text
    rest = without_wrote(rest)
    digits = plain_digits(rest)
    span = _date_span(digits)
    if span:
        fields["date"] = rest[span[0] : span[1]].strip(_EDGES.replace("-", "") + "[]")
        rest = rest[: span[0]] + "\0" + rest[span[1] :]
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
    time = TIME.search(text, 0, MAX_SUBJECT)
    if time:
        end = time.end()
        after = _AFTER_TIME.match(text, end)
        end = after.end() if after else end
        day = _DIGIT.search(text, max(0, time.start() - MAX_DATE))
        first = day.start() if day else time.start()
        year = _YEAR_AFTER.match(text, end)
        end = year.end() if year else end
    else:
        numbers = [m.start() for m in _DIGIT.finditer(text, 0, MAX_SUBJECT)]
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


# ---------------------------------------------------------------- dates as clients write them

_AT = re.compile(r"(?<=\d)(?:\s+|,\s*)(?:at|um|à|kl\.?|o|às|alle ore|alle|a las|klo)\s+(?=\d)", re.IGNORECASE)
_CLOCK = re.compile(r"(?<!\d)(\d{1,2})[.h](\d{2})(?:[.](\d{2}))?(?=\s*(?:$|[A-Z+(-]))")


def stated_date(text: str) -> Date:
    """A date as a client wrote it ("Thu, Sep 3, 2026 at 2:14 AM"); text as stated, ms None where it can't be read."""
    if not text:
        return Date(None, None, "")
    plain = plain_digits(text).replace("\u202f", " ").replace("\xa0", " ")
    plain = _AT.sub(" ", plain)
    if "." in plain or "h" in plain:
        plain = _CLOCK.sub(lambda m: f"{m[1]}:{m[2]}" + (f":{m[3]}" if m[3] else ""), plain)
    stated = _read_words(plain)
    return Date(stated.ms, stated.zone, text)


_MONTH_FIRST = re.compile(r"([A-Z][a-z]{2})[a-z]{0,6}\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_DAY_FIRST = re.compile(r"(\d{1,2})(?:\.|st|nd|rd|th)?\s+([A-Z][a-z]{2})[a-z]{0,6}\.?,?\s+(\d{4})")
_HALF = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s{0,2}([AaPp])\.?\s?[Mm]\.?")


def _read_words(text: str) -> Date:
    """English words in any order, as header.date reads them: day, month, year, time, zone."""
    clock = _HALF.search(text)
    if clock:
        hour = int(clock[1]) % 12 + (12 if clock[4] in "pP" else 0)
        text = f"{text[: clock.start()]}{hour:02}:{clock[2]}:{clock[3] or '00'}{text[clock.end() :]}"
    if found := _MONTH_FIRST.search(text):
        text = f"{found[2]} {found[1]} {found[3]} {text[found.end() :].lstrip(', ')}"
    elif found := _DAY_FIRST.search(text):
        text = f"{found[1]} {found[2]} {found[3]} {text[found.end() :].lstrip(', ')}"
    return read_date(text)
