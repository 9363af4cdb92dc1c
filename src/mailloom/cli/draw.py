"""Words, lines and columns for a terminal. Everything that a mail says passes `safe` on its way there.

Drawn with click alone: importing rich takes longer than a search.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from shutil import get_terminal_size
from typing import Any
from unicodedata import east_asian_width

import click

from mailloom.mail.model import Address, Date

MIN_WIDTH, PLAIN_WIDTH = 40, 100
"""Columns: what is never gone below, and what a file or pipe gets."""
MAX_TITLE = 1000  # columns of a subject; one of megabytes is an attack
MAX_WORD = 2000  # letters of one word that are shown, broken over lines; base64 and the like is not worth a screen each


# ------------------------------------------------------------------------------------------------ safe text
def _unsafe() -> dict[int, str]:
    """What a terminal would obey instead of show: C0 and C1 controls, DEL, the direction overrides and isolates of Unicode (UAX 9),
    line and paragraph separators, and lone surrogates, which no terminal can be sent.
    """
    table = {code: chr(0x2400 + code) for code in range(32)}  # ESC becomes "␛"
    table[0x7F] = "␡"
    table |= dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), "�")
    table |= dict.fromkeys((0x061C, 0x200E, 0x200F, 0xFEFF), "")
    table |= dict.fromkeys((0x2028, 0x2029, 0x0A, 0x0D), " ")
    table[0x09] = " "
    return table


_ONE_LINE = _unsafe()
_OBEYED = re.compile("[" + "".join(map(chr, sorted(code for code in _ONE_LINE if code > 0x7F))) + "]")
_LINES = {**_ONE_LINE, 0x0A: "\n", 0x0D: "", 0x09: "    ", 0x2028: "\n", 0x2029: "\n"}


def safe(text: str, *, lines: bool = False) -> str:
    """Text that may be printed: nothing in it moves the cursor, changes colours or turns the direction of writing. On one line,
    unless `lines`.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.translate(_LINES if lines else _ONE_LINE)


# ------------------------------------------------------------------------------------------------ printing
def say(line: str = "", *, error: bool = False) -> None:
    """Print a line. Colours only go to a terminal, and not where NO_COLOR (no-color.org) is set; what its encoding lacks is
    replaced.
    """
    stream = sys.stderr if error else sys.stdout
    if hasattr(stream, "reconfigure") and stream.errors == "strict":
        stream.reconfigure(errors="replace")
    click.echo(line, err=error, color=False if os.environ.get("NO_COLOR") else None)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON, with what a terminal would obey written as escapes."""
    import orjson

    text = orjson.dumps(value)
    if not text.isascii():
        text = _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text.decode()).encode()
    click.echo(text)


def bold(text: str) -> str:
    return click.style(text, bold=True)


def title(text: str, room: int) -> Iterator[str]:
    """A subject as a heading of a few lines at most."""
    yield from map(bold, wrap(clip(safe(text), MAX_TITLE) or "(no subject)", room))


def dim(text: str) -> str:
    return click.style(text, dim=True)


def name_of(text: str) -> str:
    """An id, in the colour of things that can be typed in again."""
    return click.style(text, fg="yellow")


def marked(text: str, marks: Sequence[tuple[int, int]]) -> str:
    """Text with spans of it marked: in colour on a terminal, as [[...]] elsewhere. `marks` are in order and don't overlap."""
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    parts, at = [], 0
    for start, end in marks:
        hit = safe(text[start:end])
        parts += [safe(text[at:start]), click.style(hit, fg="red", bold=True) if colours else f"[[{hit}]]"]
        at = end
    return "".join(parts) + safe(text[at:])


def width() -> int:
    """Columns to draw in: the terminal's, or COLUMNS."""
    return max(MIN_WIDTH, get_terminal_size((PLAIN_WIDTH, 25)).columns)


