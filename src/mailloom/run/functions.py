"""What Lambda functions name as their handlers: mailloom.run.functions.validate, .work and .prefix, with the server profile behind them.

Settings come from the environment (MAILLOOM_CONFIG may name a file in the package); the profile is `aws` unless MAILLOOM_PROFILE says otherwise.
"""

from __future__ import annotations

import os
from dataclasses import replace

from mailloom import obs
from mailloom.config import load
from mailloom.run.aws_lambda import Parts, prefix, provide, validate, work
from mailloom.wire.profile import open_servers

__all__ = ["prefix", "validate", "work"]


def parts() -> Parts:
    """Once a process. Raises UserError where a setting is missing: the function fails, with the words in its log."""
    settings = load(os.environ.get("MAILLOOM_PROFILE") or "aws", None, os.environ).settings
    obs.configure(replace(settings.obs, log=settings.obs.log or "info"))
    servers = open_servers(settings)
    return Parts(
        stores=lambda: servers.stores,
        buckets=servers.buckets,
        receipts=servers.objects,
        ledger=servers.objects,  # of what is rejected no copy is kept, so validators need no PostgreSQL
        places=servers.objects,
        work=servers.queue("work"),
        large=servers.queue_if_set("large"),
        dead=servers.queue_if_set("dead"),
    )


provide(parts)
