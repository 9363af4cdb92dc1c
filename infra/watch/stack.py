"""What tells when something is wrong: alarms, the dashboard, the budget."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept
from infra.parts import Whole
from infra.watch import alarms_mail, alarms_stores
from infra.watch.budget import budget
from infra.watch.dashboard import dashboard
from infra.watch.figures import Figures
from infra.watch.paging import raise_alarms, topics


class WatchStack(cdk.Stack):
    def __init__(self, scope: Construct, name: str, stage: Stage, whole: Whole) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        figures, week = Figures(stage, whole), f"{stage.prefix}-week"
        last_week(self, stage, week)
        told = topics(self, stage)
        rows = [*alarms_mail.alarms(figures, week), *alarms_stores.alarms(figures)]
        made = raise_alarms(self, stage, rows, told)
        dashboard(self, figures, week, made)
        if stage.watch.budget_usd:
            budget(self, stage, told["ticket"])


def last_week(scope: Construct, stage: Stage, name: str) -> lambda_.Function:
    """week_before.py as a function that CloudWatch asks. Its name is part of expressions, so it is given."""
    group = log_group(scope, "WeekLog", stage)
    role = iam.Role(scope, "WeekRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    group.grant_write(role)
    role.add_to_policy(iam.PolicyStatement(actions=["cloudwatch:GetMetricData"], resources=["*"]))
    accept(role, "AwsSolutions-IAM5[Resource::*]", "reading metrics can't be granted for one namespace")
    function = lambda_.Function(
        scope,
        "Week",
        function_name=name,
        description="Mail a week before, for an alarm and the dashboard",
        runtime=lambda_.Runtime.PYTHON_3_14,
        architecture=lambda_.Architecture.ARM_64,
        handler="index.handler",
        code=lambda_.Code.from_inline(Path(__file__).with_name("week_before.py").read_text("utf-8")),
        role=role,
        log_group=group,
        memory_size=512,  # CloudWatch waits 4.5 s for an alarm; with less memory boto3 alone takes two of them to begin
        timeout=cdk.Duration.seconds(10),
        environment={"NAMESPACE": stage.namespace, "METRIC": "mails", "LEAST": str(stage.watch.least_mails)},
    )
    function.add_permission(
        "CloudWatch",
        principal=iam.ServicePrincipal("lambda.datasource.cloudwatch.amazonaws.com"),
        source_account=cdk.Aws.ACCOUNT_ID,
    )
    return function
