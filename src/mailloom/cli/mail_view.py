"""One mail as lines: what the library sees in it. `show` and `parse` share this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mailloom.cli import draw
from mailloom.mail.model import SIGNED, Address, Message, MessageId, Nested
from mailloom.schema import text_id

if TYPE_CHECKING:
    from mailloom.archive import Archive

SPAN_LINES = 12  # of a quote, unless all is asked for: what the author wrote is always whole
SHOWN_PROBLEMS = 50
SHOWN_PEOPLE = 50  # of each role
SHOWN_DUPLICATES = 5  # of each kind


def lines(message: Message, *, room: int, full: bool) -> Iterator[str]:
    """Headers, people, text by spans, nested messages, attachments, problems."""
    yield from draw.title(message.subject, room)
    yield from draw.table(_headers(message), room=room)
    yield from _text(message, room=room, full=full)
    if message.nested:
        yield from ("", draw.bold("Messages inside"))
        for one in message.nested:
            yield from _nested(one, room=room)
    if message.attachments:
        yield from ("", draw.bold("Attachments"))
        for number, file in enumerate(message.attachments, 1):
            name = draw.safe(file.name) or "(no name)"
            inline = (", inline" if file.inline else "") + (f", inside ({file.inside})" if file.inside else "")
            yield f"  {number}. {name}  {draw.dim(f'{draw.safe(file.type)}, {draw.size(file.size)}{inline}, sha256 {file.sha256[:16]}…')}"
    yield from _problems(message)


def _headers(message: Message) -> Iterator[tuple[str, str]]:
    yield "date", draw.stated(message.date)
    roles: Sequence[tuple[str, Sequence[Address]]] = (
        ("from", message.from_), ("written by", message.author if message.author != message.from_ else ()), ("sender", message.sender), ("reply to", message.reply_to), ("to", message.to), ("cc", message.cc),
    )  # fmt: skip
    for role, people in roles:
        for number, one in enumerate(people[:SHOWN_PEOPLE]):
            group = f" in the group {draw.safe(one.group)}" if one.group else ""
            key = f"  key {draw.safe(one.key)}" if one.key != one.address else ""
            yield role if number == 0 else "", draw.person(one) + group + key
        if len(people) > SHOWN_PEOPLE:
            yield "", f"… {len(people) - SHOWN_PEOPLE:,} more (--json has all)"
    yield "Message-ID", draw.safe(message.message_id) or "none"
    if message.in_reply_to or message.in_reply_to_text:
        yield "in reply to", draw.safe(" ".join(message.in_reply_to) or message.in_reply_to_text)
    if message.references:
        yield "references", draw.safe(" ".join(message.references))
    if message.aliases:
        yield "also known as", draw.safe(" ".join(message.aliases))
    if message.thread_index:
        yield "Thread-Index", message.thread_index.hex()
    if message.list_id:
        yield "list", draw.safe(message.list_id)
    if message.marks:
        yield "marks", ", ".join(message.marks)


def _text(message: Message, *, room: int, full: bool) -> Iterator[str]:
    """The whole text, a line above each span that says what it is, which rule cut it and how sure that rule is."""
    if not message.text:
        yield from ("", draw.dim("(no text)"))
        return
    for span in message.segments:
        text = draw.safe(message.text[span.start : span.end], lines=True).strip("\n")
        level = f" level {span.level}" if span.level else ""
        rule = f", rule {draw.safe(span.rule)}" if span.rule else ""
        what = f"{span.kind}{level}: {span.start:,}-{span.end:,}{rule}, {span.confidence / 1000:.2f} sure"
        yield from ("", draw.dim(draw.clip(f"── {what} ", room).ljust(room, "─")))
        folded = list(draw.wrap(text, room))
        cut = len(folded) if full or span.kind in SIGNED or len(folded) <= SPAN_LINES + 1 else SPAN_LINES
        yield from folded[:cut]
        if cut < len(folded):
            yield draw.dim(f"… {draw.several(len(folded) - cut, 'more line')} (--full)")


def _nested(one: Nested, *, room: int) -> Iterator[str]:
    indent = "  " * min(one.depth, 10)
    said = [
        f"from {draw.who(one.from_)}" if one.from_ else "",
        draw.moment(one.date.ms) if one.date.ms is not None else "",
    ]
    said += [draw.safe(one.subject), draw.several(len(one.text), "character") + " of text"]
    said += [draw.several(len(one.attachments), "attachment") if one.attachments else ""]
    yield draw.clip(f"{indent}{one.path} {one.kind}: {', '.join(part for part in said if part)}", room)


def _problems(message: Message) -> Iterator[str]:
    if not message.problems:
        return
    yield from ("", draw.bold("Problems"))
    for one in message.problems[:SHOWN_PROBLEMS]:
        where = f" in {draw.safe(one.where)}" if one.where else ""
        yield f"  {draw.safe(one.kind)}{where}{f': {draw.safe(one.detail)}' if one.detail else ''}"
    if len(message.problems) > SHOWN_PROBLEMS:
        yield draw.dim(f"  … {len(message.problems) - SHOWN_PROBLEMS:,} more (--json has all)")


def kept(archive: Archive, message: MessageId, *, room: int) -> Iterator[str]:
    """What an archive knows besides: ids, thread, duplicates, copies."""
    from mailloom.cli.duplicates import told

    conversation = archive.conversation(message)
    yield from ("", draw.bold("In this archive"))
    yield f"  id {draw.name_of(text_id(message))}"
    count = len(archive.members(conversation))
    yield f"  thread {draw.name_of(archive.short(conversation))}, {draw.several(count, 'message')}"
    yield from (f"  {line}" for line in told(archive, archive.duplicates(message), SHOWN_DUPLICATES))
    for copy in archive.copies(message):
        place = f"{copy.source}{'/' if copy.path else ''}{copy.path}"
        said = [f"bytes {copy.start:,}-{copy.start + copy.length:,}" if copy.start else draw.size(copy.length)]
        said += [
            f"{name} {value}"
            for name, value in (("folder", copy.folder), ("labels", copy.labels), ("flags", copy.flags))
            if value
        ]
        said += [f"received {draw.moment(copy.received_at)}"] if copy.received_at is not None else []
        said += [f"stored {draw.iso(copy.stored_at)}"]
        yield f"  copy ({copy.state}): {draw.safe(place)}"
        yield from (f"    {draw.dim(line)}" for line in draw.wrap(draw.safe(", ".join(said)), room - 4))
