"""The query language: text -> Query, a tree of words and filters. Pure; what a Query means in SQL is the store's business.

    invoice "purchase order" -draft            all of these words, and not that one
    invoice OR receipt   (a OR b) c   invo*    one of them; groups; beginnings of words
    from:ann to:sales@example.org subject:offer file:report     a word in one place
    in:Archive date:2024-01..2024-03 after:2024-01-15 before:2025 has:attachment list:dev id:018f thread:018f

OR binds closer than a blank. Days are UTC. A word before a colon that is no key of this language is text like any other, so a pasted
address of a web page does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple, Protocol, TypeAlias

from mailloom.mail.model import MessageId
from mailloom.ports import UserError

MAX_TEXT = 10_000  # characters; what people type has some hundred, and a list of more is better joined in SQL
MAX_LEAVES = 200  # words and filters; SQLite's parser stops at an expression 1,000 deep
MAX_DEPTH = 20  # parentheses inside each other

COLUMNS = {"from": "sender", "to": "recipients", "cc": "recipients", "subject": "subject", "file": "names"}
"""Keys that look for a word in one column of the full text."""
FILTERS = ("in", "date", "after", "before", "has", "id", "thread", "list", "problem")
HAS = ("attachment", "nested", "problem")
KEYS = (*COLUMNS, *FILTERS)
EXAMPLES = {
    "from": "from:ann", "to": "to:sales@example.org", "cc": "cc:ann", "subject": "subject:offer", "file": "file:report",
    "in": "in:Archive", "date": "date:2024-01..2024-03", "after": "after:2024-01-15", "before": "before:2025",
    "has": "has:attachment", "id": "id:018f2c", "thread": "thread:018f2c", "list": "list:dev.example.org",
    "problem": 'problem:"uncut quote"',
}  # fmt: skip


class QueryError(UserError):
    """The query can't be understood; the message says what, where, and what to write instead. `at` counts characters from 0."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(f"{what} (at character {at + 1} of the query)")
        self.at = at


@dataclass(frozen=True, slots=True)
class Word:
    """A word or phrase to be found in full text. `column` is "" for anywhere; `prefix`: its last word may go on."""

    text: str
    column: str = ""
    prefix: bool = False
    at: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on a message. For dates, since <= date < until in ms, None where open; else `text` is the value."""

    name: Literal["in", "date", "has", "id", "thread", "list", "problem"]
    text: str = ""
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Not:
    of: Node


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    of: tuple[Node, ...]


Node: TypeAlias = Word | Filter | Not | All | Either


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked: every node of `all` must hold. An empty one asks for everything."""

    text: str
    all: tuple[Node, ...]


# ------------------------------------------------------------------------------------------------ answering
Members: TypeAlias = Callable[[str], Sequence[MessageId]]
"""What an id in `thread:` names -> the messages of its conversation. Raises for an id that names nothing."""


class Found(NamedTuple):
    """A message that answers a query; `twins` are others that answer it with the same content."""

    id: MessageId
    twins: int


class Finder(Protocol):
    """An index of messages that answers queries."""

    def find(self, query: Query, members: Members, limit: int) -> Sequence[Found]:
        """At most `limit` messages: best first where there are words, else newest first. Twins count once, by the oldest.

        Raises QueryError where nothing is left to search for.
        """
        ...

    def count(self, query: Query, members: Members) -> int:
        """How many messages answer, twins counted each."""
        ...


# ------------------------------------------------------------------------------------------------ reading
def read(text: str) -> Query:
    """Text as typed -> Query. Raises QueryError."""
    if len(text) > MAX_TEXT:
        raise QueryError(f"a query has at most {MAX_TEXT:,} characters, this one {len(text):,}", MAX_TEXT)
    # What no index holds: a NUL ends text in SQLite, a lone surrogate is no character.
    text = text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    reader = _Reader(text)
    nodes = reader.group(0)
    return Query(text, nodes)


