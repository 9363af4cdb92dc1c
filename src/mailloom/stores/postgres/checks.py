"""What `mailloom doctor` counts in the tables of one scope: what waits, and what should not be."""

from __future__ import annotations

from collections.abc import Collection

from mailloom.mail.model import MessageId
from mailloom.stores.postgres.snapshot import Snapshot

_DONE = "not exists (select from unfinished u where u.scope = m.scope and u.message = m.id)"
_WAITING = {
    "messages are unfinished": "unfinished where scope = %(scope)s",
    "messages wait for settling": "marks where scope = %(scope)s",
    "roots may have moved": "moves where scope = %(scope)s",
}
# Who is unfinished may lack anything: its delivery comes again.
_WRONG = {
    "messages have no copy": f"""messages m where m.scope = %(scope)s and {_DONE} and not exists (
      select from copies c where c.scope = m.scope and c.month = m.month and c.message = m.id)""",
    "messages have no evidence": f"""messages m where m.scope = %(scope)s and {_DONE} and not exists (
      select from stated s where s.scope = m.scope and s.month = m.month and s.message = m.id)""",
    "messages have no conversation": f"""messages m where m.scope = %(scope)s and {_DONE} and not exists (
      select from conversations c where c.scope = m.scope and c.message = m.id)""",
    "copies are of no message": """copies c where c.scope = %(scope)s and not exists (
      select from messages m where m.scope = c.scope and m.month = c.month and m.id = c.message)""",
    "pieces of evidence are of no message": """stated s where s.scope = %(scope)s and not exists (
      select from messages m where m.scope = s.scope and m.month = s.month and m.id = s.message)""",
    "rows of conversations are of no message": """conversations c where c.scope = %(scope)s and not exists (
      select from messages m where m.scope = c.scope and m.id = c.message)""",
    "links lack their way back": """links l where l.scope = %(scope)s and not exists (
      select from linked k where k.scope = l.scope and k.key = l.key and k.message = l.message)""",
    "ways back lack their link": """linked k where k.scope = %(scope)s and not exists (
      select from links l where l.scope = k.scope and l.key = k.key and l.message = k.message)""",
    "messages are in a conversation that no message names": """conversations c where c.scope = %(scope)s and not exists (
      select from messages m where m.scope = c.scope and m.id = c.conversation)""",
}


class PostgresChecks:
    """Counts over one scope, in the snapshot that is held."""

    def __init__(self, state: Snapshot) -> None:
        self.state = state

    def waiting(self) -> dict[str, int]:
        """{what: how many}, of what is under way or was left by who died."""
        return self._counted(_WAITING)

    def wrong(self) -> dict[str, int]:
        """{what: how many}, of what no order of writes leaves behind."""
        return self._counted(_WRONG)

    def unfinished(self, messages: Collection[MessageId]) -> set[MessageId]:
        """Those of the messages that a worker has not finished."""
        return self._found("unfinished", messages)

    def moving(self, messages: Collection[MessageId]) -> set[MessageId]:
        """Those of the messages that stand in `moves` (conversations.py)."""
        return self._found("moves", messages)

    def _found(self, table: str, messages: Collection[MessageId]) -> set[MessageId]:
        sql = f"select message from {table} where scope = %(scope)s and message = any(%(some)b)"  # noqa: S608
        return {
            MessageId(row[0]) for row in self.state.rows(sql, {"scope": self.state.scope, "some": sorted(messages)})
        }

    def _counted(self, sources: dict[str, str]) -> dict[str, int]:
        with self.state.hold():
            counts = {
                what: int(self.state.rows(f"select count(*) from {source}", {"scope": self.state.scope})[0][0])  # noqa: S608
                for what, source in sources.items()
            }
        return {what: count for what, count in counts.items() if count}
