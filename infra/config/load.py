"""stages.toml -> stages, checked before anything is made of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from infra.config import rules
from infra.config.stages import Stage
from infra.config.typed import build, shown
from mailloom.ports.errors import UserError

FILE = Path(__file__).parents[1] / "stages.toml"


def load(path: Path = FILE) -> Mapping[str, Stage]:
    """Name -> stage. Raises UserError: one sentence with the stage, the key, what stands there, and what to change."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}; it is where the stages are written") from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ones
        raise UserError(f"{path} is no TOML: {error}") from None
    except RecursionError:
        raise UserError(
            f"{path} is no TOML of stages: lists in it are inside each other too often; take them out"
        ) from None
    if not tables:
        raise UserError(f"{path} has no stage: write [dev] and its keys below")
    return {name: read(name, table) for name, table in tables.items()}


def read(name: str, table: object) -> Stage:
    """One stage of its table. Raises as load does."""
    if not re.fullmatch(r"[a-z][a-z0-9]{0,11}", name):
        raise UserError(
            f"stage {shown(name, name=True)}: names of stages are up to 12 small letters and digits, a letter first: rename it"
        )
    if not isinstance(table, dict):
        raise UserError(f"stage {name}: {name} = {shown(table)} must be a table: write [{name}] and its keys below")
    stage: Stage = build(Stage, table, name)
    rules.check(stage)
    return stage
