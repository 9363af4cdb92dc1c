"""A message as a document of the index. Pure: the same message gives the same bytes."""

from __future__ import annotations

from typing import Any

import orjson

from mailloom.mail.model import MessageId
from mailloom.ports import Row, Words
from mailloom.stores.opensearch.layout import moment

MAX_BYTES = 8 << 20
"""Of one document, as JSON. Small instances of the managed service take requests of 10 MiB, and a longer text is a log or a dump:
the beginning of it can be searched."""

Document = dict[str, Any]


def key(scope: str, message: MessageId) -> str:
    """A document's key: the same message in two scopes has two."""
    return f"{scope}/{message.hex()}"


def document(scope: str, row: Row, words: Words) -> Document:
    """What of a message is searched and filtered by. Texts that would make it too large are cut, and named in `left_out`."""
    made: Document = {
        "scope": scope,
        "id": row.id.hex(),
        "twin": row.twin.hex(),
        "content_hash": row.content_hash.hex(),
        "moment": moment(row.id),
        "date": row.date,
        "message_id": row.message_id,
        "list_id": row.list_id,
        "from": row.sender,
        "marks": row.marks.split(),
        "problems": row.problems.split(",") if row.problems else [],
        "size": row.size,
        "attachments": row.attachments,
        "nested": row.nested,
        **words._asdict(),
    }
    if sum(map(len, words)) > MAX_BYTES // 6:  # a character is at most 6 bytes of JSON
        _cut(made)
    return made


def _cut(made: Document) -> None:
    cut = set()
    while len(orjson.dumps(made)) > MAX_BYTES:
        name = longest(made)
        cut.add(name)
        made[name] = made[name][: len(made[name]) // 2]
    if cut:
        made["left_out"] = sorted(cut)


def longest(made: Document) -> str:
    """The name of the longest text."""
    return max(Words._fields, key=lambda name: len(made.get(name, "")))


def without(made: Document, reason: str) -> Document | None:
    """The document without what OpenSearch refused of it: the field that the reason names, else the longest text. None where
    nothing is left to leave out.
    """
    named = [name for name in made if f"[{name}]" in reason or f'"{name}"' in reason]
    keep = {"scope", "id", "twin", "moment", "left_out"}
    name = next((name for name in named if name not in keep), longest(made))
    if name not in made:
        return None
    return {
        **{field: value for field, value in made.items() if field != name},
        "left_out": sorted({*made.get("left_out", ()), name}),
    }
