"""What tells near duplicates: a sketch of each message to find them by, and how alike two of them are.

The rule it keeps: a sketch is a function of one message, and likeness one of two, so neither order nor batches nor who else is
there can change an answer. A near duplicate is a mark, never a link: no thread is made of it.

Alike is the Jaccard similarity of the sets of two words in a row (shingles: Broder, "On the resemblance and containment of
documents", 1997) of what the authors typed. A sketch holds MinHash values of that set, folded into bands (Indyk and Motwani 1998): two
messages are compared if a band is equal. docs/duplicates.md tells how many pairs that finds, as measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import numpy as np

from mailloom.mail.model import Record
from mailloom.mail.visible import visible
from mailloom.thread.keys import short_hash
from mailloom.thread.sketch import words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint32]

SHINGLE = 2
"""Words in a row. Of 696 pairs of real mails with nine tenths of their words in order the same, "at least .8" says so of 94 % with two words
and of 78 % with three, and is right in 93 and 95 % of what it says (bench/near.py)."""
SHORT = 20
"""Words. Less is a note like another by chance, or differs in the one word that matters: equal or nothing."""
BANDS, ROWS = 18, 7
"""A pair of likeness j has an equal band with 1 - (1 - j**7)**18: .985 at .8, .99998 at .9, .13 at .5, .004 at .3."""
MAX_LETTERS = 1 << 20
"""What is looked at of a text: bounds memory. What comes after the first million letters is a log or a dump."""


class Text(NamedTuple):
    """What is compared of a message: its words in lower case, as UTF-8, and what else must be equal where they are few."""

    words: list[bytes]
    context: tuple[bytes, ...]


def text_of(record: Record) -> Text:
    """What the author typed; the whole text where that is nothing, as in a bare forward.

    A short text means nothing alone ("Thanks!"): sender, base subject and whole text are then part of what must be equal.
    """
    message = record.message
    own = words(message.reply_text[:MAX_LETTERS])
    if len(own) >= SHORT:
        return Text(own, ())
    whole = words(visible(message.text)[:MAX_LETTERS])
    some = own or whole
    if len(some) >= SHORT:
        return Text(some, ())
    sender = message.from_[0].key if message.from_ else ""
    context = (sender.encode("utf-8", "surrogatepass"), *words(record.base_subject), b"", *whole)
    return Text(some, context)


# ------------------------------------------------------------------------------------------------ shingles
_STEP = np.uint32(0x9E3779B1)  # odd, so that multiplying loses nothing


def shingles(some: list[bytes]) -> Hashes:
    """The set of shingles as 32-bit hashes in order; of fewer words than a shingle has, none."""
    return np.unique(shingled(some))


def shingled(some: list[bytes]) -> Hashes:
    """The same in the order of the text, as often as they come: enough for a sketch."""
    one = np.fromiter(map(crc32, some), np.uint32, len(some))
    count = max(0, len(some) - SHINGLE + 1)
    rolled = np.zeros(count, np.uint32)
    for ahead in range(SHINGLE):
        rolled *= _STEP
        rolled += one[ahead : count + ahead]
    return _mixed(rolled)


def _mixed(h: Hashes) -> Hashes:
    """Every bit of the input changes every bit of the output: the finalizer of MurmurHash3 (A. Appleby). In place."""
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def alike(a: Hashes, b: Hashes) -> float:
    """Jaccard similarity of two sets of shingles; 0 where both are empty."""
    both = len(np.intersect1d(a, b, assume_unique=True))
    either = len(a) + len(b) - both
    return both / either if either else 0.0


def likeness(a: Text, b: Text) -> float:
    """How alike two texts are, from 0 to 1: all or nothing where one of them is short."""
    if len(a.words) < SHORT or len(b.words) < SHORT:
        return float(a == b and bool(a.words))
    return alike(shingles(a.words), shingles(b.words))


# ------------------------------------------------------------------------------------------------ sketch
_VALUES = BANDS * ROWS
_EDGES = (np.arange(_VALUES, dtype=np.uint64) * (1 << 32) // _VALUES).astype(np.uint32)
# Bins that lie side by side borrow the same value in a short text, so the rows of a band come from all over.
_BINS = np.argsort(_mixed(np.arange(_VALUES, dtype=np.uint32)))
_FOLD = np.cumprod(np.full(ROWS, _STEP), dtype=np.uint32)


def bands(shingled: Hashes) -> Hashes:
    """MinHash with one permutation (Li, Owen, Zhang 2012): the least hash of each of 126 ranges, an empty range taking that of the next
    (Shrivastava, Li 2014), folded by sevens.
    """
    least = np.sort(shingled)
    values = least.take(np.searchsorted(least, _EDGES), mode="wrap")[_BINS]
    return _mixed((values.reshape(BANDS, ROWS) * _FOLD).sum(axis=1, dtype=np.uint32))


def sketch(record: Record) -> bytes:
    """8 bytes that are equal where words and context are, then a 4-byte hash of each band; the first alone for a short text, and
    b"" for none.
    """
    some, context = text_of(record)
    if not some:
        return b""
    if len(some) < SHORT:
        return short_hash("short text", b" ".join((*some, b"", *context)))
    return short_hash("text", b" ".join(some)) + bands(shingled(some)).astype("<u4").tobytes()
