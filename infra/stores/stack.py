"""What is read: Aurora PostgreSQL, OpenSearch, Parquet with Glue and Athena."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from infra import keep
from infra.config.stages import Stage
from infra.parts import Network, Stores
from infra.stores.database import NAME, database
from infra.stores.index import index
from infra.stores.lake import lake


class StoresStack(cdk.Stack):
    out: Stores

    def __init__(self, scope: Construct, name: str, stage: Stage, network: Network) -> None:
        super().__init__(scope, name, env=cdk.Environment(region=stage.region))
        key = keep.key(self, stage, "stores")
        keep.lend_to_logs(key)
        rows = database(self, stage, network, key)
        domain = index(self, stage, network, key)
        files = lake(self, stage, key)
        self.out = Stores(
            key=key,
            database=rows.cluster,
            proxy=rows.proxy,
            reader_host=rows.reader_host,
            secret=rows.secret,
            database_name=NAME,
            domain=domain,
            lake=files.bucket,
            stream=files.stream,
            glue_database=files.glue_database,
            workgroup=files.workgroup,
        )
