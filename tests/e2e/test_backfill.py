"""Mail that was in the bucket before: listed in parts, and each part brought to the workers, whatever is killed or done twice."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from landing import Landing
from test_landing_lambda import Clock, as_sqs, mail

from mailloom.ports import Pointer, Transient, UserError
from mailloom.run import aws_lambda, backfill
from mailloom.run.aws_lambda import Parts
from mailloom.run.backfill import read_part
from mailloom.run.pointers import pointer_body

pytestmark = pytest.mark.servers


@pytest.fixture
def landing(aws_url, prefix, tmp_path) -> Landing:
    return Landing(aws_url, prefix, tmp_path / "landing").make(receives=100)


class Trouble:
    """A queue whose sending fails from some call on; a bucket in which some keys can't be read."""

    def __init__(self, landing: Landing) -> None:
        self.landing, self.sends, self.unreadable = landing, None, set()
        self.inner = landing.queue("work")

    def send(self, parcels):
        if self.sends is not None:
            self.sends -= 1
            if self.sends < 0:
                raise Transient("SQS is away")
        self.inner.send(parcels)

    def buckets(self, name):
        blobs, unreadable = self.landing.blobs(name), self.unreadable
        real = blobs.beginning

        def beginning(key, length, version=""):
            if key in unreadable:
                raise Transient("S3 says slow down")
            return real(key, length, version)

        blobs.beginning = beginning
        return blobs


@pytest.fixture
def trouble(landing):
    made = Trouble(landing)
    with landing.shed() as shed:
        aws_lambda.provide(
            lambda: Parts(
                lambda: shed,
                made.buckets,
                landing.ledger,
                landing.ledger,
                landing.ledger,
                made,
                large=landing.queue("large"),
                dead=landing.queue("dead"),
                keep=True,
                bucket=landing.name,
            )
        )
        yield made


def parts_of(landing: Landing, run: str) -> dict[str, list[str]]:
    """Part -> keys of mail, as stored."""
    blobs = landing.blobs()
    return {stat.key: [one.key for one in read_part(blobs, stat.key)] for stat in blobs.list(f"backfill/{run}/")}


def listed(landing: Landing, run: str, *, batch: int = 4, time: int = 10_000, **more) -> list[dict]:
    """Answers of the handler until it is done, each asked with the one before."""
    answers = [{"bucket": landing.name, "prefix": "old/", "run": run, "batch": batch, **more}]
    while not answers[-1].get("done"):
        answers.append(json.loads(json.dumps(aws_lambda.manifest(answers[-1], Clock(time)))))
    return answers[1:]


def enqueue(landing: Landing, key: str) -> dict:
    return aws_lambda.enqueue({"bucket": landing.name, "Key": key})


def work(landing: Landing) -> None:
    while messages := landing.queue("work").receive(10, 1):
        assert aws_lambda.work(as_sqs(messages)) == {"batchItemFailures": []}
        landing.queue("work").delete([one.receipt for one in messages])


# ------------------------------------------------------------------------------------------------ the manifest
def test_a_prefix_becomes_parts_in_the_order_of_keys(landing, trouble):
    raw = {f"old/date=2024-01-{n:02}/{n}.eml": mail(n) for n in range(1, 11)}
    for key, data in raw.items():
        landing.put(key, data)
    landing.put("other/1.eml", mail(99))
    (answer,) = listed(landing, "first")
    assert answer == {
        "bucket": landing.name,
        "prefix": "old/",
        "run": "first",
        "batch": 4,
        "done": True,
        "after": max(raw),
        "parts": 3,
        "objects": 10,
        "bytes": sum(map(len, raw.values())),
        "manifest": {"bucket": landing.name, "prefix": "backfill/first/"},
    }
    found = parts_of(landing, "first")
    assert [len(keys) for keys in found.values()] == [4, 4, 2]
    assert [key for keys in found.values() for key in keys] == sorted(raw)


def test_it_goes_on_where_its_time_was_over(landing, trouble):
    for n in range(23):
        landing.put(f"old/{n:02}.eml", mail(n))
    whole = listed(landing, "whole")
    pieces = listed(landing, "pieces", time=2)
    assert len(pieces) > 2
    assert pieces[0]["parts"] == 2
    same = ("done", "after", "parts", "objects", "bytes")
    assert [pieces[-1][name] for name in same] == [whole[-1][name] for name in same]
    assert list(parts_of(landing, "pieces").values()) == list(parts_of(landing, "whole").values())


