"""What stands above and below an author's words: banner and greeting; sign-off, signature, notices and footers.

Below, layers are taken off from the end: a list's footer, a legal notice, a scanner's or a phone's line (mail/cut/notice.py), in any order
that gateways and lists add them; then the signature (mail/cut/signature.py). Above, first a gateway's banner (mail/cut/banner.py). The
greeting and the sign-off are the author's own words, found in what is left (mail/cut/greeting.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from mailloom.mail.cut.banner import banner
from mailloom.mail.cut.greeting import greeting, signoff
from mailloom.mail.cut.notice import Layer, notice
from mailloom.mail.cut.signature import device, device_alone, signature
from mailloom.mail.model import SegmentKind

__all__ = ("MAX_TYPED", "Span", "Trail", "device_alone", "trailer", "without_trailers")

MAX_TAIL = 80
"""Lines from the end of a stretch that may belong to one layer of its trailer."""
MAX_LAYERS = 8
"""Notices, footers and device lines below each other: a list's, a company's, a scanner's, an advert, twice."""
MAX_TYPED = 300
"""Lines above a phone's line that stands alone: what is typed on one is short."""

Span = tuple[int, int, SegmentKind, int, str, int]
"""(first line, line after the last, kind, level, rule, confidence)"""
Trail = tuple[int, int, SegmentKind, str, int]
"""(first line, line after the last, kind, rule, confidence)"""


def without_trailers(
    lines: Sequence[str], drawn: Sequence[int], spans: list[Span], known: frozenset[str]
) -> list[Span]:
    """Spans with what is not the author's words taken from the author's stretches, and greeting and sign-off told apart.

    The last stretch that holds words of the author's ends the mail; what is below it are footers. The first one may have its own
    signature, where the answer stands above what it answers. Between them are answers to single lines, which end in nothing.
    """
    own = [n for n, s in enumerate(spans) if s[2] == "new" and _says(lines, s[0], s[1])]
    cut: dict[int, list[Span]] = {}
    final, floor = -1, own[0] if own else -1
    for n in reversed(own):
        if final >= 0 and n != floor:
            continue
        first, last = spans[n][:2]
        below = trailer(lines, first, last, drawn, known)
        stop = below[0][0] if below else last
        said = _says(lines, first, stop)
        whole: list[Trail] = [(first, stop, "new", "author", 1000)] if first < stop else []
        if said:
            whole = _opening(lines, first, stop, known, first=n == floor, final=final < 0)
            final = max(final, n)
        cut[n] = [(a, b, kind, 0, rule, confidence) for a, b, kind, rule, confidence in (*whole, *below)]
    out: list[Span] = []
    for n, span in enumerate(spans):
        out += cut.get(n) or [span]
    return out


def trailer(lines: Sequence[str], start: int, end: int, drawn: Sequence[int], known: frozenset[str]) -> list[Trail]:
    """What of lines[start:end], a stretch of an author's own lines, is not the author's words: in order, without gaps, and
    it reaches to `end`. Empty where the stretch is all text. `drawn` are the numbers of the lines that open with dashes,
    underscores or the like, `known` the words of the sender's name and address.
    """
    out: list[Trail] = []
    last = _blank_above(lines, start, end)
    drawn = drawn[bisect_left(drawn, max(start, last - MAX_TAIL * 2)) : bisect_left(drawn, last)]
    while last > start and len(out) < MAX_LAYERS:
        first = max(start, last - MAX_TAIL)
        found = notice(lines, first, last, drawn, known)
        if found is None:
            phone = device(lines, first, last)
            if phone is None:
                break
            found = Layer(phone[0], "signature", phone[1], phone[2])
        at, kind, rule, confidence = found
        if rule == "disclaimer-legal" and not any(x.strip() for x in lines[:at]):
            # A mail that says nothing else says that.
            break
        out.append((at, end, kind, rule, confidence))
        end, last = at, _blank_above(lines, start, at)
    if last > start and (sign := signature(lines, max(start, last - MAX_TAIL), last, drawn, known)):
        out.append((sign[0], end, "signature", sign[1], sign[2]))
    out.reverse()
    return out


def _opening(
    lines: Sequence[str], start: int, end: int, known: frozenset[str], *, first: bool, final: bool
) -> list[Trail]:
    """lines[start:end], less its trailer, as spans: a banner and a greeting where it is the first of a mail's stretches, a sign-off
    where it is the last, and the words between them. In order and without gaps, from `start` to `end`.
    """
    out: list[Trail] = []
    top = start
    while top < end and not lines[top].strip():
        top += 1
    if top == end:
        return [(start, end, "new", "author", 1000)]
    at = start
    if first:
        below, rule = banner(lines, top, end)
        if rule:
            out.append((at, below, "disclaimer", rule, 850))
            at = top = below
        if top < end:
            below, rule, confidence = greeting(lines, top, end)
            if rule:
                out.append((at, below, "greeting", rule, confidence))
                at = below
    close, rule, confidence = signoff(lines, at, end, known) if final else (end, "", 0)
    if at < close:
        out.append((at, close, "new", "author", 1000))
    if close < end:
        out.append((close, end, "signoff", rule, confidence))
    return out


def _blank_above(lines: Sequence[str], start: int, at: int) -> int:
    while at > start and not lines[at - 1].strip():
        at -= 1
    return at


def _says(lines: Sequence[str], first: int, last: int) -> bool:
    for at in range(first, last):  # noqa: SIM110  # a generator doubles the cost of what every mail passes
        if lines[at].strip():
            return True
    return False
