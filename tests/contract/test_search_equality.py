"""The same mail in the embedded index and in OpenSearch gives the same answers, but for the differences that docs/opensearch.md names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.flow.transform import seal, transform
from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Delivery, Words
from mailloom.query import read
from mailloom.stores.opensearch.client import connect as connect_opensearch
from mailloom.stores.opensearch.index import Index
from mailloom.stores.opensearch.layout import Names, install
from mailloom.stores.opensearch.search import Search as OpenSearchSearch
from mailloom.stores.sqlite import SqliteRecords, SqliteThreads, connect
from mailloom.stores.sqlite.search import Search as SqliteSearch
from mailloom.synth import generate, shape_of
from mailloom.thread.weave import weave

pytestmark = pytest.mark.servers
MAILS = 300
# What OpenSearch folds to plain letters and the embedded index does not.
FOLDED = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i", "ð": "d", "þ": "th"})


class Both(NamedTuple):
    """One archive's mail in both, the messages in the order of ids, and the words that occur in them."""

    embedded: Any
    opensearch: Any
    ids: list[MessageId]
    words: list[str]
    plain: list[str]
    begun: list[str]


@pytest.fixture(scope="module")
def both(server: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    connection = connect(tmp_path_factory.mktemp("embedded") / "archive.sqlite", write=True, create=True)
    records, threads = SqliteRecords(connection, lambda: 0), SqliteThreads(connection, lambda: 0)
    sealed = []
    for number, mail in enumerate(generate(MAILS, 11, shape_of("per_day=3,attachments=0.3,attached=0.1,broken=0.1"))):
        folder, labels = ("Archive/2024", "Archive", "Inbox")[number % 3], ("todo", "work")[: number % 3]
        where = Origin("/mail/box", f"{number}.eml", 0, len(mail.raw), 1, 1, folder=folder, labels=labels)
        sealed.append(seal(transform(mail.raw, where)))
    rows = list({s.row.id: (s.row, s.words, s.people) for s in sealed if s.row and s.words}.values())
    with threads.session():
        records.put(rows)
        weave(threads, [s.stated for s in sealed if s.stated is not None])
        arrived = [(s.origin, s.row.id) for s in sealed if s.row is not None]
        records.deliver([Delivery(origin, 0, 0, "stored", one, b"", b"{}", "", "1") for origin, one in arrived])
    embedded = SqliteSearch(connection)

    client, names = connect_opensearch(server("opensearch")), Names(f"equality{id(connection)}")
    install(client, names, replicas=0, shards=2)
    index = Index(client, names, report=lambda *_: pytest.fail("a field was left out"))
    index.put(rows)
    index.refresh()

    def located(name: str) -> list[MessageId]:
        plan = embedded.plan(read(f'in:"{name}"'), nobody)
        sql = f"select m.id from messages m where {' and '.join(plan.where)}"
        return [MessageId(one) for (one,) in connection.execute(sql, plan.values)]

    said = {token for _, words, _ in rows for text in words for _, _, token in embedded.tokens(text)}
    ids = sorted({row.id for row, _, _ in rows})
    yield Both(embedded, OpenSearchSearch(client, names, located=located), ids, sorted(said), *plain(sorted(said)))
    client.indices.delete(index=f"{names.template}-*")
    client.indices.delete_index_template(name=names.template)
    client.close()
    connection.close()


def nobody(_: str) -> Sequence[MessageId]:
    return ()


Answers = tuple[dict[MessageId, int], int]


def answers(both: Both, search: Any, text: str) -> Answers:
    def named(name: str) -> Sequence[MessageId]:
        return both.ids[: int(name)]

    answer = search.find(read(text), named, 2 * MAILS)
    found = answer[0] if isinstance(answer, tuple) else answer
    assert len({one.id for one in found}) == len(found)
    return {one.id: one.twins for one in found}, search.count(read(text), named)


def seen(word: str) -> list[str]:
    """What OpenSearch makes of a word of the embedded index."""
    return re.findall(
        r"[\u0e00-\u0fff\u1000-\u109f\u3000-\u9fff]|[^\u0e00-\u109f\u3000-\u9fff]+", word.translate(FOLDED)
    )


def plain(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words, and beginnings of words, by which both indices find the same: none of the differences is touched by them."""
    more = {piece for word in words for piece in seen(word) if seen(word) != [word]}
    alike = [word for word in words if seen(word) == [word] and word not in more]
    touched = {piece[:length] for piece in more for length in range(1, 7)}
    return alike, sorted({word[:length] for word in alike for length in range(1, 7)} - touched)


QUERIES = (
    "", "invoice", "the", "a", "re", "meeting OR invoice", "invoice -the", "-the", "-re -the", "the -re", "naive", "Naïve", "naïve*",
    '"on the"', '"the on"', '"in the"*', "th*", "t*", "millrac*", "subject:2024", '"4 mar"*', "example.org", '"example org"', "millrace.example.org",
    "from:giulia", "from:example.org", "from:ann", "to:li", "to:example.net", "cc:wang", "cc:w*", "subject:re", "-subject:re", "subject:invoice",
    'subject:"re the"', "subject:r*", "file:png", "file:log", "file:resume", "file:e*", "in:Archive", "in:2024",
    "in:archive/2024", "in:inbox the", "-in:inbox", "in:todo", "in:work", "in:box", "in:nowhere", "date:2024-03", "date:2024-04..2024-05",
    "after:2024-05", "before:2024-03-10", "-date:2024-03", "date:2024-03-10 the", "has:attachment", "-has:attachment", "has:nested", "has:problem",
    "problem:charset", "list:lists", "list:announce", "-list:example", "list:COLD-chain", "thread:10", "-thread:290", "thread:0", "thread:299 the",
    "id:018e", "id:018f", "id:zz", "(invoice OR meeting) (the OR re) -has:attachment", "has:attachment OR has:nested", "the OR has:nested",
    "NOT (the OR re)", "встреча", "ВСТРЕЧА", "встр*", "коллеги OR the", "الفاتورة", "hej OR bonjour OR hola OR ciao",
    "https", "https://millrace.example.org", "mailto:", "4:30", "don't", "it's", "o'clock", "e-mail", "wrote:", '"00 00"', "the & re",
)  # fmt: skip


@pytest.mark.parametrize("text", QUERIES)
def test_both_answer_alike(both: Both, text: str) -> None:
    assert answers(both, both.opensearch, text) == answers(both, both.embedded, text)


def test_the_queries_tell_something(both: Both) -> None:
    counts = [answers(both, both.embedded, text)[1] for text in QUERIES]
    assert sum(0 < count < len(both.ids) for count in counts) > 60


NUMBERS = st.integers(0, 1 << 20)
LEAVES = st.one_of(
    st.sampled_from(["{w}", "{w}", "{w}*", "{p}*", '"{w} {v}"', "from:{w}", "to:{w}", "subject:{w}", "file:{w}", "subject:{p}*", "id:{i}"]),
    st.sampled_from([text for text in QUERIES if ":" in text and " " not in text and not text.startswith(("http", "-"))]),
)  # fmt: skip
TREES = st.recursive(
    st.tuples(LEAVES, NUMBERS, NUMBERS),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("all"), st.lists(inner, min_size=2, max_size=3)),
        st.tuples(st.just("any"), st.lists(inner, min_size=2, max_size=4)),
    ),
    max_leaves=6,
)


def said(tree: Any, words: Sequence[str], begun: Sequence[str], ids: Sequence[MessageId]) -> str:
    match tree:
        case ("not", inner):
            return f"NOT {said(inner, words, begun, ids)}"
        case ("all" | "any", list() as parts):
            joint = " " if tree[0] == "all" else " OR "
            return f"({joint.join(said(part, words, begun, ids) for part in parts)})"
    text, one, two = tree
    some = {"w": words[one % len(words)], "v": words[two % len(words)], "p": begun[one % len(begun)]}
    return str(text.format(**some, i=ids[one % len(ids)].hex()[: 1 + two % 32]))


@given(st.lists(TREES, min_size=1, max_size=3))
def test_both_answer_any_query_alike(both: Both, trees: list[Any]) -> None:
    text = " ".join(said(tree, both.plain, both.begun, both.ids) for tree in trees)
    assert answers(both, both.opensearch, text) == answers(both, both.embedded, text), text


def test_each_word_is_found_in_both(both: Both) -> None:
    """Every eighth word of all mails, in every script; what the embedded index finds, OpenSearch finds."""
    some = both.words[::8]
    for at in range(0, len(some), 160):
        text = " OR ".join(f'"{word}"' for word in some[at : at + 160])
        embedded, opensearch = answers(both, both.embedded, text), answers(both, both.opensearch, text)
        assert embedded[0].keys() <= opensearch[0].keys()


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("会议在东京举行", "东京"), ("2024年3月4日", "2024"), ("日本語のメール", "メール"), ("การประชุม", "ประชุม"), ("Ødegård", "odegard"), ("Straße", "strasse"), ("był", "byl"),
        ("ﬁne", "fine"), ("ＡＢＣ", "abc"), ("m²", "m2"), ("हिन्दी", "हिन्दी"), ("ꭰꭱ", "ᎠᎡ"),
    ],
)  # fmt: skip
def test_what_only_opensearch_finds(
    server: Callable[[str], str], prefix: str, both: Both, text: str, query: str
) -> None:
    client, names = connect_opensearch(server("opensearch")), Names(prefix)
    install(client, names, replicas=0)
    mail = f"From: a@example.org\nContent-Type: text/plain; charset=utf-8\n\n{text}\n".encode()
    s = seal(transform(mail, Origin("/m", "1", 0, len(mail), 1, 1)))
    index = Index(client, names)
    assert s.row is not None
    index.put([(s.row, s.words or Words(*[""] * 6), ())])
    index.refresh()
    assert OpenSearchSearch(client, names).count(read(query), nobody) == 1
    client.indices.delete(index=f"{names.template}-*")
    client.indices.delete_index_template(name=names.template)
    client.close()
