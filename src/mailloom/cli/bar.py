"""The live line on standard error: how far, in words, and the time that is left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Show: TypeAlias = Callable[[str, int], None]
"""What is done now, in words, and how much of the total is done."""


@contextmanager
def bar(total: Callable[[], int], *, quiet: bool) -> Iterator[Show | None]:
    """A bar as long as the block runs, None where nobody would see it. `total` is only asked where it is shown; 0 is not known."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn(compact=True))
    progress = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5)
    task = progress.add_task("reading ...", total=total() or None)

    def show(words: str, done: int) -> None:
        progress.update(task, description=words, completed=done)

    with progress:
        yield show
