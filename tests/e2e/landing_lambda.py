"""Handlers as a Lambda has them: the parts are made from the environment (ENDPOINT, NAME, FOLDER) at the first call."""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from pathlib import Path

from landing import Landing

from mailloom.run import aws_lambda
from mailloom.run.aws_lambda import Parts, prefix, validate, work

__all__ = ["prefix", "validate", "work"]


def make() -> Parts:
    landing = Landing(os.environ["ENDPOINT"], os.environ["NAME"], Path(os.environ["FOLDER"]))
    stack = ExitStack()
    atexit.register(stack.close)
    return Parts(
        stores=lambda: stack.enter_context(landing.shed()),
        buckets=landing.buckets(),
        receipts=landing.ledger,
        ledger=landing.ledger,
        places=landing.ledger,
        work=landing.queue("work"),
        large=landing.queue("large"),
        dead=landing.queue("dead"),
        keep=True,
    )


aws_lambda.provide(make)
