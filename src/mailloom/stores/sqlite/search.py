"""A Query in SQL: full text ranked by bm25, filters on columns and deliveries.

Words reach FTS5 as strings in quotes, everything else as bound values: nothing that a user types is ever read as syntax.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from mailloom.mail.model import MessageId
from mailloom.query import All, Either, Filter, Found, Members, Node, Not, Query, Word, prune
from mailloom.stores.sqlite.connection import Connection
from mailloom.stores.sqlite.epochs import current_key
from mailloom.stores.sqlite.snippets import Term, Tokenizer, hits, snippet, terms
from mailloom.thread.keys import key_name

RANK = "bm25(words, 8.0, 4.0, 1.5, 3.0, 0.5, 2.0)"
"""Weights of subject, sender, recipients, new, old, names. A word that its author wrote counts six times as much as one that was
quoted: a busy thread repeats each word in every reply, and its answer would drown."""


@dataclass(slots=True)
class Plan:
    """A query, ready to run: `match` is an FTS5 expression or "", `where` and `values` SQL over messages m; `terms` are the words to
    mark in texts, in the index's own form.
    """

    match: str = ""
    where: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)
    terms: list[Term] = field(default_factory=list)


class Search:
    """Queries over one scope of an archive."""

    def __init__(self, connection: Connection, scope: str = "") -> None:
        self.connection, self.scope = connection, scope
        self.tokens = Tokenizer(connection).tokens

    def find(self, query: Query, members: Members, limit: int) -> tuple[list[Found], Plan]:
        """At most `limit` messages: best first where there are words, else newest first. Twins count once, by the oldest.

        Raises QueryError where nothing is left to search for.
        """
        plan = self.plan(query, members)
        found: dict[bytes, list[MessageId]] = {}
        for message, twin in self._rows(plan):
            if twin not in found and len(found) >= limit:
                break
            found.setdefault(twin, []).append(message)
        return [self._folded(twin, messages, plan) for twin, messages in found.items()], plan

    def count(self, query: Query, members: Members) -> int:
        """How many messages answer, twins counted each."""
        plan = self.plan(query, members)
        source = "words join messages m on m.seq = words.rowid" if plan.match else "messages m"
        return int(self.connection.execute(f"select count(*) from {source} where {self._where(plan)}", plan.values).get)  # noqa: S608

    # -------------------------------------------------------------------------------------------- running
    def _where(self, plan: Plan) -> str:
        return " and ".join((["words match ?"] if plan.match else []) + plan.where)

    def _rows(self, plan: Plan) -> Iterator[tuple[MessageId, bytes]]:
        if plan.match:
            sql = f"""select m.id, m.twin from words join messages m on m.seq = words.rowid where {self._where(plan)}
              order by {RANK}, m.id"""  # noqa: S608  made of constants
            yield from self.connection.execute(sql, plan.values)
            return
        # Ids are in the order of dates, so the index gives the newest first; undated mail has the highest ids and comes last.
        sql = f"select m.id, m.twin from messages m where {self._where(plan)} and m.id {{}} order by m.id desc"  # noqa: S608
        undated = b"\xff" * 6
        yield from self.connection.execute(sql.format("< ?"), [*plan.values, undated])
        yield from self.connection.execute(sql.format(">= ?"), [*plan.values, undated])

    def _folded(self, twin: bytes, messages: list[MessageId], plan: Plan) -> Found:
        """Twins have one rank and one date, but may lie behind the rows that were read."""
        source = "words join messages m on m.seq = words.rowid" if plan.match else "messages m"
        sql = f"""select m.id from {source} where {self._where(plan)}
          and m.id in (select message from links where scope = ? and key = ?) order by m.id"""  # noqa: S608
        key, scope = key_name("twin", twin), current_key(self.connection, self.scope)
        several = "select count(*) from links where scope = ? and key = ?"
        if int(self.connection.execute(several, (scope, key)).get) > 1:
            messages = [row[0] for row in self.connection.execute(sql, [*plan.values, scope, key])] or messages
        return Found(MessageId(messages[0]), len(messages) - 1)

    # -------------------------------------------------------------------------------------------- planning
    def plan(self, query: Query, members: Members) -> Plan:
        plan = Plan()
        nodes = prune(query, lambda text: bool(self.tokens(text)))
        wanted = [match for node in nodes if (match := _match(node))]
        refused = [match for node in nodes if isinstance(node, Not) and (match := _match(node.of))]
        plan.match = " AND ".join(f"({match})" for match in wanted)
        if plan.match and refused:
            plan.match = f"({plan.match}) NOT ({' OR '.join(f'({match})' for match in refused)})"
        if plan.match:
            plan.values.append(plan.match)
        plan.where.append("m.scope = ?")
        plan.values.append(self.scope)
        for node in nodes:
            if not (plan.match and (_match(node) or (isinstance(node, Not) and _match(node.of)))):
                plan.where.append(self._condition(node, plan.values, members))
        plan.terms = terms(self, query)
        return plan

    def _condition(self, node: Node, values: list[object], members: Members) -> str:
        if match := _match(node):
            values.append(match)
            return "m.seq in (select rowid from words where words match ?)"
        if isinstance(node, Not):
            return f"not {self._condition(node.of, values, members)}"
        if isinstance(node, Filter):
            return self._filter(node, values, members)
        assert isinstance(node, All | Either)
        joint = " and " if isinstance(node, All) else " or "
        return f"({joint.join(self._condition(part, values, members) for part in node.of)})"

    def _filter(self, item: Filter, values: list[object], members: Members) -> str:
        if item.name == "date":
            return _dated(item, values)
        if item.name == "has":
            return {"attachment": "m.attachments > 0", "nested": "m.nested > 0", "problem": "m.problems <> ''"}[
                item.text
            ]
        if item.name == "problem":
            values.append(f",{item.text},")
            return "instr(lower(',' || m.problems || ','), lower(?)) > 0"
        if item.name == "list":
            values.append(item.text)
            return "instr(lower(m.list_id), lower(?)) > 0"
        if item.name == "thread":
            values.append(orjson.dumps([message.hex() for message in members(item.text)]).decode())
            return "m.id in (select unhex(value) from json_each(?))"
        if item.name == "id":
            return _named(item.text, values)
        return self._place(item.text, values)

    def _place(self, name: str, values: list[object]) -> str:
        """in: a folder (all of its path, or its first or last names), a label, or a source by its name or its last part."""
        plain = name.rstrip("/")
        sources = self.connection.execute("select id, name from sources where scope = ?", (self.scope,))
        numbers = [number for number, source in sources if _is_source(source, plain)]
        like = plain.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values += [plain, f"{like}/%", f"%/{like}", f"%/{like}/%", f"% {like} %"]
        # Left to itself, SQLite goes over all deliveries for each message: without statistics it takes a scope for as good as a message.
        return f"""exists (select 1 from deliveries d indexed by deliveries_message where d.scope = m.scope and d.message = m.id and (
          d.folder = ? collate nocase or d.folder like ? escape '\\' or d.folder like ? escape '\\' or d.folder like ? escape '\\'
          or ' ' || d.labels || ' ' like ? escape '\\' or d.source in ({", ".join(map(str, numbers))})))"""  # noqa: S608  numbers


def _is_source(source: str, name: str) -> bool:
    return name.casefold() in (source.casefold(), source.rsplit("/", 1)[-1].casefold())


def _dated(item: Filter, values: list[object]) -> str:
    """Undated mail is in no span, and so outside of each: no NULL may come out of this."""
    parts = ["m.date is not null"]
    if item.since is not None:
        parts.append("m.date >= ?")
        values.append(item.since)
    if item.until is not None:
        parts.append("m.date < ?")
        values.append(item.until)
    return f"({' and '.join(parts)})"


def _named(name: str, values: list[object]) -> str:
    """id: the beginning of an id, or a Message-ID."""
    plain = name.strip().strip("<>")
    digits = plain.replace("-", "").lower()
    if 0 < len(digits) <= 32 and all(c in "0123456789abcdef" for c in digits):
        values += [bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))]
        return "m.id between ? and ?"
    values.append(plain)
    return "m.message_id = ?"


def _match(node: Node) -> str:
    """The FTS5 expression of a tree that is made of words alone and refuses none, else ""."""
    if isinstance(node, Word):
        text = '"' + node.text.replace('"', '""') + '"' + ("*" if node.prefix else "")
        return f"{node.column} : {text}" if node.column else text
    if isinstance(node, All | Either):
        parts = [_match(part) for part in node.of]
        joint = " AND " if isinstance(node, All) else " OR "
        return joint.join(f"({part})" for part in parts) if all(parts) else ""
    return ""


class SqliteFinder:
    """Implements query.Finder over the full text of an archive, for one scope."""

    def __init__(self, connection: Connection, scope: str = "") -> None:
        self.connection, self.scope = connection, scope

    def find(self, query: Query, members: Members, limit: int) -> list[Found]:
        return Search(self.connection, self.scope).find(query, members, limit)[0]

    def count(self, query: Query, members: Members) -> int:
        return Search(self.connection, self.scope).count(query, members)


__all__ = ["Plan", "Search", "SqliteFinder", "Term", "hits", "snippet"]
