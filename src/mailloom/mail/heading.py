"""Lines that introduce somebody else's words: attribution lines, heads of forwards, blocks of `Label: value` lines.

Known phrases raise the confidence; they are not a condition. What counts is the shape: a line with a date, a time and an
address or name before a quote; a run of labelled lines of which one is an address and one a date. Every function looks at a
bounded number of lines of bounded length, so that a mail costs as much as it has lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailloom.mail.phrases import (
    FORWARD_LINES,
    FORWARD_STARTS,
    LABELS,
    LANGUAGE_LABELS,
    LANGUAGES_OF_FROM,
    LEAD,
    LONGEST_LABEL,
    ORIGINAL_LINES,
    says_wrote,
)

MAX_ATTRIBUTION_LINES = 4
"""Clients wrap at 72-78 columns: a date, a long name and an address fill three lines, and the verb may stand alone."""
MAX_ATTRIBUTION = 400
"""Characters of an attribution: longer ones are prose."""
MAX_HEAD_LINES = 60
"""Lines of a head: recipients of one message may fill many. A longer list is cut, and the rest belongs to the body."""
MAX_LABELS = 14

INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060\xad"
"""What clients put at the start of lines and nobody sees (Outlook for Mac opens its attribution with a BOM)."""


@dataclass(frozen=True, slots=True)
class Head:
    """`lines` of the text were read. `kind`: "attribution" (says "wrote"), "forward" (says "forwarded"), "original" (a head
    that replies and forwards have alike). `fields` hold from, to, cc, date, subject as written, unfolded.
    """

    kind: str
    lines: int
    rule: str
    confidence: int
    fields: dict[str, str] = field(default_factory=dict)


# ---------------------------------------------------------------- what a line holds

ADDRESS = re.compile(r"(?<![^\s<>\[\]()\"',;:|])[^\s<>\[\]()\"',;:|@]{1,64}+@[^\s<>\[\]()\"',;:|]{1,255}")
"""An address from the beginning of a word: looking for one inside words would read each character 64 times."""
TIME = re.compile(r"(?<![\d.:])\d{1,2}\s?[:h時点시时]\s?\d{2}(?!\d)|(?<![\d.])\d{1,2}\.\d{2}(?!\d|\.\d)")
"""A time of day; with a dot as in Finnish, if it is not the half of a date."""
_YEAR = re.compile(r"(?<!\d)(?:19[6-9]|20[0-9]|25[4-9]|1[34][0-9])\d(?!\d)")
"""Gregorian, Buddhist (Thai) and Persian years."""
_DIGIT = re.compile(r"\d")
_NUMBER = re.compile(r"(?<!\d)\d{1,2}(?!\d)")


def plain_digits(text: str) -> str:
    """Arabic-Indic and other decimal digits as ASCII ones: clients write dates in the reader's digits."""
    if text.isascii():
        return text
    return _OTHER_DIGITS.sub(lambda m: str(int(m[0])), text)


_OTHER_DIGITS = re.compile(r"[^\D0-9]")


def has_date(text: str) -> bool:
    """A year with another number, or three numbers of one or two digits ("28/10/21", "Sep 3 at 2:14 PM")."""
    if _YEAR.search(text):
        return _NUMBER.search(text) is not None
    return len(_NUMBER.findall(text)) >= 3


# ---------------------------------------------------------------- "On DATE, NAME wrote:"


def attribution(lines: Sequence[str], end: int, first: int, near: bool) -> Head | None:
    """The attribution whose last line is lines[end - 1], looking back no further than lines[first].

    `near` says that a quote follows at once: then the shape is enough. Else a verb or all of date, time and address have to
    be there, for nothing else tells prose from an introduction.
    """
    last = lines[end - 1].rstrip()
    colon = last[-1:] in (":", "：", "*", "_")
    if not colon and not (near and ("@" in last or len(last) < 30 or _DIGIT.search(last))):
        return None
    stretch: list[str] = []
    size = 0
    for count in range(1, min(MAX_ATTRIBUTION_LINES, end - first) + 1):
        line = lines[end - count].strip().strip(INVISIBLE)
        size += len(line) + 1
        if not line or size > MAX_ATTRIBUTION:
            break
        stretch.append(line)
    whole = " ".join(reversed(stretch))
    if not ("@" in whole or says_wrote(whole) or (near and colon and _DIGIT.search(whole))):
        return None
    return _narrowest(stretch, len(stretch) == end - first or not lines[end - len(stretch) - 1].strip(), near)


def _narrowest(stretch: list[str], opens: bool, near: bool) -> Head | None:
    """The fewest lines, counted from below, that make an attribution; more where the line above opens like one."""
    joined = ""
    best: Head | None = None
    for count, line in enumerate(stretch, 1):
        joined = f"{line} {joined}" if joined else line
        if best is not None and best.rule != "short":
            if _leads(line):
                return Head(best.kind, count, best.rule, best.confidence)
            continue
        # "NAME wrote:" may be the end of a longer one.
        best = _judge(plain_digits(joined), count, near, opens=opens and count == len(stretch)) or best
        if best is not None and best.rule != "short" and _leads(line):
            return best
    return best


