"""How well a prediction agrees with what is expected of a case.

Text is compared as its words: exactly, and as token F1 (the harmonic mean of the shares of predicted and of expected words that agree).
Forwards are compared field by field. Real replies have no labels, but the message they answer: what is found in it was quoted.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from email.utils import parseaddr
from typing import Any

# Chinese, Japanese and Korean are written without blanks: each character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_UNSEEN = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0xFEFF, 0x2060, 0xAD, *range(0x202A, 0x202F)))
_SIGNS = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
# "Name [mailto:name@host]" and "Name (name@host)", as Outlook writes them.
_IN_BRACKETS = re.compile(r"[\[(](?:mailto:)?([^\s()\[\]]+@[^\s()\[\]]+)[\])]")
SHINGLE = 5  # words in a row that tell a quotation from a turn of phrase


def plain(text: object) -> str:
    return " ".join(unicodedata.normalize("NFC", str(text or "")).translate(_UNSEEN).split())


def exact_and_f1(expected: str, got: object) -> tuple[float, float]:
    want, have = Counter(_WORD.findall(plain(expected))), Counter(_WORD.findall(plain(got)))
    return float(plain(expected) == plain(got)), _f1((want & have).total(), have.total(), want.total())


def _f1(both: int, predicted: int, expected: int) -> float:
    if not predicted and not expected:
        return 1.0
    return 2 * both / (predicted + expected)


def forward(expected: Mapping[str, Any], got: Sequence[Mapping[str, Any]]) -> float:
    """1.0 where the first forwarded message has every field that is expected of it."""
    if not got:
        return 0.0
    said = got[0]
    for field in ("subject", "body", "body_prefix"):
        want = expected.get(field)
        if want is None:
            continue
        have = plain(said.get("body" if field == "body_prefix" else field))
        if have[: len(plain(want))] != plain(want) or (field != "body_prefix" and have != plain(want)):
            return 0.0
    if expected.get("from") and _person(expected["from"]) != _person(said.get("from")):
        return 0.0
    return float(
        all(
            _people(expected[field]) == _people(said.get(field))
            for field in ("to", "cc")
            if expected.get(field) is not None
        )
    )


def _person(given: object) -> tuple[str, str]:
    if isinstance(given, Mapping):
        return plain(given.get("name")).strip("\"' "), plain(given.get("address")).lower()
    if "@" not in str(given or ""):
        return plain(given).strip("\"' "), ""
    name, address = parseaddr(_IN_BRACKETS.sub(r"<\1>", str(given or "")))
    return plain(name), address.lower()


def _people(given: object) -> list[str]:
    """Addresses, or names where none has an address."""
    if isinstance(given, str):
        given = re.split(r"[;,](?=[^,;]*@)", given)
    pairs = [_person(one) for one in given] if isinstance(given, Iterable) else []
    return sorted(address for _, address in pairs) if any(a for _, a in pairs) else sorted(name for name, _ in pairs)


def quoted_and_own(
    cases: Iterable[Mapping[str, Any]], got: Mapping[str, Mapping[str, Any]]
) -> tuple[float, float, float]:
    """(f, leak, loss) of replies: what was left of the answered message's words, and what was lost of the others."""
    leaked = quoted = kept = own = 0
    for case in cases:
        body, parent = _shingles(case["input"]["body"]), _shingles(case["parent"])
        left = _shingles(got.get(case["id"], {}).get("reply_full"))
        old = Counter({words: n for words, n in body.items() if words in parent})
        new = body - old
        leaked, quoted = leaked + (old & left).total(), quoted + old.total()
        kept, own = kept + (new & left).total(), own + new.total()
    purity, share = kept / max(1, kept + leaked), kept / max(1, own)
    return 2 * purity * share / max(1e-9, purity + share), leaked / max(1, quoted), 1 - share


def _shingles(text: object) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", _SIGNS.sub("", str(text or "")).lower())
    return Counter(tuple(words[i : i + SHINGLE]) for i in range(len(words) - SHINGLE + 1))
