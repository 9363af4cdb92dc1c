"""DynamoDB: nodes of the threads with their key items, clue items, the ledger of deliveries. Layout and cost: docs/dynamodb.md."""

from mailloom.stores.dynamodb.ledger import DynamoLedger
from mailloom.stores.dynamodb.nodes import Cache, DynamoNodes
from mailloom.stores.dynamodb.statements import Dynamo
from mailloom.stores.dynamodb.tables import CLUES, LEDGER, NODES, TABLES, create, life

__all__ = [
    "CLUES",
    "LEDGER",
    "NODES",
    "TABLES",
    "Cache",
    "Dynamo",
    "DynamoLedger",
    "DynamoNodes",
    "create",
    "life",
]