def _leads(line: str) -> bool:
    found = LEAD.match(line.lstrip('>*"“ '))
    return found is not None and _DIGIT.search(line) is not None


def _judge(text: str, count: int, near: bool, opens: bool) -> Head | None:
    colon = text.rstrip(" *_\"'")[-1:] in (":", "：", "︰")
    if not near and not colon:
        return None
    address = "@" in text and ADDRESS.search(text) is not None
    if near and not colon and not address and not _DIGIT.search(text):
        return None
    verb = says_wrote(text)
    date = has_date(text)
    starts = opens or _leads(text) or text[:1].isdigit()
    if near:
        if verb and (date or address):
            return Head("attribution", count, "wrote", 950)
        if date and address:
            return Head("attribution", count, "date-address", 850)
        if colon and starts and (address or (date and TIME.search(text))):
            return Head("attribution", count, "shape", 700)
        if verb and colon and len(text) <= 80 and count == 1:
            return Head("attribution", count, "short", 700)
        return None
    if not date or not starts:
        return None
    time = TIME.search(text) is not None
    if verb and (time or address or len(text) < 60):
        return Head("attribution", count, "wrote", 850)
    if time and address:
        return Head("attribution", count, "date-address", 700)
    return None


# ---------------------------------------------------------------- "From: ... Sent: ... To: ... Subject: ..."

_RULE_CHARS = "-_=*~#—–─━‐·+<>"
_DECORATION = _RULE_CHARS + " \t\xa0.|:：" + INVISIBLE


def phrase(line: str) -> tuple[str, str, str]:
    """("forward" | "original" | "rule" | "", rule's name, what follows the phrase on the same line) of a line.

    "rule" is a line drawn of dashes, underscores or the like, with nothing else on it.
    """
    text = line.strip().strip(INVISIBLE)
    if not text or len(text) > MAX_ATTRIBUTION:
        return "", "", ""
    core = text.strip(_DECORATION)
    if not core:
        return ("rule", "rule", "") if len(text) >= 3 else ("", "", "")
    low = core.lower()
    if low in FORWARD_LINES:
        return "forward", "forward-line", ""
    dashed = text[0] in _RULE_CHARS
    if low in ORIGINAL_LINES and (dashed or text[-1:] == ":"):
        return "original", "original-line", ""
    if dashed:
        if low.startswith(FORWARD_STARTS):
            return "forward", "forward-by", ""
        # Yahoo's plain text puts the head on the line of the phrase.
        head, dashes, rest = core.partition("---")
        rest = rest.lstrip("- ")
        if dashes and rest:
            low = head.strip(_DECORATION).lower()
            if low in FORWARD_LINES:
                return "forward", "forward-line", rest
            if low in ORIGINAL_LINES:
                return "original", "original-line", rest
        if text[:3] == text[-3:] and len(set(text[:3])) == 1 and not dashes:
            return "dashed", "dashed-line", ""
    return "", "", ""


def label(line: str) -> tuple[str, str, str] | None:
    """(field, label, value) of a `Label: value` line; field is "" for a label that no table knows."""
    text = line.strip().strip(INVISIBLE).lstrip("*_•· ")
    at = text.find(":", 0, 40)
    wide = text.find("：", 0, 40)
    if at < 0 or 0 <= wide < at:
        at = wide
    if at < 1:
        return None
    name = text[:at].strip(" *_\t\xa0").lower()
    if not name or len(name) > max(LONGEST_LABEL, 24):
        return None
    found = LABELS.get(name)
    value = text[at + 1 :].strip(" \t\xa0")
    if value[:1] in "*_" and value[:1]:
        value = value.lstrip("*_").lstrip()
    if text[:1] not in "*_" and value.endswith("*") and value.count("*") == 1:
        value = value[:-1]
    if found is None:
        # A word or two, as labels are in every language; not the "http" of a link, not the "10" of a time.
        if (
            not name[0].isalpha()
            or value[:2] == "//"
            or len(name.split()) > 3
            or (value and text[at + 1] not in " \t\xa0*")
        ):
            return None
        return "", name, value
    return found, name, value


def block(lines: Sequence[str], start: int, sure: bool = False) -> Head | None:
    """The head that begins at lines[start]: a phrase or a drawn line, or at once the labelled lines.

    `sure` says that markup told so already: then two labelled lines of any language are enough.
    """
    at, end = start, min(len(lines), start + MAX_HEAD_LINES)
    kind, rule, rest = phrase(lines[at])
    if kind:
        at += 1
        if rest:
            return Head(kind, at - start, rule + "-inline", 900, _inline(rest))
        at = _blank(lines, at, end)
        if kind in ("rule", "dashed") and at < end and (again := phrase(lines[at]))[0] in ("forward", "original"):
            kind, rule = again[0], again[1]
            at = _blank(lines, at + 1, end)
    fields, at, known, unknown = _labelled(lines, at, end, notes=kind == "forward")
    said = kind in ("forward", "original")
    if said:
        return Head(kind, at - start, rule, 950 if known else 800, fields)
    if not _is_head(fields, known, unknown, sure, bool(kind)):
        return None
    return Head(
        "original", at - start, "labels" if known >= 2 else "labels-unknown", 900 if known >= 3 else 600, fields
    )


