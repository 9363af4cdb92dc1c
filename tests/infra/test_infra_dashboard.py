"""The dashboard: one a stage, on one screen, of metrics that exist; and every metric of ours is seen somewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from watching import OURS, PUBLISHED, drawn, plain, watched

from conftest import STAGES, Made
from mailloom.obs.metrics import TABLE

UNSEEN = {
    "queue_age": "of what was received; SQS tells the oldest message even where nobody receives",
    "queue_depth": "SQS tells it without a worker",
    "queue_held": "SQS tells it without a worker",
}
"""Metrics of ours on no alarm and no widget, and why: they are for collectors that don't see AWS's own."""


def board(made: Made, stage: str) -> dict[str, Any]:
    (found,) = made.all(stage, "AWS::CloudWatch::Dashboard")
    assert found.properties["DashboardName"] == f"mailloom-{stage}"
    body: dict[str, Any] = json.loads(plain(found.properties["DashboardBody"]))
    return body


@pytest.mark.parametrize("stage", STAGES)
def test_it_reads_on_one_screen(made, stage):
    widgets = board(made, stage)["widgets"]
    assert 15 <= len(widgets) <= 25
    assert max(one["x"] + one["width"] for one in widgets) == 24
    assert max(one["y"] + one["height"] for one in widgets) <= 30
    places = [
        (x, y)
        for one in widgets
        for x in range(one["x"], one["x"] + one["width"])
        for y in range(one["y"], one["y"] + one["height"])
    ]
    assert len(places) == len(set(places))  # none covers another
    titles = [one["properties"]["title"] for one in widgets]
    assert len(set(titles)) == len(titles)
    for one in widgets[1:]:
        assert len(one["properties"]["metrics"]) <= 14, one["properties"]["title"]


@pytest.mark.parametrize("stage", STAGES)
def test_it_shows_every_alarm(made, stage):
    (status,) = [one for one in board(made, stage)["widgets"] if one["type"] == "alarm"]
    kinds = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    count = sum(one.stack == "watch" for kind in kinds for one in made.all(stage, kind))
    assert len(status["properties"]["alarms"]) == count <= 100


@pytest.mark.parametrize("stage", STAGES)
def test_its_metrics_exist(made, stage):
    used = list(drawn(board(made, stage)))
    assert len(used) > 70
    for one in used:
        names = tuple(sorted(one.dimensions))
        if one.namespace.startswith(OURS):
            metric = TABLE[one.name]
            assert one.namespace == f"{OURS}{stage}"
            assert names in {(), tuple(sorted(metric.dimensions)), *(tuple(sorted(some)) for some in metric.also)}, one
        else:
            assert one.name in PUBLISHED[one.namespace][names], one
    assert {one.namespace for one in used} >= {f"{OURS}{stage}", *PUBLISHED} - {"AWS/States"}


@pytest.mark.parametrize("stage", STAGES)
def test_every_metric_of_ours_is_seen(made, stage):
    seen = {one.name for one in drawn(board(made, stage)) if one.namespace.startswith(OURS)}
    for alarm in made.all(stage, "AWS::CloudWatch::Alarm"):
        seen |= {one.name for one in watched(alarm.properties) if one.namespace.startswith(OURS)}
    assert TABLE.keys() - seen == UNSEEN.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_expressions_name_metrics_of_their_widget(made, stage):
    import re

    seen = 0
    for widget in board(made, stage)["widgets"]:
        options = [row[-1] for row in widget["properties"].get("metrics", ()) if isinstance(row[-1], dict)]
        ids = [one["id"] for one in options if "id" in one]
        assert len(set(ids)) == len(ids)
        for one in options:
            if "expression" in one:
                names = re.findall(r"[a-z]\w*", re.sub(r'"[^"]*"', "", one["expression"]))
                assert set(names) <= set(ids), one
                seen += 1
    assert seen >= 6


@pytest.mark.parametrize("stage", STAGES)
def test_queues_and_services_are_all_there(made, stage):
    from infra.parts import QUEUES

    body = board(made, stage)
    waiting = next(one for one in body["widgets"] if one["properties"]["title"] == "Waiting")
    labels = {row[-1]["label"] for row in waiting["properties"]["metrics"]}
    assert labels == set(QUEUES)
    tasks = next(one for one in body["widgets"] if one["properties"]["title"] == "Tasks")
    counted = [row for row in tasks["properties"]["metrics"] if "expression" in row[-1]]
    assert len(counted) == len(made.all(stage, "AWS::ECS::Service"))


@pytest.mark.parametrize("stage", STAGES)
def test_last_week_is_drawn_beside_this_one(made, stage):
    widget = next(one for one in board(made, stage)["widgets"] if "week before" in one["properties"]["title"])
    assert [row[0]["expression"] for row in widget["properties"]["metrics"] if isinstance(row[0], dict)] == [
        f'LAMBDA("mailloom-{stage}-week", "before")'
    ]
