"""A re-thread that is killed at any moment leaves the threads of one epoch, whole; the next run sweeps what it left over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailloom.synth import shape_of, synth

KILLING = Path(__file__).with_name("killing_rethread.py")
SAID = ("digest", "books", "parquet", "feed")


def check(room: Path, points: int) -> None:
    synth(room / "folder", 70, 1, shape_of("size=1KB,lost=0.4"), "eml")
    command = [sys.executable, str(KILLING), str(room), str(points), "--", str(room / "folder" / "mail")]
    there = os.environ | {"TMPDIR": str(room)}  # who is killed can't take its temporary folder away
    done = subprocess.run(command, env=there, capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr[-2000:]
    undisturbed, *killed = [json.loads(line) for line in done.stdout.splitlines()]
    before, after = undisturbed["before"], undisturbed["after"]
    assert before["digest"] != after["digest"]
    assert (before["feed"], before["epochs"], after["epochs"]) == (0, 1, 1)
    assert after["feed"] > 0
    assert before["books"] == after["books"]
    seen = set()
    for line in killed:
        at = f"killed at statement {line['point']} of {undisturbed['total']}, the switch began after {undisturbed['switch']}"
        assert line["killed"], at
        found, last = line["found"], line["at last"]
        which = [name for name in ("before", "after") if all(found[k] == undisturbed[name][k] for k in SAID)]
        assert len(which) == 1, f"{at}: neither all of the old epoch nor all of the new one"
        assert found["epochs"] <= 2, at
        assert line["ended"] == 0, f"{at}: then {line['then']} fails"
        want = after if line["then"] == "rethread" else undisturbed[which[0]]
        assert last == want, f"{at}, {which[0]} the switch; then {line['then']}"
        seen.add((which[0], found["epochs"], line["then"]))
    assert {(which, epochs) for which, epochs, _ in seen} == {("before", 1), ("before", 2), ("after", 1), ("after", 2)}


def test_a_kill_at_any_statement_leaves_one_epoch_whole(tmp_path: Path) -> None:
    check(tmp_path, 10)


@pytest.mark.prove
def test_three_hundred_points(tmp_path: Path) -> None:
    check(tmp_path, 300)
