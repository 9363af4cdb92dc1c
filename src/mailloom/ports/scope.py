"""What a scope may be called: the name before every key."""

from __future__ import annotations

from mailloom.ports.errors import UserError

MAX_SCOPE = 400
"""Bytes of UTF-8. A document's key in OpenSearch has at most 512, of which an id takes 33; a row of an index of PostgreSQL 2,704, of which a
Message-ID may take 1,000.
"""


def checked(scope: str) -> str:
    """The scope as it is. Raises UserError for one that is too long, or with control characters, which could be taken for an epoch of
    another's threads (stores/sqlite/epochs.py) and are no text to PostgreSQL, as is a lone surrogate: a byte of the environment that is no UTF-8.
    """
    if len(scope.encode("utf-8", "surrogatepass")) > MAX_SCOPE:
        raise UserError(f"a scope has at most {MAX_SCOPE} bytes: {scope[:40]!r}...")
    if any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in scope):
        raise UserError(f"the scope {scope!r} holds a control character: scopes are made of what can be typed")
    return scope
