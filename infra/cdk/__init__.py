"""The CDK's command, from npm by its lock: `python -m infra.cdk deploy ...` is `cdk deploy ...` of that version."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent


def locked() -> str:
    """The version that the lock names."""
    version: str = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]["node_modules/aws-cdk"][
        "version"
    ]
    return version


def installed() -> str | None:
    """The version that is here, None where none is."""
    package = HERE / "node_modules" / "aws-cdk" / "package.json"
    if not package.exists():
        return None
    version: str = json.loads(package.read_text("utf-8"))["version"]
    return version
