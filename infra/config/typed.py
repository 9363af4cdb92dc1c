"""A table of TOML -> a frozen dataclass: unknown keys, wrong types and values out of range are told, not passed over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from mailloom.config.settings import Says
from mailloom.ports.errors import UserError

WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple[str, ...]: "a list of texts",
}
LONGEST = 80
"""Signs of a value that a sentence shows: more hide what it says."""


class Key(NamedTuple):
    """What may be written under a dotted key."""

    kind: Any
    says: Says
    optional: bool = False  # text that may be empty, as its default is


@cache
def keys(kind: Any, prefix: str = "") -> Mapping[str, Key]:
    """Dotted key -> what it takes, of a dataclass and those inside it."""
    return dict(_walk(kind, prefix))


def _walk(kind: Any, prefix: str) -> Iterator[tuple[str, Key]]:
    defaults = {one.name: one.default for one in fields(kind) if one.default is not MISSING}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if is_dataclass(hint):
            yield from _walk(hint, f"{prefix}{name}.")
        elif get_origin(hint) is Annotated:
            of, says = get_args(hint)
            yield prefix + name, Key(of, says, defaults.get(name) == "")


def build(kind: Any, table: Mapping[str, Any], stage: str) -> Any:
    """A `kind` named `stage` with what the table says, defaults for the rest. Raises UserError."""
    known = keys(kind)
    given = {key: _typed(known, key, value, stage) for key, value in _flat(table, "", _tables(known))}
    return _made(kind, "", given, {"name": stage})


def _tables(known: Mapping[str, Key]) -> set[str]:
    return {key.rpartition(".")[0] for key in known} - {""}


def _flat(table: Mapping[str, Any], prefix: str, tables: set[str]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and prefix + key in tables:
            yield from _flat(value, f"{prefix}{key}.", tables)
        else:
            yield prefix + key, value


def _made(kind: Any, prefix: str, given: Mapping[str, object], more: Mapping[str, object]) -> Any:
    hints = get_type_hints(kind)
    values = dict(more)
    for one in fields(kind):
        key = prefix + one.name
        if is_dataclass(hints[one.name]):
            values[one.name] = _made(hints[one.name], f"{key}.", given, {})
        elif key in given:
            values[one.name] = given[key]
    return kind(**values)


def _typed(known: Mapping[str, Key], key: str, value: Any, stage: str) -> object:
    written = f"stage {stage}: {shown(key, name=True)} = {shown(value)}"
    if key in _tables(known):
        raise UserError(f"{written} must be a table: write [{stage}.{key}] and its keys below")
    if key not in known:
        raise UserError(f"{written} is no key of a stage{_close(key, known)}")
    kind, says, optional = known[key]
    if kind is float and type(value) is int and abs(value) < 2**53:  # no float is larger and whole to the last digit
        value = float(value)
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return tuple(value)
    right = type(value) is kind
    if right and says.choices:
        right = value in says.choices
    if right and says.like and not (optional and value == ""):
        right = says.like[0].fullmatch(value) is not None
    if right and isinstance(value, int | float):
        right = (says.least is None or value >= says.least) and (says.most is None or value <= says.most)
    if not right:
        raise UserError(f"{written} must be {_expected(kind, says)}")
    return value


def shown(value: object, *, name: bool = False) -> str:
    """A value, or the name of a key, in one line that can be read."""
    try:
        text = value if name and isinstance(value, str) and value.isprintable() else repr(value)
    except ValueError:  # of a number with more digits than Python writes
        text = "a number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _expected(kind: Any, says: Says) -> str:
    if says.choices:
        return "one of " + ", ".join(says.choices)
    if says.like:
        return says.like[1]
    if says.most is not None:
        return f"{WORDS[kind]} from {says.least or 0} to {says.most}"
    return WORDS[kind] + (f", {says.least} or more" if says.least is not None else "")


def _close(key: str, known: Mapping[str, Key]) -> str:
    same = [
        one for one in known if one.rpartition(".")[2] == key.rpartition(".")[2]
    ]  # the right word in the wrong table
    close = same or get_close_matches(key, list(known), 1)
    return f"; did you mean {close[0]}?" if close else "; infra/config/stages.py lists them: take it out"
