"""An archive, read: find a mail, its thread, its copies; search; iterate; hand everything to Arrow.

with open_archive("archive") as archive:
    for hit in archive.search('from:ann "purchase order"'):
        print(hit.record.message.subject)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import apsw

from mailloom.archive.conversations import conversation_of, members_of, membership
from mailloom.mail.model import MessageId, Record
from mailloom.ports import Edit, Soft, Stated, UserError
from mailloom.schema import load_record, unpack
from mailloom.stores.files import RawError
from mailloom.stores.sqlite import epochs, told
from mailloom.thread.edits import Hand, seen
from mailloom.thread.encoding import load_stated
from mailloom.thread.keys import key_name, nodes_of
from mailloom.wire import Embedded, open_for_reading

if TYPE_CHECKING:
    import pyarrow as pa

    from mailloom.archive.duplicates import Duplicate
    from mailloom.thread.policy import Policy
    from mailloom.thread.tree import Twig


class NotFoundError(UserError):
    """Nothing, or more than one thing, goes by that name; the message says which and what to do."""


class Summary(NamedTuple):
    """One message as lists show it. `date` is in ms, None where none was stated."""

    id: MessageId
    date: int | None
    subject: str
    sender: str
    message_id: str
    attachments: int
    nested: int
    problems: str


@dataclass(frozen=True, slots=True)
class Copy:
    """One delivery: where a mail came from and what became of it. Times in ms; `trace` is JSON (model.Trace)."""

    source: str
    path: str
    start: int
    generation: int
    length: int
    state: str
    message: MessageId | None
    raw_sha256: bytes
    folder: str
    labels: str
    flags: str
    received_at: int | None
    trace: bytes
    reason: str
    version: str
    read_at: int
    stored_at: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that answers a query. `snippet` is a line of its text around the hit, `marks` the spans of the hits in it;
    `twins` are further answers with the same content.
    """

    record: Record
    conversation: MessageId
    twins: int
    snippet: str
    marks: tuple[tuple[int, int], ...]


COPY = """sources.name, path, start, generation, length, state, message, raw_sha256, folder, labels, flags, received_at, trace,
  reason, version, read_at, stored_at from"""
"""The columns of a Copy; what follows is `deliveries` and its join with sources."""
_COPIES = "deliveries indexed by deliveries_message join sources on sources.id = deliveries.source"
_SUMMARY = "id, date, subject, sender, message_id, attachments, nested, problems from messages"


