"""The scaling policy played: no mail is lost or made, queues drain, and the figures that docs and comments name come out."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.plan import simulate as playing
from mailloom.plan.plots import svg
from mailloom.plan.scaling import DEFAULT, ScalingPolicy
from mailloom.plan.simulate import Run, Scenario, scenarios, simulate

MEAN = 10e6 / 86_400
DAY, BURST, RECLAIM = scenarios(MEAN, 5.0)


def checked(run: Run) -> Run:
    assert run.arrived == run.done + run.left
    assert run.left == run.minutes[-1].waiting + run.minutes[-1].held
    assert all((one.age > 0) == (one.waiting + one.held > 0) and one.age <= one.at for one in run.minutes)
    assert all(later.age <= one.age + 60 for one, later in zip(run.minutes, run.minutes[1:], strict=False))
    assert all(one.age >= 0 and one.waiting >= 0 and one.held >= 0 and one.running >= 0 for one in run.minutes)
    return run


@pytest.fixture(scope="module")
def day() -> Run:
    return checked(simulate(DAY, DEFAULT))


def test_a_day_is_kept_up_with(day: Run) -> None:
    assert day.arrived == pytest.approx(10e6, rel=0.01)
    assert day.worst < 30
    assert day.left < 1_000
    assert max(one.running for one in day.minutes) < 20
    assert min(one.desired for one in day.minutes) == DEFAULT.min_tasks


def test_a_burst_of_ten_times_as_much_is_worked_off_in_minutes() -> None:
    run = checked(simulate(BURST, DEFAULT))
    late = [one for one in run.minutes if one.age > 60]
    assert late
    assert run.worst < 300
    assert late[-1].at < 9 * 3_600 + 1_200
    assert max(one.desired for one in run.minutes) <= DEFAULT.max_tasks


@pytest.mark.parametrize("scenario", [BURST, RECLAIM])
def test_a_plot_shows_the_time_around_what_happens(scenario: Scenario) -> None:
    begin, end = scenario.shown
    assert end - begin <= 3 * 3_600
    run = simulate(scenario, DEFAULT)
    assert all(begin < one.at < end for one in run.minutes if one.age > 0.5 * run.worst)
    marks = [text for _, text in sorted(_marks(svg(run, "")))]
    assert marks[0] == f"{begin // 3_600}:{begin // 60 % 60:02}"
    assert len(marks) == len(set(marks)) > 4


def _marks(drawn: str) -> set[tuple[float, str]]:
    """Where the axes of time have which text."""
    texts = ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
    return {(float(one.attrib["x"]), one.text or "") for one in texts if ":" in (one.text or "")}


def test_what_killed_tasks_held_comes_again() -> None:
    run = checked(simulate(RECLAIM, DEFAULT))
    assert run.returned > 0
    assert run.worst >= playing.VISIBILITY  # it was hidden for so long
    assert run.worst < 300
    at_noon = {one.at: one.running for one in run.minutes}
    assert at_noon[12 * 3_600 + 60] < at_noon[12 * 3_600]


def test_without_the_policy_by_cpu_the_fleet_swings(day: Run) -> None:
    """Why there are two: by the queue alone, tasks that keep it empty are taken away."""
    run = checked(simulate(DAY, replace(DEFAULT, cpu_target=math.inf)))
    assert run.worst > 120 > 30 > day.worst
    noon = [one.running for one in run.minutes if 11 * 3_600 < one.at < 13 * 3_600]
    assert min(noon) <= 3
    assert max(noon) > 12


@pytest.mark.parametrize("latency", [1, 3, 5])
def test_it_does_not_hang_on_how_long_a_commit_takes(latency: int, monkeypatch: pytest.MonkeyPatch, day: Run) -> None:
    monkeypatch.setattr(playing, "LATENCY", latency)
    run = checked(simulate(DAY, DEFAULT))
    assert run.worst < 30
    assert run.task_seconds == pytest.approx(day.task_seconds, rel=0.1)


@pytest.mark.parametrize("per_day", [1e3, 1e4, 1e5, 5e5, 2e6])
def test_as_many_come_as_were_asked_for(per_day: float) -> None:
    run = checked(simulate(scenarios(per_day / 86_400, 5.0)[0], DEFAULT))
    assert abs(run.arrived - per_day) < 4 * per_day**0.5
    assert run.worst >= playing.LATENCY  # what is in flight is there


def test_the_same_seed_is_the_same_day() -> None:
    short = replace(BURST, seconds=3_600, burst=(600, 900, 10.0))
    assert simulate(short, DEFAULT, seed=3) == simulate(short, DEFAULT, seed=3)
    assert simulate(short, DEFAULT, seed=3) != simulate(short, DEFAULT, seed=4)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0.01, 400),
    st.floats(1, 50),
    st.integers(0, 3_000),
    st.integers(0, 3_000),
    st.integers(0, 4),
    st.integers(0, 100),
)
def test_no_mail_is_lost_whatever_happens(
    mean: float, peak: float, burst: int, killed: int, base: int, seed: int
) -> None:
    scenario = Scenario("any", mean, peak, (burst, burst + 300, 10.0), (killed, 600), 5_400)
    policy = replace(DEFAULT, on_demand_base=base, min_tasks=max(1, base), max_tasks=30)
    run = checked(simulate(scenario, policy, seed))
    assert all(policy.min_tasks <= one.desired <= 30 for one in run.minutes)


def test_what_waits_is_done_once_nothing_comes() -> None:
    quiet = Scenario("then nothing", 50.0, 1.0, burst=(1_200, 36_000, 0.0), seconds=7_200)
    run = checked(simulate(quiet, DEFAULT))
    assert run.left == 0
    assert run.done == run.arrived > 50_000


def test_no_more_than_tasks_get_through() -> None:
    policy = ScalingPolicy(max_tasks=2)
    run = checked(simulate(Scenario("too much", 1_000.0, 1.0, seconds=1_800), policy))
    assert run.done <= 2 * policy.mails_per_task * 1_800
    assert run.worst > 1_000


def test_the_policy_fits_the_worker() -> None:
    from mailloom.config.settings import Worker

    assert DEFAULT.stop_seconds > Worker().drain_seconds
    assert 2 * Worker().batch == playing.HELD
    assert Worker().visibility == playing.VISIBILITY
    assert DEFAULT.scale_out_cooldown > max(playing.START)
    assert DEFAULT.backlog_per_task > playing.HELD  # two full batches alone bring no task
    assert DEFAULT.on_demand_base <= DEFAULT.min_tasks < DEFAULT.max_tasks


def test_a_plot_is_drawn_for_light_and_dark(day: Run) -> None:
    drawn = svg(day, "a <day>")
    root = ET.fromstring(drawn)
    lines = list(root.iter("{http://www.w3.org/2000/svg}polyline"))
    assert len(lines) == 5
    assert "prefers-color-scheme: dark" in drawn
    assert "a &lt;day&gt;" in drawn
    for one in lines:
        points = [tuple(map(float, point.split(","))) for point in one.attrib["points"].split()]
        assert points == sorted(points, key=lambda point: point[0])
        assert all(0 <= x <= 860 and 0 <= y <= 600 for x, y in points)
