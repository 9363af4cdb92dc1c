"""mailloom.toml + MAILLOOM_* -> Settings, with where each value came from. An unknown key is an error, and so is a wrong type.

The environment wins over the file, the file over the defaults. The file holds a table a profile:

    default_profile = "aws"
    [profile.aws]
    scope = "acme"
    [profile.aws.postgres]
    dsn = "secretsmanager:mailloom/postgres#dsn"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints

from mailloom.config.settings import REPORTS, Says, Secret, Settings
from mailloom.ports.errors import UserError

PROFILES: dict[str, dict[str, object]] = {"local": {}, "aws": {"stores": "servers"}}
"""Profiles that are there without a file, with what they set."""
FILE = "mailloom.toml"
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Known:
    """One setting, under its dotted key."""

    key: str
    type: type
    default: object
    says: Says

    @property
    def variable(self) -> str:
        return "MAILLOOM_" + self.key.upper().replace(".", "_")


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings with the origin of each: {dotted key: "default", "variable NAME", "FILE:LINE" ...}. `file` is the one that was read."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None = None

    def values(self) -> Iterator[tuple[str, object, str]]:
        """(key, value, origin) of each setting, in the order of the classes."""
        for known in settings_known():
            value: object = self.settings
            for name in known.key.split("."):
                value = getattr(value, name)
            yield known.key, value, self.origins[known.key]


@cache
def settings_known() -> tuple[Known, ...]:
    """All settings, in the order of the classes."""
    return tuple(_walk(Settings, ""))


def _walk(kind: Any, prefix: str) -> Iterator[Known]:
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        of = hints[one.name]
        if is_dataclass(of):
            yield from _walk(of, f"{prefix}{one.name}.")
        elif get_origin(of) is Annotated:
            yield Known(prefix + one.name, of.__origin__, one.default, of.__metadata__[0])


def load(profile: str | None, file: Path | None, environ: Mapping[str, str], folder: Path | None = None) -> Loaded:
    """The settings of a profile (None: as the environment or the file says). `folder` is where mailloom.toml is looked for.

    Raises UserError that names the key, the place, and what is expected.
    """
    path = file or (Path(named) if (named := environ.get("MAILLOOM_CONFIG")) else None)
    if path is None and (there := (folder or Path()) / FILE).is_file():
        path = there
    text, tables = _read(path) if path is not None else ("", {})
    source = str(path) if path is not None else FILE
    _top_level(tables, source)
    name = profile or environ.get("MAILLOOM_PROFILE") or tables.get("default_profile") or "local"
    written = tables.get("profile", {})
    if name not in written and name not in PROFILES:
        raise UserError(
            f"there is no profile {name!r}{_close(name, [*PROFILES, *written])}: {source} has no [profile.{name}]"
        )
    known = {one.key: one for one in settings_known()}
    found = {key: (value, f"profile {name}") for key, value in PROFILES.get(name, {}).items()}
    found.update(_from_file(written.get(name, {}), name, source, _lines(text), known))
    found.update(_from_environment(environ, known))
    values = {key: found[key][0] if key in found else one.default for key, one in known.items()}
    origins = {key: found[key][1] if key in found else "default" for key in known}
    settings: Settings = _build(Settings, "", {**values, "profile": name})
    _agree(settings, origins)
    return Loaded(settings, origins, path)


def _agree(settings: Settings, origins: Mapping[str, str]) -> None:
    """Raises UserError where mail would be taken for what was refused, which is passed over in silence."""
    raw, quarantine = settings.aws.raw, settings.aws.quarantine
    if not quarantine or raw.startswith(quarantine):
        raise UserError(
            f"aws.quarantine is {quarantine!r} ({origins['aws.quarantine']}), and all mail below {raw!r} would count as refused:"
            " give it a prefix of its own, as quarantine/"
        )
    if raw.startswith(REPORTS):
        raise UserError(
            f"aws.raw is {raw!r} ({origins['aws.raw']}), where the shadow worker puts its reports, which are no mail:"
            " name another prefix, as raw/"
        )


def _build(kind: Any, prefix: str, values: Mapping[str, object]) -> Any:
    hints = get_type_hints(kind)
    return kind(
        **{
            one.name: values[prefix + one.name]
            if prefix + one.name in values
            else _build(hints[one.name], f"{prefix}{one.name}.", values)
            for one in fields(kind)
        }
    )


# ------------------------------------------------------------------------------------------------ the file
def _read(path: Path) -> tuple[str, dict[str, Any]]:
    import tomllib

    try:
        text = path.read_text("utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}; check --config and MAILLOOM_CONFIG") from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ones
        raise UserError(f"{path} is no TOML: {error}") from None


def _top_level(tables: Mapping[str, Any], source: str) -> None:
    for key in tables:
        if key not in {"default_profile", "profile"}:
            inside = (
                " (settings belong into a table as [profile.local])"
                if key in {k.partition(".")[0] for k in _keys()}
                else ""
            )
            raise UserError(f"{source}: unknown key {key!r}{_close(key, ['default_profile', 'profile'])}{inside}")
    if not isinstance(tables.get("default_profile", ""), str):
        raise UserError(f"{source}: default_profile must be the name of a profile")
    profiles = tables.get("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise UserError(f"{source}: profile must hold tables, as [profile.aws]; the one to use is `default_profile`")


def _from_file(
    table: Mapping[str, Any], profile: str, source: str, lines: Mapping[str, int], known: Mapping[str, Known]
) -> Iterator[tuple[str, tuple[object, str]]]:
    for key, value in _flat(table, ""):
        line = lines.get(f"profile.{profile}.{key}")
        place = f"{source}:{line}" if line else source
        if key not in known:
            raise UserError(f"{place}: unknown key {key!r}{_close(key, known)}")
        one = known[key]
        if isinstance(value, str) and (key.endswith("password") or has_password(value)) and not Secret(value).reference:
            raise UserError(
                f'{place}: {key} holds a password, and files are copied and committed: write "env:NAME" or'
                f' "secretsmanager:NAME#key", or set {one.variable}'
            )
        yield key, (_typed(one, value, f"{place}: {key}"), place)


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict) and any(k.startswith(f"{prefix}{key}.") for k in _keys()):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _keys() -> list[str]:
    return [one.key for one in settings_known()]


def has_password(text: str) -> bool:
    """Whether a connection string has a password: user:word@ in an address, or password= in either form."""
    _, scheme, rest = text.partition("://")
    user, at, _ = rest.rpartition("@")
    in_address = scheme and at and ":" in user
    return bool(in_address or re.search(r"(?i)\b(pass|passwd|password|sslpassword)\s*=", text))


def _lines(text: str) -> dict[str, int]:
    """Dotted key -> line, for keys written one a line below their table's head; others are told without a line."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        written = line.strip()
        if written.startswith("["):
            table = _bare(written.strip("[").partition("]")[0])
        elif "=" in written:
            key = _bare(written.partition("=")[0])
            found.setdefault(f"{table}.{key}" if table else key, number)
    return found


