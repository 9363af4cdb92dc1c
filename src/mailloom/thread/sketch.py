"""Text -> the hashes of its word runs, sampled: how much of a quote stands in another mail's own text, from a few hundred bytes.

A run is six words in a row. Its hash is 64 bits; those below a bound are kept, the lower the longer the text (scaled MinHash:
Irber and others, 2022), so that any two sketches can be compared at the coarser of both bounds, and the smallest hashes of a text are
the same in whichever sketch of it.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeAlias
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

RUN: Final = 6
"""Words: five still meet by chance in mail of one trade ("let me know if you"), eight miss more quotes that were edited."""
SHORTEST: Final = 4
"""A text with fewer words says what many say ("thanks, works now")."""
KEPT: Final = 128
"""Runs that are kept of a text before it is sampled: about as many as of a mail of one screen."""
MOST_WORDS: Final = 2_000
"""Of a text: what is longer is a log or a book, and its beginning tells it apart."""

Hashes: TypeAlias = NDArray[np.uint64]
_NONE: Final[Hashes] = np.empty(0, np.uint64)

# Chinese and Japanese are written without blanks: each of their characters is a word.
_SIGN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SPACED = r" \g<0> "
_MARKS: Final = "\xa0\xab\xbb\u2010\u2011\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2022\u2026\u202f\u3000\u3001\u3002\uff01\uff0c\uff1a\uff1f"
"""Of other alphabets: blanks, quotation marks, dashes, full stops, the ones that a client may write otherwise in a quote among them."""
_LETTERS: Final = bytes(c if c > 127 or chr(c).isalnum() else 32 for c in range(256))
"""In UTF-8: what is no letter and no digit of ASCII becomes a blank."""
_FACTORS: Final = np.array([pow(0x9E3779B97F4A7C15, power, 1 << 64) for power in range(RUN)], np.uint64)
_MIX: Final = np.uint64(0xD6E8FEB86659FD93)
_HALF: Final = np.uint64(32)


def words(text: str) -> list[bytes]:
    """Letters and digits, case folded, as UTF-8: blanks, line breaks, quote marks and punctuation are how a text looks."""
    text = text.casefold()
    if not text.isascii():
        for mark in _MARKS:
            text = text.replace(mark, " ")
        text = _SIGN.sub(_SPACED, text)
    return text.encode("utf-8", "replace").translate(_LETTERS).split()


class Sketch(NamedTuple):
    """`hashes` are sorted, the upper 32 of 64 bits of those below 2^(64 - `shift`)."""

    shift: int
    hashes: NDArray[np.uint32]


def runs(text: str) -> Hashes:
    """The hash of each run of words in a text, sorted, each once. A text between SHORTEST and RUN words is one run."""
    found = words(text[: 8 * MOST_WORDS])[:MOST_WORDS]
    if len(found) < SHORTEST:
        return _NONE
    values = np.fromiter(map(crc32, found), np.uint64, len(found))
    hashes = np.convolve(values, _FACTORS[: len(found)], "valid")
    for _ in range(2):
        hashes ^= hashes >> _HALF
        hashes *= _MIX
    hashes ^= hashes >> _HALF
    hashes.sort()
    first = np.empty(len(hashes), bool)
    first[0] = True
    np.not_equal(hashes[1:], hashes[:-1], out=first[1:])
    return hashes[first]


def sketch(hashes: Hashes) -> Sketch:
    """At most about KEPT of a text's runs."""
    shift = max(0, (len(hashes) - 1).bit_length() - KEPT.bit_length() + 1)
    kept = hashes[: np.searchsorted(hashes, np.uint64(1 << (64 - shift)))] if shift else hashes
    return Sketch(shift, (kept >> _HALF).astype(np.uint32))


def pack(hashes: Hashes) -> bytes:
    """A sketch as bytes, b"" for a text without runs."""
    if not len(hashes):
        return b""
    one = sketch(hashes)
    return bytes([one.shift]) + one.hashes.astype("<u4").tobytes()


def unpack(packed: bytes) -> Sketch:
    if not packed:
        return Sketch(0, np.empty(0, np.uint32))
    return Sketch(packed[0], np.frombuffer(packed, "<u4", offset=1))


def contained(part: Sketch, whole: Sketch, without: frozenset[int] = frozenset()) -> tuple[int, int]:
    """(runs of `part` that stand in `whole`, runs of `part`), as far as both sketches have them, those of `without` left out."""
    shift = max(part.shift, whole.shift)
    low = _below(part, shift)
    if without:
        low = low[~np.isin(low, np.fromiter(without, np.uint32, len(without)))]
    return int(np.isin(low, _below(whole, shift), assume_unique=True).sum()), len(low)


def _below(one: Sketch, shift: int) -> NDArray[np.uint32]:
    if one.shift >= shift:
        return one.hashes
    return one.hashes[: np.searchsorted(one.hashes, np.uint32(1 << (32 - shift)))]
