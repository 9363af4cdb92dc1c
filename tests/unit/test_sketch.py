"""How much of one text stands in another, told from sketches of both."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.thread.sketch import KEPT, MOST_WORDS, RUN, SHORTEST, contained, pack, runs, sketch, unpack, words

R = Random(5)
WORDS = [f"{R.choice('bdfgklmnprst')}{R.choice('aeiou')}{n}" for n in range(5000)]


def text(count: int, seed: int) -> str:
    return " ".join(Random(seed).choices(WORDS, k=count))


def share(part: str, whole: str) -> tuple[int, int]:
    return contained(unpack(pack(runs(part))), unpack(pack(runs(whole))))


def exact(part: str, whole: str) -> float:
    """The same without hashes and samples."""
    a, b = ({tuple(w[i : i + RUN]) for i in range(len(w) - RUN + 1)} for w in (part.split(), whole.split()))
    return len(a & b) / len(a)


def test_a_text_holds_itself_and_nothing_of_another() -> None:
    one, other = text(90, 1), text(90, 2)
    assert share(one, one) == (85, 85)
    assert share(one, other) == (0, 85)


@pytest.mark.parametrize(
    "written",
    [
        "The new pump arrives on Friday, so please clear the yard before noon.",
        "the NEW pump   arrives on friday\nso please clear the yard before noon",
        "> The new pump arrives\n> on Friday, so please\n> clear the yard before noon.",
        "The *new* pump arrives on _Friday_, so please clear the yard before noon…",
        "The\xa0new pump arrives on “Friday”, so please clear the yard — before noon.",
    ],
)
def test_blanks_case_marks_and_quote_signs_do_not_count(written: str) -> None:
    plain = "the new pump arrives on friday so please clear the yard before noon"
    found, of = share(written, plain)
    assert found == of == 8


def test_signs_without_blanks_between_are_words() -> None:
    found, of = share("明日の会議は十時からです", "皆様へ。明日の会議は十時からです。よろしくお願いします。")
    assert found == of == 7


@pytest.mark.parametrize(("length", "count"), [(0, 0), (SHORTEST - 1, 0), (SHORTEST, 1), (RUN, 1), (RUN + 1, 2)])
def test_a_short_text_is_one_run_or_none(length: int, count: int) -> None:
    assert len(runs(text(length, 3))) == count


@given(st.integers(20, 1500), st.integers(20, 1500), st.floats(0, 1), st.integers(0, 1000))
def test_the_share_is_near_the_exact_one(own: int, quoted: int, kept: float, seed: int) -> None:
    """Within what sampling allows: at six standard deviations of a hypergeometric draw."""
    whole = text(own, seed)
    lines = whole.split()
    part = " ".join(lines[: max(RUN, int(kept * own))] + text(quoted, seed + 1).split())
    found, of = share(part, whole)
    truth = exact(part, whole)
    assert abs(found / max(of, 1) - truth) <= 6 * (0.25 / max(of, 1)) ** 0.5


@given(st.text(max_size=400))
def test_any_text_has_a_sketch_that_can_be_packed(some: str) -> None:
    hashes = runs(some)
    one = unpack(pack(hashes))
    assert list(one.hashes) == list(sketch(hashes).hashes) == sorted(set(one.hashes))
    assert contained(one, one) == (len(one.hashes), len(one.hashes))


def test_a_sketch_is_bounded() -> None:
    for length in (200, 1000, MOST_WORDS, 10 * MOST_WORDS):
        one = sketch(runs(text(length, 4)))
        assert KEPT / 3 < len(one.hashes) <= 1.5 * KEPT


def test_the_smallest_hashes_are_in_every_sketch_of_the_text() -> None:
    """What anchors rest on: a mail is found by a few runs, whatever else stands in the quote."""
    own, more = text(100, 6), text(900, 7)
    smallest = runs(own)[:8]
    assert set(smallest.tolist()) <= set(runs(f"{own} {more}").tolist())


def test_runs_that_are_everywhere_can_be_left_out() -> None:
    common, own = text(40, 8), text(40, 9)
    part, whole = (unpack(pack(runs(t))) for t in (f"{own} {common}", common))
    without = frozenset((runs(common) >> 32).tolist())
    assert contained(part, whole)[0] == 35
    assert contained(part, whole, without) == (0, 40)


# ------------------------------------------------------------------------------------------------ words
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("> e-mail\r\n>  at_once", ["e", "mail", "at", "once"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("今日は晴れ ok", ["今", "日", "は", "晴", "れ", "ok"]),
        ("한국어 메일", ["한국어", "메일"]),
        ("x²", ["x²"]),
        ("lone \ud800 half", ["lone", "half"]),
        ("", []),
        ("--- *** ---", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert [word.decode() for word in words(text)] == found


@given(st.text(st.characters(codec="ascii")))
def test_ascii_has_the_same_words_on_both_ways(text: str) -> None:
    assert words(text + " é")[:-1] == words(text)
