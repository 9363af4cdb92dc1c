"""A record -> soft evidence: the clues by which later mail may find it, and those that it asks for itself.

| kind | what it says | who owns it |
|---|---|---|
| wrote | a quote's head names who wrote it and when | every mail: its sender and its time |
| text | a quote's words | every mail: a few runs of its own words |
| siblings | two mails quote the same head, and neither says more | mail that cites no id |
| subject | the same base subject, after "Re:" | what begins a subject |
| replies | the same, where the beginning is missing | replies |
| again | the same subject but for a mark that says "again" ("(2nd reminder)") | what begins a subject |
| ticket | the same ticket of a tracker | what has it in its subject |
| series | the parts of a numbered series | each part |

A clue's name begins with the day of its time, so that clues that are used together lie together in a store, and so that a phrase
is common only for as long as many use it. Names are short hashes: who forges one is only looked at, for `decide` compares what stands behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from mailloom.mail.model import Message, Nested, Record
from mailloom.ports import Ask, ClueName
from mailloom.thread.keys import short_hash
from mailloom.thread.sketch import Hashes, pack, runs
from mailloom.thread.speaker import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER, ZONES, author
from mailloom.thread.topic import SERIES, Topic, topic

SUBJECT_DAYS = 60
"""How long a subject is remembered: measured on five lists, replies that come later mostly begin something new."""
SPAN = 30  # days that share the names of their subjects and phrases
REPLY_SPAN = 8
"""Days that share the name of a subject's replies, by which they find each other where the beginning is missing."""
REPLY_DAYS = 2 * REPLY_SPAN
"""How far back other answers are looked for."""
BRIEF = 800  # in thousandths, what a subject of one word ("Test") tells of what a longer one does
REPLY_HOURS = 8  # that share another one, as in a busy talk the days' name is common
SERIES_MS = 2 * HOUR_MS  # in which a numbered series is sent
OWN_ANCHORS, ASKED_ANCHORS = 4, 16
"""Runs of a mail's own words that it can be found by, and of quoted words that are looked up: the smallest hashes of each, so that a
whole quote shares all of them, and one third of a mail shares one with a probability of 1 - (2/3)^4 = .80. With 8 owned, nothing more
was found on two lists (most quotes are found by their heads, too), and every mail pays for what it owns.
"""
OUTERMOST, DEEPER = 1000, 900  # in thousandths, what the head of a quote tells, and that of one inside
HEADS = 4  # of quotes: who is answered, and whom that answered
MAX_INSIDE = 3  # mail with more attached or forwarded messages side by side is a digest: it answers none of them
SHARED = frozenset((b"s", b"r", b"a", b"k", b"n", b"q"))
"""Kinds of clues that several mails mostly own: subjects, replies, again, tickets, series, siblings."""
FAR = 1 << 16  # days since 1970 that two bytes hold: up to 2149


class Clues(NamedTuple):
    """`owns` and `asks` as in ports.Stated; `own` and `quoted` are packed sketches of own and of quoted words."""

    reply: bool
    owns: tuple[ClueName, ...] = ()
    asks: tuple[Ask, ...] = ()
    own: bytes = b""
    quoted: bytes = b""


class _Head(NamedTuple):
    """What the head of a quote says: hashes of the writer's address and name, minutes since 1970 (as UTC where no zone is stated)."""

    who: tuple[bytes, ...]
    name: str
    minute: int
    zoned: bool
    depth: int


def clues(record: Record, *, cites: bool) -> Clues:
    """The soft evidence of a record; `cites` says whether it cites an id. Mail without a date, and automatic mail, has none."""
    message = record.message
    about = topic(message, record.base_subject)
    ms = message.date.ms
    if ms is None or not 0 <= ms < FAR * DAY_MS or "automatic" in message.marks:
        return Clues(about.reply)
    digest = sum(n.kind != "quoted" and n.depth == 1 for n in message.nested) > MAX_INSIDE
    heads = [] if digest else list(_heads(message.nested, ms))
    own = runs(_own_text(message))
    quoted = runs("" if digest else _quoted_text(message))
    sender = author(message.author or message.from_)
    owns = [*_wrote(sender, ms), *_anchors(own, ms), *_begun(about, ms)]
    asks = [
        *_written(heads),
        *_words(quoted, heads, ms),
        *_answered(about, record.base_subject, ms - ms % (REPLY_HOURS * HOUR_MS)),
    ]
    if not cites:
        siblings = [(_sibling(head), head) for head in heads if head.depth == 1]
        owns += [clue for clue, _ in siblings]
        asks += [Ask("siblings", clue, head.name, value=head.minute) for clue, head in siblings]
    if not about.reply and (part := SERIES.search(message.subject)) and sender:
        owns += [_sent(_part(sender[0], part, number), ms) for number in ("", str(int(part[2])))]
        asks += _parts(sender[0], part, ms)
    return Clues(about.reply, tuple(dict.fromkeys(owns)), tuple(asks), pack(own), pack(quoted))


