"""Every number that a plan rests on says what it is, where it is from and when, and is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailloom.plan import figures
from mailloom.plan.demand import Demand
from mailloom.plan.planning import plan

ALL = {**figures.prices(), **figures.measured(), **figures.assumed()}
CODE = Path(figures.__file__).parent


@pytest.mark.parametrize("name", ALL)
def test_each_has_unit_source_and_date(name: str) -> None:
    one = ALL[name]
    assert one.unit
    assert len(one.source) > 15
    assert re.fullmatch(r"20\d\d(-\d\d){0,2}", one.date)


@pytest.mark.parametrize("name", figures.prices())
def test_each_price_names_a_page_and_costs_something(name: str) -> None:
    one = figures.prices()[name]
    assert one.usd > 0
    assert "https://" in one.source or "as known" in one.source
    assert all(0 < one.by(way) <= one.usd for way in figures.WAYS)


def test_a_way_of_paying_has_a_source_of_its_own() -> None:
    for name, entry in figures._entries("prices.toml"):
        for way in figures.WAYS[1:]:
            assert (way in entry) == (f"{way}_source" in entry), name
        unknown = set(entry) - {
            "usd",
            "per",
            "unit",
            "source",
            "date",
            "note",
            *figures.WAYS,
            *(f"{way}_source" for way in figures.WAYS),
        }
        assert not unknown, name


def test_what_is_measured_names_a_command_or_a_page_of_ours() -> None:
    root = Path(__file__).resolve().parents[2]
    for one in figures.measured().values():
        found = re.findall(r"(?:bench|docs)/\w+\.(?:py|md)", one.source)
        assert found or "S3 sends" in one.source, one
        assert all((root / name).is_file() for name in found), one


def test_no_figure_lies_idle() -> None:
    """What was measured or assumed is named in the code; a figure that nobody reads would only look like part of the plan."""
    code = "".join(path.read_text("utf-8") for path in CODE.glob("*.py"))
    named = {name for name in (*figures.measured(), *figures.assumed()) if f'"{name}"' in code}
    assert named == {*figures.measured(), *figures.assumed()}


def test_every_price_that_a_plan_names_is_there() -> None:
    for demand in (
        Demand(),
        Demand(workers="lambda", validator="lambda", capacity="provisioned", endpoints="nat", warm_after=7.0),
    ):
        for line in plan(demand).lines:
            assert line.unit == figures.prices()[line.price].unit


def test_a_figure_grows_from_where_it_was_measured() -> None:
    one = figures.Figure("x", 10.0, "ms", "here", "2026", per_raw=0.5, per_text=2.0, at_raw=100.0, at_text=10.0)
    assert one.of(100, 10) == 10
    assert one.of(110, 10) == 15
    assert one.of(100, 11) == 12
    assert one.of(0, 0) == 0  # 10 - 50 - 20: never below nothing
