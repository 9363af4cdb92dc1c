"""Metrics by OTLP/HTTP: what the meter collected, as OpenTelemetry's data, without a second bookkeeping in its SDK.

Counters and distributions are deltas since the last report; distributions are exponential histograms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from mailloom.config import Obs
from mailloom.obs.lib import TIMEOUT, otel
from mailloom.obs.meter import SCALE, Series, Spread

UNITS = {"Count": "1", "Bytes": "By", "Milliseconds": "ms", "Seconds": "s"}  # UCUM, as OpenTelemetry wants


class Metrics:
    """Sends reports to a collector. One that can't be delivered is dropped after the exporter's own retries."""

    def __init__(self, settings: Obs) -> None:
        with otel():
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        self._exporter = OTLPMetricExporter(
            endpoint=settings.otlp_endpoint.rstrip("/") + "/v1/metrics", timeout=TIMEOUT
        )
        self._resource = Resource.create({"service.name": settings.service})
        self._scope = InstrumentationScope("mailloom")
        self._since = time.time_ns()

    def export(self, now: int, series: Sequence[Series]) -> None:
        """Send one report; `now` is in ms."""
        from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics

        end = now * 1_000_000
        scope = ScopeMetrics(self._scope, list(_metrics(series, self._since, end)), "")
        self._exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))
        self._since = end


def _metrics(series: Sequence[Series], begin: int, end: int) -> Iterator[Any]:
    from opentelemetry.sdk.metrics import export as sdk

    delta = sdk.AggregationTemporality.DELTA
    for metric, group in groupby(series, lambda one: one.metric):
        points = [_point(one, begin, end) for one in group]
        data: Any
        if metric.kind == "counter":
            data = sdk.Sum(points, delta, is_monotonic=True)
        elif metric.kind == "gauge":
            data = sdk.Gauge(points)
        else:
            data = sdk.ExponentialHistogram(points, delta)
        yield sdk.Metric(f"mailloom.{metric.name}", metric.meaning, UNITS[metric.unit], data)


def _point(one: Series, begin: int, end: int) -> Any:
    from opentelemetry.sdk.metrics import export as sdk

    attributes = dict(zip(one.metric.dimensions, one.dims, strict=True))
    value = one.value
    if not isinstance(value, Spread):
        return sdk.NumberDataPoint(attributes, begin, end, value)
    lowest, highest = (min(value.buckets), max(value.buckets)) if value.buckets else (0, -1)
    counts = [value.buckets.get(index, 0) for index in range(lowest, highest + 1)]
    return sdk.ExponentialHistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=begin,
        time_unix_nano=end,
        count=value.count,
        sum=value.sum,
        scale=SCALE,
        zero_count=value.zeros,
        positive=sdk.Buckets(lowest, counts),
        negative=sdk.Buckets(0, []),
        flags=0,
        min=value.least,
        max=value.most,
    )
