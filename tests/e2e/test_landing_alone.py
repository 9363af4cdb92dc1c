"""One object or message that can't be dealt with, and a store that is away beside it: nothing else waits for it, is lost, or is done more than once."""

from __future__ import annotations

import pytest
from landing import Landing

from mailloom.ports import Parcel, Transient, UserError
from mailloom.run.prefix import Prefixes
from mailloom.run.validate import Event, Validator
from mailloom.stores.aws_errors import meaning

pytestmark = pytest.mark.servers


def mail(n: int) -> bytes:
    head = f"From: ann@example.org\r\nTo: bob@example.com\r\nSubject: Tides {n}\r\nMessage-ID: <m{n}@example.org>\r\n"
    return f"{head}\r\nThe tide tables of port {n} are ready.\r\n".encode()


@pytest.fixture
def landing(aws_url, prefix, tmp_path) -> Landing:
    return Landing(aws_url, prefix, tmp_path / "landing").make()


class Refusing:
    """A bucket that refuses objects as S3 does: `refuses` says of a key whether."""

    def __init__(self, blobs, refuses) -> None:
        self.blobs, self.refuses = blobs, refuses

    def __getattr__(self, name):
        return getattr(self.blobs, name)

    def _look(self, key):
        if self.refuses(key):
            raise meaning("InvalidObjectState", 403, "not valid for its storage class", f"bucket {self.blobs.bucket}")

    def get(self, key, version="", etag=""):
        self._look(key)
        return self.blobs.get(key, version, etag)

    def beginning(self, key, length, version=""):
        self._look(key)
        return self.blobs.beginning(key, length, version)


def refusing(landing, refuses):
    return lambda _: Refusing(landing.blobs(), refuses)


def validator(landing, buckets=None, **more) -> Validator:
    parts = (buckets or landing.buckets(), landing.ledger, landing.ledger, landing.queue("work"))
    return Validator(*parts, dead=landing.queue("dead"), bucket=landing.name, **more)


def events(landing) -> list[Event]:
    return [Event(message.body) for message in landing.queue("events", 0).receive(10, 1)]


def test_one_object_that_can_not_be_read_holds_up_no_other_in_the_bucket_where_mail_lands(landing):
    for name in ("raw/archived.eml", "raw/good.eml"):
        landing.put(name, mail(1))
    told = events(landing)
    done = validator(landing, refusing(landing, "raw/archived.eml".__eq__)).validate(told)
    assert (done.queued, len(done.again)) == (1, 1)
    assert "archived.eml" in told[done.again.pop()].body
    assert "restore it" in landing.ledger.reasons()["raw/archived.eml"]
    with pytest.raises(
        UserError, match="restore it"
    ):  # none can be read: its owner is told, and no event counted as tried
        validator(landing, refusing(landing, lambda key: True)).validate(told)


def test_a_name_in_no_folder_is_looked_for_in_none(landing):
    landing.put("k" * 1024, mail(1))
    landing.put("k" * 1020 + "/eml", mail(2))
    done = validator(landing, refusing(landing, lambda key: len(key) == 1024)).validate(events(landing))
    assert len(done.again) == 2


def test_a_prefix_gives_what_can_not_be_read_to_the_workers_and_goes_on(landing):
    for n in range(4):
        landing.put(f"old/{n}.eml", mail(n))
    work = landing.queue("work")
    with landing.shed() as shed:

        def run(refuses):
            parts = (refusing(landing, refuses), shed, landing.ledger, landing.ledger, work)
            return Prefixes(*parts, keep=True).run(landing.name, "old/")

        with pytest.raises(UserError, match="restore it"):
            run(lambda key: True)
        did = run("old/2.eml".__eq__)
        assert (did.done, did.received, did.failed) == (True, 4, 1)
        assert landing.ledger.books() == {"stored": 3, "pending": 1}
        assert "restore it" in landing.ledger.reasons()["old/2.eml"]
        assert landing.worker(shed).run().states == {"stored": 1}


def test_a_message_that_is_no_event_is_one_letter_however_often_a_store_is_away(landing):
    landing.put("raw/1.eml", mail(1))
    told = [*events(landing), Event("hello")]
    there = landing.ledger.received
    validating = validator(landing)

    class Away:
        failed = landing.ledger.failed
        calls = 0

        def received(self, pointers):
            self.calls += 1
            if self.calls < 4:
                raise Transient("it is restarted")
            return there(pointers)

    validating.receipts = Away()
    for _ in range(3):
        with pytest.raises(Transient):
            validating.validate(told)
    assert validating.validate(told).refused == 1
    assert [letter.body for letter in landing.queue("dead").receive(10, 1)] == ["hello"]


def test_a_message_that_can_not_be_buried_yet_takes_nobody_along(landing):
    for n in range(3):
        landing.put(f"raw/{n}.eml", mail(n))
    landing.validate()
    landing.queue("work").send([Parcel("no pointer")])
    tries = []

    class Away:
        def send(self, parcels: list[Parcel]) -> None:
            tries.append(parcels)
            raise Transient("the queue is away")

    with landing.shed() as shed:
        worker = landing.worker(shed, drain=False)
        worker.dead = Away()
        worker.protection = Stopper(worker, lambda: tries and landing.ledger.books() == {"stored": 3})
        did = worker.run()
    assert (did.received, did.states) == (3, {"stored": 3})
    assert landing.queue("work").depth() == (0, 1), "the message is there still"


class Stopper:
    """Ends a worker once something is so, or after a minute; it is asked as a protection is."""

    def __init__(self, worker, so) -> None:
        self.worker, self.so, self.until = worker, so, worker.clock() + 60

    def tell(self, *, holds: bool, now: float) -> None:
        if self.so() or now > self.until:
            self.worker.stop()


def test_what_s3_says_of_an_archive_and_kms_of_a_key_is_told_to_the_owner():
    for code in ("InvalidObjectState", "KmsDisabled", "KMS.NotFoundException", "KmsAccessDenied"):
        error = meaning(code, 400, "no", "queue mail")
        assert isinstance(error, UserError)
        assert not isinstance(error, Transient)
        assert code in str(error)
    assert isinstance(meaning("KmsThrottled", 400, "slow", "queue mail"), Transient)
