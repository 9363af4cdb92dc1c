"""What stands below an author's words: signature, a device's line, a list's footer, a legal notice."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from mailloom.mail.model import SegmentKind
from mailloom.mail.phrases import (
    DEVICE_CLOSINGS,
    DEVICE_ENDS,
    DEVICE_OPENINGS,
    DEVICE_OWN,
    DEVICE_STARTS,
    LEGAL_ASCII,
    LEGAL_ROWS,
    LIST_FOOTERS,
)

MAX_TAIL = 80
"""Lines from the end of a stretch that may belong to its trailer. Company notices in four languages have some 60."""
MAX_SIGNATURE = 45
"""Lines below "-- ": the four of good manners (RFC 3676 section 4.3) are seldom kept, but a page is a new text."""
MAX_BARE_SIGNATURE = 20
"""Lines below "--" without its blank, which is also how people part paragraphs."""
MAX_NOTICE = 1500
"""Characters from the end in which a legal notice is looked for."""
MAX_FOOTER = 30
"""Lines of a list's footer: posting rules included, some have twenty."""
MAX_DEVICE = 120
"""Characters of a device's line, a link in it included."""

Trail = tuple[int, int, SegmentKind, str, int]
"""(first line, line after the last, kind, rule, confidence)"""

_RULE_CHARS = "-_=*~#+—–─━"


def trailer(lines: Sequence[str], start: int, end: int, drawn: Sequence[int]) -> list[Trail]:
    """What of lines[start:end], a stretch of an author's own lines, is not the author's words: in order, without gaps, and
    it reaches to `end`. Empty where the stretch is all text. `drawn` are the numbers of the lines that open with dashes,
    underscores or the like.
    """
    last = end
    while last > start and not lines[last - 1].strip():
        last -= 1
    first = max(start, last - MAX_TAIL)
    drawn = drawn[bisect_left(drawn, first) : bisect_left(drawn, last)]
    notice, notice_rule = _notice(lines, first, last, drawn)
    if notice_rule == "legal-notice" and not any(x.strip() for x in lines[:notice]):
        # A mail that says nothing else says that.
        notice = last
    sign, rule, confidence = _signature(lines, first, notice, drawn)
    out: list[Trail] = []
    if rule:
        out.append((sign, notice if notice < last else end, "signature", rule, confidence))
    if notice < last:
        out.append((notice, end, "disclaimer", notice_rule, 850))
    return out


def _is_rule(text: str, least: int) -> bool:
    return len(text) >= least and text[0] in _RULE_CHARS and not text.strip(text[0] + " ")


def _signature(lines: Sequence[str], first: int, last: int, drawn: Sequence[int]) -> tuple[int, str, int]:
    while last > first and not lines[last - 1].strip():
        last -= 1
    bare = last
    for at in drawn:
        line = lines[at]
        if at < last and line[:2] == "--":
            text = line.rstrip(" \xa0")
            if text == "--":
                if line != "--" and last - at <= MAX_SIGNATURE:
                    return at, "dash-dash-blank", 950
                if last - at <= MAX_BARE_SIGNATURE and bare == last:
                    bare = at
    if bare < last:
        return bare, "dash-dash", 850
    device = _device(lines, first, last)
    if device < last:
        return device, "device", 900
    if last > first:
        at = _drawn(lines, drawn, first, last)
        if at < last:
            return at, "drawn", 600
        text = lines[last - 1].strip()
        if text[:1] in "-–—" and _is_name(text) and (last - 1 == first or not lines[last - 2].strip()):
            return last - 1, "dash-name", 700
    return last, "", 0


def _is_name(text: str) -> bool:
    words = text.lstrip("-–— ").split()
    # Nicknames are in lower case: then it takes two dashes.
    return (
        1 <= len(words) <= 3
        and len(text) <= 40
        and all((w[0].isupper() or text[:2] == "--") and w.replace(".", "").replace("-", "").isalpha() for w in words)
    )


