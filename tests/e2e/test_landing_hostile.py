"""Messages and objects that somebody made to do harm: each is one failure, and what came beside it lands."""

from __future__ import annotations

import copy
import json
import time

import orjson
import pytest
from landing import Landing

from mailloom.config import load
from mailloom.mail.model import MessageId, Origin
from mailloom.ports import Delivery, Parcel, Poison, Transient, UserError
from mailloom.run import dead
from mailloom.run.pointers import LETTER_BYTES, dead_letter, pointer_body, read_event, read_pointer
from mailloom.run.validate import Validator, follow, set_aside
from mailloom.stores.postgres.connection import Connections
from mailloom.stores.postgres.messages import PostgresCopies
from mailloom.stores.postgres.migrate import migrate
from mailloom.stores.postgres.scoped import Scoped

pytestmark = pytest.mark.servers

MAIL = b"From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Tides\r\nMessage-ID: <t@example.org>\r\n\r\nAll ready.\r\n"
ODD = [None, 0, -1, 1.5, 10**18, 1e308, True, "", [], {}, [1], "x", "%", "%ff", "%00", "a" * 5000, "b" * 300, "../x"]
ODD += ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026", "\uffff", "1e999", "nan"]


def record(**object_) -> dict:
    return {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-09-03T00:14:00.000Z",
        "s3": {
            "bucket": {"name": object_.pop("bucket", "mail")},
            "object": {"key": "raw/1.eml", "size": 3, "eTag": "e", "versionId": "v", **object_},
        },
    }


def event(**object_) -> str:
    return json.dumps({"Records": [record(**object_)]})


@pytest.fixture
def landing(aws_url, prefix, tmp_path) -> Landing:
    return Landing(aws_url, prefix, tmp_path / "landing").make(receives=2)


def test_whatever_stands_in_an_event_or_a_pointer_comes_no_further_than_a_store_takes_it():
    def check(pointer):
        assert 0 < len(pointer.key.encode()) <= 1024 >= len(pointer.version)
        assert pointer.object
        assert 0 <= pointer.size < 1 << 54
        assert 0 <= pointer.at * 1_000_000 < 1 << 63
        assert read_pointer(pointer_body(pointer)) == pointer

    for path in (("eventName",), ("eventTime",), ("s3",), ("s3", "bucket"), ("s3", "bucket", "name"), ("s3", "object")):
        for odd in ODD:
            said = copy.deepcopy(record())
            place = said
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = odd
            for pointer in read_event(json.dumps({"Records": [said]})).pointers:
                check(pointer)
    for name in ("key", "size", "eTag", "versionId"):
        for odd in ODD:
            for pointer in read_event(event(**{name: odd})).pointers:
                check(pointer)
    (good,) = read_event(event()).pointers
    for name in good._fields:
        for odd in ODD:
            try:
                check(read_pointer(orjson.dumps({"v": 1, **good._asdict(), name: odd}).decode()))
            except Poison as error:
                assert str(error).startswith("no pointer: ")  # noqa: PT017  some are good


def test_an_event_of_a_bucket_that_is_not_there_holds_no_other_up_and_can_be_looked_at(landing):
    landing.put("raw/1.eml", MAIL)
    events = landing.queue("events")
    events.send([Parcel(event(bucket="no-such-bucket-here")), Parcel(event(key=7)), Parcel("x" * 250_000)])
    deadline = time.monotonic() + 60
    while landing.queue("dead").depth()[0] < 3 and time.monotonic() < deadline:
        landing.validate()
        back = landing.queue("events", 0).receive(10, 0)
        events.extend({message.receipt: 0 for message in back})
    assert landing.queue("work").depth() == (1, 0)
    with dead.looking(landing.queue("dead", 60), landing.ledger) as found:
        causes = sorted(letter.cause for letter in found)
        assert causes[0].startswith("UserError at ")
        assert causes[1:] == [
            "no S3 event: not JSON",
            "no S3 event: record 0: TypeError: a name or the time is no text",
        ]
        (gone,) = [letter for letter in found if letter.objects]
        assert "no-such-bucket-here does not exist" in gone.failure.reason
        assert dead.drop([gone], landing.queue("dead", 60), landing.ledger) == 1
    assert landing.ledger.books() == {"pending": 1, "rejected": 1}