# ------------------------------------------------------------------------------------------------ columns
def cells(text: str) -> int:
    """Columns that safe text takes: East Asian wide letters take two (UAX 11). Combining marks count one: a line is then too
    short, never too long.
    """
    return len(text) if text.isascii() else sum(2 if east_asian_width(c) in "WF" else 1 for c in text)


def clip(text: str, room: int) -> str:
    """At most `room` columns of safe text."""
    if cells(text) <= room:
        return text
    end = _fitting(text, room - 1)
    return text[:end].rstrip() + "…"


def _fitting(text: str, room: int) -> int:
    """How many letters fit into `room` columns."""
    if text[:room].isascii():
        return min(room, len(text))
    used = 0
    for end, letter in enumerate(text):
        used += 2 if east_asian_width(letter) in "WF" else 1
        if used > room:
            return end
    return len(text)


def wrap(text: str, room: int) -> Iterator[str]:
    """Safe text of several lines, each folded at blanks to `room` columns; indentation stays with a line's beginning. Linear."""
    for line in text.split("\n"):
        yield from _folded(line.rstrip(), room)


def _folded(line: str, room: int) -> Iterator[str]:
    if not line:
        yield ""
    at = broken = 0
    while at < len(line):
        end = at + max(1, _fitting(line[at : at + room + 1], room))
        if end >= len(line):
            yield line[at:]
            return
        blank = line.rfind(" ", at, end + 1)
        if blank > at and not line[at:blank].isspace():
            end, broken = blank, 0
        else:
            broken += end - at
        yield line[at:end].rstrip()
        at = end
        while line[at] == " ":  # it doesn't end in one
            at += 1
        if broken >= MAX_WORD:
            yield f"… {len(line) - at:,} more characters without a blank"[:room]
            return


# ------------------------------------------------------------------------------------------------ words
def moment(ms: int | None) -> str:
    """A time in UTC to the minute, "undated" without one."""
    at = _datetime(ms)
    return f"{at:%Y-%m-%d %H:%M}" if at else "undated         "


def iso(ms: int | None) -> str:
    """A time in UTC, ISO 8601 to the millisecond, "" without one."""
    at = _datetime(ms)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z" if at else ""


def stated(date: Date) -> str:
    """A date as its mail states it, and in UTC."""
    at = _datetime(date.ms)
    if at is None:
        return f"{safe(date.text)} (not a date that can be read)" if date.text else "not stated"
    if not date.zone:
        return f"{at:%Y-%m-%d %H:%M:%S} UTC" + ("" if date.zone == 0 else " (no zone stated)")
    try:
        there = at.astimezone(timezone(timedelta(minutes=date.zone)))
    except (ValueError, OverflowError):  # a zone of more than a day, or the year 9999
        return f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{there:%Y-%m-%d %H:%M:%S %z} ({at:%Y-%m-%d %H:%M:%S} UTC)"


def _datetime(ms: int | None) -> datetime | None:
    if ms is None:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    except OverflowError:
        return None


def who(people: Sequence[Address]) -> str:
    """The first of some people, by name."""
    if not people:
        return "nobody"
    return safe(people[0].name or people[0].address or "nobody").strip() + (
        f" +{len(people) - 1}" if people[1:] else ""
    )


def person(address: Address) -> str:
    """A person as headers write one."""
    name, written = safe(address.name), safe(address.address)
    return f"{name} <{written}>" if name and written else name or written or "nobody"


def size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    for unit, scale in (("kB", 1e3), ("MB", 1e6)):
        if count < 1000 * scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"


def several(count: int, one: str, many: str = "") -> str:
    """A count with its noun: 1 mail, 2,000 mails."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def table(rows: Iterable[tuple[str, str]], *, room: int, margin: str = "  ") -> Iterator[str]:
    """(name, safe value) pairs, the values in one column and folded there."""
    kept = list(rows)
    column = max((len(name) for name, _ in kept), default=0) + 2
    for name, value in kept:
        for number, line in enumerate(wrap(value, max(20, room - column - len(margin)))):
            yield margin + dim((name if number == 0 else "").ljust(column)) + line
