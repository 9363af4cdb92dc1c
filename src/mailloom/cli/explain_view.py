"""Why a mail is in its thread, told: one small function for each part of the story (archive/story.py), and the story as JSON."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from mailloom.archive import Archive
from mailloom.archive.story import Likely, Story, Tie
from mailloom.cli import draw
from mailloom.cli.explain_words import answer_line, sought_lines, step_words, tie_line, why_unused
from mailloom.mail.model import MessageId
from mailloom.ports import Place
from mailloom.schema import text_id
from mailloom.thread.decide import Candidate
from mailloom.thread.edits import JOIN
from mailloom.thread.keys import is_common
from mailloom.thread.telling import Says

NAMED = 3  # others that a line names, and candidates that are told of
CHAIN = 4  # ids of References alone that are told of
STEPS = 6  # of the way to the oldest
_ID = re.compile(r"(?<![\w.@<>+=-])[0-9a-f]{8,31}(?![\w.@<>+=-])")
"""An id as `Archive.short` gives it. Coloured last: columns are counted without colours."""


def lines(archive: Archive, story: Story, *, room: int) -> Iterator[str]:
    """The story in `room` columns."""
    for line in _plain(archive, story, room):
        yield _ID.sub(_coloured, line)


def _coloured(found: re.Match[str]) -> str:
    return draw.name_of(found[0])


def _plain(archive: Archive, story: Story, room: int) -> Iterator[str]:
    yield from _place(archive, story, room)
    yield from _part("Joined by its ids", _joined(archive, story, room), room)
    yield from _part("Edited by hand", _edited(archive, story, room), room)
    yield from _part("Joined by what is likely", _likely(archive, story, room), room)
    yield from _part(_considered_heading(story), _considered(archive, story, room), room)
    yield from _part("Nearly the same text, which alone joins nobody", _near(archive, story, room), room)
    yield from _part("The way to the oldest", _way(archive, story, room), room)
    yield from _part("Stated, and joins nothing", _unused(archive, story, room), room)
    yield from _looking(archive, story, room)


def _part(heading: str, told: Iterator[str], room: int) -> Iterator[str]:
    for number, line in enumerate(told):
        if number == 0:
            yield ""
            yield from map(draw.bold, draw.wrap(heading, room))
        yield line


# ------------------------------------------------------------------------------------------------ where it is
def _place(archive: Archive, story: Story, room: int) -> Iterator[str]:
    yield from draw.title(archive.summary(story.message).subject, room)
    yield from draw.wrap(f"from {_who(archive, story.message)}", room)
    yield from draw.wrap(_thread(archive, story), room)
    if story.topic not in (story.thread, story.message):
        yield from draw.wrap(f"its subject came up in {_name(archive, story.topic)}", room)
    elif story.topic != story.thread:
        yield "it brings up a new subject there"
    if story.copies > 1:
        yield from draw.wrap(f"it came {story.copies:,} times: `mailloom where` tells from where", room)


def _thread(archive: Archive, story: Story) -> str:
    short = archive.short(story.thread)
    if story.members == 1:
        return f"is alone in its thread, {short}"
    if story.thread == story.message:
        return f"is the oldest of {story.members:,} messages, so it names their thread, {short}"
    return (
        f"is one of {story.members:,} messages in thread {short}, which is named by its oldest: "
        f"{_subject(archive, story.thread)}, {_who(archive, story.thread)}"
    )


def _way(archive: Archive, story: Story, room: int) -> Iterator[str]:
    """Where what is told of its own links isn't enough to see why it is with the oldest."""
    if len(story.way) < 2:
        return
    for number, step in enumerate(story.way[:STEPS]):
        words = f"{'which' if number else 'it'} {step_words(step.way, _name(archive, step.message), step.value)}"
        yield from _indented(words, room, 2)
    if len(story.way) > STEPS:
        yield f"  and {draw.several(len(story.way) - STEPS, 'more step')} like these"


# ------------------------------------------------------------------------------------------------ ids
def _joined(archive: Archive, story: Story, room: int) -> Iterator[str]:
    yield from _ties(archive, [ties for ties in _together(story.ties) if ties[0].state == "joins"], room)


