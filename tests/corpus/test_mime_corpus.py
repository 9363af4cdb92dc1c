"""Real mail: all of it is read without an exception, and conformance with another parser's expectations stays where it was."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from mailloom.mail.parse import parse


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


def boxes(value: Any) -> list[tuple[str, str]]:
    stated = value.get("Address", {}) if isinstance(value, dict) else {}
    listed = list(stated.get("List") or [])
    for group in stated.get("Group") or []:
        listed += group["addresses"]
    return [(one.get("name") or "", one.get("address") or "") for one in listed]


def last(headers: list[dict[str, Any]], name: str) -> Any:
    return next((h["value"] for h in reversed(headers) if h["name"] == name), None)


# Measured; what differs is understood: raw 8-bit in encoded words that we read and they replace, text parts that they list as
# attachments and we read as body, boundaries used at two levels.
FLOORS = {"subject": 0.95, "from": 0.99, "to": 0.94, "attachments": 0.83}


def test_agreement_with_expectations_shipped_with_mails(corpus: Path) -> None:
    files = [p for p in mails(corpus / "mime/stalwart-mail-parser/resources/eml") if p.suffix == ".eml"]
    agreed = dict.fromkeys(FLOORS, 0)
    for path in files:
        expected = json.loads(path.with_suffix(".json").read_text())
        headers = expected["parts"][0]["headers"]
        one = parse(path.read_bytes())
        subject = last(headers, "subject")
        stated = (subject or {}).get("Text", "") if isinstance(subject, dict) else ""
        agreed["subject"] += (stated or "").split() == one.subject.split()
        for name, ours in (("from", one.from_), ("to", one.to)):
            agreed[name] += boxes(last(headers, name)) == [(a.name, a.address) for a in ours if a.name or a.address]
        agreed["attachments"] += len(expected["attachments"]) == len(one.attachments)
    rates = {name: count / len(files) for name, count in agreed.items()}
    print(f"{len(files)} mails, agreement: {rates}")
    for name, floor in FLOORS.items():
        assert rates[name] >= floor, (name, rates)


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
