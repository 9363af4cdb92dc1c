"""The threads store: seven protocols, because seven things change at different speeds; every store implements them all over one
connection. Names are bytes: a message node is 0x00 + its 16-byte id, a key node 0x01 + 16 bytes of a hash, so that the smallest name in a
pool is its oldest message.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from mailloom.mail.model import MessageId

NodeName = bytes
"""17 bytes: see the module's docstring."""
ClueName = bytes
"""At most 16 bytes: see thread/clues.py."""


# ------------------------------------------------------------------------------------------------ values
class Node(NamedTuple):
    """One node of the union-find. `conv` overrides the pool's root; `dead` is what settle last made of a key."""

    parent: NodeName
    conv: NodeName | None = None
    dead: bool = False


class Link(NamedTuple):
    """One stated piece of hard evidence: a message owns or cites a key. `weight` is in thousandths."""

    kind: str
    key: NodeName
    owns: bool
    detail: str
    weight: int = 1000


class Ask(NamedTuple):
    """A message looks for the owner of a clue: one stated piece of soft evidence. `detail` is for `explain`; what `value` means
    depends on the kind (thread/clues.py), 0 if nothing.
    """

    kind: str
    clue: ClueName
    detail: str
    weight: int = 1000
    value: int = 0


class Stated(NamedTuple):
    """All that one message states of its thread: its hard links, the clues that it owns and those that it asks for.

    `subject` is an 8-byte hash of the base subject, `people` such hashes of the keys of From, To and Cc, the sender first;
    `when` is the stated date in ms, `zone` its minutes east of UTC. `reply` says whether the subject begins with "Re:" in any
    language; `own` and `quoted` are sketches (thread/sketch.py) of the message's own words and of those that it quotes.
    """

    message: MessageId
    subject: bytes
    people: tuple[bytes, ...]
    when: int | None
    links: tuple[Link, ...]
    owns: tuple[ClueName, ...] = ()
    asks: tuple[Ask, ...] = ()
    zone: int | None = None
    reply: bool = False
    own: bytes = b""
    quoted: bytes = b""


class KeyNote(NamedTuple):
    """A change to a key item: an owner's base subject, or a citer's sender and subject, or that somebody asks."""

    key: NodeName
    owner: bytes | None = None
    citer: tuple[bytes, bytes] | None = None
    asked: bool = False


class KeyItem(NamedTuple):
    """What is known of a key: its owners' base subjects and its citers' senders and subjects, as far as the caps go."""

    owners: frozenset[bytes] = frozenset()
    senders: frozenset[bytes] = frozenset()
    subjects: frozenset[bytes] = frozenset()
    asked: bool = False


class Tie(NamedTuple):
    """A key that is its own parent is hung below `parent`, and `notes` of it are applied, all in one atomic step."""

    key: NodeName
    parent: NodeName
    notes: Sequence[KeyNote] = ()


class ClueNote(NamedTuple):
    """A change to a clue item: a message owns it, or somebody asks for it."""

    clue: ClueName
    owner: MessageId | None = None
    asked: bool = False


class ClueItem(NamedTuple):
    """Who owns a clue, as far as the cap goes, and whether anybody asks for it."""

    owners: frozenset[MessageId] = frozenset()
    asked: bool = False


class Target(NamedTuple):
    """A soft link that `decide` chose for a message."""

    target: MessageId
    kind: str
    weight: int
    detail: str


class Soft(NamedTuple):
    """A soft link that settle has drawn: source -> target. Once its row is there it stays; `live` says whether it counts now."""

    source: MessageId
    target: MessageId
    live: bool
    kind: str = ""
    weight: int = 0
    detail: str = ""


class Stamp(NamedTuple):
    """What settle writes on a node: `conv` (b"" clears it, None leaves it), `dead` (None leaves it)."""

    node: NodeName
    conv: NodeName | None = None
    dead: bool | None = None


class FeedEntry(NamedTuple):
    """One change of a conversation's id, for followers: history, not state."""

    old: MessageId
    new: tuple[MessageId, ...]
    why: str


class Edit(NamedTuple):
    """What somebody said by hand of threads, in the names of nodes: never of a conversation, whose members change.

    kind "join": `message` and the earlier `target` are one talk; `inside` and `outside` are their nodes. kind "split": `message` and what
    answered it then are a talk of their own (`target` is `message`); `inside` and `outside` are the nodes of both sides' messages and keys.
    `at` and `undone` are times in ms; an edit that was taken back stays, and says nothing any more.
    """

    number: int
    kind: str
    message: MessageId
    target: MessageId
    inside: frozenset[NodeName]
    outside: frozenset[NodeName]
    at: int
    undone: int | None = None


class Place(NamedTuple):
    """Where an edit in force names a node: `number`, `kind`, `message` and `target` are the edit's."""

    name: NodeName
    number: int
    kind: str
    inside: bool
    message: MessageId
    target: MessageId


