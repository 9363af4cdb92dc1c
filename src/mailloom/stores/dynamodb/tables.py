"""The tables, as values: what `create` makes at a desk and in tests, and what infrastructure code declares. Docs: docs/dynamodb.md.

Every partition key is binary and begins with 16 bytes of a hash of the scope. DynamoDB places an item by a hash of its own of the
whole key, and no two items of nodes or clues share one, so that none runs hot because others do.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

NODES: Final = "nodes"
"""`k` scope + name of a node, `b` the packed node with its key item (items.py). The lease of settle has `n` instead."""
CLUES: Final = "clues"
"""`k` scope + name of a clue, `b` the packed item, `ttl` when it may go (s since 1970 UTC)."""
LEDGER: Final = "ledger"
"""`k` scope + hash of source and path, `v` the object's version; the rest in ledger.py."""

TTL = "ttl"
TABLES: Final[dict[str, dict[str, Any]]] = {
    NODES: {"keys": [("k", "B", "HASH")]},
    CLUES: {"keys": [("k", "B", "HASH")], "ttl": TTL},
    LEDGER: {"keys": [("k", "B", "HASH"), ("v", "S", "RANGE")]},
}
"""Name -> keys as (attribute, type, role), and the attribute by which items go, if any."""


def scope_key(scope: str) -> bytes:
    """What every key of a scope begins with: 128 bits, so that nobody can choose a scope that meets another."""
    return sha256(scope.encode("utf-8", "surrogatepass")).digest()[:16]


def create(client: Any, prefix: str) -> None:
    """Make the tables that are absent, paid by request, and wait for them. `client` is a boto3 client of DynamoDB."""
    for name, table in TABLES.items():
        try:
            client.create_table(
                TableName=prefix + name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": key, "AttributeType": type_} for key, type_, _ in table["keys"]
                ],
                KeySchema=[{"AttributeName": key, "KeyType": role} for key, _, role in table["keys"]],
            )
        except client.exceptions.ResourceInUseException:
            continue
        client.get_waiter("table_exists").wait(TableName=prefix + name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        if "ttl" in table:
            specification = {"Enabled": True, "AttributeName": table["ttl"]}
            client.update_time_to_live(TableName=prefix + name, TimeToLiveSpecification=specification)


def life(client: Any, prefix: str) -> str:
    """What tells these tables from all others of their names: those of another account, or those that were there before a restore. Raises botocore's
    errors.
    """
    table = client.describe_table(TableName=prefix + NODES)["Table"]
    return str(table.get("TableId") or table["CreationDateTime"].timestamp())  # DynamoDB Local has no ids
