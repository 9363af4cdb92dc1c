"""How two messages of one conversation hang together: the shortest way along links that join. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, NamedTuple

from mailloom.mail.model import MessageId
from mailloom.ports import Link, NodeName, Soft, Stated
from mailloom.thread.keys import message_node

Way = Literal["cites", "cited", "both cite", "same", "index", "follows", "followed"]


class Step(NamedTuple):
    """From the message before (of the first step: where the path begins) to this one: how, and by which id where it is one."""

    way: Way
    message: MessageId
    value: str = ""


def path(
    stated: Sequence[Stated], soft: Iterable[Soft], dead: Collection[NodeName], start: MessageId, end: MessageId
) -> list[Step]:
    """The steps from one message to another, [] where these links don't join them. `soft` counts where it lives; keys that are
    `dead` join nobody.
    """
    links = {s.message: {link.key: link for link in s.links if link.key not in dead} for s in stated}
    near: dict[NodeName, list[NodeName]] = defaultdict(list)
    for message, named in links.items():
        for key in named:
            near[message_node(message)].append(key)
            near[key].append(message_node(message))
    drawn = {(row.source, row.target) for row in soft if row.live}
    for source, target in sorted(drawn):
        near[message_node(source)].append(message_node(target))
        near[message_node(target)].append(message_node(source))
    before: dict[NodeName, NodeName] = {message_node(start): b""}
    work = deque(before)
    while work and message_node(end) not in before:
        here = work.popleft()
        for other in near[here]:
            if other not in before:
                before[other] = here
                work.append(other)
    steps: list[Step] = []
    at = message_node(end) if message_node(end) in before else b""
    while at and (above := before[at]):
        key = above if above[0] == 1 else b""
        above = before[key] if key else above
        one, two = MessageId(above[1:]), MessageId(at[1:])
        steps.append(_joined(links[one][key], links[two][key], two) if key else _followed(one, two, drawn))
        at = above
    return steps[::-1]


def _joined(one: Link, two: Link, message: MessageId) -> Step:
    if one.kind == "thread-index":
        return Step("index", message)
    if one.owns and two.owns:
        return Step("same", message, "" if one.kind == "twin" else one.detail)
    if two.owns:
        return Step("cites", message)
    return Step("cited", message) if one.owns else Step("both cite", message, one.detail)


def _followed(one: MessageId, two: MessageId, drawn: Collection[tuple[MessageId, MessageId]]) -> Step:
    return Step("follows" if (one, two) in drawn else "followed", two)
