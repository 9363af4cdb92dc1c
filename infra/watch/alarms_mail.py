"""Alarms on the way of a mail: queues, validator, workers, settle, and whether the books balance. What a row is: alarm.py."""

from __future__ import annotations

from collections.abc import Iterator

import aws_cdk as cdk

from infra.watch.alarm import KEPT, QUIET, SILENT, Alarm
from infra.watch.figures import HOUR, Figures, math

BAND = 3  # standard deviations: wide enough that one night in a year is out of it by chance, where errors are many


def alarms(f: Figures, week: str) -> list[Alarm]:
    """`week` is the name of the function that knows last week's mail."""
    return [*queues(f), *lost(f), *validator(f), *workers(f), *speed(f, week), *threads(f)]


# ------------------------------------------------------------------------------------------------ queues
def queues(f: Figures) -> Iterator[Alarm]:
    longest = f.stage.watch.queue_minutes * 60
    for queue, seconds, what in (
        ("events", longest, "S3's events wait for the validator"),
        ("work", longest, "mail waits for a worker"),
        ("next", longest, "mail waits for a worker of the next version"),
        ("large", max(4 * longest, 3600), "mail over 10 MB waits for a worker"),
    ):
        yield Alarm(
            f"queue-age-{queue}",
            f"The oldest message of the queue {queue} is older than {seconds // 60} minutes: {what}.",
            f.queue(queue, "ApproximateAgeOfOldestMessage"),
            *(">", seconds, 3, QUIET),
            "Fifteen minutes on end: new tasks start within five. SQS tells nothing of a queue that is not used.",
            *("page", "follows"),
        )
    yield Alarm(
        "workers-gone",
        "Messages wait in the queue work, and nobody receives any.",
        math(
            "IF(FILL(waiting, 0) > 0 AND FILL(received, 0) < 1, 1, 0)",
            waiting=f.queue("work", "ApproximateNumberOfMessagesVisible", "Minimum"),
            received=f.queue("work", "NumberOfMessagesReceived", "Sum"),
        ),
        *(">=", 1, 3, QUIET),
        "Tasks that were scaled to none start within five minutes; a store that is away has its own alarm, and its workers look now and then.",
        *("page", ""),
    )
    yield Alarm(
        "dead-letters",
        "Mail or events were given up: they are in the queue dead.",
        math(
            "MAX([FILL(queue, 0), FILL(told, 0)])",
            queue=f.queue("dead", "ApproximateNumberOfMessagesVisible"),
            told=f.own("dead_letters", "Maximum"),
        ),
        *(">", 0, 1, QUIET),
        "Each is a mail that nobody finds; the queue keeps it for 14 days. By SQS and by what workers see: either may be late.",
        *("ticket", ""),
    )
    yield Alarm(
        "dead-shadow",
        "The shadow worker gave copies up: they are in the queue dead-shadow.",
        f.queue("dead_shadow", "ApproximateNumberOfMessagesVisible"),
        *(">", 0, 1, QUIET),
        "Each is a mail over which the next version was stopped five times: a reason not to go on. The mail itself goes its own way.",
        *("ticket", ""),
    )


def lost(f: Figures) -> Iterator[Alarm]:
    yield Alarm(
        "books-off",
        "The books don't balance: deliveries are pending that no message stands for, or more were stored than there are messages.",
        math(
            "MAX([books, overdue])",  # nothing filled in: an hour later that would be a look without a fault
            HOUR,
            books=f.own("faults", "Maximum", HOUR, check="books"),
            overdue=f.own("faults", "Maximum", HOUR, check="overdue"),
        ),
        *(">=", 1, 1, KEPT),
        "One is too many. Doctor counts the ledger's rows themselves, and tells once: it holds until it looks again (history.doctor).",
        *("page", ""),
    )
    backlog = {
        f"{queue}{state}": f.queue(queue, f"ApproximateNumberOfMessages{state}", "Maximum", HOUR)
        for queue in ("work", "large", "next", "dead")
        for state in ("Visible", "NotVisible")
    }
    yield Alarm(
        "books-open",
        "In an hour more mail came in and did not end than all queues hold.",
        math(
            f"2 * FILL(received, 0) - FILL(all, 0) - ({' + '.join(f'FILL({name}, 0)' for name in backlog)})",
            HOUR,
            received=f.own("books", "Sum", HOUR, state="received"),
            all=f.own("books", "Sum", HOUR),  # received and ended: twice received less this is what stays pending
            **backlog,
        ),
        *(">", 0, 1, QUIET),
        "Whatever was pending before, no more can be added than queues hold. Counters of a killed process lack its last minute, so look first.",
        *("ticket", ""),
    )
    yield Alarm(
        "archive-faults",
        "The last doctor found a fault.",
        f.own("faults", "Maximum", HOUR),
        *(">=", 1, 1, KEPT),
        "Any fault; told once, and holds until it looks again (history.doctor).",
        *("ticket", ""),
    )


