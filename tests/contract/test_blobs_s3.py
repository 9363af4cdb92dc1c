"""ports.Blobs on S3: what an object is, is not, and is not any more; both ways of reading one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.credentials import Credentials

from mailloom.ports import Transient, UserError
from mailloom.stores.aws_http import Http
from mailloom.stores.s3 import S3Blobs

pytestmark = pytest.mark.servers

KEYS = [
    "plain",
    "with blank +plus",
    "umlaut/ä ö.eml",
    "percent%20 and %",
    "a=1/b&c?d#e.eml",
    "tilde~star*'quote\"",
    "日本/mail",
]


@pytest.fixture
def bucket(boto, prefix) -> str:
    name = f"{prefix}-blobs"
    boto("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


@pytest.fixture(params=["botocore", "signed"])
def blobs(request, boto, bucket) -> S3Blobs:
    return S3Blobs(boto("s3"), bucket, Credentials("test", "test") if request.param == "signed" else None)


@pytest.mark.parametrize("key", KEYS)
def test_what_was_put_is_got_under_any_key(blobs, key):
    for n in range(2):  # the second read of a signed store goes by its own connection
        assert blobs.put(f"{key}{n}", b"bytes\r\n\x00" * 50)
        assert blobs.get(f"{key}{n}") == b"bytes\r\n\x00" * 50
        head, stat = blobs.beginning(f"{key}{n}", 5)
        assert (head, stat.size, stat.key) == (b"bytes", 400, f"{key}{n}")
        assert stat.modified > 1_600_000_000_000


def test_putting_twice_is_putting_once(blobs):
    assert blobs.put("k", b"first", metadata={"reason": "a — dash\nand a line"})
    assert not blobs.put("k", b"second")
    assert blobs.get("k") == b"first"
    assert blobs.client.head_object(Bucket=blobs.bucket, Key="k")["Metadata"] == {
        "reason": "a %E2%80%94 dash%0Aand a line"
    }


def test_what_is_not_there_is_none_and_so_is_what_was_overwritten(blobs):
    blobs.put("k", b"first")
    _, stat = blobs.beginning("k", 10)
    assert blobs.get("k", etag=stat.etag) == b"first"
    blobs.client.put_object(Bucket=blobs.bucket, Key="k", Body=b"second")
    for _ in range(2):
        assert blobs.get("k", etag=stat.etag) is None
        assert blobs.get("k") == b"second"
        assert blobs.get("nothing here") is None
    assert blobs.beginning("nothing here", 10) is None
    assert not blobs.copy("nothing here", "to")


@pytest.mark.parametrize("credentials", [None, Credentials("test", "test")])
def test_the_first_look_of_a_process_may_be_at_nothing(boto, bucket, credentials):
    """It is also the request that where a bucket is is learnt from."""
    blobs = S3Blobs(boto("s3"), bucket, credentials)
    assert blobs.beginning("nothing here", 10) is None
    blobs.put("k", b"mail")
    assert blobs.beginning("k", 2)[0] == b"ma"
    assert (blobs._reader is None) == (credentials is None)


def test_both_ways_see_the_same_of_an_object(boto, bucket):
    ways = [S3Blobs(boto("s3"), bucket, way) for way in (None, Credentials("test", "test"))]
    ways[0].put("k", b"x" * 70_000)
    for length in (1, 16 << 10, 70_000, 100_000):
        one, two = (blobs.beginning("k", length) for blobs in ways)
        assert one == two
        assert (len(one[0]), one[1].size) == (min(length, 70_000), 70_000)


def test_an_empty_object_has_a_beginning(blobs):
    blobs.put("empty", b"")
    for _ in range(2):
        head, stat = blobs.beginning("empty", 100)
        assert (head, stat.size, stat.key) == (b"", 0, "empty")
        assert stat.etag
        assert stat.modified > 1_600_000_000_000
    assert blobs.get("empty") == b""


def test_parts_of_an_object(blobs):
    blobs.put("k", b"0123456789")
    _, stat = blobs.beginning("k", 1)
    assert blobs.part("k", 2, 3) == b"234"
    assert blobs.part("k", 8, 30, stat.etag) == b"89"
    assert blobs.part("k", 10, 5) == b""
    assert blobs.part("k", 0, 5, "0" * 32) is None
    assert blobs.part("nothing here", 0, 5) is None


def test_versions_stay_readable(blobs):
    blobs.client.put_bucket_versioning(Bucket=blobs.bucket, VersioningConfiguration={"Status": "Enabled"})
    one = blobs.client.put_object(Bucket=blobs.bucket, Key="k", Body=b"one")["VersionId"]
    two = blobs.client.put_object(Bucket=blobs.bucket, Key="k", Body=b"two!")["VersionId"]
    for _ in range(2):
        assert blobs.get("k", version=one) == b"one"
        assert blobs.get("k", version=two) == b"two!"
    head, stat = blobs.beginning("k", 2, version=one)
    assert (head[:2], stat.version, stat.size) == (b"on", one, 3)
    blobs.client.delete_object(Bucket=blobs.bucket, Key="k", VersionId=one)
    assert blobs.get("k", version=one) is None
    assert blobs.beginning("k", 2, version=one) is None
    blobs.delete(["k"])
    assert blobs.get("k") is None


def test_a_listing_is_in_order_and_goes_on_behind_a_key(blobs):
    keys = sorted([f"p/{n:04}" for n in range(1005)] + ["p/a b+c%", "p/ä"], key=str.encode)
    for key in keys:
        blobs.client.put_object(Bucket=blobs.bucket, Key=key, Body=b"x")
    blobs.put("q", b"")
    assert [stat.key for stat in blobs.list("p/")] == keys
    assert [stat.key for stat in blobs.list("p/", after="p/1003")] == keys[1004:]
    blobs.delete(keys)
    assert list(blobs.list("p/")) == []


def test_many_threads_read_from_the_first_moment_on(blobs):
    """Where requests go is learnt from one of them, while the others come."""
    from concurrent.futures import ThreadPoolExecutor

    keys = [f"{'deep/' * n}k{n}" for n in range(40)]
    for key in keys:
        blobs.client.put_object(Bucket=blobs.bucket, Key=key, Body=key.encode())
    with ThreadPoolExecutor(16) as readers:
        assert list(readers.map(blobs.get, keys)) == [key.encode() for key in keys]


def test_a_copy_may_carry_other_metadata(blobs):
    blobs.put("from", b"mail", metadata={"a": "1"})
    assert blobs.copy("from", "to", metadata={"reason": "why"})
    head = blobs.client.head_object(Bucket=blobs.bucket, Key="to")
    assert head["Metadata"] == {"reason": "why"}
    assert blobs.get("to") == b"mail"


@pytest.mark.parametrize("credentials", [None, Credentials("test", "test")])
def test_a_missing_bucket_is_the_owners_to_mend(boto, bucket, credentials):
    blobs = S3Blobs(boto("s3"), bucket, credentials)
    blobs.put("k", b"x")
    assert blobs.get("k") == b"x"
    blobs.delete(["k"])
    blobs.client.delete_bucket(Bucket=bucket)
    for call in (
        lambda: blobs.get("k"),
        lambda: blobs.put("k", b""),
        lambda: list(blobs.list("")),
        lambda: list(blobs.current("")),
        lambda: blobs.beginning("k", 1),
    ):
        with pytest.raises(UserError, match=f"bucket {bucket} does not exist.*create it") as caught:
            call()
        assert not isinstance(caught.value, Transient)


@pytest.mark.parametrize("credentials", [None, Credentials("test", "test")])
def test_a_server_that_is_away_is_transient(boto, bucket, credentials, aws_url):
    import boto3
    from botocore.config import Config

    blobs = S3Blobs(boto("s3"), bucket, credentials)
    blobs.put("k", b"x")
    blobs.get("k")
    nowhere = Config(retries={"max_attempts": 0}, connect_timeout=1)
    away = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-central-1",
        aws_access_key_id="t",
        aws_secret_access_key="t",
        config=nowhere,
    )
    blobs.client = away
    if blobs._reader is not None:
        blobs._reader.http = Http("http://127.0.0.1:9", sleep=lambda _: None)
    for call in (
        lambda: blobs.get("k"),
        lambda: blobs.beginning("k", 1),
        lambda: blobs.put("k", b""),
        lambda: list(blobs.list("")),
        lambda: list(blobs.current("")),
    ):
        with pytest.raises(Transient, match=f"bucket {bucket}"):
            call()


def test_without_credentials_the_message_says_so(bucket, aws_url, monkeypatch):
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    client = boto3.Session().client("s3", endpoint_url=aws_url, region_name="eu-central-1")
    with pytest.raises(UserError, match="set up AWS credentials"):
        S3Blobs(client, bucket).get("k")


def test_where_a_bucket_is_is_learnt_from_our_own_request(boto, bucket):
    """Another thread reads a key that ends alike, over the same client, before the first request is at its end."""
    client = boto("s3")
    for key in ("k", "below/k", "other"):
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    beside = S3Blobs(client, bucket)

    def meanwhile(**_):
        client.meta.events.unregister("after-call.s3.GetObject", meanwhile)
        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(beside.get, "below/k").result() == b"below/k"

    client.meta.events.register("after-call.s3.GetObject", meanwhile)
    blobs = S3Blobs(client, bucket, Credentials("test", "test"))
    assert blobs.get("k") == b"k"
    assert blobs.get("other") == b"other"
