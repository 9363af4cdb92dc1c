"""An archive, read: find a mail, its thread, its copies; search; iterate; hand everything to Arrow.

with open_archive("archive") as archive:
    for hit in archive.search('from:ann "purchase order"'):
        print(hit.record.message.subject)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from mailloom.mail.model import MessageId, Record
from mailloom.ports import Copy, Edit, Reader, Soft, Stated, Summary, UserError
from mailloom.schema import load_record, unpack
from mailloom.stores.files import RawError
from mailloom.thread.edits import Hand, seen
from mailloom.thread.keys import nodes_of
from mailloom.wire import Embedded, open_for_reading

if TYPE_CHECKING:
    import pyarrow as pa

    from mailloom.archive.duplicates import Duplicate
    from mailloom.query import Finder
    from mailloom.stores.sqlite import Connection
    from mailloom.thread.policy import Policy
    from mailloom.thread.tree import Twig


class NotFoundError(UserError):
    """Nothing, or more than one thing, goes by that name; the message says which and what to do."""


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


class Readable(Protocol):
    """Stores that an archive is read from, for one scope. What of a delivery's bytes and of the copy for analysts there is, each profile
    tells in its own words.
    """

    @property
    def reader(self) -> Reader: ...
    @property
    def finder(self) -> Finder: ...

    def raw(self, copy: Copy) -> bytes | None:
        """The bytes of a delivery; None where they aren't kept. Raises RawError where they are lost."""
        ...

    def raw_at(self, copy: Copy) -> str:
        """Where those are, for people; "" where they aren't kept."""
        ...

    def analysed_at(self, message: MessageId) -> str:
        """Where the analysts' copy of a message is, for people."""
        ...

    def close(self) -> None: ...


