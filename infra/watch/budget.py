"""What a stage may cost in a month, told before it is spent."""

from __future__ import annotations

from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.config.stages import Stage

TOLD = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))
"""Kind of figure, and at what percentage of the budget."""


def budget(scope: Construct, stage: Stage, topic: sns.ITopic) -> budgets.CfnBudget:
    """Of what bears the stage's tag, which has to be activated once as a cost allocation tag (docs/aws.md)."""
    return budgets.CfnBudget(
        scope,
        "Budget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_name=stage.prefix,
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=stage.watch.budget_usd, unit="USD"),
            cost_filters={"TagKeyValue": [f"user:mailloom:stage${stage.name}"]},
        ),
        notifications_with_subscribers=[
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[budgets.CfnBudget.SubscriberProperty(subscription_type="SNS", address=topic.topic_arn)],
            )
            for kind, percent in TOLD
        ],
    )