def _bare(key: str) -> str:
    """Without the quotes and blanks that TOML allows around the parts of a key."""
    return ".".join(part.strip(" \t\"'") for part in key.split("."))


# ------------------------------------------------------------------------------------------------ the environment
def _from_environment(
    environ: Mapping[str, str], known: Mapping[str, Known]
) -> Iterator[tuple[str, tuple[object, str]]]:
    variables = {one.variable: one for one in known.values()}
    _no_strangers(environ, variables)
    for variable, one in variables.items():
        for name in (variable, one.says.also):
            if text := environ.get(name, ""):  # empty is as good as not set
                yield one.key, (_typed(one, _parsed(one, text), name), f"variable {name}")
                break


def _no_strangers(environ: Mapping[str, str], variables: Mapping[str, Known]) -> None:
    """A misspelt variable must not be passed over; what only shares the first word may be somebody else's."""
    from difflib import get_close_matches

    sections = {"MAILLOOM_" + one.key.partition(".")[0].upper() + "_" for one in variables.values() if "." in one.key}
    for name in environ:
        if name in variables or name in {"MAILLOOM_PROFILE", "MAILLOOM_CONFIG"} or not name.startswith("MAILLOOM_"):
            continue
        if name.startswith(tuple(sections)) or get_close_matches(name, variables, 1, 0.9):
            raise UserError(f"unknown variable {name}{_close(name, variables)}")


def _parsed(one: Known, text: str) -> object:
    """A variable's text as what the setting takes; text that is none is left, for _typed to tell."""
    if one.type is bool:
        return True if text.lower() in TRUE else False if text.lower() in FALSE else text
    if one.type in {int, float}:
        try:
            return int(text) if one.type is int else float(text)
        except ValueError:
            return text
    return text


# ------------------------------------------------------------------------------------------------ both
def _typed(one: Known, value: object, place: str) -> object:
    """The value as the setting's type. Raises UserError; what may be a secret is not repeated in it."""
    secret = one.type is Secret
    if one.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    right = isinstance(value, str if secret else one.type) and (one.type is bool or not isinstance(value, bool))
    if right and one.says.choices:
        right = value in one.says.choices
    if right and one.says.like and value:
        right = one.says.like[0].fullmatch(str(value)) is not None
    if right and isinstance(value, int | float):
        low, high = one.says.least, one.says.most
        right = (low is None or value >= low) and (high is None or value <= high)
    if not right:
        shown = "" if secret else f", not {value!r}"
        raise UserError(f"{place} must be {expected(one)}{shown}")
    return Secret(value) if secret and isinstance(value, str) else value


def expected(one: Known) -> str:
    """What a setting takes, in words."""
    if one.says.choices:
        return "one of " + ", ".join(one.says.choices)
    if one.says.like:
        return f"a name of {one.says.like[1]}"
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
        Secret: "text or a reference",
    }
    low, high = one.says.least, one.says.most
    if high is not None:
        return f"{words[one.type]} from {low or 0:g} to {high:g}"
    return words[one.type] + (f", {low:g} or more" if low is not None else "")


def _close(name: str, names: Mapping[str, object] | list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, list(names), 1)
    if not close:  # the right word in the wrong table
        close = [key for key in names if key.rpartition(".")[2] == name.rpartition(".")[2]][:1]
    return f"; did you mean {close[0]!r}?" if close else ""