class Archive:
    """An archive opened for reading. Others may write to it meanwhile: each call sees what was committed when it began."""

    def __init__(self, stores: Readable) -> None:
        self.readable = stores
        self.reader, self.finder = stores.reader, stores.finder
        self.messages, self.whole = self.reader.messages, self.reader.whole
        self.evidence, self.deliveries = self.reader.threads, self.reader.deliveries

    @property
    def stores(self) -> Embedded:
        """The stores of an archive in a folder. Raises UserError for one on servers: what needs these doesn't work there."""
        if isinstance(self.readable, Embedded):
            return self.readable
        raise UserError("this works on an archive in a folder only (--archive), not on servers")

    @property
    def on_servers(self) -> bool:
        """There is no folder: no sketches to find near duplicates by, no files for DuckDB."""
        return not isinstance(self.readable, Embedded)

    @property
    def connection(self) -> Connection:
        """The database of an archive in a folder. Raises as `stores` does."""
        return self.stores.connection

    @property
    def scope(self) -> str:
        return self.stores.scope

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is not None:
            self.reader.explain(error)

    def close(self) -> None:
        self.readable.close()

    def snapshot(self) -> AbstractContextManager[None]:
        """One state of the archive for all calls inside, whoever writes meanwhile."""
        return self.reader.snapshot()

    # -------------------------------------------------------------------------------------------- one message
    def find(self, name: str) -> MessageId:
        """The id that a name means: an id, its beginning as in git (4 digits or more), or a Message-ID with or without brackets.

        Raises NotFoundError.
        """
        plain = name.strip().strip("<>")
        digits = plain.replace("-", "").lower()
        if 4 <= len(digits) <= 32 and all(c in "0123456789abcdef" for c in digits):
            low, high = (MessageId(bytes.fromhex(digits.ljust(32, fill))) for fill in "0f")
            found = self.messages.between(low, high, 6)
        else:
            found = self.messages.called([plain], 6).get(plain, ())
        if not found:
            raise NotFoundError(
                f"no message is called {name!r}: give an id (4 digits or more) or a Message-ID; `mailloom search` finds ids"
            )
        if len(found) > 1 and "@" not in plain:
            ids = ", ".join(message.hex() for message in found[:5])
            raise NotFoundError(f"{name!r} may be any of {ids}: give more digits")
        return found[0]

    def summary(self, message: MessageId) -> Summary:
        """A message as lists show it. Raises NotFoundError."""
        found = self.messages.summaries([message])
        if message not in found:
            raise NotFoundError(f"no message has the id {message.hex()}")
        return found[message]

    def record(self, message: MessageId) -> Record:
        """All that a message says. Raises NotFoundError."""
        found = self.messages.bodies([message])
        if message not in found:
            raise NotFoundError(f"no message has the id {message.hex()}")
        return load_record(unpack(found[message]))

    def copies(self, message: MessageId) -> Sequence[Copy]:
        """Each delivery of a message, in the order of storing."""
        return self.deliveries.copies([message]).get(message, [])

    def twins(self, message: MessageId) -> Sequence[MessageId]:
        """Other messages with the same content but for their ids."""
        return self.messages.twins([message]).get(message, [])

    def duplicates(self, message: MessageId, threshold: float = 0.8) -> list[Duplicate]:
        """Twins, variants, mails that reuse its Message-ID, near duplicates: archive/duplicates.py."""
        from mailloom.archive.duplicates import duplicates

        return duplicates(self, message, threshold)

    def raw(self, message: MessageId) -> bytes:
        """The exact bytes of the first copy that has them. Raises RawError where raw mail isn't kept or was lost."""
        for copy in self.copies(message):
            if (raw := self.readable.raw(copy)) is not None:
                return raw
        raise RawError(f"the raw bytes of {message.hex()} are not in this archive")

    # -------------------------------------------------------------------------------------------- threads
    def conversation(self, message: MessageId) -> MessageId:
        """The conversation that a message is in now: the id of its oldest message. Raises NotFoundError."""
        found = self.evidence.conversations([message])
        if message not in found:
            raise NotFoundError(f"no message has the id {message.hex()}")
        return found[message]

    def members(self, conversation: MessageId) -> Sequence[MessageId]:
        """The messages of a conversation, oldest first."""
        return self.evidence.members([conversation]).get(conversation, [])

    def subjects(self, messages: Sequence[MessageId]) -> Mapping[MessageId, str]:
        """Each message's base subject; those of one conversation that share it are a topic."""
        return self.messages.subjects(messages)

    def stated(self, messages: Sequence[MessageId]) -> list[Stated]:
        """What these messages state of their threads, in their order; who is absent is left out."""
        found = self.evidence.stated(messages)
        return [found[message] for message in messages if message in found]

    def soft(self, messages: Sequence[MessageId]) -> Sequence[Soft]:
        """The soft links from these messages, live or not."""
        return self.evidence.soft(messages)

    def by_hand(self, stated: Sequence[Stated]) -> Hand:
        """What hand edits say of messages."""
        return Hand(self.evidence.places({name for s in stated for name in nodes_of(s)}))

    def edits(self) -> Sequence[Edit]:
        """All hand edits, those that were taken back too."""
        return self.evidence.edits()

    def view(self, message: MessageId, policy: Policy = "never") -> Sequence[MessageId]:
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

        automatic = self.messages.marked(members, "automatic")
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

        cited = [twig for twig in below(*roots) if twig.cited]
        found = self.messages.called({twig.cited for twig in cited}, 6) if cited else {}
        for twig in cited:
            twig.elsewhere = tuple(found.get(twig.cited, ()))
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
        with self.snapshot():
            entries = sorted(self.whole.members(), key=lambda one: (one.conversation, one.message))
        yield from entries

    # -------------------------------------------------------------------------------------------- search
    def search(self, text: str, limit: int = 20, width: int = 200, policy: Policy = "never") -> list[Hit]:
        """Messages that answer a query (mailloom.query tells the language): best first where it has words, else newest first.
        `policy` says what their conversations are, and what `thread:` means.

        Raises QueryError, and NotFoundError for a `thread:` that names nothing.
        """
        from mailloom.query import read
        from mailloom.stores.sqlite.snippets import Tokenizer, snippet, terms

        query, tokens = read(text), Tokenizer()
        shown = [term for term in terms(tokens, query) if term.column == ""]
        with self.snapshot():
            found = self.finder.find(query, self._named(policy), limit)
            ids = [one.id for one in found]
            bodies, conversations = self.messages.bodies(ids), self.evidence.conversations(ids)
            groups = self._groups(set(conversations.values()), policy)
            hits = []
            for one in found:
                if one.id not in bodies:
                    continue  # the index knows already what a replica of the database does not
                record = load_record(unpack(bodies[one.id]))
                message = record.message
                texts = (message.reply_text, message.text, *(n.text for n in message.nested if n.kind == "attached"))
                line, marks = snippet(tokens, texts, shown, width)
                conversation = groups.get(one.id, conversations.get(one.id, one.id))
                hits.append(Hit(record, conversation, one.twins, line, marks))
        return hits

    def _groups(self, conversations: Collection[MessageId], policy: Policy) -> dict[MessageId, MessageId]:
        """Each member of these conversations -> the oldest message of its group, where a policy splits them."""
        if policy == "never":
            return {}
        members = self.evidence.members(conversations).values()
        return {message: first for some in members for message, first in self.split(some, policy).items()}

    def count(self, text: str, policy: Policy = "never") -> int:
        """How many messages answer a query, twins counted each. Raises as `search` does."""
        from mailloom.query import read

        with self.snapshot():
            return self.finder.count(read(text), self._named(policy))

    def short(self, message: MessageId) -> str:
        """The shortest beginning of an id, of 8 digits at least, that names no other message: what `find` takes."""
        digits = message.hex()
        need = 8
        for other in self.messages.neighbours(message):
            if other is not None:
                same = next(n for n, (a, b) in enumerate(zip(digits, other.hex(), strict=True)) if a != b)
                need = max(need, same + 1)
        return digits[:need]

    def _named(self, policy: Policy) -> Callable[[str], Sequence[MessageId]]:
        return lambda name: self.view(self.find(name), policy)

    # -------------------------------------------------------------------------------------------- everything
    def records(self) -> Iterator[Record]:
        """Every message, in the order of storing."""
        for body in self.whole.stored():
            yield load_record(unpack(body))

    def __len__(self) -> int:
        return self.whole.count()

    def to_arrow(self) -> pa.Table:
        """Every message as one Arrow table (schema.arrow_schema). For archives larger than memory, read messages/ by DuckDB."""
        from mailloom.schema import arrow_line, arrow_schema
        from mailloom.stores.parquet import table

        lines = b"\n".join(arrow_line(unpack(body)) for body in self.whole.stored())
        return table(lines) if lines else arrow_schema().empty_table()


def open_archive(path: str | Path, scope: str = "") -> Archive:
    """Open an archive folder for reading. Raises stores.sqlite.ArchiveError where there is none, or it is damaged or newer."""
    return Archive(open_for_reading(Path(path), scope))


__all__ = ["Archive", "Copy", "Hit", "NotFoundError", "Readable", "Summary", "open_archive"]
