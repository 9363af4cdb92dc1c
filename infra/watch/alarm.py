"""What an alarm is, as a row of the table in alarms_mail.py and alarms_stores.py: what it looks at, from where on it is one, why there, and
who is told. docs/operations.md has a runbook under each name.

A row pages where mail waits, is lost, or soon will be; all else is a ticket for working hours. Where a store is away, much follows from
that: rows that are a `cause` silence those that only `follow` (paging.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch

QUIET = cloudwatch.TreatMissingData.NOT_BREACHING  # it is told only when something happens: silence is well
SILENT = cloudwatch.TreatMissingData.BREACHING  # it is told always: silence is the fault
KEPT = cloudwatch.TreatMissingData.IGNORE  # it is told once a night: what it said holds until the next


@dataclass(frozen=True)
class Alarm:
    """`compare` is how the metric must stand to the threshold for `periods` of its periods on end: ">", ">=", "<", or "band": above what is
    usual at that hour of the week, the threshold being the band's half width in standard deviations. `why` tells why this threshold, and why
    missing data mean what they do. `to` is page or ticket, `role` cause, follows, or none.
    """

    name: str
    says: str
    metric: cloudwatch.IMetric
    compare: str
    threshold: float
    periods: int
    missing: cloudwatch.TreatMissingData
    why: str
    to: str
    role: str = ""
