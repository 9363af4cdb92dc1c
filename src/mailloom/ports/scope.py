"""What a scope may be called: the name before every key."""

from __future__ import annotations

from mailloom.ports.errors import UserError


def checked(scope: str) -> str:
    """The scope as it is. Raises UserError for one with control characters, which could be taken for an epoch of another's threads
    (stores/sqlite/epochs.py) and are no text to PostgreSQL, as is a lone surrogate: a byte of the environment that is no UTF-8.
    """
    if any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in scope):
        raise UserError(f"the scope {scope!r} holds a control character: scopes are made of what can be typed")
    return scope
