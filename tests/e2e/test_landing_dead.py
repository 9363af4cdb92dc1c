"""Dead letters of real queues: grouped by cause, looked at, put to work again, dropped. And settle now and then, and upload."""

from __future__ import annotations

import threading
import time

import pytest
from landing import Landing

from mailloom.flow.retry import Backoff
from mailloom.flow.transform import transform
from mailloom.mail.model import Origin
from mailloom.ports import Failure, Parcel, Received, Transient, UserError
from mailloom.run import dead
from mailloom.run.causes import cause
from mailloom.run.pointers import pointer_body, read_pointer
from mailloom.run.settler import Settler
from mailloom.run.upload import Uploaded, object_key, source_name, upload
from mailloom.stores.memory import MemoryThreads
from mailloom.thread.weave import weave

pytestmark = pytest.mark.servers


def mail(n: int) -> bytes:
    return (
        f"From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Tides {n}\r\nDate: Thu, 03 Oct 2024 10:{n % 60:02}:00 +0000\r\n"
        f"Message-ID: <m{n}@example.org>\r\n\r\nThe tide tables of port {n} are ready.\r\n"
    ).encode()


@pytest.fixture
def landing(aws_url, prefix, tmp_path) -> Landing:
    return Landing(aws_url, prefix, tmp_path / "landing").make(receives=2)


def run_for(landing, seconds, trouble):
    with landing.shed(trouble) as shed:
        worker = landing.worker(shed, drain=False)
        stop = threading.Timer(seconds, worker.stop)
        stop.start()
        done = worker.run()
        stop.join()
    return done


@pytest.fixture
def letters(landing) -> Landing:
    """Two mails that failed to their last receiving, by different errors; one message that is no pointer."""
    for n in range(6):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    landing.queue("work").send([Parcel("nonsense")])

    def trouble(rows):
        subjects = {row.subject for row, _, _ in rows}
        if "Tides 2" in subjects:
            raise ValueError("a")
        if "Tides 4" in subjects:
            raise KeyError("b")

    until = time.monotonic() + 60
    while landing.queue("dead").depth()[0] < 3 and time.monotonic() < until:
        run_for(landing, 3, trouble)
        back = landing.queue("work", 0).receive(10, 0)  # ministack moves a message when it is asked for once more
        landing.queue("work").extend({message.receipt: 0 for message in back})
    return landing


def test_letters_are_grouped_shown_retried_and_dropped(letters):
    queue = letters.queue("dead", 60)
    assert letters.ledger.books() == {"stored": 4, "pending": 2}
    with dead.looking(queue, letters.ledger) as found:
        groups = dead.grouped(found)
        causes = [group.cause for group in groups]
        assert len(found) == 3
        assert "no pointer: JSONDecodeError" in causes
        assert sum(c.startswith("ValueError at ") for c in causes) == 1
        assert sum(c.startswith("KeyError at ") for c in causes) == 1
        failing = next(letter for letter in found if letter.cause.startswith("ValueError"))
        assert failing.failure.attempts >= 1
        assert failing.failure.version
        assert b"Subject: Tides 2" in dead.head(failing, letters.buckets())
        assert b"port 2" not in dead.head(failing, letters.buckets())
        nonsense = next(letter for letter in found if letter.pointer is None)
        assert dead.head(nonsense, letters.buckets()) is None
        assert dead.chosen(found, failing.id) == [failing]
        assert len(dead.chosen(found, "all")) == 3
        with pytest.raises(UserError, match="mailloom dead list"):
            dead.chosen(found, "zzz")
    assert queue.depth() == (3, 0)  # given back
    with dead.looking(queue, letters.ledger) as found:
        failing = next(letter for letter in found if letter.cause.startswith("ValueError"))
        assert dead.retry([failing], queue, letters.ledger, letters.queue("work"), letters.queue("large")) == 1
    run_for(letters, 3, lambda rows: None)
    assert letters.ledger.books() == {"stored": 5, "pending": 1}
    with dead.looking(queue, letters.ledger) as found:
        assert len(found) == 2
        assert dead.drop(found, queue, letters.ledger) == 2
    assert queue.depth() == (0, 0)
    assert letters.ledger.books() == {"stored": 5, "rejected": 1}
    assert "dropped by hand (KeyError at " in letters.ledger.reasons()["raw/4.eml"]


def test_retry_all_puts_only_pointers_to_work(letters):
    queue = letters.queue("dead", 60)
    with dead.looking(queue, letters.ledger) as found:
        assert dead.retry(dead.chosen(found, "all"), queue, letters.ledger, letters.queue("work")) == 2
    with dead.looking(queue, letters.ledger) as found:
        assert [letter.message.body for letter in found] == ["nonsense"]
    run_for(letters, 3, lambda rows: None)
    assert letters.ledger.books() == {"stored": 6}


def test_a_letter_without_a_kept_reason_says_so(landing):
    body = pointer_body(read_pointer('{"v":1,"bucket":"b","key":"k","version":"","etag":"e","size":1,"at":2}'))
    landing.queue("dead").send([Parcel(body), Parcel(body)])
    with dead.looking(landing.queue("dead", 60), landing.ledger) as found:
        (group,) = dead.grouped(found)
        assert (group.cause, len(group.letters)) == (dead.UNKNOWN, 2)
    landing.ledger.failed({found[0].pointer: Failure("OSError at x.y:3: what", "1", 4)})
    with dead.looking(landing.queue("dead", 60), landing.ledger) as found:
        assert dead.grouped(found)[0].cause == "OSError at x.y:3"


