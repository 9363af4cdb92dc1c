"""What may happen to an index while mail is written: nothing is doubled, nothing older wins, no mail holds up the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from proxy import Proxy

from mailloom.mail.model import MessageId
from mailloom.ports import Row, Transient, UserError, Words
from mailloom.query import QueryError, read
from mailloom.stores.opensearch import document as documents
from mailloom.stores.opensearch import index as indexing
from mailloom.stores.opensearch.client import connect
from mailloom.stores.opensearch.document import document, key
from mailloom.stores.opensearch.index import ATTEMPTS, Index
from mailloom.stores.opensearch.layout import LAYOUT, Names, check, expire, first, install, month, switch
from mailloom.stores.opensearch.search import Search

pytestmark = pytest.mark.servers
Entry = tuple[Row, Words, tuple[tuple[str, str, str], ...]]
START, DAY = 1_700_000_000_000, 86_400_000
SECRET = "confidential"


@pytest.fixture
def client(opensearch_url: str) -> Iterator[Any]:
    client = connect(opensearch_url)
    yield client
    client.close()


@pytest.fixture
def names(client: Any, prefix: str) -> Iterator[Names]:
    names = Names(prefix)
    install(client, names, replicas=0)
    yield names
    client.indices.delete(index=f"{prefix}-messages-*")
    client.indices.delete_index_template(name=f"{prefix}-messages-*")


def entry(number: int, new: str = "", when: int | None = None, names: str = "") -> Entry:
    head = (START + number * DAY if when is None else when).to_bytes(6, "big")
    message = MessageId(head + number.to_bytes(10, "big"))
    row = Row(
        id=message, content_hash=message * 2, twin=message * 2, date=START + number * DAY, subject="", base_subject="", sender="",
        message_id=f"{number}@example.org", list_id="", marks="", charsets="", size=1, attachments=0, nested=0, problems="", body=b"",
    )  # fmt: skip
    return row, Words("subject", "sender", "recipients", new or f"mail word{number}", "old", names), ()


def total(client: Any, names: Names, text: str = "mail") -> int:
    Index(client, names).refresh()
    return Search(client, names).count(read(text), lambda _: ())


def never(attempt: int) -> None:
    raise AssertionError(f"waited before attempt {attempt}")


def at_once(_: int) -> None:
    """No wait."""


class Spoiled:
    """A client whose bulk requests are spoiled on the way: `spoil` gets the lines of each action and may answer for it."""

    def __init__(self, client: Any, spoil: Callable[[int], dict[str, Any] | None], limit: int = 1 << 30) -> None:
        self.client, self.spoil, self.limit, self.sizes = client, spoil, limit, []  # type: ignore[var-annotated]
        self.indices, self.seen = client.indices, 0

    def bulk(self, *, body: bytes, params: dict[str, str]) -> dict[str, Any]:
        from opensearchpy.exceptions import TransportError

        self.sizes.append(len(body))
        if len(body) > self.limit:
            raise TransportError(413, "too large", "")
        lines = body.splitlines(keepends=True)
        pairs = [b"".join(lines[at : at + 2]) for at in range(0, len(lines), 2)]
        answers = [self.spoil(self.seen + number) for number in range(len(pairs))]
        self.seen += len(pairs)
        kept = [pair for pair, answer in zip(pairs, answers, strict=True) if answer is None]
        real = self.client.bulk(body=b"".join(kept), params=params) if kept else {"items": [], "errors": False}
        items = iter(real["items"])
        mixed = [{"index": answer} if answer is not None else next(items) for answer in answers]
        return {"errors": real["errors"] or any(answers), "items": mixed}


def refused(status: int, kind: str) -> dict[str, Any]:
    return {"status": status, "error": {"type": kind, "reason": "no room"}}


# ------------------------------------------------------------------------------------------------ writing twice, older, newer
def test_writing_twice_is_writing_once(client: Any, names: Names) -> None:
    index, rows = Index(client, names), [entry(n) for n in range(50)]
    index.put(rows)
    index.put(rows + rows)
    assert total(client, names) == 50
    assert index.held([row.id for row, _, _ in rows]) == {row.id for row, _, _ in rows}
    assert index.held([entry(99)[0].id]) == index.held([]) == set()


def test_an_older_version_never_overwrites_a_newer_one(client: Any, names: Names) -> None:
    newer, older = Index(client, names, version=3, pause=never), Index(client, names, version=2, pause=never)
    older.put([entry(1, "first"), entry(2, "first")])
    newer.put([entry(1, "second")])
    older.put([entry(1, "first"), entry(3, "first")])
    assert [total(client, names, word) for word in ("first", "second")] == [2, 1]


def test_months_and_the_rest(client: Any, names: Names) -> None:
    Index(client, names).put([entry(0), entry(40), entry(2, when=(1 << 48) - 1), entry(3, when=4_000_000_000_000)])
    found = client.indices.get_alias(index=f"{names.template}-*")
    assert sorted(found) == [f"{names.template}-{part}" for part in ("2023-11", "2023-12", "other")]
    assert all(names.alias in index["aliases"] for index in found.values())
    assert total(client, names) == 4
    assert [month(entry(0, when=at)[0].id) for at in (315_532_800_000, 2_208_988_799_999, 2_208_988_800_000)] == [
        "1980-01", "2039-12", "other",
    ]  # fmt: skip


def test_search_holds_the_last_days_by_whole_months(client: Any, names: Names) -> None:
    everything = [entry(n) for n in (0, 20, 50)] + [
        entry(3, when=(1 << 48) - 1)
    ]  # November, December, January, undated
    Index(client, names).put(everything)
    now = START + 80 * DAY  # 2 February 2024
    assert [first(days, now) for days in (0, 1, 2, 33, 34)] == ["", "2024-02", "2024-01", "2023-12", "2023-12"]
    assert expire(client, names, first(0, now)) == []
    assert expire(client, names, first(40, now)) == [f"{names.template}-2023-11"]
    assert expire(client, names, first(40, now)) == []  # again does no harm
    assert total(client, names) == 3
    since = first(40, now)
    index = Index(client, names, since=lambda: since)
    index.put([*everything, entry(1, when=START - 400 * DAY)])
    found = client.indices.get_alias(index=f"{names.template}-*")
    assert sorted(found) == [f"{names.template}-{part}" for part in ("2023-12", "2024-01", "other")]
    assert total(client, names) == 3
    assert index.wanted([row.id for row, _, _ in everything]) == [row.id for row, _, _ in everything[1:]]
    assert (index.whole, Index(client, names).whole) == (False, True)


def test_months_of_others_stay(client: Any, names: Names) -> None:
    """Another generation's, and those of a deployment whose name begins alike."""
    others = [Names(names.prefix, 10), Names(f"{names.prefix}2")]
    for other in others:
        install(client, other, replicas=0)
        Index(client, other).put([entry(0)])
    try:
        Index(client, names).put([entry(0)])
        assert expire(client, names, "2024-01") == [f"{names.template}-2023-11"]
        assert [len(client.indices.get_alias(index=f"{other.template}-*")) for other in others] == [1, 1]
    finally:
        for other in others:
            client.indices.delete(index=f"{other.template}-*")
            client.indices.delete_index_template(name=other.template)