# ------------------------------------------------------------------------------------------------ what runs
def validator(f: Figures) -> Iterator[Alarm]:
    validate = f.whole.compute.functions["validate"]
    others = {
        name: f.function(function, "Errors")
        for name, function in sorted(f.whole.compute.functions.items())
        if name != "validate"
    }
    yield Alarm(
        "validator-errors",
        "The validator fails: events come again, and end as dead letters.",
        f.function(validate, "Errors"),
        *(">=", 1, 3, QUIET),
        "A call that failed comes again; in three periods on end it is no accident. No call, no figure.",
        *("page", "follows"),
    )
    yield Alarm(
        "validator-throttles",
        "The validator may not run as often as events want it to.",
        f.function(validate, "Throttles"),
        *(">=", 1, 3, QUIET),
        "Events wait in their queue meanwhile, which has an alarm of its own. No call, no figure.",
        *("ticket", ""),
    )
    yield Alarm(
        "function-errors",
        f"One of the functions {', '.join(others)} fails.",
        math(" + ".join(f"FILL({name}, 0)" for name in others), **others),
        *(">=", 1, 3, QUIET),
        "A state machine and a queue try again; in three periods on end it is no accident. No call, no figure.",
        *("ticket", ""),
    )
    yield Alarm(
        "function-concurrency",
        f"Functions of the whole account use 80 % of the {f.stage.watch.concurrency:,} that may run at once.",
        f.aws("AWS/Lambda", "ClaimedAccountConcurrency", "Maximum"),
        *(">=", 0.8 * f.stage.watch.concurrency, 3, QUIET),
        "What is left is a burst of the validator. Told only while functions run.",
        *("ticket", ""),
    )


def workers(f: Figures) -> Iterator[Alarm]:
    yield Alarm(
        "store-away",
        "Workers try to commit, and nothing is committed.",
        math("IF(FILL(retries, 0) > 0 AND FILL(mails, 0) < 1, 1, 0)", retries=f.own("retries"), mails=f.own("mails")),
        *(">=", 1, 2, QUIET),
        "A failover takes two minutes. No try, no figure.",
        *("page", "cause"),
    )
    for kind, what in (
        ("bug", "mails that our code failed on"),
        ("poison", "messages and objects that are not what they should be"),
    ):
        yield Alarm(
            f"errors-{kind}",
            f"There are errors of the kind {kind}: {what}.",
            f.own("errors", kind=kind),
            *(">=", 1, 1, QUIET),
            "Each will be a dead letter after five receives: now it can be read in the log. Told only when it happens.",
            *("ticket", ""),
        )
    for kind in ("transient", "bug", "poison"):
        yield Alarm(
            f"error-share-{kind}",
            f"The share of errors of the kind {kind} is far above what is usual at this hour.",
            math(
                "100 * FILL(errors, 0) / (FILL(errors, 0) + FILL(mails, 0))",
                label=f"% {kind}",
                errors=f.own("errors", kind=kind),
                mails=f.own("mails"),
            ),
            *("band", BAND, 3, QUIET),
            "Learnt from two weeks, by hour and weekday; until then the band is a guess. No mail and no error, no share.",
            *("ticket", ""),
        )
    yield Alarm(
        "shadow-failed",
        "The next version can't read mail that the present one could.",
        f.own("shadow", outcome="failed"),
        *(">=", 1, 1, QUIET),
        "One is a reason not to go on. Told only while a shadow runs.",
        *("ticket", ""),
    )
    yield Alarm(
        "hold-lost",
        "Workers lose their hold on messages while they work on them: others do the same mail again.",
        f.own("expired"),
        *(">=", 1, 3, QUIET),
        "One is a worker that stood still for a moment; on end it is a visibility timeout that is too short. Told only when it happens.",
        *("ticket", ""),
    )
    yield Alarm(
        "cache-away",
        "More than 5 % of look-ups don't reach Valkey: the same answers come from DynamoDB, for more money.",
        math(
            "100 * FILL(away, 0) / (FILL(away, 0) + FILL(hit, 0) + FILL(miss, 0))",
            **{outcome: f.own("cache", outcome=outcome) for outcome in ("away", "hit", "miss")},
        ),
        *(">", 5, 3, QUIET),
        "The cache is never the truth, so nothing is wrong but the price. No look-up, no share.",
        *("ticket", ""),
    )


def speed(f: Figures, week: str) -> Iterator[Alarm]:
    seconds = f.stage.watch.latency_seconds
    yield Alarm(
        "latency",
        f"One mail in a hundred takes more than {seconds} s from its arrival until it is stored.",
        f.own("stored_latency", "p99"),
        *(">", seconds * 1000, 3, QUIET),
        "The stage's promise. Objects that are older than any queue keeps messages came by a backfill, and have no latency. No mail, none either.",
        *("page", "follows"),
    )
    yield Alarm(
        "throughput",
        "Less than half as much mail is stored in an hour as in the same hour a week before.",
        math(f'LAMBDA("{week}", "share")', HOUR, label="share of the week before"),
        *("<", 0.5, 1, QUIET),
        f"Less than {f.stage.watch.least_mails:,} mails in that hour, or no week before yet, give no share. Half an hour of silence is enough.",
        *("page", "follows"),
    )


def threads(f: Figures) -> Iterator[Alarm]:
    yield Alarm(
        "settle-stopped",
        "No run of settle has ended for half an hour: mail without headers stays apart from its thread.",
        f.own("settle_time", "SampleCount", cdk.Duration.minutes(15)),
        *("<", 1, 2, SILENT),
        "It runs every five minutes, mail or not, so silence is the fault.",
        *("ticket", ""),
    )
    yield Alarm(
        "dirty-growing",
        "For an hour more than 5,000 messages have waited for settle.",
        f.own("dirty", "Minimum"),
        *(">", 5_000, 12, QUIET),
        "A run takes all that wait; the gauge counts to 10,000. Only workers and settle tell it.",
        *("ticket", ""),
    )