def test_a_short_number_is_a_group_and_never_the_beginning_of_an_id():
    letters = [
        dead.Letter(Received("r", f"9{n}ab-{n}", "", {}, 1, 0), None, Failure(f"cause {n}", "", 0)) for n in range(2)
    ]
    assert dead.chosen(letters, "2") == letters[1:]
    assert dead.chosen(letters, "90ab") == letters[:1]
    for which in ("9", "0", "3", "", "zz"):
        with pytest.raises(UserError, match="no dead letter or group"):
            dead.chosen(letters, which)
    with pytest.raises(UserError, match="begins 2 letters' ids"):
        dead.chosen([letters[0], letters[0]], "90ab")


def test_an_error_is_told_by_kind_and_place_and_in_our_words_only():
    def fail(error):
        raise error

    for error, words in ((ValueError("secret of the mail"), False), (UserError("table x is missing"), True)):
        try:
            fail(error)
        except Exception as caught:
            said = cause(caught)
        assert said.startswith(f"{type(error).__name__} at test_landing_dead.")
        assert (str(error) in said) == words


# ------------------------------------------------------------------------------------------------ settle
def woven(count: int) -> MemoryThreads:
    threads = MemoryThreads()
    stated = [transform(mail(n), Origin("s", str(n), 0, 1, 1, 0)).stated for n in range(count)]
    weave(threads, stated)
    threads.mark({s.message for s in stated})
    return threads


def test_settle_ends_between_parts_when_stopped_and_goes_on_next_time():
    threads = woven(10)
    settler = Settler(threads, every=60, limit=2)
    asked = []
    done = settler.once(lambda: len(asked) >= 2 or asked.append(1))
    assert done.looked == 4
    assert len(threads.dirty(100)) == 6
    assert settler.once().looked == 6
    assert not threads.dirty(100)


def test_a_run_that_is_waited_for_is_tried_again_where_a_store_is_away_for_a_moment(monkeypatch):
    threads = woven(10)
    settler = Settler(threads, every=60, limit=2)
    real, calls, slept = threads.lease, [], []

    def lease():
        calls.append(1)
        if len(calls) <= 2:
            raise Transient("restarted")
        return real()

    monkeypatch.setattr(threads, "lease", lease)
    assert settler.at_last(sleep=slept.append).looked == 10
    assert len(slept) == 2
    assert settler.health().ready

    monkeypatch.setattr(threads, "lease", lambda: (_ for _ in ()).throw(Transient("gone for good")))
    assert settler.at_last(Backoff(attempts=3), slept.append) is None
    assert settler.words == "gone for good"
    assert len(slept) == 4


def test_settle_goes_on_after_it_was_overtaken_or_a_store_was_away(monkeypatch):
    threads = woven(4)
    settler = Settler(threads, every=0.01)
    real, calls = threads.lease, []

    def lease():
        calls.append(1)
        if len(calls) == 1:
            raise Transient("away")
        view = real()
        if len(calls) == 2:
            real()  # somebody else takes it
        return view

    monkeypatch.setattr(threads, "lease", lease)
    assert settler.once() is None
    assert not settler.health().ready
    stopping = threading.Event()
    thread = threading.Thread(target=settler.run, args=(stopping,))
    thread.start()
    until = time.monotonic() + 10
    while threads.dirty(10) and time.monotonic() < until:
        time.sleep(0.02)
    stopping.set()
    thread.join(5)
    assert not threads.dirty(10)
    assert settler.health().ready
    assert len(calls) >= 3


# ------------------------------------------------------------------------------------------------ upload
def test_uploading_twice_is_uploading_once_and_ends_as_events(landing, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for n in range(5):
        (folder / f"{n}.eml").write_bytes(mail(n))
    (folder / "again.eml").write_bytes(mail(0))
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    blobs = landing.blobs()
    did = upload([str(folder)], blobs, name="desk")
    assert did == Uploaded(new=5, known=1, foreign=1, bytes=sum(len(mail(n)) for n in range(5)))
    assert upload([str(folder)], blobs, name="desk").new == 0
    keys = [stat.key for stat in blobs.list("raw/")]
    assert len(keys) == 5
    assert all(key.startswith("raw/source=desk/date=2024-10-03/") for key in keys)
    assert blobs.get(object_key(mail(3), "desk")) == mail(3)
    assert landing.validate().queued == 5


def test_a_mailbox_in_the_bucket_is_uploaded_singly(landing):
    """What the validator refuses, in the words of its reason: `mailloom ingest s3://BUCKET/KEY`."""
    from mailloom.run.prefix import is_container

    box = b"".join(
        b"From ann@example.org Thu Oct  3 10:00:00 2024\n" + mail(n).replace(b"\r\n", b"\n") for n in range(3)
    )
    landing.put("raw/all.mbox", box)
    landing.put("raw/one.eml", mail(9))
    assert landing.validate().rejected == 1
    blobs = landing.blobs()
    assert is_container(blobs, "raw/all.mbox")
    assert not is_container(blobs, "raw/one.eml")
    assert not is_container(blobs, "raw/")
    did = upload([f"s3://{landing.name}/raw/all.mbox"], blobs, buckets=landing.buckets())
    assert (did.new, did.refused) == (3, 0)
    assert len(list(blobs.list("raw/source=all.mbox/date=2024-10-03/"))) == 3
    assert landing.validate().queued == 3


def test_keys_of_mail_with_an_odd_date():
    assert "/date=unknown/" in object_key(b"From: a@example.org\n\nDate: Thu, 03 Oct 2024 10:00:00 +0000\n", "s")
    assert "/date=unknown/" in object_key(b"Date: Thu, 03 Oct 1802 10:00:00 +0000\n\n", "s")
    assert "/date=2024-10-04/" in object_key(b"Date: Thu, 03 Oct 2024 23:00:00 -0500\n\n", "s")
    assert source_name("/a/b c/Ünï.mbox") == "n-.mbox"
    assert source_name("-") == "stdin"