def _drawn(lines: Sequence[str], drawn: Sequence[int], first: int, last: int) -> int:
    """A short drawn line near the end, with a few short lines below it: a signature without the dashes of the rule."""
    for at in drawn:
        if not last - 10 <= at < last - 1:
            continue
        text = lines[at].strip()
        if len(text) >= 3 and text[0] in "-_=—–" and _is_rule(text, 3):
            below = [x for x in lines[at + 1 : last] if x.strip()]
            above = at == first or not lines[at - 1].strip()
            if above and len(below) <= 7 and all(len(x) < 80 for x in below):
                return at
            return last
    return last


def _device(lines: Sequence[str], first: int, last: int) -> int:
    """The line of a phone or program, if it is the last thing said, give or take two short lines."""
    at, seen = last, 0
    found = last
    while at > first and seen < 4:
        at -= 1
        written = lines[at].strip().strip("-_*<>[]()\u200b\ufeff ")
        if not written:
            continue
        seen += 1
        text = written.lower()
        if (
            len(text) <= MAX_DEVICE
            and not _is_sentence(written)
            and (
                (text[:2] in DEVICE_OPENINGS and text.startswith(DEVICE_STARTS))
                or (text[-1:] in DEVICE_CLOSINGS and text.endswith(DEVICE_ENDS))
            )
        ):
            found = at
            while found > first and _is_rule(lines[found - 1].strip() or "x", 2):
                found -= 1
            last = found
        elif len(text) > MAX_DEVICE or seen > 2:
            break
    return found


def _is_sentence(text: str) -> bool:
    """Prose that opens like a device's line ("Sent from my desk, which is easier."): products have capitals."""
    return text[-1] == "." and "," in text and text[1:].islower()


def _notice(lines: Sequence[str], first: int, last: int, drawn: Sequence[int]) -> tuple[int, str]:
    """Where a list's footer or a legal notice begins, `last` if there is none."""
    begin, rule = last, ""
    # The nearest line to the end counts: a patch has lines of dashes of its own further up.
    for at in reversed(drawn):
        text = lines[at].strip()
        if _is_rule(text, 10) or text == "--":
            below = "\n".join(lines[at + 1 : last])[:6000].lower()
            if last - at <= MAX_FOOTER and _has_any(below, LIST_FOOTERS):
                return at, "list-footer"
            if _is_legal(below):
                return at, "legal-notice"
    tail = "\n".join(lines[first:last])[-MAX_NOTICE:].lower()
    rows = LEGAL_ASCII if tail.isascii() else LEGAL_ROWS[0]
    if len(tail) < 80 or not _has_any(tail, rows) or not _is_legal(tail):
        return begin, rule
    at = last
    while at > first:
        top = at
        while top > first and lines[top - 1].strip():
            top -= 1
        paragraph = "\n".join(lines[top:at]).lower()
        if len(paragraph) >= 80 and _is_legal(paragraph):
            begin, rule = top, "legal-notice"
        elif begin < last or last - top > MAX_TAIL // 2:
            break
        at = top
        while at > first and not lines[at - 1].strip():
            at -= 1
    return begin, rule


def _has_any(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110  # a generator doubles the cost of what every mail passes
        if word in text:
            return True
    return False


def _is_legal(text: str) -> bool:
    return sum(_has_any(text, row) for row in LEGAL_ROWS) >= 2


_ALONE = re.compile(r"\n\n([^\n]{4,60})(?=\n[ \t]*\n)")


def device_alone(text: str) -> tuple[int, int] | None:
    """(start, end) of a phone's line that stands alone with text below it: phones put their line above what they quote,
    and some do not mark that at all.
    """
    for found in _ALONE.finditer(text):
        line = found[1].strip().lower()
        if line.startswith(DEVICE_OWN) and ". " not in line and text[found.end() :].strip():
            return found.start(1), found.end(1)
    return None
