"""`mailloom work`, `validate`, `settle`, `migrate`: what runs beside servers, until it is stopped."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import orjson

from mailloom.cli import draw, json_option, profile_options, settings
from mailloom.cli.between import Between
from mailloom.cli.servers import servers

if TYPE_CHECKING:
    from mailloom.config import Worker


@click.command()
@profile_options
@click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes that read mail (default: worker.jobs).")
@click.option("--health-port", type=click.IntRange(0, 65535), help="Serve /healthz and /readyz there; 0: don't.")
@click.option("--drain", "--once", is_flag=True, help="Stop when the queue is empty.")
@click.option(
    "--queue",
    "-q",
    type=click.Choice(["work", "next"]),
    default="work",
    help="Whose mail: next is the share that a new version gets (rollout.next).",
)
@click.option("--large", is_flag=True, help="Work on the queue of mail over 10 MB, one mail at a time.")
@click.option(
    "--shadow", is_flag=True, help="Compare this version with what is stored, on copies of mail; store nothing."
)
@json_option
def work(
    jobs: int | None, health_port: int | None, drain: bool, queue: str, large: bool, shadow: bool, as_json: bool
) -> int:
    """Work mail off that landed in the bucket, until stopped.

    SIGTERM or Ctrl-C: it takes nothing more and finishes what it holds. A worker that is killed loses nothing: its mail comes again. Any
    number may run.
    """
    from mailloom.run.protection import from_agent
    from mailloom.run.worker import Worker

    how = settings().worker
    how = replace(how, jobs=how.jobs if jobs is None else jobs)
    how = replace(how, health_port=how.health_port if health_port is None else health_port)
    if large and queue == "next":
        raise click.UsageError("large mail has one queue for all versions: leave out --queue or --large")
    if shadow and (large or queue == "next"):
        raise click.UsageError("--shadow has a queue of its own: leave out --large and --queue")
    if shadow:
        return _shadow(how, drain=drain, as_json=as_json)
    if large:  # each may be 150 MB, and takes several times that
        how = replace(how, batch=1, jobs=1, readers=1)
    with servers(service=True) as found:
        found.check()
        queue = "large" if large else queue
        worker = Worker(
            found.queue(queue),
            found.buckets,
            found.stores,
            found.receipts,
            dead=found.queue_if_set("dead"),
            settings=how,
            drain=drain,
            name=queue,
            protection=from_agent(os.environ),
            abandon=lambda: os._exit(1),  # its threads may wait for what never answers
        )
        done = worker.run()
    _say(
        {"received": done.received, **done.states, "returned": done.returned, "failed": done.failed, "dead": done.dead},
        as_json=as_json,
    )
    return 1 if done.failed or done.dead else 0


def _shadow(how: Worker, *, drain: bool, as_json: bool) -> int:
    from mailloom.run.shadow import LATER, SOON, Shadow

    with servers(service=True) as found:
        found.check_reader()
        bucket = found.bucket()
        shadow = Shadow(
            *(found.queue("shadow"), found.buckets, found.reader, found.buckets(bucket), bucket, how),
            later=SOON if drain else LATER,
        )
        done = shadow.run(wait=1 if drain else 20, drain=drain)
    _say({outcome: done[outcome] for outcome in ("same", "changed", "failed", "absent")}, as_json=as_json)
    return 1 if done["failed"] else 0


@click.command()
@profile_options
@click.option("--drain", "--once", is_flag=True, help="Stop when the queue is empty.")
@json_option
def validate(drain: bool, as_json: bool) -> None:
    """Take the bucket's events from their queue, until stopped.

    What is mail goes to the workers, the rest is set aside with a reason. In AWS a Lambda function does this; use it where there is none.
    """
    from threading import Event

    from mailloom.run.rollout import routes_of
    from mailloom.run.signals import on_signals
    from mailloom.run.validate import Validator, follow

    stopped = Event()
    with servers(service=True) as found:
        found.check()
        validator = Validator(
            found.buckets,
            found.receipts,
            found.objects,
            found.queue("work"),
            large=found.queue_if_set("large"),
            dead=found.queue_if_set("dead"),
            routes=routes_of(found.settings.rollout, found.queue),
            quarantine=found.settings.aws.quarantine,
            bucket=found.settings.aws.bucket,
        )
        with on_signals(stopped.set):
            wait = 1 if drain else 20
            done = follow(validator, found.queue("events"), stopped.is_set, wait=wait, drain=drain)
    counts = {"queued": done.queued, "rejected": done.rejected, "ignored": done.ignored, "refused": done.refused}
    _say(counts | ({"held": done.held} if done.held else {}), as_json=as_json)


@click.command(short_help="Put threads in order that mail has changed.")
@profile_options
@click.option(
    "--every",
    type=Between(0),
    is_flag=False,
    flag_value=0.0,
    metavar="[SECONDS]",
    help="Again and again, with such a pause (default: settle.seconds), until stopped.",
)
@json_option
def settle(every: float | None, as_json: bool) -> int:
    """Put threads in order that mail has changed: join by content, part what was joined wrongly.

    Workers mark what needs it. Once by default; several may run, one at a time gets to work. With --every, /healthz and /readyz are where
    worker.health_port says. An archive in a folder is settled by every ingest.
    """
    from mailloom.run.health import serving_if
    from mailloom.run.settler import Settler

    with servers(service=True) as found:
        found.check()
        settler = Settler(found.threads, every or found.settings.settle.seconds)
        if every is not None:
            with serving_if(settler.health, found.settings.worker):
                settler.run()
            return 0
        done = settler.at_last()
    if done is None:
        draw.say(f"not done: {settler.words or 'another settle is at work'}", error=True)
        return 1
    _say({"looked": done.looked, "changed": done.changed}, as_json=as_json)
    return 0


@click.command()
@profile_options
@click.option("--after", is_flag=True, help="What waits until no older version runs any more.")
def migrate(after: bool) -> None:
    """Make or update tables, partitions and index templates.

    Run it before the first worker, before each new version, and once a month: it makes the next months' partitions. The version before can go on
    running meanwhile. Once only the new one runs, --after takes away what it no longer needs. Workers never do either.
    """
    done = False
    with servers() as found:
        for line in found.migrate(after=after):
            draw.say(line)
            done = True
        waits = [] if after else found.waiting()
    if not done:
        draw.say("all is up to date")
    if waits:
        draw.say(f"once no older version runs: `mailloom migrate --after`, for {', '.join(waits)}")


def _say(counts: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(counts))
    else:
        draw.say(", ".join(f"{name} {count:,}" for name, count in counts.items()))