def test_two_scopes_with_the_same_mail(client: Any, names: Names) -> None:
    for scope in ("", "a", "b"):
        Index(client, names, scope).put([entry(1), entry(2)])
    Index(client, names, "b").put([entry(3)])
    Index(client, names).refresh()
    searches = [Search(client, names, scope) for scope in ("", "a", "b", "c")]
    everything = read("")
    assert [search.count(everything, lambda _: ()) for search in searches] == [2, 2, 3, 0]
    assert [len(search.find(read("mail OR -mail OR id:0"), lambda _: (), 9)) for search in searches] == [2, 2, 3, 0]
    assert Index(client, names, "a").held([entry(3)[0].id]) == set()


def test_many_write_the_first_mail_of_a_month_at_once(client: Any, names: Names) -> None:
    rows = [entry(n) for n in range(0, 300, 10)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Index(client, names).put(rows), range(8)))
    assert total(client, names) == len(rows)


# ------------------------------------------------------------------------------------------------ failures, mail by mail
def test_a_quarter_of_the_items_fails_and_all_arrive(client: Any, names: Names) -> None:
    dice = Random(1)
    kinds = [
        (429, "rejected_execution_exception"),
        (503, "unavailable_shards_exception"),
        (403, "cluster_block_exception"),
    ]
    spoiled = Spoiled(client, lambda _: refused(*dice.choice(kinds)) if dice.random() < 0.25 else None)
    waits: list[int] = []
    Index(spoiled, names, pause=waits.append).put([entry(n) for n in range(500)])
    assert total(client, names) == 500
    assert spoiled.seen < 800, "only what failed is sent again"
    assert waits == list(range(1, len(waits) + 1))


