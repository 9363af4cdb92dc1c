"""`mailloom dead`: mail that workers gave up, by cause; looked at, put to work again, or dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from mailloom.cli import draw, json_option, profile_options
from mailloom.cli.servers import servers

if TYPE_CHECKING:
    from mailloom.run.dead import Group, Letter
    from mailloom.run.validate import Buckets
    from mailloom.wire.profile import Servers

SHOWN = 3  # letters that are named of a group


def shadow_option(command: Any) -> Any:
    return click.option(
        "--shadow", is_flag=True, help="Copies that the shadow worker gave up (aws.queues.dead_shadow), not mail."
    )(command)


def _queue(shadow: bool) -> str:
    return "dead_shadow" if shadow else "dead"


@click.group(short_help="List, show, retry or drop mail that workers gave up.")
def dead() -> None:
    """Mail that workers gave up: list it by cause, look, retry, drop.

    WHICH is all, the number of a group as `list` prints it, or the beginning of one letter's id.
    """


@dead.command("list")
@shadow_option
@profile_options
@json_option
def list_(shadow: bool, as_json: bool) -> int:
    """Print the dead letters by cause, the most frequent first."""
    from mailloom.run.dead import grouped

    with servers() as found, _looking(found, shadow) as letters:
        groups = grouped(letters)
    for group in groups:
        if as_json:
            draw.say_json(_group(group))
        else:
            for line in _listed(group):
                draw.say(line)
    if not groups:
        draw.say("no dead letters", error=True)
    return 0


@dead.command(short_help="Print what is known of dead letters: head, error, version.")
@click.argument("which")
@shadow_option
@profile_options
@json_option
def show(which: str, shadow: bool, as_json: bool) -> int:
    """Print what is known of dead letters: the mail's head, the error, the version, how often it was tried."""
    from mailloom.run.dead import chosen, head

    with servers() as found, _looking(found, shadow) as letters:
        for letter in chosen(letters, which):
            if as_json:
                draw.say_json({**_letter(letter), "head": _text(head(letter, found.buckets))})
            else:
                for line in _shown(letter, found.buckets):
                    draw.say(line)
    return 0


@dead.command(short_help="Put dead letters to work again, once what failed is mended.")
@click.argument("which")
@profile_options
def retry(which: str) -> int:
    """Put dead letters to work again: after an update, or once what failed is mended."""
    from mailloom.run.dead import chosen
    from mailloom.run.dead import retry as run
    from mailloom.run.rollout import routes_of

    with servers() as found, _looking(found) as letters:
        some = chosen(letters, which)
        routes = routes_of(found.settings.rollout, found.queue)
        queues = found.queue("work"), found.queue_if_set("large")
        count = run(some, found.queue("dead"), found.receipts, *queues, routes=routes)
    draw.say(f"{draw.several(count, 'letter')} put to work again")
    if left := len(some) - count:
        draw.say(f"{draw.several(left, 'letter')} point to no mail: `mailloom dead drop` takes them away", error=True)
    return 0


@dead.command(short_help="Give dead letters up: their mail is rejected, by hand.")
@click.argument("which")
@shadow_option
@profile_options
def drop(which: str, shadow: bool) -> int:
    """Give dead letters up: their mail is rejected, by hand, in the books. The objects stay in the bucket. A copy for the shadow worker rejects nothing."""
    from mailloom.run.dead import chosen
    from mailloom.run.dead import drop as run

    with servers() as found, _looking(found, shadow) as letters:
        count = run(chosen(letters, which), found.queue(_queue(shadow)), found.objects)
    draw.say(f"{draw.several(count, 'letter')} dropped")
    return 0


def _looking(found: Servers, shadow: bool = False) -> AbstractContextManager[list[Letter]]:
    from mailloom.run.dead import looking

    return looking(found.queue(_queue(shadow)), found.receipts, quarantine=found.settings.aws.quarantine)


# ------------------------------------------------------------------------------------------------ in words
def _listed(group: Group) -> Iterator[str]:
    when = draw.moment(group.first)
    when += f" to {draw.moment(group.last)}" if draw.moment(group.last) != when else ""
    yield f"{group.number}  {draw.bold(draw.several(len(group.letters), 'letter'))}  {draw.safe(group.cause)}"
    yield draw.dim(f"    sent {when}" + (f", by version {', '.join(group.versions)}" if group.versions else ""))
    for letter in group.letters[:SHOWN]:
        yield f"    {draw.name_of(letter.id)}  {_place(letter)}"
    if len(group.letters) > SHOWN:
        yield draw.dim(f"    and {len(group.letters) - SHOWN:,} more")


def _place(letter: Letter) -> str:
    if letter.pointer is None:
        return "points to no mail"
    more = len(letter.objects) - 1
    return draw.safe(f"{letter.pointer.source}/{letter.pointer.key}") + (f" and {more:,} more" if more else "")


def _shown(letter: Letter, buckets: Buckets) -> Iterator[str]:
    yield f"{draw.name_of(letter.id)}  {_place(letter)}"
    if letter.pointer is not None:
        yield f"    {draw.size(letter.pointer.size)}, landed {draw.moment(letter.pointer.at)}, sent {draw.moment(letter.message.sent)}"
    failure = letter.failure
    tried = f"tried {failure.attempts} times" if failure.attempts else ""
    version = f"by version {failure.version}" if failure.version else ""
    yield f"    {draw.safe(failure.reason)}"
    if told := ", ".join(part for part in (tried, version) if part):
        yield f"    {told}"
    from mailloom.run.dead import head

    text = _text(head(letter, buckets))
    if text is None:
        yield draw.dim(
            "    there is no object any more, or its bucket can't be read"
            if letter.pointer
            else f"    {draw.safe(letter.message.body[:200])}"
        )
        return
    yield ""
    for line in text.splitlines():
        yield draw.dim("    " + draw.safe(line))


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode("utf-8", "replace")


def _letter(letter: Letter) -> dict[str, Any]:
    pointer = letter.pointer
    return {
        "id": letter.id,
        "source": pointer.source if pointer else None,
        "path": pointer.key if pointer else None,
        "object": pointer.object if pointer else None,
        "size": pointer.size if pointer else None,
        "sent": letter.message.sent,
        "cause": letter.cause,
        "reason": letter.failure.reason,
        "version": letter.failure.version,
        "attempts": letter.failure.attempts,
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "group": group.number,
        "letters": len(group.letters),
        "cause": group.cause,
        "first": group.first,
        "last": group.last,
        "versions": group.versions,
        "ids": [letter.id for letter in group.letters],
    }
