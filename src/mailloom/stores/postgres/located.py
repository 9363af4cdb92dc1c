"""What `in:` names, from the copies: a search index knows nothing of them."""

from __future__ import annotations

from mailloom.mail.model import MessageId
from mailloom.stores.postgres.scoped import storable
from mailloom.stores.postgres.snapshot import Snapshot

_PLACES = r"""select place from folders where scope = %(scope)s and (
  folder ilike %(name)s or folder ilike %(name)s || '/%%' or folder ilike '%%/' || %(name)s or folder ilike '%%/' || %(name)s || '/%%'
  or ' ' || labels || ' ' ilike '%% ' || %(name)s || ' %%' or source ilike %(name)s or source ilike '%%/' || %(last)s)"""
# The expression is that of the index copies_place. Places are values and no part of the query, so that the plan knows how many copies each has.
_LOCATED = r"""select distinct message from copies where scope = %(scope)s
  and hashtextextended(source || E'\x01' || folder || E'\x01' || labels, 0) = any(%(places)s) limit %(most)s"""


class Located:
    """A folder (all of its path, or its first or last names), a label, or a source by its name or its last part -> the messages that have a
    copy there, in any case; at most `most` of them.

    Looks through the places that copies lie in, and reads the copies of those that answer.
    """

    def __init__(self, state: Snapshot, most: int = 1_000_001) -> None:
        self.state, self.most = state, most

    def __call__(self, name: str) -> list[MessageId]:
        plain = storable(name).rstrip("/")
        like = plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        # A source is known by all of its name or by what follows its last "/", so a name with one can't be the latter.
        last = like if "/" not in plain else "\\/"
        scope = {"scope": self.state.scope}
        with self.state.hold():  # which gives it time
            places = [row[0] for row in self.state.rows(_PLACES, scope | {"name": like, "last": last})]
            if not places:
                return []
            rows = self.state.rows(_LOCATED, scope | {"places": places, "most": self.most})
        return [MessageId(bytes(row[0])) for row in rows]
