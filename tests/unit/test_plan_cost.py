"""The bill, against sums done by hand and against what must hold of any bill."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailloom.plan import cost
from mailloom.plan.capacity import capacity, cpu_ms, rate
from mailloom.plan.cost import Line, by_service, committed, lines, sender_put, total
from mailloom.plan.demand import Curve, Demand, Retention
from mailloom.plan.figures import prices
from mailloom.plan.limits import limits
from mailloom.plan.options import choices, halving, usd_of
from mailloom.plan.planning import further, plan
from mailloom.plan.quantity import PlanError
from mailloom.plan.scaling import DEFAULT

TEN = Demand()


def line(demand: Demand, service: str, what: str) -> Line:
    (found,) = [one for one in lines(demand, capacity(demand)) if one.service == service and one.what.startswith(what)]
    return found


# ------------------------------------------------------------------------------------------------ by hand
def test_requests_of_ten_million_mails() -> None:
    assert sender_put(TEN).usd.on_demand == pytest.approx(50)  # 10M at 0.005 a thousand
    assert line(TEN, "S3", "reads").usd.on_demand == pytest.approx(8)  # 20M at 0.0004 a thousand
    assert line(TEN, "SQS", "events").usd.on_demand == pytest.approx(4)  # 10M at 0.40 a million
    assert line(TEN, "SQS", "receive").usd.on_demand == pytest.approx(2.24)  # 0.56 each
    assert line(TEN, "DynamoDB", "writes").usd.on_demand == pytest.approx(75.625)  # 12.1 units at 0.625 a million
    assert line(TEN, "DynamoDB", "reads").usd.on_demand == pytest.approx(1.5)  # 1.2 at 0.125


def test_raw_mail_of_thirty_days() -> None:
    # 300M mails of 40 KB are 12,000 GB; 0.023 a month is 276 a month, 9.20 a day
    assert line(TEN, "S3", "raw").usd.on_demand == pytest.approx(9.20)


def test_endpoints() -> None:
    assert line(TEN, "VPC", "7 interface").usd.on_demand == pytest.approx(7 * 3 * 24 * 0.01)
    assert line(replace(TEN, endpoints="nat"), "VPC", "a NAT").usd.on_demand == pytest.approx(3 * 24 * 0.045)


def test_tasks_pay_spot_above_their_base_only() -> None:
    there = capacity(TEN)
    fleet = there.workers
    vcpu = next(one for one in lines(TEN, there) if one.price == "fargate.vcpu_hour" and one.what == "workers")
    assert vcpu.amount == sum(fleet.hourly) * 0.25
    spot_hours = (sum(fleet.hourly) - 24) * 0.8  # one task of the base, four of five above it
    listed = 0.25 * 0.03238
    assert vcpu.usd.on_demand == pytest.approx(sum(fleet.hourly) * listed)
    assert vcpu.usd.spot == pytest.approx((sum(fleet.hourly) - spot_hours * (1 - 0.35)) * listed)


def test_a_million_of_lambda() -> None:
    demand = replace(TEN, validator="lambda")
    (seconds,) = [one.amount for one in lines(demand, capacity(demand)) if one.price == "lambda.gb_second"]
    # 0.40 ms x 1.25 on 0.1875 of 1.769 GB; 25/32 + 6/100 + 0.1 x 8 ms of waiting
    a_mail = (0.40 * 1.25 / (0.1875 / 1.769) + 25 / 32 + 6 / 100 + 0.8) / 1000 * 0.1875
    assert seconds == pytest.approx(a_mail * 10e6)
    assert line(demand, "Lambda", "validator, inv").amount == 10e6 / 100


def test_no_colder_class_pays_for_mail_of_this_size() -> None:
    """docs/aws.md says so: an object counts 128 KB there, and going there costs as much as 22 months of Standard."""
    price = {name: one.usd for name, one in prices().items()}
    standard = 40e3 / 1e9 * price["s3.standard"]
    assert price["s3.to_glacier_ir"] / standard == pytest.approx(21.7, abs=0.1)
    assert 128e3 / 1e9 * price["s3.standard_ia"] > standard


def test_what_is_committed_is_paid_in_every_hour() -> None:
    assert committed([1.0] * 24, 0.46) == pytest.approx(0.46)
    # One hour of 24 is busy: buying for it would be paid 24 times, so only the night's part is bought.
    assert committed([1.0] * 23 + [11.0], 0.5) == pytest.approx((24 * 0.5 + 10) / 34)
    assert committed([0.0] * 23 + [10.0], 0.9) == 1.0


def test_a_task_works_and_waits_by_turns() -> None:
    assert rate(4.0, 6.0, 1.0) == pytest.approx(100)
    assert rate(4.0, 6.0, 0.5) == pytest.approx(1000 / 14)
    assert rate(4.0, 6.0, 4.0) == rate(4.0, 6.0, 1.0)  # one process doesn't use more than one


def test_the_policy_that_is_deployed_is_the_one_planned_for_mail_of_forty_kilobytes() -> None:
    planned = capacity(TEN).policy
    assert planned.mails_per_task == pytest.approx(DEFAULT.mails_per_task, rel=0.02)
    assert planned.cpu_busy == pytest.approx(DEFAULT.cpu_busy, abs=0.01)
    assert planned.cpu_busy * 0.7 < planned.cpu_target < planned.cpu_busy * 0.8


# ------------------------------------------------------------------------------------------------ of any bill
demands = st.builds(
    Demand,
    mails_per_day=st.floats(1e3, 1e10),
    peak=st.floats(1, 20),
    mean_size=st.floats(500, 1e6),
    workers=st.sampled_from(["ecs", "lambda"]),
    validator=st.sampled_from(["ecs", "lambda"]),
    evidence=st.sampled_from(["all", "headers"]),
    capacity=st.sampled_from(["on-demand", "provisioned"]),
    warm_after=st.sampled_from([0.0, 7.0]),
    stream=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(demands)
def test_no_way_of_paying_costs_more_than_the_list(demand: Demand) -> None:
    for one in lines(demand, capacity(demand)):
        assert one.amount > 0
        listed = one.usd.on_demand
        assert all(0 < usd <= listed * 1.000001 for usd in one.usd), one


@settings(max_examples=40, deadline=None)
@given(demands, st.floats(1.1, 10))
def test_more_mail_costs_more_a_day_and_not_more_a_mail(demand: Demand, times: float) -> None:
    more = replace(demand, mails_per_day=min(1e11, demand.mails_per_day * times))
    one, two = (total(lines(each, capacity(each))).spot for each in (demand, more))
    assert two >= one
    # Nodes come by zones and tasks by one, so a little more may cost a step more.
    assert two / more.mails_per_day <= one / demand.mails_per_day * 1.35


@settings(max_examples=40, deadline=None)
@given(demands, st.sampled_from(["raw", "postgres", "search", "dynamodb", "parquet"]), st.floats(1, 300))
def test_keeping_longer_never_costs_less(demand: Demand, store: str, days: float) -> None:
    kept = demand.retention
    longer = replace(demand, retention=replace(kept, **{store: getattr(kept, store) + days}))
    assert usd_of(longer) >= usd_of(demand) * 0.999999


@settings(max_examples=25, deadline=None)
@given(demands)
def test_services_and_lines_are_the_same_sum(demand: Demand) -> None:
    found = lines(demand, capacity(demand))
    assert sum(usd.spot for usd in by_service(found).values()) == pytest.approx(total(found).spot)


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 50))
def test_a_day_has_its_mean_and_its_peak(peak: float) -> None:
    curve = Curve(peak)
    assert sum(curve.at(minute / 10) for minute in range(240)) / 240 == pytest.approx(1, abs=1e-3)
    assert curve.at(12) == pytest.approx(peak)


@settings(max_examples=25, deadline=None)
@given(st.floats(1, 20), st.floats(1.1, 5))
def test_a_cap_only_moves_mail(peak: float, cap: float) -> None:
    hours, wait = Curve(peak).served(cap)
    assert max(hours) <= cap + 1e-9
    assert (wait > 1) == (peak > cap * 1.01) or abs(peak - cap) < 0.2
    assert wait < 86_400


# ------------------------------------------------------------------------------------------------ what is said of it
@pytest.mark.parametrize("mails", [10e6, 100e6, 1e9])
def test_each_of_the_three_largest_has_an_option_that_halves_it(mails: float) -> None:
    tried = halving(Demand(mails_per_day=mails))
    assert len(tried) == 3
    for options in tried:
        assert [one.halves for one in options] == [False] * (len(options) - 1) + [True]
        last = options[-1]
        assert last.then == pytest.approx(usd_of(last.demand, last.service, last.way))


def test_each_default_is_the_cheapest_at_ten_million_a_day_or_says_why_not() -> None:
    for one in choices(TEN):
        assert one.cheapest == one.ways[0][0] or one.note, one


def test_the_three_measured_demands_are_told_with_and_without_the_senders_put() -> None:
    found = plan(TEN)
    assert found.million(found.put.usd).spot == pytest.approx(5)
    assert all(one.service != "S3" or "sender" not in one.what for one in found.lines)


def test_the_floor_is_part_of_what_computes() -> None:
    found = plan(TEN)
    assert 0 < found.floor < found.compute.spot < found.compute.on_demand


def test_limits_come_in_the_order_in_which_they_break() -> None:
    for demand in (TEN, replace(TEN, workers="lambda")):
        at = [one.at for one in plan(demand).breaks]
        assert at == sorted(at)
    busy = replace(TEN, mails_per_day=20e6)
    (first,) = [one for one in plan(busy).breaks if "table clues" in one.limit.what]
    assert first.limit.load == pytest.approx(7.2 * 20e6 / 86_400 * 5)
    assert first.at == pytest.approx(40_000 / 7.2 / 5 * 86_400, rel=0.001)


@pytest.mark.parametrize("demand", [TEN, replace(TEN, workers="lambda", validator="ecs", peak=2.0, stream=False)])
def test_a_limit_is_reached_where_it_is_said_to_be(demand: Demand) -> None:
    """A least number of tasks, and nodes of a larger size, are no part of what grows with mail."""
    for limit, at in plan(demand).breaks:
        for mails, reached in ((at * 0.99, False), (at * 1.01, True)):
            if 1e3 <= mails <= 1e11:
                other = replace(demand, mails_per_day=mails)
                (same,) = [one for one in limits(other, capacity(other)) if one.what == limit.what]
                assert (same.load >= same.limit) is reached, limit.what
        if math.isinf(at):
            most = replace(demand, mails_per_day=1e11)
            assert all(one.used < 1 for one in limits(most, capacity(most)) if one.what == limit.what)


def test_what_breaks_first_does_not_hang_on_how_much_mail_is_asked_about() -> None:
    little, much = (plan(replace(TEN, mails_per_day=mails)).breaks for mails in (1e3, 1e9))
    assert [(one.limit.what, one.at) for one in little] == [(one.limit.what, one.at) for one in much]
    assert little[0].at > 1e6


def test_the_floor_is_what_the_least_mail_costs() -> None:
    small, large = plan(replace(TEN, mails_per_day=1e3)), plan(TEN)
    assert small.floors == large.floors
    assert sum(small.floors.values()) == pytest.approx(total(small.lines).spot)
    assert list(small.floors) == list(small.services)


def test_a_month_more_of_raw_mail_is_its_storage() -> None:
    assert further(TEN)["raw"] == pytest.approx(40e3 * 0.023 / 1e9 * 1e6)


def test_text_is_what_stores_grow_with() -> None:
    small, large = replace(TEN, mean_size=20e3), replace(TEN, mean_size=200e3)
    assert capacity(small).stored.postgres == capacity(large).stored.postgres
    assert capacity(small).stored.raw * 10 == pytest.approx(capacity(large).stored.raw)
    assert capacity(replace(TEN, mean_size=2e3)).stored.search < capacity(small).stored.search
    assert cpu_ms(large) > cpu_ms(small)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mails_per_day": 10}, "10 mails a day is not from 1K"),
        ({"peak": 0.5}, "peak of 0.5"),
        ({"peak": float("nan")}, "peak of nan"),
        ({"mean_size": 10}, "mean size of 10 bytes"),
        ({"cap": 1.0}, "the queue never empties"),
        ({"warm_after": 40.0}, "retention of more than that in search, which is 30"),
    ],
)
def test_what_can_not_be_planned_is_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(PlanError, match=words):
        replace(TEN, **change)
    with pytest.raises(PlanError, match="search=0 is not from 1 day"):
        Retention(search=0)


def test_the_bill_is_made_of_named_prices_alone() -> None:
    """A price written into the code would have no source."""
    found = lines(TEN, capacity(TEN))
    for one in found:
        assert one.usd.on_demand == pytest.approx(one.amount * prices()[one.price].usd)
    assert cost.used(found).keys() == {one.price for one in found}