def test_what_stays_busy_is_transient_and_the_rest_is_in(client: Any, names: Names) -> None:
    attempts: list[int] = []
    spoiled = Spoiled(
        client,
        lambda number: refused(429, "rejected_execution_exception") if number % 10 == 9 or number >= 20 else None,
    )
    index = Index(spoiled, names, pause=attempts.append)
    rows = [entry(n) for n in range(20)]
    with pytest.raises(Transient, match="2 of 2 mails"):
        index.put(rows)
    assert len(attempts) == ATTEMPTS - 1
    assert total(client, names) == 18
    Index(client, names, pause=never).put(rows)
    assert total(client, names) == 20


def test_a_field_that_can_not_be_indexed_is_left_out_and_told(client: Any, names: Names) -> None:
    """An index whose mapping was made by somebody else stands for anything that one mail can do to it."""
    target = names.index(entry(0)[0].id)
    mapping = {"mappings": {"properties": {"names": {"type": "long"}, "old": {"type": "keyword"}}}}
    client.indices.create(index=target, body=mapping)
    told: list[tuple[MessageId, tuple[str, ...], str]] = []
    index = Index(
        client, names, report=lambda message, fields, why: told.append((message, tuple(fields), why)), pause=never
    )
    bad = entry(1, names=f"{SECRET}.pdf")
    worse = entry(2, names="a.pdf")
    worse = (worse[0], worse[1]._replace(old=SECRET * 5000), ())
    index.put([entry(0, names="1"), bad, worse, entry(3, names="2")])
    assert total(client, names, "") == 4
    source = client.get(index=target, id=key("", bad[0].id))["_source"]
    assert source["left_out"] == ["names"]
    assert "names" not in source
    assert [fields for message, fields, _ in told if message == worse[0].id] in (
        [("names",), ("names", "old")],
        [("old",), ("names", "old")],
    )
    assert not any(SECRET in why for _, _, why in told)


def test_an_index_that_takes_no_mail_at_all_is_told(client: Any, names: Names) -> None:
    target = names.index(entry(0)[0].id)
    client.indices.create(index=target, body={"mappings": {"properties": {"id": {"type": "ip"}}}})
    with pytest.raises(UserError, match=r"takes no mail into .*check the index's mapping"):
        Index(client, names, pause=never).put([entry(0)])
    client.indices.close(index=target)
    with pytest.raises(UserError, match=f"does not take mail into {target}: index_closed"):
        Index(client, names, pause=never).put([entry(0)])


def test_requests_are_bounded_and_halved_where_the_cluster_takes_less(
    client: Any, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "CHUNK_BYTES", 20_000)
    spoiled = Spoiled(client, lambda _: None, limit=9_000)
    told: list[MessageId] = []
    rows = [entry(n, f"mail word{n} " + "filler " * 100) for n in range(60)] + [entry(60, "mail " + "filler " * 3000)]
    Index(spoiled, names, report=lambda message, *_: told.append(message), pause=never).put(rows)
    assert max(spoiled.sizes[:1]) <= 20_000
    assert total(client, names, "id:60@example.org") == 1
    assert total(client, names) == 60
    assert told == [entry(60)[0].id]


def test_a_huge_text_is_cut_and_its_beginning_found(client: Any, names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 100_000)
    row, words, _ = entry(1, "mail beginning " + "日本\u0001" * 200_000 + " end")
    made = document("", row, words)
    assert made["left_out"] == ["new"]
    assert made["subject"] == "subject"
    Index(client, names, pause=never).put([(row, words, ())])
    assert total(client, names, "beginning") == 1
    assert total(client, names, "subject:subject") == 1


