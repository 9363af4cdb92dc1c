"""The ledger of an embedded archive, read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from mailloom.mail.model import MessageId
from mailloom.ports import Copy
from mailloom.stores.sqlite.connection import Connection

_COPY = """sources.name, path, start, generation, length, state, message, raw_sha256, folder, labels, flags, received_at, trace,
  reason, version, read_at, stored_at from"""
"""The columns of a Copy; what follows is `deliveries` and its join with sources."""
_COPIES = "deliveries indexed by deliveries_message join sources on sources.id = deliveries.source"
_PLACES = f"{_COPY} deliveries join sources on sources.id = deliveries.source"
_REJECTED = f"""select {_COPY} deliveries d join sources on sources.id = d.source
  where d.scope = ?1 and d.state {{}} and (sources.name = '-' or not exists (select 1 from deliveries later where later.scope = d.scope
    and later.source = d.source and later.path = d.path and later.start = d.start and later.generation > d.generation))
  order by d.state desc, sources.name, d.path, d.start"""  # noqa: S608  constants only
"""Of places that were found again with other content, only the latest counts. Standard input is another place each time."""


class SqliteDeliveryReader:
    """Implements ports.DeliveryReader."""

    def __init__(self, connection: Connection, scope: str) -> None:
        self.connection, self.scope = connection, scope

    def copies(self, messages: Collection[MessageId]) -> dict[MessageId, list[Copy]]:
        sql = f"select {_COPY} {_COPIES} where deliveries.scope = ? and message = ? order by stored_at, source, path, start"
        copies = defaultdict(list)
        for row in self.connection.executemany(sql, [(self.scope, message) for message in messages]):
            copy = Copy(*row)
            copies[MessageId(row[6])].append(copy)
        return dict(copies)

    def sources(self) -> list[str]:
        rows = self.connection.execute("select name from sources where scope = ? order by id", (self.scope,))
        return [name for (name,) in rows]

    def delivered(self, places: Collection[tuple[str, str]]) -> list[Copy]:
        sql = f"""select {_PLACES} where deliveries.scope = ?1
          and source = (select id from sources where scope = ?1 and name = ?2) and path = ?3 order by start, generation"""  # noqa: S608  constants only
        found = self.connection.executemany(sql, [(self.scope, *place) for place in places])
        return [Copy(*row) for row in found]

    def ending(self, name: str) -> list[Copy]:
        like = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        sql = f"""select {_PLACES} where deliveries.scope = ?1
          and (path like '%/' || ?2 escape '\\' or path like '%!' || ?2 escape '\\') order by source, path, start, generation"""
        return [Copy(*row) for row in self.connection.execute(sql, (self.scope, like))]

    def rejected(self, *, foreign: bool) -> Iterator[Copy]:
        states = "in ('rejected', 'foreign')" if foreign else "= 'rejected'"
        for row in self.connection.cursor().execute(_REJECTED.format(states), (self.scope,)):
            yield Copy(*row)
