"""Sketches and likeness: what must not matter doesn't, what is estimated is as near as it was said to be."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.flow.transform import transform
from mailloom.mail.model import Origin, Record
from mailloom.thread import near

WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=6), min_size=near.SHORT, max_size=80)
NOWHERE = Origin("", "", 0, 0, 0, 0)


def record(text: str, subject: str = "Figures", sender: str = "ann@example.org", more: str = "") -> Record:
    raw = f"From: {sender}\nTo: bo@example.com\nSubject: {subject}\nDate: Tue, 5 Mar 2024 10:00:00 +0000\n{more}\n{text}\n"
    made = transform(raw.encode(), NOWHERE).record
    assert made is not None
    return made


def spoken(count: int, seed: int = 1) -> list[str]:
    dice = random.Random(seed)
    return ["".join(dice.choices("abcdefghijklmnop", k=5)) for _ in range(count)]


def hashes(values: list[int]) -> np.ndarray:
    """Sets as good as random, of small numbers."""
    return np.unique(near._mixed(np.array(values, np.uint32)))


# ------------------------------------------------------------------------------------------------ sketches
@given(WORDS, st.lists(st.sampled_from([" ", "  ", "\n", " \t", ", ", " - "]), min_size=80, max_size=80), st.booleans())
def test_blanks_case_and_punctuation_change_nothing(words: list[str], between: list[str], upper: bool) -> None:
    plain = " ".join(words)
    other = "".join(word + blank for word, blank in zip(words, between, strict=False))
    sketch = near.sketch(record("x " * 20 + plain))
    assert len(sketch) == 8 + 4 * near.BANDS
    assert sketch == near.sketch(record("x " * 20 + (other.upper() if upper else other)))


@given(WORDS, st.integers(0, 79))
def test_one_word_changes_the_key_of_a_long_text(words: list[str], at: int) -> None:
    changed = [*words]
    changed[at % len(words)] = "other"
    a, b = (near.sketch(record("\n".join(["Hello all,", "", " ".join(text)]))) for text in (words, changed))
    assert a[:8] != b[:8]


def test_a_long_text_counts_alone_a_short_one_with_its_sender_subject_and_quote() -> None:
    long = " ".join(spoken(40))
    assert near.sketch(record(long)) == near.sketch(record(long, "Other", "bo@example.com"))
    note = near.sketch(record("Thanks, fine."))
    assert len(note) == 8
    assert note == near.sketch(record("thanks,\n\nFINE", "Re: Figures"))
    assert note != near.sketch(record("Thanks, fine.", "Other"))
    assert note != near.sketch(record("Thanks, fine.", sender="bo@example.com"))
    assert note != near.sketch(
        record("Thanks, fine.\n\nOn Mon, 4 Mar 2024 at 09:00, Bo <bo@example.com> wrote:\n> Is it?")
    )
    assert note != near.sketch(record("Thanks fine too."))


def test_what_is_quoted_does_not_count_beside_what_the_author_typed() -> None:
    long = " ".join(spoken(40))
    quoting = f"{long}\n\nOn Mon, 4 Mar 2024 at 09:00, Bo <bo@example.com> wrote:\n> " + "\n> ".join(spoken(60, 2))
    assert near.sketch(record(long)) == near.sketch(record(quoting))


def test_a_bare_forward_is_compared_by_what_it_forwards() -> None:
    inside = " ".join(spoken(60))
    head = "---------- Forwarded message ---------\nFrom: Cy <cy@example.net>\nDate: Mon, 4 Mar 2024 at 09:00\nSubject: Plan\nTo: Ann <ann@example.org>\n\n"
    one, two = record(head + inside, "Fwd: Plan"), record(head + inside, "Fwd: Plan", "bo@example.com")
    assert one.message.reply_text == ""
    assert near.sketch(one) == near.sketch(two)
    assert len(near.sketch(one)) > 8


def test_no_words_no_sketch() -> None:
    assert near.sketch(record("")) == b""
    assert near.sketch(record("---")) == b""


# ------------------------------------------------------------------------------------------------ likeness
@given(st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
def test_likeness_is_jaccard(a: set[int], b: set[int]) -> None:
    want = len(a & b) / len(a | b) if a | b else 0.0
    assert near.alike(hashes(sorted(a)), hashes(sorted(b))) == pytest.approx(want)


@given(WORDS, WORDS)
def test_likeness_is_of_runs_of_words_and_the_same_both_ways(a: list[str], b: list[str]) -> None:
    def runs(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[i : i + near.SHINGLE]) for i in range(len(words) - near.SHINGLE + 1)}

    one, two = (near.Text([word.encode() for word in words], ()) for words in (a, b))
    want = len(runs(a) & runs(b)) / len(runs(a) | runs(b))
    assert near.likeness(one, two) == near.likeness(two, one) == pytest.approx(want)


def test_short_texts_are_alike_all_or_not_at_all() -> None:
    short = near.Text([b"fine"] * (near.SHORT - 1), (b"ann",))
    assert near.likeness(short, short) == 1.0
    assert near.likeness(short, short._replace(context=(b"bo",))) == 0.0
    assert near.likeness(short, near.Text([b"fine"] * near.SHORT, ())) == 0.0
    assert near.likeness(near.Text([], ()), near.Text([], ())) == 0.0


@pytest.mark.parametrize("size", [20, 60, 200])
@pytest.mark.parametrize(
    ("likeness", "least", "most"), [(0.3, 0, 0.04), (0.5, 0.03, 0.25), (0.8, 0.9, 1), (0.9, 0.97, 1), (1.0, 1, 1)]
)
def test_bands_find_as_many_pairs_as_the_docs_say(size: int, likeness: float, least: float, most: float) -> None:
    """400 pairs of random sets: the bounds are the formula's value and four standard errors, with room for short texts."""
    numbers = np.random.default_rng(size)
    both = round(2 * size * likeness / (1 + likeness))
    found = 0
    for _ in range(400):
        values = numbers.integers(0, 1 << 32, 2 * size - both, dtype=np.uint32)
        found += bool((near.bands(values[:size]) == near.bands(values[size - both :])).any())
    assert least <= found / 400 <= most


def test_bands_are_of_the_set_not_of_its_order_or_repetitions() -> None:
    values = near.shingles([word.encode() for word in spoken(50)])
    assert (near.bands(values) == near.bands(np.concatenate((values[::-1], values)))).all()


def test_a_sketch_is_the_same_in_every_process_and_version() -> None:
    """Archives hold them: who changes this makes `doctor` call every archive's sketches wrong."""
    text = " ".join(f"word{number}" for number in range(30))
    assert near.sketch(record(text)).hex()[:48] == "2a3ddc6ea5916c1125ea31d419b67f981296638bdccdb02a"
