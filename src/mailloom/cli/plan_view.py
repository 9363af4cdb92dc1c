"""What `mailloom plan` prints, draws, and gives as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mailloom.cli import draw
from mailloom.plan.capacity import SIZE_NAMES, Fleet, cpu_ms, wait_ms
from mailloom.plan.cost import Usd
from mailloom.plan.figures import assumed, measured, prices
from mailloom.plan.planning import COMPUTE_TARGET, TARGET, Plan, further
from mailloom.plan.plots import svg
from mailloom.plan.quantity import PlanError, gigabytes, short
from mailloom.plan.simulate import scenarios, simulate

COLUMNS = ("on demand", "with Spot", "Savings Plan", "reserved")
WIDTH = 96
TITLES = {
    "a day": "{n} mails a day, peak {peak:g} x the mean",
    "burst": "{n} mails a day, and ten times as many from 9:00 to 9:10",
    "reclaim": "{n} mails a day; at 12:00 half of the Spot tasks are killed, no Spot until 12:30",
}


def page(plan: Plan, *, detail: bool, compare: bool) -> Iterator[str]:
    """The whole answer, in WIDTH columns."""
    yield from _head(plan)
    yield ""
    yield draw.bold("What is there")
    yield from draw.table(there(plan), room=WIDTH)
    yield ""
    yield from _bill(plan, detail)
    yield ""
    yield from _verdict(plan)
    yield ""
    yield draw.bold("The largest three, and what halves each (USD a million mails)")
    yield from _halving(plan)
    yield ""
    yield draw.bold("What breaks first")
    for one in plan.limits[:6]:
        words = (
            f"{one.what}: {short(one.load)} of {short(one.limit)}{', can be raised' if one.raised else ''}; {one.then}"
        )
        yield from draw.table([(f"at {short(one.breaks_at(plan.demand))}/day", f"{one.service}, {words}")], room=WIDTH)
    if compare:
        yield ""
        yield draw.bold("One setting each, USD a million mails of the whole; the first is what is planned with")
        for choice in plan.choices:
            ways = ", ".join(f"{way} {usd:.2f}" for way, usd in choice.ways)
            yield from draw.table([(choice.setting, f"{ways} (cheapest: {choice.cheapest})")], room=WIDTH)
            if choice.note:
                yield from draw.table([("", choice.note)], room=WIDTH)


def _head(plan: Plan) -> Iterator[str]:
    demand, kept = plan.demand, plan.demand.retention
    yield draw.bold(
        f"{short(demand.mails_per_day)} mails a day, {short(demand.peak_per_second)} a second at peak ({demand.peak:g} x the mean)"
    )
    yield f"{draw.size(round(demand.mean_size))} in the mean, of which {draw.size(round(demand.text))} are text"
    yield "Days kept: " + ", ".join(f"{name} {getattr(kept, name):g}" for name in type(kept).__dataclass_fields__)
    yield "List prices of us-east-1, figures of bench/, and assumptions: `mailloom plan --prices` lists them."


def there(plan: Plan) -> list[tuple[str, str]]:
    """What must be there, in words."""
    demand, found, stored = plan.demand, plan.there, plan.there.stored
    busy = f"{cpu_ms(demand):.1f} ms of CPU and {wait_ms(demand):.1f} ms of waiting a mail"
    rows = []
    if demand.workers == "ecs":
        rows.append(("workers", f"{_tasks(found.workers)}; {busy}"))
        policy = found.policy
        rows.append(
            (
                "",
                f"scaling: {policy.min_tasks} to {policy.max_tasks} tasks, {policy.backlog_per_task:,.0f} messages a task",
            )
        )
    else:
        rows.append(("workers", f"Lambda; {busy}"))
    if demand.cap:
        rows.append(
            (
                "",
                f"capped at {demand.cap:g} x the mean: mail of the busiest hours waits up to {demand.waits / 60:.0f} minutes",
            )
        )
    rows.append(("validator", _tasks(found.validators) if demand.validator == "ecs" else "Lambda"))
    readers = f"writer and {demand.readers} reader" if demand.readers else "writer"
    rows.append(("Aurora", f"{readers} of {found.acus:g} ACUs in the mean, {found.peak_acus:g} at peak"))
    search = found.search
    warm = f", {search.warm_nodes} UltraWarm" if search.warm_nodes else ""
    rows.append(
        (
            "OpenSearch",
            f"{search.nodes} x r7g.{SIZE_NAMES[search.size]}.search, {demand.masters} masters{warm}, {gigabytes(search.disk)} of gp3; opensearch.shards = {search.shards}",
        )
    )
    names = {
        "raw": "raw mail",
        "postgres": "PostgreSQL",
        "search": "search, a copy",
        "dynamodb": "DynamoDB",
        "parquet": "Parquet",
    }
    kept = ", ".join(f"{words} {gigabytes(getattr(stored, name))}" for name, words in names.items())
    rows.append(("kept", kept))
    return rows


def _tasks(fleet: Fleet) -> str:
    return f"{min(fleet.hourly)} to {max(fleet.hourly)} tasks of {fleet.vcpu:g} vCPU and {fleet.memory:g} GB, {fleet.rate:.0f} mails/s each"


# ------------------------------------------------------------------------------------------------ money
def _bill(plan: Plan, detail: bool) -> Iterator[str]:
    heads = "".join(f"{name:>13}" for name in COLUMNS)
    yield draw.bold(f"{'USD a million mails':<30}{heads}{'a day, Spot':>14}")
    for name, usd in plan.services.items():
        yield _row(plan, name, usd)
        if detail:
            for line in plan.lines:
                if line.service == name:
                    yield _row(plan, "  " + draw.clip(line.what, 25), plan.million(line.usd))
    yield draw.bold(_row(plan, "all", plan.total))
    yield _row(plan, "with the sender's own S3 PUT", plan.total.plus(plan.million(plan.put.usd)))


def _row(plan: Plan, name: str, usd: Usd) -> str:
    day = usd.spot * plan.demand.mails_per_day / 1e6
    return f"  {name:<28}" + "".join(f"{value:>13.2f}" for value in usd) + f"{day:>14,.2f}"


def _verdict(plan: Plan) -> Iterator[str]:
    for what, target, usd in (("all", TARGET, plan.total), ("compute", COMPUTE_TARGET, plan.compute)):
        paid = [f"{name} {value:.2f}" for name, value in zip(COLUMNS, usd, strict=True)]
        met = [name for name, value in zip(COLUMNS, usd, strict=True) if value <= target]
        word = f"met {', '.join(met)}" if met else "missed in each way of paying"
        yield from draw.wrap(f"Target for {what}: {target:.2f}, {word} ({', '.join(paid)})", WIDTH)
    yield f"Of what computes, {plan.floor:.2f} with Spot is there without any mail: the least tasks of each fleet"
    if all(tried and tried[-1].halves for tried in plan.halving):
        yield f"With the options below that halve the largest three: {plan.together:.2f}"
    more = ", ".join(f"{name} {usd:.2f}" for name, usd in further(plan.demand).items())
    yield from draw.wrap(f"Each further 30 days kept costs, a million mails: {more}", WIDTH)


def _halving(plan: Plan) -> Iterator[str]:
    for tried in plan.halving:
        for option in tried:
            mark = "halves it: " if option.halves else ""
            words = f"{option.now:.2f} -> {option.then:.2f}  {mark}{option.words} ({option.price})"
            yield from draw.table([(option.service, words)], room=WIDTH)


# ------------------------------------------------------------------------------------------------ JSON, sources, plots
def as_json(plan: Plan) -> dict[str, Any]:
    """All of it; USD a day unless the name says otherwise."""
    return {
        "demand": {**dataclasses.asdict(plan.demand), "text": plan.demand.text},
        "there": {
            "stored_gb": plan.there.stored._asdict(),
            "workers": plan.there.workers._asdict(),
            "validators": plan.there.validators._asdict(),
            "scaling": dataclasses.asdict(plan.there.policy) | {"backlog_per_task": plan.there.policy.backlog_per_task},
            "acus": plan.there.acus,
            "peak_acus": plan.there.peak_acus,
            "search": plan.there.search._asdict(),
        },
        "lines": [{**line._asdict(), "usd": line.usd._asdict()} for line in plan.lines],
        "sender_put": {**plan.put._asdict(), "usd": plan.put.usd._asdict()},
        "usd_a_million": plan.total._asdict(),
        "compute_usd_a_million": plan.compute._asdict(),
        "usd_a_million_for_30_days_more": further(plan.demand),
        "options": [
            {key: value for key, value in option._asdict().items() if key != "demand"} | {"halves": option.halves}
            for tried in plan.halving
            for option in tried
        ],
        "choices": [
            {"setting": one.setting, "ways": dict(one.ways), "cheapest": one.cheapest, "note": one.note}
            for one in plan.choices
        ],
        "limits": [{**one._asdict(), "breaks_at": one.breaks_at(plan.demand)} for one in plan.limits if one.load],
    }


def sources() -> Iterator[str]:
    """Every price and figure with its source, one a line or two."""
    for title, rows in (
        ("Prices, USD", {one.name: (f"{one.usd:.10g} for 1 of {one.unit}", one) for one in prices().values()}),
        ("Measured, a mail", _said(measured())),
        ("Assumed", _said(assumed())),
    ):
        yield draw.bold(title)
        for name, (words, one) in rows.items():
            yield f"  {name:<28}{words}"
            yield from draw.table([("", f"{one.date}: {one.source}")], room=WIDTH, margin="      ")


def _said(figures: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    return {one.name: (f"{one.value:g} {one.unit}", one) for one in figures.values()}


def play(plan: Plan, folder: Path) -> Iterator[str]:
    """Three days played, drawn as FOLDER/NAME.svg each, and told in a line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlanError(f"--plots {folder} can't be made: {error.strerror or error}") from None
    demand = plan.demand
    for scenario in scenarios(demand.per_second, demand.peak):
        run = simulate(scenario, plan.there.policy)
        title = TITLES[scenario.name].format(n=short(demand.mails_per_day), peak=demand.peak)
        path = folder / f"{scenario.name.replace(' ', '-')}.svg"
        path.write_text(svg(run, title), encoding="utf-8")
        busiest = max(minute.running for minute in run.minutes)
        yield f"{path}: oldest message {run.worst:.0f} s, {busiest} tasks at most, {run.task_seconds / 3600:.0f} task-hours"
