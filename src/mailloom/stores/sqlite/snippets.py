"""Where in a text the words of a query are, and the line of it to show. Needs no archive: only SQLite's tokenizer, in memory, so that
what is marked is what the embedded index sees, whichever index found it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import apsw

from mailloom.query import All, Either, Node, Query, Word

LOOK_BYTES = 1 << 20  # of one text that are searched for a hit: beyond that the snippet is the text's beginning
MANY = 200  # hits that compete for the snippet
MARKED = 30  # words of a phrase that are compared to find it again


class Term(NamedTuple):
    """A word or phrase in the form of the index: lower case, without diacritics. `column` is "" for all."""

    tokens: tuple[str, ...]
    prefix: bool
    column: str


class Tokens(Protocol):
    """Who takes texts apart as the index does."""

    def tokens(self, text: str) -> list[tuple[int, int, str]]:
        """What the index sees in a text: (start, end, token), offsets in its UTF-8 bytes."""
        ...


class Tokenizer:
    """Implements Tokens by FTS5's own tokenizer, of a connection in memory where none is given."""

    def __init__(self, connection: apsw.Connection | None = None) -> None:
        self.connection = connection or apsw.Connection(":memory:")
        self.tokenizer = self.connection.fts5_tokenizer("unicode61", ["remove_diacritics", "2"])

    def tokens(self, text: str) -> list[tuple[int, int, str]]:
        data = text.encode("utf-8", "replace")
        return self.tokenizer(data, apsw.FTS5_TOKENIZE_DOCUMENT, None, include_colocated=False)  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------------ terms
def terms(index: Tokens, query: Query) -> list[Term]:
    """The words that a hit may show. One in which the index sees no token, such as "&", is left out."""
    words = (word for node in query.all for word in _words(node))
    return [term for word in words if (term := _term(index, word)).tokens]


def _term(index: Tokens, word: Word) -> Term:
    seen = tuple(token for _, _, token in index.tokens(word.text))
    return Term(seen[:MARKED], word.prefix and len(seen) <= MARKED, word.column)


def _words(node: Node) -> Iterator[Word]:
    if isinstance(node, Word):
        yield node
    elif isinstance(node, All | Either):
        for part in node.of:
            yield from _words(part)


# ------------------------------------------------------------------------------------------------ hits
def hits(index: Tokens, text: str, terms: Sequence[Term]) -> list[tuple[int, int, int]]:
    """Where the terms are in a text: (start, end, which term), offsets in characters, in order. Linear, but for terms that are
    phrases: each is compared where its first word stands.
    """
    if not terms:
        return []
    data = text.encode("utf-8", "replace")[:LOOK_BYTES]
    seen = index.tokens(data.decode("utf-8", "ignore"))
    begins: dict[str, list[int]] = {}
    starts: list[tuple[str, int]] = []
    for number, term in enumerate(terms):
        if term.prefix and len(term.tokens) == 1:
            starts.append((term.tokens[0], number))
        else:
            begins.setdefault(term.tokens[0], []).append(number)
    found = []
    for at, (start, end, token) in enumerate(seen):
        for number in begins.get(token, ()):
            tokens = terms[number].tokens
            if _is_phrase(seen, at, tokens, terms[number].prefix):
                found.append((start, seen[at + len(tokens) - 1][1], number))
        found += [(start, end, number) for beginning, number in starts if token.startswith(beginning)]
    return _in_characters(data, found) if len(data) != len(text) else found


def _is_phrase(seen: Sequence[tuple[int, int, str]], at: int, tokens: tuple[str, ...], prefix: bool) -> bool:
    if at + len(tokens) > len(seen):
        return False
    here = [token for _, _, token in seen[at : at + len(tokens)]]
    return here[:-1] == list(tokens[:-1]) and (here[-1].startswith(tokens[-1]) if prefix else here[-1] == tokens[-1])


def _in_characters(data: bytes, found: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Offsets in UTF-8 bytes -> offsets in characters, each stretch decoded once."""
    known: dict[int, int] = {}
    at = count = 0
    for place in sorted({place for start, end, _ in found for place in (start, end)}):
        count += len(data[at:place].decode("utf-8", "replace"))
        at, known[place] = place, count
    return [(known[start], known[end], number) for start, end, number in found]


def snippet(
    index: Tokens, texts: Sequence[str], terms: Sequence[Term], width: int
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """At most `width` characters on one line from the first of the texts that has a hit, and the spans of the hits in it.

    The stretch that shows the most different terms is taken. Without a hit it is the first text's beginning.
    """
    text, start = next((text for text in texts if text), ""), 0
    for candidate in texts:
        if found := hits(index, candidate, terms)[:MANY]:
            text, start = candidate, _window(found, width) - width // 4
            break
    if start > 0:  # begin with a whole word, where one is near
        gap = text.find(" ", start, start + width // 8)
        start = gap + 1 if gap >= 0 else start
    start = max(0, start)
    # Blanks fold, so more is taken than is shown; a page of nothing but blanks gives a short snippet.
    line = " ".join(text[start : start + 4 * width].split())
    before, after = "… " if start > 0 else "", "" if len(line) <= width and start + 4 * width >= len(text) else " …"
    room = width - len(before) - len(after)
    if len(line) > room:
        line = line[:room].rsplit(" ", 1)[0] if " " in line[room // 2 : room] else line[:room]
    line = f"{before}{line}{after}"
    return line, _joined(hits(index, line, terms))


def _window(found: Sequence[tuple[int, int, int]], width: int) -> int:
    """Where the stretch of `width` characters begins that holds the most different terms; the first of equal ones."""
    best, most = found[0][0], 0
    inside: dict[int, int] = {}
    last = 0
    for start, _, number in found:
        while last < len(found) and found[last][1] <= start + width * 3 // 4:
            inside[found[last][2]] = inside.get(found[last][2], 0) + 1
            last += 1
        if len(inside) > most:
            best, most = start, len(inside)
        if inside.get(number, 0) <= 1:
            inside.pop(number, None)
        else:
            inside[number] -= 1
    return best


def _joined(found: Sequence[tuple[int, int, int]]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    for start, end, _ in sorted(found):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return tuple(spans)
