"""What speaks for a soft link, in words: "it" is the mail that follows, "that mail" the one that is followed. Pure.

Words are only made of what is kept or shown: `decide` weighs many candidates for each link.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((1440, "day"), (60, "hour"), (1, "minute"))


class Says(NamedTuple):
    """One piece of evidence for a candidate: its weight in thousandths, its kind, and what `told` needs to tell it.

    | kind | who | values |
    |---|---|---|
    | wrote | the name in a quote's head | its minute; minutes that this is off from UTC; whose clock shows it; 1 for a quote, 2 for one inside it |
    | siblings | the name in both quotes' heads | its minute |
    | text, again | | phrases found; of how many |
    | subject, replies | | 1 where base subjects are the same; minutes between both |
    | series | what the subject says of the part | |
    | people | | how many take part in both, 0 where neither names anybody but its sender |
    """

    weight: int
    kind: str
    who: str = ""
    values: tuple[int, ...] = ()

    @property
    def detail(self) -> str:
        """In words, on one line. What mails say in it is as they say it."""
        return told(self)


WRITER, QUOTER, NOBODY_S = range(3)
"""Whose clock shows the minute in a quote's head."""


def told(says: Says) -> str:
    match says.kind, says.values:
        case "wrote", (minute, off, clock, level):
            quotes = "it quotes" if level == 1 else "its quote quotes"
            return f"{quotes} what {says.who} wrote on {minute_of(minute)}{_clock(off, clock)}"
        case "siblings", (minute,):
            return f"both quote what {says.who} wrote on {minute_of(minute)}"
        case "text", (found, of):
            return f"{_phrases(found, of)} that it quotes {'is' if found == 1 else 'are'} that mail's own words"
        case "again", (found, of):
            return f"its sender says {_phrases(found, of)} of that mail again"
        case (("subject" | "replies"), (same, minutes)):
            what = "the same subject" if same else "the subject that it had before"
            return f"{what}{'' if says.kind == 'subject' else ', both replies or forwards'}, {later(minutes)}"
        case "series", _:
            return f"parts of one series, of which it is {says.who}"
        case "ticket", _:
            return "the same ticket"
        case "people", (0,):
            return "neither names its readers"
        case "people", (count,):
            return "one takes part in both" if count == 1 else f"{count} take part in both"
    return says.kind


def _clock(off: int, clock: int) -> str:
    if clock == NOBODY_S:
        return ", when that mail was sent by a clock of another zone"
    if off == 0:
        return " UTC, when that mail was sent"
    whose = "the writer's clock" if clock == WRITER else "the clock of whoever quotes it"
    return f" ({zone_of(off)}, {whose}), when that mail was sent"


def minute_of(minute: int) -> str:
    """Minutes since 1970, as a clock shows them: "2024-06-04 at 09:15"."""
    return f"{EPOCH + timedelta(minutes=minute):%Y-%m-%d at %H:%M}"


def zone_of(minutes: int) -> str:
    """Minutes east of UTC as mail writes them: "+0200"."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def later(minutes: int) -> str:
    """A span between two mails in its largest unit: "3 days later", "in the same minute"; "2 hours before" where it is negative."""
    for size, unit in _UNITS:
        if abs(minutes) >= size:
            count = (abs(minutes) + size // 2) // size
            return f"{count} {unit if count == 1 else unit + 's'} {'later' if minutes > 0 else 'before'}"
    return "in the same minute"


def _phrases(found: int, of: int) -> str:
    if found == of:
        return "the only phrase" if of == 1 else f"all {of} phrases"
    return f"{found} of {of} phrases"
