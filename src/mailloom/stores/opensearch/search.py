"""A Query in OpenSearch's query language: the answers that the embedded archive gives (stores/sqlite/search.py), from the index.

Words reach OpenSearch as values of match queries, never in its query-string syntax: nothing that a user types is read as syntax.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from hashlib import sha256
from typing import Any, TypeVar

import orjson

from mailloom.mail.model import MessageId
from mailloom.ports import UserError, Words
from mailloom.query import All, Either, Filter, Found, Members, Node, Not, Query, QueryError, Word, prune
from mailloom.stores.opensearch.client import told
from mailloom.stores.opensearch.layout import Names, check

WEIGHTS = dict(zip(Words._fields, (8.0, 4.0, 1.5, 3.0, 0.5, 2.0), strict=True))
"""As the embedded archive ranks: what its author wrote counts six times as much as what was quoted."""
_COLUMNS = [f"{name}^{weight}" for name, weight in WEIGHTS.items()]
_COMBINED = [f"{name}^{2 * weight}" for name, weight in WEIGHTS.items()]  # combined_fields takes no weight below 1
MAX_CLAUSES = 1_000  # OpenSearch's indices.query.bool.max_clause_count is 1,024 where nobody raised it
EXPANSIONS = 1_000  # words that the open end of a phrase of several words may stand for, in each part of an index
MAX_TERMS = 65_536  # ids in one terms query: index.max_terms_count
MAX_NAMED = 1_000_000  # ids that thread: and in: may name: as a request, 35 MB
PAGE = 1_000
_TOO_MUCH = ("too_many_nested_clauses", "too_many_clauses", "Determinizing automaton")
Value = TypeVar("Value")
_NOBODY: dict[str, Any] = {"match_none": {}}

Located = Callable[[str], Collection[MessageId]]
"""A folder, label or source, as `in:` names it -> the messages that have a copy there. The index knows nothing of copies."""


class Search:
    """Implements query.Finder: queries over one scope of an index."""

    def __init__(self, client: Any, names: Names, scope: str = "", *, located: Located = lambda _: ()) -> None:
        self.client, self.names, self.scope, self.located = client, names, scope, located

    def find(self, query: Query, members: Members, limit: int) -> list[Found]:
        """At most `limit` messages: best first where there are words, else newest first. Twins count once, by the oldest.

        Raises QueryError where nothing is left to search for, Transient and UserError as `told` says.
        """
        asked, ranked = self.plan(query, members)
        first: dict[str, MessageId] = {}
        for twin, message in self._answers(asked, ranked, limit):
            if twin not in first and len(first) >= limit:
                break
            first.setdefault(twin, message)
        several = self._several(list(first), asked)
        return [several.get(twin) or Found(message, 0) for twin, message in first.items()]

    def count(self, query: Query, members: Members) -> int:
        """How many messages answer, twins counted each."""
        asked, _ = self.plan(query, members)
        return int(self._search({"query": asked, "size": 0, "track_total_hits": True})["hits"]["total"]["value"])

    # -------------------------------------------------------------------------------------------- running
    def _answers(self, asked: dict[str, Any], ranked: bool, limit: int) -> Iterator[tuple[str, MessageId]]:
        """Twin hash and id of each answer, in order.

        Not by `collapse`, which can't be read page by page and would need a search a group to count each; undated mail has no
        moment and comes last.
        """
        order: list[dict[str, Any]] = [{"_score": "desc"}, {"id": "asc"}]
        if not ranked:
            order = [{"moment": {"order": "desc", "missing": "_last"}}, {"id": "desc"}]
        size = min(PAGE, limit + 20)
        body = {"query": asked, "size": size, "sort": order, "docvalue_fields": ["twin"], "track_total_hits": False}
        body["_source"] = False
        while limit > 0:
            hits = self._search(body)["hits"]["hits"]
            for hit in hits:
                yield hit["fields"]["twin"][0], MessageId(bytes.fromhex(hit["sort"][1]))
            if len(hits) < size:
                return
            body["search_after"] = hits[-1]["sort"]

    def _several(self, twins: Sequence[str], asked: dict[str, Any]) -> dict[str, Found]:
        """Those twin hashes that several answers have: how many, and the oldest of them."""
        oldest = {"top_hits": {"size": 1, "sort": [{"id": "asc"}], "_source": False, "docvalue_fields": ["id"]}}
        known: dict[str, Found] = {}
        for some in _slices(twins, PAGE):
            query = {"bool": {"filter": [asked, {"terms": {"twin": some}}]}}
            groups = {"terms": {"field": "twin", "size": len(some), "min_doc_count": 2}, "aggs": {"oldest": oldest}}
            answer = self._search({"query": query, "size": 0, "aggs": {"twins": groups}})
            for bucket in answer["aggregations"]["twins"]["buckets"]:
                first = bucket["oldest"]["hits"]["hits"][0]["fields"]["id"][0]
                known[bucket["key"]] = Found(MessageId(bytes.fromhex(first)), bucket["doc_count"] - 1)
        return known

    def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        """All parts of the index answer, or it is an error; ranks count words over all of them (dfs), as one index would: a month
        with ten mails would else rank its words as rare.
        """
        from opensearchpy.exceptions import NotFoundError, TransportError

        params = {
            "search_type": "dfs_query_then_fetch",
            "allow_partial_search_results": "false",
            # The pages of one query come from the same copies, whose ranks may differ a little; other queries from others.
            "preference": sha256(orjson.dumps(body["query"])).hexdigest()[:16],
        }
        with told(f"search in {self.names.alias}"):
            try:
                answer: dict[str, Any] = self.client.search(index=self.names.alias, body=body, params=params)
            except NotFoundError:
                check(self.client, self.names)
                self._check_empty()
                return {
                    "hits": {"hits": [], "total": {"value": 0}},
                    "aggregations": {"twins": {"buckets": []}},
                }
            except TransportError as error:
                if not _is_too_much(error):
                    raise
                raise QueryError(
                    "this query is more than OpenSearch takes: ask with fewer or shorter words", 0
                ) from error
        return answer

    def _check_empty(self) -> None:
        """That there is no alias means that there is no mail yet. Raises UserError where there are indices, as nothing would ever be found."""
        found = self.client.indices.get_alias(index=f"{self.names.template}-*")
        if found and not any(self.names.alias in index["aliases"] for index in found.values()):
            raise UserError(
                f"OpenSearch has no alias {self.names.alias}, though indices are there: run `mailloom migrate`, which gives it to them"
            )

    # -------------------------------------------------------------------------------------------- planning
    def plan(self, query: Query, members: Members) -> tuple[dict[str, Any], bool]:
        """The query in OpenSearch's form, and whether it ranks. Only conditions made of words alone rank, as in the embedded one."""
        nodes = prune(query, _seen)
        brief = _is_large(nodes)
        ranked = [node for node in nodes if _is_text(node)]
        rest = [node for node in nodes if not _is_text(node)]
        asked: dict[str, Any] = {"filter": [{"term": {"scope": self.scope}}]}
        asked["filter"] += [self._condition(node, members, brief) for node in rest]
        if ranked:
            asked["must"] = [self._condition(node, members, brief) for node in ranked]
        return {"bool": asked}, bool(ranked)

    def _condition(self, node: Node, members: Members, brief: bool) -> dict[str, Any]:
        if isinstance(node, Word):
            return _word(node, brief)
        if isinstance(node, Not):
            return {"bool": {"must_not": [self._condition(node.of, members, brief)]}}
        if isinstance(node, Filter):
            return self._filter(node, members)
        parts = [self._condition(part, members, brief) for part in node.of]
        if isinstance(node, All):
            return {"bool": {"must": parts}}
        assert isinstance(node, Either)
        return {"bool": {"should": parts, "minimum_should_match": 1}}

    def _filter(self, item: Filter, members: Members) -> dict[str, Any]:
        if item.name == "date":
            span = {"gte": item.since, "lt": item.until}
            return {"range": {"date": {side: at for side, at in span.items() if at is not None}}}
        if item.name == "has":
            if item.text == "problem":
                return {"exists": {"field": "problems"}}
            return {"range": {{"attachment": "attachments", "nested": "nested"}[item.text]: {"gt": 0}}}
        if item.name == "problem":
            return {"term": {"problems": item.text}}
        if item.name == "list":
            escaped = re.sub(r"([\\*?])", r"\\\1", item.text)
            return {"wildcard": {"list_id": {"value": f"*{escaped}*"}}}
        if item.name == "thread":
            return _ids("thread", item.text, members(item.text))
        if item.name == "in":
            return _ids("in", item.text, self.located(item.text))
        return _named(item.text)


