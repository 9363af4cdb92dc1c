"""Cutting quality beside other tools, on the same cases, as a table.

    python bench/quality GOLD_FOLDER [--peers VENV] [--only NAME...]

GOLD_FOLDER holds *.jsonl, a case a line: {"id", "input": {"kind": "text"|"html"|"eml", "body", "subject"}, and "expected": {"reply_text",
"reply_full", "nested": [{"from", "to", "cc", "subject", "body"}]} or "parent": the text of the message that this one answers}. A field that
is absent isn't scored. The other tools are installed from the package index, pinned, into VENV (made where absent).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from predict import predicted  # noqa: E402
from quality.score import exact_and_f1, forward, quoted_and_own  # noqa: E402

PEERS = (
    "quotequail==0.5.4",
    "mail-parser-reply==1.36",
    "email-reply-parser==0.5.12",
    "talon==1.4.4",
    "html2text==2025.4.15",
)
TOOLS = ("quotequail", "mail-parser-reply", "email-reply-parser", "talon")
Case = dict[str, Any]
Said = dict[str, dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gold", type=Path)
    parser.add_argument("--peers", type=Path, default=Path("build/peers"))
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    python = environment(given.peers)
    print(f"| cases | measure | mailloom | {' | '.join(TOOLS)} |\n|---|---|---|{'---|' * len(TOOLS)}")
    for path in sorted(given.gold.glob("*.jsonl")):
        if given.only and path.stem not in given.only:
            continue
        cases = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
        cases = [case for case in cases if "input" in case]
        if not cases:
            continue
        said = [ours(cases), *(theirs(python, tool, cases) for tool in TOOLS)]
        for measure, cells in rows(cases, said):
            print(f"| {path.stem} ({len(cases)}) | {measure} | {' | '.join(cells)} |", flush=True)


def environment(place: Path) -> Path:
    """The interpreter of an environment that has the other tools."""
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return python


def ours(cases: Sequence[Case]) -> Said:
    return {case["id"]: predicted(case) for case in cases}


def theirs(python: Path, tool: str, cases: Sequence[Case]) -> Said:
    lines = "".join(json.dumps({"id": case["id"], "input": case["input"]}) + "\n" for case in cases)
    done = subprocess.run([python, HERE / "peers.py", tool], input=lines, capture_output=True, text=True, check=True)
    return {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}


def rows(cases: Sequence[Case], said: Sequence[Said]) -> list[tuple[str, list[str]]]:
    out = []
    for field in ("reply_text", "reply_full"):
        scored = [case for case in cases if case.get("expected", {}).get(field) is not None]
        if scored:
            out.append((f"{field}: exact / F1", [texts(scored, field, one) for one in said]))
    forwards = [case for case in cases if case.get("expected", {}).get("nested") and case["input"]["kind"] != "eml"]
    if forwards:
        out.append(("forward: all fields", [fields(forwards, one) for one in said]))
    if "parent" in cases[0]:
        out.append(("replies: f / leak / loss", [" / ".join(map(short, quoted_and_own(cases, one))) for one in said]))
    return out


def texts(cases: Sequence[Case], field: str, said: Said) -> str:
    pairs = [exact_and_f1(case["expected"][field], said.get(case["id"], {}).get(field)) for case in cases]
    return f"{short(mean(p[0] for p in pairs))} / {short(mean(p[1] for p in pairs))}"


def fields(cases: Sequence[Case], said: Mapping[str, Mapping[str, Any]]) -> str:
    got = [forward(case["expected"]["nested"][0], said.get(case["id"], {}).get("nested") or []) for case in cases]
    return short(mean(got))


def short(value: float) -> str:
    return f"{value:.3f}"


if __name__ == "__main__":
    main()