def _unused(archive: Archive, story: Story, room: int) -> Iterator[str]:
    if not any(tie.link.kind == "message-id" for tie in story.ties):
        yield from _indented("it has no id that can be used, so nobody can answer it by one", room, 2)
    alone = [ties for ties in _together(story.ties) if ties[0].state != "joins" and ties[0].link.kind != "twin"]
    yield from _ties(archive, alone, room)


def _ties(archive: Archive, every: Sequence[Sequence[Tie]], room: int) -> Iterator[str]:
    """A long chain of References is told by its ends: where the talk began, and what was before this mail."""
    chain = [ties for ties in every if [tie.link.kind for tie in ties] == ["references"]]
    between = chain[1 : 1 - CHAIN] if len(chain) > CHAIN + 1 else []
    for ties in every:
        if ties not in between:
            yield from _tie(archive, ties, room)
        elif ties is between[0]:
            here = sum(bool(one[0].having) for one in between)
            words = f"its References name {len(between):,} more, of which {here:,} {'is' if here == 1 else 'are'} here"
            yield from _indented(words, room, 2)


def _together(ties: Iterable[Tie]) -> list[list[Tie]]:
    """In-Reply-To and References mostly name the same id: told once."""
    told: dict[tuple[bytes, bool], list[Tie]] = {}
    for tie in ties:
        told.setdefault((tie.link.key, tie.link.owns), []).append(tie)
    return list(told.values())


def _tie(archive: Archive, ties: Sequence[Tie], room: int) -> Iterator[str]:
    tie = ties[0]
    yield f"  {draw.clip(tie_line(ties), room - 2)}"
    if why := why_unused(tie):
        yield from _indented(why, room, 4)
    for line in _others(archive, tie):
        yield from _indented(line, room, 4)
    if not tie.settled:
        yield from _indented("that changed since threads were last settled: the next ingest does it", room, 4)


def _others(archive: Archive, tie: Tie) -> Iterator[str]:
    """Who shares an id, in which way."""
    having, citing = _names(archive, tie.having), _names(archive, tie.citing)
    match tie.link.kind:
        case "twin":
            yield having
        case "thread-index":
            if tie.above is not None:
                missing = f", {draw.several(tie.gap, 'answer')} between them not being here" if tie.gap else ""
                yield f"it continues that of {_name(archive, tie.above)}{missing}"
            if every := sorted({*tie.having, *tie.citing} - {tie.above}):
                yield f"{'others of it are' if tie.above else 'shared with'} {_names(archive, every)}"
            elif tie.above is None:
                yield "no other mail here has it"
        case _ if tie.link.owns:
            if having:
                yield f"{having} {'has' if len(tie.having) == 1 else 'have'} the same id, and other content"
            if citing:
                yield f"cited by {citing}"
        case _:
            if having:
                yield f"which is {having}" if len(tie.having) == 1 else f"several mails have it: {having}"
            elif tie.state == "dead":
                yield f"cited by {citing} too"
            elif citing:
                yield f"that mail is not here; it is cited by {citing} too"
            else:
                yield "that mail is not here: if it comes, the two are joined"


# ------------------------------------------------------------------------------------------------ by hand
def _edited(archive: Archive, story: Story, room: int) -> Iterator[str]:
    for place in story.edits:
        yield from _indented(f"{_edit(archive, place, story.message)} (edit {place.number})", room, 2)


def _edit(archive: Archive, place: Place, own: MessageId) -> str:
    other = _other(place, own)
    if place.kind == JOIN:
        return f"joined by hand with {_name(archive, other)}"
    if other == own:
        return "split off by hand, with what answers it"
    return f"{'kept by hand with' if place.inside else 'kept apart by hand from'} {_name(archive, other)}, which was split off"


def _other(place: Place, own: MessageId) -> MessageId:
    return place.message if place.message != own else place.target


