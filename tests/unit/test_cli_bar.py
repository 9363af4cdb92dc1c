"""The live line: on a terminal it says how far, and is gone at the end; nobody else gets one, or pays for its total."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from mailloom.cli.bar import bar


def everything(terminal: int) -> Iterator[bytes]:
    """What was written to a terminal that is closed, however many pieces it is read in."""
    with suppress(OSError):  # Linux says EIO at the end
        while some := os.read(terminal, 1 << 16):
            yield some
    os.close(terminal)


def test_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        with bar(lambda: 8, quiet=False) as show:
            assert show is not None
            show("two mails", 2)
    seen = b"".join(everything(ours)).decode()
    assert "two mails" in seen
    assert "25%" in seen
    assert seen.endswith("\x1b[2K"), "the line is taken away"


@pytest.mark.parametrize("quiet", [False, True])
def test_who_sees_no_bar_does_not_pay_for_its_total(quiet: bool) -> None:
    def total() -> int:
        raise AssertionError("asked how much there is")

    with bar(total, quiet=quiet) as show:
        assert show is None
