"""Reads a regular expression and tells where a backtracking engine may need more than linear time for it.

The pattern becomes a graph: a node for each place that consumes a character, an edge for each way from one place to the
next, two edges where there are two ways. Then (Weber and Seidl, "On the degree of ambiguity of finite automata", 1991):

* exponential, if from some node two different ways lead back to it over the same text: (a+)+, (a|a)*, (a|b|ab)*;
* quadratic or worse, if over the same text one leads back to p, one from p to q, one back to q: \\s*\\s*x. A search begins
  anew at each character, so it counts as a loop before the pattern: `<[^>]*>` is quadratic on "<<<<<", `<[^<>]*>` is not.

A place where the pattern may end at once, with nothing left to test, can't fail and is no harm. What looks ahead reads too, but leads nowhere. Anchors count as true, atomic groups as common groups; a possessive loop
over one kind of character is left only by another character. A complaint may be wrong, silence hardly. A counted repeat up to
CONSTANT only multiplies the time, which is linear still; a longer one counts as unbounded. Text is represented by some characters of each kind and those that the pattern names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import NamedTuple

UNROLLED = 60  # a counted repeat of at most so many places is written out, a longer one becomes a loop
CONSTANT = 256  # a loop of at most so many rounds is no reason for a quadratic complaint (but for an exponential one)
ALWAYS = "aZ_059 \t\n\r\0-.:é\xa0\u0663\u4e2d\U0001f600"


class Node(NamedTuple):
    """A piece of the pattern. `sure`: those of `last` after which nothing is left to test; likewise `sure_empty`."""

    first: list[int]
    last: list[int]
    sure: set[int]
    empty: bool
    sure_empty: bool


EMPTY = Node([], [], set(), True, True)
TEST = Node([], [], set(), True, False)


def spell(op: object, value: object) -> str:
    """A place in the pattern as one would write it, nearly."""
    if op is sre.ANY:
        return "."
    if op is sre.LITERAL:
        return f"{chr(value)!a}"  # type: ignore[arg-type]
    if op is sre.NOT_LITERAL:
        return f"[^{chr(value)!a}]"  # type: ignore[arg-type]
    parts = ["^" if o is sre.NEGATE else spell(o, v) if o is sre.LITERAL else f"{v}" for o, v in value]  # type: ignore[attr-defined]
    return f"[{' '.join(parts)}]"


class Graph:
    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self.tree = parser.parse(pattern, flags)
        self.flags = int(self.tree.state.flags)
        self.masks: dict[tuple[object, str], int] = {}
        self.binary = isinstance(pattern, bytes)
        self.complaints: list[str] = []
        self.kinds: list[int] = []
        self.names: list[str] = []
        self.edges: list[Counter[int]] = []
        self.over: dict[tuple[int, int], int] = {}  # the characters that an edge may take
        self.greed: list[int] = []  # the characters that a possessive loop at this place never leaves to others
        self.short: set[tuple[int, int]] = set()  # ways back of counted loops
        self.depth = 0
        self.groups: dict[int, Iterable] = {}
        named = {code for code in self.literals(self.tree) if 0 <= code < 0x110000}
        both = {*ALWAYS, *(x for c in named for x in (chr(c), chr(c).lower(), chr(c).upper()) if len(x) == 1)}
        self.alphabet = sorted(c for c in both if not self.binary or ord(c) < 256)
        self.whole = self.sequence(self.tree)

    # -------------------------------------------------------- characters

    def literals(self, items: Iterable) -> Iterator[int]:
        todo = [items]
        while todo:
            for item in todo.pop():
                if isinstance(item, tuple) and len(item) == 2 and item[0] in (sre.LITERAL, sre.NOT_LITERAL):
                    yield item[1]
                elif isinstance(item, tuple) and len(item) == 2 and item[0] is sre.RANGE:
                    low, high = item[1]
                    yield from (low - 1, low, high, high + 1)
                elif isinstance(item, (tuple, list, parser.SubPattern)):
                    todo.append(item)

    def takes(self, op: object, value: object, char: str) -> bool:
        if op is sre.ANY:
            return char != "\n" or bool(self.flags & re.DOTALL)
        if op is sre.CATEGORY:
            name = str(value).removeprefix("CATEGORY_").lower()
            letter = {"digit": "d", "space": "s", "word": "w"}[name.removeprefix("not_")]
            letter = letter.upper() if name.startswith("not_") else letter
            ascii_only = re.ASCII if self.binary or self.flags & re.ASCII else 0
            return re.match("\\" + letter, char, ascii_only) is not None
        same = {char, char.lower(), char.upper()} if self.flags & re.IGNORECASE else {char}
        codes = {ord(c) for c in same if len(c) == 1}
        if op is sre.LITERAL:
            return value in codes
        if op is sre.NOT_LITERAL:
            return value not in codes
        if op is sre.RANGE:
            low, high = value  # type: ignore[misc]
            return any(low <= code <= high for code in codes)
        assert op is sre.IN, op
        negated = bool(value) and value[0][0] is sre.NEGATE  # type: ignore[index]
        return any(self.takes(o, v, char) for o, v in value[negated:]) != negated  # type: ignore[index]

    def place(self, op: object, value: object) -> Node:
        number = len(self.kinds)
        key = (op, str(value))
        if key not in self.masks:
            self.masks[key] = sum(1 << i for i, char in enumerate(self.alphabet) if self.takes(op, value, char))
        self.kinds.append(self.masks[key])
        self.names.append(spell(op, value))
        self.edges.append(Counter())
        self.greed.append(0)
        return Node([number], [number], {number}, False, False)

    # -------------------------------------------------------- structure

    def link(self, last: Iterable[int], first: list[int]) -> None:
        for a in last:
            for b in first:
                if kind := self.kinds[b] & ~self.greed[a]:
                    self.edges[a][b] += 1
                    self.over[a, b] = self.over.get((a, b), 0) | kind

    def then(self, a: Node, b: Node) -> Node:
        self.link(a.last, b.first)
        return Node(
            a.first + b.first if a.empty else a.first,
            a.last + b.last if b.empty else b.last,
            b.sure | a.sure if b.sure_empty else b.sure,
            a.empty and b.empty,
            a.sure_empty and b.sure_empty,
        )

    def sequence(self, items: Iterable) -> Node:
        node = EMPTY
        for op, value in items:
            node = self.then(node, self.item(op, value))
        return node

    def item(self, op: object, value: object) -> Node:
        if op in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN):
            return self.place(op, value)
        if op is sre.AT:
            # nothing follows the end of the text: a place that takes no character
            return self.place(sre.IN, []) if value is sre.AT_END_STRING else TEST
        if op is sre.SUBPATTERN:
            self.groups[value[0]] = value[3]  # type: ignore[index]
            return self.sequence(value[3])  # type: ignore[index]
        if op is sre.GROUPREF:  # some text that the group could have taken
            return self.then(self.sequence(self.groups[value]), TEST)  # type: ignore[index]
        if op is sre.ATOMIC_GROUP:
            return self.sequence(value)  # type: ignore[arg-type]
        if op is sre.BRANCH:
            return self.choice([self.sequence(branch) for branch in value[1]])  # type: ignore[index]
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            before = len(self.kinds)
            node = self.repeat(*value)  # type: ignore[misc]
            if op is sre.POSSESSIVE_REPEAT and value[1] == sre.MAXREPEAT and len(self.kinds) == before + 1:  # type: ignore[index]
                self.greed[before] = self.kinds[before]
            return node
        if op in (sre.ASSERT, sre.ASSERT_NOT):
            way, body = value  # type: ignore[misc]
            if way < 0:  # what looks behind has a fixed width; at the very start it limits where a search may begin
                return self.sequence(body) if op is sre.ASSERT and value is self.tree[0][1] else TEST
            return TEST._replace(first=self.sequence(body).first)
        self.complaints.append(f"{op} is more than this review understands")
        return TEST

    def choice(self, nodes: list[Node]) -> Node:
        if self.depth and sum(node.empty for node in nodes) > 1:
            self.complaints.append("exponential: in a loop, two alternatives match the empty text")
        return Node(
            [n for node in nodes for n in node.first],
            [n for node in nodes for n in node.last],
            {n for node in nodes for n in node.sure},
            any(node.empty for node in nodes),
            any(node.sure_empty for node in nodes),
        )

    def maybe(self, node: Node) -> Node:
        return node._replace(empty=True, sure_empty=True)

    def repeat(self, least: int, most: int, body: Iterable) -> Node:
        before = len(self.kinds)
        self.depth += most > 1
        node = self.sequence(body)
        size = len(self.kinds) - before
        if most != sre.MAXREPEAT and size * most <= UNROLLED:
            self.depth -= most > 1
            copies = ([node] if most else []) + [self.sequence(body) for _ in range(most - 1)]
            tail = EMPTY
            for copy in reversed(copies[least:]):
                tail = self.maybe(self.then(copy, tail))
            head = EMPTY
            for copy in copies[:least]:
                head = self.then(head, copy)
            return self.then(head, tail)
        self.depth -= 1
        if most != sre.MAXREPEAT and most <= CONSTANT:
            self.short |= {(a, b) for a in node.last for b in node.first if not self.edges[a][b]}
        self.link(node.last, node.first)
        return node if least else self.maybe(node)

    def before_search(self) -> Node:
        """The loop over the places where a search begins: every character, or those after a line end for ^ with MULTILINE."""
        first = self.tree[0] if len(self.tree) else None
        begins = {sre.AT_BEGINNING_STRING} | (set() if self.flags & re.MULTILINE else {sre.AT_BEGINNING})
        if first and first[0] is sre.AT and first[1] in begins:
            return EMPTY
        skip = self.place(sre.IN, [(sre.NEGATE, None)])
        self.names[-1] = "the start of the search"
        self.link(skip.last, skip.first)
        if first and first[0] is sre.AT and first[1] is sre.AT_BEGINNING:
            skip = self.then(skip, self.place(sre.LITERAL, 10))
        return self.maybe(skip)

    # -------------------------------------------------------- judgement

    def beyond(self, start: int) -> set[int]:
        seen: set[int] = set()
        todo = [start]
        while todo:
            new = set(self.edges[todo.pop()]) - seen
            seen |= new
            todo.extend(new)
        return seen


def complaints(pattern: str | bytes, flags: int = 0, *, searched: bool = True, to_the_end: bool = False) -> list[str]:
    """What may take more than linear time. `searched`: not only tried at one place; `to_the_end`: as fullmatch does."""
    graph = Graph(pattern, flags)
    whole = graph.whole
    found = list(graph.complaints)
    if searched:
        graph.then(graph.before_search(), whole)
    ahead = [graph.beyond(number) for number in range(len(graph.kinds))]
    loops = [number for number in range(len(graph.kinds)) if number in ahead[number]]
    for number in loops:
        if exponential(graph, ahead, number):
            found.append(f"exponential: two ways around {graph.names[number]}")
            return found
    for a, b in graph.short:
        del graph.edges[a][b]
    ahead = [graph.beyond(number) for number in range(len(graph.kinds))]
    loops = [number for number in loops if number in ahead[number]]
    sure = set() if to_the_end else whole.sure
    for q in loops:
        if q in sure:
            continue
        for p in loops:
            if p != q and q in ahead[p] and quadratic(graph, ahead, p, q):
                found.append(f"quadratic: text may fall to {graph.names[p]} or to {graph.names[q]}")
                return found
    return found


def exponential(graph: Graph, ahead: list[set[int]], number: int) -> bool:
    """From number, do two ways over one text lead back to it?"""
    circle = {n for n in ahead[number] if number in ahead[n]}
    seen: set[tuple[int, int, bool]] = set()
    todo = [(number, number, False)]
    while todo:
        a, b, parted = todo.pop()
        for x, ways in graph.edges[a].items():
            if x not in circle:
                continue
            for y in graph.edges[b]:
                if y not in circle or not graph.over[a, x] & graph.over[b, y]:
                    continue
                state = (x, y, parted or x != y or (a == b and ways > 1))
                if state == (number, number, True):
                    return True
                if state not in seen:
                    seen.add(state)
                    todo.append(state)
    return False


def quadratic(graph: Graph, ahead: list[set[int]], p: int, q: int) -> bool:
    """Is there one text that leads from p to p, from p to q and from q to q?"""
    seen: set[tuple[int, int, int]] = set()
    todo = [(p, p, q)]
    while todo:
        a, b, c = todo.pop()
        for x in graph.edges[a]:
            if p != x and p not in ahead[x]:
                continue
            for z in graph.edges[c]:
                kind = graph.over[a, x] & graph.over[c, z]
                if not kind or (q != z and q not in ahead[z]):
                    continue
                for y in graph.edges[b]:
                    if not kind & graph.over[b, y] or (q != y and q not in ahead[y]):
                        continue
                    if (x, y, z) == (p, q, q):
                        return True
                    if (x, y, z) not in seen:
                        seen.add((x, y, z))
                        todo.append((x, y, z))
    return False
