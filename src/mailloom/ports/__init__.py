"""What a store must do: small protocols, each method taking a batch, and the values that they take and give.

Each *item* of a batch is atomic by itself; a batch as a whole need not be. Reads are strong: they see every write that has
returned. A store is bound to one *scope* (a customer, a case) when it is made; nothing crosses scopes.
"""

from __future__ import annotations

from mailloom.ports.errors import Fenced, Poison, Transient, UserError
from mailloom.ports.messages import Delivery, Frame, Ledger, Located, Messages, Raws, Row, Sink, Words
from mailloom.ports.receipts import Failure, Pointer, Progress, Receipts
from mailloom.ports.threads import (
    Ask,
    ClueItem,
    ClueName,
    ClueNote,
    Clues,
    Edit,
    Edits,
    Evidence,
    FeedEntry,
    KeyItem,
    KeyNote,
    Keys,
    Link,
    Marks,
    Node,
    NodeName,
    Place,
    Pools,
    Soft,
    SoftLinks,
    Stamp,
    Stated,
    Target,
    Threads,
)
from mailloom.ports.transport import Blobs, Parcel, Queue, Received, Stat

__all__ = [
    "Ask",
    "Blobs",
    "ClueItem",
    "ClueName",
    "ClueNote",
    "Clues",
    "Delivery",
    "Edit",
    "Edits",
    "Evidence",
    "Failure",
    "FeedEntry",
    "Fenced",
    "Frame",
    "KeyItem",
    "KeyNote",
    "Keys",
    "Ledger",
    "Link",
    "Located",
    "Marks",
    "Messages",
    "Node",
    "NodeName",
    "Parcel",
    "Place",
    "Pointer",
    "Poison",
    "Pools",
    "Progress",
    "Queue",
    "Raws",
    "Receipts",
    "Received",
    "Row",
    "Sink",
    "Soft",
    "SoftLinks",
    "Stamp",
    "Stat",
    "Stated",
    "Target",
    "Threads",
    "Transient",
    "UserError",
    "Words",
]