def test_the_same_run_makes_the_same_parts_though_the_bucket_changed(landing, trouble):
    """Killed before it could answer, and asked again from the start: what is in a part stays there, and nothing else is lost."""
    for n in range(10):
        landing.put(f"old/{n}.eml", mail(n))
    aws_lambda.manifest({"bucket": landing.name, "prefix": "old/", "run": "one", "batch": 4}, Clock(2))
    before = parts_of(landing, "one")
    assert len(before) == 2
    landing.put("old/25.eml", mail(25))
    landing.put("old/95.eml", mail(95))
    landing.s3.delete_object(Bucket=landing.name, Key="old/1.eml")
    landing.s3.delete_object(Bucket=landing.name, Key="old/3.eml")
    (answer,) = listed(landing, "one")
    after = parts_of(landing, "one")
    assert {key: after[key] for key in before} == before
    keys = Counter(key for some in after.values() for key in some)
    assert set(keys.values()) == {1}
    assert {f"old/{n}.eml" for n in range(10)} | {"old/95.eml"} == keys.keys()
    assert (answer["parts"], answer["objects"]) == (len(after), len(keys))
    assert listed(landing, "one") == [answer]


def test_what_we_put_there_ourselves_is_not_listed_and_no_mail(landing, trouble):
    landing.put("old/1.eml", mail(1))
    landing.put("quarantine/old/2.eml", mail(2))
    landing.put("backfill/3.eml", mail(3))  # somebody's mail all the same
    listed(landing, "a")
    (answer,) = listed(landing, "b", prefix="")
    assert [key for keys in parts_of(landing, "b").values() for key in keys] == ["backfill/3.eml", "old/1.eml"]
    assert answer["objects"] == 2
    done = landing.validate()  # of all that was put, as this bucket tells of everything
    assert (done.queued, done.rejected, done.ignored) == (2, 0, 3)
    did = aws_lambda.prefix({"bucket": landing.name, "prefix": ""}, Clock(100))
    assert did["received"] == 2


def test_any_key_comes_through(landing, trouble):
    odd = ["old/ä ö+%20.eml", "old/line\u2028end.eml", 'old/"quoted"\\.eml', "old/\U0001f600.eml", "old/" + "x" * 900]
    for n, key in enumerate(odd):
        landing.put(key, mail(n))
    listed(landing, "odd")
    found = parts_of(landing, "odd")
    assert {key for keys in found.values() for key in keys} == set(odd)
    assert sum(enqueue(landing, key)["queued"] for key in found) == len(odd)
    work(landing)
    assert landing.ledger.books() == {"stored": len(odd)}


def test_an_empty_prefix_is_done_at_once(landing, trouble):
    (answer,) = listed(landing, "none")
    assert (answer["done"], answer["parts"], answer["objects"]) == (True, 0, 0)


def test_without_a_name_the_run_is_called_by_the_call(landing, trouble):
    landing.put("old/1.eml", mail(1))
    context = Clock(9)
    context.aws_request_id = "5a1f-77"
    answer = aws_lambda.manifest({"prefix": "old/"}, context)
    assert answer["manifest"] == {"bucket": landing.name, "prefix": "backfill/5a1f-77/"}
    assert answer["batch"] == 1000


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"run": "a/b"}, "no name of a run"),
        ({"run": "../up"}, "no name of a run"),
        ({"batch": -1}, "has to be a whole number from 0 on"),
        ({"batch": 0}, "1 to 10,000 mails"),
        ({"batch": "4"}, "has to be a whole number"),
        ({"parts": 1.0}, "has to be a whole number"),
        ({"prefix": None}, "'prefix' is None, and has to be a text"),
        ({"bucket": 5}, "has to be a text"),
        ({"run": ["r"]}, "has to be a text"),
        ({"batch": 10_001}, "1 to 10,000 mails"),
    ],
)
def test_what_can_not_be_is_refused(landing, trouble, more, told):
    with pytest.raises(UserError, match=told):
        aws_lambda.manifest({"bucket": landing.name, "prefix": "old/", "run": "r", **more}, Clock(9))


