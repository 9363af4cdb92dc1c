"""What companies, lists and services put below a mail: legal notices, footers, scanners' lines, adverts; and inline OpenPGP.

Each looks at the last paragraph, or at the lines below the last drawn one, so that a long text is not searched. What is found
is cut from below, and then what stands above it is looked at in the same way (mail/trailer.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailloom.mail.banner import is_banner
from mailloom.mail.greeting import is_name
from mailloom.mail.model import SegmentKind
from mailloom.mail.phrases import CLOSING
from mailloom.mail.signature import is_rule

MAX_FOOTER = 30
"""Lines of a list's footer: posting rules included, some have twenty."""
MAX_PARAGRAPH = 40
"""Lines of a paragraph that are read. Company notices in four languages have some 60, in several paragraphs."""
MAX_NOTICE = 1500
"""Characters from the end in which a legal notice is looked for that has something else below it."""
MAX_ABOVE = 80
"""Lines above the end that a legal notice may have."""
LEAST_NOTICE = 60
"""Characters of a legal notice. In a script that has no blanks between words a third of that."""
MAX_PGP = 40
"""Lines of an OpenPGP signature (RFC 9580 section 6.2): of an 8192-bit key some 25."""


class Layer(NamedTuple):
    first: int
    kind: SegmentKind
    rule: str
    confidence: int


_ROWS: Final = tuple(tuple(dict.fromkeys(row)) for row in CLOSING["disclaimer"]["rows"])
_ROWS_ASCII: Final = tuple(tuple(w for w in row if w.isascii()) for row in _ROWS)
_HEADS: Final = tuple(CLOSING["disclaimer"]["heads"])
_LIST: Final = tuple(CLOSING["footer"]["list"])
_LIST_ASCII: Final = tuple(w for w in _LIST if w.isascii())
_PHRASES: Final = tuple(CLOSING["footer"]["phrases"])
_PHRASES_ASCII: Final = tuple(w for w in _PHRASES if w.isascii())
_SCANNED: Final = tuple(CLOSING["advert"]["scanned"])
_SCANNED_ASCII: Final = tuple(w for w in _SCANNED if w.isascii())
_ENVIRONMENT: Final = tuple(CLOSING["advert"]["environment"])
_ENVIRONMENT_ASCII: Final = tuple(w for w in _ENVIRONMENT if w.isascii())
_COMPANY: Final = tuple(CLOSING["advert"]["company"])


def notice(lines: Sequence[str], first: int, last: int, drawn: Sequence[int], known: frozenset[str]) -> Layer | None:
    """What of lines[first:last] is the last notice or footer; line last - 1 is not blank."""
    top = paragraph_top(lines, first, last)
    text = "\n".join(lines[top:last]).lower()
    if text[:5] == "-----" and (found := _pgp(lines, first, last)):
        return found
    short = len(text) <= 4000
    plain = text.isascii()
    if found := _footer(lines, first, last, drawn, known):
        return found
    if short and (
        (len(text) >= 20 or not plain)
        and has_any(text, _PHRASES_ASCII if plain else _PHRASES)
        and _is_footer(lines, top, last, text)
    ):
        return Layer(_trimmed(lines, top, last, _PHRASES), "disclaimer", "footer-phrase", 800)
    if short and len(text) >= 12:
        if has_any(text, _SCANNED_ASCII if plain else _SCANNED) and _stands_apart(first, top, last, text):
            return Layer(_trimmed(lines, top, last, _SCANNED), "disclaimer", "disclaimer-scanned", 850)
        if has_any(text, _ENVIRONMENT_ASCII if plain else _ENVIRONMENT):
            return Layer(_trimmed(lines, top, last, _ENVIRONMENT), "disclaimer", "disclaimer-environment", 850)
        if is_banner(text):
            return Layer(top, "disclaimer", "banner", 800)
    if found := _legal(lines, first, last, top, text):
        return found
    if short and len(text) > 40 and sum(word in text for word in _COMPANY) >= 2 and not _is_card_top(lines, top, known):
        return Layer(_trimmed(lines, top, last, _COMPANY), "disclaimer", "disclaimer-company", 750)
    return _advert(lines, first, last, drawn, known)


