"""Mail as people on lists write it: plain text, "> " quotes, answers between the lines, "-- " before the signature."""

from __future__ import annotations

from mailloom.synth.dates import rfc_date, stamp, stated
from mailloom.synth.letter import Draft, Letter, Sent, inside, lines_of, named, quoted
from mailloom.synth.truth import Inner


def plain(letter: Letter) -> Draft:
    """Habits by the writer's style: between the quotes, below them, or on top; fixed or flowed lines (RFC 3676)."""
    lang, author, parent = letter.lang, letter.author, letter.parent
    blocks = [lines_of(block, 72, lang.tight) for block in letter.blocks]
    inline: tuple[Inner, ...] = ()
    if parent is None:
        said = text = "\n\n".join(blocks)
    elif letter.kind == "forward":
        said = "\n\n".join(blocks)
        text = f"{said}\n\n{forwarded(letter, parent)}"
        inline = inside(letter, inner(letter, parent, parent.said))
    elif letter.answers and author.style % 3:
        text, said, kept = between(letter, parent)
        inline = (inner(letter, parent, kept),)
    else:
        said = "\n\n".join(blocks)
        quote = f"{attribution(letter, parent)}\n{quoted(parent.text if letter.whole else parent.said)}"
        text = f"{quote}\n\n{said}" if author.style % 2 else f"{said}\n\n{quote}"
        inline = inside(letter, inner(letter, parent, parent.said))
    signature = "\n".join(author.signature)
    if signature:
        text += f"\n\n-- \n{signature}"
    flowed = author.style % 4 == 0 and not lang.tight
    charset = author.charset
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        charset = "utf-8"
    return Draft(
        body=flow(text) if flowed else text,
        text=text,
        html="",
        page="",
        said=said,
        signature=signature,
        inline=inline,
        prefix={"new": "", "reply": "Re: ", "forward": "Fwd: "}[letter.kind],
        charset=charset,
        encoding=encoding(charset, author.style),
        extra="; format=flowed" if flowed else "",
    )


def encoding(charset: str, style: int) -> str:
    if charset in ("us-ascii", "iso-2022-jp"):
        return "7bit"
    return ("8bit", "8bit", "quoted-printable", "base64")[style % 4]


def flow(text: str) -> str:
    """Soft line breaks where a paragraph goes on: a blank at the end of the line. Quotes and the signature stay fixed."""
    lines = text.split("\n")
    for at in range(len(lines) - 1):
        line, after = lines[at], lines[at + 1]
        if line == "-- ":
            break
        # A paragraph was broken only where the next word had no room.
        if (
            len(line) > 36
            and line[0] != ">"
            and after
            and after[0] != ">"
            and len(line) + len(after.split(" ", 1)[0]) >= 71
        ):
            lines[at] = line + " "
    return "\n".join(lines)


def attribution(letter: Letter, parent: Sent) -> str:
    line = letter.lang.plain[letter.author.style % len(letter.lang.plain)]
    fields = stamp(letter.lang, parent.seconds, zone_shown(letter, parent))
    return line.format(**fields, name=parent.author.name, address=parent.author.address)


def zone_shown(letter: Letter, parent: Sent) -> int:
    """These clients copy the parent's own date where they state its zone, else they show their reader's time."""
    line = letter.lang.plain[letter.author.style % len(letter.lang.plain)]
    return parent.author.zone if "{zone}" in line else letter.author.zone


def between(letter: Letter, parent: Sent) -> tuple[str, str, str]:
    """An interleaved answer: the text, what is new in it, and what was kept of the parent."""
    tight = letter.lang.tight
    said_before = parent.said.split("\n\n")
    asked = said_before[1:-1] if len(said_before) > 3 else said_before
    answers = [lines_of(answer, 72, tight) for answer in letter.answers[: len(asked)]]
    step = len(asked) / len(answers)
    kept = [asked[int(n * step)] for n in range(len(answers))]
    pieces = [attribution(letter, parent)]
    for quote, answer in zip(kept, answers, strict=True):
        pieces += (quoted(quote), "", answer, "")
    text = "\n".join(pieces[:-1])
    last = letter.blocks[-1]
    if "\n" in last:
        # A closing with the name goes below the last answer.
        text += f"\n\n{last}"
        answers.append(last)
    return text, "\n\n".join(answers), "\n\n".join(kept)


def forwarded(letter: Letter, parent: Sent) -> str:
    """The parent between two lines as mutt does, or below one as Thunderbird does; the date is the parent's own."""
    who = f"{parent.author.name} <{parent.author.address}>"
    date = rfc_date(parent.seconds, parent.author.zone)
    to = named(parent.to, ", ") + (f"\nCc: {named(parent.cc, ', ')}" if parent.cc else "")
    subject = parent.prefix + parent.subject
    text = parent.text if letter.whole else parent.said
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
        )
    line = letter.lang.plain[letter.author.style % len(letter.lang.plain)]
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
