"""Every metric there is, in one table: docs/metrics.md is made from it, and alarms are made from these names.

A test holds it against the code: what is counted anywhere under src/ and this table are the same set.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "distribution"]
Unit = Literal["Count", "Bytes", "Milliseconds", "Seconds"]


class Metric(NamedTuple):
    """`kind` says what a value is: something to add up, the amount now, or one of many to see the spread of. `also` are smaller sets of its
    dimensions that it is summed by too: an alarm can't sum over values of a dimension that it doesn't know.
    """

    name: str
    kind: Kind
    unit: Unit
    dimensions: tuple[str, ...]
    meaning: str
    also: tuple[tuple[str, ...], ...] = ()


METRICS = (
    # -------------------------------------------------------------------------------- mail
    Metric("mails", "counter", "Count", ("state",), "mails committed: stored, duplicate or rejected"),
    Metric("bytes", "counter", "Bytes", (), "raw mail worked on"),
    Metric(
        "stored_latency",
        "distribution",
        "Milliseconds",
        (),
        "from a mail's arrival (the event's time) until it is committed; none of mail that was there for more than 15 days",
    ),
    Metric("batch_mails", "distribution", "Count", (), "mails in one commit"),
    Metric("commit_time", "distribution", "Milliseconds", (), "one commit of a batch"),
    Metric(
        "events",
        "counter",
        "Count",
        ("outcome",),
        "events at the validator: accepted, next (accepted, for a new version's workers), large, rejected, held (beyond the share that is"
        " accepted), ignored (no mail's event)",
    ),
    Metric(
        "books",
        "counter",
        "Count",
        ("source", "state"),
        "deliveries by source, as their rows in the ledger change: received, then stored, duplicate or rejected; received less the others is"
        " pending. One that is worked on again and ends otherwise counts as received again. Of a process that is killed the last"
        " interval is missing: `mailloom doctor` counts the rows themselves",
        also=(("state",),),
    ),
    # -------------------------------------------------------------------------------- trouble
    Metric(
        "errors",
        "counter",
        "Count",
        ("kind", "place"),
        "failures: transient, poison or bug, and the step or store",
        also=(("kind",),),
    ),
    Metric(
        "reduced",
        "counter",
        "Count",
        ("store",),
        "mails that a search index or Firehose took without some of their texts",
    ),
    Metric("retries", "counter", "Count", ("place",), "tries after a transient failure"),
    Metric("returned", "counter", "Count", (), "messages given back to the queue to come again later"),
    Metric("dead_letters", "gauge", "Count", (), "messages in the dead-letter queue"),
    Metric(
        "expired", "counter", "Count", (), "messages whose hold on the queue was lost while their mail was worked on"
    ),
    # -------------------------------------------------------------------------------- queues
    Metric("queue_age", "distribution", "Seconds", ("queue",), "age of messages when received"),
    Metric("queue_depth", "gauge", "Count", ("queue",), "messages that wait, about"),
    Metric("queue_held", "gauge", "Count", ("queue",), "messages received and not deleted yet, about"),
    # -------------------------------------------------------------------------------- threads
    Metric("joins", "counter", "Count", (), "conversations that became part of another when mail arrived"),
    Metric("dirty", "gauge", "Count", (), "messages that wait for settle"),
    Metric("settle_time", "distribution", "Milliseconds", (), "one run of settle"),
    Metric("fenced", "counter", "Count", (), "runs of settle that another one overtook"),
    # -------------------------------------------------------------------------------- what doctor found
    Metric("faults", "gauge", "Count", ("check",), "1 where that check of `mailloom doctor` found a fault, else 0"),
    # -------------------------------------------------------------------------------- a new version
    Metric(
        "shadow",
        "counter",
        "Count",
        ("outcome",),
        "mails that the shadow worker compared: same, changed, failed (this version can't read what the stored one could), absent (not stored)",
    ),
    Metric(
        "shadow_changes",
        "counter",
        "Count",
        ("field",),
        "mails of which the shadow worker found a field to differ: text, segments, nested, evidence ...",
    ),
    # -------------------------------------------------------------------------------- the bill
    Metric(
        "requests",
        "counter",
        "Count",
        ("store",),
        "calls to AWS by service, with those tried again; reading a mail from S3 is one more each",
    ),
    Metric("units", "counter", "Count", ("table", "kind"), "DynamoDB capacity units: read, write"),
    Metric("cache", "counter", "Count", ("outcome",), "look-ups in Valkey: hit, miss, away"),
)

TABLE = {metric.name: metric for metric in METRICS}
