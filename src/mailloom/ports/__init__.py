"""What a store must do: small protocols, each method taking a batch, and the values that they take and give.

Each *item* of a batch is atomic by itself; a batch as a whole need not be. Reads are strong: they see every write that has
returned. A store is bound to one *scope* (a customer, a case) when it is made; nothing crosses scopes.
"""

from __future__ import annotations

from mailloom.ports.errors import Fenced, Poison, Transient, UserError
from mailloom.ports.messages import Delivery, Frame, Ledger, Located, Messages, Raws, Row, Words
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

__all__ = [
    "Ask",
    "ClueItem",
    "ClueName",
    "ClueNote",
    "Clues",
    "Delivery",
    "Edit",
    "Edits",
    "Evidence",
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
    "Place",
    "Poison",
    "Pools",
    "Raws",
    "Row",
    "Soft",
    "SoftLinks",
    "Stamp",
    "Stated",
    "Target",
    "Threads",
    "Transient",
    "UserError",
    "Words",
]
