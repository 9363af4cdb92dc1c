"""The first and the last line of a letter: "Hi Ann," and "Best regards, Bob".

Both are the author's own words and are only told apart from the rest, so a rule may be broad, but for one thing: a sign-off
tells where a card may begin (mail/cut/signature.py). Only short lines are looked at, a few at either end.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from mailloom.mail.cut.phrases import CLOSING

MAX_LINE = 60
"""Characters of a greeting or a sign-off."""
MAX_JOINED = 30
"""The same in scripts without blanks between words."""
MAX_NAMES = 3
"""Lines below a sign-off: a name, what one is, whom one speaks for."""
MAX_SIGNOFFS = 3
"""Lines of one: "Thanks!", and then "Best regards,"."""
MAX_BLANK = 3
"""Blank lines between a sign-off and a name."""

_PAD = " \t\xa0\u200b\ufeff\u3000*_"
_STOPS = ",.!:;…-–—，、！。：；،؛~)( \t\xa0"
_PARTING = str.maketrans(dict.fromkeys("\"'*.,_-+()/<>", " "))
_SETS_OFF = ",.!-–—"
"""What stands between "cheers" and "bob"."""
_GREETING: Final = CLOSING["greeting"]
_STARTS: Final[dict[str, list[str]]] = {}
for _phrase in sorted(_GREETING["starts"], key=len, reverse=True):
    _STARTS.setdefault(_phrase.split()[0].rstrip(","), []).append(_phrase)
_WHOLE: Final = frozenset(_GREETING["starts"])
_JOINED: Final = tuple(_GREETING["joined"])
_ENDS: Final = tuple(_GREETING["ends"])
_ADDRESSED: Final = frozenset(_GREETING["addressed"])
_OPENERS: Final = frozenset(_GREETING["openers"])
_SIGNOFFS: Final = frozenset(" ".join(w.strip(_STOPS) for w in line.split()) for line in CLOSING["signoff"]["lines"])
_SIGNOFF_STARTS: Final = frozenset(w.split()[0] for w in _SIGNOFFS)
_MOST_WORDS: Final = max(len(w.split()) for w in _SIGNOFFS)
_SIGNOFF_JOINED: Final = tuple(CLOSING["signoff"]["joined"])
_SIGNOFF_ENDS: Final = tuple(CLOSING["signoff"]["ends"])


@lru_cache(maxsize=1024)
def known_words(names: tuple[str, ...]) -> frozenset[str]:
    """The words of a sender's name and address, in lower case: "Ann B. Lee", "a.lee@example.org" -> ann, lee."""
    text = " ".join([name if " " in name else name.partition("@")[0] for name in names])
    return frozenset([w for w in name_words(text) if not w.isdigit() and w != "via"])


def name_words(text: str) -> list[str]:
    """The words of a name in lower case, without initials: "Ann B. D'Lee" -> ann, lee. In some scripts one sign is a name."""
    return [w for w in text.lower().translate(_PARTING).split() if len(w) > 1 or not w.isascii()]


def is_name(text: str, known: frozenset[str]) -> bool:
    """May a line be a person's name? With `known`, one of its words has to be the sender's, or a short form of it."""
    words = text.strip(_STOPS + "*_/\"'").split()
    if not 1 <= len(words) <= 5 or len(text) > 50:
        return False
    low = [w.strip(_STOPS + "*_\"'").lower() for w in words]
    if known:
        if len(words) == 1 and len(low[0]) <= 3 and all(any(k.startswith(c) for k in known) for c in low[0]):
            # Initials.
            return low[0].isalpha()
        return any(_is_known(w, known) for w in low) and all(
            _is_capital(w) or x in known for w, x in zip(words, low, strict=True)
        )
    return all(
        _is_capital(w)
        and w.strip(_STOPS + "\"'").replace(".", "").replace("-", "").replace("'", "").replace("’", "").isalpha()
        for w in words
    )


def opens_with_name(line: str, known: frozenset[str]) -> bool:
    """Is one of a line's first words the sender's name: "Ann Lee <ann@example.org>", "| Ann Lee | Example Org"?"""
    words = [w.strip(_STOPS + "*_|/\"'").lower() for w in line[:60].split()]
    return not known.isdisjoint([w for w in words if w][:2])


def _is_known(word: str, known: frozenset[str]) -> bool:
    """Rob for Robert, Jon for Jonathan; and Robert where the address says rob."""
    if word in known:
        return True
    return len(word) >= 3 and any(k.startswith(word) or (len(k) >= 3 and word.startswith(k)) for k in known)


def _is_capital(word: str) -> bool:
    """Opens with a capital, or is of a script that has none."""
    first = word.lstrip("\"'(*_@")[:1]
    return bool(first) and (first.isupper() or (first.isalpha() and not first.islower()))


# ---------------------------------------------------------------- greeting


def greeting(lines: Sequence[str], start: int, end: int) -> tuple[int, str, int]:
    """(line after the greeting, rule, confidence) of an author's lines from `start`, which is not blank; (start, "", 0) if none."""
    rule, confidence = _greets(lines, start, end)
    if not rule:
        return start, "", 0
    below = start + 1
    if below < end and not lines[below].strip():
        below += 1
    if below < end and rule != "name-comma" and _greets(lines, below, end)[0] in ("greeting", "greeting-joined"):
        # "田中様", and then the greeting; "Hi Ann,", and then "Good morning!".
        return below + 1, rule, confidence
    return start + 1, rule, confidence