def _blank(lines: Sequence[str], at: int, end: int) -> int:
    while at < end and not lines[at].strip(" \t\xa0*>" + INVISIBLE):
        at += 1
    return at


def _is_head(fields: dict[str, str], known: int, unknown: int, sure: bool, drawn: bool) -> bool:
    if "from" in fields and "message-id" not in fields and known >= (2 if sure or drawn else 3):
        return True
    if sure and known + unknown >= 2:
        return True
    if known + unknown < 3:
        return False
    values = [plain_digits(v) for v in fields.values()]
    addressed = any(ADDRESS.search(v) and (drawn or "<" in v or "[" in v) for v in values)
    return addressed and any(has_date(v) and TIME.search(v) for v in values)


def _labelled(lines: Sequence[str], at: int, end: int, notes: bool) -> tuple[dict[str, str], int, int, int]:
    """(fields, index of the line after them, labels known, labels unknown)."""
    fields: dict[str, str] = {}
    known = unknown = 0
    current = ""
    start = at
    while at < end and known + unknown < MAX_LABELS:
        line = lines[at]
        found = label(line)
        if found and (found[0] or not current or _is_label_run(lines, at, end, unknown, known)):
            name, word, value = found
            if name and name in fields and name != "other":
                if name != current:
                    # A head states a thing once; what states it again is the body, or the head of another.
                    break
                fields[name] += ", " + value
            else:
                fields[name or word] = value
                known, unknown = (known + 1, unknown) if name else (known, unknown + 1)
            current = name or word
            at += 1
            continue
        text = line.strip()
        if not text:
            ahead = _blank(lines, at, min(end, at + 3))
            more = label(lines[ahead]) if ahead < end and current else None
            if more and more[0] and more[0] not in fields:
                at = ahead
                continue
            break
        if not current:
            # Lotus Notes writes the sender, and a date, on lines of their own above the labels.
            if notes and at - start < 3:
                if has_date(text):
                    fields.setdefault("date", text)
                else:
                    fields.setdefault("from", text)
                at += 1
                continue
            break
        if not _continues(lines, at, end, current, fields[current]):
            break
        fields[current] = f"{fields[current]} {text}".strip()
        at += 1
    return (fields, at, known, unknown) if current else ({}, start, 0, 0)


def _is_label_run(lines: Sequence[str], at: int, end: int, unknown: int, known: int) -> bool:
    """Does an unknown label belong to the head? Among known ones it does if a known one follows, else the body begins
    ("Note: ..."); in a run that was unknown all along if another follows, or the blank line that ends the run.
    """
    below = lines[at + 1] if at + 1 < end else ""
    following = label(below)
    if known > unknown:
        return following is not None and following[0] not in ("", "other")
    return following is not None or (unknown >= 2 and not below.strip())


def _continues(lines: Sequence[str], at: int, end: int, current: str, value: str) -> bool:
    """Does an unlabelled line continue the value above it?"""
    text = lines[at].strip()
    if not value:
        return len(text) < 200
    if current in ("to", "cc", "bcc", "from"):
        if value[-1:] in ",;" or ("@" in text and (text[:1] == "<" or ADDRESS.search(value) is None)):
            return True
        if value.count("<") > value.count(">") or value.count('"') % 2:
            return True
    following = label(lines[at + 1]) if at + 1 < end else None
    if following and following[0]:
        return True
    # A long subject is wrapped once, and a blank line ends the head.
    return current == "subject" and len(value) > 50 and at + 1 < end and not lines[at + 1].strip()


def _inline(rest: str) -> dict[str, str]:
    """Fields of a head that was written on one line, labels glued to the values before them (Yahoo's plain text)."""
    first = label(rest)
    if first is None or first[0] != "from":
        return {}
    best: dict[str, str] = {}
    for language in LANGUAGES_OF_FROM[first[1]]:
        fields: dict[str, str] = {}
        marks = sorted(
            (at, len(word), name)
            for word, name in LANGUAGE_LABELS[language].items()
            if len(word) > 0 and (at := _glued(rest, word)) >= 0
        )
        taken = -1
        ends: list[tuple[int, int, str]] = []
        for at, size, name in marks:
            if at >= taken and name not in {n for _, _, n in ends}:
                ends.append((at, size, name))
                taken = at + size
        for (at, size, name), following in zip(ends, [*ends[1:], (len(rest), 0, "")], strict=True):
            fields[name] = rest[at + size : following[0]].lstrip(" :：\xa0").strip()
        if len(fields) > len(best):
            best = fields
    return best


def _glued(rest: str, word: str) -> int:
    """Where `Word:` stands, capitalised as in a head, not inside another word."""
    shown = word[0].upper() + word[1:]
    for form in (shown + ":", word.upper() + ":", shown + " :", shown + "："):
        at = rest.find(form)
        if at >= 0:
            return at
    # Yahoo's Portuguese forgets the colon of the last one.
    at = rest.find(shown + " ")
    return at if at > 0 and rest[at - 1].isalnum() else -1