def test_no_text_of_a_mail_is_logged(client: Any, names: Names, caplog: pytest.LogCaptureFixture) -> None:
    target = names.index(entry(0)[0].id)
    client.indices.create(index=target, body={"mappings": {"properties": {"names": {"type": "long"}}}})
    with caplog.at_level(logging.DEBUG):
        Index(client, names).put([entry(0, SECRET, names=f"{SECRET}.pdf"), entry(1, SECRET)])
        assert total(client, names, f"subject:{SECRET} OR id:0@example.org OR id:1@example.org") == 2
        with pytest.raises(UserError):
            Index(client, Names("absent")).put([entry(0, SECRET)])
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "new", ["x" * 100_000, "é" * 40_000, "漢" * 40_000, "a\u0301" * 50_000, "\u0001" * 1000, "𐐀" * 20_000]
)
def test_no_text_of_a_mail_is_refused(client: Any, names: Names, new: str) -> None:
    row, words, _ = entry(1, f"mail {new}")
    odd = row._replace(message_id=new, list_id=new, sender=new, marks=new, problems=new, date=-(10**17), size=10**12)
    Index(client, names, report=lambda *_: pytest.fail("left out"), pause=never).put([(odd, words, ())])
    assert total(client, names, "before:1970") == total(client, names) == 1


