"""What can be set: one frozen Settings, from a TOML file and MAILLOOM_* variables; docs/configuration.md lists it."""

from mailloom.config.load import Loaded, load
from mailloom.config.secrets import resolve
from mailloom.config.settings import (
    REPORTS,
    Aws,
    Obs,
    Opensearch,
    Postgres,
    Queues,
    Rollout,
    Secret,
    Settings,
    Settle,
    Valkey,
    Worker,
)

__all__ = [
    "REPORTS",
    "Aws",
    "Loaded",
    "Obs",
    "Opensearch",
    "Postgres",
    "Queues",
    "Rollout",
    "Secret",
    "Settings",
    "Settle",
    "Valkey",
    "Worker",
    "load",
    "resolve",
]