def _name(kind: bytes, ms: int, span: int, value: bytes) -> ClueName:
    day = ms // DAY_MS
    return (day - day % span).to_bytes(2, "big") + kind + value


# ------------------------------------------------------------------------------------------------ who wrote what when
def _wrote(sender: Sequence[bytes], ms: int) -> Iterator[ClueName]:
    """The day, and the minute of a quarter of an hour: the same in every zone."""
    for who in sender:
        yield (ms // DAY_MS).to_bytes(2, "big") + _at_minute(who, ms // MINUTE_MS)


def _at_minute(who: bytes, minute: int) -> bytes:
    return b"w" + who + (minute % QUARTER).to_bytes(1, "big")


def writer(clue: ClueName) -> bytes:
    """Whom a clue of the kind "wrote" names, b"" for another kind."""
    return clue[3:-1] if clue[2:3] == b"w" else b""


def is_shared(clue: ClueName) -> bool:
    """Whether other mail mostly owns or asks for it already: by its kind. A store may look before it writes."""
    return clue[2:3] in SHARED


def _heads(nested: Sequence[Nested], sent: int) -> Iterator[_Head]:
    """Who wrote what is quoted, the outermost first. A time after the carrier's own was misread."""
    found = 0
    for inner in sorted(nested, key=_depth):
        who = author(inner.from_)
        ms = inner.date.ms
        if who and ms is not None and DAY_MS <= ms < min(sent + 2 * DAY_MS, (FAR - 1) * DAY_MS):
            shown = inner.from_[0].name or inner.from_[0].address
            yield _Head(who, shown, ms // MINUTE_MS, inner.date.zone is not None, inner.depth)
            found += 1
            if found == HEADS:
                return


def _depth(inner: Nested) -> int:
    return inner.depth


def _written(heads: Iterable[_Head]) -> Iterator[Ask]:
    """Outlook rounds to the nearest minute, and Gmail names the minute of arrival: whom the outermost heads name may have written in
    the minute before.
    """
    for head in heads:
        first, last = (head.minute, head.minute) if head.zoned else (head.minute - ZONES[1], head.minute - ZONES[0])
        days = range(first // 1440, last // 1440 + 1)
        kind = "wrote" if head.zoned else "wrote there"
        weight, minutes = (OUTERMOST, (head.minute, head.minute - 1)) if head.depth == 1 else (DEEPER, (head.minute,))
        for who in head.who:
            for minute in minutes:
                at_minute = _at_minute(who, minute)
                for day in days:
                    yield Ask(kind, day.to_bytes(2, "big") + at_minute, head.name, weight, head.minute)


def _sibling(head: _Head) -> ClueName:
    return _name(b"q", head.minute * MINUTE_MS, 1, head.who[0] + (head.minute % 1440).to_bytes(2, "big"))


# ------------------------------------------------------------------------------------------------ words
def _own_text(message: Message) -> str:
    return "\n".join([message.text[s.start : s.end] for s in message.segments if s.kind == "new"])


def _quoted_text(message: Message) -> str:
    """What this mail answers or forwards, without what that quotes in turn."""
    first = [n.text for n in message.nested if n.depth == 1]
    if first:
        return "\n".join(first)
    return "\n".join([message.text[s.start : s.end] for s in message.segments if s.kind == "quote" and s.level == 1])


def _anchors(own: Hashes, ms: int) -> Iterator[ClueName]:
    return (_name(b"t", ms, SPAN, anchor) for anchor in _each(own[:OWN_ANCHORS]))


def _each(hashes: Hashes) -> list[bytes]:
    joined = hashes.astype(">u8").tobytes()
    return [joined[at : at + 8] for at in range(0, len(joined), 8)]


def _words(quoted: Hashes, heads: Sequence[_Head], ms: int) -> Iterator[Ask]:
    """The time of what is quoted is known by its head, to a day or so; else it was some time in these weeks and those before."""
    known = [head.minute * MINUTE_MS for head in heads if head.depth == 1]
    times = [t for at in known[:1] for t in (at - DAY_MS, at + DAY_MS)] or [ms, ms - SPAN * DAY_MS]
    anchors = quoted[:ASKED_ANCHORS]
    for span in dict.fromkeys([_name(b"t", at, SPAN, b"") for at in times if at >= 0]):
        for anchor, value in zip(_each(anchors), (anchors >> 32).tolist(), strict=True):
            yield Ask("text", span + anchor, "", 1000, value)


# ------------------------------------------------------------------------------------------------ subjects
def _begun(about: Topic, ms: int) -> Iterator[ClueName]:
    if about.name and about.reply:
        yield from _near(b"r", about.name, ms)
    elif about.name:
        yield _name(b"s", ms, SPAN, about.name)
        if about.unmarked:
            yield _name(b"a", ms, SPAN, about.unmarked)
    if about.ticket:
        yield from _near(b"k", about.ticket, ms)


@lru_cache(maxsize=512)  # mails of one talk come close together: half of what subjects cost
def _answered(about: Topic, base_subject: str, ms: int) -> tuple[Ask, ...]:
    """What a mail of these REPLY_HOURS asks by its subject."""
    asks: list[Ask] = []
    said = [(about.name, BRIEF if about.brief else 1000), (about.former, 1000)] if about.reply else []
    for name, weight in said:
        if name:
            begun = [_name(b"s", at, SPAN, name) for at in _back(ms, SUBJECT_DAYS, SPAN)]
            asks += [Ask("subject", clue, base_subject, weight) for clue in begun]
            asks += [Ask("replies", clue, base_subject, weight) for clue in _before(b"r", name, ms)]
    if about.unmarked:
        for at in _back(ms, SUBJECT_DAYS, SPAN):
            asks += [Ask("again", _name(kind, at, SPAN, about.unmarked), base_subject) for kind in (b"s", b"a")]
    if about.ticket:
        asks += [Ask("ticket", clue, base_subject) for clue in _before(b"k", about.ticket, ms)]
    return tuple(asks)


def _near(kind: bytes, value: bytes, ms: int) -> Iterator[ClueName]:
    yield _name(kind, ms, REPLY_SPAN, value)
    yield _hours(kind, value, ms)


def _before(kind: bytes, value: bytes, ms: int) -> Iterator[ClueName]:
    for at in _back(ms, REPLY_DAYS, REPLY_SPAN):
        yield _name(kind, at, REPLY_SPAN, value)
    for at in range(ms, max(-1, ms - DAY_MS), -REPLY_HOURS * HOUR_MS):
        yield _hours(kind, value, at)


def _hours(kind: bytes, value: bytes, ms: int) -> ClueName:
    return _name(kind, ms, 1, value + (ms // HOUR_MS % 24 // REPLY_HOURS).to_bytes(1, "big"))


def _back(ms: int, days: int, span: int) -> Iterator[int]:
    return (ms - back * DAY_MS for back in range(0, days + 1, span) if ms >= back * DAY_MS)


def _part(sender: bytes, part: re.Match[str], number: str) -> bytes:
    return sender[:4] + short_hash("series", f"{part[1].casefold().strip()} {part[3]} {number}")


def _sent(part: bytes, ms: int) -> ClueName:
    return _name(b"n", ms, 1, (ms // SERIES_MS % (DAY_MS // SERIES_MS)).to_bytes(1, "big") + part)


def _parts(sender: bytes, part: re.Match[str], ms: int) -> Iterator[Ask]:
    """Any other part; of a long series the beginning and the parts just before, of which one is there if anything is."""
    number = int(part[2])
    near = [str(n) for n in sorted({0, 1, number - 1, number - 2} - {number}) if n >= 0]
    times = [at for at in (ms - SERIES_MS, ms, ms + SERIES_MS) if 0 <= at < FAR * DAY_MS]
    for other in [_part(sender, part, other) for other in ("", *near)]:
        for at in times:
            yield Ask("series", _sent(other, at), part[0])
