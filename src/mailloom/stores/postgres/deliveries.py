"""Deliveries, read: the copies of messages are here, what became of everything that came is in the ledger, which is another store's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields, replace

from mailloom.mail.model import MessageId
from mailloom.ports import Copy, History
from mailloom.stores.postgres.partitions import month_of
from mailloom.stores.postgres.scoped import storable
from mailloom.stores.postgres.snapshot import Snapshot

_COPY = ", ".join(field.name for field in fields(Copy) if field.name != "object")
_ORDER = 'order by stored_at, source collate "C", path collate "C", start, generation'


class PostgresDeliveryReader:
    """Implements ports.DeliveryReader. `sources` are those that a path may be of."""

    def __init__(self, state: Snapshot, history: History, sources: Sequence[str]) -> None:
        self.state, self.history, self.known = state, history, sources

    def copies(self, messages: Collection[MessageId]) -> dict[MessageId, list[Copy]]:
        sql = f"select {_COPY} from copies where scope = %s and month = any(%s) and message = any(%b) {_ORDER}"  # noqa: S608
        values = (self.state.scope, sorted({month_of(one) for one in messages}), list(messages))
        copies = defaultdict(list)
        for row in self.state.rows(sql, values) if messages else ():
            copy = Copy(*row)
            if copy.message is not None:
                copies[copy.message].append(copy)
        return dict(copies)

    def sources(self) -> Sequence[str]:
        if self.known:
            return self.known
        with self.state.hold():  # which gives it time
            rows = self.state.rows("select distinct source from copies where scope = %s", (self.state.scope,))
        return sorted(row[0] for row in rows)

    def delivered(self, places: Collection[tuple[str, str]]) -> list[Copy]:
        """The ledger knows places, and names the messages whose copies have the rest."""
        found = []
        told = self.history.where(places)
        copies = self.copies({one.message for one in told if one.message is not None})
        for one in told:
            same = [copy for copy in copies.get(one.message, ()) if _is_of(copy, one)] if one.message else []
            if same:
                at = same[0].received_at if same[0].received_at is not None else one.received_at
                found.append(replace(same[0], object=one.object, state=one.state, received_at=at))
            else:
                found.append(one)
        return found

    def ending(self, name: str) -> list[Copy]:
        """Reads all copies: there is no index by the end of a path."""
        like = storable(name).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        sql = f"select {_COPY} from copies where scope = %s and (path like %s or path like %s) {_ORDER}"  # noqa: S608
        with self.state.hold():  # which gives it time
            rows = self.state.rows(sql, (self.state.scope, f"%/{like}", f"%!{like}"))
        return [Copy(*row) for row in sorted(rows, key=lambda row: row[:4])]

    def rejected(self, *, foreign: bool) -> Iterator[Copy]:
        for one in self.history.rejected():
            if foreign or one.state == "rejected":
                yield one


def _is_of(copy: Copy, one: Copy) -> bool:
    """Whether a copy is that of an entry of the ledger. An object that was overwritten has other bytes."""
    place = copy.source, copy.path, copy.start
    return copy.raw_sha256 == one.raw_sha256 and place == (storable(one.source), storable(one.path), one.start)
