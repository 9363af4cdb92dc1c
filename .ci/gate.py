"""Judge the branch coverage of each folder named: `gate.py coverage.json FOLDER...` ends with 1 where one is below 90 %.

Only branches count (coverage's own total mixes them with lines, which are easier to reach). A folder without any branch
passes: there is nothing in it that could go two ways.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LEAST = 90.0


def branches(files: dict[str, dict[str, dict[str, int]]], folder: str) -> tuple[int, int]:
    """(covered, all) branches of the files below folder."""
    inside = [file["summary"] for path, file in files.items() if Path(folder) in Path(path).parents]
    return sum(s["covered_branches"] for s in inside), sum(s["num_branches"] for s in inside)


def main(report: str, folders: list[str]) -> int:
    files = json.loads(Path(report).read_text(encoding="utf-8"))["files"]
    status = 0
    for folder in folders:
        covered, total = branches(files, folder)
        percent = 100.0 * covered / total if total else 100.0
        verdict = "ok" if percent >= LEAST else f"below {LEAST:.0f} %"
        sys.stdout.write(f"{folder}: {covered} of {total} branches, {percent:.1f} %: {verdict}\n")
        status |= percent < LEAST
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
