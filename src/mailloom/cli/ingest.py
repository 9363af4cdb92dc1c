"""`mailloom ingest`: a progress bar while it runs, the books when it is done."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import orjson

from mailloom.cli import archive_option, draw, jobs_option, on_servers, quiet_option
from mailloom.cli.bar import bar
from mailloom.run.ingest import Books
from mailloom.run.ingest import ingest as run
from mailloom.sources import STDIN, Options, survey
from mailloom.wire import Embedded, open_for_writing


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@archive_option
@jobs_option
@click.option(
    "--mbox",
    type=click.Choice(["auto", "mboxo", "mboxrd", "mboxcl", "mboxcl2"]),
    default="auto",
    help="How an mbox quotes its From_ lines, where you know it (default: told by the file itself).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the books as one JSON object.")
@quiet_option
def ingest(sources: tuple[str, ...], archive: Path, jobs: int, mbox: str, as_json: bool, quiet: bool) -> int:
    """Bring mail into the archive.

    SOURCE is a file, a folder, an mbox, a Maildir, a .zip/.tar/.gz/.zst of those, s3://BUCKET/PREFIX, or - for standard input.

    With a profile of servers mail is put into the raw bucket, where workers take it from; s3://BUCKET/PREFIX in that bucket is worked
    through here.

    Run it again at any time: what is in already is left alone, and a run that was stopped goes on where it was.
    """
    options = Options(mbox=mbox)  # type: ignore[arg-type]
    if on_servers():
        from mailloom.cli import ingest_servers

        return ingest_servers.run(sources, options, as_json=as_json, quiet=quiet)
    began = time.monotonic()
    with open_for_writing(archive) as stores:
        with bar(lambda: sum(survey(source)[1] for source in sources), quiet=quiet) as show:

            def progress(books: Books) -> None:
                if show:
                    show(_far(books, began), books.bytes + books.unchanged_bytes)

            books = run(sources, stores, jobs=jobs, options=options, progress=progress)
        threads = stores.conversations()
        if as_json:
            click.echo(orjson.dumps(_summary(books, threads, stores, time.monotonic() - began)))
        else:
            _print(books, threads, stores, time.monotonic() - began)
    if not (books.received or books.unchanged or STDIN in sources):  # a pipe may have nothing to say
        click.echo(no_mail(sources), err=True)
        return 1
    return 0 if books.balanced else 1


def no_mail(sources: Sequence[str]) -> str:
    return f"mailloom: no mail was found in {', '.join(map(draw.safe, sources))}: is that the right place?"


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


def _far(books: Books, began: float) -> str:
    """How far it is, in words."""
    seconds = time.monotonic() - began
    done = [f"{books.received:,} mails, {books.received / seconds:,.0f}/s, {books.bytes / 1e6 / seconds:,.1f} MB/s"]
    done += [f"{books.rejected:,} rejected"] if books.rejected else []
    done += [f"problems {books.problems.total():,}"] if books.problems else []
    return ", ".join(done)
