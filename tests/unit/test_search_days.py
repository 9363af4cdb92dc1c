"""Which months search holds (opensearch.days): never fewer because more days were asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.stores.opensearch.layout import OTHER, Names, expire, first

NOW = int(datetime(2026, 5, 17, 12, tzinfo=UTC).timestamp() * 1000)
MONTHS = [f"{year}-{month:02}" for year in range(1980, 2040) for month in range(1, 13)]


class Cluster:
    """Indices by name."""

    def __init__(self, names: Names) -> None:
        self.indices = self
        self.there = {f"{names.template}-{month}" for month in [*MONTHS, OTHER]}

    def get_alias(self, index: str) -> list[str]:
        return sorted(self.there)

    def delete(self, index: str, params: Any) -> None:
        self.there.remove(index)


@pytest.mark.parametrize(
    ("days", "month"),
    [(0, ""), (1, "2026-05"), (17, "2026-04"), (365, "2025-05"), (16_938, "1980-01"), (16_939, ""), (400_000, "")],
)
def test_the_first_month(days: int, month: str) -> None:
    assert first(days, NOW) == month


@given(st.integers(1, 10**30), st.integers(0, 10**30))
def test_more_days_hold_no_fewer_months(days: int, more: int) -> None:
    fewer, many = first(days, NOW), first(days + more, NOW)
    assert {month for month in MONTHS if month >= fewer} <= {month for month in MONTHS if month >= many}
    assert all(month >= fewer for month in MONTHS if month >= "2026-05")


@pytest.mark.parametrize("days", [20_000, 375_000, 400_000, 10**7, 10**20])
def test_a_thousand_years_delete_nothing(days: int) -> None:
    """`migrate` deletes the indices of months that search doesn't hold."""
    names = Names()
    cluster = Cluster(names)
    assert expire(cluster, names, first(days, NOW)) == []
    assert len(cluster.there) == len(MONTHS) + 1
