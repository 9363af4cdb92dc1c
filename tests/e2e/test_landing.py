"""Mail that lands in a bucket: S3's events -> validator -> queue -> worker, on real queues and objects; and each outcome of what is bad."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from threading import Timer

import pytest
from landing import Landing

from mailloom.archive import open_archive
from mailloom.archive.digest import digest
from mailloom.flow.retry import Backoff
from mailloom.ports import Parcel, Transient, UserError
from mailloom.run.ingest import finish, ingest
from mailloom.run.pointers import pointer_body, read_event, read_pointer
from mailloom.run.validate import Event, follow
from mailloom.synth import shape_of, synth
from mailloom.wire import open_for_writing

pytestmark = pytest.mark.servers


def mail(n: int, more: str = "") -> bytes:
    return (
        f"From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Tides {n}\r\nDate: Thu, 03 Oct 2024 10:{n % 60:02}:00 +0000\r\n"
        f"Message-ID: <m{n}@example.org>\r\nMIME-Version: 1.0\r\n\r\nThe tide tables of port {n} are ready.{more}\r\n"
    ).encode()


@pytest.fixture
def landing(aws_url, prefix, tmp_path) -> Landing:
    return Landing(aws_url, prefix, tmp_path / "landing").make()


def said(archive: Path) -> list:
    with open_archive(archive) as opened:
        return [list(table) for table in digest(opened) if table[0] != "copies"]


def work(landing: Landing, trouble=lambda rows: None, **settings):
    with landing.shed(trouble) as shed:
        done = landing.worker(shed, **settings).run()
        finish(shed.embedded)
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """300 synthetic mails, one a file."""
    place = tmp_path_factory.mktemp("mail")
    synth(place, 300, 5, shape_of("size=2KB,attachments=0.05"), "eml")
    return place / "mail"


def test_three_hundred_mails_from_the_bucket_to_the_archive(landing, folder, tmp_path):
    """The same threads as of a plain ingest; the books balance; the bill is what was promised."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) == 300
    for number, path in enumerate(files):
        landing.put(f"raw/source=a b/date=2024-10-03/{number:04} ü.eml", path.read_bytes())
    validator_queue = landing.queue("events", 60)
    validator = landing.validator()
    done = follow(validator, validator_queue, lambda: False, wait=1, drain=True)
    assert (done.queued, done.rejected) == (300, 0)
    assert landing.ledger.books() == {"pending": 300}
    work_queue = landing.queue("work", 30)
    with landing.shed() as shed:
        did = landing.worker(shed, queue=work_queue).run()
        finish(shed.embedded)
    books = landing.ledger.books()
    assert books["stored"] + books["duplicate"] == 300
    assert did.received == 300
    assert sum(did.states.values()) == 300
    with open_for_writing(tmp_path / "plain") as stores:
        ingest([str(folder)], stores)
    assert said(landing.archive()) == said(tmp_path / "plain")
    asked = (validator_queue.requests + validator.work.requests + work_queue.requests) / 300
    print(f"SQS requests a mail: {asked:.3f}")
    assert asked <= 0.7


def test_two_events_of_one_object_are_one_delivery_even_a_day_late(landing):
    landing.put("raw/one.eml", mail(1))
    events = landing.queue("events", 60)
    (event,) = events.receive(10, 2)
    events.delete([event.receipt])
    events.send([Parcel(event.body), Parcel(event.body)])
    landing.validate()
    assert work(landing).states == {"stored": 1}
    events.send([Parcel(event.body)])
    landing.validate()
    work(landing)
    assert landing.ledger.books() == {"stored": 1}
    with open_archive(landing.archive()) as archive:
        assert archive.stores.count() == 1


def test_an_event_that_comes_after_its_object_was_deleted_changes_nothing_that_was_stored(landing):
    landing.put("raw/one.eml", mail(1))
    events = landing.queue("events", 60)
    (event,) = events.receive(10, 2)
    landing.validator().validate([Event(event.body)])
    assert work(landing).states == {"stored": 1}
    landing.blobs().delete(["raw/one.eml"])
    landing.validator().validate([Event(event.body)])
    assert landing.ledger.books() == {"stored": 1}


