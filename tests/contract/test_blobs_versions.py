"""Blobs.current: each object as an event would name it, in buckets that keep versions, that never did, and that do no more."""

from __future__ import annotations

import itertools
import random

import pytest
from botocore.stub import Stubber

from mailloom.ports import UserError
from mailloom.run.pointers import read_event
from mailloom.stores.s3 import S3Blobs

pytestmark = pytest.mark.servers

REGION = "eu-central-1"


class Bucket:
    """A bucket, and what can be done to it."""

    def __init__(self, client, name: str) -> None:
        self.client, self.name = client, name
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.blobs = S3Blobs(client, name)

    def keep(self, status: str = "Enabled") -> None:
        self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": status})

    def put(self, key: str, data: bytes = b"x") -> str:
        return self.client.put_object(Bucket=self.name, Key=key, Body=data).get("VersionId", "")

    def delete(self, key: str, version: str = "") -> None:
        self.client.delete_object(Bucket=self.name, Key=key, **({"VersionId": version} if version else {}))

    def truth(self, prefix: str = "") -> list[tuple]:
        """What is there, asked for one by one, and listed otherwise."""
        found = []
        for stat in self.blobs.list(prefix):
            head = self.client.head_object(Bucket=self.name, Key=stat.key)
            version = head.get("VersionId", "null")
            found.append((stat.key, "" if version == "null" else version, stat.etag, stat.size, stat.modified))
        return found

    def current(self, prefix: str = "", after: str = "") -> list[tuple]:
        return [
            (stat.key, stat.version, stat.etag, stat.size, stat.modified) for stat in self.blobs.current(prefix, after)
        ]

    def page(self, size: int):
        """Pages of so many entries, as of a service that is in no hurry."""

        def smaller(params, **_):
            params["MaxKeys"] = size

        self.client.meta.events.register("provide-client-params.s3.ListObjectVersions", smaller)


@pytest.fixture
def bucket(boto, prefix) -> Bucket:
    return Bucket(boto("s3"), f"{prefix}-versions")


def test_a_bucket_without_versions_is_listed_as_it_always_was(bucket):
    for key in ("p/a b+c%", "p/ä", "p/1", "q"):
        bucket.put(key)
    assert bucket.current("p/") == bucket.truth("p/")
    assert [version for _, version, *_ in bucket.current()] == [""] * 4
    assert bucket.current("nothing/") == []


def test_what_is_current_is_told_and_nothing_else(bucket):
    before = ["overwritten later", "from before", "deleted later"]
    for key in before:
        bucket.put(key)
    bucket.keep()
    bucket.put("deleted")
    bucket.put("two", b"one")
    gone = bucket.put("two", b"second")
    back = bucket.put("deleted, and put again")
    names = {key: bucket.put(key, b"22") for key in ("overwritten later", "two", "plain")}
    bucket.delete("deleted")
    bucket.delete("deleted later")
    bucket.delete("deleted, and put again")
    names["deleted, and put again"] = bucket.put("deleted, and put again", b"333")
    bucket.delete("two", gone)
    assert back != names["deleted, and put again"]
    assert {key: version for key, version, *_ in bucket.current()} == {**names, "from before": ""}
    assert bucket.current() == bucket.truth()


def test_a_version_that_is_taken_away_shows_the_one_before(bucket):
    bucket.keep()
    one, two = bucket.put("k", b"one"), bucket.put("k", b"two")
    assert [version for _, version, *_ in bucket.current()] == [two]
    bucket.delete("k", two)
    assert [version for _, version, *_ in bucket.current()] == [one]


