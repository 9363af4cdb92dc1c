"""The network: subnets without a way to the internet, endpoints for the services that are called."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.parts import GROUPS, Network
from infra.stages import Stage


class NetworkStack(cdk.Stack):
    out: Network

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        vpc = ec2.Vpc(
            self,
            "Vpc",
            nat_gateways=0,
            subnet_configuration=[ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)],
        )
        groups = {
            group: ec2.SecurityGroup(self, group.capitalize(), vpc=vpc, allow_all_outbound=True) for group in GROUPS
        }
        # Who may call whom is said here alone: what other stacks get can't be changed, or each would write rules into this one, and a cycle were made.
        fixed = {
            group: ec2.SecurityGroup.from_security_group_id(
                self, f"{group}Fixed", made.security_group_id, mutable=False
            )
            for group, made in groups.items()
        }
        self.out = Network(vpc, fixed)
