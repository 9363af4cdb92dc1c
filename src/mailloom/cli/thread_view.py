"""A conversation as a tree of lines, or as JSON. A work list instead of recursion: a thread may be thousands of replies deep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mailloom.archive import Archive
from mailloom.cli import draw
from mailloom.mail.model import Message, MessageId, Nested
from mailloom.schema import text_id
from mailloom.thread.policy import Policy
from mailloom.thread.tree import Ghost, Quote, Twig

TEXT_LINES = 8  # of each mail, unless all is asked for
MIN_TEXT = 56  # columns that a mail's name, date and text keep: deeper levels are no more indented


class Placed(NamedTuple):
    """A twig with its place: how deep, the rails on its left, whether it is the last of its siblings, its parent."""

    twig: Twig
    depth: int
    rails: str
    last: bool
    parent: Twig | None


class View(NamedTuple):
    """What to draw: a message's conversation, as a policy splits it."""

    archive: Archive
    message: MessageId
    policy: Policy

    def members(self) -> Sequence[MessageId]:
        return self.archive.view(self.message, self.policy)

    def tree(self) -> list[Twig]:
        return self.archive.tree(self.message, self.policy)

    def held(self) -> dict[MessageId, MessageId]:
        return self.archive.held(self.message, self.policy)


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


