"""How many near duplicates the bands find, what they cost, and why shingles have the length they have: docs/duplicates.md.

    python bench/near.py [FOLDER...] [--mails N] [--seed N]

Without folders on made-up mail. Three tables:
  curve    texts edited at random (words replaced, put in and left out), pairs by their Jaccard similarity: how many have an equal band,
           beside what the formula says
  pairs    all pairs of the mails, exactly, against those that have an equal band
  lengths  shingles of 1 to 6 words: how well "at least .8" agrees with an edit distance over words (difflib) of the same pairs
and the CPU time of a sketch. Same seed, same tables, but for the times.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix

from mailloom.archive.duplicates import THRESHOLD
from mailloom.flow.transform import transform
from mailloom.mail.model import Origin, Record
from mailloom.sources import Item, load, walk
from mailloom.synth import generate, shape_of
from mailloom.thread import near

EDGES = [0.0, 0.2, 0.25, 0.35, 0.45, 0.55, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.01]
AGREE = 0.9  # of the words in order: what the referee calls the same text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--mails", type=int, default=3000, help="at most, of each folder")
    parser.add_argument("--edits", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    records = [r for f in given.folders for r in read(f, given.mails)] or made_up(given.mails, given.seed)
    texts = [near.text_of(record).words for record in records]
    long = list({b" ".join(words): words for words in texts if len(words) >= near.SHORT}.values())
    print(f"{len(records):,} mails, {len(long):,} different texts of {near.SHORT} words and more")
    cost(records, texts)
    curve(long, given.edits, random.Random(given.seed))
    pairs(long)
    lengths(long)


def read(folder: str, most: int) -> list[Record]:
    mails = (m for x in walk(folder) if isinstance(x, Item) and isinstance(m := load(x), Item))
    made = (transform(m.raw, m.origin).record for m, _ in zip(mails, range(most), strict=False))
    return [record for record in made if record is not None]


def made_up(mails: int, seed: int) -> list[Record]:
    nowhere = Origin("", "", 0, 0, 0, 0)
    made = (transform(mail.raw, nowhere).record for mail in generate(mails, seed, shape_of("")))
    return [record for record in made if record is not None]


# ------------------------------------------------------------------------------------------------ cost
def cost(records: list[Record], texts: list[list[bytes]]) -> None:
    words = sum(map(len, texts)) / len(texts)
    print(f"sketch: {timed(near.sketch, records):.0f} us a mail of {words:.0f} words in the mean, all of it")
    even = [(words * (200 // len(words) + 1))[:200] for words in texts if len(words) >= near.SHORT]
    spoken = [b" ".join(words).decode() for words in even]
    parts = (
        timed(near.words, spoken),
        timed(near.shingled, even),
        timed(lambda w: near.bands(near.shingled(w)), even),
    )
    print(f"of 200 words: words {parts[0]:.0f} us, shingles {parts[1]:.0f} us, bands {parts[2] - parts[1]:.0f} us")
    sizes = Counter(len(near.sketch(record)) for record in records)
    print(f"bytes: {sum(size * count for size, count in sizes.items()) / len(records):.0f} a mail")


def timed(work, values) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for value in values:
            work(value)
        best = min(best, time.process_time() - began)
    return best / len(values) * 1e6


# ------------------------------------------------------------------------------------------------ curve
def curve(texts: list[list[bytes]], edits: int, dice: random.Random) -> None:
    """Each text against itself with a random share of its words changed."""
    tried, found, expected = Counter(), Counter(), Counter()
    for _ in range(edits):
        words = dice.choice(texts)
        a, b = near.shingles(words), near.shingles(edited(words, dice.random() ** 2 * 0.4, dice))
        bin_ = which(likeness := near.alike(a, b))
        tried[bin_] += 1
        found[bin_] += bool((near.bands(a) == near.bands(b)).any())
        expected[bin_] += formula(likeness)
    print("\ncurve    similarity      pairs    found   formula")
    for bin_, (low, high) in enumerate(pairwise(EDGES)):
        if tried[bin_]:
            share, said = found[bin_] / tried[bin_], expected[bin_] / tried[bin_]
            print(
                f"         {low:.2f} - {min(high, 1):.2f} {tried[bin_]:>10,}   {share:6.4f}    {said:6.4f}  {'#' * round(share * 40)}"
            )


def edited(words: list[bytes], rate: float, dice: random.Random) -> list[bytes]:
    out = []
    for word in words:
        if dice.random() >= rate:
            out.append(word)
            continue
        change = dice.randrange(3)
        if change:
            out.append(b"w%d" % dice.randrange(10**9))
        if change == 1:
            out.append(word)
    return out


def formula(likeness: float) -> float:
    return 1 - (1 - likeness**near.ROWS) ** near.BANDS


def which(likeness: float) -> int:
    return next(n for n, (low, high) in enumerate(pairwise(EDGES)) if low <= likeness < high)


# ------------------------------------------------------------------------------------------------ pairs
def pairs(texts: list[list[bytes]]) -> None:
    """Every pair of the mails, exactly."""
    a, b, likeness = exact([near.shingles(words) for words in texts], 0.2)
    bands = np.array([near.bands(near.shingles(words)) for words in texts])
    met = (bands[a] == bands[b]).any(axis=1)
    share = np.where(met, likeness, 0)
    print("\npairs    similarity      pairs    found")
    for low, high in pairwise(EDGES[1:]):
        inside = (likeness >= low) & (likeness < high)
        if inside.any():
            print(f"         {low:.2f} - {min(high, 1):.2f} {inside.sum():>10,}   {met[inside].mean():6.4f}")
    total = sum(sum(n * (n - 1) // 2 for n in Counter(column.tolist()).values()) for column in bands.T)
    print(
        f"         equal bands in all: {total:,}, of {len(texts) * (len(texts) - 1) // 2:,} pairs; near duplicates among them: {(share >= THRESHOLD).sum():,}"
    )


def exact(sets: list[np.ndarray], least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(a, b, Jaccard similarity) of all pairs that have at least `least`."""
    _, column = np.unique(np.concatenate(sets), return_inverse=True)
    sizes = np.array([len(one) for one in sets])
    starts = np.concatenate(([0], np.cumsum(sizes)))
    table = csr_matrix((np.ones(len(column), np.int32), column, starts))
    both = (table @ table.T).tocoo()
    upper = both.row < both.col
    a, b, shared = both.row[upper], both.col[upper], both.data[upper]
    likeness = shared / (sizes[a] + sizes[b] - shared)
    enough = likeness >= least
    return a[enough], b[enough], likeness[enough]