def test_rejected_mail_is_sent_again_where_that_may_help(landing):
    """A bug that is mended since; a row whose message is long gone; with version ids and with ETags."""
    from typing import NamedTuple

    from mailloom.run.again import send_again, worth_it

    class Row(NamedTuple):
        source: str
        path: str
        object: str
        size: int
        at: int
        reason: str

    version = "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY"
    rows = [
        Row("s3://b", "k", version, 5, 7, "bug: ValueError"),
        Row("s3://b", "l", "0" * 32 + "-12", 20 << 20, 7, "dropped by hand (x)"),
        Row("s3://b", "m", "0" * 32, 5, 7, "not mail: an empty file"),
    ]
    assert [worth_it(row) for row in rows] == [True, True, False]
    assert send_again(rows[:2], landing.queue("work"), landing.queue("large")) == 2
    (small,), (large,) = landing.queue("work").receive(10, 1), landing.queue("large").receive(10, 1)
    assert read_pointer(small.body) == ("b", "k", version, "", 5, 7)
    assert read_pointer(large.body) == ("b", "l", "", "0" * 32 + "-12", 20 << 20, 7)


def test_what_is_no_mail_is_rejected_with_a_reason_and_set_aside(landing, tmp_path):
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("a.eml", mail(1))
    box = b"From ann@example.org Thu Oct  3 10:00:00 2024\n" + mail(1).replace(b"\r\n", b"\n")
    landing.put("raw/empty", b"")
    landing.put("raw/picture.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    landing.put("raw/note.txt", b"a note to myself\n" * 5)
    landing.put("raw/all mail.zip", packed.getvalue())
    landing.put("raw/box", box * 2)
    landing.put("raw/good.eml", mail(2))
    done = landing.validate()
    assert (done.queued, done.rejected) == (1, 5)
    reasons = landing.ledger.reasons()
    run = "run `mailloom ingest s3://" + landing.name
    assert reasons == {
        "raw/empty": "rejected: not mail: an empty file",
        "raw/picture.png": "rejected: not mail: looks like PNG",
        "raw/note.txt": "rejected: not mail: looks like plain text",
        "raw/all mail.zip": f"rejected: a zip file, which may hold many mails: {run}/raw/all mail.zip`",
        "raw/box": f"rejected: a mbox file, which may hold many mails: {run}/raw/box`",
    }
    aside = {stat.key for stat in landing.blobs().list("quarantine/")}
    assert aside == {f"quarantine/{key}" for key in reasons}
    head = landing.s3.head_object(Bucket=landing.name, Key="quarantine/raw/picture.png")
    assert head["Metadata"]["reason"] == "not mail: looks like PNG"
    landing.validate()  # the copies made events, too
    work(landing)
    assert landing.ledger.books() == {"rejected": 5, "stored": 1}


def test_an_object_that_is_gone_or_another_by_now_is_rejected(landing):
    for key in ("early", "late"):
        landing.put(f"raw/deleted-{key}.eml", mail(1))
        landing.put(f"raw/overwritten-{key}.eml", mail(2))
    landing.put("raw/stays.eml", mail(3))
    landing.blobs().delete(["raw/deleted-early.eml"])
    landing.put("raw/overwritten-early.eml", mail(4))
    landing.validate()
    landing.blobs().delete(["raw/deleted-late.eml"])
    landing.put("raw/overwritten-late.eml", mail(5))
    work(landing)
    landing.validate()
    work(landing)
    assert landing.ledger.reasons() == {
        "raw/deleted-early.eml": "rejected: deleted before it was read",
        "raw/deleted-late.eml": "rejected: deleted before it was read",
        "raw/overwritten-early.eml": "rejected: overwritten before it was read",
        "raw/overwritten-late.eml": "rejected: overwritten before it was read",
    }
    assert landing.ledger.books() == {"rejected": 4, "stored": 3}
    with open_archive(landing.archive()) as archive:
        assert archive.stores.count() == 3


def test_in_a_bucket_with_versions_both_versions_are_mail(aws_url, prefix, tmp_path):
    landing = Landing(aws_url, prefix, tmp_path / "landing").make(versioned=True)
    versions = [landing.put("raw/k.eml", mail(n)) for n in (1, 2)]
    landing.validate()
    seen = set()
    assert work(landing, lambda rows: seen.update(row.raw for row, _, _ in rows)).states == {"stored": 2}
    assert seen == {f"s3://{landing.name}/raw/k.eml#{version}" for version in versions}
    assert landing.ledger.books() == {"stored": 2}


def test_an_event_or_a_pointer_that_is_none_goes_to_the_dead_letters_with_the_cause(landing):
    landing.queue("events").send([Parcel("hello"), Parcel(json.dumps({"Event": "s3:TestEvent"}))])
    done = landing.validate()
    assert (done.ignored, done.refused) == (1, 1)
    landing.queue("work").send([Parcel("no json"), Parcel('{"v": 1, "bucket": 3}'), Parcel('{"v": 99}')])
    landing.put("raw/good.eml", mail(1))
    landing.validate()
    did = work(landing)
    assert (did.dead, did.states) == (3, {"stored": 1})
    dead = landing.queue("dead").receive(10, 1)
    assert {message.body: message.attributes["cause"] for message in dead} == {
        "hello": "no S3 event: not JSON",
        "no json": "no pointer: JSONDecodeError",
        '{"v": 1, "bucket": 3}': "no pointer: KeyError",
        '{"v": 99}': "no pointer: version 99, this mailloom reads 1",
    }


def test_what_a_queue_would_not_take_again_goes_to_the_dead_letters_too(landing):
    """As many bytes as a message may have, so that none is left for the cause; and a cause made of what was sent."""
    huge = "x" * 262_000
    landing.queue("work").send([Parcel(huge), Parcel('{"v": "\\u0000\\u001b[2J"}')])
    landing.queue("events").send([Parcel(huge)])
    assert landing.validate().refused == 1
    assert work(landing).dead == 2
    dead = [message for _ in range(5) for message in landing.queue("dead").receive(10, 1)]
    assert len({message.id for message in dead}) == 3
    assert {message.body[:100] for message in dead} == {huge[:100], '{"v": "\\u0000\\u001b[2J"}'}
    assert all(message.attributes["cause"].isprintable() for message in dead)


def test_an_event_of_a_bucket_that_is_not_ours_holds_nobody_up(landing):
    landing.put("raw/1.eml", mail(1))
    (message,) = landing.queue("events", 0).receive(10, 1)
    stranger = message.body.replace(landing.name, "no-such-bucket-here")
    done = landing.validator().validate([Event(stranger), Event(message.body)])
    assert (done.queued, done.again) == (1, {0})
    assert landing.validator().validate([Event(stranger)]).again == {0}
    validator = landing.validator()
    validator.bucket = "no-such-bucket-here"  # where mail lands
    with pytest.raises(UserError, match="does not exist"):
        validator.validate([Event(stranger)])


def test_large_mail_goes_to_its_own_queue(landing):
    landing.put("raw/large.eml", mail(1, "\r\n" + ("tide " * 15 + "\r\n") * 150_000))
    landing.put("raw/small.eml", mail(2))
    assert landing.validate().queued == 2
    assert (landing.queue("large").depth()[0], landing.queue("work").depth()[0]) == (1, 1)
    with landing.shed() as shed:
        assert landing.worker(shed, batch=1).run().states == {"stored": 1}
        assert landing.worker(shed, "large", batch=1).run().states == {"stored": 1}


def test_one_mail_that_no_store_can_stand_holds_nobody_up(landing):
    for n in range(20):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()

    def trouble(rows):
        if any(row.subject == "Tides 7" for row, _, _ in rows):
            raise ValueError("this one: Tides")

    with landing.shed(trouble) as shed:
        worker = landing.worker(shed, drain=False)
        stop = Timer(6, worker.stop)
        stop.start()
        did = worker.run()
        stop.join()
    assert did.states == {"stored": 19}
    assert did.failed >= 1
    assert landing.ledger.books() == {"stored": 19, "pending": 1}
    (reason,) = landing.ledger.reasons().values()
    assert reason.startswith("pending: ValueError at ")
    assert "this one" not in reason  # a library's words may quote the mail


def test_a_store_that_comes_back_loses_nothing(landing):
    for n in range(30):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    calls = []

    def trouble(rows):
        calls.append(len(rows))
        if len(calls) < 4:
            raise Transient("throttled")

    assert work(landing, trouble).states == {"stored": 30}
    assert landing.ledger.books() == {"stored": 30}


def test_a_store_that_stays_away_gives_mail_back_and_stops_the_receiving(landing):
    for n in range(40):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    away = [True]

    def trouble(rows):
        if away[0]:
            raise Transient("away")

    with landing.shed(trouble) as shed:
        worker = landing.worker(shed, drain=False, batch=10)
        worker.backoff = Backoff(0.01, 0.02, 2)
        stop = Timer(3, worker.stop)
        stop.start()
        did = worker.run()
        assert not did.states
        assert did.returned > 0
        assert did.received <= 60  # and not the whole queue again and again
        assert not worker.health().ready
        away[0] = False
        final = landing.worker(shed)
        assert final.run().states == {"stored": 40}
    assert landing.ledger.books() == {"stored": 40}


def test_what_the_owner_must_mend_ends_the_worker_with_words(landing):
    landing.put("raw/1.eml", mail(1))
    landing.validate()

    def trouble(rows):
        raise UserError("table x does not exist: create it")

    with pytest.raises(UserError, match="create it"):
        work(landing, trouble)
    assert work(landing).states == {"stored": 1}  # it was given back
    landing.sqs.delete_queue(QueueUrl=landing.queue("work").url)
    queue = landing.queue("large")
    queue.url = queue.url.replace("large", "work")
    with pytest.raises(UserError, match="create it, or correct its name"), landing.shed() as shed:
        landing.worker(shed, queue=queue).run()


def test_a_bucket_that_is_not_ours_is_one_mails_failure(landing):
    landing.put("raw/1.eml", mail(1))
    landing.validate()
    (message,) = landing.queue("work", 0).receive(10, 1)
    other = read_pointer(message.body)._replace(bucket="no-such-bucket-here")
    landing.queue("work").send([Parcel(pointer_body(other))])
    with landing.shed() as shed:
        worker = landing.worker(shed, drain=False)
        stop = Timer(4, worker.stop)
        stop.start()
        did = worker.run()
    assert did.states == {"stored": 1}
    assert did.failed >= 1
    assert "does not exist" in landing.ledger.reasons()["raw/1.eml"]


def test_events_are_read_as_s3_writes_them():
    record = {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2024-10-03T10:00:00.500Z",
        "s3": {
            "bucket": {"name": "b"},
            "object": {"key": "a+b%2Bc/%C3%A4.eml", "size": 5, "eTag": "e", "versionId": "v"},
        },
    }
    told = read_event(
        json.dumps(
            {"Records": [record, {**record, "eventName": "ObjectRemoved:Delete"}, {"eventName": "ObjectCreated:Put"}]}
        )
    )
    (pointer,) = told.pointers
    assert pointer == ("b", "a b+c/ä.eml", "v", "e", 5, 1727949600500)
    assert read_pointer(pointer_body(pointer)) == pointer
    assert (told.ignored, told.refused) == (1, "no S3 event: record 2: KeyError: 's3'")
    assert read_event("[]").refused
    assert read_event('{"Records": [null]}').refused


def test_two_processes_share_the_work_of_one_archive_in_turn(landing, tmp_path):
    """A worker process as it is run, to its end; mails read apart in two processes of its own."""
    for n in range(60):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    command = [
        sys.executable,
        str(Path(__file__).with_name("landing.py")),
        landing.endpoint,
        landing.name,
        str(landing.folder),
    ]
    ran = subprocess.run([*command, "drain=true", "jobs=2"], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {"received": 60, "stored": 60, "returned": 0}
    assert landing.ledger.books() == {"stored": 60}