# ------------------------------------------------------------------------------------------------ what is likely
def _likely(archive: Archive, story: Story, room: int) -> Iterator[str]:
    shown = [one for one in story.likely if one.outward] + [one for one in story.likely if not one.outward][:NAMED]
    for one in shown:
        yield from _indented(_link(archive, one, story.needs), room, 2)
        if one.row.live:
            yield from _says(one.says, room) if one.says else _indented(draw.safe(one.row.detail), room, 4)
    if len(story.likely) > len(shown):
        yield f"  and {len(story.likely) - len(shown):,} more follow it"
    if not story.settled:
        yield from _indented("more came since threads were last settled: the next ingest looks again", room, 2)


def _link(archive: Archive, one: Likely, needs: int) -> str:
    other = _name(archive, one.row.target if one.outward else one.row.source)
    if not one.row.live:
        once = f"it followed {other} once" if one.outward else f"{other} followed it once"
        return f"{once}; better evidence came"
    if one.outward:
        return f"it follows {other}, by a weight of {_weight(one.row.weight)} where {_weight(needs)} is enough"
    return f"{other} follows it, by a weight of {_weight(one.row.weight)}"


def _says(says: Sequence[Says], room: int) -> Iterator[str]:
    for one in says:
        yield from _hanging(_weight(one.weight), draw.safe(one.detail), room, 4)


def _considered_heading(story: Story) -> str:
    if any(one.outward and one.row.live for one in story.likely):
        return "Also considered, and weaker"
    why = "for an answer" if story.reply else 'for mail that is no "Re:"'
    return f"Considered, and too weak: {_weight(story.needs)} is needed {why}"


def _considered(archive: Archive, story: Story, room: int) -> Iterator[str]:
    linked = {one.row.target for one in story.likely if one.outward and one.row.live}
    rest = [one for one in story.considered if one.message not in linked]
    weighed = [one for one in rest if one.weight]
    best = story.considered[0].weight if linked else 0
    for one in weighed[:NAMED]:
        says = _candidate(archive, one) + ("; as strong, but older" if one.weight == best else "")
        yield from _hanging(_weight(one.weight), says, room, 2)
    if len(weighed) > NAMED:
        yield f"  and {draw.several(len(weighed) - NAMED, 'weaker one')}"
    if nothing := sum(not one.weight and one.message < story.message for one in rest):
        yield from _indented(
            f"{draw.several(nothing, 'mail')} looked alike at first, but not on a closer look", room, 2
        )


def _candidate(archive: Archive, one: Candidate) -> str:
    return f"{_name(archive, one.message)}: {draw.safe('; '.join(says.detail for says in one.says))}"


def _near(archive: Archive, story: Story, room: int) -> Iterator[str]:
    for other, share in story.near[:NAMED]:
        yield from _hanging(f"{share:.0%}", _name(archive, other), room, 2)
    if len(story.near) > NAMED:
        yield f"  and {len(story.near) - NAMED:,} more: `mailloom duplicates` lists them"


# ------------------------------------------------------------------------------------------------ what would change it
def _looking(archive: Archive, story: Story, room: int) -> Iterator[str]:
    if not story.asks or not story.asking:
        why = "a mail that it answers by id is here" if story.asks else _silent(archive, story)
        yield from ("", *draw.wrap(f"It looks for nothing more: {why}.", room))
        return
    linked = {one.row.target for one in story.likely if one.outward and one.row.live}
    heading = "Would follow something better, if it came: it looks for" if linked else "Looks for what it may follow"
    yield from _part(heading, _wanted(story, linked, room), room)


def _wanted(story: Story, linked: Collection[MessageId], room: int) -> Iterator[str]:
    for one, line in sought_lines(story.sought):
        yield from _hanging("-", f"{line} ({answer_line(one, linked)})", room, 2)


def _silent(archive: Archive, story: Story) -> str:
    message = archive.record(story.message).message
    if "automatic" in message.marks:
        return "it is automatic, and such mail quotes and repeats subjects without taking part in a talk"
    if message.date.ms is None:
        return "it has no date, so nobody can tell what came before it"
    return "it quotes nobody and answers no subject"


