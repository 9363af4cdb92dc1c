"""What tells when something is wrong: alarms, the dashboard, the budget."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.parts import Whole
from infra.stages import Stage


class WatchStack(cdk.Stack):
    def __init__(self, scope: Construct, name: str, stage: Stage, whole: Whole) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        self.topic = sns.Topic(self, "Alarms", enforce_ssl=True)
