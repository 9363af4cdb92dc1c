"""What is copied out of a text: one form of Unicode, nothing invisible."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.mail.parse import parse
from mailloom.mail.visible import visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain", "plain"),
        ("cafe\u0301", "caf\xe9"),
        ("in\u00advis\u200bible\ufeff", "invisible"),
        ("Offer\u034f\u200c \u034f\u200c \u034f\u200c ", "Offer   "),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),  # a joiner that shapes
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467!", "\U0001f468\u200d\U0001f469\u200d\U0001f467!"),
        ("\u200fשלום\u200e", "שלום"),
        ("a\xa0b\tc\n", "a\xa0b\tc\n"),
    ],
)
def test_what_is_seen(text: str, seen: str) -> None:
    assert visible(text) == seen


@given(st.text() | st.text(alphabet="ae\u0301\u200b\u200c\u200d \ufeff"))
def test_seen_once_is_seen_again(text: str) -> None:
    once = visible(text)
    assert visible(once) == once
    assert unicodedata.is_normalized("NFC", once)


def test_a_reply_is_clean_and_its_text_is_as_it_was() -> None:
    one = parse("Content-Type: text/plain; charset=utf-8\n\nCafe\u0301\u200b?\n".encode())
    assert (one.text, one.reply_text) == ("Cafe\u0301\u200b?", "Caf\xe9?")
