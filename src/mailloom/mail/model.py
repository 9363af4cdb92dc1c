"""The values that everything else passes around. Frozen, without behaviour beyond reading themselves.

Times are integers, milliseconds since 1970-01-01 UTC. Offsets into text count characters, offsets into raw mail bytes.
Absent text is "", an absent list (), an absent time None: a reader never has to ask twice.
Of what a mail has many, the values are named tuples: making a frozen dataclass takes four times as long.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NewType

if TYPE_CHECKING:
    from mailloom.mail.parts.header import Headers

from mailloom.mail.visible import visible

MessageId = NewType("MessageId", bytes)
"""16 bytes, a UUIDv8 (RFC 9562 section 5.8): see mail/identity.py. Not the Message-ID header, which is `message_id: str`."""

SegmentKind = Literal["new", "greeting", "signoff", "attribution", "quote", "forward", "signature", "disclaimer"]
OWN: Final[frozenset[SegmentKind]] = frozenset(("new", "greeting", "signoff"))
"""What the author typed into this mail: "Hi Ann," and "Best, Bob" are told apart from the rest, and are part of it."""
SIGNED: Final[frozenset[SegmentKind]] = OWN | {"signature"}
NestedKind = Literal["attached", "forwarded", "quoted"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd in a mail, told instead of raised. `kind` is countable, `where` a header name or part path."""

    kind: str
    where: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox (RFC 5322 section 3.4). `address` is as written; `key` has the domain in lower case and IDNA-normal.

    A mailbox without an address that can be used ("undisclosed", an X.500 path) has key "".
    """

    name: str
    address: str
    key: str
    group: str = ""


class Date(NamedTuple):
    """A date as stated. `ms` is None where no date could be read; `zone` is minutes east of UTC, None where none was stated."""

    ms: int | None
    zone: int | None
    text: str


class Segment(NamedTuple):
    """text[start:end] is of one kind. Segments lie end to end and cover the text: cutting loses nothing.

    `level` counts quote levels (0 for what the author wrote); `rule` names the rule that cut, for counting and for `show`;
    `confidence` is in thousandths.
    """

    kind: SegmentKind
    start: int
    end: int
    level: int
    rule: str
    confidence: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A leaf part that is not the body. `part` is its index in the mime structure; `size` and `sha256` are of the decoded bytes.

    `inside` says how it lay in another part, where that is no multipart: "uuencode", "yenc" or "pgp" in a text, "tnef" in a
    winmail.dat, "smime" in what was signed; else "".
    """

    part: int
    name: str
    type: str
    size: int
    sha256: str
    content_id: str
    inline: bool
    inside: str = ""


class Nested(NamedTuple):
    """A message inside a message. `path` counts siblings from 1 ("2.1": the first child of the second); `part` is the index of
    the attached part in its carrier's mime structure, -1 where it stood inline; start and end are its span in the carrier's text,
    from its head to the end of what is quoted last: answers that the carrier's author wrote in between lie in the span, but
    are no part of the `text`.
    """

    path: str
    kind: NestedKind
    depth: int
    message_id: str
    from_: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    date: Date
    subject: str
    text: str
    attachments: tuple[Attachment, ...]
    part: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What differs between copies of one message, as far as its bytes tell: never part of a Record."""

    received: tuple[str, ...]
    return_path: str
    delivered_to: tuple[str, ...]
    bcc: tuple[Address, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What one mail says: headers decoded, the body a person read, cut into segments, with the messages inside it.

    `message_id`, `in_reply_to` and `references` are without brackets, as stated: hygiene is for thread/evidence.py.
    `author` is who really wrote (mail/people/author.py): `from_`, unless a mailing list put itself there.
    `in_reply_to_text` keeps the header as it was for its garbled forms.
    `headers` are all fields of the top level in order, decoded when looked at, for `show` (they hold what a copy adds too).
    """

    message_id: str
    in_reply_to: tuple[str, ...]
    in_reply_to_text: str
    references: tuple[str, ...]
    aliases: tuple[str, ...]
    thread_index: bytes
    date: Date
    subject: str
    from_: tuple[Address, ...]
    sender: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    author: tuple[Address, ...]
    list_id: str
    auto_submitted: str
    marks: tuple[str, ...]
    text: str
    text_origin: Literal["plain", "html", "none"]
    segments: tuple[Segment, ...]
    nested: tuple[Nested, ...]
    attachments: tuple[Attachment, ...]
    problems: tuple[Problem, ...]
    headers: Headers
    trace: Trace

    @property
    def reply_text(self) -> str:
        """What the author typed: without quotes, forwards, signature and disclaimer. In Unicode NFC, invisible characters gone."""
        return _join(self.text, self.segments, OWN)

    @property
    def reply_full(self) -> str:
        """The same with the signature."""
        return _join(self.text, self.segments, SIGNED)


def _join(text: str, segments: tuple[Segment, ...], kinds: frozenset[SegmentKind]) -> str:
    return visible("".join(text[s.start : s.end] for s in segments if s.kind in kinds)).strip()


@dataclass(frozen=True, slots=True)
class Record:
    """A message as it is stored: what it says, and what it is called. Two copies of a message have equal Records.

    `twin` is the content hash with the ids left out; `base_subject` follows RFC 5256 section 2.1, loosened for real mail.
    """

    id: MessageId
    content_hash: bytes
    twin: bytes
    base_subject: str
    message: Message = field(repr=False)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a mail came from: what `where` tells and the books count by.

    `source` is what the user named (a path as given, made absolute; "-" for standard input); `path` is inside it, "/" between
    folders, "!" before a container's member; start and length are bytes inside the (decompressed) container, 0 and the size
    for a file of its own. `size` and `mtime_ns` of the file on disk tell whether the place changed. `flags` are a Maildir's.
    """

    source: str
    path: str
    start: int
    length: int
    size: int
    mtime_ns: int
    received_at: int | None = None
    folder: str = ""
    labels: tuple[str, ...] = ()
    flags: str = ""
