"""`mailloom doctor`: whether an archive is sound, in a folder or on servers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, NamedTuple

import click

from mailloom import obs
from mailloom.cli import archive_option, draw, json_option, on_servers

if TYPE_CHECKING:
    from mailloom.archive.doctor import Finding


DAY_MS = 86_400_000
PAUSE = 2.0  # seconds between two looks at what differs on servers: a commit takes less, and so does a step of settle


class Patient(NamedTuple):
    """What is looked at: what it is called, the checks of it, and how to mend those that found a fault."""

    name: str
    examine: Callable[[], Iterator[Finding]]
    mend: Callable[[Sequence[str]], Iterator[str]]


@click.command()
@archive_option
@json_option
@click.option("--deep", is_flag=True, help="Read all raw mail, records and Parquet columns, not a sample.")
@click.option("--repair", is_flag=True, help="Mend what can be mended from what is still there.")
def doctor(archive: Path, as_json: bool, deep: bool, repair: bool) -> int:
    """Check everything that an archive promises.

    Says how to mend what is broken.

    Ends with 1 where a fault is left. --repair makes records again from raw mail, and search, threads and Parquet again from
    records; it removes no mail. On servers it compares what each of them holds, and may run beside workers.
    """
    with (_servers if on_servers() else _folder)(archive, deep=deep, seed=os.urandom(4)) as patient:
        faults = _examined(patient, as_json)
        if faults and repair:
            for step in patient.mend(faults):
                draw.say(f"mended  {step}", error=as_json)
            faults = _examined(patient, as_json)
    if not as_json:
        state = f"has {draw.several(len(faults), 'fault')}: {', '.join(faults)}" if faults else "is sound"
        draw.say(draw.bold(f"{patient.name} {state}"))
    return 1 if faults else 0


@contextmanager
def _folder(folder: Path, *, deep: bool, seed: bytes) -> Iterator[Patient]:
    from mailloom.archive import open_archive
    from mailloom.archive.doctor import examine, mend

    def look() -> Iterator[Finding]:
        with open_archive(folder) as opened:
            yield from examine(opened, deep=deep, seed=seed)

    yield Patient(str(folder), look, lambda faults: mend(folder, faults))


@contextmanager
def _servers(_: Path, *, deep: bool, seed: bytes) -> Iterator[Patient]:
    from mailloom.archive.doctor.servers import Overdue, Parts, examine, mend
    from mailloom.cli.servers import servers
    from mailloom.wire.clock import now_ms

    with servers(figures=True) as found:

        def overdue() -> Overdue:
            pending, dead = found.objects.overdue(now_ms() - DAY_MS), found.queue_if_set("dead")
            return Overdue(pending, sum(dead.depth()) if dead else 0)

        parts = Parts(
            found.readable, found.threads, found.checks, found.objects.books, found.index, overdue, lambda: sleep(PAUSE)
        )
        name = f"profile {found.settings.profile}"
        yield Patient(name, lambda: examine(parts, deep=deep, seed=seed), lambda faults: mend(parts, faults))


def _examined(patient: Patient, as_json: bool) -> list[str]:
    """The checks that found a fault."""
    faults = []
    for finding in patient.examine():
        obs.gauge("faults", 0 if finding.ok else 1, check=finding.check)
        if not finding.ok:
            faults.append(finding.check)
        if as_json:
            draw.say_json(finding._asdict())
            continue
        mark = click.style("ok   ", fg="green") if finding.ok else click.style("FAULT", fg="red", bold=True)
        draw.say(f"{mark}  {finding.check:<13}  {draw.safe(finding.found)}")
        if finding.mend:
            draw.say(f"{'':<22}{finding.mend}")
    return faults
