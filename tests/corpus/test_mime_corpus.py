"""Real mail: all of it is read without an exception, and nothing of it is lost."""

from __future__ import annotations

import warnings
from hashlib import sha256
from pathlib import Path

import pytest

from mailloom.mail.parse import parse, read
from mailloom.mail.text.body import body


def mails(folder: Path) -> list[Path]:
    if not folder.is_dir():
        pytest.skip(f"no real mail here: {folder} is absent")
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("folder", "step"),
    [
        ("bulk/xdp-newbies", 4), ("bulk/usrp-users-sample", 3), ("bulk/enron-ermis", 3), ("bulk/spamassassin", 2), ("mime", 1),
    ],
)  # fmt: skip
def test_every_mail_is_read(corpus: Path, folder: str, step: int) -> None:
    read_mails(corpus / folder, step)


@pytest.mark.prove
def test_all_of_every_mail_is_read(corpus: Path) -> None:
    read_mails(corpus / "bulk", 1)


def read_mails(folder: Path, step: int) -> None:
    for path in mails(folder)[::step]:
        one = parse(path.read_bytes())
        written = [one.text, one.subject, *(value for _, value in one.headers), *(n.text for n in one.nested)]
        "".join(written).encode()
        assert [s.start for s in one.segments[1:]] == [s.end for s in one.segments[:-1]]


@pytest.mark.parametrize(("folder", "step"), [("bulk/spamassassin", 5), ("bulk/usrp-users-sample", 5), ("mime", 1)])
def test_no_leaf_is_lost(corpus: Path, folder: str, step: int) -> None:
    account_for(corpus / folder, step)


@pytest.mark.prove
def test_no_leaf_of_any_mail_is_lost(corpus: Path) -> None:
    account_for(corpus / "bulk", 1)


def account_for(folder: Path, step: int) -> None:
    """Each leaf is body, an alternative that was not read, or an attachment with the hash of its bytes; a body's text says
    something where the part does, or a problem tells.
    """
    for path in mails(folder)[::step]:
        mime, one = read(path.read_bytes())
        main = body(mime)
        listed = {a.part: a for a in one.attachments}
        leaves = {part.index for part in mime.parts if not part.multipart}
        assert main.parts | listed.keys() == leaves, path
        assert not main.parts & listed.keys(), path
        for index, file in listed.items():
            assert file.sha256 == sha256(mime.payload(index)).hexdigest(), path
            assert file.size == len(mime.payload(index)), path
        covered = sum(part.end - part.body_start for part in mime.parts if not part.multipart and not part.inside)
        assert covered <= len(mime.raw)


def test_headers_agree_with_the_standard_library(corpus: Path) -> None:
    """Message-ID and date of list mail, where the standard library is right nearly always."""
    import email
    import email.utils

    files = mails(corpus / "bulk/xdp-newbies")[::5]
    differ = []
    for path in files:
        raw = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = email.message_from_bytes(raw)
        one = parse(raw)
        when = email.utils.parsedate_tz(str(other["Date"] or ""))
        ms = email.utils.mktime_tz(when) * 1000 if when else None
        if (one.date.ms, one.message_id) != (ms, str(other["Message-ID"] or "").strip().strip("<>")):
            differ.append(path.name)
    assert not differ
