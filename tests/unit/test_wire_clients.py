"""Clients of servers are made once, whoever asks, and as stores want them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import pytest

from mailloom.config import load
from mailloom.ports import UserError
from mailloom.ports.scope import MAX_SCOPE, checked

clients = pytest.importorskip("mailloom.wire.clients")
KEYS = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "MAILLOOM_AWS_REGION": "eu-central-1"}


def made(**environ: str) -> clients.Clients:
    known = {**KEYS, **environ}
    return clients.Clients(load("aws", None, known, Path("/nowhere")).settings, known)


class Session:
    """As boto3's is: it can't make two clients at the same time."""

    def __init__(self) -> None:
        self.busy, self.made = Lock(), 0

    def get_credentials(self) -> None:
        """None: then boto3's own client is what stores get."""

    def client(self, *_: object, **__: object) -> object:
        assert self.busy.acquire(blocking=False), "two threads in one session"
        time.sleep(0.02)
        self.made += 1
        self.busy.release()
        from types import SimpleNamespace

        return SimpleNamespace(
            meta=SimpleNamespace(
                endpoint_url="https://sqs.example.org", events=SimpleNamespace(register=lambda *_: None)
            ),
            close=lambda: 0,
        )


def test_many_threads_get_one_client_of_a_service_and_never_two_at_once() -> None:
    found = made()
    found.__dict__["_session"] = session = Session()
    with ThreadPoolExecutor(16) as threads:
        got = list(threads.map(lambda n: found.aws(("s3", "sqs")[n % 2]), range(32)))
    assert session.made == 2
    assert len(set(map(id, got))) == 2


def test_a_cache_that_is_down_costs_one_short_timeout() -> None:
    cache = made(MAILLOOM_VALKEY_URL="redis://127.0.0.1:1/0").valkey()
    began = time.monotonic()
    with pytest.raises(Exception, match=r"127\.0\.0\.1:1"):
        cache.ping()
    assert time.monotonic() - began < 0.9  # retries of the library's own would sleep for seconds


@pytest.mark.parametrize("scope", ["a\x1f1", "a\0b", "a\udcff"])
def test_a_scope_that_stores_would_read_otherwise_is_refused(scope: str) -> None:
    from dataclasses import replace

    from mailloom.wire.profile import open_servers

    with pytest.raises(UserError, match="control character"):
        open_servers(replace(made().settings, scope=scope), KEYS)


def test_a_scope_is_no_longer_than_every_store_can_hold() -> None:
    assert checked("\u00e9" * (MAX_SCOPE // 2))
    with pytest.raises(UserError, match=f"at most {MAX_SCOPE} bytes"):
        checked("\u00e9" * (MAX_SCOPE // 2) + "e")


def test_an_address_of_a_cache_that_is_none_is_told_without_it() -> None:
    with pytest.raises(UserError) as told:
        made(MAILLOOM_VALKEY_URL="http://:secret@host").valkey()
    assert "valkey.url" in str(told.value)
    assert "secret" not in str(told.value)


def test_where_the_environment_names_a_proxy_boto3_makes_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    from mailloom.stores.aws_json import JsonClient

    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    found = made(MAILLOOM_AWS_REGION="eu-central-1")
    assert isinstance(found.aws("sqs"), JsonClient)
    found.close()
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    found = made(MAILLOOM_AWS_REGION="eu-central-1")
    assert not isinstance(found.aws("sqs"), JsonClient)
    found.close()
