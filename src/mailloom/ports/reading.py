"""What the reading side asks of a store: four small protocols, each method taking a batch, and the values that they give.

Who is asked for and not there is left out of a mapping. Iterators read as they go, in constant memory, in the order of keys compared as
bytes; hold a snapshot around one for as long as it is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from mailloom.mail.model import MessageId
from mailloom.ports.threads import (
    ClueItem,
    ClueName,
    Edit,
    FeedEntry,
    KeyItem,
    Node,
    NodeName,
    Place,
    Soft,
    Stated,
)

Same: TypeAlias = Literal["twins", "variants", "reused"]
"""How messages may be equal by their rows: archive/duplicates.py tells what each means."""


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
    """One delivery: where a mail came from and what became of it. Times in ms; `trace` is JSON (model.Trace); `object` is
    the version id, else the etag, of what lay in object storage.
    """

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
    object: str = ""


class Listed(NamedTuple):
    """What names a message, and its base subject."""

    id: MessageId
    message_id: str
    base_subject: str


class Member(NamedTuple):
    """A message, its conversation, and its topic: the oldest message of the conversation with its base subject."""

    message: MessageId
    conversation: MessageId
    topic: MessageId


class Person(NamedTuple):
    """How many mails have an address (`key`) under a name in a role."""

    key: str
    name: str
    role: str
    mails: int


class MessageReader(Protocol):
    """Messages, by what they are called."""

    def between(self, low: MessageId, high: MessageId, limit: int) -> Sequence[MessageId]:
        """The first ids from `low` to `high`, both included."""
        ...

    def called(self, names: Collection[str], limit: int) -> Mapping[str, Sequence[MessageId]]:
        """The oldest messages with each of these Message-IDs (without brackets), `limit` of each at most. Nobody is called ""."""
        ...

    def neighbours(self, message: MessageId) -> tuple[MessageId | None, MessageId | None]:
        """The ids just before and just after this one. A store may look no further than among ids with the same first 4 bytes."""
        ...

    def summaries(self, messages: Collection[MessageId]) -> Mapping[MessageId, Summary]: ...

    def bodies(self, messages: Collection[MessageId]) -> Mapping[MessageId, bytes]:
        """Whole records, compressed: schema.unpack and load_record read them."""
        ...

    def subjects(self, messages: Collection[MessageId]) -> Mapping[MessageId, str]:
        """Base subjects."""
        ...

    def marked(self, messages: Collection[MessageId], mark: str) -> Collection[MessageId]:
        """Those of the messages that bear a mark, as "automatic"."""
        ...

    def twins(self, messages: Collection[MessageId]) -> Mapping[MessageId, Sequence[MessageId]]:
        """The other messages with the content of each, oldest first; who has none is left out."""
        ...

    def reusing(self, message: MessageId, limit: int) -> Sequence[tuple[MessageId, bool]]:
        """The oldest other messages with its Message-ID, and whether their base subject is the same. None where its Message-ID is
        too short or too long to be one (thread/keys.py).
        """
        ...

    def alike(self, message: MessageId) -> Sequence[tuple[int, MessageId]]:
        """Others whose sketch shares bands with this one's, and how many; ALIKE or more where all words are the same. Empty in a
        store that keeps no sketches.
        """
        ...


ALIKE = 1 << 10
"""More than there are bands in a sketch (thread/near.py)."""


class ThreadReader(Protocol):
    """Conversations, and the evidence that they are made of."""

    def conversations(self, messages: Collection[MessageId]) -> Mapping[MessageId, MessageId]:
        """The conversation that each message is in now."""
        ...

    def members(self, conversations: Collection[MessageId]) -> Mapping[MessageId, Sequence[MessageId]]:
        """The messages of each conversation, oldest first."""
        ...

    def stated(self, messages: Collection[MessageId]) -> Mapping[MessageId, Stated]: ...

    def linked(self, keys: Collection[NodeName]) -> Mapping[NodeName, Sequence[MessageId]]:
        """The messages that own or cite each key, oldest first."""
        ...

    def soft(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        """The soft links from these messages, live or not, in the order of sources and targets."""
        ...

    def drawn(self, messages: Collection[MessageId]) -> Sequence[Soft]:
        """The soft links from and to these messages."""
        ...

    def nodes(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]: ...

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]: ...

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]: ...

    def edits(self) -> Sequence[Edit]:
        """All hand edits, those that were taken back too, in the order of numbers."""
        ...

    def places(self, names: Collection[NodeName]) -> Collection[Place]:
        """Where hand edits in force name these nodes."""
        ...

    def unsettled(self, messages: Collection[MessageId]) -> Collection[MessageId]:
        """Those of the messages that wait for settling."""
        ...

    def told(self, messages: Collection[MessageId]) -> Sequence[tuple[int, FeedEntry]]:
        """When (ms) and how the conversations that these messages named got another id, in that order."""
        ...


class DeliveryReader(Protocol):
    """What came, from where, and what became of it."""

    def copies(self, messages: Collection[MessageId]) -> Mapping[MessageId, Sequence[Copy]]:
        """Each delivery of each message, in the order of storing."""
        ...

    def sources(self) -> Sequence[str]: ...

    def delivered(self, places: Collection[tuple[str, str]]) -> Sequence[Copy]:
        """The deliveries of these (source, path), in the order of the places, then as they stand in one."""
        ...

    def ending(self, name: str) -> Sequence[Copy]:
        """The deliveries of every path that ends with a name behind a "/" or "!"."""
        ...

    def rejected(self, *, foreign: bool) -> Iterator[Copy]:
        """What was rejected; with `foreign` also files that are no mail. Of a place that was found again with other content, only
        the latest counts. In the order of states, sources and places.
        """
        ...


class WholeReader(Protocol):
    """All of one scope."""

    def count(self) -> int:
        """How many messages there are."""
        ...

    def stored(self) -> Iterator[bytes]:
        """Every compressed record, in the order that is cheapest for the store: that of storing, where it has one."""
        ...

    def bodies(self) -> Iterator[tuple[MessageId, bytes]]:
        """Every compressed record."""
        ...

    def listed(self) -> Iterator[Listed]: ...

    def members(self) -> Iterator[Member]:
        """Every message, in the order of messages."""
        ...

    def evidence(self) -> Iterator[tuple[MessageId, bytes]]:
        """What every message states, as it is stored: thread evidence.load reads it."""
        ...

    def hard_links(self) -> Iterator[tuple[NodeName, MessageId]]:
        """Who owns or cites each key that is not dead."""
        ...

    def soft_links(self) -> Iterator[Soft]:
        """Those that live, in the order of sources and targets."""
        ...

    def traces(self) -> Iterator[tuple[bytes, bytes]]:
        """(content hash, trace) of each delivery that has a message, in the order of messages and traces."""
        ...

    def raws(self) -> Iterator[tuple[bytes, bytes]]:
        """(content hash, SHA-256 of the raw bytes), likewise."""
        ...

    def people(self) -> Iterator[Person]: ...

    def repeated(self) -> Iterator[tuple[MessageId, int, int]]:
        """Messages that were delivered more than once: how often, and how many bytes all but the smallest copy take."""
        ...

    def equal(self, same: Same) -> Iterator[tuple[tuple[object, ...], MessageId, int]]:
        """(what is equal, message, bytes) of every message that is equal to another, in the order of both."""
        ...


class NodeReader(Protocol):
    """What the reading side asks of a store that holds nodes, key items and clue items alone. All of it is read strongly."""

    def session(self) -> AbstractContextManager[None]:
        """Around some calls; what the store remembers of them it forgets at the end."""
        ...

    def nodes(self, names: Collection[NodeName]) -> Mapping[NodeName, Node]: ...

    def keys(self, names: Collection[NodeName]) -> Mapping[NodeName, KeyItem]: ...

    def clues(self, names: Collection[ClueName]) -> Mapping[ClueName, ClueItem]: ...


class History(Protocol):
    """What the reading side asks of a ledger that is a store of its own. Of a copy it gives what it knows: the place, what became of it,
    when and why.
    """

    def where(self, places: Collection[tuple[str, str]]) -> Sequence[Copy]:
        """All that ever came from these (source, path), oldest first in each."""
        ...

    def rejected(self) -> Iterator[Copy]:
        """What was rejected, and what is no mail, in the order of states, sources and places."""
        ...


class Reader(Protocol):
    """One scope of a store, read."""

    @property
    def messages(self) -> MessageReader: ...
    @property
    def threads(self) -> ThreadReader: ...
    @property
    def deliveries(self) -> DeliveryReader: ...
    @property
    def whole(self) -> WholeReader: ...

    def snapshot(self) -> AbstractContextManager[None]:
        """One state of the store for all calls inside, whoever writes meanwhile. May be nested."""
        ...

    def explain(self, error: BaseException) -> None:
        """Raise an error of the store's own library in words, as UserError; leave any other alone."""
        ...

    def close(self) -> None: ...
