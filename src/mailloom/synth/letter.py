"""What is to be said (Letter), what a client makes of it (Draft), and what is remembered of it to answer (Sent)."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal

from mailloom.synth.cast import Circle, Person
from mailloom.synth.truth import Inner
from mailloom.synth.words import Language, wrap


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that others may answer: enough to quote it, and no pointer to those before it, so that memory stays bounded.

    `said` is what its author typed, as it stands in `text`; `text` and `html` the whole body as sent, quotes and all, the html
    without its outer tags ("" where none was); of a long mail only what an answer would keep. `inline` are the messages inside
    the text, `nested` these and attached ones; `references` are what an answer states, this mail's id the last; `index` is its own
    Thread-Index; `raw` the mail itself, b"" where it is not kept.
    """

    id: str
    references: tuple[str, ...]
    seconds: int
    author: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str
    prefix: str
    topic: str
    said: str
    text: str
    html: str
    inline: tuple[Inner, ...]
    nested: tuple[Inner, ...]
    index: bytes
    raw: bytes

    @property
    def levels(self) -> int:
        return max((inner.depth for inner in self.inline), default=0)


@dataclass(frozen=True, slots=True)
class Letter:
    """What somebody is about to send. `parent` is what is answered or forwarded; `whole` says that its own quotes are kept;
    `answers` are paragraphs that a client may put between the quotes (else they are not used); `subject` has no prefix.
    """

    author: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    circle: Circle | None
    kind: Literal["new", "reply", "forward"]
    subject: str
    seconds: int
    blocks: tuple[str, ...]
    answers: tuple[str, ...]
    parent: Sent | None
    whole: bool
    html: bool
    only_html: bool

    @property
    def lang(self) -> Language:
        return self.author.lang


@dataclass(frozen=True, slots=True)
class Draft:
    """A body as a client writes it. What goes out: `body` plain, `page` html, "" where there is none. What an answer will quote:
    `text` and `html`, without its outer tags. `said` is what its author typed, as it stands in the text; `signature` follows it.
    `extra`: more parameters of the plain part's type; `picture`: the Content-ID of an image in the page, if any.
    """

    body: str
    text: str
    html: str
    page: str
    said: str
    signature: str
    inline: tuple[Inner, ...]
    prefix: str
    charset: str
    encoding: str
    extra: str = ""
    picture: str = ""


def lines_of(block: str, width: int, tight: bool = False) -> str:
    """A paragraph with its lines broken at `width` columns."""
    if len(block) <= width // 2:
        return block
    return "\n".join(piece for line in block.split("\n") for piece in wrap(line, tight, width))


def quoted(text: str) -> str:
    """One quote level on every line; before a line that is quoted already no blank, as clients do."""
    return "\n".join([("> " if line[:1] != ">" else ">") + line if line else ">" for line in text.split("\n")])


def named(people: tuple[Person, ...], between: str) -> str:
    """People as a client lists them in a text."""
    return between.join([f"{person.name} <{person.address}>" for person in people])


def html_of(text: str) -> str:
    """Plain text as html, line by line."""
    return escape(text, quote=False).replace("\n", "<br>\n")


def inside(letter: Letter, head: Inner) -> tuple[Inner, ...]:
    """The message answered or forwarded, and those in it, if they are kept."""
    if letter.parent is None or not letter.whole:
        return (head,)
    return (head, *[inner.deeper(1) for inner in letter.parent.inline])
