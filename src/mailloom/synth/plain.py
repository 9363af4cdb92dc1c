"""Mail as people on lists write it: plain text, "> " quotes, answers between the lines, "-- " before the signature."""

from __future__ import annotations

from mailloom.synth.dates import rfc_date, stamp, stated
from mailloom.synth.letter import (
    PREFIXES,
    Draft,
    Letter,
    Sent,
    between,
    fitting,
    inside,
    lines_of,
    mailboxes,
    named,
    old,
    quoted,
    shown,
)
from mailloom.synth.truth import Inner, Placed
from mailloom.synth.words import wrap


def plain(letter: Letter) -> Draft:
    """Habits by the writer's style: between the quotes, below them, or on top; fixed or flowed lines (RFC 3676)."""
    lang, author, parent = letter.lang, letter.author, letter.parent
    blocks = [lines_of(block, 72, lang.tight) for block in letter.blocks]
    inline: tuple[Inner, ...] = ()
    placed: Placed = "new"
    if parent is None:
        said = text = "\n\n".join(blocks)
    elif letter.kind == "forward":
        placed = "forward"
        said = "\n\n".join(blocks)
        text = f"{said}\n\n{forwarded(letter, parent)}"
        inline = inside(letter, inner(letter, parent, parent.said))
    elif letter.answers and author.style % 3:
        placed = "between"
        text, said, kept = interleaved(letter, parent)
        inline = (inner(letter, parent, kept),)
    else:
        placed = "bottom" if author.style % 2 else "top"
        said = "\n\n".join(blocks)
        quote = f"{attribution(letter, parent)}\n{quoted(shown(old(letter)[0]))}"
        text = f"{quote}\n\n{said}" if author.style % 2 else f"{said}\n\n{quote}"
        inline = inside(letter, inner(letter, parent, parent.said))
    signature = "\n".join(author.signature)
    if signature:
        # Some programs take the blank away from the end of a line.
        text += f"\n\n{'--' if author.style % 7 == 2 else '-- '}\n{signature}"
    flowed = author.style % 4 == 0 and not lang.tight
    charset = fitting(text, author.charset)
    return Draft(
        body=flow(text) if flowed else text,
        text=text,
        html="",
        page="",
        said=said,
        signature=signature,
        inline=inline,
        prefix=PREFIXES[letter.kind],
        charset=charset,
        encoding=encoding(charset, author.style),
        placed=placed,
        extra="; format=flowed" if flowed else "",
    )


def encoding(charset: str, style: int) -> str:
    if charset in ("us-ascii", "iso-2022-jp"):
        return "7bit"
    return ("8bit", "8bit", "quoted-printable", "base64")[style % 4]


def flow(text: str) -> str:
    """RFC 3676: soft line breaks where a paragraph goes on (a blank at the end of the line), no blank at any other line's end,
    one more before a line that begins with one. Quotes, the signature and what is forwarded stay fixed.
    """
    lines = text.split("\n")
    fixed = False
    for at, line in enumerate(lines):
        after = lines[at + 1] if at + 1 < len(lines) else ""
        fixed = fixed or line.startswith("--")
        # A paragraph was broken only where the next word had no room.
        soft = (
            not fixed
            and len(line) > 36
            and line[0] != ">"
            and after
            and after[0] != ">"
            and len(line) + len(after.split(" ", 1)[0]) >= 71
        )
        made = f"{line} " if soft else line if line.endswith("-- ") else line.rstrip(" ")
        lines[at] = f" {made}" if made.startswith((" ", "From ")) else made
    return "\n".join(lines)


def flow_tight(text: str) -> str:
    """RFC 3676 with DelSp: long lines are broken after two blanks, of which the reader deletes one; quotes too."""
    out: list[str] = []
    for line in text.split("\n"):
        body = line.lstrip("> ") if line[:1] == ">" else line
        mark = line[: len(line) - len(body)]
        if not body.endswith("-- "):
            body = body.rstrip(" ")
        if line[:1] == " ":
            body = f" {body}"
        *first, last = wrap(body, tight=False, width=76 - len(mark))
        out += [f"{mark}{piece}  " for piece in first]
        out.append(mark + last if last else mark.rstrip(" "))
    return "\n".join(out)


def template(letter: Letter) -> str:
    templates = letter.ui.clients["plain"].attribution
    return templates[letter.style % len(templates)]


def attribution(letter: Letter, parent: Sent) -> str:
    line = template(letter)
    fields = stamp(letter.ui, parent.seconds, zone_shown(letter, parent))
    return line.format(**fields, name=parent.author.name, address=parent.author.address)


def zone_shown(letter: Letter, parent: Sent) -> int:
    """These clients copy the parent's own date where they state its zone, else they show their reader's time."""
    return parent.author.zone if "{zone}" in template(letter) else letter.author.zone


def interleaved(letter: Letter, parent: Sent) -> tuple[str, str, str]:
    """An interleaved answer: the text, what is new in it, and what was kept of the parent."""
    pairs = between(letter, parent)
    answers = [lines_of(answer, 72, letter.lang.tight) for _, answer in pairs]
    pieces = [attribution(letter, parent)]
    for (kept, _), answer in zip(pairs, answers, strict=True):
        pieces += (quoted(kept), "", answer, "")
    return "\n".join(pieces[:-1]), "\n\n".join(answers), "\n\n".join([kept for kept, _ in pairs])


def forwarded(letter: Letter, parent: Sent) -> str:
    """The parent between two lines as mutt does, or below one as Thunderbird does; the date is the parent's own."""
    who = f"{parent.author.name} <{parent.author.address}>"
    date = rfc_date(parent.seconds, parent.author.zone)
    to = named(parent.to, ", ") + (f"\nCc: {named(parent.cc, ', ')}" if parent.cc else "")
    subject = parent.prefix + parent.subject
    text = shown(old(letter)[0])
    if letter.author.style % 2:
        return f"-------- Forwarded Message --------\nSubject: {subject}\nDate: {date}\nFrom: {who}\nTo: {to}\n\n{text}"
    return (
        f"----- Forwarded message from {who} -----\n\nDate: {date}\nFrom: {who}\nTo: {to}\nSubject: {subject}\n\n{text}\n\n"
        "----- End forwarded message -----"
    )


def inner(letter: Letter, parent: Sent, kept: str) -> Inner:
    if letter.kind == "forward":
        return Inner(
            kind="forwarded",
            name=parent.author.name,
            address=parent.author.address,
            date=stated(parent.seconds, parent.author.zone, with_zone=True),
            subject=parent.prefix + parent.subject,
            text=kept,
            depth=1,
            to=mailboxes(parent.to),
            cc=mailboxes(parent.cc),
        )
    line = template(letter)
    zone = zone_shown(letter, parent)
    return Inner(
        kind="quoted",
        name=parent.author.name,
        address=parent.author.address if "{address}" in line else "",
        date=stated(parent.seconds, zone, with_zone="{zone}" in line),
        subject="",
        text=kept,
        depth=1,
    )
