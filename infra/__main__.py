"""`python -m infra [STAGE...]`: templates of the stages under build/infra, or where the CDK command wants them."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from infra.config.load import load
from infra.node import use_node
from mailloom.ports.errors import UserError

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument("stage", nargs="*", help="of stages.toml; none: all")
    parser.add_argument("--code", type=Path, help="zip for Lambda (default: the newest in build/lambda)")
    options = parser.parse_args()
    try:
        stages = load()
    except UserError as error:
        parser.exit(2, f"{error}\n")
    for name in options.stage:
        if name not in stages:
            parser.error(f"no stage {name!r}: stages.toml has {', '.join(stages)}")
    code = options.code or newest()
    if code is None or not code.is_file():
        parser.error(
            f"no zip for Lambda{f' at {code}' if code else ''}: make it by `make lambda-zip`, or name one by --code"
        )
    use_node()
    from infra.app import build  # jsii starts Node when it is imported

    out = os.environ.get("CDK_OUTDIR")  # the CDK command's
    chosen = [stages[name] for name in options.stage or stages]
    try:
        app, _ = build(chosen, code, Path(out) if out else ROOT / "build/infra")
        app.synth()
    except (
        RuntimeError
    ) as error:  # of the CDK: what config/rules.py doesn't know, as a type of node that can't have a disk
        parser.exit(1, f"the CDK refuses {', '.join(one.name for one in chosen)}: {str(error).partition(chr(10))[0]}\n")


def newest() -> Path | None:
    """The zip that was built last, for arm64."""
    found = sorted((ROOT / "build" / "lambda").glob("*-arm64.zip"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


if __name__ == "__main__":
    main()
