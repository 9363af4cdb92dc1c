"""What the clock starts: the nightly chain, and once a month the migration that makes the next months' partitions.

EventBridge Scheduler, not rules: it has time zones, windows, retries and a queue for what it could not start.
"""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as targets
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn

from infra.config.stages import WEEKDAYS, Stage
from infra.history.nightly import LOOK

WINDOW = cdk.Duration.minutes(30)
"""Starts within so long after its time: nobody waits for them, and all the world starts at the full hour."""


def schedules(
    stack: cdk.Stack,
    stage: Stage,
    letters: sqs.Queue,
    machines: Mapping[str, sfn.StateMachine],
    aliases: Mapping[str, lambda_.Alias],
) -> dict[str, scheduler.Schedule]:
    """Name -> schedule. What can't be started for two hours is a message in `letters`."""
    group = scheduler.ScheduleGroup(stack, "Schedules", schedule_group_name=stage.prefix)
    group.apply_removal_policy(
        cdk.RemovalPolicy.DESTROY
    )  # kept, its name would stand in the way of the next deployment
    again = {
        "dead_letter_queue": letters,
        "max_event_age": cdk.Duration.hours(2),
        "retry_attempts": 20,
    }
    hour, zone = stage.history.hour, cdk.TimeZone.of(stage.history.time_zone)

    def at(name: str, when: str, what: scheduler.IScheduleTarget) -> scheduler.Schedule:
        return scheduler.Schedule(
            stack,
            f"{name}At",
            schedule=scheduler.ScheduleExpression.expression(when, zone),
            target=what,
            schedule_group=group,
            time_window=scheduler.TimeWindow.flexible(WINDOW),
        )

    def night(name: str, days: str, given: Mapping[str, bool]) -> scheduler.Schedule:
        told = scheduler.ScheduleTargetInput.from_object(given)
        return at(
            name,
            f"cron(0 {hour} ? * {days} *)",
            targets.StepFunctionsStartExecution(machines["nightly"], input=told, **again),
        )

    looking, other = nights(stage.history.doctor)
    found = {"nightly": night("Nightly", looking, {})}
    if other:
        found["settling"] = night("Settling", other, {LOOK: False})
    return found | {
        "migrate": at(
            "Migrate",
            f"cron(30 {hour} * * ? *)",  # months ahead in PostgreSQL, and those that leave search
            targets.LambdaInvoke(
                aliases["migrate"], input=scheduler.ScheduleTargetInput.from_object({"phase": "before"}), **again
            ),
        ),
    }


def nights(wanted: str) -> tuple[str, str]:
    """Days of the week for cron: those of `history.doctor`, and the others. One night is in one of them, or settle would run twice at once."""
    looking = WEEKDAYS if wanted == "all" else wanted.split(",")
    other = [day for day in WEEKDAYS if day not in looking]
    return ",".join(day for day in WEEKDAYS if day in looking), ",".join(other)
