"""Metrics as lines of CloudWatch's Embedded Metric Format, from which CloudWatch Logs makes metrics.

"Specification: Embedded metric format", Amazon CloudWatch User Guide: at most 30 dimensions in a set, 100 metrics in a line and 100 values
of a metric; what a directive names is a member of the line's root; a dimension's value is a text of at most 1,024 characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, TextIO

import orjson

from mailloom.config import Obs
from mailloom.obs.meter import Series, Spread

METRICS_A_LINE = 100
LONGEST = 1024


def write(out: TextIO, settings: Obs, now: int, series: Sequence[Series]) -> None:
    """One report, at `now` (ms)."""
    out.write("".join(line + "\n" for line in lines(settings, now, series)))
    out.flush()


def lines(settings: Obs, now: int, series: Sequence[Series]) -> Iterator[str]:
    """A line for each set of values of dimensions; each metric is given with its dimensions, by those that it is summed by also, and as a
    total without.
    """

    def place(one: Series) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
        return (one.metric.dimensions, *one.metric.also), one.dims

    for ((names, *also), values), group in groupby(sorted(series, key=place), place):
        members = list(group)
        dims = {name: value[:LONGEST] for name, value in zip(names, values, strict=True)}
        for first in range(0, len(members), METRICS_A_LINE):
            yield orjson.dumps(_line(settings, now, dims, also, members[first : first + METRICS_A_LINE])).decode()


def _line(
    settings: Obs, now: int, dims: dict[str, str], also: Sequence[Sequence[str]], some: Sequence[Series]
) -> dict[str, Any]:
    directive = {
        "Namespace": settings.namespace,
        "Dimensions": [list(dims), *map(list, also), []] if dims else [[]],
        "Metrics": [{"Name": one.metric.name, "Unit": one.metric.unit} for one in some],
    }
    return {
        "_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]},
        "service": settings.service,
        **dims,
        **{one.metric.name: one.value.values() if isinstance(one.value, Spread) else one.value for one in some},
    }
