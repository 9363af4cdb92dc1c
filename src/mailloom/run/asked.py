"""What a function is asked for: an event by whoever calls it, so anything may be in it. All raise UserError, which says what is wrong with which member."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mailloom.ports import UserError


def as_object(event: object) -> Mapping[str, Any]:
    """An event as the JSON object that it has to be."""
    if not isinstance(event, Mapping):
        raise UserError(f"the event is {str(event)[:100]!r}, and no object: docs/operations.md has each handler's")
    return event


def text_of(event: object, name: str, default: str | None = None) -> str:
    """A member of an event. Raises UserError where it is no text, or missing without a default."""
    found = as_object(event).get(name)
    if found is None and default is not None:
        return default
    if not isinstance(found, str):
        raise UserError(
            f"the event's {name!r} is {str(found)[:100]}, and has to be a text: docs/operations.md has each handler's event"
        )
    return found


def name_of(event: object, name: str, default: str | None = None) -> str:
    """The same of what may not be empty."""
    found = text_of(event, name, default) or default
    if not found:
        raise UserError(f"the event's {name!r} is empty: docs/operations.md has each handler's event")
    return found


def count_of(event: object, name: str, default: int) -> int:
    """A member that is a whole number from 0 on."""
    found = as_object(event).get(name)
    if found is None:
        return default
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise UserError(f"the event's {name!r} is {str(found)[:100]}, and has to be a whole number from 0 on")
    return found


def body_of(record: Mapping[str, Any]) -> Any:
    """The body of a message of SQS."""
    try:
        return orjson.loads(record["body"])
    except orjson.JSONDecodeError:
        raise UserError(
            f"the message {record.get('messageId', '')} is not JSON: docs/operations.md has each handler's event"
        ) from None
