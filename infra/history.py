"""What runs now and then over much mail: state machines, schedules, EMR Serverless."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.parts import Compute, History, Landing, Network, State, Stores
from infra.stages import Stage


class HistoryStack(cdk.Stack):
    out: History

    def __init__(
        self,
        scope: Construct,
        name: str,
        stage: Stage,
        network: Network,
        landing: Landing,
        state: State,
        stores: Stores,
        compute: Compute,
    ) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        machines = {
            machine: sfn.StateMachine(
                self,
                machine.capitalize(),
                definition_body=sfn.DefinitionBody.from_chainable(sfn.Pass(self, f"{machine} begins")),
            )
            for machine in ("backfill", "nightly")
        }
        self.out = History(machines)
