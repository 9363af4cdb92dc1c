"""The stages as frozen values: read from stages.toml, checked before anything is made of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).with_name("stages.toml")


@dataclass(frozen=True, slots=True)
class History:
    """What runs over much mail. `backfill`: the way of mail that was there before: `enqueue` (workers do the work) or `prefix` (a function does it all);
    `part`: objects that one call of `enqueue` gets; `concurrency`: calls at a time; `tolerated_percent`: so many parts may fail before a run stops.
    `nightly`, `migrate`: when, as EventBridge Scheduler has it, in `timezone`; each starts within `window_minutes` of that.
    `settle_hours`, `doctor_hours`: how long each may take. `spark_cpus`: the most that all jobs have at a time.
    """

    backfill: str = "enqueue"
    part: int = 1000
    concurrency: int = 20
    tolerated_percent: int = 5
    nightly: str = "cron(15 3 * * ? *)"
    migrate: str = "cron(30 2 15 * ? *)"
    timezone: str = "UTC"
    window_minutes: int = 30
    settle_hours: int = 4
    doctor_hours: int = 8
    spark_release: str = "emr-7.12.0"
    spark_cpus: int = 64
    spark_idle_minutes: int = 15


@dataclass(frozen=True, slots=True)
class Stage:
    """One deployment. `protect`: what holds mail can't be deleted by a deployment."""

    name: str
    region: str = "us-east-1"
    protect: bool = False
    history: History = field(default_factory=History)

    @property
    def prefix(self) -> str:
        """What every name of it begins with."""
        return f"mailloom-{self.name}"


def load(path: Path = FILE) -> Mapping[str, Stage]:
    """Name -> stage."""
    with path.open("rb") as file:
        found = tomllib.load(file)
    return {name: Stage(name, **values) for name, values in found.items()}
