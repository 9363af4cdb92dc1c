"""What a reader wants to see as one: a conversation as it is, split where its subject changes, or as Gmail would show it.

Evidence and ids don't depend on it: a policy is a view of one conversation's members, chosen when somebody looks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias, get_args

from mailloom.mail.model import MessageId
from mailloom.ports import NodeName, Stated
from mailloom.thread.components import components, topics
from mailloom.thread.keys import message_node
from mailloom.thread.tree import Twig, below

Policy: TypeAlias = Literal["never", "subject", "gmail"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

# "A conversation breaks off into a new conversation if the subject line changes or the conversation reaches more than 100
# emails." Automated mail is grouped if it has "a reference header with the same IDs as a previous message" and is "sent within one week
# of a previous message": support.google.com/mail/answer/5900.
GMAIL_MOST = 100
GMAIL_WEEK_MS = 7 * 86_400_000
_IDS = frozenset(("message-id", "alias", "in-reply-to", "references"))


class Member(NamedTuple):
    """A message of a conversation, with what policies look at. `automatic` is for mail that a machine sent."""

    stated: Stated
    automatic: bool = False


def split(members: Iterable[Member], policy: Policy) -> dict[MessageId, MessageId]:
    """Each member of one conversation -> the oldest message of its group.

    "never" is the conversation whole; "subject" groups by base subject: topics; "gmail" groups what has one base subject and cites the
    same chain of ids, at most GMAIL_MOST to a group, and automatic mail only within a week of the one before.
    """
    by_age = sorted(members, key=lambda m: m.stated.message)
    if policy == "subject":
        return topics((m.stated.message, m.stated.subject) for m in by_age)
    if policy == "gmail":
        return _gmail(by_age)
    return {m.stated.message: by_age[0].stated.message for m in by_age}


def _gmail(by_age: Sequence[Member]) -> dict[MessageId, MessageId]:
    links: list[tuple[NodeName, NodeName]] = []
    for s, _ in by_age:
        node = message_node(s.message)
        links.append((node, node))
        links += [(node, link.key + s.subject) for link in s.links if link.kind in _IDS]
    lowest = components(links)
    chains: dict[NodeName, list[Member]] = defaultdict(list)
    for member in by_age:
        chains[lowest[message_node(member.stated.message)]].append(member)
    group: dict[MessageId, MessageId] = {}
    for chain in chains.values():
        first, count, last = chain[0].stated.message, 0, chain[0].stated.when
        for stated, automatic in chain:
            when = stated.when
            late = automatic and when is not None and last is not None and when - last > GMAIL_WEEK_MS
            if late or count == GMAIL_MOST:
                first, count = stated.message, 0
            group[stated.message] = first
            count, last = count + 1, when
    return group


def pruned(roots: Sequence[Twig], keep: Collection[MessageId]) -> list[Twig]:
    """A tree with only some of its messages, and the ghosts that these answer; what hung below another hangs below what that hung on."""
    wanted: set[int] = set()
    for twig in reversed(list(below(*roots))):
        answers = (id(child) in wanted for child in twig.children)
        if twig.message in keep if twig.message is not None else any(answers):
            wanted.add(id(twig))
    top = Twig(None, "")
    work = [(twig, top) for twig in reversed(roots)]
    while work:
        twig, above = work.pop()
        if id(twig) in wanted:
            kept = replace(twig, children=[])
            above.children.append(kept)
            above = kept
        work += [(child, above) for child in reversed(twig.children)]
    return top.children
