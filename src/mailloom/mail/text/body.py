"""Which of a mail's parts a person read, as one text.

Alternatives (RFC 2046 section 5.1.4): the plain one, unless it is empty or only says "use another program", then HTML.
Related (RFC 2387): its root. Mixed: all its text parts that are not attachments, in order. What was signed is read, be it
beside its signature (RFC 1847) or inside it (S/MIME, OpenPGP); of a report (RFC 6522) the part for people. A winmail.dat's text
counts where there is no other. format=flowed (RFC 3676) is unflowed, text/enriched and text/richtext lose their marks. Line ends are line feeds, blank lines at the end are dropped; nothing else is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mailloom.mail.forms.enriched import readable
from mailloom.mail.model import Problem
from mailloom.mail.parts.mime import Mime, Part
from mailloom.mail.text.html import Mark, text_of

MAX_STUB = 400
"""Characters of a plain part that may be a stub ("your program does not show HTML"): a real text of that length would say
more than that one thing."""
MAX_BODY = 20_000_000
"""Characters of a body: more is data that somebody pasted. The rest stays in the part."""


@dataclass(frozen=True, slots=True)
class Body:
    """`parts` are the indexes of the parts that the text came from; an alternative that lost is in `unread`."""

    text: str
    origin: Literal["plain", "html", "none"]
    marks: tuple[Mark, ...]
    parts: frozenset[int]
    problems: tuple[Problem, ...]


def body(mime: Mime) -> Body:
    """The body of one message, children of attached messages not looked at. Never raises."""
    chosen, lost = _choose(mime)
    texts: list[str] = []
    marks: list[Mark] = []
    problems: list[Problem] = []
    origin: Literal["plain", "html", "none"] = "none"
    length = 0
    for index in chosen:
        part = mime.parts[index]
        text, own = _read(mime, part)
        if len(text) > MAX_BODY - length:
            problems.append(Problem("body cut", str(index), f"{len(text)} characters"))
            text = text[: max(0, MAX_BODY - length)]
        if not text:
            continue
        if texts:
            texts.append("\n\n")
            length += 2
        end = length + len(text)
        marks.extend(
            replace(m, start=m.start + length, end=min(m.end + length, end)) for m in own if m.start + length < end
        )
        texts.append(text)
        length = end
        if origin == "none":
            origin = "html" if part.type == "text/html" else "plain"
    return Body("".join(texts), origin, tuple(marks), frozenset(chosen) | frozenset(lost), tuple(problems))


# ---------------------------------------------------------------- the choice


def _choose(mime: Mime) -> tuple[list[int], list[int]]:
    """(parts that are the body in order, alternatives to them that were not taken)."""
    parts = mime.parts
    if len(parts) == 1:
        return ([0], []) if _is_text(parts[0]) else ([], [])
    children: list[list[int]] = [[] for _ in parts]
    for part in parts[1:]:
        if part.parent >= 0:
            children[part.parent].append(part.index)
    # From the leaves up, without recursion: parts come in document order, so a child is always after its parent.
    said: list[list[int]] = [[] for _ in parts]
    lost: list[int] = []
    for part in reversed(parts):
        kind = part.type
        below = children[part.index]
        if not kind.startswith("multipart/"):
            if _is_text(part) or (part.parent >= 0 and _is_written(part, parts[part.parent])):
                said[part.index] = [part.index]
            elif below:  # S/MIME holds one entity, a winmail.dat one body in several forms
                said[part.index] = _alternative(mime, [said[c] for c in below if said[c]], lost)
        elif kind == "multipart/alternative":
            said[part.index] = _alternative(mime, [said[c] for c in below if said[c]], lost)
        elif kind == "multipart/related":
            said[part.index] = _root(part, [parts[c] for c in below], said)
        elif kind == "multipart/digest":
            said[part.index] = []
        elif kind in ("multipart/signed", "multipart/encrypted"):
            said[part.index] = said[below[0]] if below else []
        elif kind == "multipart/report":
            said[part.index] = next((said[c] for c in below if said[c]), [])
        else:
            said[part.index] = _joined([said[c] for c in below])
    return said[0], lost


def _root(related: Part, below: Sequence[Part], said: Sequence[list[int]]) -> list[int]:
    """The part that `start` names (RFC 2387 section 3.2), or the first that says something."""
    start = related.params.get("start", "").strip("<> ")
    named = next((said[c.index] for c in below if start and c.content_id == start), [])
    return named or next((said[c.index] for c in below if said[c.index]), [])


def _joined(lists: Sequence[list[int]]) -> list[int]:
    out: list[int] = []
    for one in lists:
        out += one
    return out


_READ = frozenset(("text/plain", "text/html", "text/enriched", "text/richtext", "text/markdown", "text/x-markdown"))
# Text for programs. Any other text is shown as it stands (RFC 2046 section 4.1.4), where it is the body.
_FOR_PROGRAMS = frozenset(
    (
        "text/calendar", "text/x-vcalendar", "text/vcard", "text/x-vcard", "text/directory", "text/css", "text/csv",
        "text/javascript", "text/rfc822-headers", "text/x-amp-html", "text/xml",
    )
)  # fmt: skip


def _is_text(part: Part) -> bool:
    if part.disposition == "attachment":
        return False
    if part.type in _READ:
        return not (part.name and part.disposition != "inline" and part.parent >= 0)
    return part.parent < 0 and part.type.startswith("text/") and part.type not in _FOR_PROGRAMS


def _is_written(part: Part, above: Part) -> bool:
    """Is it some less known text that was written to be read: one of several forms, or what was signed?"""
    return (
        above.type in ("multipart/alternative", "multipart/signed")
        and part.type.startswith("text/")
        and part.type not in _FOR_PROGRAMS
        and not part.name
        and part.disposition != "attachment"
    )


def _alternative(mime: Mime, options: list[list[int]], lost: list[int]) -> list[int]:
    """The plain alternative, unless it says nothing and another does."""
    if not options:
        return []
    plain = next((o for o in options if all(mime.parts[i].type == "text/plain" for i in o)), None)
    taken = plain
    if plain is None or (len(options) > 1 and _is_stub(mime, plain)):
        rich = [o for o in options if o is not plain]
        taken = rich[-1] if rich else plain
    assert taken is not None
    for option in options:
        if option is not taken:
            lost += option
    return taken


_STUB_WORDS = (
    "html",
    "view this",
    "e-mail client",
    "email client",
    "mail client",
    "cannot display",
    "does not support",
    "can't see",
    "browser",
)


def _is_stub(mime: Mime, option: list[int]) -> bool:
    for index in option:
        part = mime.parts[index]
        if part.end - part.body_start > 4 * MAX_STUB:
            return False
    text = "".join(mime.text(i) for i in option).strip()
    if not text:
        return True
    low = text.lower()
    return len(text) <= MAX_STUB and "html" in low and any(word in low for word in _STUB_WORDS[1:])


# ---------------------------------------------------------------- one part's text


def _read(mime: Mime, part: Part) -> tuple[str, tuple[Mark, ...]]:
    text = mime.text(part.index)
    if part.type == "text/html":
        page = text_of(text)
        return page.text, page.marks
    if part.type in ("text/enriched", "text/richtext"):
        return readable(text, rich=part.type == "text/richtext").rstrip(" \t\n"), ()
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if part.params.get("format", "").lower() == "flowed":
        text = unflow(text, part.params.get("delsp", "").lower() == "yes")
    return text.rstrip(" \t\n"), ()


def unflow(text: str, delsp: bool = False) -> str:
    """format=flowed as paragraphs on one line (RFC 3676 section 4): a line that ends in a blank goes on in the next of the
    same quote depth; "-- " stands alone; a blank that was stuffed in front is taken away.
    """
    out: list[str] = []
    pending: list[str] = []
    depth = 0
    for line in text.split("\n"):
        bare = line.lstrip(">") if line[:1] == ">" else line
        level = len(line) - len(bare)
        if bare[:1] == " ":
            bare = bare[1:]
        if pending and (level != depth or bare == "-- "):
            # A flowed line before another depth is a paragraph's end that the sender forgot (section 4.5).
            out.append(_paragraph(pending, depth))
            pending = []
        depth = level
        if bare[-1:] == " " and bare != "-- ":
            pending.append(bare[:-1] if delsp else bare)
            continue
        pending.append(bare)
        out.append(_paragraph(pending, depth))
        pending = []
    if pending:
        out.append(_paragraph(pending, depth))
    return "\n".join(out)


def _paragraph(lines: list[str], depth: int) -> str:
    text = "".join(lines)
    return f"{'>' * depth} {text}" if depth else text
