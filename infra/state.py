"""The state of threads and deliveries: DynamoDB's tables, and the cache before them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.parts import Network, State
from infra.stages import Stage
from mailloom.stores.dynamodb import TABLES

TYPES = {"B": dynamodb.AttributeType.BINARY, "S": dynamodb.AttributeType.STRING}


class StateStack(cdk.Stack):
    out: State

    def __init__(self, scope: Construct, name: str, stage: Stage, network: Network) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        key = kms.Key(self, "Key", enable_key_rotation=True)
        prefix = f"{stage.prefix}-"
        tables = {}
        for table, what in TABLES.items():
            keys = {role: dynamodb.Attribute(name=k, type=TYPES[kind]) for k, kind, role in what["keys"]}
            tables[table] = dynamodb.Table(
                self,
                table.capitalize(),
                table_name=prefix + table,
                partition_key=keys["HASH"],
                sort_key=keys.get("RANGE"),
                billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
                time_to_live_attribute=what.get("ttl"),
            )
        self.out = State(key, tables, prefix, "")
