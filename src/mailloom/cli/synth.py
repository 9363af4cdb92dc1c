"""`mailloom synth`: made-up mail in any amount, with the truth about it beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from mailloom.cli import draw
from mailloom.ports import UserError
from mailloom.synth import DEFAULT, Counts, Form, Mail, Shape, ShapeError, generate, shape_of
from mailloom.synth import write as write_mails

EVERY = 200  # mails between two looks at the clock


class SynthError(UserError):
    """The place to write to can't be used; the message says why and what to do."""


def _shapes() -> str:
    """The keys of --shape with their defaults, for the help."""
    return "\b\nKeys of --shape, with their defaults:\n" + "\n".join(
        f"  {key}={getattr(DEFAULT, key)}" for key in Shape.__dataclass_fields__
    )


@click.command(epilog=_shapes())
@click.argument("out", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--mails", "-n", type=click.IntRange(0), default=1000, help="How many, copies counted (default: 1000).")
@click.option("--seed", type=int, default=1, help="The same seed gives the same mails (default: 1).")
@click.option("--shape", default="", help="What they look like, such as replies=0.8,html=0.5,size=8KB.")
@click.option(
    "--form",
    type=click.Choice(["eml", "mbox", "stream"]),
    default="eml",
    help="A folder of files (default), one mbox, or an mbox to standard output.",
)
def synth(out: Path, mails: int, seed: int, shape: str, form: Form) -> None:
    """Make up realistic mail at OUT, and what is true of it.

    Threads, reply texts, nested messages, copies.

    Mails go to OUT/mail, the truth to OUT/truth.jsonl; an mbox's truth stands beside it in OUT.truth.jsonl.
    """
    began = time.monotonic()
    try:
        made = generate(mails, seed, shape_of(shape))
        counts = write_mails(out, _watched(made, mails) if sys.stderr.isatty() else made, form)
    except ShapeError as error:
        raise SynthError(f"--{error}") from None
    except FileExistsError as error:
        raise SynthError(str(error)) from None
    except OSError as error:
        raise SynthError(f"{error.filename or out} can't be written: {error.strerror or error}") from None
    _summarise(counts, mails, time.monotonic() - began)


def _watched(mails: Iterator[Mail], total: int) -> Iterator[Mail]:
    """The same mails, with their number on the terminal."""
    shown = time.monotonic()
    for number, mail in enumerate(mails, 1):
        yield mail
        if number % EVERY == 0 and time.monotonic() - shown > 0.2:
            shown = time.monotonic()
            click.echo(f"\r{number:,} of {total:,} mails", nl=False, err=True)
    click.echo("\r\x1b[K", nl=False, err=True)


def _summarise(counts: Counts, mails: int, seconds: float) -> None:
    """On standard error where standard output is the mail."""
    error = counts.mail == "-"
    rate = mails / seconds if seconds > 0 else 0.0
    rows = [
        ("mails", f"{counts.mails:,} in {counts.conversations:,} conversations, {counts.copies:,} of them copies"),
        ("written", f"{draw.size(counts.bytes)} to {counts.mail} in {seconds:.1f} s, {rate:,.0f} mails/s"),
        ("truth", counts.truth or "not written"),
    ]
    for line in draw.table(rows, room=draw.width(), margin=""):
        draw.say(line, error=error)


__all__ = ["SynthError", "synth"]
