"""What every search index must answer. A new one is one line in STORES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Delivery, Link, Row, Stated, UserError, Words
from mailloom.query import MAX_DEPTH, MAX_LEAVES, QueryError, read
from mailloom.stores.opensearch.client import connect as connect_opensearch
from mailloom.stores.opensearch.index import Index
from mailloom.stores.opensearch.layout import Names, install
from mailloom.stores.opensearch.search import Search as OpenSearchSearch
from mailloom.stores.postgres.located import Located
from mailloom.stores.postgres.messages import PostgresCopies
from mailloom.stores.postgres.scoped import Scoped
from mailloom.stores.postgres.snapshot import Snapshot
from mailloom.stores.sqlite import SqliteRecords, SqliteThreads, connect
from mailloom.stores.sqlite.search import Search as SqliteSearch
from mailloom.thread.keys import key_name
from server_stores import database

UNDATED = b"\xff" * 6


class Doc(NamedTuple):
    """One message and where its copy lies."""

    words: Words
    when: str = "2024-03-01T12:00:00"
    row: dict[str, Any] = {}  # noqa: RUF012  never written to
    folder: str = "Inbox"
    labels: tuple[str, ...] = ()
    same: str = ""


def words(**said: str) -> Words:
    return Words(**{name: said.get(name, "") for name in Words._fields})


PEOPLE = {"sender": "Ann Lee ann@example.org", "recipients": "Team team@example.org"}
DOCS = {
    "offer": Doc(
        words(**PEOPLE, subject="Purchase order 4711", new="Please find the order attached", names="report-2024.pdf"),
        "2024-01-15T10:00:00", {"attachments": 1}, "Archive/2024",
    ),
    "reply": Doc(
        words(
            subject="Re: Purchase order 4711", sender="Bo Ray bo@example.net", recipients="Ann Lee ann@example.org",
            new="Thanks for the naïve résumé, o\u0308del", old="Please find the order attached",
        ),
        "2024-02-03T10:00:00", {"nested": 1, "problems": "bad date,uncut quote"}, "Archive", ("work", "todo"),
    ),
    "twin": Doc(words(subject="Lunch", new="pizza at noon"), "2023-12-31T23:59:59.999", {}, "In_box", (), "lunch"),
    "twin2": Doc(words(subject="Lunch", new="pizza at noon"), "2023-12-31T23:59:59.999", {}, "Sent", (), "lunch"),
    "cjk": Doc(words(subject="日程表の変更", new="会議 東京"), "2024-02-29T23:59:59"),
    "early": Doc(words(subject="alpha beta", new="before the window"), "1975-05-05T05:05:05"),
    "before": Doc(words(subject="alpha", new="before the epoch"), "1969-12-31T23:59:59"),
    "undated": Doc(words(subject="beta alpha", new="no date"), ""),
    "list": Doc(
        words(subject="[dev] don't", new="alpha_beta.gamma in C++ at 3.14 or http://example.com/a?b=c"),
        "2024-03-01T00:00:00", {"list_id": "dev_x.example.org"},
    ),
    "star": Doc(words(subject="alphabet soup", new="a 100% off\\sale*?"), "2024-03-01T00:00:01", {"list_id": "a*b?c"}),
}  # fmt: skip
SOURCE = "/mail/box"


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def message(name: str) -> MessageId:
    doc = DOCS[name]
    number = list(DOCS).index(name)
    date = ms(doc.when) if doc.when else -1
    head = date.to_bytes(6, "big") if date > 315_532_800_000 else UNDATED
    return MessageId(head + bytes([0x80, number]) + bytes(7) + bytes([number]))


def twin(name: str) -> bytes:
    return (DOCS[name].same or name).encode().ljust(32, b"\0")


def row(name: str) -> Row:
    doc = DOCS[name]
    plain: dict[str, Any] = {
        "id": message(name), "content_hash": message(name) * 2, "twin": twin(name), "date": ms(doc.when) if doc.when else None,
        "subject": doc.words.subject, "base_subject": "", "sender": "", "message_id": f"{name}@example.org", "list_id": "",
        "marks": "", "charsets": "", "size": 1, "attachments": 0, "nested": 0, "problems": "", "body": b"",
    }  # fmt: skip
    return Row(**{**plain, **doc.row})


def located(name: str) -> list[MessageId]:
    """What a relational store says of copies: the meaning of in: in stores/sqlite/search.py, said once more."""
    plain = name.rstrip("/").lower()
    return [
        message(each)
        for each, doc in DOCS.items()
        if f"/{plain}/" in f"/{doc.folder.lower()}/" or plain in doc.labels or plain in {"box", SOURCE}
    ]


# ------------------------------------------------------------------------------------------------ the stores
Asks = Callable[[str, int], list[tuple[MessageId, int]]]


class Asked:
    """A search index, in the contract's terms."""

    def __init__(self, search: Any) -> None:
        self.search = search

    def find(self, text: str, limit: int = 100) -> list[tuple[str, int]]:
        answer = self.search.find(read(text), members, limit)
        found = answer[0] if isinstance(answer, tuple) else answer
        return [(next(name for name in DOCS if message(name) == one.id), one.twins) for one in found]

    def names(self, text: str, limit: int = 100) -> list[str]:
        return [name for name, _ in self.find(text, limit)]

    def count(self, text: str) -> int:
        return int(self.search.count(read(text), members))