_BLANK = re.compile(r"\s*+")
_KEY = re.compile(r"([A-Za-z]++):")
_OPERATOR = re.compile(r"(AND|OR|NOT)(?![^\s()])")
_MINUS = re.compile(r"-(?![-\s]|\Z)")


class _Reader:
    """One pass over the text, left to right. `at` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth, self.leaves = text, 0, 0, 0

    def group(self, opened: int) -> tuple[Node, ...]:
        """Everything up to the end or, inside parentheses, up to the one that closes them."""
        nodes: list[Node] = []
        while not self.closing():
            start = self.at
            if self.operator("AND"):
                if not nodes or self.closing() or self.ahead("AND", "OR"):
                    raise QueryError(_LONELY.format("AND"), start)
                continue
            nodes.append(self.either())
        if self.depth and self.at >= len(self.text):
            raise QueryError("this parenthesis is not closed", opened)
        return tuple(nodes)

    def closing(self) -> bool:
        self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]  # it always matches
        return self.at >= len(self.text) or (self.depth > 0 and self.text[self.at] == ")")

    def operator(self, name: str) -> bool:
        found = _OPERATOR.match(self.text, self.at)
        if found is None or found[1] != name:
            return False
        self.at = found.end()
        return True

    def ahead(self, *names: str) -> bool:
        found = _OPERATOR.match(self.text, self.at)
        return found is not None and found[1] in names

    def either(self) -> Node:
        choices = [self.unary()]
        while not self.closing() and self.ahead("OR"):
            start = self.at
            self.operator("OR")
            if self.closing() or self.ahead("AND", "OR"):
                raise QueryError(_LONELY.format("OR"), start)
            choices.append(self.unary())
        return choices[0] if len(choices) == 1 else Either(tuple(choices))

    def unary(self) -> Node:
        refused = False
        while True:
            start = self.at
            if minus := _MINUS.match(self.text, self.at):
                self.at = minus.end()
            elif not self.operator("NOT"):
                break
            elif self.closing() or self.ahead("AND", "OR"):
                raise QueryError('NOT needs something behind it; for the word itself write "NOT" in quotes', start)
            refused = not refused
        if self.ahead("OR"):
            raise QueryError(_LONELY.format("OR"), self.at)
        node = self.parenthesis() if self.text.startswith("(", self.at) else self.leaf()
        return Not(node) if refused else node

    def parenthesis(self) -> Node:
        start = self.at
        if self.depth >= MAX_DEPTH:
            raise QueryError(f"parentheses stand at most {MAX_DEPTH} deep inside each other", start)
        self.at += 1
        self.depth += 1
        nodes = self.group(start)
        self.depth -= 1
        self.at += 1
        if not nodes:
            raise QueryError("there is nothing between these parentheses", start)
        return nodes[0] if len(nodes) == 1 else All(nodes)

    def leaf(self) -> Node:
        self.leaves += 1
        if self.leaves > MAX_LEAVES:
            raise QueryError(f"a query has at most {MAX_LEAVES} words and filters", self.at)
        start = self.at
        key = _KEY.match(self.text, start)
        name = key[1].lower() if key else ""
        if key is None or name not in KEYS:
            return self.word("", start)
        self.at = key.end()
        if name in COLUMNS:
            return self.word(COLUMNS[name], start, name)
        return _filter(name, self.value(start, name), start)

    def word(self, column: str, start: int, name: str = "") -> Word:
        quoted = self.text.startswith('"', self.at)
        value = self.value(start, name)
        prefix = self.text.startswith("*", self.at) if quoted else value.endswith("*")
        self.at += quoted and prefix
        return Word(value.rstrip("*") if prefix and not quoted else value, column, prefix, start)

    def value(self, start: int, name: str) -> str:
        """A phrase in quotes, or what goes up to the next blank."""
        if self.text.startswith('"', self.at):
            end = self.text.find('"', self.at + 1)
            if end < 0:
                raise QueryError("this quotation mark is not closed", self.at)
            value = self.text[self.at + 1 : end]
            self.at = end + 1
        else:
            end = self._bare_end()
            value = self.text[self.at : end]
            self.at = end
        if name and not value.strip():
            raise QueryError(f"{name}: needs a value right behind the colon, such as {EXAMPLES[name]}", start)
        return value

    def _bare_end(self) -> int:
        """A parenthesis that opens inside a word, as in call(), closes there too: it is no end of a group."""
        inside, at = 0, self.at
        while at < len(self.text):
            letter = self.text[at]
            if letter.isspace() or (letter == ")" and self.depth and not inside):
                break
            inside += (letter == "(") - (letter == ")" and inside > 0)
            at += 1
        return at


_LONELY = '{0} needs something on both sides; for the word itself write "{0}" in quotes'


def _filter(name: str, value: str, at: int) -> Filter:
    if name in ("date", "after", "before"):
        return _dated(name, value, at)
    if name == "has" and (value := value.lower().removesuffix("s")) not in HAS:
        raise QueryError(f"has: knows {', '.join(HAS)}", at)
    return Filter(name, value)  # type: ignore[arg-type]  # the other names are dealt with above


# ------------------------------------------------------------------------------------------------ what an index sees of it
def prune(query: Query, sees: Callable[[str], bool]) -> list[Node]:
    """What must hold, without words in which the index sees nothing, such as "&": they are in every mail and in none.

    Raises QueryError where nothing is left to search for.
    """
    nodes = [pruned for node in query.all if (pruned := _pruned(node, sees)) is not None]
    if query.all and not nodes:
        raise QueryError(f"there is nothing to search for in {query.text.strip()!r}: a word has a letter or a digit", 0)
    return nodes


def _pruned(node: Node, sees: Callable[[str], bool]) -> Node | None:
    if isinstance(node, Word):
        if sees(node.text):
            return node
        if node.column:
            raise QueryError(f"there is no letter or digit to search for in {node.text!r}", node.at)
        return None
    if isinstance(node, Not):
        inner = _pruned(node.of, sees)
        return None if inner is None else Not(inner)
    if isinstance(node, Filter):
        return node
    kept = tuple(pruned for part in node.of if (pruned := _pruned(part, sees)) is not None)
    return type(node)(kept) if len(kept) > 1 else (kept[0] if kept else None)


# ------------------------------------------------------------------------------------------------ dates
def _dated(name: str, value: str, at: int) -> Filter:
    if name == "after":
        return Filter("date", value, since=_span(value, at)[0])
    if name == "before":
        return Filter("date", value, until=_span(value, at)[0])
    first, dots, last = value.partition("..")
    if not first and not last:
        raise QueryError("date: needs at least one end, such as date:2024.. or date:..2024-03", at)
    since = _span(first, at)[0] if first else None
    until = _span(last, at)[1] if last else (None if dots else _span(first, at)[1])
    if since is not None and until is not None and since >= until:
        raise QueryError(f"date:{value} ends before it begins", at)
    return Filter("date", value, since, until)


_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?", re.ASCII)


def _span(text: str, at: int) -> tuple[int, int | None]:
    """A year, month or day -> its first ms, and the first ms behind it (None behind the year 9999)."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise QueryError(f"{text!r} is no date: write 2024, 2024-01 or 2024-01-15", at)
    year, month, day = (int(part) if part else 0 for part in found.groups())
    try:
        first = date(year, month or 1, day or 1)
    except ValueError as error:
        raise QueryError(f"{text!r} is no date: {error}", at) from None
    start = _ms(first.toordinal())
    if day:
        return start, start + 86_400_000
    month_end = (year + 1, 1) if not month or month == 12 else (year, month + 1)
    if month_end[0] > date.max.year:
        return start, None
    return start, _ms(date(*month_end, 1).toordinal())


def _ms(ordinal: int) -> int:
    return (ordinal - date(1970, 1, 1).toordinal()) * 86_400_000
