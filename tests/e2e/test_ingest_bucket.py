"""`mailloom ingest s3://BUCKET/PREFIX` into an archive on disk: what a folder with the same files gives."""

from __future__ import annotations

import gzip
import zipfile

import pytest
from landing import Landing

from mailloom.archive import open_archive
from mailloom.archive.digest import digest
from mailloom.ports import UserError
from mailloom.run.ingest import ingest
from mailloom.sources import SourceError, bucket_of, survey
from mailloom.synth import shape_of, synth
from mailloom.wire import open_for_writing

pytestmark = pytest.mark.servers


class Counting:
    """A bucket's objects, and which of them were read."""

    def __init__(self, blobs):
        self.blobs, self.read = blobs, []
        self.list = blobs.list

    def get(self, key, version="", etag=""):
        self.read.append(key)
        return self.blobs.get(key, version, etag)

    def part(self, key, start, length, etag=""):
        self.read.append((key, start))
        return self.blobs.part(key, start, length, etag)


@pytest.fixture
def folder(tmp_path):
    """Mails, an mbox of 3 MB, a zip, a gzipped mbox, a foreign file."""
    place = tmp_path / "files"
    synth(place / "some", 30, 4, shape_of("size=2KB"), "eml")
    synth(place / "large.mbox", 500, 5, shape_of("size=8KB"), "mbox")
    synth(place / "small.mbox", 20, 6, shape_of("size=2KB"), "mbox")
    with zipfile.ZipFile(place / "packed.zip", "w") as packed:
        packed.write(place / "small.mbox", "inner/box")
    (place / "box.gz").write_bytes(gzip.compress((place / "small.mbox").read_bytes()))
    (place / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    for path in place.rglob("*.json*"):
        path.unlink()
    return place


@pytest.fixture
def landing(aws_url, prefix, tmp_path, folder) -> Landing:
    landing = Landing(aws_url, prefix, tmp_path / "landing")
    landing.s3.create_bucket(Bucket=prefix, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for path in folder.rglob("*"):
        if path.is_file():
            landing.put(f"mail/{path.relative_to(folder)}", path.read_bytes())
    landing.put("mail/", b"")  # what a console makes
    landing.put("other/1.eml", b"From: a@example.org\r\n\r\nnot asked for\r\n")
    return landing


def test_a_prefix_gives_what_its_files_in_a_folder_give(landing, folder, tmp_path):
    source = f"s3://{landing.name}/mail/"
    blobs = Counting(landing.blobs())
    with open_for_writing(tmp_path / "bucket") as stores:
        books = ingest([source], stores, buckets=lambda _: blobs)
    with open_for_writing(tmp_path / "plain") as stores:
        plain = ingest([str(folder)], stores)
    assert (books.received, books.stored, books.duplicate, books.rejected, books.foreign) == (
        plain.received, plain.stored, plain.duplicate, plain.rejected, plain.foreign,
    )  # fmt: skip
    assert books.received > 550
    with open_archive(tmp_path / "bucket") as one, open_archive(tmp_path / "plain") as two:
        assert [list(t) for t in digest(one) if t[0] != "copies"] == [list(t) for t in digest(two) if t[0] != "copies"]
        sources = {row[0] for row in one.connection.execute("select name from sources")}
        assert sources == {f"s3://{landing.name}"}
        assert one.connection.execute("select count(*) from deliveries where path = 'mail/large.mbox'").get == 500
    assert any(isinstance(key, tuple) for key in blobs.read)  # the large one in parts

    blobs.read.clear()
    with open_for_writing(tmp_path / "bucket") as stores:
        again = ingest([source, f"s3://{landing.name}"], stores, buckets=lambda _: blobs)
    assert (again.received, again.unchanged) == (1, 2 * 35)
    assert blobs.read == ["other/1.eml"]


def test_what_was_overwritten_is_read_again(landing, tmp_path):
    source = f"s3://{landing.name}/other"
    with open_for_writing(tmp_path / "archive") as stores:
        assert ingest([source], stores, buckets=landing.blobs).stored == 1
        landing.put("other/1.eml", b"From: a@example.org\r\n\r\nnot asked FOR\r\n")  # as long as before
        books = ingest([source], stores, buckets=landing.blobs)
        assert (books.stored, books.unchanged) == (1, 0)
        landing.put("other/1.eml", b"From: a@example.org\r\n\r\nlonger than it was before\r\n")
        assert ingest([source], stores, buckets=landing.blobs).stored == 1
        assert ingest([source], stores, buckets=landing.blobs).unchanged == 1
        states = stores.connection.execute("select count(*) from deliveries where state = 'stored'").get
    assert states == 3


def test_what_goes_while_it_is_listed_is_refused_and_the_rest_comes(landing, tmp_path):
    class Going(Counting):
        def get(self, key, version="", etag=""):
            return None if key.endswith("1.eml") else super().get(key, version, etag)

    landing.put("other/2.eml", b"From: b@example.org\r\n\r\nstays\r\n")
    with open_for_writing(tmp_path / "archive") as stores:
        books = ingest([f"s3://{landing.name}/other"], stores, buckets=lambda _: Going(landing.blobs()))
        assert (books.stored, books.rejected) == (1, 1)
        books = ingest([f"s3://{landing.name}/other"], stores, buckets=landing.blobs)
        assert (books.stored, books.unchanged) == (1, 1)


def test_a_bucket_that_is_not_there_says_so(landing, tmp_path):
    with open_for_writing(tmp_path / "archive") as stores, pytest.raises(UserError, match="does not exist"):
        ingest(["s3://no-such-bucket-at-all/x"], stores, buckets=landing.blobs)


def test_names_of_buckets():
    assert bucket_of("s3://b") == ("b", "")
    assert bucket_of("s3://b/") == ("b", "")
    assert bucket_of("s3://b/a/c") == ("b", "a/c")
    assert survey("s3://b/a") == (0, 0)
    with pytest.raises(SourceError, match="no bucket is named"):
        bucket_of("s3:///a")
