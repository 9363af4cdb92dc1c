"""Forwards and quoted replies inside a text -> messages of their own, to any depth by a work list.

What they state of themselves is kept as stated: from, to, cc, date, subject. The text of a nested message is what its
author wrote and quoted, without `>` and without the forwards inside it, which are messages of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from mailloom.mail.cut.phrases import subject_says
from mailloom.mail.cut.quote import without_sign
from mailloom.mail.cut.segment import cut_heads
from mailloom.mail.inside.stated import stated
from mailloom.mail.model import Nested, NestedKind, Problem, Segment

MAX_DEPTH = 12
"""Messages inside messages. Ladders in real mail end near ten; each level is read again, so this bounds the work."""
MAX_NESTED = 500
"""Nested messages of one text: a digest has some dozens."""
MAX_SUBJECT = 998
KEPT_TEXT = 4000
"""Characters up to which where a quoted text has heads is kept for the next mail: replies to one message quote it again and
again. Mail of a thread comes close together, so that few need to be kept.
"""


class _Piece(NamedTuple):
    """One nested message as found: head, text and span in the text of its carrier."""

    kind: NestedKind
    head: str
    text: str
    start: int
    end: int


def inline(
    text: str,
    segments: Sequence[Segment],
    path: str = "",
    depth: int = 1,
    subject: str = "",
    *,
    problems: list[Problem] | None = None,
) -> tuple[Nested, ...]:
    """The messages that stand in a text, each before those inside it. `path` and `depth` are the carrier's: "" and 1 at the top.

    `subject` is the carrier's: a forward whose head states none (Outlook for Mac) has what follows "FW:" there.
    start and end of a Nested are its span, head included, in the text of the message around it as that stood there: quote
    signs of outer levels are taken off before an inner message is looked for. A limit that was hit is told in `problems`.
    """
    told = problems if problems is not None else []
    out: list[Nested] = []
    work: list[tuple[str, Sequence[Segment], str, int, str]] = [(text, segments, path, depth, subject)]
    while work and len(out) < MAX_NESTED:
        around, cuts, trail, level, about = work.pop()
        deeper = []
        for number, piece in enumerate(_pieces(around, cuts), 1):
            if len(out) >= MAX_NESTED:
                work.append((around, cuts, trail, level, about))
                break
            name = f"{trail}.{number}" if trail else str(number)
            head = stated(piece.head)
            title = head.subject
            if title is None and piece.kind == "forwarded" and level == depth and subject_says(subject) == "forward":
                title = subject.partition(":")[2].strip()
            inner: Sequence[Segment] = ()
            if _may_nest(piece.text):
                # A head that replies and forwards have alike is what the subject of the message around it says.
                says = subject_says(about if title is None else title)
                inner = _short_text(piece.text, says) if len(piece.text) <= KEPT_TEXT else cut_heads(piece.text, says)
            if level >= MAX_DEPTH and inner:
                if any(s.kind in ("attribution", "forward") for s in inner):
                    told.append(Problem("messages nested too deep", name, f"{level} levels"))
                inner = ()
            out.append(
                Nested(
                    path=name,
                    kind=piece.kind,
                    depth=level,
                    message_id=head.message_id,
                    from_=head.from_,
                    to=head.to,
                    cc=head.cc,
                    date=head.date,
                    subject=(title or "")[:MAX_SUBJECT],
                    text=_own(piece.text, inner),
                    attachments=(),
                    part=-1,
                    start=piece.start,
                    end=piece.end,
                )
            )
            if inner:
                deeper.append((piece.text, inner, name, level + 1, about if title is None else title))
        work.extend(reversed(deeper))
    if work:
        told.append(Problem("too many messages in a text", work[-1][2], f"the first {MAX_NESTED}"))
    if len(out) > 1:
        out.sort(key=lambda n: tuple(map(int, n.path.split("."))))
    return tuple(out)


_short_text = lru_cache(maxsize=256)(cut_heads)


# ---------------------------------------------------------------- the pieces


def _pieces(text: str, segments: Sequence[Segment]) -> list[_Piece]:
    """Each head with what it introduces; a quote without a head belongs to nobody we could name.

    Answers may stand between the stretches of a quote, and a greeting above it: the quote ends at the next head.
    """
    out: list[_Piece] = []
    at, count = 0, len(segments)
    while at < count:
        head = segments[at]
        if head.kind not in ("attribution", "forward"):
            at += 1
            continue
        if head.kind == "forward":
            last = at + 1 if at + 1 < count and segments[at + 1].kind == "forward" else at
            stretches = [segments[last]] if last > at else []
            at = last + 1
        else:
            stretches, at = _stretches(segments, at)
        lines = text[head.start : head.end]
        if ">" in lines:
            lines = _unquoted(lines)
        signed = bool(stretches) and _is_signed(text, head, stretches[0])
        bodies = [_bare(text[one.start : one.end], one.rule, signed=signed) for one in stretches]
        end = stretches[-1].end if stretches else head.end
        kind: NestedKind = "forwarded" if head.kind == "forward" else "quoted"
        out.append(_Piece(kind, lines, "\n\n".join(body.strip("\n") for body in bodies), head.start, end))
    return out


def _stretches(segments: Sequence[Segment], at: int) -> tuple[list[Segment], int]:
    """All that the attribution at segments[at] introduces, what lies together in one, and the segment to go on from.

    An attribution that stands deeper than this one, above a quote that is deeper yet, is what the quoted author cites.
    """
    head, count = segments[at], len(segments)
    out: list[Segment] = []
    at += 1
    while at < count:
        one = segments[at]
        if one.kind == "forward":
            break
        if one.kind == "attribution" and not (
            one.level > head.level and at + 1 < count and segments[at + 1].level > one.level
        ):
            break
        if (one.kind == "quote" and (not out or one.rule != "below-device")) or one.kind == "attribution":
            if out and out[-1].end == one.start:
                out[-1] = out[-1]._replace(end=one.end)
            else:
                out.append(one)
        at += 1
    return out, at


def _is_signed(text: str, head: Segment, quote: Segment) -> bool:
    """Is a quote told by the signs that open its lines? In HTML an element may tell it: then they are of what it cites."""
    around, inside = _signs(text[head.start : head.end]), _signs(text[quote.start : quote.end])
    return (around or inside) > 0 and quote.level - inside <= head.level - around


def _signs(text: str) -> int:
    text = text.lstrip()
    return text[: len(text) - len(text.lstrip("> \t"))].count(">")


def _bare(text: str, rule: str, *, signed: bool) -> str:
    """A stretch of a quote without its signs."""
    if signed:
        return _unquoted(text)
    return without_sign(text) if rule == "sign" else text


_SIGN = re.compile(r"\n[ \t]{0,3}> ?")


def _unquoted(text: str) -> str:
    """quote.unquote for each line, at once."""
    if ">" not in text:
        return text
    text = "\n" + text
    lines = text.split("\n>")
    # Only a line that opens with no sign may be indented. In nine of ten quotes all lines open with one.
    if len(lines) <= text.count("\n") and ("\n " in text or "\n\t" in text):
        return _SIGN.sub("\n", text)[1:]
    return "\n".join([line.removeprefix(" ") for line in lines])[1:]


_LABELLED = re.compile(r"\n[^\n:：]{1,29}[:：][^\n]*\n{1,3}[^\n:：]{1,29}[:：]")
_LINES_END = (":\n", ": \n", ":  \n", ":*\n", ":\xa0\n", "：\n", "：\xa0\n")


def _may_nest(text: str) -> bool:
    """Could there be a message inside? It has an attribution (a line that ends in a colon, with a quote or an address near),
    a drawn line, or two labelled lines. Most quotes have none, and are not cut again.
    """
    if (">" in text or "@" in text) and any(end in text for end in _LINES_END):
        return True
    return "--" in text or _LABELLED.search("\n" + text) is not None


def _own(text: str, inner: Sequence[Segment]) -> str:
    """A nested message's text without the forwards inside it."""
    own = "".join(text[s.start : s.end] for s in inner if s.kind != "forward") if inner else text
    return own.strip(" \t\n") if text[:1] not in (" ", "\t") else _dedented(own)


def _dedented(text: str) -> str:
    """Outlook for Mac indents what it quotes by four blanks."""
    lines = text.rstrip(" \t\n").split("\n")
    depth = min((len(x) - len(x.lstrip(" ")) for x in lines if x.strip()), default=0)
    return "\n".join(x[depth:] for x in lines).strip("\n")
