"""The function that tells CloudWatch how much mail there was a week before."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).resolve().parents[2] / "infra" / "watch" / "week_before.py"
WEEK, HOUR = 7 * 86_400, 3600


class CloudWatch:
    """Keeps minutes of mail, and gives them in pages, the newest first, as CloudWatch does."""

    def __init__(self, minutes: dict[int, float]) -> None:
        self.minutes, self.asked = minutes, []

    def get_metric_data(self, MetricDataQueries, StartTime, EndTime, NextToken="0", **more: Any) -> dict[str, Any]:
        assert not more
        (query,) = MetricDataQueries
        step = query["MetricStat"]["Period"]
        self.asked.append((query["MetricStat"]["Metric"], step))
        sums: dict[int, float] = {}
        for time, value in self.minutes.items():
            if StartTime.timestamp() <= time < EndTime.timestamp():
                sums[time - time % step] = sums.get(time - time % step, 0) + value
        times = sorted(sums, reverse=True)
        first = int(NextToken)
        some, rest = times[first : first + 50], times[first + 50 :]
        page = {
            "MetricDataResults": [
                {"Timestamps": [datetime.fromtimestamp(t, UTC) for t in some], "Values": [sums[t] for t in some]}
            ]
        }
        return page | ({"NextToken": str(first + 50)} if rest else {})


@pytest.fixture
def week(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("NAMESPACE", "Mailloom/prod")
    monkeypatch.setenv("METRIC", "mails")
    monkeypatch.setenv("LEAST", "100")
    spec = importlib.util.spec_from_file_location("week_function", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(week: ModuleType, monkeypatch, minutes: dict[int, float], start: int, periods: int, period: int, what: str):
    found = CloudWatch(minutes)
    monkeypatch.setattr(week, "cloudwatch", lambda: found)
    request = {"StartTime": start, "EndTime": start + periods * period, "Period": period, "Arguments": [what]}
    (one,) = week.handler({"EventType": "GetMetricData", "GetMetricDataRequest": request})["MetricDataResults"]
    assert one["StatusCode"] == "Complete"
    return dict(zip(one["Timestamps"], one["Values"], strict=True)), found.asked


@pytest.fixture
def now() -> int:
    """A whole minute, but no whole hour: CloudWatch's windows begin at any."""
    return int((datetime.now(UTC) - timedelta(hours=3)).timestamp()) // HOUR * HOUR + 7 * 60


def test_the_share_is_of_the_same_hour_a_week_before(week, monkeypatch, now):
    minutes = {now + at * 60: 4.0 for at in range(60)} | {now - WEEK + at * 60: 10.0 for at in range(60)}
    minutes |= {now - WEEK - 60: 1e6, now - WEEK + HOUR: 1e6, now - 60: 1e6, now + HOUR: 1e6}  # beside the windows
    share, asked = ask(week, monkeypatch, minutes, now, 1, HOUR, "share")
    assert share == {now: pytest.approx(0.4)}
    assert {str(metric) for metric, _ in asked} == {str({"Namespace": "Mailloom/prod", "MetricName": "mails"})}
    assert {step for _, step in asked} == {60}


def test_no_mail_now_is_a_share_of_nothing(week, monkeypatch, now):
    minutes = {now - WEEK + at * 60: 10.0 for at in range(60)}
    assert ask(week, monkeypatch, minutes, now, 1, HOUR, "share")[0] == {now: 0.0}


@pytest.mark.parametrize(("before", "told"), [(0, False), (99, False), (100, True)])
def test_little_mail_a_week_before_gives_no_share(week, monkeypatch, now, before, told):
    minutes = {now - WEEK: float(before), now: 1.0}
    share, _ = ask(week, monkeypatch, minutes, now, 1, HOUR, "share")
    assert share == ({now: pytest.approx(1 / before)} if told else {})


def test_before_is_told_for_each_period_at_the_time_that_was_asked_for(week, monkeypatch, now):
    minutes = {now - WEEK + at * 60: float(at) for at in range(30)}
    before, _ = ask(week, monkeypatch, minutes, now, 6, 300, "before")
    assert before == {now + n * 300: float(sum(range(5 * n, 5 * n + 5))) for n in range(6)}


@pytest.mark.parametrize(("days", "step"), [(1, 60), (20, 300), (100, 3600)])
def test_what_is_older_is_asked_for_as_coarsely_as_it_is_kept(week, monkeypatch, now, days, step):
    start = (now - days * 86_400) // HOUR * HOUR
    minutes = {start - WEEK + at * 60: 1.0 for at in range(180)}
    before, asked = ask(week, monkeypatch, minutes, start, 3, HOUR, "before")
    assert list(before.values()) == [60.0] * 3
    assert {one for _, one in asked} == {step}


def test_another_question_is_refused_and_a_person_is_told_what_to_ask(week):
    request = {"StartTime": 0, "EndTime": 60, "Period": 60, "Arguments": ["after"]}
    error = week.handler({"EventType": "GetMetricData", "GetMetricDataRequest": request})["Error"]
    assert error["Code"] == "Validation"
    assert "before or share" in error["Value"]
    assert "LAMBDA" in week.handler({"EventType": "DescribeGetMetricData"})["Description"]
