"""The stage prod is what `mailloom plan` finds for ten million mails a day, and each choice between two ways is the cheaper one, or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.config.load import load
from mailloom.plan.demand import Demand
from mailloom.plan.planning import plan

PROD = load()["prod"]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "aws.md").read_text("utf-8")


@pytest.fixture(scope="module")
def planned():
    return plan(Demand(mails_per_day=10e6, zones=PROD.network.zones))


def test_search_is_as_large_as_planned(planned):
    search = planned.there.search
    index = PROD.index
    assert (index.nodes, index.shards, index.search_days) == (
        search.nodes,
        search.shards,
        planned.demand.retention.search,
    )
    assert search.disk <= index.nodes * index.disk_gb <= 1.2 * search.disk
    assert (index.masters, bool(index.warm_nodes)) == (planned.demand.masters, bool(search.warm_nodes))


def test_workers_and_database_reach_what_is_planned(planned):
    assert max(planned.there.workers.hourly) <= PROD.workers.max_tasks
    assert (PROD.workers.cpu, PROD.workers.memory_mb) == (
        planned.there.workers.vcpu * 1024,
        planned.there.workers.memory * 1024,
    )
    assert PROD.database.min_acu <= planned.there.acus
    assert planned.there.peak_acus <= PROD.database.max_acu


def test_the_budget_is_what_it_costs_and_a_little_more(planned):
    month = planned.total.spot * 10 * 30
    assert month <= PROD.watch.budget_usd <= 1.3 * month


def test_of_two_ways_the_cheaper_one_is_taken_or_it_is_told_why_not(planned):
    ours = {
        "workers": PROD.workers.arrangement,
        "validator": "lambda",
        "endpoints": "interface",
        "capacity": "on-demand",
        "UltraWarm": "after 7 days" if PROD.index.warm_nodes else "off",
        "Aurora's storage (its cost alone)": "optimized" if PROD.database.io_optimized else "standard",
    }
    assert {choice.setting for choice in planned.choices} == ours.keys()
    for choice in planned.choices:
        ways = dict(choice.ways)
        assert ways[ours[choice.setting]] == min(ways.values()) or choice.note, choice
        assert not choice.note or choice.note in PAGE