# ------------------------------------------------------------------------------------------------ its parts
def test_a_part_becomes_pointers_and_rejects_as_events_do(landing, trouble, monkeypatch):
    monkeypatch.setattr("mailloom.run.pointers.LARGE_BYTES", 4000)
    for n in range(5):
        landing.put(f"old/{n}.eml", mail(n))
    landing.put("old/5.txt", b"a note\n")
    landing.put("old/6.eml", mail(6) + b"x" * 5000)
    landing.put("old/7.eml", mail(7))
    listed(landing, "r", batch=100)
    landing.s3.delete_object(Bucket=landing.name, Key="old/7.eml")
    (key,) = parts_of(landing, "r")
    assert enqueue(landing, key) == {"listed": 8, "finished": 0, "queued": 6, "rejected": 2}
    assert landing.ledger.books() == {"pending": 6, "rejected": 2}
    reasons = landing.ledger.reasons()
    assert reasons["old/5.txt"].startswith("rejected: not mail")
    assert reasons["old/7.eml"] == "rejected: deleted before it was read"
    assert [stat.key for stat in landing.blobs().list("quarantine/")] == ["quarantine/old/5.txt"]
    assert landing.queue("work").depth()[0] == 5
    assert landing.queue("large").depth()[0] == 1


def test_twice_is_once_and_what_is_finished_is_not_sent_again(landing, trouble):
    for n in range(6):
        landing.put(f"old/{n}.eml", mail(n))
    listed(landing, "r", batch=100)
    (key,) = parts_of(landing, "r")
    assert enqueue(landing, key)["queued"] == 6
    assert enqueue(landing, key) == {"listed": 6, "finished": 0, "queued": 6, "rejected": 0}, "nobody worked on it yet"
    work(landing)
    assert landing.ledger.books() == {"stored": 6}
    assert enqueue(landing, key) == {"listed": 6, "finished": 6, "queued": 0, "rejected": 0}
    assert landing.queue("work").depth() == (0, 0)


@pytest.mark.parametrize("sends", range(4))
def test_one_that_is_killed_is_done_by_the_next(landing, trouble, monkeypatch, sends):
    monkeypatch.setattr(backfill, "AT_ONCE", 3)
    for n in range(10):
        landing.put(f"old/{n}.eml", mail(n))
    landing.put("old/4.txt", b"a note\n")
    listed(landing, "r", batch=100)
    (key,) = parts_of(landing, "r")
    trouble.sends = sends
    with pytest.raises(Transient, match="SQS is away"):
        enqueue(landing, key)
    work(landing)
    trouble.sends = None
    did = enqueue(landing, key)
    assert did["listed"] == did["finished"] + did["queued"] + did["rejected"] == 11
    work(landing)
    assert landing.ledger.books() == {"stored": 10, "rejected": 1}
    assert enqueue(landing, key)["finished"] == 11


def test_what_can_not_be_read_now_holds_nobody_up_and_is_told(landing, trouble, monkeypatch):
    monkeypatch.setattr(backfill, "AT_ONCE", 2)
    for n in range(6):
        landing.put(f"old/{n}.eml", mail(n))
    listed(landing, "r", batch=100)
    (key,) = parts_of(landing, "r")
    trouble.unreadable = {"old/1.eml", "old/4.eml"}
    with pytest.raises(Transient, match="2 of 6 objects in backfill/r/part-00000000"):
        enqueue(landing, key)
    work(landing)
    assert landing.ledger.books() == {"stored": 4, "pending": 2}
    trouble.unreadable = set()
    assert enqueue(landing, key) == {"listed": 6, "finished": 4, "queued": 2, "rejected": 0}


def test_a_batch_of_a_distributed_map_is_taken_too(landing, trouble):
    for n in range(6):
        landing.put(f"old/{n}.eml", mail(n))
    listed(landing, "r", batch=4)
    items = [
        {"Etag": '"x"', "Key": key, "LastModified": 1.0, "Size": 9, "StorageClass": "STANDARD"}
        for key in parts_of(landing, "r")
    ]
    event = {"BatchInput": {"bucket": landing.name}, "Items": items}
    assert aws_lambda.enqueue(event) == {"listed": 6, "finished": 0, "queued": 6, "rejected": 0}


def test_what_is_no_part_is_told(landing, trouble):
    landing.put("old/1.eml", mail(1))
    landing.put("backfill/r/part-00000001.jsonl", b"\n")
    landing.put("backfill/r/part-00000002.jsonl", b"\xff\n")
    for key, told in (
        ("backfill/r/part-00000000.jsonl", "there is no part"),
        ("old/1.eml", "is no part of a manifest: no pointer"),
        ("backfill/r/part-00000001.jsonl", "it is empty"),
        ("backfill/r/part-00000002.jsonl", "no part of a manifest"),
    ):
        with pytest.raises(UserError, match=told):
            enqueue(landing, key)
    assert not landing.ledger.books()


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({}, "'Key' is None, and has to be a text"),
        ({"Key": ""}, "'Key' is empty"),
        ({"Key": 5}, "'Key' is 5"),
        ({"BatchInput": {}, "Items": [{}]}, "'Key' is None"),
        ({"BatchInput": "x", "Items": [{"Key": "backfill/r/part-00000000.jsonl"}]}, "the event is 'x', and no object"),
        ([], "and no object"),
        ("x", "and no object"),
    ],
)
def test_an_event_that_can_not_be_is_told(landing, trouble, event, told):
    with pytest.raises(UserError, match=told):
        aws_lambda.enqueue(event)


