"""Mail that ends who reads it, or is never read to its end: it is rejected, and what is read beside it is not."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

import pytest

from mailloom.ports import Pointer
from mailloom.run import arrivals
from mailloom.run.arrivals import Mail, Transformer, Worked, work


def reading(mails: Sequence[Mail]) -> Worked:
    for mail in mails:
        if mail.raw == b"ends" and not mail.reason:
            os._exit(9)
        if mail.raw == b"hangs" and not mail.reason:
            time.sleep(600)
        if mail.raw == TOLD and not mail.reason:
            os.kill(os.getpid(), signal.SIGTERM)
    return work(mails, keep=True)


TOLD = b"From: ann@example.org\nTo: bo@example.net\nSubject: Told\n\nAll ready.\n"


def mail(raw: bytes) -> Mail:
    return Mail(Pointer("mail", "raw/1.eml", "v", "e", len(raw), 1), raw)


def good(number: int) -> Mail:
    return mail(b"From: ann@example.org\nTo: bo@example.net\nSubject: Tides %d\n\nAll ready.\n" % number)


def reasons(worked: Worked) -> list[str]:
    return [one.sealed.reason for one in worked.arrived]


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_ends_a_process_apart_is_rejected_alone(jobs: int) -> None:
    transformer = Transformer(jobs, keep=True)
    transformer.work = reading  # type: ignore[assignment]
    try:
        worked = transformer.alone([good(1), mail(b"ends"), good(2), mail(b"ends"), good(3)])
    finally:
        transformer.close()
    ended = "bug: the worker process ended with exit code 9"
    assert reasons(worked) == ["", ended, "", ended, ""]
    assert len(worked.frames) > 0


def test_a_service_that_is_told_to_end_with_all_its_processes_rejects_no_mail() -> None:
    """Who stops a service may tell each process, and the parent finishes what it holds."""
    transformer = Transformer(1, keep=True)
    transformer.work = reading  # type: ignore[assignment]
    try:
        assert reasons(transformer.alone([mail(TOLD), good(1)])) == ["", ""]
    finally:
        transformer.close()


def test_where_no_process_can_be_begun_mail_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(arrivals, "Pool", none)
    assert reasons(Transformer(1, keep=True).alone([good(1), good(2)])) == ["", ""]


def test_what_is_never_read_to_its_end_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    transformer = Transformer(1, keep=True)
    transformer.work = reading  # type: ignore[assignment]
    try:
        assert reasons(transformer.alone([good(1)])) == [""]  # begun: its limit is for reading
        monkeypatch.setattr(arrivals, "ALONE_S", 1.0)
        assert reasons(transformer.alone([mail(b"hangs")])) == ["bug: it was not read within 1 s"]
        monkeypatch.setattr(arrivals, "ALONE_S", 240.0)
        assert reasons(transformer.alone([good(2)])) == [""]
    finally:
        transformer.close()