def sqlite(folder: Path, _: Callable[[str], str]) -> Asked:
    connection = connect(folder / "archive.sqlite", write=True, create=True)
    for scope, names in (("", list(DOCS)), ("other", list(DOCS)[:3])):
        records, threads = SqliteRecords(connection, lambda: 0, scope), SqliteThreads(connection, lambda: 0, scope)
        with threads.session():
            records.put([(row(name), DOCS[name].words, ()) for name in names])
            links = {name: (Link("twin", key_name("twin", twin(name)), True, ""),) for name in names}
            threads.state([Stated(message(name), b"", (b"",), None, links[name]) for name in names])
            for number, name in enumerate(names):
                doc = DOCS[name]
                origin = Origin(SOURCE, f"{number}.eml", 0, 1, 1, 1, folder=doc.folder, labels=doc.labels)
                records.deliver([Delivery(origin, 0, 0, "stored", message(name), b"", b"{}", "", "1")])
    return Asked(SqliteSearch(connection))


def opensearch(folder: Path, server: Callable[[str], str]) -> Asked:
    client, names = connect_opensearch(server("opensearch")), Names(folder.name.lower() + str(id(folder)))
    install(client, names, replicas=0, shards=2)
    for scope, some in (("", list(DOCS)), ("other", list(DOCS)[:3])):
        index = Index(client, names, scope)
        index.put([(row(name), DOCS[name].words, ()) for name in some])
        index.refresh()
    return Asked(OpenSearchSearch(client, names, located=located))


STORES = {"sqlite": sqlite, "opensearch": opensearch}


@pytest.mark.servers
def test_in_means_the_same_to_copies_in_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """The meaning of in: that this file gives OpenSearch, the embedded index's and PostgreSQL's."""
    connections = database(postgres_url)
    for scope, names in (("", list(DOCS)), ("other", list(DOCS)[:3])):
        for number, name in enumerate(names):
            doc = DOCS[name]
            origin = Origin(SOURCE, f"{number}.eml", 0, 1, 1, 1, folder=doc.folder, labels=doc.labels)
            copies = PostgresCopies(Scoped(connections, scope, lambda: 0))
            copies.deliver([Delivery(origin, at, 0, "stored", message(name), b"", b"{}", "", "1") for at in range(2)])
    asked = sqlite(tmp_path, lambda _: "")
    for name in (
        "Archive", "archive/2024", "ARCHIVE/", "2024", "todo", "work", "wor", "In_box", "Inxbox", "Sent", "box", "Box", "mail", "/mail/box",
        "mail/box", "%", "_", "\\", "'", "Inbox", "x\0y",
    ):  # fmt: skip
        found = Located(Snapshot(connections, ""))(name)
        assert len(set(found)) == len(found)
        assert sorted(found) == sorted(located(name)), name
        plan = asked.search.plan(read(f'in:"{name}"'), members)
        where = " and ".join(plan.where)
        embedded = asked.search.connection.execute(f"select m.id from messages m where {where}", plan.values)
        assert sorted(found) == sorted(MessageId(one) for (one,) in embedded), name
    assert len(Located(Snapshot(connections, "other"), most=2)("box")) == 2
    asked.search.connection.close()
    connections.close()


