"""A kill at any moment leaves a valid archive, and the same command again completes it as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailloom.synth import shape_of, synth

KILLING = Path(__file__).with_name("killing.py")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A folder and an mbox: what is read whole, and what is read on from an offset."""
    place = tmp_path_factory.mktemp("mail")
    shape = shape_of("size=2KB,attachments=0.05")
    synth(place / "folder", 60, 1, shape, "eml")
    synth(place / "box.mbox", 120, 2, shape, "mbox")
    return [str(place / "folder" / "mail"), str(place / "box.mbox")]


def kill_at(folder: Path, sources: list[str], shares: list[float]) -> list[dict[str, object]]:
    command = [sys.executable, str(KILLING), str(folder), *map(str, shares), "--", *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(lines: list[dict[str, object]], shares: list[float]) -> None:
    undisturbed, *killed = lines
    assert len(killed) == len(shares)
    for line in killed:
        assert line["killed"], f"the run went past event {line['point']} of {undisturbed['events']}"
        assert line["again"] == 0, f"after a kill at event {line['point']} the same command fails"
        assert line["state"] == undisturbed["state"], f"after a kill at event {line['point']} the archive differs"


def test_a_kill_at_any_store_call_and_the_same_command_again_give_the_undisturbed_archive(tmp_path, sources):
    shares = [(n + random.Random(7).random()) / 24 for n in range(24)]
    check(kill_at(tmp_path, sources, shares), shares)


@pytest.mark.prove
def test_two_hundred_kill_points(tmp_path, sources):
    shares = [n / 200 for n in range(1, 201)]
    check(kill_at(tmp_path, sources, shares), shares)


def test_the_command_with_its_workers_can_be_killed_at_random_moments(tmp_path, sources):
    """As a user's machine would: the whole command, worker processes and all, by SIGKILL from outside; no worker is left behind."""
    command = [
        sys.executable,
        "-m",
        "mailloom",
        "ingest",
        *sources,
        "--jobs",
        "2",
        "--archive",
        str(tmp_path / "killed"),
    ]
    whole = [*command[:-1], str(tmp_path / "whole")]
    began = time.monotonic()
    assert subprocess.run(whole, capture_output=True, check=False).returncode == 0
    took = time.monotonic() - began
    dice = random.Random(3)
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        time.sleep(dice.uniform(0.3, 1.0) * took)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        deadline = time.monotonic() + 20
        while _group_lives(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _group_lives(process.pid), "a worker outlived the command"
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(f"\t{group}\n" in _group_line(pid) for pid in os.listdir("/proc") if pid.isdigit())


def _group_line(pid: str) -> str:
    """The process group of a process that is not a zombie."""
    try:
        state, _, group = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:3]
    except OSError:
        return ""
    return f"\t{group}\n" if state != "Z" else ""


def digest(archive: Path) -> str:
    command = [sys.executable, "-m", "mailloom", "digest", "--archive", str(archive)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