def _is_too_much(error: Any) -> bool:
    """Whether a query was refused for its size: the request's, its clauses once the analyzer has cut its words, the automaton of a `list:`."""
    return error.status_code == 413 or any(words in str(error.info) for words in _TOO_MUCH)


def _seen(text: str) -> bool:
    """Whether the analyzer finds a word in a text: it has a letter, a digit, or a sign of private use."""
    return any(c.isalnum() or "\ue000" <= c <= "\uf8ff" for c in text)


def _is_text(node: Node) -> bool:
    """Whether a condition is made of words alone and refuses none."""
    if isinstance(node, All | Either):
        return all(_is_text(part) for part in node.of)
    return isinstance(node, Word)


_ONE = re.compile(r"[\W_]*+[^\W_]++[\W_]*+")
"""A text that is surely one word to the analyzer; scripts from Thai on may be cut into several."""


def _is_one(text: str) -> bool:
    return len(text) < 200 and max(text) < "\u0e00" and _ONE.fullmatch(text) is not None


def _word(word: Word, brief: bool) -> dict[str, Any]:
    """A word or phrase stands in one column as a whole, or the last of its words begins as asked. `brief`: as one clause, if it
    can be.
    """
    one = _is_one(word.text)
    if word.column:
        kind = ("match_bool_prefix" if one else "match_phrase_prefix") if word.prefix else "match_phrase"
        options: dict[str, Any] = {"query": word.text, "boost": WEIGHTS[word.column]}
        if kind == "match_phrase_prefix":
            options["max_expansions"] = EXPANSIONS
        return {kind: {word.column: options}}
    if brief and one and not word.prefix:
        # Not always: with it, OpenSearch 3.6 counts how rare a word is index by index, so that ranks of two months don't compare.
        return {"combined_fields": {"query": word.text, "fields": _COMBINED, "operator": "and"}}
    wanted: dict[str, Any] = {"query": word.text, "fields": _COLUMNS, "tie_breaker": 1.0, "type": "phrase"}
    if word.prefix:
        wanted |= {"type": "bool_prefix"} if one else {"type": "phrase_prefix", "max_expansions": EXPANSIONS}
    return {"multi_match": wanted}


