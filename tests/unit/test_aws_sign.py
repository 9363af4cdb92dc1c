"""Signatures are those that botocore gives, byte for byte: for any names, keys of objects, sessions and days."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from mailloom.stores.aws_sign import EMPTY, Signer

HOST = "example.org:4566"
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
credentials = st.builds(Credentials, words, words, st.one_of(st.none(), words))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001  hypothesis adds it


def theirs(auth: Any, request: AWSRequest, at: datetime) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda: at)
        auth.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(credentials, moments, st.binary(max_size=200), st.sampled_from(["dynamodb", "sqs"]))
def test_a_call_is_signed_as_botocore_signs_it(who: Credentials, at: datetime, body: bytes, service: str) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "host": HOST, "x-amz-target": "Service_1.Call"}
    request = AWSRequest("POST", f"https://{HOST}/", data=body, headers=headers)
    want = theirs(botocore.auth.SigV4Auth(who, service, "eu-central-1"), request, at)
    signer = Signer(who, service, "eu-central-1", lambda: at)
    assert signer.sign("POST", "/", headers, sha256(body).hexdigest()) == want


@given(credentials, moments, st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), words, words)
def test_a_get_of_an_object_is_signed_as_botocore_signs_it(
    who: Credentials, at: datetime, key: str, version: str, etag: str
) -> None:
    path = "/bucket/" + quote(key, safe="/-_.~")
    headers = {"host": HOST, "x-amz-content-sha256": EMPTY, "if-match": f'"{etag}"'}
    for query in ("", f"versionId={quote(version, safe='')}"):
        request = AWSRequest(
            "GET", f"https://{HOST}{path}" + (f"?{query}" if query else ""), headers={"if-match": f'"{etag}"'}
        )
        request.context["payload_signing_enabled"] = True
        request.headers["host"] = HOST
        want = theirs(botocore.auth.S3SigV4Auth(who, "s3", "eu-central-1"), request, at)
        assert Signer(who, "s3", "eu-central-1", lambda: at).sign("GET", path, headers, EMPTY, query) == want


def test_the_key_follows_the_day_and_renewed_credentials() -> None:
    headers = {"host": HOST}
    days = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2)]
    now = [days[0]]
    signer = Signer(Credentials("a", "one"), "sqs", "eu-central-1", lambda: now[0])
    for at, who in ((days[0], "one"), (days[1], "one"), (days[1], "two"), (days[0], "one")):
        now[0], signer.credentials = at, Credentials("a", who)
        fresh = Signer(Credentials("a", who), "sqs", "eu-central-1", lambda at=at: at)  # type: ignore[misc]
        assert signer.sign("POST", "/", headers, EMPTY) == fresh.sign("POST", "/", headers, EMPTY)
