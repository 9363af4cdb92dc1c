"""A type of options: a number of a range."""

from __future__ import annotations

from math import isfinite
from typing import Any

import click


class Between(click.FloatRange):
    """As click's own, which lets "nan" through, that nothing is above or below, and "inf" where there is no upper bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if not isfinite(found):
            self.fail(f"{value} is no number that can be worked with.", param, ctx)
        return found
