"""`mailloom shadow`: what a new version would change, as `mailloom work --shadow` reported it; summed up, or one mail looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from difflib import unified_diff
from typing import TYPE_CHECKING, Any

import click

from mailloom.cli import draw, json_option, profile_options
from mailloom.cli.between import Between
from mailloom.cli.servers import servers
from mailloom.ports import UserError

if TYPE_CHECKING:
    from mailloom.run.shadow_reports import Field, Finding, Summary

DAY_MS = 86_400_000
LINES = 2000  # of one value that are compared: finding the shortest difference of more takes long
KEY_BYTES = 1024  # of a key of S3
_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
OUTCOMES = ("same", "changed", "failed", "absent")


@click.group(short_help="Sum up what a new version would change.")
def shadow() -> None:
    """What a new version would change: sum up the reports of `mailloom work --shadow`, or look at one mail."""


# ------------------------------------------------------------------------------------------------ report
@shadow.command(short_help="Sum up the reports of `mailloom work --shadow`.")
@click.option("--days", type=Between(0, 3650), default=7.0, help="How far back, as 7 or 0.5 (default 7).")
@click.option(
    "--fail-above",
    type=Between(0, 1),
    metavar="SHARE",
    help="Exit code 1 if a greater share (0 to 1) changed or failed, or nothing was compared.",
)
@profile_options
@json_option
def report(days: float, fail_above: float | None, as_json: bool) -> int:
    """Sum up what was reported: outcomes, changes by version and field, with keys of examples.

    Copies that the shadow worker gave up (aws.queues.dead_shadow) are told too: with --fail-above one of them is enough for exit code 1.
    """
    from mailloom.run.shadow_reports import summed_up
    from mailloom.wire.clock import now_ms

    now = now_ms()
    with servers() as found:
        summary = summed_up(found.buckets(found.bucket()), now - int(days * DAY_MS), now)
        dead = found.queue_if_set("dead_shadow")
        letters = sum(dead.depth()) if dead else 0
    if as_json:
        draw.say_json(_summary(summary) | {"letters": letters})
    else:
        for line in _told(summary):
            draw.say(line)
        if letters:
            draw.say(
                f"{draw.several(letters, 'copy', 'copies')} given up: the shadow worker was stopped over each, time and again"
                " (`mailloom dead list --shadow`)"
            )
    if fail_above is None:
        return 0
    if letters:
        draw.say("copies were given up, so this version may not survive some mail", error=True)
        return 1
    if summary.share is None:
        draw.say(
            "nothing was compared, so nothing is known: is rollout.shadow above 0, and a shadow worker running?",
            error=True,
        )
        return 1
    if summary.share > fail_above:
        draw.say(f"{summary.share:.4%} changed or failed, {fail_above:.4%} are allowed", error=True)
        return 1
    return 0


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        **{outcome: summary.mails(outcome) for outcome in OUTCOMES},
        "share": summary.share,
        "versions": [
            {"was": was, "now": now, **{o: summary.counts[o, was, now] for o in OUTCOMES}}
            for was, now in _pairs(summary)
        ],
        "fields": {path: _field(one, summary.compared) for path, one in _ordered(summary.fields)},
        "reasons": {reason: _field(one, summary.compared) for reason, one in _ordered(summary.reasons)},
        "reports": summary.objects,
        "unreadable": summary.unreadable,
    }


def _field(one: Field, compared: int) -> dict[str, Any]:
    share = one.mails / compared if compared else None
    sizes = {"removed": one.removed, "added": one.added}
    return {"mails": one.mails, "share": share, **sizes, "examples": one.examples}


def _pairs(summary: Summary) -> list[tuple[str, str]]:
    return sorted({(was, now) for _, was, now in summary.counts})


def _ordered(some: dict[str, Field]) -> list[tuple[str, Field]]:
    return sorted(some.items(), key=lambda item: (-item[1].mails, item[0]))


def _told(summary: Summary) -> Iterator[str]:
    counts = ", ".join(f"{outcome} {summary.mails(outcome):,}" for outcome in OUTCOMES)
    share = "" if summary.share is None else f"; {summary.share:.2%} changed or failed"
    yield draw.bold(f"compared {draw.several(summary.compared, 'mail')}{share}") + f": {counts}"
    for was, now in _pairs(summary):
        each = ", ".join(f"{o} {summary.counts[o, was, now]:,}" for o in OUTCOMES if summary.counts[o, was, now])
        yield f"  version {draw.safe(was) or '(not stored)'} -> {draw.safe(now)}: {each}"
    for title, some in (("what changed", summary.fields), ("what failed", summary.reasons)):
        if some:
            yield ""
            yield draw.bold(title)
        for name, one in _ordered(some):
            sizes = f", -{draw.size(one.removed)} +{draw.size(one.added)}" if one.removed or one.added else ""
            yield f"  {draw.safe(name)}: {draw.several(one.mails, 'mail')} ({one.mails / max(1, summary.compared):.2%}){sizes}"
            yield draw.dim(f"    {', '.join(map(draw.safe, one.examples))}")
    if summary.unreadable:
        yield f"{draw.several(summary.unreadable, 'line')} of reports can't be read: of another version, or damaged"


# ------------------------------------------------------------------------------------------------ show
@shadow.command(short_help="Print how this version reads one mail otherwise.")
@click.argument("key")
@profile_options
@json_option
def show(key: str, as_json: bool) -> int:
    """Print how this version and what is stored differ in the mail that is the object KEY.

    It is transformed again, here. Exit code 1 where there is nothing to compare.
    """
    from mailloom.run.shadow import compared

    with servers() as found:
        found.check_reader()
        finding, differing = compared(found.buckets, found.reader, *_place(key, found.bucket))
    if as_json:
        fields = [{"path": path, "was": was, "now": now} for path, was, now in differing]
        head = {"key": finding.pointer.key, "outcome": finding.outcome, "was": finding.was, "now": finding.now}
        draw.say_json({**head, "fields": fields, "reason": finding.reason})
    else:
        for line in _shown(finding, differing):
            draw.say(line)
    return 0 if finding.outcome in {"same", "changed"} else 1


def _place(key: str, bucket: Callable[[], str]) -> tuple[str, str]:
    """Bucket and key of s3://BUCKET/KEY, or of a key in the bucket that mail lands in. Raises UserError where S3 can have no such."""
    name, rest = "", key
    if key.startswith("s3://"):
        name, _, rest = key.removeprefix("s3://").partition("/")
        if not _BUCKET.fullmatch(name):
            raise UserError(f"{draw.clip(key, 100)!r} names no bucket: write s3://BUCKET/KEY, or a key alone")
    if not 0 < len(rest.encode("utf-8", "replace")) <= KEY_BYTES:
        raise UserError(
            f"{draw.clip(key, 100)!r} has no key of 1 to {KEY_BYTES} bytes: write s3://BUCKET/KEY, or a key alone"
        )
    return name or bucket(), rest