@pytest.fixture(
    scope="module",
    params=[name if name == "sqlite" else pytest.param(name, marks=pytest.mark.servers) for name in STORES],
)
def search(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: Callable[[str], str]
) -> Iterator[Asked]:
    asked = STORES[request.param](tmp_path_factory.mktemp("search"), server)
    yield asked
    if request.param == "opensearch":
        asked.search.client.indices.delete(index=f"{asked.search.names.template}-*")
        asked.search.client.indices.delete_index_template(name=asked.search.names.template)
        asked.search.client.close()
    else:
        asked.search.connection.close()


def members(name: str) -> Sequence[MessageId]:
    if name != "known":
        raise UserError(name)
    return [message("offer"), message("reply")]


# ------------------------------------------------------------------------------------------------ what is found
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("order", "offer reply"), ("ORDER", "offer reply"), ("orde", ""), ("orde*", "offer reply"), ('"purchase order"', "offer reply"),
        ('"order purchase"', ""), ('"purchase ord"*', "offer reply"), ("purchase-order", "offer reply"), ("4711 thanks", "reply"),
        ("thanks OR pizza", "reply twin"), ("order -thanks", "offer"), ("order NOT thanks", "offer"), ("-order -alpha*", "twin cjk"),
        ("(thanks OR pizza) lunch", "twin"), ("order & attached", "offer reply"), ("naive", "reply"), ("RÉSUMÉ", "reply"),
        ("odel", "reply"), ("ödel", "reply"), ("o\u0308del", "reply"), ("日程表の変更", "cjk"), ("東京", "cjk"),
        ("from:ann", "offer"), ("from:ann@example.org", "offer"), ("to:ann", "reply"), ("cc:team", "offer"), ('to:"ann lee"', "reply"),
        ("from:an*", "offer"), ("subject:order", "offer reply"), ('subject:"purchase o"*', "offer reply"), ("file:report", "offer"),
        ("file:2024.pdf", "offer"), ("file:pdf*", "offer"), ("subject:attached", ""), ("don't", "list"), ("don", "list"),
        ("alpha_beta", "early list"), ("alpha", "early before undated list"), ("alpha*", "early before undated list star"),
        ("gamma", "list"), ("c++", "list"), ("3.14", "list"), ("http://example.com/a?b=c", "list"), ("sale*", "star"), ("100%", "star"),
        ('"beta alpha"', "undated"), ('"alpha beta"', "early list"), ("beta alpha", "early undated list"),
        ("in:Archive", "offer reply"), ("in:archive/2024", "offer"), ("in:2024", "offer"), ("in:Archive/", "offer reply"), ("in:todo", "reply"),
        ("in:In_box", "twin"), ("in:Inxbox", ""), ("-in:Archive pizza", "twin"), ("in:box order", "offer reply"), ("in:Sent", "twin2"),
        ("date:2024-01", "offer"), ("date:2024-02", "reply cjk"), ("date:2023", "twin"), ("date:..1980", "early before"),
        ("date:1969", "before"), ("date:2024-02-29", "cjk"), ("after:2024-02-29 -list:dev", "cjk star"), ("before:1970", "before"),
        ("-date:0001..", "undated"), ("has:attachment", "offer"), ("has:nested", "reply"), ("has:problem", "reply"),
        ("-has:problem order", "offer"), ("has:nested OR pizza", "reply twin"), ('problem:"uncut quote"', "reply"), ("problem:uncut", ""),
        ('problem:"BAD DATE"', "reply"), ("list:DEV", "list"), ("list:dev_x.example.org", "list"), ("list:devyx", ""), ('list:"*b?"', "star"),
        ("list:%", ""), ("list:_", "list"), ("thread:known", "offer reply"), ("-thread:known subject:lunch", "twin"), ("thread:known pizza", ""),
        ("id:offer@example.org", "offer"), ("id:<reply@example.org>", "reply"), ("id:OFFER@example.org", ""), ("id:zz", ""),
        (f"id:{message('offer').hex()}", "offer"), (f"id:{message('offer').hex()[:13]}", "offer"), ("id:ffffffffffff", "early before undated"),
        ("nothing", ""), ("order nothing", ""), ('"" order', "offer reply"), ("😀 order", "offer reply"), ("order OR 😀", "offer reply"),
    ],
)  # fmt: skip
def test_finds(search: Asked, text: str, found: str) -> None:
    assert sorted(search.names(text)) == sorted(found.split())
    assert search.count(text) == sum(1 + twins for _, twins in search.find(text))


