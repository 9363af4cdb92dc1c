"""The query language: any text is a Query or a QueryError, never an error of SQL, and means what it says."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailloom.archive import NotFoundError
from mailloom.cli import draw
from mailloom.mail.model import Date, MessageId, Origin
from mailloom.ports import Delivery, Link, Row, Stated, Words
from mailloom.query import (
    EXAMPLES,
    KEYS,
    MAX_DEPTH,
    MAX_LEAVES,
    MAX_TEXT,
    All,
    Either,
    Filter,
    Node,
    Not,
    QueryError,
    Word,
    read,
)
from mailloom.stores.sqlite import SqliteRecords, SqliteThreads, connect
from mailloom.stores.sqlite.search import Search, Term, hits, snippet
from mailloom.thread.keys import key_name


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


# ------------------------------------------------------------------------------------------------ reading
@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("", ()),
        ("  \t ", ()),
        ("invoice", (Word("invoice"),)),
        ("two words", (Word("two"), Word("words", at=4))),
        ('"purchase order"', (Word("purchase order"),)),
        ('"purch"*', (Word("purch", prefix=True),)),
        ("invo*", (Word("invo", prefix=True),)),
        ("-draft", (Not(Word("draft", at=1)),)),
        ("NOT draft", (Not(Word("draft", at=4)),)),
        ("NOT NOT draft", (Word("draft", at=8),)),
        ('-"two words"', (Not(Word("two words", at=1)),)),
        ("a OR b", (Either((Word("a"), Word("b", at=5))),)),
        ("a AND b", (Word("a"), Word("b", at=6))),
        ("a b OR c", (Word("a"), Either((Word("b", at=2), Word("c", at=7))))),
        ("(a b) OR c", (Either((All((Word("a", at=1), Word("b", at=3))), Word("c", at=9))),)),
        ("-(a OR b)", (Not(Either((Word("a", at=2), Word("b", at=7)))),)),
        ("or and not", (Word("or"), Word("and", at=3), Word("not", at=7))),
        ('"OR"', (Word("OR"),)),
        ("ORDER", (Word("ORDER"),)),
        ("call() f(x)", (Word("call()"), Word("f(x)", at=7))),
        ("(call())", (Word("call()", at=1),)),
        ("from:ann", (Word("ann", "sender"),)),
        ("FROM:ann", (Word("ann", "sender"),)),
        ('to:"ann lee"', (Word("ann lee", "recipients"),)),
        ("subject:rep*", (Word("rep", "subject", prefix=True),)),
        ("file:report.pdf", (Word("report.pdf", "names"),)),
        ("in:Archive/2024", (Filter("in", "Archive/2024"),)),
        ("has:Attachments", (Filter("has", "attachment"),)),
        ("-has:nested", (Not(Filter("has", "nested")),)),
        ("http://example.org/x", (Word("http://example.org/x"),)),
        ("std::string 12:30", (Word("std::string"), Word("12:30", at=12))),
        ("a\0b", (Word("a"), Word("b", at=2))),
        ("-- - a--b", (Word("--"), Word("-", at=3), Word("a--b", at=5))),
    ],
)
def test_reads(text: str, nodes: tuple[Node, ...]) -> None:
    assert read(text).all == nodes


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("date:2024", "2024-01-01", "2025-01-01"),
        ("date:2024-02", "2024-02-01", "2024-03-01"),
        ("date:2024-12", "2024-12-01", "2025-01-01"),
        ("date:2024-02-29", "2024-02-29", "2024-03-01"),
        ("date:2024-1-5", "2024-01-05", "2024-01-06"),
        ("date:2024-01..2024-03", "2024-01-01", "2024-04-01"),
        ("date:2024-01-15..2024", "2024-01-15", "2025-01-01"),
        ("date:2024..", "2024-01-01", None),
        ("date:..2024", None, "2025-01-01"),
        ("date:9999", "9999-01-01", None),
        ("date:0001", "0001-01-01", "0002-01-01"),
        ("after:2024-03", "2024-03-01", None),
        ("before:2024-03", None, "2024-03-01"),
    ],
)
def test_dates(text: str, since: str | None, until: str | None) -> None:
    (found,) = read(text).all
    assert isinstance(found, Filter)
    assert (found.since, found.until) == (since and ms(since), until and ms(until))


@pytest.mark.parametrize(
    ("text", "what", "at"),
    [
        ('say "hello', "not closed", 4),
        ("(a b", "not closed", 0),
        ("a (b (c)", "not closed", 2),
        ("()", "nothing between", 0),
        ("a OR", "both sides", 2),
        ("OR a", "both sides", 0),
        ("a OR OR b", "both sides", 2),
        ("AND", "both sides", 0),
        ("a AND AND b", "both sides", 2),
        ("(a OR )", "both sides", 3),
        ("x NOT", "behind it", 2),
        ("from:", "needs a value", 0),
        ('x subject:""', "needs a value", 2),
        ("date:2024-13", "month", 0),
        ("date:2023-02-29", "day", 0),
        ("date:..", "one end", 0),
        ("date:2024-03..2024-01", "ends before", 0),
        ("date:0000", "year", 0),
        ("x after:yesterday", "write 2024", 2),
        ("date:٢٠٢٤", "no date", 0),
        ("has:wings", "attachment, nested, problem", 0),
        ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "deep", MAX_DEPTH),
        ("a " * (MAX_LEAVES + 1), "at most", 2 * MAX_LEAVES),
        ("a" * (MAX_TEXT + 1), "at most", MAX_TEXT),
    ],
)
def test_says_what_and_where(text: str, what: str, at: int) -> None:
    with pytest.raises(QueryError, match=re.escape(what)) as caught:
        read(text)
    assert caught.value.at == at
    assert f"at character {at + 1} of the query" in str(caught.value)


def test_each_key_has_an_example_that_reads() -> None:
    assert set(EXAMPLES) == set(KEYS)
    for text in EXAMPLES.values():
        assert len(read(text).all) == 1


# ------------------------------------------------------------------------------------------------ an index to ask
class Doc(NamedTuple):
    """A message as the oracle sees it."""

    id: MessageId
    date: int | None
    words: Words
    attachments: int
    nested: int
    problems: str
    folder: str
    twin: bytes


SUBJECTS = ("alpha beta", "beta", "gamma delta alpha", "")
NEW = ("alpha beta gamma", "beta alpha", "delta", "Épsilon zeta", "alphabet soup", "")
DATES = ("2023-12-31", "2024-01-01", "2024-01-31", "2024-02-01", None)


def _docs() -> Iterator[Doc]:
    for number in range(40):
        date = DATES[number % len(DATES)]
        at = None if date is None else ms(date)
        head = b"\xff" * 6 if at is None else at.to_bytes(6, "big")
        twin = bytes([number // 2 if number < 6 else number]) * 32
        yield Doc(
            id=MessageId(head + bytes([0x80, number]) + bytes(8)),
            date=at,
            words=Words(
                subject=SUBJECTS[number % 4],
                sender=("Ann Lee ann@example.org", "Bo Ray bo@example.net")[number % 2],
                recipients=("team@example.org", "Ann Lee ann@example.org")[number % 3 == 0],
                new=NEW[number % 6],
                old=("", "alpha omega")[number % 5 == 0],
                names=("", "report.pdf")[number % 7 == 0],
            ),
            attachments=int(number % 7 == 0),
            nested=number % 2,
            problems=("", "uncut quote")[number % 4 == 0],
            folder=("Archive/2024", "Archive", "In_box")[number % 3],
            twin=twin,
        )


DOCS = tuple(_docs())


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Search]:
    connection = connect(tmp_path_factory.mktemp("index") / "archive.sqlite", write=True, create=True)
    for scope in ("", "other"):  # what is in another scope must never be found
        records, threads = SqliteRecords(connection, lambda: 0, scope), SqliteThreads(connection, lambda: 0, scope)
        with threads.session():
            records.put([(_row(doc), doc.words, ()) for doc in DOCS])
            links = [Link("twin", key_name("twin", doc.twin), True, "") for doc in DOCS]
            threads.state([Stated(d.id, b"", (b"",), d.date, (link,)) for d, link in zip(DOCS, links, strict=True)])
            records.deliver([_delivery(doc, number) for number, doc in enumerate(DOCS)])
    yield Search(connection)
    connection.close()


def _row(doc: Doc) -> Row:
    return Row(
        id=doc.id, content_hash=doc.id * 2, twin=doc.twin, date=doc.date, subject=doc.words.subject,
        base_subject=doc.words.subject, sender="", message_id=f"{doc.id[7]}@example.org", list_id="dev.example.org", marks="",
        charsets="", size=1, attachments=doc.attachments, nested=doc.nested, problems=doc.problems, body=b"",
    )  # fmt: skip


def _delivery(doc: Doc, number: int) -> Delivery:
    origin = Origin("/mail/box", f"{number}.eml", 0, 1, 1, 1, folder=doc.folder)
    return Delivery(origin, 0, 0, "stored", doc.id, b"", b"{}", "", "1")


def members(name: str) -> Sequence[MessageId]:
    if name != "known":
        raise NotFoundError(name)
    return [doc.id for doc in DOCS[10:15]]


def ask(search: Search, text: str, limit: int = 1000) -> list[MessageId]:
    found, _ = search.find(read(text), members, limit)
    return [one.id for one in found]


# ------------------------------------------------------------------------------------------------ meaning, against an oracle
def _tokens(text: str) -> list[str]:
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", plain)


def _has_word(word: Word, doc: Doc) -> bool:
    wanted = _tokens(word.text)
    columns = [getattr(doc.words, word.column)] if word.column else list(doc.words)
    for column in columns:
        seen = _tokens(column)
        for at in range(len(seen) - len(wanted) + 1):
            here = seen[at : at + len(wanted)]
            last = here[-1].startswith(wanted[-1]) if word.prefix else here[-1] == wanted[-1]
            if here[:-1] == wanted[:-1] and last:
                return True
    return False


def _holds(node: Node, doc: Doc) -> bool:
    if isinstance(node, Word):
        return _has_word(node, doc)
    if isinstance(node, Not):
        return not _holds(node.of, doc)
    if isinstance(node, All):
        return all(_holds(part, doc) for part in node.of)
    if isinstance(node, Either):
        return any(_holds(part, doc) for part in node.of)
    if node.name == "date":
        if doc.date is None:
            return False
        return (node.since is None or doc.date >= node.since) and (node.until is None or doc.date < node.until)
    if node.name == "has":
        return {"attachment": doc.attachments > 0, "nested": doc.nested > 0, "problem": bool(doc.problems)}[node.text]
    if node.name == "problem":
        return node.text.lower() in doc.problems.split(",")
    if node.name == "in":
        name, folder = node.text.lower(), doc.folder.lower()
        return name in {"box", "/mail/box"} or f"/{name}/" in f"/{folder}/"
    if node.name == "thread":
        return doc.id in members(node.text)
    if node.name == "list":
        return node.text.lower() in "dev.example.org"
    assert node.name == "id"
    return doc.id.hex().startswith(node.text) or node.text == f"{doc.id[7]}@example.org"


LEAVES = (
    "alpha", "beta", "gamma", "alph*", "epsilon", "ÉPSILON", "zet*", "nowhere", '"alpha beta"', '"beta alp"*', '"beta" "alpha"',
    "from:ann", "from:ann@example.org", "to:team", 'to:"ann lee"', "subject:beta", "subject:bet*", "file:report", "omega",
    "in:Archive", "in:archive/2024", "in:2024", "in:box", "in:/mail/box", "in:nowhere", "in:In_box", "in:Inxbox",
    "date:2024", "date:2024-01", "date:2024-01..", "date:..2023", "after:2024-01-31", "before:2024-02", "has:attachment",
    "has:nested", "has:problem", 'problem:"uncut quote"', "problem:uncut", "thread:known", "list:DEV", "id:018c",
    "id:3@example.org", 'id:"<x y>"',
)  # fmt: skip
trees = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lambda text: f"-{text}" if not text.startswith(("-", "(")) else f"NOT {text}"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' OR '.join(parts)})"),
    ),
    max_leaves=8,
)


@given(st.lists(trees, min_size=1, max_size=3).map(" ".join))
@example("-alpha")
@example("-alpha -beta")
@example("alpha -beta -has:nested")
@example("-(alpha has:nested)")
@example("-date:2024")
@example("-alpha OR beta")
def test_finds_what_an_oracle_finds(search: Search, text: str) -> None:
    query = read(text)
    expected = {doc.id for doc in DOCS if all(_holds(node, doc) for node in query.all)}
    assert search.count(query, members) == len(expected)
    twins: dict[bytes, set[MessageId]] = {}
    for doc in DOCS:
        if doc.id in expected:
            twins.setdefault(doc.twin, set()).add(doc.id)
    found, _ = search.find(query, members, 1000)
    assert {(one.id, one.twins) for one in found} == {(min(same), len(same) - 1) for same in twins.values()}
    assert [one.id for one in found[:3]] == [one.id for one in search.find(query, members, 3)[0]]


def test_without_words_the_newest_come_first_and_the_undated_last(search: Search) -> None:
    dates = {doc.id: doc.date for doc in DOCS}
    found = [dates[one] for one in ask(search, "")]
    dated = [date for date in found if date is not None]
    assert dated == sorted(dated, reverse=True)
    assert found == dated + [None] * (len(found) - len(dated))


def test_a_subject_counts_more_than_new_text_and_that_more_than_a_quote(tmp_path: Path) -> None:
    connection = connect(tmp_path / "archive.sqlite", write=True, create=True)
    places = ("old", "recipients", "names", "new", "sender", "subject")
    docs = []
    for number, place in enumerate(places):
        words = Words(**{name: "alpha" if name == place else "other" for name in Words._fields})
        docs.append(DOCS[0]._replace(id=MessageId(bytes([1, number]) * 8), words=words, twin=bytes([number]) * 32))
    SqliteRecords(connection, lambda: 0).put([(_row(doc), doc.words, ()) for doc in docs])
    found = ask(Search(connection), "alpha")
    assert [places[one[1]] for one in found] == ["subject", "sender", "new", "names", "recipients", "old"]
    connection.close()


# ------------------------------------------------------------------------------------------------ never an error of SQL
INJECTIONS = (
    '" OR 1=1 --', "subject : alpha", "{subject sender}: alpha", "NEAR(alpha beta, 2)", "^alpha", "alpha + beta", "alpha' OR ''='",
    "'; drop table messages; --", 'a"b"c', '"a""b"', "rank:x", "alpha NOT", "- subject : alpha", "*", '""', '"*"', "a*b*",
    "words:alpha", "rowid:1", "\\", "%", "in:%", "in:_", "in:\\", "in:'", "list:'", "problem:%", "id:'", "thread:'", "id:0g", "id:f",
    "id:" + "0" * 33, "id:-", "id:<>", "to:\"'\"", "alpha:beta", "\ud800", "from:\udcff", "a\u0000", "date:1..2", "((a))", "𝟘", "①", "ª",
)  # fmt: skip
pieces = st.one_of(
    st.text(max_size=8),
    st.sampled_from((*LEAVES, *INJECTIONS, "AND", "OR", "NOT", "(", ")", "-", '"', ":", *(f"{key}:" for key in KEYS))),
)


@given(st.one_of(st.text(), st.lists(pieces, max_size=12).map(" ".join), st.lists(pieces, max_size=12).map("".join)))
def test_any_text_is_a_query_or_an_error_for_people(search: Search, text: str) -> None:
    try:
        query = read(text)
        found, plan = search.find(query, members, 5)
        assert len(found) <= 5
        snippet(search, [text, "alpha beta"], plan.terms, 60)
        assert search.count(query, members) >= sum(one.twins + 1 for one in found)
    except (QueryError, NotFoundError) as error:
        assert str(error)  # noqa: PT017
    assert search.connection.execute("select count(*) from messages").get == 2 * len(DOCS)


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_syntax_is_text(search: Search, text: str) -> None:
    test_any_text_is_a_query_or_an_error_for_people.hypothesis.inner_test(search, text)


@pytest.mark.parametrize("text", ["!!!", "& -", '""', "-!", "(! OR ?)", "*"])
def test_nothing_to_search_for_is_said(search: Search, text: str) -> None:
    with pytest.raises(QueryError, match="letter or a digit"):
        ask(search, text)


def test_signs_beside_words_are_left_out(search: Search) -> None:
    assert ask(search, "alpha & beta") == ask(search, "alpha beta")
    assert ask(search, "alpha OR !") == ask(search, "alpha")


def test_the_largest_query_runs(search: Search) -> None:
    assert ask(search, " OR ".join(["alpha"] * MAX_LEAVES)) == ask(search, "alpha")
    assert ask(search, " ".join(["alpha", *["-nowhere"] * (MAX_LEAVES - 1)])) == ask(search, "alpha")
    assert set(ask(search, " OR ".join(["-has:nested", *["date:2024"] * (MAX_LEAVES - 1)])))
    assert ask(search, "(" * MAX_DEPTH + "alpha" + ")" * MAX_DEPTH) == ask(search, "alpha")
    assert ask(search, '"' + "alpha " * 1600 + '"') == []


# ------------------------------------------------------------------------------------------------ marks and snippets
@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("An Épsilon, an EPSILON and epsilonic", "épsilon", ["Épsilon", "EPSILON"]),
        ("epsilonic", "eps*", ["epsilonic"]),
        ("日本語 text 漢字 text", "text", ["text", "text"]),
        ("the Purchase-Order, purchase of an order", '"purchase order"', ["Purchase-Order"]),
        ("purchase orders", '"purchase ord"*', ["purchase orders"]),
        ("a b a", "a b", ["a", "b", "a"]),
        ("Straße STRASSE", "straße", ["Straße"]),
        ("none", "other", []),
    ],
)
def test_marks(search: Search, text: str, query: str, shown: list[str]) -> None:
    terms = search.plan(read(query), members).terms
    assert [text[start:end] for start, end, _ in hits(search, text, terms)] == shown


@given(
    st.lists(st.sampled_from(["alpha", "Beta", "é", "漢字", "  ", "\n", "x" * 30, "alphabet", "😀", "\u0301"])),
    st.integers(30, 120),
)
def test_a_snippet_is_one_line_of_the_text_with_its_hits(search: Search, words: list[str], width: int) -> None:
    text = " ".join(words)
    terms = [Term(("alpha",), False, ""), Term(("beta",), False, "")]
    line, marks = snippet(search, ["", text], terms, width)
    assert len(line) <= width
    assert "\n" not in line
    assert line.removeprefix("… ").removesuffix(" …") in " ".join(text.split())
    assert all(line[start:end].lower() in {"alpha", "beta"} for start, end in marks)
    assert bool(marks) == bool({"alpha", "Beta"} & set(words))
    assert list(marks) == sorted(marks)


def test_a_snippet_takes_the_first_text_that_has_a_hit_and_its_densest_place(search: Search) -> None:
    terms = [Term(("alpha",), False, ""), Term(("beta",), False, "")]
    far = "alpha " + "filler " * 100 + "beta alpha " + "filler " * 100
    line, marks = snippet(search, ["nothing", far], terms, 80)
    assert [line[start:end] for start, end in marks] == ["beta", "alpha"]
    assert snippet(search, ["nothing here", "nor here"], terms, 80) == ("nothing here", ())
    assert snippet(search, [], terms, 80) == ("", ())
    assert snippet(search, ["word " * 1000], [], 40)[0].endswith(" …")


def test_marking_a_large_text_is_linear(search: Search) -> None:
    terms = [Term(("a",) * 30, False, ""), Term(("a",), True, "")]
    assert len(hits(search, "a " * 100_000, terms)) > 100_000


# ------------------------------------------------------------------------------------------------ what reaches a terminal
BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


@given(st.text(st.characters(codec=None)))
@example("\x1b]0;title\x07\x1b[2J\u202egnp.exe\r\n\x9b31m\ud800")
def test_safe_text_moves_nothing(text: str) -> None:
    one, many = draw.safe(text), draw.safe(text, lines=True)
    assert not BAD.search(one)
    assert "\n" not in one
    assert not BAD.search(many)
    assert draw.safe(one) == one
    one.encode("utf-8")


def test_safe_text_shows_what_it_took_away() -> None:
    assert draw.safe("a\x1b[31mb\nc\td") == "a␛[31mb c d"
    assert draw.safe("a\r\nb\x1b", lines=True) == "a\nb␛"


@given(st.text(st.sampled_from("ab 漢\n é")), st.integers(4, 40))
def test_wrapped_lines_fit_and_lose_nothing(text: str, room: int) -> None:
    lines = list(draw.wrap(text, room))
    assert all(draw.cells(line) <= room for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(draw.cells(draw.clip(line, room)) <= room for line in text.split("\n"))


def test_a_long_word_is_cut_after_some_lines() -> None:
    lines = list(draw.wrap("x" * 1_000_000, 50))
    assert len(lines) < 50
    assert "more characters" in lines[-1]


@pytest.mark.parametrize(
    ("date", "shown"),
    [
        (Date(ms("2024-01-15T10:00:00"), 120, ""), "2024-01-15 12:00:00 +0200 (2024-01-15 10:00:00 UTC)"),
        (Date(ms("2024-01-15T10:00:00"), 0, ""), "2024-01-15 10:00:00 UTC"),
        (Date(ms("2024-01-15T10:00:00"), None, ""), "2024-01-15 10:00:00 UTC (no zone stated)"),
        (Date(ms("2024-01-15T10:00:00"), 5000, ""), "2024-01-15 10:00:00 UTC"),
        (Date(None, None, "some\x1bday"), "some␛day (not a date that can be read)"),
        (Date(None, None, ""), "not stated"),
        (Date(10**17, None, "year 9"), "year 9 (not a date that can be read)"),
        (Date(-(10**17), 5, ""), "not stated"),
    ],
)
def test_dates_as_stated(date: Date, shown: str) -> None:
    assert draw.stated(date) == shown
    draw.moment(date.ms)
    draw.iso(date.ms)


def test_times_and_sizes() -> None:
    assert draw.iso(0) == "1970-01-01T00:00:00.000Z"
    assert draw.size(999) == "999 B"
    assert draw.size(1_500_000) == "1.5 MB"
    assert draw.size(25 * 10**9) == "25.0 GB"
    assert draw.size(25_000) == "25.0 kB"
