"""`mailloom work`, `validate`, `settle`, `migrate`: what runs beside servers, until it is stopped."""

from __future__ import annotations

import os
from dataclasses import replace

import click
import orjson

from mailloom.cli import draw, json_option, profile_options, settings
from mailloom.cli.servers import servers


@click.command()
@profile_options
@click.option("--jobs", "-j", type=click.IntRange(1, 256), help="Processes that read mail (default: worker.jobs).")
@click.option("--health-port", type=click.IntRange(0, 65535), help="Serve /healthz and /readyz there; 0: don't.")
@click.option("--drain", "--once", is_flag=True, help="Stop when the queue is empty.")
@click.option("--large", is_flag=True, help="Work on the queue of mail over 10 MB, one mail at a time.")
@json_option
def work(jobs: int | None, health_port: int | None, drain: bool, large: bool, as_json: bool) -> int:
    """Work mail off that landed in the bucket, until stopped.

    SIGTERM or Ctrl-C: it takes nothing more and finishes what it holds. A worker that is killed loses nothing: its mail comes again. Any
    number may run.
    """
    from mailloom.run.protection import from_agent
    from mailloom.run.worker import Worker

    how = settings().worker
    how = replace(how, jobs=how.jobs if jobs is None else jobs)
    how = replace(how, health_port=how.health_port if health_port is None else health_port)
    if large:  # each may be 150 MB, and takes several times that
        how = replace(how, batch=1, jobs=1, readers=1)
    with servers(service=True) as found:
        found.check()
        queue = "large" if large else "work"
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
        )
        done = worker.run()
    _say(
        {"received": done.received, **done.states, "returned": done.returned, "failed": done.failed, "dead": done.dead},
        as_json=as_json,
    )
    return 1 if done.failed or done.dead else 0


@click.command()
@profile_options
@click.option("--drain", "--once", is_flag=True, help="Stop when the queue is empty.")
@json_option
def validate(drain: bool, as_json: bool) -> None:
    """Take the bucket's events from their queue, until stopped.

    What is mail goes to the workers, the rest is set aside with a reason. In AWS a Lambda function does this; use it where there is none.
    """
    from threading import Event

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
            quarantine=found.settings.aws.quarantine,
            bucket=found.settings.aws.bucket,
        )
        with on_signals(stopped.set):
            wait = 1 if drain else 20
            done = follow(validator, found.queue("events"), stopped.is_set, wait=wait, drain=drain)
    counts = {"queued": done.queued, "rejected": done.rejected, "ignored": done.ignored, "refused": done.refused}
    _say(counts, as_json=as_json)


@click.command()
@profile_options
@click.option(
    "--every",
    type=click.FloatRange(0),
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
def migrate() -> None:
    """Make or update tables, partitions and index templates.

    Run it before the first worker, after an update, and once a month: it makes the next months' partitions. Workers never do it.
    """
    done = False
    with servers() as found:
        for line in found.migrate():
            draw.say(line)
            done = True
    if not done:
        draw.say("all is up to date")


def _say(counts: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        click.echo(orjson.dumps(counts))
    else:
        draw.say(", ".join(f"{name} {count:,}" for name, count in counts.items()))
