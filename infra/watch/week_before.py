"""How much mail there was a week before: a data source that CloudWatch asks, since its metric math can't shift time.

Runs in Lambda as it stands here, alone, with the boto3 that is there. CloudWatch calls it for the function LAMBDA of metric math
("Create a custom connector to a data source", CloudWatch User Guide), for alarms with windows that begin at any minute, so sums are made
from minutes here.

    LAMBDA("NAME", "before")  mails in each period, a week before it
    LAMBDA("NAME", "share")   mails in each period as a share of those; none where there were fewer than LEAST
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

WEEK = 7 * 86_400
LEAST = int(os.environ.get("LEAST", "0"))  # mails in a period: half of next to nothing is no news
AGES = (
    (15 * 86_400, 60),
    (63 * 86_400, 300),
)  # CloudWatch keeps minutes for 15 days, five minutes for 63, hours after that


def handler(event: Mapping[str, Any], context: object = None) -> dict[str, Any]:  # noqa: ARG001  as Lambda calls it
    """What CloudWatch asks -> {"MetricDataResults": [...]}; times are seconds since 1970."""
    if event["EventType"] != "GetMetricData":
        return {"Description": __doc__, "ArgumentDefaults": [{"Value": "before"}]}
    asked = event["GetMetricDataRequest"]
    what = (asked.get("Arguments") or ["before"])[0]
    if what not in {"before", "share"}:
        return {"Error": {"Code": "Validation", "Value": f"no {what!r}: ask for before or share"}}
    start, end, period = (int(asked[key]) for key in ("StartTime", "EndTime", "Period"))
    times = range(start, end, period)
    client = cloudwatch()
    before = sums(client, start - WEEK, period, len(times))
    if what == "before":
        return answer(what, times, before)
    now = sums(client, start, period, len(times))
    enough = [at for at, mails in enumerate(before) if mails >= max(LEAST, 1)]
    return answer(what, [times[at] for at in enough], [now[at] / before[at] for at in enough])


def answer(label: str, times: Sequence[int], values: Sequence[float]) -> dict[str, Any]:
    return {
        "MetricDataResults": [
            {"StatusCode": "Complete", "Label": label, "Timestamps": list(times), "Values": list(values)}
        ]
    }


def sums(client: Any, start: int, period: int, count: int) -> list[float]:
    """Mails in each of `count` periods from `start` on."""
    age = datetime.now(UTC).timestamp() - start
    step = next((step for most, step in AGES if age < most), 3600)
    metric = {"Namespace": os.environ["NAMESPACE"], "MetricName": os.environ["METRIC"]}
    query = {"Id": "m", "MetricStat": {"Metric": metric, "Period": step, "Stat": "Sum"}}
    found = [0.0] * count
    more: dict[str, str] = {}
    while True:
        page = client.get_metric_data(
            MetricDataQueries=[query],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(start + count * period, UTC),
            **more,
        )
        for one in page["MetricDataResults"]:
            for time, value in zip(one["Timestamps"], one["Values"], strict=True):
                at = int(time.timestamp() - start) // period
                if 0 <= at < count:
                    found[at] += value
        if "NextToken" not in page:
            return found
        more = {"NextToken": page["NextToken"]}


@cache
def cloudwatch() -> Any:
    import boto3

    return boto3.client("cloudwatch")
