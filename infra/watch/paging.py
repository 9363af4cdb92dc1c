"""Rows of alarm.py -> alarms in CloudWatch, and who is told: two topics, and one alarm for all that only follows from another.

A metric alarm can't be silenced by another, a composite one can: so rows that follow act through `behind`, which a cause suppresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config.stages import Stage
from infra.watch.alarm import Alarm

TOPICS = ("page", "ticket")
COMPARE = {
    ">": cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
    ">=": cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    "<": cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
    "band": cloudwatch.ComparisonOperator.GREATER_THAN_UPPER_THRESHOLD,
}
RUNBOOKS = "docs/operations.md"
BEHIND = (
    "Mail waits or is slow, and no store is away that would be the reason.",
    "Of the alarms that only follow; silent while one of the causes stands, as that one tells.",
)
STORES = ("A store is away or can't keep up.", "Tells nobody by itself: it keeps what follows from it silent.")


def topics(scope: Construct, stage: Stage) -> dict[str, sns.Topic]:
    """`page` and `ticket`, which AWS's own services may publish to: an own key, since they may not use SNS's."""
    account = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
    services = [iam.ServicePrincipal(f"{service}.amazonaws.com") for service in ("cloudwatch", "budgets")]
    key = kms.Key(
        scope,
        "TopicKey",
        description=f"{stage.prefix}: topics of alarms",
        enable_key_rotation=True,
        removal_policy=cdk.RemovalPolicy.DESTROY,  # a topic keeps nothing
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey*"], principals=services, resources=["*"], conditions=account
        )
    )
    made = {}
    for name in TOPICS:
        topic = sns.Topic(scope, name.capitalize(), master_key=key, enforce_ssl=True, display_name=stage.prefix)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                actions=["sns:Publish"], principals=services, resources=[topic.topic_arn], conditions=account
            )
        )
        if stage.watch.email:
            topic.add_subscription(subscriptions.EmailSubscription(stage.watch.email))
        made[name] = topic
    return made


def described(name: str, says: str, why: str) -> str:
    """What a mail about an alarm says: the sentence, why, and where the runbook is."""
    return f"{says} {why} Runbook: {RUNBOOKS}#{name}"


def raise_alarms(
    scope: Construct, stage: Stage, rows: Sequence[Alarm], told: Mapping[str, sns.ITopic]
) -> dict[str, cloudwatch.AlarmBase]:
    """Name -> alarm, `stores` and `behind` among them."""
    made: dict[str, cloudwatch.AlarmBase] = {row.name: _alarm(scope, stage, row) for row in rows}
    roles = {role: [made[row.name] for row in rows if row.role == role] for role in ("cause", "follows")}
    made["stores"] = cloudwatch.CompositeAlarm(
        scope,
        "stores",
        composite_alarm_name=f"{stage.prefix}-stores",
        alarm_description=described("stores", *STORES),
        alarm_rule=cloudwatch.AlarmRule.any_of(*roles["cause"]),
    )
    made["behind"] = cloudwatch.CompositeAlarm(
        scope,
        "behind",
        composite_alarm_name=f"{stage.prefix}-behind",
        alarm_description=described("behind", *BEHIND),
        alarm_rule=cloudwatch.AlarmRule.any_of(*roles["follows"]),
        actions_suppressor=made["stores"],
        actions_suppressor_wait_period=cdk.Duration.minutes(5),  # a cause may be seen a little later
        actions_suppressor_extension_period=cdk.Duration.minutes(15),  # what waited is worked off
    )
    for name, topic in [("behind", "page"), *((row.name, row.to) for row in rows if row.role != "follows")]:
        act = actions.SnsAction(told[topic])
        made[name].add_alarm_action(act)
        made[name].add_ok_action(act)
    return made


def _alarm(scope: Construct, stage: Stage, row: Alarm) -> cloudwatch.AlarmBase:
    what = {
        "metric": row.metric,
        "alarm_name": f"{stage.prefix}-{row.name}",
        "alarm_description": described(row.name, row.says, row.why),
        "comparison_operator": COMPARE[row.compare],
        "evaluation_periods": row.periods,
        "treat_missing_data": row.missing,
    }
    if row.compare == "band":
        return cloudwatch.AnomalyDetectionAlarm(scope, row.name, std_devs=row.threshold, **what)
    return cloudwatch.Alarm(scope, row.name, threshold=row.threshold, **what)