def has_any(text: str, words: Sequence[str]) -> bool:
    for word in words:  # noqa: SIM110  # a generator doubles the cost of what every mail passes
        if word in text:
            return True
    return False


def paragraph_top(lines: Sequence[str], first: int, last: int) -> int:
    """The first line of the paragraph that ends at `last`; at most MAX_PARAGRAPH lines up."""
    top, least = last, max(first, last - MAX_PARAGRAPH)
    while top > least and lines[top - 1].strip():
        top -= 1
    return top


def _trimmed(lines: Sequence[str], top: int, last: int, words: Sequence[str]) -> int:
    """The paragraph from the line on that says so: what stands on it may be a signature. A drawn line above it goes along."""
    at = next((n for n in range(top, last) if has_any(lines[n].lower(), words)), top)
    while at > top and is_rule(lines[at - 1].strip(), 2):
        at -= 1
    # A sentence that began a line further up, or a notice's other lines.
    while at > top and len(lines[at - 1].strip()) > 50:
        at -= 1
    return at


def _stands_apart(first: int, top: int, last: int, text: str) -> bool:
    return last - top <= 8 and len(text) <= 600 and (top > first or "www." in text or "http" in text)


def _is_card_top(lines: Sequence[str], top: int, known: frozenset[str]) -> bool:
    return bool(known) and is_name(lines[top], known)


# ---------------------------------------------------------------- footers


def _footer(lines: Sequence[str], first: int, last: int, drawn: Sequence[int], known: frozenset[str]) -> Layer | None:
    """A list's footer below a drawn line: its words, and where to turn to."""
    least = max(first, last - MAX_FOOTER)
    low_rule = bisect_left(drawn, least)
    rules = [n for n in drawn[low_rule : bisect_left(drawn, last)] if _parts_footer(lines[n].strip())]
    if not rules:
        return None
    text = "\n".join(lines[rules[0] : last])[-4000:].lower()
    words = _LIST_ASCII if text.isascii() else _LIST
    if not has_any(text, words):
        return None
    # From the lowest rule that has the words below it. A patch has lines of dashes of its own further up.
    for at in reversed(rules):
        block = "\n".join(lines[at:last])[-4000:].lower()
        if not has_any(block, words):
            continue
        if (
            "@" not in block
            and "://" not in block
            and "www." not in block
            and "/" not in block
            and not has_any(block, _PHRASES)
        ):
            return None
        opens = next((x for x in lines[at + 1 : last] if x.strip()), "")
        if (
            lines[at].strip() == "--"
            and known
            and is_name(opens[:40].partition("<")[0].split("  ")[0].split("\t")[0], known)
        ):
            # A signature that the list's address was appended to.
            return (
                next(n for n in range(at + 1, last) if has_any(lines[n].lower(), words)),
                "disclaimer",
                "footer-list",
                700,
            )
        return Layer(at, "disclaimer", "footer-list", 850)
    return None


def _parts_footer(text: str) -> bool:
    return (
        text == "--"
        or is_rule(text, 8)
        or (
            text[:4] in ("----", "____", "====", "****", "~~~~") and text[-3:-1].strip("-_=*~") == "" and len(text) < 90
        )
    )


def _is_footer(lines: Sequence[str], top: int, last: int, text: str) -> bool:
    """A service's own words come with where to click or to write, and ask nothing."""
    linked = "http" in text or "@" in text or "www." in text or "click" in text or "<" in text or not text.isascii()
    asks = any(x.rstrip().endswith("?") for x in lines[top:last])
    standing = (
        "automat" in text
        or "do not reply" in text
        or "all rights reserved" in text
        or "you received this" in text
        or "view it on github" in text
    )
    return last - top <= MAX_FOOTER and ((linked and not asks) or (standing and not asks))


