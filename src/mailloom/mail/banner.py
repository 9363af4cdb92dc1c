"""What a gateway puts above a mail that came from elsewhere: "CAUTION: This email originated from outside ...", "[EXTERNAL]".

Only the first paragraphs of a text are looked at, and only short ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailloom.mail.phrases import CLOSING

MAX_BANNER = 900
"""Characters of a banner: two languages and how to report it."""
MAX_LINES = 14
"""Lines of a banner's paragraph."""
MAX_BANNERS = 4
"""Paragraphs: a gateway's, another gateway's, and the mail program's."""
MAX_LEAD = 60
"""Characters from the start of a banner in which it warns, or says where the mail came from."""

_BANNER: Final = CLOSING["banner"]
_OUTSIDE: Final = tuple(dict.fromkeys(_BANNER["outside"]))
_OUTSIDE_ASCII: Final = tuple(w for w in _OUTSIDE if w.isascii())
_MAIL: Final = tuple(dict.fromkeys(_BANNER["mail"]))
_WARNING: Final = tuple(dict.fromkeys(_BANNER["warning"]))
_TAGS: Final = frozenset(_BANNER["tags"])
_WRAPS = "[](){}<>*#!|=-_~⚠️ℹ️🛑❗:. \t\xa0\u200b\ufeff"
_MARKED = "zjqcmqryfpfptbanner"
"""Proofpoint writes this word, "Start" and "End" behind it, around its banner."""


def banner(lines: Sequence[str], start: int, end: int) -> tuple[int, str]:
    """(line after the banners that open lines[start:end], rule); (start, "") if there are none. `start` is not blank."""
    at, rule = start, ""
    for _ in range(MAX_BANNERS):
        below = _below(lines, at, end)
        if below == at:
            break
        rule = "banner"
        at = below
        while at < end and not lines[at].strip():
            at += 1
    return at, rule


def _below(lines: Sequence[str], at: int, end: int) -> int:
    """The line after the banner at `at`."""
    if at >= end:
        return at
    line = lines[at]
    if len(line) > MAX_BANNER:
        return at
    bare = line.strip(_WRAPS).lower()
    if bare in _TAGS and (line.strip()[:1] in "[(*#<!=|-⚠️" or line.strip().isupper()):
        return at + 1
    if bare.startswith(_MARKED):
        return next((n + 1 for n in range(at + 1, min(end, at + 30)) if _MARKED + "end" in lines[n].lower()), at + 1)
    if not bare and _is_drawn(line) and at + 1 < end:
        # A box drawn of lines.
        below = _below(lines, at + 1, end)
        if below == at + 1:
            return at
        return below + 1 if below < end and _is_drawn(lines[below]) else below
    last = at
    while last < end and last < at + MAX_LINES and lines[last].strip():
        last += 1
    text = "\n".join(lines[at:last]).lower()
    if not has_lead(text):
        return at
    if not is_banner(text):
        return at
    # As far as it speaks of that: the mail itself may begin on the next line.
    spoken = at
    for n in range(at, last):
        low = lines[n].lower()
        if any(w in low for w in _OUTSIDE) or any(w in low for w in _WARNING):
            spoken = n
    while spoken + 1 < last and lines[spoken].rstrip()[-1:] not in ".!?]*。！" and len(lines[spoken]) > MAX_LEAD - 10:
        spoken += 1
    return spoken + 1


def _is_drawn(line: str) -> bool:
    text = line.strip()
    return len(text) > 3 and not text.strip("-_=*#~+| ")


def has_lead(text: str) -> bool:
    """Cheap, and true of few texts: does it open with a word of warning or of where it came from?"""
    lead = text[:MAX_LEAD]
    for word in _OUTSIDE_ASCII if lead.isascii() else _OUTSIDE:
        if word in lead:
            return True
    return any(word in lead for word in _LEADS) or (not lead.isascii() and any(word in lead for word in _WARNING))


_LEADS = (
    "caution", "warning", "attention", "alert", "this email", "this e-mail", "this message", "be careful", "achtung", "vorsicht", "warnung", "diese e-mail", "diese mail", "diese nachricht", "ce courriel",
    "ce message", "cet e-mail", "cet email", "prudence", "avertissement", "este correo", "este mensaje", "este e-mail", "esta mensagem", "este email", "cuidado", "questa e-mail", "questa email", "questo messaggio",
    "attenzione", "let op", "deze e-mail", "dit bericht", "waarschuwing", "varning", "detta", "advarsel", "denne e-mail", "denne mail", "denne e-posten", "varoitus", "huomio", "uwaga", "ta wiadomo", "pozor", "tento e-mail", "figyelem",
    "oprez", "upozorenje", "dikkat", "bu e-posta", "peringatan", "perhatian", "you don't", "some people",
)  # fmt: skip


def is_banner(text: str) -> bool:
    """Does a paragraph, in lower case, speak of mail, of where it came from, and warn? All in few words, and first things first."""
    if len(text) > MAX_BANNER or not has_lead(text):
        return False
    for row in (_OUTSIDE_ASCII if text.isascii() else _OUTSIDE, _MAIL, _WARNING):
        if not any(word in text for word in row):
            return False
    return "?" not in text.replace("?]", "").replace("?url", "") or "http" in text