def test_where_mail_lands_must_be_there(landing):
    validator = Validator(
        *(landing.buckets(), landing.ledger, landing.ledger, landing.queue("work")), bucket="no-such-bucket-here"
    )
    landing.queue("events").send([Parcel(event(bucket="no-such-bucket-here"))])
    with pytest.raises(UserError, match="no-such-bucket-here does not exist"):
        follow(validator, landing.queue("events", 60), lambda: False, wait=1, drain=True)


def test_an_event_among_the_dead_letters_is_put_to_work(landing):
    landing.put("raw/1.eml", MAIL)
    (message,) = landing.queue("events", 60).receive(10, 2)
    landing.queue("events").delete([message.receipt])
    landing.queue("dead").send([Parcel(message.body)])
    queue = landing.queue("dead", 60)
    with dead.looking(queue, landing.ledger) as found:
        assert dead.grouped(found)[0].cause == dead.UNTAKEN
        assert dead.retry(found, queue, landing.ledger, landing.queue("work"), landing.queue("large")) == 1
    assert landing.ledger.books() == {"pending": 1}
    assert queue.depth() == (0, 0)
    with landing.shed() as shed:
        assert landing.worker(shed).run().states == {"stored": 1}
    assert landing.ledger.books() == {"stored": 1}


def test_a_validator_waits_for_a_store_that_is_away(landing):
    landing.put("raw/1.eml", MAIL)
    validator, calls = landing.validator(), []
    received = landing.ledger.received

    class Away:
        def received(self, pointers):
            calls.append(pointers)
            if len(calls) < 4:
                raise Transient("it is restarted")
            return received(pointers)

    validator.receipts = Away()
    until = time.monotonic() + 60
    done = follow(
        *(validator, landing.queue("events", 10), lambda: len(calls) > 3 or time.monotonic() > until),
        wait=1,
    )
    assert (done.queued, len(calls)) == (1, 4)


def test_what_is_refused_is_set_aside_under_a_key_that_s3_takes(landing):
    assert set_aside("quarantine/", "raw/a b") == "quarantine/raw/a b"
    keys = ["raw/" + "k" * 1020, "raw/" + "k" * 1019 + "l", "raw/" + "ü" * 510]
    aside = [set_aside("quarantine/", key) for key in keys]
    assert len(set(aside)) == 3
    assert all(1000 < len(key.encode()) <= 1024 for key in aside)
    landing.put(keys[0], b"")
    assert landing.validate().rejected == 1
    assert [stat.key for stat in landing.blobs().list("quarantine/")] == aside[:1]


def test_a_dead_letter_fits_its_queue_with_its_cause():
    letter = dead_letter("ü" * 200_000, {"traceparent": "t" * 9000, "tracestate": "s", "more": "m"}, "why")
    assert letter.body == "ü" * (LETTER_BYTES // 2)
    assert letter.attributes == {"tracestate": "s", "cause": "why"}


def test_a_quarantine_that_would_swallow_all_mail_is_an_error(tmp_path):
    file = tmp_path / "mailloom.toml"
    for quarantine, raw in (("", "raw/"), ("raw/", "raw/"), ("r", "raw/")):
        file.write_text(f"[profile.aws.aws]\nraw = {raw!r}\nquarantine = {quarantine!r}\n")
        with pytest.raises(UserError, match=r"aws.quarantine is .*mailloom.toml:3"):
            load("aws", file, {})


def test_the_same_bytes_as_several_versions_of_a_key_are_stored_once(postgres_url):
    connections = Connections(postgres_url, size=1)
    list(migrate(connections))
    copies = PostgresCopies(Scoped(connections, "", lambda: 7))
    origin = Origin("s3://mail", "raw/1.eml", 0, 9, 9, 0)
    message = MessageId(b"m" * 16)
    first, second = (Delivery(origin, 0, 1, "stored", message, b"h" * 32, b"", "", "2", object=o) for o in ("v1", "v2"))
    for _ in range(2):
        assert [d.state for d in copies.keep([first])] == ["stored"]
        assert [d.state for d in copies.keep([second, first])] == ["duplicate", "stored"]
    connections.close()