def lines(view: View, *, full: bool, room: int) -> Iterator[str]:
    """The tree, drawn in `room` columns."""
    archive, members = view.archive, view.members()
    roots, held = view.tree(), view.held()
    subjects = archive.subjects(members)
    yield from _heading(view, members, roots, room)
    deepest = max(1, (room - MIN_TEXT) // 2)
    before = subjects[members[0]]
    twins: dict[bytes, MessageId] = {}
    topics: dict[int, str] = {}
    for place in placed(roots, deepest):
        above = before if place.parent is None else topics[id(place.parent)]
        topic = topics[id(place.twig)] = _topic(subjects, place.twig) or above
        branch = ("└─" if place.last else "├─") if place.depth else ""
        deep = f"(level {place.depth}) " if place.depth > deepest else ""
        taken = f"{place.rails}{branch}{deep}"
        rails = place.rails
        if 0 < place.depth <= deepest:
            rails += "  " if place.last else "│ "
        rails += "│ " if place.twig.children else "  "
        if place.twig.known is not None:
            yield taken + _recovered(place.twig.known, room - draw.cells(taken))
            yield from _text(place.twig.known.text, rails, full=full, room=room)
            if not place.twig.known.text:
                yield f"{rails}{draw.dim('(nobody quotes its text)')}"
            yield rails.rstrip()
        elif place.twig.message is None:
            yield taken + draw.dim(draw.clip(_unknown(archive, place.twig), room - draw.cells(taken)))
        else:
            record = archive.record(place.twig.message)
            message = record.message
            twin = twins.setdefault(record.twin, record.id)
            holder = held.get(record.id)
            mark = "" if holder is None else f"  all of it is in {archive.short(holder)}"
            if twin != record.id:
                mark = f"  the same as {archive.short(twin)}"
            yield taken + _head(archive, record.id, message, room - draw.cells(taken), mark)
            if twin != record.id:
                yield rails.rstrip()
                continue
            yield from _body(message, rails, full=full, room=room, subject=message.subject if topic != above else "")


def _heading(view: View, members: Sequence[MessageId], roots: list[Twig], room: int) -> Iterator[str]:
    archive = view.archive
    first, last = archive.summary(members[0]), archive.summary(members[-1])
    ghosts = [place.twig for place in placed(roots, 0) if place.twig.ghost and not place.twig.elsewhere]
    recovered = sum(ghost.known is not None for ghost in ghosts)
    yield from draw.title(first.subject, room)
    dates = {draw.moment(one.date)[:10].strip() for one in (first, last)}
    facts = [
        draw.several(len(members), "message"),
        *([f"{len(ghosts):,} missing" + (f" ({recovered:,} recovered)" if recovered else "")] if ghosts else []),
        " to ".join(sorted(dates)),
    ]
    yield f"{', '.join(facts)}, thread {draw.name_of(archive.short(members[0]))}"
    whole = archive.conversation(view.message)
    if more := len(archive.members(whole)) - len(members):
        yield draw.dim(
            f"{draw.several(more, 'more message')} in the whole thread {archive.short(whole)} (--policy never)"
        )
    yield ""


def _head(archive: Archive, name: MessageId, message: Message, room: int, mark: str = "") -> str:
    short = archive.short(name)
    sender = draw.clip(draw.who(message.from_), max(6, room - len(short) - 20 - len(mark)))
    taken = draw.cells(sender) + 20 + len(short)
    return f"{draw.bold(sender)}  {draw.moment(message.date.ms)}  {draw.name_of(short)}{draw.dim(draw.clip(mark, room - taken))}"


def to_read(view: View, *, room: int) -> Iterator[str]:
    """The inclusive mails, a line each: who, when, how many others stand in it."""
    archive, members, held = view.archive, view.members(), view.held()
    holds = Counter(held.values())
    yield from draw.title(archive.summary(members[0]).subject, room)
    yield f"{len(members) - len(held):,} of {draw.several(len(members), 'message')} hold all text and attachments of the others"
    yield ""
    for member in members:
        if member not in held:
            message = archive.record(member).message
            files = draw.several(sum(not one.inline for one in message.attachments), "attachment")
            facts = [f"holds {draw.several(holds[member], 'other')}"] if holds[member] else []
            facts += [files] if not files.startswith("0 ") else []
            mark = f"  {', '.join(facts)}" if facts else ""
            yield _head(archive, member, message, room, mark)


def _unknown(archive: Archive, twig: Twig) -> str:
    cited = draw.safe(twig.cited)
    if twig.elsewhere:
        return f"in another thread: {', '.join(map(archive.short, twig.elsewhere))} ({cited})"
    return f"missing: {cited}"


def _recovered(ghost: Ghost, room: int) -> str:
    """A missing mail's line: who and when as far as quotes tell, and that it comes from them."""
    copies = draw.several(len(ghost.quotes), "quote")
    others = f", {draw.several(len(ghost.others), 'other')} disagree" if ghost.others else ""
    marked = f"(missing; recovered from {copies}{others})"
    when = draw.moment(ghost.date.ms) if ghost.date.ms is not None else draw.clip(draw.safe(ghost.date.text), 32)
    if ghost.date.ms is not None and ghost.date.zone is None:
        when += " local time"
    sender = draw.who(ghost.from_) if ghost.from_ else "somebody"
    sender = draw.clip(sender, max(6, room - draw.cells(when + marked) - 4))
    return draw.clip("  ".join(part for part in (sender, when, marked) if part), room)


def _body(message: Message, rails: str, *, full: bool, room: int, subject: str) -> Iterator[str]:
    inside = room - draw.cells(rails)
    if subject:
        yield f"{rails}{draw.bold(draw.clip(f'subject: {draw.safe(subject)}', inside))}"
    typed = message.reply_text
    yield from _text(typed, rails, full=full, room=room)
    if not typed.strip():
        inner = "; ".join(dict.fromkeys(f"{one.kind}{_about(one)}" for one in message.nested if one.depth == 1))
        yield f"{rails}{draw.dim(draw.clip(f'(no new text: {inner})' if inner else '(no new text)', inside))}"
    for file in message.attachments:
        if not file.inline:
            name = draw.safe(file.name) or file.type
            yield f"{rails}{draw.dim(draw.clip(f'attached: {name} ({draw.size(file.size)})', inside))}"
    yield rails.rstrip()


def _about(one: Nested) -> str:
    sender = f" from {draw.who(one.from_)}" if one.from_ else ""
    return f"{sender}: {draw.safe(one.subject)}" if one.subject else sender


def _text(text: str, rails: str, *, full: bool, room: int) -> Iterator[str]:
    folded = _folded(text, room - draw.cells(rails))
    for shown, line in enumerate(folded):
        if not full and shown >= TEXT_LINES and len(folded) > TEXT_LINES + 1:
            more = draw.several(len(folded) - shown, "more line")
            yield f"{rails}{draw.dim(f'… {more} (--full)')}"
            break
        yield f"{rails}{line}".rstrip()


def _folded(text: str, room: int) -> list[str]:
    """Safe lines of a text, runs of empty ones drawn together."""
    lines = list(draw.wrap(draw.safe(text.strip(), lines=True), room))
    return [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]


def _topic(subjects: Mapping[MessageId, str], twig: Twig) -> str:
    return subjects.get(twig.message, "") if twig.message is not None else ""


def entries(view: View) -> Iterator[dict[str, Any]]:
    """The tree as flat values, a parent before its children: `depth` and `parent` tell the shape. A parent is an id, or what a
    missing mail goes by: its Message-ID, else the id of the mail that quotes it, "#" and the quote's path there.
    """
    archive, held = view.archive, view.held()
    thread = text_id(view.members()[0])
    for place in placed(view.tree(), 0):
        above = place.parent
        shape = {
            "depth": place.depth,
            "parent": None if above is None else _name(above),
        }
        if place.twig.message is None:
            known = place.twig.known
            elsewhere = {"elsewhere": [text_id(one) for one in place.twig.elsewhere]} if place.twig.elsewhere else {}
            recovered = {"recovered": _ghost(known)} if known is not None else {}
            yield {"missing": _name(place.twig), **shape, **elsewhere, **recovered}
            continue
        record = archive.record(place.twig.message)
        message = record.message
        yield {
            "id": text_id(record.id),
            "thread": thread,
            **shape,
            "message_id": message.message_id,
            "date": draw.iso(message.date.ms) or None,
            "from": message.from_,
            "subject": message.subject,
            "text": message.reply_text,
            "held_by": text_id(held[record.id]) if record.id in held else None,
            "attachments": message.attachments,
        }


def _name(twig: Twig) -> str:
    if twig.message is not None:
        return text_id(twig.message)
    if twig.cited or twig.known is None:
        return twig.cited
    first = min(twig.known.quotes)
    return f"{text_id(first.carrier)}#{first.path}"


def _ghost(ghost: Ghost) -> dict[str, Any]:
    return {
        "date": draw.iso(ghost.date.ms) or None if ghost.date.zone is not None else None,
        "date_text": ghost.date.text,
        "from": ghost.from_,
        "subject": ghost.subject,
        "text": ghost.text,
        "exact": ghost.exact,
        "pieces": [piece._asdict() for piece in ghost.pieces],
        "quotes": [_quote(quote) for quote in ghost.quotes],
        "others": [_quote(quote) for quote in ghost.others],
    }


def _quote(quote: Quote) -> dict[str, Any]:
    return {"carrier": text_id(quote.carrier), "path": quote.path, "start": quote.start, "end": quote.end}
