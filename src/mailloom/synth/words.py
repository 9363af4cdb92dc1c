"""Sentences: a grammar and word lists a language (lang/*.toml), and dice."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
Template = tuple[str, ...]
"""Literal text and slot names in turn, beginning with text."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """How a client states an old mail in one language. `attribution` and `date` are templates, of which an author's habit takes
    one; `labels` those of a block, in the client's order; `words` the rest by name.
    """

    attribution: tuple[str, ...]
    date: tuple[str, ...]
    labels: tuple[str, ...]
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Language:
    """All that is said in one language, with the dates and lines that mail clients write in it. `tight`: no blanks between words;
    `wide`: mostly beyond ASCII, so that clients choose base64; `tz`: names of zones by minutes east.
    """

    code: str
    tight: bool
    wide: bool
    charsets: tuple[str, ...]
    given: tuple[tuple[str, str], ...]
    family: tuple[tuple[str, str], ...]
    jobs: tuple[str, ...]
    files: tuple[Template, ...]
    subjects: tuple[Template, ...]
    greetings: tuple[Template, ...]
    closings: tuple[str, ...]
    answers: tuple[Template, ...]
    intros: tuple[Template, ...]
    sentences: tuple[Template, ...]
    slots: Mapping[str, tuple[str, ...]]
    weekday: tuple[tuple[str, ...], tuple[str, ...]]
    month: tuple[tuple[str, ...], tuple[str, ...]]
    ampm: tuple[str, ...]
    tz: Mapping[int, str]
    notice: str
    banner: str
    clients: Mapping[str, Phrases]


@cache
def language(code: str) -> Language:
    """The language of that code; each is read once."""
    data = tomllib.loads(files("mailloom.synth").joinpath("lang", f"{code}.toml").read_text("utf-8"))

    def templates(key: str) -> tuple[Template, ...]:
        return tuple(template(text) for text in data[key])

    def pairs(key: str) -> tuple[tuple[str, str], ...]:
        return tuple((name, ascii_) for name, _, ascii_ in (entry.partition(":") for entry in data[key]))

    def both(key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(data[key]["short"]), tuple(data[key]["long"])

    clock: dict[str, Any] = data.get("clock", {})
    return Language(
        code=code,
        tight=data.get("tight", False),
        wide=data.get("wide", False),
        charsets=tuple(data["charsets"]),
        given=pairs("given"),
        family=pairs("family"),
        jobs=tuple(data["jobs"]),
        files=templates("files"),
        subjects=templates("subjects"),
        greetings=templates("greetings"),
        closings=tuple(data["closings"]),
        answers=templates("answers"),
        intros=templates("intros"),
        sentences=templates("sentences"),
        slots={key: tuple(phrases) for key, phrases in data["slots"].items()},
        weekday=both("weekday"),
        month=both("month"),
        ampm=tuple(clock.get("ampm", ("AM", "PM"))),
        tz={int(zone): name for zone, name in clock.get("tz", {}).items()},
        notice=data["notice"]["text"],
        banner=data["notice"]["banner"],
        clients={client: phrases(data[client]) for client in CLIENTS},
    )


CLIENTS = (
    "gmail", "gmail-app", "outlook", "outlook-mac", "outlook-web", "apple", "thunderbird", "yahoo", "proton", "samsung", "k9", "plain",
)  # fmt: skip


def phrases(table: Mapping[str, Any]) -> Phrases:
    def several(key: str) -> tuple[str, ...]:
        held = table.get(key, ())
        return (held,) if isinstance(held, str) else tuple(held)

    rest = {key: value for key, value in table.items() if key not in ("attribution", "date", "labels")}
    return Phrases(several("attribution"), several("date"), tuple(table.get("labels", ())), rest)


def template(text: str) -> Template:
    pieces: list[str] = []
    for piece in text.split("{"):
        slot, brace, rest = piece.partition("}")
        pieces += (slot, rest) if brace else (piece,)
    return tuple(pieces)


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of them. Random.choice takes five times as long, and this is called a hundred times a mail."""
    return items[int(rng.random() * len(items))]


def weighted(rng: Random, shares: Sequence[tuple[str, float]]) -> str:
    """One of the names, by their shares (which sum to 1)."""
    mark = rng.random()
    for name, part in shares:
        mark -= part
        if mark < 0:
            return name
    return shares[-1][0]


def digits(least: int, most: int) -> Callable[[Random], str]:
    return lambda rng: str(least + int(rng.random() * (most - least)))


def ticket(rng: Random) -> str:
    return f"{pick(rng, ('LX', 'OPS', 'WH', 'QA', 'NET'))}-{int(rng.random() * 90000) + 10000}"


def version(rng: Random) -> str:
    return f"{int(rng.random() * 9) + 1}.{int(rng.random() * 40)}.{int(rng.random() * 10)}"


NUMBERS: Mapping[str, Callable[[Random], str]] = {
    "n": digits(2, 990),
    "n2": digits(1000, 9900),
    "q": digits(1, 5),
    "pct": digits(1, 99),
    "money": lambda rng: f"{int(rng.random() * 90) + 1}{int(rng.random() * 10)}00",
    "ticket": ticket,
    "ver": version,
    "ver2": version,
    "time": lambda rng: f"{int(rng.random() * 9) + 8}:{pick(rng, ('00', '15', '30', '45'))}",
}


def fill(lang: Language, parts: Template, rng: Random, names: Sequence[str]) -> str:
    """The template with a phrase in each slot; {name} is one of `names`. Begins with a capital."""
    out: list[str] = []
    for place, part in enumerate(parts):
        if not place % 2:
            out.append(part)
        elif part in lang.slots:
            out.append(pick(rng, lang.slots[part]))
        elif part == "name":
            out.append(pick(rng, names))
        else:
            out.append(NUMBERS[part](rng))
    text = "".join(out)
    return text[:1].upper() + text[1:]


def paragraph(lang: Language, rng: Random, names: Sequence[str], sentences: int) -> str:
    """So many sentences, one after another."""
    said = [fill(lang, pick(rng, lang.sentences), rng, names) for _ in range(sentences)]
    return ("" if lang.tight else " ").join(said)


def wrap(text: str, tight: bool, width: int = 72) -> list[str]:
    """Lines of at most `width` columns, broken at blanks (or, tight, after any character; a wide one takes two columns)."""
    if len(text) <= (width // 2 if tight else width):
        return [text]
    if tight:
        step = width // 2
        return [text[at : at + step].strip() for at in range(0, len(text), step)]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return lines
