"""Write the tables of docs/configuration.md, docs/metrics.md and docs/aws.md, and docs/plots/, anew from the code: `python docs/generate.py`.

Each stands between `<!-- begin -->` and `<!-- end -->`; the words around them are written by hand. A test tells when they are out of date.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil, isfinite
from pathlib import Path

from mailloom.cli.plan_view import COLUMNS, TITLES, there
from mailloom.config import Secret
from mailloom.config.load import expected, settings_known
from mailloom.obs.metrics import METRICS, Metric
from mailloom.plan.demand import Demand
from mailloom.plan.figures import measured
from mailloom.plan.planning import COMPUTE_TARGET, TARGET, Plan, further, plan
from mailloom.plan.plots import svg
from mailloom.plan.quantity import short
from mailloom.plan.simulate import Run, scenarios, simulate

DOCS = Path(__file__).resolve().parent


def settings() -> str:
    lines: list[str] = []
    for table, members in groupby(settings_known(), lambda one: one.key.rpartition(".")[0]):
        lines += (
            ["", f"`[profile.NAME{'.' + table if table else ''}]`", ""] if lines or table else ["`[profile.NAME]`", ""]
        )
        lines += ["| key | takes | default | meaning | variable |", "|---|---|---|---|---|"]
        for one in members:
            default = '""' if isinstance(one.default, Secret) or one.default == "" else str(one.default)
            default = default.lower() if isinstance(one.default, bool) else default
            also = f" (else `{one.says.also}`)" if one.says.also else ""
            name = one.key.rpartition(".")[2]
            lines.append(f"| {name} | {expected(one)} | `{default}` | {one.says.meaning} | `{one.variable}`{also} |")
    return "\n".join(lines)


def metrics() -> str:
    rows = (f"| {one.name} | {one.kind} | {one.unit} | {dimensions(one)} | {one.meaning} |" for one in METRICS)
    return "\n".join(["| name | kind | unit | dimensions | meaning |", "|---|---|---|---|---|", *rows])


def dimensions(metric: Metric) -> str:
    whole = ", ".join(metric.dimensions) or "-"
    return "; ".join([whole, *(f"also {', '.join(some)}" for some in metric.also)])


# ------------------------------------------------------------------------------------------------ cost
def cost() -> str:
    """The part "Cost" of docs/aws.md."""
    plans = [plan(Demand(mails_per_day=mails)) for mails in (10e6, 100e6, 1e9)]
    first = plans[0]
    return "\n".join([
        *_sizes(plans), "", *_bill(plans), "", *_verdict(first), "", *_stored(), "", *_halving(first), "", *_choices(first), "", *_limits(first), "", *_played(),
    ])  # fmt: skip


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _heads(plans: Sequence[Plan]) -> list[str]:
    return [f"{short(one.demand.mails_per_day)}/day" for one in plans]


def _sizes(plans: Sequence[Plan]) -> Iterator[str]:
    yield "### What is there"
    yield ""
    columns = [[(name, words) for name, words in there(one)] for one in plans]
    yield from _table(
        ["", *_heads(plans)], [[rows[0][0], *(words for _, words in rows)] for rows in zip(*columns, strict=True)]
    )


def _bill(plans: Sequence[Plan]) -> Iterator[str]:
    yield "### USD a million mails, and USD a day"
    yield ""
    yield "As bought by default: on demand, workers above their base on Spot. Below that, the whole in each way of paying."
    yield ""
    rows = [[name, *(_money(one, one.services[name].spot) for one in plans)] for name in plans[0].services]
    for number, way in enumerate(COLUMNS):
        rows.append([f"**all, {way}**", *(f"**{_money(one, one.total[number])}**" for one in plans)])
    put = [one.total.spot + one.million(one.put.usd).spot for one in plans]
    rows.append(["with Spot and the sender's own S3 PUT", *map(_money, plans, put)])
    rows.append(["what computes (Fargate, Lambda), with Spot", *(_money(one, one.compute.spot) for one in plans)])
    yield from _table(["service", *_heads(plans)], rows)


def _money(one: Plan, usd: float) -> str:
    return f"{usd:.2f} ({usd * one.demand.mails_per_day / 1e6:,.0f} a day)"


def _stored() -> Iterator[str]:
    fact = measured()

    def of(name: str) -> str:
        return f"{fact[name].value / 1000:.1f} KB and {fact[name].per_text:.2f}"

    items = sum(fact[f"dynamodb.{table}_bytes"].value for table in ("nodes", "clues", "ledger"))
    yield "What a mail takes in each store goes with its text, not with its size, as no store but S3 keeps attachments: in PostgreSQL"
    yield f"{of('postgres.bytes')} bytes for each byte of text, in OpenSearch {of('opensearch.bytes')} for each copy, in Firehose's records"
    yield f"{of('firehose.sent')}, in Parquet {of('parquet.bytes')}, in DynamoDB {items / 1000:.1f} KB."


def _verdict(one: Plan) -> Iterator[str]:
    for what, target, usd in (("The whole", TARGET, one.total), ("What computes", COMPUTE_TARGET, one.compute)):
        met = [name for name, value in zip(COLUMNS, usd, strict=True) if value <= target]
        words = f"met {', '.join(met)}" if met else "missed in every way of paying"
        paid = ", ".join(f"{name} {value:.2f}" for name, value in zip(COLUMNS, usd, strict=True))
        yield f"{what} at 10M a day, target {target:.2f}: {words} ({paid})."
    yield f"Of what computes, {one.floor:.2f} is there without any mail (the least tasks of each fleet, settle): it is shared by more mail at 100M a day."
    floors = one.floors
    dearest = ", ".join(f"{name} {usd:.2f}" for name, usd in list(floors.items())[:3])
    yield f"Of the whole, {sum(floors.values()):.0f} USD a day are there without any mail ({dearest}): a thousand mails a day cost as much. For so little mail nothing of this"
    yield "is needed: an archive in a folder does the same on one machine, without servers (README.md)."
    largest = ", ".join(f"{name} {usd.spot:.2f}" for name, usd in list(one.services.items())[:3])
    yield f"What it goes to: {largest}. With the options that halve these three it is {one.together:.2f}."
    yield ""
    more = ", ".join(f"{name} {usd:.2f}" for name, usd in further(one.demand).items())
    yield f"All of this is with mail kept for 30 days in each store. Each further 30 days cost, a million mails: {more}. Nothing deletes"
    yield "DynamoDB's nodes and ledger rows, so theirs comes every month."


def _halving(one: Plan) -> Iterator[str]:
    yield "### The three largest, and what halves each (10M a day, USD a million mails)"
    yield ""
    rows = [
        [o.service, f"{o.now:.2f}", f"**{o.then:.2f}**" if o.halves else f"{o.then:.2f}", o.words, o.price]
        for tried in one.halving
        for o in tried
    ]
    yield from _table(["service", "now", "then", "with", "at what price"], rows)


def _choices(one: Plan) -> Iterator[str]:
    yield "### One setting each (10M a day, USD a million mails of the whole, with Spot)"
    yield ""
    rows = [[c.setting, ", ".join(f"{way} {usd:.2f}" for way, usd in c.ways), c.cheapest, c.note] for c in one.choices]
    yield from _table(["setting, ours first", "the whole", "cheapest", "why not"], rows)


def _limits(one: Plan) -> Iterator[str]:
    yield "### What breaks first"
    yield ""
    rows = [
        [short(at), f"{limit.service}: {limit.what}", short(limit.limit) + (", can be raised" if limit.raised else ""), limit.then, limit.source]
        for limit, at in one.breaks
        if isfinite(at)
    ]  # fmt: skip
    yield from _table(["at mails a day", "what", "limit", "then", "source"], rows)
    billion = plan(Demand(mails_per_day=1e9))
    firm = max(
        (limit for limit, _ in billion.breaks if not limit.raised and limit.service != "S3"),
        key=lambda limit: limit.used,
    )
    yield ""
    yield f"So 1B mails a day are no single deployment: by {firm.service} ({firm.what}) they are {ceil(firm.used)}, with customers spread over them by scope."


def _runs() -> list[tuple[str, str, Run]]:
    """File, title and run of each scenario at 10M a day."""
    one = plan(Demand())
    demand = one.demand
    return [
        (
            f"{s.name.replace(' ', '-')}.svg",
            TITLES[s.name].format(n=short(demand.mails_per_day), peak=demand.peak),
            simulate(s, one.there.policy),
        )
        for s in scenarios(demand.per_second, demand.peak)
    ]


def _played() -> Iterator[str]:
    yield "### How it scales"
    yield ""
    yield "Three days of 10M mails, played second by second with the policy that is deployed (`plan/scaling.py`, `plan/simulate.py`)."
    for file, title, run in _runs():
        busiest = max(minute.running for minute in run.minutes)
        yield ""
        yield f"{title}: the oldest message is {run.worst:.0f} s old at worst, {busiest} tasks run at most, {run.task_seconds / 3600:.0f} task-hours;"
        yield f"{run.returned:,} messages come again, none is lost."
        yield ""
        yield f"![{title}](plots/{file})"


def plots() -> dict[str, str]:
    """File -> SVG, for docs/plots."""
    return {file: svg(run, title) for file, title, run in _runs()}


def renewed(page: str, table: str) -> str:
    """The page with the table between its marks."""
    before, begin, rest = page.partition("<!-- begin -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not (begin and end):
        raise ValueError("the page has no marks")
    return f"{before}{begin}\n{table}\n\n{end}{after}"


PAGES = {"configuration.md": settings, "metrics.md": metrics, "aws.md": cost}

if __name__ == "__main__":
    for name, table in PAGES.items():
        path = DOCS / name
        path.write_text(renewed(path.read_text("utf-8"), table()), "utf-8")
    (DOCS / "plots").mkdir(exist_ok=True)
    for file, drawn in plots().items():
        (DOCS / "plots" / file).write_text(drawn, "utf-8")
