"""What `in:` names, from the copies: a search index knows nothing of them."""

from __future__ import annotations

from mailloom.mail.model import MessageId
from mailloom.stores.postgres.scoped import storable
from mailloom.stores.postgres.snapshot import Snapshot

_LOCATED = r"""select distinct message from copies where scope = %(scope)s and (
  folder ilike %(name)s or folder ilike %(name)s || '/%%' or folder ilike '%%/' || %(name)s or folder ilike '%%/' || %(name)s || '/%%'
  or ' ' || labels || ' ' ilike '%% ' || %(name)s || ' %%' or source ilike %(name)s or source ilike '%%/' || %(last)s)
  limit %(most)s"""


class Located:
    """A folder (all of its path, or its first or last names), a label, or a source by its name or its last part -> the messages that have a
    copy there, in any case; at most `most` of them.

    Reads all copies of a scope: there is no index by folder.
    """

    def __init__(self, state: Snapshot, most: int = 1_000_001) -> None:
        self.state, self.most = state, most

    def __call__(self, name: str) -> list[MessageId]:
        plain = storable(name).rstrip("/")
        like = plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        # A source is known by all of its name or by what follows its last "/", so a name with one can't be the latter.
        values = {
            "scope": self.state.scope,
            "name": like,
            "last": like if "/" not in plain else "\\/",
            "most": self.most,
        }
        with self.state.hold():  # which gives it time
            return [MessageId(bytes(row[0])) for row in self.state.rows(_LOCATED, values)]
