"""What `mailloom plan` prints, draws, and gives as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from math import ceil, isfinite
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
WIDTH = 96  # at most
NAME, MONEY, DAY = 30, 13, 14  # columns of the bill
IN_FOLDER = 100_000
"""Mails a day that an archive in a folder takes without notice: it takes in a hundred a second and more."""
TITLES = {
    "a day": "{n} mails a day, peak {peak:g} x the mean",
    "burst": "{n} mails a day, and ten times as many from 9:00 to 9:10",
    "reclaim": "{n} mails a day; at 12:00 half of the Spot tasks are killed, no Spot until 12:30",
}


def page(plan: Plan, *, detail: bool, compare: bool) -> Iterator[str]:
    """The whole answer, in WIDTH columns or those that the terminal has."""
    room = _room()
    yield from _head(plan)
    yield ""
    yield draw.bold("What is there")
    yield from draw.table(there(plan), room=room)
    yield ""
    yield from _bill(plan, detail)
    yield ""
    yield from _verdict(plan)
    yield ""
    yield from draw.title("The largest three, and what halves each (USD a million mails)", room)
    yield from _halving(plan)
    yield ""
    yield draw.bold("What breaks first")
    for one, at in plan.breaks[:6]:
        words = (
            f"{one.what}: {short(one.load)} of {short(one.limit)}{', can be raised' if one.raised else ''}; {one.then}"
        )
        yield from draw.table([(f"at {short(at)}/day", f"{one.service}, {words}")], room=room)
    if compare:
        yield ""
        heading = "One setting each, USD a million mails of the whole; the first is what is planned with"
        yield from draw.title(heading, room)
        for choice in plan.choices:
            ways = ", ".join(f"{way} {usd:.2f}" for way, usd in choice.ways)
            yield from draw.table([(choice.setting, f"{ways} (cheapest: {choice.cheapest})")], room=room)
            if choice.note:
                yield from draw.table([("", choice.note)], room=room)


def _head(plan: Plan) -> Iterator[str]:
    demand, kept = plan.demand, plan.demand.retention
    peak = f"{short(demand.peak_per_second)} a second at peak ({demand.peak:g} x the mean)"
    yield draw.bold(f"{short(demand.mails_per_day)} mails a day, {peak}")
    yield f"{draw.size(round(demand.mean_size))} in the mean, of which {draw.size(round(demand.text))} are text"
    days = ", ".join(f"{name} {getattr(kept, name):g}" for name in type(kept).__dataclass_fields__)
    yield from draw.wrap(f"Days kept: {days}", _room())
    yield from draw.wrap(
        "List prices of us-east-1, figures of bench/, and assumptions: `mailloom plan --prices` lists them.", _room()
    )


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
def _room() -> int:
    return min(WIDTH, draw.width())


def _ways(room: int) -> list[int]:
    """Which of COLUMNS a terminal has room for: what is bought by default before all others."""
    most = (room - NAME - DAY) // MONEY
    return sorted([1, 3, 0, 2][: max(1, most)])


def _bill(plan: Plan, detail: bool) -> Iterator[str]:
    heads = "".join(f"{COLUMNS[way]:>{MONEY}}" for way in _ways(_room()))
    yield draw.bold(f"{'USD a million mails':<{NAME}}{heads}{'a day, Spot':>{DAY}}")
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
    return f"  {name:<{NAME - 2}}" + "".join(f"{usd[way]:>{MONEY},.2f}" for way in _ways(_room())) + f"{day:>{DAY},.2f}"


def _verdict(plan: Plan) -> Iterator[str]:
    room = _room()
    yield from _floor(plan, room)
    for what, target, usd in (("all", TARGET, plan.total), ("compute", COMPUTE_TARGET, plan.compute)):
        paid = [f"{name} {value:.2f}" for name, value in zip(COLUMNS, usd, strict=True)]
        met = [name for name, value in zip(COLUMNS, usd, strict=True) if value <= target]
        word = f"met {', '.join(met)}" if met else "missed in each way of paying"
        yield from draw.wrap(f"Target for {what}: {target:.2f}, {word} ({', '.join(paid)})", room)
    words = f"Of what computes, {plan.floor:.2f} with Spot is there without any mail: the least tasks of each fleet"
    yield from draw.wrap(words, room)
    if all(tried and tried[-1].halves for tried in plan.halving):
        yield f"With the options below that halve the largest three: {plan.together:.2f}"
    more = ", ".join(f"{name} {usd:.2f}" for name, usd in further(plan.demand).items())
    yield from draw.wrap(f"Each further 30 days kept costs, a million mails: {more}", room)


def _floor(plan: Plan, room: int) -> Iterator[str]:
    """Where most of it would be to pay without any mail: that is said, and what there is instead."""
    floors = plan.floors
    least, whole = sum(floors.values()), plan.total.spot * plan.demand.mails_per_day / 1e6
    if least < whole / 2:
        return
    dearest = ", ".join(f"{name} {usd:.2f}" for name, usd in list(floors.items())[:3])
    yield from draw.wrap(
        f"Most of this is there without any mail: {least:.2f} of {whole:,.2f} USD a day, {dearest}. A million mails cost so much because that many take "
        f"{draw.several(ceil(1e6 / plan.demand.mails_per_day), 'day')} to come.",
        room,
    )
    if plan.demand.mails_per_day <= IN_FOLDER:
        yield from draw.wrap(
            "For so little mail nothing of it is needed: an archive in a folder does the same on one machine, without servers (`mailloom ingest MAIL --archive DIR`).",
            room,
        )
    yield ""


def _halving(plan: Plan) -> Iterator[str]:
    room = _room()
    for tried in plan.halving:
        for option in tried:
            mark = "halves it: " if option.halves else ""
            words = f"{option.now:.2f} -> {option.then:.2f}  {mark}{option.words} ({option.price})"
            yield from draw.table([(option.service, words)], room=room)


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
        "limits": [{**one._asdict(), "breaks_at": at if isfinite(at) else None} for one, at in plan.breaks],
        "floor_usd": plan.floors,
    }


def sources() -> Iterator[str]:
    """Every price and figure with its source, one a line or two."""
    room = _room()
    for title, rows in (
        ("Prices, USD", {one.name: (f"{one.usd:.10g} for 1 of {one.unit}", one) for one in prices().values()}),
        ("Measured, a mail", _said(measured())),
        ("Assumed", _said(assumed())),
    ):
        yield draw.bold(title)
        for name, (words, one) in rows.items():
            yield f"  {name:<28}{words}"
            yield from draw.table([("", f"{one.date}: {one.source}")], room=room, margin="      ")


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
        try:
            path.write_text(svg(run, title), encoding="utf-8")
        except OSError as error:
            raise PlanError(f"{path} can't be written: {error.strerror or error}; name another folder") from None
        busiest = max(minute.running for minute in run.minutes)
        yield f"{path}: oldest message {run.worst:.0f} s, {busiest} tasks at most, {run.task_seconds / 3600:.0f} task-hours"
