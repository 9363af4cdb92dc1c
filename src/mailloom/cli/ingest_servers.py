"""`mailloom ingest` with a profile of servers: mail goes to the raw bucket, from where workers take it on; what is in the bucket is worked
through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import orjson

from mailloom import obs
from mailloom.cli import draw
from mailloom.cli.bar import bar
from mailloom.cli.ingest import no_mail
from mailloom.cli.servers import servers
from mailloom.sources import STDIN, Options

if TYPE_CHECKING:
    from mailloom.run.upload import Uploaded
    from mailloom.wire.profile import Servers


def run(sources: Sequence[str], options: Options, *, as_json: bool, quiet: bool) -> int:
    """Exit code 1 where something was refused or failed."""
    with servers() as found:
        bucket = found.settings.aws.bucket
        if not bucket:
            from mailloom.wire.clients import missing

            raise missing(found.settings, "aws.bucket")
        here = [source for source in sources if _is_here(found, bucket, source)]
        elsewhere = [source for source in sources if source not in here]
        bad = 0
        if elsewhere:
            bad += _uploaded(found, bucket, elsewhere, options, as_json=as_json, quiet=quiet)
        for source in here:
            bad += _worked_through(found, bucket, source.removeprefix(f"s3://{bucket}").lstrip("/"), as_json=as_json)
    return 1 if bad else 0


def _is_here(found: Servers, bucket: str, source: str) -> bool:
    """Whether its objects are worked through where they are; not so a mailbox, whose mails are uploaded singly."""
    from mailloom.run.prefix import is_container

    if source != f"s3://{bucket}" and not source.startswith(f"s3://{bucket}/"):
        return False
    return not is_container(found.buckets(bucket), source.removeprefix(f"s3://{bucket}").lstrip("/"))


def _uploaded(
    found: Servers, bucket: str, sources: Sequence[str], options: Options, *, as_json: bool, quiet: bool
) -> int:
    from mailloom.run.upload import upload

    with bar(lambda: 0, quiet=quiet) as show:

        def progress(done: Uploaded) -> None:
            if show:
                show(f"{done.new + done.known:,} mails, {draw.size(done.bytes)} uploaded", 0)

        prefix = found.settings.aws.raw
        into = found.buckets(bucket)
        done = upload(sources, into, prefix=prefix, options=options, progress=progress, buckets=found.buckets)
    if not (done.new or done.known or done.refused or STDIN in sources):
        click.echo(no_mail(sources), err=True)
        return 1
    if as_json:
        counts = {"uploaded": done.new, "known": done.known, "refused": done.refused, "foreign": done.foreign}
        click.echo(orjson.dumps({**counts, "bytes": done.bytes}))
        return done.refused
    more = [f"{done.refused:,} refused"] if done.refused else []
    more += [f"not mail {done.foreign:,}"] if done.foreign else []
    words = [f"uploaded {done.new:,} mails, {draw.size(done.bytes)}", f"{done.known:,} were there", *more]
    draw.say(", ".join(words) + f": workers take them from s3://{bucket}/{prefix}")
    return done.refused


def _worked_through(found: Servers, bucket: str, prefix: str, *, as_json: bool) -> int:
    from mailloom.run.prefix import Prefixes
    from mailloom.run.rollout import routes_of

    found.check()
    runs = Prefixes(
        found.buckets,
        found.stores,
        found.receipts,
        found.places,
        found.queue("work"),
        quarantine=found.settings.aws.quarantine,
        large=found.queue_if_set("large"),
        routes=routes_of(found.settings.rollout, found.queue),
    )
    done = runs.run(bucket, prefix)
    obs.log.info("prefix is done", prefix=prefix, received=done.received)
    if as_json:
        click.echo(orjson.dumps({"bucket": bucket, "prefix": prefix, **done._asdict()}))
    else:
        draw.say(
            f"s3://{bucket}/{prefix}: {done.received:,} new objects worked through"
            + ("" if done.done else "; another run goes on with it")
        )
        if done.failed:
            draw.say(
                f"{done.failed:,} failed and were given to the workers: `mailloom dead list` tells if they fail again",
                error=True,
            )
    return done.failed
