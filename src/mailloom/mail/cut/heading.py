"""Heads: lines that say "forwarded" or "original message", and blocks of `Label: value` lines.

Known phrases and labels raise the confidence; they are not a condition: a run of labelled lines of which one is an address
and one a date is a head in any language. Every function looks at a bounded number of lines of bounded length, so that a
mail costs as much as it has lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from mailloom.mail.cut.attribution import (
    ADDRESS,
    BLANK,
    COLONS,
    DECORATION,
    MAX_ATTRIBUTION,
    MAX_ATTRIBUTION_LINES,
    RULE_CHARS,
    TIME,
    UNFINISHED,
    Head,
    attribution,
    has_date,
    plain_digits,
)
from mailloom.mail.cut.phrases import (
    FORWARD_LINES,
    FORWARD_STARTS,
    LABELS,
    LANGUAGE_LABELS,
    LANGUAGES_OF_FROM,
    LONGEST_LABEL,
    ORIGINAL_LINES,
)

MAX_TABLE_LINE = 100
"""Characters of a line without a label that states a sender or a time."""
MAX_HEAD_LINES = 60
"""Lines of a head: recipients of one message may fill many. A longer list is cut, and the rest belongs to the body."""
MAX_LABELS = 14
MAX_LABEL = 40
"""Characters up to the colon of a labelled line."""

_ONE_COLON = {ord(sign): ":" for sign in COLONS}


KEPT_LINE = 200
"""Characters up to which what a line says is kept."""


def phrase(line: str) -> tuple[str, str, str]:
    """("forward" | "original" | "rule" | "", rule's name, what follows the phrase on the same line) of a line.

    "rule" is a line drawn of dashes, underscores or the like, with nothing else on it.
    """
    return _known_phrase(line) if len(line) <= KEPT_LINE else _read_phrase(line)


def _read_phrase(line: str) -> tuple[str, str, str]:
    text = line.strip(BLANK)
    if not text or len(text) > MAX_ATTRIBUTION:
        return "", "", ""
    core = text.strip(DECORATION)
    if not core:
        return ("rule", "rule", "") if len(text) >= 3 else ("", "", "")
    low = core.lower()
    if low in FORWARD_LINES:
        return "forward", "forward-line", ""
    dashed = text[0] in RULE_CHARS
    if low in ORIGINAL_LINES and (dashed or text[-1:] == ":"):
        return "original", "original-line", ""
    if dashed:
        if low.startswith(FORWARD_STARTS):
            return "forward", "forward-by", ""
        # Yahoo's plain text puts the head on the line of the phrase.
        head, dashes, rest = core.partition("---")
        rest = rest.lstrip("- ")
        if dashes and rest:
            low = head.strip(DECORATION).lower()
            if low in FORWARD_LINES:
                return "forward", "forward-line", rest
            if low in ORIGINAL_LINES:
                return "original", "original-line", rest
        if text[0] == text[1:2] and text[:3] == text[:-4:-1] and not dashes:
            return "dashed", "dashed-line", ""
    return "", "", ""


# Two of three lines that are asked about were asked about before: in the same search, or in another mail of the thread.
_known_phrase = lru_cache(maxsize=1024)(_read_phrase)


def label(line: str) -> tuple[str, str, str] | None:
    """(field, label, value) of a `Label: value` line; field is "" for a label that no table knows."""
    if ":" not in line and line.isascii():
        return None
    return _known_label(line) if len(line) <= KEPT_LINE else _read_label(line)


def _read_label(line: str) -> tuple[str, str, str] | None:
    text = line.strip(BLANK).lstrip("*_•· ")
    if not text.isascii():
        text = text[:MAX_LABEL].translate(_ONE_COLON) + text[MAX_LABEL:]
    at = text.find(":", 0, MAX_LABEL)
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


_known_label = lru_cache(maxsize=1024)(_read_label)


def block(lines: Sequence[str], start: int, sure: bool = False) -> Head | None:
    """The head that begins at lines[start]: a phrase or a drawn line, or at once the labelled lines.

    `sure` says that markup told so already: then two labelled lines of any language are enough.
    """
    at, end = start, min(len(lines), start + MAX_HEAD_LINES)
    kind, rule, rest = phrase(lines[at])
    if kind:
        at += 1
        if rest:
            # Yahoo breaks its lines before some labels, and before others it does not.
            while at < end and (more := label(lines[at])) and more[0] and at - start <= MAX_LABELS:
                rest += " " + lines[at].strip()
                at += 1
            return Head(kind, at - start, rule + "-inline", 900, _inline(rest))
        at = _blank(lines, at, end)
        if kind in ("rule", "dashed") and at < end and (again := phrase(lines[at]))[0] in ("forward", "original"):
            kind, rule = again[0], again[1]
            at = _blank(lines, at + 1, end)
    fields, below, known, unknown = _labelled(lines, at, end, notes=sure or kind == "forward")
    said = kind in ("forward", "original")
    if said and not fields and (wrote := _attribution_at(lines, at, end)):
        # Proton: "Original Message", and an attribution instead of labels.
        return Head("attribution" if kind == "original" else kind, wrote - start, rule, 950)
    word = (label(lines[at]) or ("", "", ""))[1] if "from" in fields and at < end else ""
    if not said and not _is_head(fields, known, unknown, sure, bool(kind)):
        return None
    if "from" not in fields and unknown >= 2:
        fields = _by_value(fields)
    if said:
        return Head(kind, below - start, rule, 950 if known else 800, fields, word=word)
    known_rule = "labels" if known >= 2 else "labels-unknown"
    return Head("original", below - start, known_rule, 900 if known >= 3 else 600, fields, word=word)


def _by_value(fields: dict[str, str]) -> dict[str, str]:
    """Fields of labels that no table knows, named by what they hold: clients put the sender first, and the subject last."""
    out: dict[str, str] = {}
    rest = ""
    for name, value in fields.items():
        if ADDRESS.search(value):
            role = next((x for x in ("from", "to", "cc") if x not in out), name)
        elif "date" not in out and has_date(plain_digits(value)):
            role = "date"
        else:
            role = rest = name
        out[role] = value
    if "from" not in out:
        return fields
    if rest and "subject" not in out:
        out["subject"] = out.pop(rest)
    return out


def _attribution_at(lines: Sequence[str], at: int, end: int) -> int:
    """The line after an attribution that begins at lines[at], 0 if none does."""
    for count in range(1, min(MAX_ATTRIBUTION_LINES, end - at) + 1):
        line = lines[at + count - 1].strip(BLANK)
        if not line or line[0] == ">":
            break
        found = attribution(lines, at + count, at, near=True)
        if found is not None and found.lines == count and found.rule != "short":
            return at + count
    return 0


def table(lines: Sequence[str], here: int, first: int) -> tuple[int, Head] | None:
    """(its first line, head) of a Lotus Notes head: the sender and the time on lines without labels, no further up than
    lines[first], above "To:", "cc:" and "Subject:", which begin at lines[here].
    """
    top = here
    while top > first and here - top < 3 and not lines[top - 1].strip(BLANK):
        top -= 1
    date = lines[top - 1].strip(BLANK) if top > first else ""
    if not date or len(date) > MAX_TABLE_LINE or not has_date(date) or not TIME.search(date):
        return None
    fields, end, known, _ = _labelled(lines, here, min(len(lines), here + MAX_HEAD_LINES), notes=False)
    if known < 2 or "to" not in fields or not {"subject", "cc"} & fields.keys():
        return None
    top -= 1
    above = lines[top - 1].strip(BLANK) if top > first else ""
    if date[0].isdigit() and above and len(above) <= MAX_TABLE_LINE and above[-1] not in UNFINISHED:
        top -= 1
        fields = {"from": above, "date": date, **fields}
    return top, Head("original", end - top, "table", 800, fields)


def heralded(line: str) -> bool:
    """Lotus Notes 8 writes "NAME ---DATE---first words" above the labels of its head."""
    before, dashes, rest = line.partition("---")
    date, more, _ = rest.partition("---")
    return bool(dashes and more and before.strip()) and len(date) < MAX_TABLE_LINE and has_date(date)


def _blank(lines: Sequence[str], at: int, end: int) -> int:
    while at < end and not lines[at].strip(BLANK + "*>"):
        at += 1
    return at


def _is_head(fields: dict[str, str], known: int, unknown: int, sure: bool, drawn: bool) -> bool:
    if "from" in fields and "message-id" not in fields and known >= (2 if sure or drawn else 3):
        return True
    if sure and known + unknown >= 2:
        return True
    if known + unknown < 3 or any("-" in name for name in fields):
        # Fields of a mail's header have names with dashes: they are cited.
        return False
    values = [plain_digits(v) for v in fields.values()]
    addressed = any(ADDRESS.search(v) and (drawn or "<" in v or "[" in v) for v in values)
    dated = [v for v in values if has_date(v)]
    return addressed and bool(dated) and (drawn or known + unknown > 3 or any(TIME.search(v) for v in dated))


def _labelled(lines: Sequence[str], at: int, end: int, notes: bool) -> tuple[dict[str, str], int, int, int]:
    """(fields, index of the line after them, labels known, labels unknown)."""
    fields: dict[str, str] = {}
    known = unknown = 0
    current = ""
    spaced = False
    start = at
    while at < end and known + unknown < MAX_LABELS:
        line = lines[at]
        found = label(line)
        if found and (found[0] or not current or spaced or _is_label_run(lines, at, end, unknown, known)):
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
            more = label(lines[ahead]) if ahead < end else None
            if more and (current or (notes and fields)) and _goes_on(more, fields, spaced and known + unknown < 4):
                at, spaced = ahead, bool(current)
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


def _goes_on(more: tuple[str, str, str], fields: dict[str, str], spaced: bool) -> bool:
    """Does a labelled line below a blank one belong to the head? HTML made into text puts blank lines between all of them."""
    name, word, value = more
    if name:
        return name not in fields
    return word not in fields and (spaced or _states(value)) and any(map(_states, fields.values()))


def _states(value: str) -> bool:
    """Is a value an address or a time, as those of a head are?"""
    return ADDRESS.search(value) is not None or (
        has_date(plain := plain_digits(value)) and TIME.search(plain) is not None
    )


def _is_label_run(lines: Sequence[str], at: int, end: int, unknown: int, known: int) -> bool:
    """Does an unknown label belong to the head? Among known ones it does if a known one follows or it has a head's value,
    else the body begins ("Note: ..."); in a run that was unknown all along if another follows, or the blank line that ends
    the run.
    """
    below = lines[at + 1] if at + 1 < end else ""
    following = label(below)
    if known > unknown:
        if following is not None and following[0] not in ("", "other"):
            return True
        found = label(lines[at])
        # A field of mail headers that a digest shows, too.
        return found is not None and ("-" in found[1] or (known < 3 and _states(found[2])))
    return following is not None or (unknown >= 2 and not below.strip())


def _continues(lines: Sequence[str], at: int, end: int, current: str, value: str) -> bool:
    """Does an unlabelled line continue the value above it?"""
    text = lines[at].strip()
    if not text.strip(RULE_CHARS):
        # A line that is drawn parts two heads.
        return False
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