# ------------------------------------------------------------------------------------------------ lengths
def lengths(texts: list[list[bytes]]) -> None:
    """The referee looks at all pairs that share half of their words."""
    kept, near.SHINGLE = near.SHINGLE, 1
    a, b, _ = exact([near.shingles(words) for words in texts], 0.5)
    some = np.random.default_rng(1).permutation(len(a))[:20_000]
    a, b = a[some], b[some]
    same = np.array([judged(texts[i], texts[j]) >= AGREE for i, j in zip(a, b, strict=True)])
    print(f"\nlengths  {len(a):,} pairs share half of their words, the referee takes {same.sum():,} for the same text")
    print("         words   said alike   of these right   of the same found")
    for near.SHINGLE in range(1, 7):
        sets = [near.shingles(words) for words in texts]
        for threshold in (0.7, 0.8):
            said = np.array([near.alike(sets[i], sets[j]) >= threshold for i, j in zip(a, b, strict=True)])
            right = (said & same).sum()
            print(
                f"         {near.SHINGLE} at {threshold:.1f} {said.sum():>10,} {right / max(1, said.sum()):>16.3f} {right / max(1, same.sum()):>18.3f}"
            )
    near.SHINGLE = kept


def judged(a: list[bytes], b: list[bytes]) -> float:
    """The share of words in order that both have (difflib), of short texts and long ones alike."""
    if min(len(a), len(b)) < 0.8 * max(len(a), len(b)):
        return 0.0
    return SequenceMatcher(None, a[:2000], b[:2000], autojunk=False).ratio()


if __name__ == "__main__":
    main()
