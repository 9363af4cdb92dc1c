"""What S3 may answer that no emulator does, told alike by both ways of reading an object."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import boto3
import pytest
from botocore.config import Config

from mailloom.ports import Transient, UserError
from mailloom.stores.aws_http import Http
from mailloom.stores.s3 import S3Blobs


class Bucket(ThreadingHTTPServer):
    """Answers every GET with the same: `status`, `body`, and a length that may be another."""

    status, body, missing = 200, b"", 0

    def refuse(self, status: int, code: str) -> None:
        self.status, self.body = status, f"<Error><Code>{code}</Code><Message>why</Message></Error>".encode()


class Answer(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body) + self.server.missing))
        self.send_header("etag", '"one"')
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Not to the terminal."""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(params=["botocore", "without botocore"])
def blobs(bucket: Bucket, request: pytest.FixtureRequest) -> Iterator[S3Blobs]:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    client = session.client("s3", endpoint_url=f"http://127.0.0.1:{bucket.server_port}", config=config)
    made = S3Blobs(client, "b", None if request.param == "botocore" else session.get_credentials())
    assert made.get("mail") == b""  # where requests go is learnt by one that is answered
    if made._reader is not None:
        made._reader.http = Http(f"http://127.0.0.1:{bucket.server_port}", sleep=lambda _: None)
    yield made
    client.close()


def test_a_body_that_ends_too_early_is_no_mail(bucket: Bucket, blobs: S3Blobs) -> None:
    bucket.body, bucket.missing = b"Subject: half of", 100
    for read in (lambda: blobs.get("mail"), lambda: blobs.beginning("mail", 1000), lambda: blobs.part("mail", 0, 1000)):
        with pytest.raises(Transient, match="bucket b"):
            read()


@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (503, "SlowDown", Transient, "SlowDown"),
        (400, "RequestTimeout", Transient, "RequestTimeout"),
        (403, "AccessDenied", UserError, "let the role"),
        (403, "KMS.AccessDeniedException", UserError, "let the role"),
        (400, "KMS.DisabledException", UserError, "its key can't be used"),
        (400, "KMS.KMSInvalidStateException", UserError, "its key can't be used"),
        (403, "InvalidObjectState", UserError, "archived .* restore it first"),
    ],
)
def test_what_s3_answers(
    bucket: Bucket, blobs: S3Blobs, status: int, code: str, error: type[Exception], words: str
) -> None:
    bucket.refuse(status, code)
    for read in (lambda: blobs.get("mail"), lambda: blobs.beginning("mail", 10), lambda: blobs.part("mail", 0, 10)):
        with pytest.raises(error, match=words) as caught:
            read()
        assert caught.type is error
