"""What runs as a task has a file system that can't be written (docs/aws.md): each process here is refused whatever would write to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailloom.synth import generate, shape_of
from whole import COMMAND, Whole

pytestmark = pytest.mark.servers

# Python loads a module of this name by itself, in the processes that a worker starts too.
REFUSING = """
import errno, os, sys

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def refuse(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or not (flags or 0) & WRITES or os.fsdecode(path).startswith("/dev/"):
            return
    elif event not in CHANGES:
        return
    raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))


sys.addaudithook(refuse)
"""


def ended(whole: Whole, name: str, *words: str) -> int:
    refusing = whole.folder / "refusing"
    refusing.mkdir(exist_ok=True)
    (refusing / "sitecustomize.py").write_text(REFUSING)
    path = os.pathsep.join([str(refusing), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}  # as in the image
    process = whole.launch(name, [*COMMAND, *words], environ)
    code = process.wait(120)
    del whole.processes[name]
    return code


def test_nothing_that_runs_as_a_task_writes_a_file(whole: Whole) -> None:
    whole.put(
        {f"source=test/date=2026-11-28/{n}.eml": mail.raw for n, mail in enumerate(generate(30, 5, shape_of("")))}
    )
    for name, *words in (
        ("validate", "validate", "--drain"),
        ("work", "work", "--drain", "--jobs", "2"),
        ("large", "work", "--large", "--drain"),
        ("settle", "settle"),
        ("doctor", "doctor", "--json"),
        ("migrate", "migrate"),
    ):
        assert ended(whole, name, *words) == 0, whole.log(name)
    books = whole.books()
    assert books["stored"] + books["duplicate"] == books["received"] == 30


def test_the_refusing_refuses(whole: Whole, tmp_path: Path) -> None:
    assert ended(whole, "synth", "synth", "--mails", "1", str(tmp_path / "made")) != 0
    assert "Read-only file system" in whole.log("synth")
    assert not (tmp_path / "made").exists()
