"""The words of phrases.toml, loaded once and made into tables that are looked up or searched in linear time."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import lru_cache
from pkgutil import get_data
from typing import Any, Final

# Not importlib.resources: it loads zipfile, tempfile and what they need, which takes longer than all that is done here.
_TOML: dict[str, Any] = tomllib.loads((get_data(__package__, "phrases.toml") or b"").decode("utf-8"))


def _longest_first(words: list[str]) -> str:
    return "|".join(re.escape(w) for w in sorted(set(words), key=lambda w: (-len(w), w)))


FORWARD_LINES: Final = frozenset(_TOML["forward"]["lines"])
FORWARD_STARTS: Final = tuple(_TOML["forward"]["starts"])
ORIGINAL_LINES: Final = frozenset(_TOML["original"]["lines"])
_ABOVE: Final = tuple(_TOML["footer"]["above"])
_ABOVE_WORDS: Final = frozenset(max(words.split(), key=len) for words in _ABOVE if words.isascii())
CLOSING: Final[dict[str, dict[str, Any]]] = {
    name: _TOML[name] for name in ("device", "greeting", "signoff", "advert", "footer", "disclaimer", "banner", "card")
}
"""The tables of what stands above and below an author's words, for the modules that look for it."""
SUBJECT_FORWARD: Final = frozenset(_TOML["subject"]["forward"])
SUBJECT_REPLY: Final = frozenset(_TOML["subject"]["reply"])
_SUBJECT_IN: Final[dict[str, dict[str, list[str]]]] = _TOML["subject"]["in"]


def has_any(text: str, words: Sequence[str]) -> bool:
    """Does a text, in lower case, hold any of some words, or pieces of words?"""
    for word in words:  # noqa: SIM110  # a generator doubles the cost of what every mail passes
        if word in text:
            return True
    return False


VERB: Final = re.compile(
    rf"(?<!\w)(?:{_longest_first(_TOML['attribution']['verbs'])})(?!\w)|{_longest_first(_TOML['attribution']['joined'])}",
    re.IGNORECASE,
)
"""What "wrote" is called, to take it out of a line."""
_VERB_WORDS: Final = frozenset(w for w in _TOML["attribution"]["verbs"] if " " not in w)
_VERBS: Final = _VERB_WORDS | {
    max(phrase.split(), key=len)
    for phrase in _TOML["attribution"]["verbs"]
    if not _VERB_WORDS.intersection(phrase.split())
}
_VERBS_WITH: Final = {
    word: sorted((v for v in _TOML["attribution"]["verbs"] if word in v.split()), key=len, reverse=True)
    for word in _VERBS
}
AROUND: Final = frozenset(_TOML["attribution"]["around"])
"""Words beside a name in an attribution that are no part of it."""
_JOINED_VERBS: Final = tuple(_TOML["attribution"]["joined"])


def says_above(text: str) -> bool:
    """Does a line ask to answer above it?"""
    low = text.lower()
    if low.isascii() and _ABOVE_WORDS.isdisjoint(low.split()):
        return False
    return any(words in low for words in _ABOVE)


def _words(low: str) -> list[str]:
    return low.replace(":", " ").replace(">", " ").replace(",", " ").replace("*", " ").replace("：", " ").split()


def says_wrote(text: str) -> bool:
    """Does a line hold a word for "wrote" in any language? Words are looked up: a search for each would cost more."""
    low = text.lower()
    return not _VERBS.isdisjoint(_words(low)) or (not low.isascii() and any(w in low for w in _JOINED_VERBS))


def without_wrote(text: str) -> str:
    """A line with the phrase for "wrote" replaced by a NUL, which parts what stands around it."""
    low = text.lower()
    if not low.isascii():
        return VERB.sub("\0", text)
    # The last one: "Said" is a name, too.
    for word in reversed(_words(low)):
        for verb in _VERBS_WITH.get(word, ()):
            at = low.rfind(verb)
            if at >= 0:
                return f"{text[:at]}\0{text[at + len(verb) :]}"
    return text


LEAD: Final = re.compile(rf"(?:{_longest_first(_TOML['attribution']['leads'])})(?![^\W\d_])", re.IGNORECASE)
"""What an attribution line opens with, for `match`."""

LABELS: Final[dict[str, str]] = {}
"""Label in lower case -> from, to, cc, bcc, date, subject, reply_to or other. A label that two languages use differently
("an", "do") keeps its first meaning here; LANGUAGE_LABELS tells them apart."""
LANGUAGE_LABELS: Final[dict[str, dict[str, str]]] = {}
LANGUAGES_OF_FROM: Final[dict[str, tuple[str, ...]]] = {}
"""What "From" is called -> the languages that call it so."""


def _fill() -> None:
    from_words: dict[str, list[str]] = {}
    for language, table in _TOML["labels"].items():
        own = LANGUAGE_LABELS[language] = {}
        for name, words in table.items():
            for word in words:
                own.setdefault(word, name)
                LABELS.setdefault(word, name)
                if name == "from":
                    from_words.setdefault(word, []).append(language)
    LANGUAGES_OF_FROM.update({word: tuple(languages) for word, languages in from_words.items()})


_fill()
LONGEST_LABEL: Final = max(map(len, LABELS))


MAX_TAGS = 4
"""Names in brackets before a subject's prefix: of a list, and of the list that it feeds."""


MAX_PREFIXED = 998
"""Characters of a subject in which its prefix is looked for (RFC 5322 section 2.1.1: no line is longer)."""


def subject_says(subject: str, word: str = "") -> str:
    """What the first prefix of a subject says that this mail is: "forward", "reply" or "". Where languages differ ("VS" is a
    reply in Finnish and a forward in Danish), `word` decides: what the head calls "From".
    """
    return _says(subject[:MAX_PREFIXED], word)


@lru_cache(maxsize=512)  # a thread's mails come close together
def _says(subject: str, word: str) -> str:
    subject = subject.lstrip()
    for _ in range(MAX_TAGS):
        # Lists put their name in front.
        if subject[:1] != "[" or "]" not in subject:
            break
        subject = subject.partition("]")[2].lstrip()
    head, colon, _ = subject.replace("：", ":").partition(":")
    prefix = head.strip().lower()
    if not colon or len(prefix) > 20:
        return ""
    if prefix.endswith("]"):
        prefix = prefix.partition("[")[0].strip()
    forward, reply = prefix in SUBJECT_FORWARD, prefix in SUBJECT_REPLY
    if forward and reply:
        languages = LANGUAGES_OF_FROM.get(word, ())
        return next((said for said, own in _SUBJECT_IN.get(prefix, {}).items() if set(own) & set(languages)), "")
    if forward == reply:
        return ""
    return "forward" if forward else "reply"