def test_a_batch_of_no_part_does_nothing(landing, trouble):
    event = {"BatchInput": {"bucket": landing.name}, "Items": []}
    assert aws_lambda.enqueue(event) == {"listed": 0, "finished": 0, "queued": 0, "rejected": 0}


@pytest.mark.parametrize(
    ("event", "told"),
    [
        ({}, "'bucket' is None"),
        ({"bucket": "b"}, "'prefix' is None"),
        ({"Records": [{"messageId": "m-1", "body": "x"}]}, "the message m-1 is not JSON"),
        ({"Records": [{"body": "[]"}]}, "and no object"),
    ],
)
def test_a_prefix_that_can_not_be_is_told(landing, trouble, event, told):
    with pytest.raises(UserError, match=told):
        aws_lambda.prefix(event, Clock(9))


@pytest.mark.parametrize(
    "event",
    [
        {"phase": ["before"]},
        {"phase": {}},
        {"phase": None},
        {"ResourceProperties": None},
        {"ResourceProperties": "x"},
        5,
    ],
)
def test_a_phase_that_can_not_be_is_told(event):
    with pytest.raises(UserError, match=r"no phase|no object"):
        aws_lambda.migrate(event)


def test_whatever_a_part_says_no_mail_is_sent_that_is_not_there(landing, trouble):
    """Parts by somebody else: of what isn't ours, what is gone, what lies about itself, and with rubbish between."""
    landing.put("old/1.eml", mail(1))
    (stat,) = landing.blobs().list("old/")
    real = Pointer(landing.name, stat.key, stat.version, stat.etag, stat.size, stat.modified)
    other = [{"key": "gone.eml"}, {"key": "../../up"}, {"key": "a\0b"}, {"etag": "0" * 32}, {"version": "none"}]
    lines = [pointer_body(real._replace(**change)) for change in [*other, {}, {}]]
    landing.put("backfill/x/part-00000000.jsonl", "\n".join(lines).encode())
    did = enqueue(landing, "backfill/x/part-00000000.jsonl")
    assert (did["listed"], did["queued"], did["rejected"]) == (7, 1, 5)
    foreign = pointer_body(real._replace(bucket=f"{landing.name}-none"))
    landing.put("backfill/x/part-00000001.jsonl", f"{foreign}\n{lines[-1]}\n".encode())
    with pytest.raises(Transient, match="1 of 2 objects"):
        enqueue(landing, "backfill/x/part-00000001.jsonl")
    for number, rubbish in enumerate((b"From: Ann\n\nsecret words\n", b"[" * 100_000, b"\x1f\x8b\x08", b'{"v":1}')):
        key = f"backfill/x/part-0000001{number}.jsonl"
        landing.put(key, lines[-1].encode() + b"\n" + rubbish)
        with pytest.raises(UserError) as refused:
            enqueue(landing, key)
        assert key in str(refused.value)
        assert "secret" not in str(refused.value)
    work(landing)
    assert landing.ledger.books() == {"stored": 1, "rejected": 5, "pending": 1}


def test_a_part_that_is_brought_by_four_at_once_is_brought_once(landing, trouble):
    for n in range(30):
        landing.put(f"old/{n:02}.eml", mail(n))
    listed(landing, "r", batch=100)
    (key,) = parts_of(landing, "r")
    with ThreadPoolExecutor(4) as four:
        answers = list(four.map(lambda _: enqueue(landing, key), range(4)))
    assert all(one["queued"] + one["finished"] == 30 for one in answers)
    work(landing)
    assert landing.ledger.books() == {"stored": 30}


def test_a_part_that_is_too_large_is_not_read(landing, trouble, monkeypatch):
    monkeypatch.setattr(backfill, "PART_BYTES", 1000)
    landing.put("backfill/r/part-00000000.jsonl", b"x" * 1001)
    with pytest.raises(UserError, match="1,001 bytes, 1,000 are allowed"):
        enqueue(landing, "backfill/r/part-00000000.jsonl")