@pytest.mark.parametrize("size", [2, 3, 7, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_done_pages_of_any_size_tell_what_is_there(bucket, seed, size):
    """Pages end among the versions of a key, behind a delete marker, and before keys that have none."""
    dice = random.Random(seed)
    keys = [f"p/{n:02}" for n in range(12)] + ["p/ü +", "p/日本", "q/1"]
    for _ in range(25):
        bucket.put(dice.choice(keys), dice.randbytes(3))
    for status in ("Enabled", "Suspended", "Enabled"):
        bucket.keep(status)
        for _ in range(20):
            key = dice.choice(keys)
            if dice.random() < 0.3:
                bucket.delete(key)
            else:
                bucket.put(key, dice.randbytes(dice.randrange(1, 9)))
    bucket.page(size)
    assert bucket.current() == bucket.truth()
    for after in ("p/00", "p/05", "p/055", "p/11", "p/日本", "q/1", "z"):
        assert bucket.current("p/", after) == [one for one in bucket.truth("p/") if one[0] > after]
    assert {version != "" for _, version, *_ in bucket.current()} == {True, False}


@pytest.mark.parametrize("versions", [False, True])
def test_thousands_of_keys_come_once_each_and_in_order(bucket, versions):
    if versions:
        bucket.keep()
    for n in range(2_050):
        bucket.put(f"p/{n:04}")
    for n in range(990, 1_010):  # what lies around the end of the first page moves it among the versions of a key
        bucket.put(f"p/{n:04}", b"again")
    want = [f"p/{n:04}" for n in range(2_050)]
    found = list(bucket.blobs.current("p/"))
    assert [stat.key for stat in found] == want
    assert {stat.version != "" for stat in found} == {versions}
    for at in (0, 500, 998, 999, 1_000, 1_001, 1_999, 2_049):
        assert [stat.key for stat in bucket.blobs.current("p/", f"p/{at:04}")] == want[at + 1 :]


def test_only_a_page_is_held(bucket):
    """Who takes three objects has asked for one page."""
    bucket.keep()
    for n in range(30):
        bucket.put(f"{n:02}")
    asked = []
    bucket.client.meta.events.register("provide-client-params.s3.ListObjectVersions", lambda **_: asked.append(1))
    bucket.page(5)
    assert len(list(itertools.islice(bucket.blobs.current(""), 3))) == 3
    assert len(asked) == 1
    assert len(list(bucket.blobs.current(""))) == 30
    assert len(asked) == 1 + 6


@pytest.mark.parametrize("status", ["", "Enabled", "Suspended"])
def test_an_event_and_a_listing_name_the_same_object(bucket, boto, prefix, status):
    sqs = boto("sqs")
    queue = sqs.create_queue(QueueName=f"{prefix}-told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    bucket.client.put_bucket_notification_configuration(Bucket=bucket.name, NotificationConfiguration=told)
    if status:
        bucket.keep()
        bucket.keep(status)
    for n in range(5):
        bucket.put(f"k {n}", str(n).encode())
    pointers = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages"):
        for message in messages:
            pointers += read_event(message["Body"]).pointers
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    by_event = {(one.key, one.object, one.version, one.etag, one.size) for one in pointers}
    assert len(by_event) == 5
    assert by_event == {
        (stat.key, stat.version or stat.etag, stat.version, stat.etag, stat.size) for stat in bucket.blobs.current("")
    }
    assert {one.version != "" for one in pointers} == {status == "Enabled"}


def test_a_role_that_may_not_list_versions_is_told_and_nothing_is_listed_otherwise(boto):
    blobs = S3Blobs(boto("s3"), "mail")
    with Stubber(blobs.client) as stub:
        stub.add_client_error("list_object_versions", "AccessDenied", "not yours", 403)
        with pytest.raises(UserError, match=r"bucket mail.*not yours.*allow s3:ListBucketVersions besides"):
            next(blobs.current("raw/"))
        stub.assert_no_pending_responses()


def test_a_page_that_begins_with_the_last_of_the_one_before_tells_nothing_twice(boto):
    """S3 begins behind its markers; ministack with the object that they name, where that has no version but "null"."""

    def page(*entries, more="", version=""):
        listed = [
            {"Key": key, "VersionId": one, "IsLatest": latest, "Size": 1, "ETag": '"e"'} for key, one, latest in entries
        ]
        ends = {"NextKeyMarker": more} | ({"NextVersionIdMarker": version} if version else {})
        return {"Versions": listed, "IsTruncated": bool(more)} | (ends if more else {})

    pages = [
        ({"KeyMarker": "a"}, page(("a", "1", True), ("b", "2", True), more="b", version="2")),
        (
            {"KeyMarker": "b", "VersionIdMarker": "2"},
            page(("b", "2", True), ("b", "1", False), ("c", "null", True), more="c"),
        ),
        ({"KeyMarker": "c"}, page(more="d", version="9")),
        ({"KeyMarker": "d", "VersionIdMarker": "9"}, page(("e", "5", True))),
    ]
    blobs = S3Blobs(boto("s3"), "mail")
    with Stubber(blobs.client) as stub:
        for markers, answer in pages:
            asked = {"Bucket": "mail", "Prefix": "", **markers}
            stub.add_response("list_object_versions", answer, asked)
        assert [(one.key, one.version) for one in blobs.current("", "a")] == [("b", "2"), ("c", ""), ("e", "5")]
        stub.assert_no_pending_responses()
