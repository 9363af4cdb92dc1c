"""What may be written as a shape, and what is said about the rest."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.synth import DEFAULT, Shape, ShapeError, generate, shape_of
from mailloom.synth.shape import MIXES, mix


def test_nothing_is_the_default() -> None:
    assert shape_of("") == shape_of(" , ") == DEFAULT


def test_every_key_can_be_written() -> None:
    text = ",".join(f"{field.name}={getattr(DEFAULT, field.name)}" for field in dataclasses.fields(Shape))
    assert shape_of(text) == DEFAULT


def test_values_and_units() -> None:
    shape = shape_of("replies=0.9, html=0,size=8KB,attachment_size=1mb,clients=gmail,langs=de:1+ja:3")
    assert (shape.replies, shape.html, shape.size, shape.attachment_size) == (0.9, 0.0, 8_000, 1_000_000)
    assert mix("langs", shape.langs) == (("de", 0.25), ("ja", 0.75))
    assert mix("clients", shape.clients) == (("gmail", 1.0),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("reples=1", "known are replies, concurrency"),
        ("=1", "known are replies"),
        ("replies", "write replies=0.7"),
        ("replies=", "write replies=0.7"),
        ("replies=often", "write a share such as replies=0.7"),
        ("replies=1.5", "from 0 to 1"),
        ("replies=nan", "from 0 to 1"),
        ("html=-0.1", "from 0 to 1"),
        ("missing=1", "from 0 to 0.9"),
        ("depth=2.5", "write depth=8"),
        ("size=8GB", "KB and MB may follow"),
        ("size=KB", "KB and MB may follow"),
        ("size=²", "KB and MB may follow"),
        ("people=1", "from 2 to"),
        ("concurrency=0", "from 1 to"),
        ("delay=99999999999", "from 1 to"),
        ("clients=pine", "known are gmail, outlook, outlook-mac, "),
        ("clients=gmail:many", "is no weight"),
        ("clients=gmail:0", "weights must be positive"),
        ("clients=gmail:-1+plain:2", "weights must be positive"),
        ("langs=en:nan", "weights must be positive"),
        ("langs=en:inf", "weights must be positive"),
        ("langs=tlh", "known are ar, de, en"),
    ],
)
def test_errors_say_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ShapeError, match=r"^shape: ") as caught:
        shape_of(text)
    assert says in str(caught.value)


@given(st.text(alphabet="replies=html,0.1KBclients:+en -\0²", max_size=40))
def test_any_text_is_a_shape_or_a_shape_error(text: str) -> None:
    try:
        shape = shape_of(text)
    except ShapeError:
        return
    for key in MIXES:
        assert abs(sum(part for _, part in mix(key, getattr(shape, key))) - 1) < 1e-9


def test_a_shape_made_in_code_is_checked_before_the_first_mail() -> None:
    with pytest.raises(ShapeError):
        generate(1, 1, Shape(replies=2))
