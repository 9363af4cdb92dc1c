"""What speaks for a soft link, in words that go with it wherever it is stored. Pure; a sentence is about whoever links: "it" follows "that mail"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((1440, "day"), (60, "hour"), (1, "minute"))


def minute_of(minute: int) -> str:
    """Minutes since 1970, as a clock shows them: "2024-06-04 at 09:15"."""
    return f"{EPOCH + timedelta(minutes=minute):%Y-%m-%d at %H:%M}"


def zone_of(minutes: int) -> str:
    """Minutes east of UTC as mail writes them: "+0200"."""
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def later(minutes: int) -> str:
    """A span between two mails in its largest unit: "3 days later", "in the same minute"; "2 hours before" where it is negative."""
    for size, unit in _UNITS:
        if count := (abs(minutes) + size // 2) // size:
            return f"{count} {unit if count == 1 else unit + 's'} {'later' if minutes > 0 else 'before'}"
    return "in the same minute"


def phrases(found: int, of: int) -> str:
    """A count of phrases with its noun; nobody needs "2 of 2"."""
    if found == of:
        return "the only phrase" if of == 1 else f"all {of} phrases"
    return f"{found} of {of} phrases"