def _is_large(nodes: Sequence[Node]) -> bool:
    """Whether the query must be put into fewer clauses than ranks best. Raises QueryError where that would not do either."""
    ones = phrases = others = 0
    rest = list(nodes)
    while rest:
        node = rest.pop()
        if isinstance(node, All | Either):
            rest += node.of
        elif isinstance(node, Not):
            rest.append(node.of)
        elif isinstance(node, Filter) or node.column:
            others += 1
        elif node.prefix or not _is_one(node.text):
            phrases += 1
        else:
            ones += 1
    if ones + len(WEIGHTS) * phrases + others > MAX_CLAUSES:
        raise QueryError(
            f"this query has too many phrases and beginnings of words: at most {MAX_CLAUSES // len(WEIGHTS)} of them, unless "
            "each names its place, such as subject:invo*",
            0,
        )
    return len(WEIGHTS) * (ones + phrases) + others > MAX_CLAUSES


def _ids(key: str, name: str, messages: Collection[MessageId]) -> dict[str, Any]:
    if len(messages) > MAX_NAMED:
        raise QueryError(
            f"{key}:{name} names {len(messages):,} mails, and at most {MAX_NAMED:,} can be looked through", 0
        )
    terms = [{"terms": {"id": [m.hex() for m in some]}} for some in _slices(list(messages), MAX_TERMS)]
    return {"bool": {"should": terms, "minimum_should_match": 1}} if terms else _NOBODY


def _slices(values: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def _named(name: str) -> dict[str, Any]:
    """id: the beginning of an id, or a Message-ID."""
    plain = name.strip().strip("<>")
    digits = plain.replace("-", "").lower()
    if 0 < len(digits) <= 32 and all(c in "0123456789abcdef" for c in digits):
        return {"prefix": {"id": digits}}
    return {"term": {"message_id": plain}}