def test_everything_is_found_without_words_newest_first_and_undated_last(search: Asked) -> None:
    newest = ["star", "list", "cjk", "reply", "offer", "twin"]
    assert search.names("")[:6] == newest
    assert sorted(search.names("")[6:]) == ["before", "early", "undated"]
    assert search.count("") == len(DOCS)
    assert search.names("-nothing", 3) == newest[:3]
    assert search.names("has:attachment OR has:nested") == ["reply", "offer"]


def test_twins_count_once_by_the_oldest_that_answers(search: Asked) -> None:
    assert search.find("pizza") == [("twin", 1)]
    assert search.find("in:Sent pizza") == [("twin2", 0)]
    assert search.find("subject:lunch -id:twin@example.org") == [("twin2", 0)]
    assert search.count("pizza") == 2


@pytest.mark.parametrize("limit", range(9))
def test_a_limit_gives_the_first(search: Asked, limit: int) -> None:
    assert search.find("", limit) == search.find("", 100)[:limit]
    assert search.find("alpha*", limit) == search.find("alpha*", 100)[:limit]


@pytest.mark.parametrize(
    ("text", "twins"), [("pizza", [1]), ("in:In_box", [0]), ("", [0, 0, 0, 0, 0, 0, 0, 0, 1]), ("lunch -in:Sent", [0])]
)
def test_twins_are_counted_among_the_answers(search: Asked, text: str, twins: list[int]) -> None:
    assert sorted(count for _, count in search.find(text)) == twins


def test_words_rank_by_where_they_stand(search: Asked) -> None:
    found = search.names("order")
    assert found == ["offer", "reply"]  # said by its author, and quoted
    assert search.names("alpha")[-1] == "list"  # in the text, not in the subject


@pytest.mark.parametrize("text", ["!!!", '""', "-!", "(! OR ?)", "*", "from:!", "😀"])
def test_nothing_to_search_for_is_said(search: Asked, text: str) -> None:
    with pytest.raises(QueryError, match="letter or"):
        search.names(text)


def test_a_thread_that_is_not_there_is_said(search: Asked) -> None:
    with pytest.raises(UserError):
        search.names("thread:other")


def test_the_largest_queries_run(search: Asked) -> None:
    assert sorted(search.names(" OR ".join(["order", *(f"w{n}" for n in range(MAX_LEAVES - 1))]))) == ["offer", "reply"]
    assert search.names(" ".join(["pizza", *(f"-w{n}" for n in range(MAX_LEAVES - 1))])) == ["twin"]
    assert search.names(" ".join(["from:ann"] * MAX_LEAVES)) == ["offer"]
    assert search.names(" OR ".join(["date:2023"] * MAX_LEAVES)) == ["twin"]
    nested = "(order " * (MAX_DEPTH - 1) + "(w OR order)" + ")" * (MAX_DEPTH - 1)
    assert sorted(search.names(nested)) == ["offer", "reply"]
    deep = "(w OR (order " * (MAX_DEPTH // 2 - 1) + "(w OR order)" + "))" * (MAX_DEPTH // 2 - 1)
    assert sorted(search.names(deep)) == ["offer", "reply"]
    assert search.names('"' + "alpha " * 1600 + '"') == []


@pytest.mark.parametrize(
    "text",
    [
        '" OR 1=1 --', "{subject sender}: alpha", "NEAR(alpha beta, 2)", "^order", "alpha + beta", "order' OR ''='", "rank:x", "_id:x",
        "order~2", "/ord.*/", "[a TO z]", "order^4", "a\\", "%", "in:%", "in:_", "in:\\", "in:'", "list:'", "list:\\", "problem:%", "id:'",
        "id:0g", "id:" + "0" * 33, "id:-", "id:<>", "\ud800", "from:\udcffx", "a\0b", "𝟘", "①", "ª", "!*", '"a"*', "x" * 5000, "x" * 5000 + "*",
        "subject:" + "y" * 300 + "*", "漢*", '"漢字 a"*', "*漢",
    ],
)  # fmt: skip
def test_what_looks_like_syntax_is_text(search: Asked, text: str) -> None:
    try:
        assert len(search.names(text, 5)) <= 5
        assert search.count(text) <= len(DOCS)
    except QueryError as error:
        assert str(error)  # noqa: PT017
    assert search.count("") == len(DOCS)
