"""What companies, lists and services put below a mail: legal notices, footers, scanners' lines, adverts; and inline OpenPGP.

Each looks at the last paragraph, or at the lines below the last drawn one, so that a long text is not searched. What is found
is cut from below, and then what stands above it is looked at in the same way (mail/cut/trailer.py).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from mailloom.mail.cut.banner import is_banner, is_drawn
from mailloom.mail.cut.greeting import is_name, opens_with_name
from mailloom.mail.cut.phrases import CLOSING, has_any
from mailloom.mail.cut.signature import is_rule
from mailloom.mail.model import SegmentKind

MAX_FOOTER = 30
"""Lines of a list's footer: posting rules included, some have twenty."""
MAX_FOOTER_HEAD = 8
"""Lines of it before it says of which list it is."""
MAX_PARAGRAPH = 40
"""Lines of a paragraph that are read. Company notices in four languages have some 60, in several paragraphs."""
MAX_NOTICE_LINES = 16
"""Lines of them."""
MAX_ADVERT_LINE = 120
"""Characters of an advert's line."""
MAX_NOTICE = 1000
"""Characters from the end in which one of the words is looked for that every legal notice has."""
MAX_LEGAL = 6000
"""Characters of one paragraph of it."""
MAX_BELOW = 400
"""Characters of a last paragraph that a legal notice may have below it."""
MAX_ABOVE = 80
"""Lines above the end that a legal notice may have."""
LEAST = 24
"""Characters of a standing line: "Virus-free. www.example.com"."""
MAX_SAID = 3000
"""Characters of a paragraph that is read for what services say."""
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
_GATE: Final = (*_ROWS[0], *_ROWS[1])
"""Words of which every legal notice has one: that it is confidential, or whom it is for."""
_GATE_ASCII: Final = (
    *[w for w in _ROWS[0] if w.isascii()],
    "recipient",
    "addressee",
    "solely",
    "in error",
    "adressat",
    "destinata",
)
_ROWS_ASCII: Final = tuple(tuple(w for w in row if w.isascii()) for row in _ROWS)
_HEADS: Final = tuple(CLOSING["disclaimer"]["heads"])
_LIST: Final = tuple(CLOSING["footer"]["list"])
_LIST_ASCII: Final = tuple(w for w in _LIST if w.isascii())
_PHRASES: Final = tuple(CLOSING["footer"]["phrases"])
_PHRASES_ASCII: Final = tuple(w for w in _PHRASES if w.isascii())
_SCANNED: Final = tuple(CLOSING["advert"]["scanned"])
_ENVIRONMENT: Final = tuple(CLOSING["advert"]["environment"])
_COMPANY: Final = tuple(CLOSING["advert"]["company"])
# Of each of those words a piece, so that most paragraphs need few searches.
_PGP_END = "-----END PGP SIGNATURE"
_DIGIT = re.compile(r"\d")
_LINKED = ("http", "@", "www.", "click", "<", "automat", "reply to this", "rights reserved")
_SCAN_STEMS = (
    "virus",
    "viren",
    "scan",
    "avast",
    "avg",
    "clean",
    "mimecast",
    "symantec",
    "viru",
    "virů",
    "víru",
    "вирус",
    "virüs",
)
_PRINT_STEMS = (
    "print",
    "paper",
    "environ",
    "umwelt",
    "imprim",
    "milieu",
    "ambient",
    "tipar",
    "tree",
    "stampa",
    "ispis",
)
_COMPANY_STEMS = (
    "regist", "hrb", "gesellschaft", "amtsgericht", "vorstand", "company n", "vat ", "capital", "social", "rcs", "sire", "iva", "kvk", "btw", "org.nr", "cvr", "krs", "nip", "sicil",
)  # fmt: skip


def notice(lines: Sequence[str], first: int, last: int, drawn: Sequence[int], known: frozenset[str]) -> Layer | None:
    """What of lines[first:last] is the last notice or footer; line last - 1 is not blank."""
    if lines[last - 1].startswith(_PGP_END) and (found := _pgp(lines, first, last)):
        return found
    if found := _footer(lines, first, last, drawn, known):
        return found
    if _is_list_page(lines[last - 1].strip()):
        return Layer(last - 1, "disclaimer", "footer-list", 700)
    top = paragraph_top(lines, first, last)
    text = "\n".join(lines[top:last]).lower()
    if (len(text) >= LEAST or not text.isascii()) and len(text) <= MAX_SAID:
        found = _standing(lines, top, last, text, known)
        if found:
            return found
    if found := _legal(lines, first, last, top, text):
        return found
    return _advert(lines, first, last, drawn, known) if drawn else None


def _standing(lines: Sequence[str], top: int, last: int, text: str, known: frozenset[str]) -> Layer | None:
    """A paragraph that says what such paragraphs say, in any of their words."""
    plain = text.isascii()
    if (
        (not plain or has_any(text, _LINKED))
        and has_any(text, _PHRASES_ASCII if plain else _PHRASES)
        and _is_footer(lines, top, last, text)
    ):
        return Layer(_trimmed(lines, top, last, _PHRASES), "disclaimer", "footer-phrase", 800)
    if has_any(text, _SCAN_STEMS) and has_any(text, _SCANNED) and _stands_apart(top, last, text):
        return Layer(_trimmed(lines, top, last, _SCANNED), "disclaimer", "disclaimer-scanned", 850)
    if (not plain or has_any(text, _PRINT_STEMS)) and has_any(text, _ENVIRONMENT):
        return Layer(_trimmed(lines, top, last, _ENVIRONMENT), "disclaimer", "disclaimer-environment", 850)
    if is_banner(text):
        return Layer(top, "disclaimer", "banner", 800)
    if (
        (not plain or (_DIGIT.search(text) and has_any(text, _COMPANY_STEMS)))
        and sum(word in text for word in _COMPANY) >= 2
        and "--" not in [x.strip() for x in lines[top:last]]
        and not is_name(lines[top], known or frozenset("\0"))
        and lines[max(0, top - 1)].strip() != "--"
    ):
        return Layer(_trimmed(lines, top, last, _COMPANY), "disclaimer", "disclaimer-company", 750)
    return None