# ------------------------------------------------------------------------------------------------ names and columns
def _name(archive: Archive, message: MessageId) -> str:
    return f"{archive.short(message)} ({_who(archive, message)})"


def _who(archive: Archive, message: MessageId) -> str:
    said = archive.record(message).message
    return f"{draw.clip(draw.who((said.author or said.from_)[:1]), 40)}, {draw.moment(said.date.ms).strip()}"


def _subject(archive: Archive, message: MessageId) -> str:
    subject = draw.clip(draw.safe(archive.summary(message).subject), 60)
    return f"'{subject}'" if subject else "no subject"


def _names(archive: Archive, messages: Sequence[MessageId]) -> str:
    named = ", ".join(_name(archive, message) for message in messages[:NAMED])
    return named + (f" and {len(messages) - NAMED:,} more" if len(messages) > NAMED else "")


def _weight(thousandths: int) -> str:
    return f"{thousandths / 1000:.2f}"


def _indented(text: str, room: int, margin: int) -> Iterator[str]:
    yield from (" " * margin + line for line in draw.wrap(text, room - margin))


def _hanging(mark: str, text: str, room: int, margin: int) -> Iterator[str]:
    """A paragraph with a mark in front, the lines below it under its first letter."""
    taken = margin + len(mark) + 1
    for number, line in enumerate(draw.wrap(text, room - taken)):
        yield (" " * margin + mark + " " if number == 0 else " " * taken) + line


# ------------------------------------------------------------------------------------------------ as JSON
def value(archive: Archive, story: Story) -> dict[str, Any]:
    """Everything, as `explain --json` prints it: one entry for each header that states an id, each soft link and each ask."""
    return {
        "id": text_id(story.message),
        "message_id": archive.summary(story.message).message_id,
        "thread": text_id(story.thread),
        "messages": story.members,
        "topic": text_id(story.topic),
        "way": [{**step._asdict(), "message": text_id(step.message)} for step in story.way],
        "copies": story.copies,
        "twins": _ids(story.twins),
        "near": [{"id": text_id(other), "similarity": share} for other, share in story.near],
        "links": [_tie_value(tie) for tie in story.ties],
        "soft": [_soft_value(one) for one in story.likely],
        "edits": [
            {
                "number": place.number,
                "kind": place.kind,
                "inside": place.inside,
                "other": text_id(_other(place, story.message)),
            }
            for place in story.edits
        ],
        "candidates": [
            {"id": text_id(one.message), "weight": one.weight, "says": _says_value(one.says)}
            for one in story.considered
        ],
        "needed": story.needs,
        "settled": story.settled,
        "asking": story.asking,
        "asks": [
            {
                "kind": ask.kind,
                "value": ask.detail,
                "weight": ask.weight,
                "candidates": _ids(sorted(item.owners)),
                "common": is_common(item),
            }
            for ask, item in story.asks
        ],
        "looks_for": [{**one._asdict(), "found": _ids(one.found)} for one in story.sought],
    }


def _tie_value(tie: Tie) -> dict[str, Any]:
    return {
        "kind": tie.link.kind,
        "relation": "has" if tie.link.owns else "cites",
        "value": tie.link.detail,
        "weight": tie.link.weight,
        "state": tie.state,
        "why": why_unused(tie),
        "settled": tie.settled,
        "had_by": _ids(tie.having),
        "cited_by": _ids(tie.citing),
        "continues": text_id(tie.above) if tie.above else None,
    }


def _soft_value(one: Likely) -> dict[str, Any]:
    return {
        "direction": "to" if one.outward else "from",
        "other": text_id(one.row.target if one.outward else one.row.source),
        "kind": one.row.kind,
        "weight": one.row.weight,
        "detail": one.row.detail,
        "live": one.row.live,
        "says": _says_value(one.says),
    }


def _says_value(says: Iterable[Says]) -> list[dict[str, Any]]:
    return [{**one._asdict(), "detail": one.detail} for one in says]


def _ids(messages: Iterable[MessageId]) -> list[str]:
    return [text_id(message) for message in messages]