def _greets(lines: Sequence[str], at: int, end: int) -> tuple[str, int]:
    line = lines[at]
    if len(line) > MAX_LINE + 20:
        return "", 0
    text = line.strip(_PAD)
    if not text or len(text) > MAX_LINE:
        return "", 0
    low = text.lower()
    closed = text[-1] in ",!:.;，、！：。…-–—~)،؛"
    first = (low.split(None, 1) or ("",))[0].rstrip(",.!:;")
    for phrase in _STARTS.get(first, ()):
        if not low.startswith(phrase) or low[len(phrase) : len(phrase) + 1].isalnum():
            continue
        rest = text[len(phrase) :].strip(_STOPS)
        if low.strip(_STOPS) in _SIGNOFFS and rest:
            return "", 0
        if _addresses(rest, closed):
            return "greeting", 950 if closed or not rest else 800
        return "", 0
    if low.isascii():
        return _by_name(lines, at, end, text)
    if len(text) <= MAX_JOINED and (low.startswith(_JOINED) or low.rstrip(_STOPS).endswith(_ENDS)):
        return "greeting-joined", 900
    return _by_name(lines, at, end, text)


def _addresses(rest: str, closed: bool) -> bool:
    """Is what follows "Hello" somebody, and no sentence?"""
    if "?" in rest or "//" in rest:
        return False
    if "," in rest:
        # "Hello Ann, good morning!"
        rest = " ".join(x for x in rest.split(",") if x.strip(_STOPS).lower() not in _WHOLE)
    words = [w for w in (x.strip(_STOPS) for x in rest.replace("/", " ").split()) if w]
    if not words:
        return True
    if len(words) > 7:
        return False
    if all(w.lower() in _ADDRESSED or _is_capital(w) for w in words):
        return True
    return closed and len(words) <= 2 and rest[-1:] != "."


def _by_name(lines: Sequence[str], at: int, end: int, text: str) -> tuple[str, int]:
    """A name and a comma ("Ann,") alone above what is said to her."""
    if text[-1] not in ",，" or len(text) > 35:
        return "", 0
    words = text[:-1].split()
    if not 1 <= len(words) <= 3 or words[0].lower().strip(",") in _OPENERS or not all(_is_capital(w) for w in words):
        return "", 0
    if not all(w.strip(".,-'’").replace("-", "").replace(".", "").isalpha() for w in words):
        return "", 0
    below = lines[at + 1].strip() if at + 1 < end else ""
    return ("name-comma", 600) if not below or _is_capital(below) else ("", 0)


# ---------------------------------------------------------------- sign-off


def is_signoff(line: str, known: frozenset[str] = frozenset()) -> bool:
    """Is a line "Best regards" in some language, a name behind it or not?"""
    if len(line) > MAX_LINE + 20:
        return False
    text = line.strip(_PAD)
    if not text or len(text) > MAX_LINE:
        return False
    low = text.lower()
    if (low.split(None, 1) or ("",))[0].strip(_STOPS) in _SIGNOFF_STARTS:
        words = [w for w in (x.strip(_STOPS) for x in low.split()) if w]
        for count in range(min(len(words), _MOST_WORDS), 0, -1):
            if " ".join(words[:count]) in _SIGNOFFS:
                rest = [w for w in (x.strip(_STOPS) for x in text.split()) if w][count:]
                if not rest or (len(rest) == 1 and low.rstrip(_STOPS)[: -len(rest[0])].rstrip()[-1:] in _SETS_OFF):
                    return True
                return len(rest) <= 3 and is_name(" ".join(rest), known if known and count == 1 else frozenset())
    if low.isascii():
        return False
    return len(text) <= MAX_JOINED and low.startswith(_SIGNOFF_JOINED)


def signoff(lines: Sequence[str], start: int, end: int, known: frozenset[str]) -> tuple[int, str, int]:
    """(first line, rule, confidence) of the sign-off that ends an author's lines at `end`; (end, "", 0) if none."""
    found = end
    at, names, blank, signs = end, 0, 0, 0
    top = end
    while at > start and blank <= MAX_BLANK:
        at -= 1
        line = lines[at]
        if len(line) > MAX_LINE + 20:
            break
        if not line.strip():
            blank += 1
            continue
        if is_signoff(line, known) and signs < MAX_SIGNOFFS:
            found, blank, names, signs = at, 0, MAX_NAMES, signs + 1
        elif names < MAX_NAMES and len(line) <= MAX_LINE and _may_stand_below(line, known):
            names, blank, top = names + 1, 0, at
        else:
            break
    if found < end:
        return found, "signoff", 900
    last = end
    while last > start and not lines[last - 1].strip():
        last -= 1
    if top == last - 1 and top > start:
        text = lines[top].strip(_PAD)
        if (known and is_name(text, known)) or (
            not text.isascii() and len(text) <= MAX_JOINED and text.endswith(_SIGNOFF_ENDS)
        ):
            return top, "signoff-name", 700
    return end, "", 0


def _may_stand_below(line: str, known: frozenset[str]) -> bool:
    text = line.strip(_PAD)
    if text[:1] in "-–—/~" and len(text) > 1:
        text = text[1:].lstrip("- ")
    words = text.split()
    if not words or len(words) > 6 or text[-1] in ":?;":
        return False
    small = [w for w in words if len(w) > 3 and w[0].islower() and w.isalpha()]
    return not small or {w.lower().strip(_STOPS) for w in small} <= known