def _shown(finding: Finding, differing: Sequence[tuple[str, Any, Any]]) -> Iterator[str]:
    place = draw.safe(f"{finding.pointer.source}/{finding.pointer.key}")
    versions = f"version {finding.was or '(not stored)'} -> {finding.now}"
    reason = f": {draw.safe(finding.reason)}" if finding.reason else ""
    yield f"{draw.bold(finding.outcome)}  {place}  {versions}{reason}"
    for path, was, now in differing:
        yield ""
        yield draw.bold(path)
        yield from _diff(_lines(was), _lines(now))


def _diff(was: list[str], now: list[str]) -> Iterator[str]:
    for number, line in enumerate(unified_diff(was[:LINES], now[:LINES], lineterm="", n=2)):
        if number >= 2:  # the first two name files
            colour = {"-": "red", "+": "green", "@": "cyan"}.get(line[:1])
            yield "  " + (click.style(draw.safe(line), fg=colour) if colour else draw.safe(line))
    for name, some in (("stored", was), ("new", now)):
        if len(some) > LINES:
            yield draw.dim(f"  … {len(some) - LINES:,} more lines of what is {name}: --json has them")


def _lines(value: Any) -> list[str]:
    import orjson

    if value is None:
        return []
    return (
        value.splitlines()
        if isinstance(value, str)
        else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().splitlines()
    )
