"""What is to be said (Letter), what a client makes of it (Draft), and what is remembered of it to answer (Sent)."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Literal

from mailloom.synth.cast import Circle, Person
from mailloom.synth.dates import ZONES, stamp, stated
from mailloom.synth.truth import Inner, Placed
from mailloom.synth.words import Language, wrap


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that others may answer: enough to quote it, and no pointer to those before it, so that memory stays bounded.

    `said` is what its author typed, as it stands in `text`; `text` (with marks of bold) and `html` the whole body as sent, quotes and all, the html
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
    `answers` are paragraphs that a client may put between the quotes (else they are not used); `subject` has no prefix. The
    first of `blocks` is a greeting if `greeted`, the last takes leave if `closed`.
    """

    author: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    circle: Circle | None
    kind: Literal["new", "reply", "forward"]
    subject: str
    seconds: int
    blocks: tuple[str, ...]
    greeted: bool
    closed: bool
    answers: tuple[str, ...]
    parent: Sent | None
    whole: bool
    html: bool
    only_html: bool

    @property
    def lang(self) -> Language:
        return self.author.lang

    @property
    def ui(self) -> Language:
        """The language of the author's client, in which it words its lines and dates."""
        return self.author.ui

    @property
    def style(self) -> int:
        return self.author.style


@dataclass(frozen=True, slots=True)
class Draft:
    """A body as a client writes it. What goes out: `body` plain, `page` html, "" where there is none. What an answer will quote:
    `text` (bold text between marks, see `strong`) and `html`, without its outer tags. `said` is what its author typed, as it
    stands in the text; `signature` and `notice` are the rest that is not quoted; `placed` is the Truth's. `extra`: more
    parameters of the plain part's type; `picture`: the Content-ID of an image in the page, if any.
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
    notice: str = ""
    placed: Placed = "top"
    extra: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A body before it is encoded: `text` and `html` of the whole, what is new in it, what is inside, and where the new stands."""

    text: str
    html: str
    said: str
    inline: tuple[Inner, ...] = ()
    placed: Placed = "new"


PREFIXES = {"new": "", "reply": "Re: ", "forward": "Fwd: "}


def encodable(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


def fitting(text: str, charset: str) -> str:
    """The charset, or utf-8 where it can't say the text."""
    return charset if encodable(text, charset) else "utf-8"


def drafted(letter: Letter, laid: Layout, page: str, signature: str, encoding: str) -> Draft:
    """What most clients make of a body: utf-8 in one encoding, a plain part unless its author sends none, and `page` around its html."""
    return Draft(
        body="" if letter.html and letter.only_html else shown(laid.text),
        text=laid.text,
        html=laid.html,
        page=page if letter.html else "",
        said=laid.said,
        signature=signature,
        inline=laid.inline,
        prefix=PREFIXES[letter.kind],
        charset="utf-8",
        encoding=encoding,
        placed=laid.placed,
    )


# What a client's own text shows in bold; others that turn its html into plain text write stars around it, or nothing.
BOLD, PLAIN = "\x02", "\x03"


def strong(text: str) -> str:
    return f"{BOLD}{text.rstrip()}{PLAIN} "


def shown(text: str, star: str = "") -> str:
    """Plain text as it goes out, with `star` on both sides of what was bold."""
    return text.replace(BOLD, star).replace(PLAIN, star) if BOLD in text else text


def old(letter: Letter) -> tuple[str, str]:
    """The text and the html of the mail answered or forwarded, as far as they are kept."""
    parent = letter.parent
    if parent is None:
        return "", ""
    text = parent.text if letter.whole else parent.said
    return text, parent.html if letter.whole and parent.html else html_of(text)


def lines_of(block: str, width: int, tight: bool = False) -> str:
    """A paragraph with its lines broken at `width` columns."""
    if len(block) <= width // 2:
        return block
    return "\n".join([piece for line in block.split("\n") for piece in wrap(line, tight, width)])


def quoted(text: str, mark: str = "> ", blank: str = ">") -> str:
    """One quote level on every line; before a line that is quoted already no blank, as clients do."""
    return "\n".join([(mark if line[:1] != ">" else mark[:1]) + line if line else blank for line in text.split("\n")])


def named(people: tuple[Person, ...], between: str) -> str:
    """People as a client lists them in a text."""
    return between.join([f"{person.name} <{person.address}>" for person in people])


def html_of(text: str) -> str:
    """Plain text as html, line by line."""
    return escape(text, quote=False).replace("\n", "<br>\n")


def paragraphs(letter: Letter, tag: str = "div", blank: str = "<div><br></div>\n") -> str:
    """What is said, as html: a block each, an empty one after it."""
    return "".join([f"<{tag}>{html_of(block)}</{tag}>{blank}" for block in letter.blocks])


def inside(letter: Letter, head: Inner) -> tuple[Inner, ...]:
    """The message answered or forwarded, and those in it, if they are kept."""
    if letter.parent is None or not letter.whole:
        return (head,)
    return (head, *[inner.deeper(1) for inner in letter.parent.inline])


def attribution(letter: Letter, parent: Sent, client: str) -> tuple[str, str]:
    """The line above a quote in the writer's language and zone, and the template it was made from."""
    templates = letter.ui.clients[client].attribution
    template = templates[letter.style % len(templates)]
    fields = stamp(letter.ui, parent.seconds, letter.author.zone)
    return template.format(**fields, name=parent.author.name, address=parent.author.address), template


def date_of(letter: Letter, parent: Sent, client: str) -> tuple[str, str]:
    """The date in a block above an old text, and its template."""
    templates = letter.ui.clients[client].date
    template = templates[letter.style % len(templates)]
    return template.format(**stamp(letter.ui, parent.seconds, letter.author.zone)), template


def told(letter: Letter, parent: Sent, template: str, *, block: bool, text: str | None = None) -> Inner:
    """The parent as stated by a line or date of that template, shown in the writer's zone; a `block` also names subject and
    readers.
    """
    return Inner(
        kind="forwarded" if letter.kind == "forward" else "quoted",
        name=parent.author.name,
        address=parent.author.address if block or "{address}" in template else "",
        date=stated(parent.seconds, letter.author.zone, with_zone=any(zone in template for zone in ZONES)),
        subject=parent.prefix + parent.subject if block else "",
        text=parent.said if text is None else text,
        depth=1,
        to=mailboxes(parent.to) if block else (),
        cc=mailboxes(parent.cc) if block else (),
    )


def mailboxes(people: tuple[Person, ...]) -> tuple[tuple[str, str], ...]:
    return tuple([(person.name, person.address) for person in people])


def between(letter: Letter, parent: Sent) -> list[tuple[str, str]]:
    """An interleaved answer: paragraphs of the parent and what is said below each; a closing with the name belongs to the last."""
    said_before = parent.said.split("\n\n")
    asked = said_before[1:-1] if len(said_before) > 3 else said_before
    answers = list(letter.answers[: len(asked)])
    step = len(asked) / len(answers)
    if letter.closed:
        answers[-1] += f"\n\n{letter.blocks[-1]}"
    return [(asked[int(n * step)], answer) for n, answer in enumerate(answers)]
