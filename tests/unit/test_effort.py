"""The yardstick of linear time tells linear from quadratic work."""

from __future__ import annotations

import pytest
from effort import linear


def test_work_in_proportion_passes() -> None:
    linear(lambda text: [ord(c) for c in text], lambda n: "x" * n, 50_000)


def test_quadratic_work_fails() -> None:
    with pytest.raises(AssertionError, match="four times as much"):
        linear(lambda text: [text.count("x", at) for at in range(0, len(text), 8)], lambda n: "x" * n, 30_000)
