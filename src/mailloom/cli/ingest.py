"""`mailloom ingest`: a progress bar while it runs, the books when it is done."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click
import orjson

from mailloom.cli import archive_option
from mailloom.run.ingest import Books
from mailloom.run.ingest import ingest as run
from mailloom.sources import Options, survey
from mailloom.wire import Embedded, open_for_writing


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@archive_option
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(1, 256),
    default=os.cpu_count() or 1,
    help="Worker processes (default: one a CPU).",
)
@click.option(
    "--mbox",
    type=click.Choice(["auto", "mboxo", "mboxrd", "mboxcl", "mboxcl2"]),
    default="auto",
    help="How an mbox quotes its From_ lines, where you know it (default: told by the file itself).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the books as one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bar.")
def ingest(sources: tuple[str, ...], archive: Path, jobs: int, mbox: str, as_json: bool, quiet: bool) -> int:
    """Bring mail into the archive: files, folders, mboxes, Maildirs, .zip/.tar/.gz/.zst of those, or - for standard input.

    Run it again at any time: what is in already is left alone, and a run that was stopped goes on where it was.
    """
    began = time.monotonic()
    with open_for_writing(archive) as stores:
        show = _Bar(began, sources) if sys.stderr.isatty() and not quiet else None
        try:
            books = run(sources, stores, jobs=jobs, options=Options(mbox=mbox), progress=show)  # type: ignore[arg-type]
        finally:
            if show:
                show.stop()
        threads = stores.conversations()
        if as_json:
            click.echo(orjson.dumps(_summary(books, threads, stores, time.monotonic() - began)))
        else:
            _print(books, threads, stores, time.monotonic() - began)
    return 0 if books.balanced else 1


def _summary(books: Books, threads: int, stores: Embedded, seconds: float) -> dict[str, object]:
    return {
        "received": books.received,
        "stored": books.stored,
        "duplicate": books.duplicate,
        "rejected": books.rejected,
        "pending": 0,
        "balanced": books.balanced,
        "unchanged": books.unchanged,
        "foreign": books.foreign,
        "nested": books.nested,
        "problems": dict(books.problems.most_common()),
        "messages": stores.count(),
        "threads": threads,
        "bytes": books.bytes,
        "seconds": round(seconds, 3),
        "disk": stores.disk(),
    }


def _print(books: Books, threads: int, stores: Embedded, seconds: float) -> None:
    sign = "=" if books.balanced else "≠"
    click.echo(
        f"received {books.received:,} {sign} stored {books.stored:,} + duplicate {books.duplicate:,} + rejected {books.rejected:,}"
        " + pending 0"
    )
    if not books.balanced:
        click.echo("The books don't balance: run `mailloom doctor` and report this.", err=True)
    more = [f"unchanged {books.unchanged:,}"] if books.unchanged else []
    more += [f"not mail {books.foreign:,} (`mailloom rejected --all` lists them)"] if books.foreign else []
    more += [f"nested messages {books.nested:,}"]
    click.echo(", ".join(more))
    rate = books.received / seconds if seconds else 0
    click.echo(
        f"{rate:,.0f} mails/s, {books.bytes / 1e6 / seconds if seconds else 0:,.1f} MB/s, {seconds:,.1f} s;"
        f" archive: {stores.count():,} messages in {threads:,} threads, {stores.disk() / 1e6:,.1f} MB on disk"
    )
    if outdated := stores.outdated():
        click.echo(f"{outdated}: `mailloom rethread --dry-run` tells what that would change")
    if books.rejected:
        click.echo(f"{books.rejected:,} rejected: `mailloom rejected` says which and why")


class _Bar:
    """The live line on standard error: how far, mails, rates, problems, time left (as far as sizes on disk tell)."""

    def __init__(self, began: float, sources: tuple[str, ...]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self.began = began
        total = sum(survey(source)[1] for source in sources)
        bar = (BarColumn(24), TaskProgressColumn(), TextColumn("{task.description}"), TimeRemainingColumn(compact=True))
        self.progress = Progress(*bar, console=Console(stderr=True), transient=True, refresh_per_second=5)
        self.task = self.progress.add_task("reading ...", total=total or None)
        self.progress.start()

    def __call__(self, books: Books) -> None:
        seconds = time.monotonic() - self.began
        done = [f"{books.received:,} mails, {books.received / seconds:,.0f}/s, {books.bytes / 1e6 / seconds:,.1f} MB/s"]
        done += [f"{books.rejected:,} rejected"] if books.rejected else []
        done += [f"problems {books.problems.total():,}"] if books.problems else []
        self.progress.update(self.task, description=", ".join(done), completed=books.bytes + books.unchanged_bytes)

    def stop(self) -> None:
        self.progress.stop()
