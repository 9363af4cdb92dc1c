"""What somebody meets who types a command for the first time: a mistake is one line that says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BARE = """import sys
for name in ("boto3", "botocore", "opensearchpy", "psycopg", "redis", "structlog"):
    sys.modules[name] = None
sys.argv = ["mailloom", *sys.argv[1:]]
from mailloom.cli import main
main()
"""
"""`mailloom` where only `pip install mailloom` was typed."""


def run(room: Path, *words: str, program: str = "from mailloom.cli import main; main()", code: int = 2) -> str:
    """Standard error of a command in a folder without settings, in a process of its own as main() ends it."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False, cwd=room
    )
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "words", ["search invoice", "ingest .", "work", "validate", "settle", "migrate", "dead list", "doctor"]
)
def test_without_the_extra_servers_say_what_to_install(tmp_path: Path, words: str) -> None:
    command, *rest = words.split()
    told = run(tmp_path, command, *rest, "--profile", "aws", program=BARE)
    assert 'pip install "mailloom[aws]"' in told
    assert len(told.splitlines()) == 1, told


def test_a_shape_that_makes_no_sense_is_told(tmp_path: Path) -> None:
    told = run(tmp_path, "synth", "out", "--shape", "colour=red")
    assert told.startswith("mailloom: --shape: unknown key 'colour'; known are replies,"), told
    assert not (tmp_path / "out").exists()