def paragraph_top(lines: Sequence[str], first: int, last: int) -> int:
    """The first line of the paragraph that ends at `last`; at most MAX_PARAGRAPH lines up."""
    top, least = last, max(first, last - MAX_PARAGRAPH)
    while top > least and lines[top - 1].strip():
        top -= 1
    return top


def _trimmed(lines: Sequence[str], top: int, last: int, words: Sequence[str]) -> int:
    """The paragraph from the line on that says so: what stands on it may be a signature. A drawn line above it goes along."""
    at = next((n for n in range(top, last) if has_any(lines[n].lower(), words)), top)
    while at > top and is_rule(lines[at - 1].strip(), 1):
        at -= 1
    # A sentence that began a line further up, or a notice's other lines.
    while at > top and len(lines[at - 1].strip()) > 50:
        at -= 1
    return at


def _stands_apart(top: int, last: int, text: str) -> bool:
    return last - top <= 8 and len(text) <= 600 and (top > 0 or "www." in text or "http" in text)


# ---------------------------------------------------------------- footers


def _footer(lines: Sequence[str], first: int, last: int, drawn: Sequence[int], known: frozenset[str]) -> Layer | None:
    """A list's footer below a drawn line: its words, and where to turn to."""
    least = max(first, last - MAX_FOOTER)
    low_rule = bisect_left(drawn, least)
    rules = [n for n in drawn[low_rule : bisect_left(drawn, last)] if _parts_footer(lines[n].strip())]
    if not rules:
        return None
    text = "\n".join(lines[rules[0] : last])[-MAX_SAID:].lower()
    words = _LIST_ASCII if text.isascii() else _LIST
    if not has_any(text, words):
        return None
    # From the lowest rule that has the words below it. A patch has lines of dashes of its own further up.
    for at in reversed(rules):
        block = "\n".join(lines[at:last])[-MAX_SAID:].lower()
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
        said = next((n for n in range(at + 1, last) if has_any(lines[n].lower(), words)), at)
        if sum(bool(x.strip()) for x in lines[at + 1 : said]) > MAX_FOOTER_HEAD:
            return None
        opens = next((x for x in lines[at + 1 : last] if x.strip()), "")
        appended = said == last - 1 and lines[at].strip() == "--" and _is_list_page(lines[said].strip())
        if said > at and (appended or opens_with_name(opens, known)):
            # A signature that the list's address was appended to.
            return Layer(said, "disclaimer", "footer-list", 700)
        return Layer(at, "disclaimer", "footer-list", 850)
    return None


def _is_list_page(line: str) -> bool:
    """The address of a list's page, alone on the last line: some lists add no more than that."""
    return line[:4] == "http" and " " not in line and "/listinfo/" in line


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
            or opens_with_name(below[0], known)
            or max(map(len, below)) > MAX_ADVERT_LINE
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
    """A legal notice: the last paragraph, or one above it that says so in plainer words."""
    tail = "\n".join(lines[max(first, last - MAX_NOTICE_LINES) : last])[-MAX_NOTICE:].lower()
    if not has_any(tail, _GATE_ASCII if tail.isascii() else _GATE):
        return None
    if len(text) <= MAX_LEGAL and _is_legal(text):
        return _legal_from(lines, first, last, top)
    if len(text) >= MAX_BELOW:
        return None
    at = top
    for _ in range(3):
        while at > first and not lines[at - 1].strip():
            at -= 1
        upper = paragraph_top(lines, first, at)
        if upper < at and _is_legal("\n".join(lines[upper:at])[-MAX_LEGAL:].lower(), 3):
            return _legal_from(lines, first, last, upper)
        at = upper
    return None


def _legal_from(lines: Sequence[str], first: int, last: int, begin: int) -> Layer:
    """From its paragraph at `begin`, with those further up, one that does not say so between them or not, and its heading."""
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
        between = at != begin
        if _is_legal(paragraph) or (
            not between and (_is_heading("\n".join(lines[upper:above])) or is_drawn(paragraph))
        ):
            begin = upper
        elif between:
            break
        at = upper
    return Layer(_without_card(lines, begin, last), "disclaimer", "disclaimer-legal", 850)


def _is_heading(text: str) -> bool:
    bare = text.strip("*_-=# \t\n:")
    return len(bare) <= 60 and (bare.lower().startswith(_HEADS) or (bare.isupper() and len(bare.split()) <= 4))


def _without_card(lines: Sequence[str], begin: int, last: int) -> int:
    """Short lines on top of a notice's first paragraph are a signature's, if a long line follows that opens a sentence."""
    at = begin
    while at < last and at < begin + 10 and lines[at].strip() and len(lines[at].strip()) < 45:
        at += 1
    if at == begin or at >= last or not lines[at].strip():
        return begin
    if _is_heading(lines[at - 1]) or is_drawn(lines[at - 1]):
        return at - 1 if at - 2 < begin or not is_drawn(lines[at - 2]) else at - 2
    return at if lines[at].strip()[:1].isupper() and len(lines[at].strip()) >= 60 else begin


def _pgp(lines: Sequence[str], first: int, last: int) -> Layer | None:
    for at in range(last - 1, max(first, last - MAX_PGP) - 1, -1):
        if lines[at].startswith("-----BEGIN PGP SIGNATURE"):
            return Layer(at, "signature", "pgp", 950)
    return None
