"""The stages as frozen values: read from stages.toml, checked before anything is made of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("stages.toml")


@dataclass(frozen=True, slots=True)
class Stage:
    """One deployment. `protect`: what holds mail can't be deleted by a deployment."""

    name: str
    region: str = "us-east-1"
    protect: bool = False

    @property
    def prefix(self) -> str:
        """What every name of it begins with."""
        return f"mailloom-{self.name}"


def load(path: Path = FILE) -> Mapping[str, Stage]:
    """Name -> stage."""
    with path.open("rb") as file:
        found = tomllib.load(file)
    return {name: Stage(name, **values) for name, values in found.items()}
