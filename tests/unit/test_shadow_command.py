"""`mailloom shadow` as it is typed: what can't be is said before any server is asked."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from mailloom.cli import group
from mailloom.cli.shadow import _place
from mailloom.ports import UserError


@pytest.mark.parametrize("option", ["--days", "--fail-above"])
@pytest.mark.parametrize("value", ["nan", "NaN", "-1", "inf", "x"])
def test_a_share_that_nothing_is_above_is_no_share(option: str, value: str) -> None:
    """A gate of a release that lets everything pass."""
    result = CliRunner().invoke(group, ["shadow", "report", option, value])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output


@pytest.mark.parametrize(
    "key", ["", "s3://", "s3://mail", "s3://mail/", "s3://Bad!/k", "s3:///k", "k" * 1025, "ä" * 513]
)
def test_what_is_no_place_of_an_object_is_told(key: str) -> None:
    with pytest.raises(UserError, match="write s3://BUCKET/KEY, or a key alone"):
        _place(key, lambda: "mail")


def test_a_place_is_a_key_or_names_its_bucket() -> None:
    assert _place("raw/a b", lambda: "mail") == ("mail", "raw/a b")
    assert _place("s3://other/raw//x", lambda: "mail") == ("other", "raw//x")
    assert _place("ä" * 512, lambda: "mail")[0] == "mail"


@pytest.mark.parametrize(
    "words", [["settle", "--every", "nan"], ["settle", "--every", "inf"], ["duplicates", "--threshold", "nan"]]
)
def test_options_of_other_commands_are_numbers_too(words: list[str]) -> None:
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 2
    assert "is no number that can be worked with" in result.output