class Archive:
    """An archive opened for reading. Others may write to it meanwhile: each call sees what was committed when it began."""

    def __init__(self, stores: Embedded) -> None:
        self.stores, self.connection, self.scope = stores, stores.connection, stores.scope

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if isinstance(error, apsw.Error):
            with told(self.stores.folder):
                raise error

    def close(self) -> None:
        self.stores.close()

    @contextmanager
    def snapshot(self) -> Iterator[str]:
        """One state of the archive for all calls inside, whoever writes meanwhile. Gives the key of the epoch whose threads count
        in it: what the column `scope` of the thread tables holds.
        """
        with self.connection:
            yield epochs.current_key(self.connection, self.scope)

    # -------------------------------------------------------------------------------------------- one message
    def find(self, name: str) -> MessageId:
        """The id that a name means: an id, its beginning as in git (4 digits or more), or a Message-ID with or without brackets.

        Raises NotFoundError.
        """
        plain = name.strip().strip("<>")
        digits = plain.replace("-", "").lower()
        if 4 <= len(digits) <= 32 and all(c in "0123456789abcdef" for c in digits):
            low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
            sql = f"select {_SUMMARY} where scope = ? and id between ? and ? order by id limit 6"
            found = list(self.connection.execute(sql, (self.scope, low, high)))
        else:
            sql = f"select {_SUMMARY} where scope = ? and message_id = ? order by id limit 6"
            found = list(self.connection.execute(sql, (self.scope, plain)))
        if not found:
            raise NotFoundError(
                f"no message is called {name!r}: give an id (4 digits or more) or a Message-ID; `mailloom search` finds ids"
            )
        if len(found) > 1 and "@" not in plain:
            ids = ", ".join(row[0].hex() for row in found[:5])
            raise NotFoundError(f"{name!r} may be any of {ids}: give more digits")
        return MessageId(found[0][0])

    def summary(self, message: MessageId) -> Summary:
        """A message as lists show it. Raises NotFoundError."""
        row = self.connection.execute(f"select {_SUMMARY} where scope = ? and id = ?", (self.scope, message)).get
        if row is None:
            raise NotFoundError(f"no message has the id {message.hex()}")
        return Summary(*row)

    def record(self, message: MessageId) -> Record:
        """All that a message says. Raises NotFoundError."""
        sql = "select body from messages join bodies using (seq) where scope = ? and id = ?"
        body = self.connection.execute(sql, (self.scope, message)).get
        if body is None:
            raise NotFoundError(f"no message has the id {message.hex()}")
        return load_record(unpack(body))

    def copies(self, message: MessageId) -> list[Copy]:
        """Each delivery of a message, in the order of storing."""
        sql = f"select {COPY} {_COPIES} where deliveries.scope = ? and message = ? order by stored_at, source, path, start"
        return [Copy(*row) for row in self.connection.execute(sql, (self.scope, message))]

    def twins(self, message: MessageId) -> list[MessageId]:
        """Other messages with the same content but for their ids."""
        mine = self.connection.execute(
            "select twin from messages where scope = ? and id = ?", (self.scope, message)
        ).get
        sql = "select message from links where scope = ? and key = ? and message <> ? order by message"
        key = key_name("twin", mine or b"")
        with self.snapshot() as scope:
            return [MessageId(row[0]) for row in self.connection.execute(sql, (scope, key, message))]

    def duplicates(self, message: MessageId, threshold: float = 0.8) -> list[Duplicate]:
        """Twins, variants, mails that reuse its Message-ID, near duplicates: archive/duplicates.py."""
        from mailloom.archive.duplicates import duplicates

        return duplicates(self, message, threshold)

    def raw(self, message: MessageId) -> bytes:
        """The exact bytes of the first copy that has them. Raises RawError where raw mail isn't kept or was lost."""
        for copy in self.copies(message):
            if where := self.stores.records.located([copy.raw_sha256]):
                return self.stores.packs.read(copy.raw_sha256, where[copy.raw_sha256])
        raise RawError(f"the raw bytes of {message.hex()} are not in this archive")

    # -------------------------------------------------------------------------------------------- threads
    def conversation(self, message: MessageId) -> MessageId:
        """The conversation that a message is in now: the id of its oldest message. Raises NotFoundError."""
        with self.snapshot() as epoch:
            conversation = conversation_of(self.connection, epoch, message)
        if conversation is None:
            raise NotFoundError(f"no message has the id {message.hex()}")
        return conversation

    def members(self, conversation: MessageId) -> list[MessageId]:
        """The messages of a conversation, oldest first."""
        with self.snapshot() as epoch:
            return members_of(self.connection, epoch, conversation)

    def subjects(self, messages: Sequence[MessageId]) -> dict[MessageId, str]:
        """Each message's base subject; those of one conversation that share it are a topic."""
        sql = "select id, base_subject from messages where scope = ? and id = ?"
        return dict(self.connection.executemany(sql, [(self.scope, message) for message in messages]))

    def stated(self, messages: Sequence[MessageId]) -> list[Stated]:
        """What these messages state of their threads, in their order; who is absent is left out."""
        sql = "select message, body from stated where scope = ? and message = ?"
        with self.snapshot() as scope:
            found = self.connection.executemany(sql, [(scope, m) for m in messages])
            return [load_stated(MessageId(message), body) for message, body in found]

    def soft(self, messages: Sequence[MessageId]) -> list[Soft]:
        """The soft links from these messages, live or not."""
        sql = "select source, target, live, kind, weight, detail from soft where scope = ? and source = ?"
        with self.snapshot() as scope:
            found = self.connection.executemany(sql, [(scope, m) for m in messages])
            return [Soft(MessageId(s), MessageId(t), bool(live), *what) for s, t, live, *what in found]

    def by_hand(self, stated: Sequence[Stated]) -> Hand:
        """What hand edits say of messages."""
        return Hand(self.stores.threads.places(name for s in stated for name in nodes_of(s)))

    def edits(self) -> Sequence[Edit]:
        """All hand edits, those that were taken back too."""
        return self.stores.threads.edits()

    def view(self, message: MessageId, policy: Policy = "never") -> list[MessageId]:
        """What is shown with a message as one: its conversation's members, or those of them that a policy (thread/policy.py) puts
        together with it, oldest first. The first names the view.
        """
        with self.snapshot():
            members = self.members(self.conversation(message))
            if policy == "never":
                return members
            group = self.split(members, policy)
            return [member for member in members if group[member] == group[message]]

    def split(self, members: Sequence[MessageId], policy: Policy) -> dict[MessageId, MessageId]:
        """Each member of one conversation -> the oldest message of its group."""
        from mailloom.thread.policy import Member, split

        sql = "select id from messages where scope = ? and id = ? and ' ' || marks || ' ' like '% automatic %'"
        found = self.connection.executemany(sql, [(self.scope, member) for member in members])
        automatic = {row[0] for row in found}
        return split([Member(s, s.message in automatic) for s in self.stated(members)], policy)

    def tree(self, message: MessageId, policy: Policy = "never") -> list[Twig]:
        """A message's view as a tree, with ghosts for what is not here: what other mails cite, or quote, filled with what their
        quotes say.
        """
        from mailloom.thread.ghosts import recover
        from mailloom.thread.policy import pruned

        with self.snapshot():
            members = self.members(self.conversation(message))
            roots = recover(self._seen(members), self.soft(members), lru_cache(maxsize=16)(self.record))
            self._locate(roots)
            return roots if policy == "never" else pruned(roots, set(self.view(message, policy)))

    def _seen(self, members: Sequence[MessageId]) -> list[Stated]:
        """What messages state, without what is behind a wall that somebody built."""
        stated = self.stated(members)
        hand = self.by_hand(stated)
        return [seen(s, hand) for s in stated]

    def _locate(self, roots: Sequence[Twig]) -> None:
        """Tell of each ghost whose id other conversations' mails have: those are here, so nothing is recovered of them."""
        from mailloom.thread.tree import below

        sql = "select id from messages where scope = ? and message_id = ? order by id limit 6"
        for twig in below(*roots):
            if twig.cited:
                found = self.connection.execute(sql, (self.scope, twig.cited))
                twig.elsewhere = tuple(MessageId(row[0]) for row in found)
                twig.known = None if twig.elsewhere else twig.known

    def held(self, message: MessageId, policy: Policy = "never") -> dict[MessageId, MessageId]:
        """Each mail of a message's view that need not be read -> the later one in which all of it stands (thread/inclusive.py)."""
        from mailloom.thread.inclusive import held
        from mailloom.thread.tree import tree

        with self.snapshot():
            members = self.view(message, policy)
            return held(tree(self._seen(members), self.soft(members)), self.record)

    def threads(self) -> Iterator[tuple[MessageId, MessageId, MessageId]]:
        """(message, conversation, topic) of every message, in the order of conversations."""
        with self.snapshot() as epoch:
            entries = membership(self.connection, self.scope, epoch)
        yield from entries

    # -------------------------------------------------------------------------------------------- search
    def search(self, text: str, limit: int = 20, width: int = 200, policy: Policy = "never") -> list[Hit]:
        """Messages that answer a query (mailloom.query tells the language): best first where it has words, else newest first.
        `policy` says what their conversations are, and what `thread:` means.

        Raises QueryError, and NotFoundError for a `thread:` that names nothing.
        """
        from mailloom.query import read
        from mailloom.stores.sqlite.search import Search, snippet

        search = Search(self.connection, self.scope)
        with self.snapshot():
            found, plan = search.find(read(text), self._named(policy), limit)
            hits = []
            groups: dict[MessageId, dict[MessageId, MessageId]] = {}
            for one in found:
                record = self.record(one.id)
                message = record.message
                texts = (message.reply_text, message.text, *(n.text for n in message.nested if n.kind == "attached"))
                terms = [term for term in plan.terms if term.column == ""]
                line, marks = snippet(search, texts, terms, width)
                conversation = self.conversation(one.id)
                if policy != "never":
                    if conversation not in groups:
                        groups[conversation] = self.split(self.members(conversation), policy)
                    conversation = groups[conversation][one.id]
                hits.append(Hit(record, conversation, one.twins, line, marks))
        return hits

    def count(self, text: str, policy: Policy = "never") -> int:
        """How many messages answer a query, twins counted each. Raises as `search` does."""
        from mailloom.query import read
        from mailloom.stores.sqlite.search import Search

        with self.snapshot():
            return Search(self.connection, self.scope).count(read(text), self._named(policy))

    def short(self, message: MessageId) -> str:
        """The shortest beginning of an id, of 8 digits at least, that names no other message: what `find` takes."""
        near = "select id from messages where scope = ? and id {} ? order by id {} limit 1"
        digits = message.hex()
        need = 8
        for sql in (near.format("<", "desc"), near.format(">", "asc")):
            if other := self.connection.execute(sql, (self.scope, message)).get:
                same = next(n for n, (a, b) in enumerate(zip(digits, other.hex(), strict=True)) if a != b)
                need = max(need, same + 1)
        return digits[:need]

    def _named(self, policy: Policy) -> Callable[[str], list[MessageId]]:
        return lambda name: self.view(self.find(name), policy)

    # -------------------------------------------------------------------------------------------- everything
    def records(self) -> Iterator[Record]:
        """Every message, in the order of storing."""
        sql = "select body from messages join bodies using (seq) where scope = ? order by seq"
        for (body,) in self.connection.execute(sql, (self.scope,)):
            yield load_record(unpack(body))

    def __len__(self) -> int:
        return int(self.connection.execute("select count(*) from messages where scope = ?", (self.scope,)).get)

    def to_arrow(self) -> pa.Table:
        """Every message as one Arrow table (schema.arrow_schema). For archives larger than memory, read messages/ by DuckDB."""
        from mailloom.schema import arrow_line, arrow_schema
        from mailloom.stores.parquet import table

        sql = "select body from messages join bodies using (seq) where scope = ? order by seq"
        lines = b"\n".join(arrow_line(unpack(body)) for (body,) in self.connection.execute(sql, (self.scope,)))
        return table(lines) if lines else arrow_schema().empty_table()


def open_archive(path: str | Path, scope: str = "") -> Archive:
    """Open an archive folder for reading. Raises stores.sqlite.ArchiveError where there is none, or it is damaged or newer."""
    return Archive(open_for_reading(Path(path), scope))
