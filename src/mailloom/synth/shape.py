"""What the traffic looks like: shares lie between 0 and 1, sizes are in bytes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from mailloom.synth.mailers import MAILERS


class ShapeError(ValueError):
    """The shape makes no sense; the message says what would."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Every figure has a default that resembles a company's mail. Mixes are written `gmail:4+outlook:4+plain:3` (weights)."""

    replies: float = 0.7
    """Share of mails that answer another; conversations then have 1 / (1 - replies) mails in the mean, with a heavy tail."""
    concurrency: int = 300
    """Conversations that may be alive at a time; what is kept in memory grows with it."""
    longest: int = 400
    """Mails after which a conversation is left alone."""
    depth: int = 8
    """Levels of quotes after which a client quotes only the last message."""
    forwards: float = 0.05
    """Share of the answers that are forwards to somebody new."""
    attached: float = 0.02
    """Share of mails that begin a conversation with one to three mails attached, as message/rfc822 or as .eml files."""
    lists: float = 0.25
    """Share of the conversations that happen on a mailing list, with footer and List-Id."""
    html: float = 0.7
    """Share of mails with an HTML part, from clients that write HTML."""
    html_only: float = 0.1
    """Share of the mails with HTML that have no plain text beside it."""
    clients: str = "gmail:5+outlook:4+outlook-mac:0.5+outlook-web:2+outlook-app:1+apple:2+iphone:2+thunderbird:2+yahoo:1+proton:0.5+samsung:1+k9:0.5+plain:3"
    langs: str = "en:9+de:2+fr:1+es:1+it:0.7+pt:1+nl:0.6+sv:0.5+pl:0.6+ru:1+ja:1+zh:1+ar:0.5"
    attachments: float = 0.1
    """Share of mails with one to three attachments."""
    attachment_size: int = 8_000
    """Median size of an attachment, decoded; the tail is heavy (log-normal)."""
    lost: float = 0.05
    """Share of the answers without In-Reply-To, References, Thread-Index and Thread-Topic."""
    retopic: float = 0.02
    """Share of the answers under a new subject."""
    again: float = 0.03
    """Share of mails delivered a second time: other Received, Delivered-To, labels, sometimes Bcc."""
    late: float = 0.05
    """Share of mails delivered up to `delay` mails late, so after mails with later dates."""
    delay: int = 200
    missing: float = 0.0
    """Share of mails that never arrive: their answers then name a parent that is nowhere."""
    broken: float = 0.02
    """Share of mails with one of the damages of damage.py."""
    crlf: float = 0.3
    """Share of mails whose lines end with CRLF (an mbox is always written with LF)."""
    size: int = 0
    """Mean size of a mail, within about a sixth, that the length of the texts is steered to; 0 leaves it as it comes. Headers and
    attachments set a floor: 2 KB without attachments, 6 KB with the default ones."""
    people: int = 400
    per_day: int = 400
    """Mails a day, from `start` on."""
    start: int = 1_709_510_400
    """Seconds since 1970 UTC: 2024-03-04, a Monday."""


DEFAULT = Shape()
SHARES = frozenset(field.name for field in dataclasses.fields(Shape) if field.type == "float")
MIXES = {
    "clients": tuple(MAILERS),
    "langs": ("ar", "de", "en", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru", "sv", "zh"),
}
# Below these nothing can be drawn any more; above the upper ones the promise of bounded memory would be empty.
MOST_MISSING = 0.9
BOUNDS = {
    "concurrency": (1, 100_000),
    "longest": (1, 100_000),
    "depth": (0, 100),
    "attachment_size": (1, 100_000_000),
    "delay": (1, 100_000),
    "size": (0, 50_000_000),
    "people": (2, 100_000),
    "per_day": (1, 100_000_000),
    "start": (0, 4_000_000_000),
}
UNITS = {"KB": 1_000, "MB": 1_000_000}


def shape_of(text: str) -> Shape:
    """A Shape from "replies=0.7,html=0.4,size=8KB"; what is not named keeps its default. ShapeError says what is wrong."""
    values: dict[str, float | int | str] = {}
    for item in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, value = (side.strip() for side in item.partition("="))
        if key not in Shape.__dataclass_fields__:
            raise ShapeError(f"shape: unknown key {key!r}; known are {', '.join(Shape.__dataclass_fields__)}")
        if not equals or not value:
            raise ShapeError(f"shape: {key!r} has no value; write {key}={getattr(DEFAULT, key)}")
        values[key] = value if key in MIXES else share(key, value) if key in SHARES else whole(key, value)
    shape = Shape(**values)  # type: ignore[arg-type]  # each was converted by its key
    check(shape)
    return shape


def share(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ShapeError(
            f"shape: {key}={value} is no number; write a share such as {key}={getattr(DEFAULT, key)}"
        ) from None


def whole(key: str, value: str) -> int:
    factor = UNITS.get(value[-2:].upper(), 1)
    digits = value if factor == 1 else value[:-2]
    if not digits.isascii() or not digits.isdigit():
        raise ShapeError(
            f"shape: {key}={value} is no whole number; write {key}={getattr(DEFAULT, key)} (KB and MB may follow)"
        )
    return int(digits) * factor


def check(shape: Shape) -> None:
    """ShapeError if a share is outside 0..1, a number outside its bounds, or a mix names what does not exist."""
    for key in sorted(SHARES):
        if not 0.0 <= getattr(shape, key) <= 1.0:
            raise ShapeError(f"shape: {key}={getattr(shape, key)} is no share; give a number from 0 to 1")
    if shape.missing > MOST_MISSING:
        raise ShapeError(f"shape: missing={shape.missing} leaves too little; give a number from 0 to {MOST_MISSING}")
    for key, (least, most) in BOUNDS.items():
        if not least <= getattr(shape, key) <= most:
            raise ShapeError(
                f"shape: {key}={getattr(shape, key)} is out of bounds; give a number from {least} to {most}"
            )
    for key in MIXES:
        mix(key, getattr(shape, key))


def mix(key: str, text: str) -> tuple[tuple[str, float], ...]:
    """(name, share) of each in "gmail:4+outlook:4"; a name alone weighs 1."""
    weights: dict[str, float] = {}
    for item in text.split("+"):
        name, _, weight = item.strip().partition(":")
        if name not in MIXES[key]:
            raise ShapeError(f"shape: {key} knows no {name!r}; known are {', '.join(MIXES[key])}")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise ShapeError(f"shape: {key}: {weight!r} is no weight; write {key}={getattr(DEFAULT, key)}") from None
    total = sum(weights.values())
    if not 0 < total < float("inf") or min(weights.values()) < 0:
        raise ShapeError(f"shape: {key}={text}: weights must be positive; write {key}={getattr(DEFAULT, key)}")
    return tuple((name, weight / total) for name, weight in weights.items())
