"""What a deployment does beside replacing things: schema changes before and after, a canary of the validator, alarms at which it goes back."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import custom_resources
from constructs import Construct

from infra.compute.rollout import Rollout
from infra.config.stages import Stage
from infra.log_groups import log_group
from infra.nag import accept_managed, accept_star
from infra.parts import Landing

MINUTE = cdk.Duration.minutes(1)
ANSWER = cdk.Duration.minutes(20)
"""So long CloudFormation waits for a migration: longer than a function can take. Without it a call that never answers holds a deployment for an hour."""


class Migration(Construct):
    """`mailloom.run.aws_lambda.migrate`, called by CloudFormation: `before` anything new runs, and `after`, once nothing old does. A call that fails
    fails the deployment, which then goes back. Calls again when the function's code or the image is another.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage, function: lambda_.Function, rollout: Rollout) -> None:
        super().__init__(scope, name)
        self.stage, self.function, self.rollout = stage, function, rollout
        self.provider = custom_resources.Provider(
            self, "Provider", on_event_handler=function, log_group=log_group(self, "Log", stage)
        )
        writes = "The CDK's own function that calls ours; it writes its log"
        accept_managed(self.provider, "service-role/AWSLambdaBasicExecutionRole", writes)
        accept_star(self.provider, f"{function.function_arn}:*", "Any version of the one function that it calls")

    def run(self, phase: str) -> cdk.CustomResource:
        """One phase as a resource: order it by dependencies."""
        return cdk.CustomResource(
            self,
            phase.capitalize(),
            service_token=self.provider.service_token,
            resource_type="Custom::MailloomMigration",
            service_timeout=ANSWER,
            properties={
                "phase": phase,
                "code": self.function.current_version.version,
                "image": self.rollout.images["work"],
            },
        )


def guards(scope: Construct, stage: Stage, landing: Landing) -> list[cloudwatch.Alarm]:
    """Alarms for deployments alone: quicker than those that call somebody, and nobody is told. Their names are known before they are made, or a service
    and its alarm would wait for each other.
    """
    errors = cloudwatch.Metric(
        namespace=stage.namespace,
        metric_name="errors",
        dimensions_map={"kind": "bug", "place": "worker"},
        statistic="Sum",
        period=MINUTE,
    )
    dead, once = landing.queues["dead"], {"statistic": "Maximum", "period": MINUTE}
    growing = cloudwatch.MathExpression(
        expression="DIFF(visible + FILL(held, 0))",  # letters that somebody looks at are hidden for a while, and come back
        using_metrics={
            "visible": dead.metric_approximate_number_of_messages_visible(**once),
            "held": dead.metric_approximate_number_of_messages_not_visible(**once),
        },
        label="new dead letters",
        period=MINUTE,
    )
    found = (("errors", errors, 5, "mails that fail by a bug"), ("dead", growing, 1, "mail becomes dead letters"))
    return [
        cloudwatch.Alarm(
            scope,
            f"Release{name.capitalize()}",
            alarm_name=f"{stage.prefix}-release-{name}",
            alarm_description=f"During a deployment: {what}. It goes back (docs/aws.md, Roll back). Tells nobody.",
            metric=metric,
            threshold=threshold,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,  # no mail, no news
        )
        for name, metric, threshold, what in found
    ]


def canary(
    scope: Construct, name: str, stage: Stage, alias: lambda_.Alias, alarms: Sequence[cloudwatch.IAlarm]
) -> codedeploy.LambdaDeploymentGroup:
    """A tenth of the calls for five minutes, then all; back at an alarm, of these or of the function's own errors."""
    failing = cloudwatch.Alarm(
        scope,
        f"Release{name}",
        alarm_name=f"{stage.prefix}-release-{name.lower()}",
        alarm_description=f"During a deployment: calls of {name.lower()} fail. It goes back (docs/aws.md, Roll back). Tells nobody.",
        metric=alias.metric_errors(statistic="Sum", period=MINUTE),
        threshold=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    group = codedeploy.LambdaDeploymentGroup(
        scope,
        f"{name}Canary",
        alias=alias,
        deployment_config=codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
        alarms=[failing, *alarms],
        auto_rollback=codedeploy.AutoRollbackConfig(
            failed_deployment=True, stopped_deployment=True, deployment_in_alarm=True
        ),
    )
    moves = "What CodeDeploy needs to move an alias; it is narrower than what could be said by hand"
    accept_managed(group, "service-role/AWSCodeDeployRoleForLambdaLimited", moves)
    return group