def _advert(lines: Sequence[str], first: int, last: int, drawn: Sequence[int], known: frozenset[str]) -> Layer | None:
    """A webmail's advert: a long drawn line, and below it a sentence or two with a link, which name nobody."""
    least = max(first, last - 10)
    for at in reversed(drawn[bisect_left(drawn, least) : bisect_left(drawn, last)]):
        text = lines[at].strip()
        if not is_rule(text, 20):
            continue
        below = [x.strip() for x in lines[at + 1 : last] if x.strip() and not is_rule(x.strip(), 20)]
        whole = "\n".join(below).lower()
        if not 1 <= len(below) <= 7 or ("http" not in whole and "www." not in whole) or len(whole) > 600:
            return None
        sells = any(len(x.split()) >= (4 if x[-1] in ".!?:" else 6) for x in below) or below[0][-1] in "!?"
        if (
            not sells
            or "@" in whole.replace("@yahoo", "")
            or is_name(below[0], known)
            or (at > first and lines[at - 1].strip())
        ):
            return None
        return Layer(at, "disclaimer", "footer-advert", 750)
    return None


# ---------------------------------------------------------------- legal notices


def _rows_of(text: str) -> int:
    return sum(has_any(text, row) for row in (_ROWS_ASCII if text.isascii() else _ROWS))


def _is_legal(text: str, least: int = 2) -> bool:
    if len(text) < (LEAST_NOTICE if text.isascii() else LEAST_NOTICE // 3):
        return False
    return _rows_of(text) >= least


def _legal(lines: Sequence[str], first: int, last: int, top: int, text: str) -> Layer | None:
    """A legal notice: the last paragraph, or one above it that says so in plainer words; with the paragraphs of it further up."""
    begin = last
    if len(text) <= 6000 and _is_legal(text):
        begin = top
    elif len(text) < 400:
        tail = "\n".join(lines[max(first, last - MAX_PARAGRAPH) : last])[-MAX_NOTICE:].lower()
        if not has_any(tail, _ROWS_ASCII[0] if tail.isascii() else _ROWS[0]):
            return None
        at = top
        for _ in range(3):
            while at > first and not lines[at - 1].strip():
                at -= 1
            upper = paragraph_top(lines, first, at)
            if upper < at and _is_legal("\n".join(lines[upper:at])[-3000:].lower(), 3):
                begin = upper
                break
            at = upper
    if begin == last:
        return None
    least = max(first, last - MAX_ABOVE)
    at = begin
    while at > least:
        above = at
        while above > least and not lines[above - 1].strip():
            above -= 1
        upper = paragraph_top(lines, least, above)
        if upper == above:
            break
        paragraph = "\n".join(lines[upper:above]).lower()
        bare = paragraph.strip("*_-=# \t\n:")
        if _is_legal(paragraph) or (len(bare) <= 60 and bare.startswith(_HEADS)) or not bare:
            begin = upper
        elif at != begin:
            break
        at = upper
    return Layer(_without_card(lines, begin, last), "disclaimer", "disclaimer-legal", 850)


def _without_card(lines: Sequence[str], begin: int, last: int) -> int:
    """Short lines on top of a notice's first paragraph are a signature's, if a long line follows that opens a sentence."""
    at = begin
    while at < last and at < begin + 10 and lines[at].strip() and len(lines[at].strip()) < 45:
        at += 1
    if at == begin or at >= last or not lines[at].strip() or is_rule(lines[at - 1].strip(), 2):
        return begin
    head = lines[at - 1].strip("*_-=# \t\n:").lower()
    if head.startswith(_HEADS):
        return at - 1
    return at if lines[at].strip()[:1].isupper() and len(lines[at].strip()) >= 60 else begin


def _pgp(lines: Sequence[str], first: int, last: int) -> Layer | None:
    if not lines[last - 1].startswith("-----END PGP SIGNATURE"):
        return None
    for at in range(last - 1, max(first, last - MAX_PGP) - 1, -1):
        if lines[at].startswith("-----BEGIN PGP SIGNATURE"):
            return Layer(at, "signature", "pgp", 950)
    return None
