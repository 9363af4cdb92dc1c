"""`mailloom plan`: what a deployment on AWS would hold and cost, from measured cost a mail and list prices."""

from __future__ import annotations

from pathlib import Path

import click

from mailloom.cli import draw, json_option
from mailloom.plan.demand import Demand, Retention
from mailloom.plan.quantity import PlanError, count, days, size


@click.command()
@click.option("--mails-per-day", "-n", default="10M", show_default=True, help="How many mails a day: 10M, 2.5B.")
@click.option("--peak", type=float, default=5.0, show_default=True, help="The busiest hour, in times of the mean.")
@click.option("--mean-size", default="40KB", show_default=True, help="Of a mail, attachments and all.")
@click.option(
    "--retention",
    default="30d",
    show_default=True,
    metavar="DAYS",
    help="How long mail is kept: 30d, or by store, as search=30d,raw=1y,postgres=90d,dynamodb=1y,parquet=1y.",
)
@click.option("--workers", type=click.Choice(["ecs", "lambda"]), default=Demand.workers, show_default=True)
@click.option("--validator", type=click.Choice(["ecs", "lambda"]), default=Demand.validator, show_default=True)
@click.option(
    "--capacity",
    type=click.Choice(["on-demand", "provisioned"]),
    default=Demand.capacity,
    show_default=True,
    help="Of DynamoDB's tables.",
)
@click.option("--evidence", type=click.Choice(["all", "headers"]), default=Demand.evidence, show_default=True)
@click.option("--warm-after", default="0d", metavar="DAYS", help="Older indices go to UltraWarm (default: none).")
@click.option("--cap", type=float, default=0.0, help="Workers take this many times the mean at most; the rest waits.")
@click.option("--no-parquet", is_flag=True, help="Without Firehose and the analysts' copy.")
@click.option("--detail", is_flag=True, help="Every line of the bill.")
@click.option("--compare", is_flag=True, help="What other values of one setting each would cost.")
@click.option("--prices", is_flag=True, help="List the prices and figures with source and date, and nothing else.")
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Play three days, and draw them here.")
@json_option
def plan(
    mails_per_day: str,
    peak: float,
    mean_size: str,
    retention: str,
    workers: str,
    validator: str,
    capacity: str,
    evidence: str,
    warm_after: str,
    cap: float,
    no_parquet: bool,
    detail: bool,
    compare: bool,
    prices: bool,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Tell what a deployment on AWS holds and costs.

    Capacity and price (us-east-1, list prices) from what bench/ measured of a mail. Nothing is asked of AWS.
    """
    from mailloom.cli import plan_view
    from mailloom.plan.planning import plan as planned

    if prices:
        for line in plan_view.sources():
            draw.say(line)
        return
    demand = Demand(
        mails_per_day=count(mails_per_day, "--mails-per-day"),
        peak=peak,
        mean_size=size(mean_size, "--mean-size"),
        retention=_retention(retention),
        workers=workers,  # type: ignore[arg-type]  # click has checked these
        validator=validator,  # type: ignore[arg-type]
        capacity=capacity,  # type: ignore[arg-type]
        evidence=evidence,  # type: ignore[arg-type]
        warm_after=days(warm_after, "--warm-after"),
        cap=cap,
        stream=not no_parquet,
    )
    found = planned(demand)
    if as_json:
        draw.say_json(plan_view.as_json(found))
    else:
        for line in plan_view.page(found, detail=detail, compare=compare):
            draw.say(line)
    if plots:
        for line in plan_view.play(found, plots):
            draw.say(line, error=as_json)


def _retention(text: str) -> Retention:
    """30d, or search=30d,raw=1y. Raises PlanError."""
    known = Retention.__dataclass_fields__
    if "=" not in text:
        same = days(text, "--retention")
        return Retention(**dict.fromkeys(known, same))
    kept = {}
    for item in text.split(","):
        store, _, value = (side.strip() for side in item.partition("="))
        if store not in known:
            raise PlanError(f"--retention: there is no store {store!r}; known are {', '.join(known)}")
        if store in kept:
            raise PlanError(f"--retention names {store} twice: leave one of them out")
        kept[store] = days(value, f"--retention {store}")
    return Retention(**kept)


__all__ = ["plan"]