# ------------------------------------------------------------------------------------------------ threads
class Pools(Protocol):
    """The union-find."""

    def enter(self, names: Collection[NodeName], *, fresh: Collection[NodeName] = ()) -> None:
        """Put each node that is absent, as its own parent. A store may take every name for one that was entered.

        A worker's batch begins with it. Of the names, the `fresh` ones are most likely absent, so that a store may write them
        without reading them first.
        """
        ...

    def nodes(self, names: Collection[NodeName], *, rough: bool = False) -> Mapping[NodeName, Node]:
        """The nodes of these names; one that was never entered is left out, or its own parent. A `rough` read may miss what others
        wrote lately, and so be cheaper.
        """
        ...

    def look(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]:
        """The nodes as they were when this batch last swung, tied or noted each, with or without success, or as they are now: all that a
        worker needs to know once it has written (thread/weave.py). It may cost less than `nodes`.
        """
        ...

    def swing(self, changes: Sequence[tuple[NodeName, NodeName, NodeName]]) -> Sequence[bool]:
        """(node, old parent, new parent): each a compare-and-set; False where the parent was not `old` any more."""
        ...

    def tie(self, ties: Sequence[Tie]) -> Sequence[KeyItem | None]:
        """Each key's item after its notes; None, and nothing done to it, where it was not its own parent any more. A key comes once."""
        ...

    def stamp(self, stamps: Sequence[Stamp]) -> None:
        """Set conv and dead. Only settle calls it."""
        ...


class Evidence(Protocol):
    """What messages state, stored so that everything else can be derived again."""

    def state(self, stated: Sequence[Stated]) -> None:
        """Store each message's evidence and, by key, the way back to it. Writing twice is writing once."""
        ...

    def stated(self, messages: Collection[MessageId]) -> Mapping[MessageId, Stated]:
        """What these messages stated; who is absent is left out."""
        ...

    def linked(self, keys: Collection[NodeName]) -> Mapping[NodeName, Sequence[MessageId]]:
        """The messages that own or cite each key."""
        ...


class Keys(Protocol):
    """Key items: who owns and cites a hard key."""

    def note(self, notes: Sequence[KeyNote]) -> Sequence[tuple[KeyItem, KeyItem]]:
        """Apply the notes one after the other, each atomically; the item before and after each."""
        ...

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]:
        """The items of these keys; one that nobody noted is empty or left out."""
        ...


class Clues(Protocol):
    """Clue items and the rows of those who ask."""

    def ask(self, asks: Iterable[tuple[ClueName, MessageId]], *, withdraw: bool = False) -> None:
        """Put a row for each (clue, who asks for it), or take it away."""
        ...

    def asking(self, clues: Collection[ClueName]) -> Mapping[ClueName, Collection[MessageId]]:
        """Who asks for each of these clues."""
        ...

    def hint(self, notes: Sequence[ClueNote]) -> Sequence[tuple[ClueItem, ClueItem]]:
        """Apply the notes one after the other, each atomically; the item before and after each."""
        ...

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]:
        """The items of these clues; one that nobody noted is left out."""
        ...


class SoftLinks(Protocol):
    """The links that settle drew."""

    def draw(self, rows: Sequence[Soft]) -> None:
        """Put each row, or change its live flag and what it says."""
        ...

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        """The rows from and to these messages."""
        ...


class Marks(Protocol):
    """Which messages settle must look at, and the feed of what became of conversations."""

    def mark(self, messages: Collection[MessageId]) -> None:
        """Mark each, again where it is marked: its version is then another one."""
        ...

    def dirty(self, limit: int) -> Mapping[MessageId, int]:
        """Marked messages, each with its mark's version, oldest mark first."""
        ...

    def unmark(self, marks: Mapping[MessageId, int]) -> None:
        """Take away the marks whose version is unchanged."""
        ...

    def tell(self, entries: Sequence[FeedEntry]) -> None:
        """Put these at the end of the feed."""
        ...

    def place(self, messages: Collection[MessageId]) -> None:
        """These messages may be in another conversation now: bring what readers see of it up to the nodes. A store whose
        readers follow the nodes themselves has nothing to do.
        """
        ...


class Edits(Protocol):
    """What people said by hand. Nothing here is derived, so nothing that derives threads again may lose it."""

    def put(self, edit: Edit) -> bool:
        """Store an edit; False, and nothing done, where another has its number."""
        ...

    def undo(self, number: int, at: int) -> None:
        """Say that an edit is taken back, unless it was before."""
        ...

    def edits(self) -> Sequence[Edit]:
        """All of them, those that were taken back too, in the order of numbers."""
        ...

    def places(self, names: Iterable[NodeName]) -> Collection[Place]:
        """Where edits in force name these nodes. Where there are no edits the names need not be looked at."""
        ...


class Threads(Pools, Evidence, Keys, Clues, SoftLinks, Marks, Edits, Protocol):
    """The threads store."""

    def session(self) -> AbstractContextManager[None]:
        """A unit of work around any number of calls. A store that has transactions makes it one; it may be nothing at all:
        no rule in thread/ needs more than that each item of a call is atomic.
        """
        ...

    def lease(self) -> Threads:
        """Take the lease: a view on this store whose writes raise Fenced once somebody else has taken it."""
        ...