# ------------------------------------------------------------------------------------------------ the whole cluster
def test_a_cluster_that_is_away_is_transient_and_a_replay_completes(
    client: Any, names: Names, opensearch_url: str
) -> None:
    parts = urlsplit(opensearch_url)
    with Proxy(parts.hostname or "", parts.port or 0) as proxy:
        away = connect(f"http://127.0.0.1:{proxy.port}", timeout=2.0)
        index = Index(away, names, pause=at_once)
        batches = [[entry(n) for n in range(start, start + 20)] for start in range(0, 200, 20)]
        failed = 0
        for number, batch in enumerate(batches):
            spoil = (
                proxy.forward,
                proxy.refuse,
                lambda: proxy.cut(3000),
                lambda: proxy.cut(50, answers=True),
                lambda: proxy.delay(9.0),
            )
            spoil[number % 5]()
            try:
                index.put(batch)
            except Transient as error:
                failed += 1
                assert "does not answer" in str(error)  # noqa: PT017
                proxy.forward()
                index.put(batch)
        assert failed >= 6
        assert total(client, names) == 200
        proxy.refuse()
        with pytest.raises(Transient, match="does not answer"):
            Search(away, names).count(read("mail"), lambda _: ())
        away.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, UserError),
        (403, UserError),
        (429, Transient),
        (500, Transient),
        (502, Transient),
        (503, Transient),
        (504, Transient),
    ],
)
def test_what_a_cluster_answers(status: int, error: type[Exception]) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            """Not to the terminal."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client, names = connect(f"http://127.0.0.1:{server.server_port}"), Names()
        index = Index(client, names, pause=at_once)
        index.seen.add(names.index(entry(1)[0].id))
        for call in (
            lambda: index.put([entry(1)]), lambda: Search(client, names).count(read("a"), lambda _: ()), lambda: check(client, names),
            lambda: install(client, names), lambda: index.held([entry(1)[0].id]), index.refresh,
        ):  # fmt: skip
            with pytest.raises(UserError) as caught:
                call()
            assert caught.type is error
            assert str(status) in str(caught.value)
        client.close()
        server.shutdown()


def test_a_cluster_that_is_held_and_killed_in_the_middle_of_a_run(
    own_server: Callable[[str], Any], prefix: str
) -> None:
    server, names = own_server("opensearch"), Names(prefix)
    client = connect(server.url, timeout=20.0)
    install(client, names, replicas=0)
    index, impatient = Index(client, names), Index(connect(server.url, timeout=1.0), names, pause=at_once)
    for index_ in (index, impatient):
        index_.put([entry(n) for n in range(40)])
    with server.held(), pytest.raises(Transient, match="does not answer"):
        impatient.put([entry(n) for n in range(40, 80)])
    index.put([entry(n) for n in range(40, 80)])
    server.kill()
    with pytest.raises(Transient, match="does not answer"):
        index.put([entry(n) for n in range(80, 120)])
    server.start()
    index.put([entry(n) for n in range(40, 120)])
    assert total(client, names) == 120, "what was acknowledged before it was killed is there, too"
    impatient.client.close()
    client.close()


def test_a_cluster_that_makes_no_index_for_now(own_server: Callable[[str], Any], prefix: str) -> None:
    """As one whose disks are full does, and one that was told to make none by itself where somebody deletes an index."""
    server, names = own_server("opensearch"), Names(prefix)
    client = connect(server.url)
    install(client, names, replicas=0)

    def setting(name: str, value: object) -> None:
        client.cluster.put_settings(body={"persistent": {name: value}})

    index = Index(client, names, pause=at_once)
    setting("cluster.blocks.create_index", True)
    with pytest.raises(Transient, match=f"index {names.template}-.*busy or away .*index_create_block"):
        index.put([entry(1)])
    setting("cluster.blocks.create_index", None)
    index.put([entry(1)])
    setting("action.auto_create_index", "false")
    client.indices.delete(index=f"{names.template}-*")
    index.put([entry(1), entry(2)])
    assert total(client, names) == 2
    client.close()


# ------------------------------------------------------------------------------------------------ template and generations
def test_without_a_template_nothing_is_written_or_found(client: Any, prefix: str) -> None:
    names = Names(prefix)
    with pytest.raises(UserError, match=r"no template .*migrate"):
        Index(client, names).put([entry(1)])
    with pytest.raises(UserError, match="no template"):
        Search(client, names).find(read("mail"), lambda _: (), 5)
    assert client.indices.get_alias(index=f"{prefix}*") == {}


def test_before_the_first_mail_nothing_is_found(client: Any, names: Names) -> None:
    search = Search(client, names)
    assert search.find(read("mail"), lambda _: (), 5) == search.find(read(""), lambda _: (), 5) == []
    assert search.count(read("mail"), lambda _: ()) == 0


def test_an_alias_that_is_gone_is_told_and_given_back(client: Any, names: Names) -> None:
    Index(client, names).put([entry(1), entry(40)])
    client.indices.delete_alias(index=names.index(entry(1)[0].id), name=names.alias)
    assert total(client, names) == 1, "as an index that was restored without it: nobody can tell"
    client.indices.delete_alias(index=f"{names.template}-*", name=names.alias)
    with pytest.raises(UserError, match=f"no alias {names.alias}, .*mailloom migrate"):
        total(client, names)
    assert install(client, names, replicas=0)
    assert total(client, names) == 2
    assert not install(client, names, replicas=0)


def test_templates_of_other_versions(client: Any, names: Names) -> None:
    install(client, names, replicas=0)
    check(client, names)
    template = client.indices.get_index_template(name=names.template)["index_templates"][0]["index_template"]
    client.indices.put_index_template(name=names.template, body={**template, "version": LAYOUT + 1})
    with pytest.raises(UserError, match=f"version {LAYOUT + 1}.* use a newer mailloom"):
        install(client, names)
    check(client, names)  # its documents fit a newer one: this version goes on while the next is brought out
    Index(client, names).put([entry(1)])
    client.indices.put_index_template(name=names.template, body={**template, "version": LAYOUT - 1})
    with pytest.raises(UserError, match="migrate"):
        Index(client, names).put([entry(1)])
    install(client, names, replicas=0)
    Index(client, names).put([entry(1)])


def test_a_template_is_put_again_only_for_other_settings(client: Any, names: Names) -> None:
    assert not install(client, names, replicas=0)
    assert install(client, names, replicas=0, shards=3)
    Index(client, names).put([entry(1)])
    (index,) = client.indices.get_settings(index=f"{names.template}-*").values()
    assert index["settings"]["index"]["number_of_shards"] == "3"
    second = Names(names.prefix, 2)
    assert install(client, second, replicas=0, read=False)
    switch(client, second)
    assert install(client, names, replicas=0), "what search reads is not changed by it"
    Index(client, names).put([entry(40)])
    Index(client, second).put([entry(40)])
    Index(client, second).refresh()
    assert total(client, second) == 1


def test_a_second_generation_is_read_once_it_is_switched_to(client: Any, names: Names) -> None:
    Index(client, names).put([entry(n) for n in range(5)])
    second = Names(names.prefix, 2)
    install(client, second, replicas=0, shards=2, read=False)
    Index(client, second).put([entry(n) for n in range(0, 60, 10)])
    Index(client, second).refresh()
    assert total(client, names) == 5
    for _ in range(2):
        switch(client, second)
        assert total(client, second) == 6
    Index(client, second).put([entry(100)])
    Index(client, names).put([entry(200)])  # a worker that was not told yet
    Index(client, second).refresh()
    assert total(client, names) == 7
    switch(client, names)
    assert total(client, names) == 6


def test_ranks_compare_across_months_of_any_size(client: Any, names: Names) -> None:
    """A word that a small month has twice is not rarer than one that a large month has twice."""
    rows = [entry(n % 25, f"filler text number{n}") for n in range(25)] + [
        entry(26, "zulu zulu filler text"),
        entry(100, "zulu filler text here"),
    ]
    Index(client, names).put(rows)
    Index(client, names).refresh()
    found = Search(client, names).find(read("zulu"), lambda _: (), 5)
    assert [one.id for one in found] == [entry(26)[0].id, entry(100)[0].id]


def test_a_column_ranks_by_its_weight(client: Any, names: Names) -> None:
    rows = [entry(n)[0] for n in range(6)]
    said = [Words(*("yankee" if at == n else "other" for at in range(6))) for n in range(6)]
    Index(client, names).put([(row, words, ()) for row, words in zip(rows, said, strict=True)])
    Index(client, names).refresh()
    for text in ("yankee", '"yankee"', "yank*"):
        order = [one.id for one in Search(client, names).find(read(text), lambda _: (), 9)]
        columns = [Words._fields[rows.index(next(r for r in rows if r.id == one))] for one in order]
        assert columns == ["subject", "sender", "new", "names", "recipients", "old"]


def test_more_answers_than_a_page(client: Any, names: Names) -> None:
    rows = [entry(n % 3, when=START + n) for n in range(2500)]
    rows = [
        (
            row._replace(
                id=MessageId((START + n).to_bytes(6, "big") + n.to_bytes(10, "big")), twin=(n // 2).to_bytes(32, "big")
            ),
            w,
            p,
        )
        for n, (row, w, p) in enumerate(rows)
    ]
    Index(client, names).put(rows)
    Index(client, names).refresh()
    for text in ("mail", ""):
        found = Search(client, names).find(read(text), lambda _: (), 5000)
        assert len(found) == 1250
        assert {one.twins for one in found} == {1}
    assert len(Search(client, names).find(read("mail"), lambda _: (), 1100)) == 1100
    everybody = [row.id for row, _, _ in rows]
    assert Search(client, names).count(read("thread:x"), lambda _: everybody) == 2500


# ------------------------------------------------------------------------------------------------ queries
@pytest.mark.parametrize(
    "text",
    [f"list:{'a' * 9_000}", '"' + " ".join(f"w{n}" for n in range(1_200)) + '"*', "\u6f22" * 9_000 + "*"],
    ids=["an automaton", "a phrase", "a text without blanks"],
)
def test_a_query_that_is_too_much_is_told(client: Any, names: Names, text: str) -> None:
    Index(client, names).put([entry(1)])
    with pytest.raises(QueryError, match="fewer or shorter words"):
        Search(client, names).find(read(text), lambda _: (), 5)


def test_a_query_that_names_more_than_a_request_takes_is_told() -> None:
    """The managed service takes 10 MiB on small nodes."""
    from opensearchpy.exceptions import TransportError

    class Small:
        def search(self, **_: object) -> dict[str, Any]:
            raise TransportError(413, "", "Request size exceeded 10485760 bytes")

    with pytest.raises(QueryError, match="more than OpenSearch takes"):
        Search(Small(), Names()).count(read("mail"), lambda _: ())
