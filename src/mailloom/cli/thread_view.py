"""A conversation as a tree of lines, or as JSON. A work list instead of recursion: a thread may be thousands of replies deep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from mailloom.archive import Archive
from mailloom.cli import draw
from mailloom.mail.model import Message, MessageId
from mailloom.schema import text_id
from mailloom.thread.tree import Twig

TEXT_LINES = 8  # of each mail, unless all is asked for
MIN_TEXT = 56  # columns that a mail's name, date and text keep: deeper levels are no more indented


class Placed(NamedTuple):
    """A twig with its place: how deep, the rails on its left, whether it is the last of its siblings, its parent."""

    twig: Twig
    depth: int
    rails: str
    last: bool
    parent: Twig | None


def placed(roots: list[Twig], deepest: int) -> Iterator[Placed]:
    """Every twig, a parent before its children. Rails grow up to `deepest` levels."""
    work = [Placed(twig, 0, "", True, None) for twig in reversed(roots)]
    while work:
        here = work.pop()
        yield here
        rails = here.rails
        if 0 < here.depth < deepest:
            rails += "  " if here.last else "│ "
        children = here.twig.children
        work += [
            Placed(child, here.depth + 1, rails, number == 0, here.twig)
            for number, child in enumerate(reversed(children))
        ]


def lines(archive: Archive, conversation: MessageId, *, full: bool, room: int) -> Iterator[str]:
    """The tree, drawn in `room` columns."""
    roots = archive.tree(conversation)
    subjects = _subjects(archive, archive.members(conversation))
    yield from _heading(archive, conversation, roots, room)
    deepest = max(1, (room - MIN_TEXT) // 2)
    before = _topic(subjects, roots[0]) if roots else ""
    topics: dict[int, str] = {}
    for place in placed(roots, deepest):
        above = before if place.parent is None else topics[id(place.parent)]
        topic = topics[id(place.twig)] = _topic(subjects, place.twig) or above
        branch = ("└─" if place.last else "├─") if place.depth else ""
        deep = f"(level {place.depth}) " if place.depth > deepest else ""
        if place.depth == 0 and place.twig is not roots[0]:
            yield ""
        if place.twig.message is None:
            cited = draw.clip(draw.safe(place.twig.cited), room - draw.cells(place.rails + branch + deep) - 9)
            yield f"{place.rails}{branch}{draw.dim(f'{deep}missing: {cited}')}"
            continue
        message = archive.record(place.twig.message).message
        taken = f"{place.rails}{branch}{deep}"
        yield taken + _head(archive, place.twig.message, message, room - draw.cells(taken))
        rails = place.rails
        if 0 < place.depth <= deepest:
            rails += "  " if place.last else "│ "
        rails += "│ " if place.twig.children else "  "
        yield from _body(message, rails, full=full, room=room, subject=message.subject if topic != above else "")


def _heading(archive: Archive, conversation: MessageId, roots: list[Twig], room: int) -> Iterator[str]:
    members = archive.members(conversation)
    first, last = archive.summary(members[0]), archive.summary(members[-1])
    missing = sum(place.twig.ghost for place in placed(roots, 0))
    yield from draw.title(first.subject, room)
    dates = {draw.moment(one.date)[:10].strip() for one in (first, last)}
    facts = [
        draw.several(len(members), "message"),
        *([f"{missing:,} missing"] if missing else []),
        " to ".join(sorted(dates)),
    ]
    yield f"{', '.join(facts)}, thread {draw.name_of(archive.short(conversation))}"
    yield ""


def _head(archive: Archive, name: MessageId, message: Message, room: int) -> str:
    short = archive.short(name)
    sender = draw.clip(draw.who(message.from_), max(6, room - len(short) - 20))
    return f"{draw.bold(sender)}  {draw.moment(message.date.ms)}  {draw.name_of(short)}"


def _body(message: Message, rails: str, *, full: bool, room: int, subject: str) -> Iterator[str]:
    inside = room - draw.cells(rails)
    if subject:
        yield f"{rails}{draw.bold(draw.clip(f'subject: {draw.safe(subject)}', inside))}"
    folded = _folded(message.reply_text, inside)
    for shown, line in enumerate(folded):
        if not full and shown >= TEXT_LINES and len(folded) > TEXT_LINES + 1:
            more = draw.several(len(folded) - shown, "more line")
            yield f"{rails}{draw.dim(f'… {more} (--full)')}"
            break
        yield f"{rails}{line}".rstrip()
    if not folded:
        inner = "; ".join(dict.fromkeys(one.kind for one in message.nested))
        yield f"{rails}{draw.dim(f'(no new text: {inner})' if inner else '(no new text)')}"
    for file in message.attachments:
        if not file.inline:
            name = draw.safe(file.name) or file.type
            yield f"{rails}{draw.dim(draw.clip(f'attached: {name} ({draw.size(file.size)})', inside))}"
    yield rails.rstrip()


def _folded(text: str, room: int) -> list[str]:
    """Safe lines of a text, runs of empty ones drawn together."""
    lines = list(draw.wrap(draw.safe(text.strip(), lines=True), room))
    return [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]


def _subjects(archive: Archive, members: list[MessageId]) -> dict[MessageId, str]:
    sql = "select id, base_subject from messages where scope = ? and id = ?"
    return dict(archive.connection.executemany(sql, [(archive.scope, member) for member in members]))


def _topic(subjects: dict[MessageId, str], twig: Twig) -> str:
    return subjects.get(twig.message, "") if twig.message is not None else ""


def entries(archive: Archive, conversation: MessageId) -> Iterator[dict[str, Any]]:
    """The tree as flat values, a parent before its children: `depth` and `parent` (an id or a missing Message-ID) tell the shape."""
    for place in placed(archive.tree(conversation), 0):
        above = place.parent
        shape = {
            "depth": place.depth,
            "parent": None if above is None else (text_id(above.message) if above.message else above.cited),
        }
        if place.twig.message is None:
            yield {"missing": place.twig.cited, **shape}
            continue
        record = archive.record(place.twig.message)
        message = record.message
        yield {
            "id": text_id(record.id),
            "thread": text_id(conversation),
            **shape,
            "message_id": message.message_id,
            "date": draw.iso(message.date.ms) or None,
            "from": message.from_,
            "subject": message.subject,
            "text": message.reply_text,
            "attachments": message.attachments,
        }
