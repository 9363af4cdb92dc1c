"""Addresses against other people's verdicts: every disagreement is a row of docs/addresses.md, and every row is a disagreement."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailloom.mail.people.address import addresses
from mailloom.mail.people.mailbox import valid

# isemail's categories for what SMTP can carry; the rest needs comments or obsolete forms, or is no address.
CARRIED = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}

# A disagreement -> its row in docs/addresses.md. A test may not show more of the addresses than its kind.
KINDS = {
    "IPv6 gap for one group": lambda text: re.search(r"\[IPv6:.*::", text) is not None,
    "blanks lost in the set": lambda text: re.fullmatch(r"[a-z]+@[a-z]+\.[a-z]+", text) is not None,
    "underscore in a domain": lambda text: re.fullmatch(r"[\w.]+@[a-z]*_[a-z]*", text) is not None,
    "sign in a domain": lambda text: re.search(r"@[\w.]*![\w.]*>", text) is not None,
}


def cases(folder: Path) -> Iterator[tuple[str, str, bool]]:
    """(set, address, could mail be sent to it)."""
    for line in (folder / "isemail" / "expected.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        yield "isemail", shown_controls(row["address"]), row["category"] in CARRIED
    for row in json.loads((folder / "email-addresses" / "test" / "tests.json").read_text("utf-8")):
        yield "email-addresses", shown_controls(row["address"]), row["category"] in CARRIED
    for name, verdict in (("valid", True), ("invalid", False)):
        for line in (folder / "flanker" / f"mailbox_{name}.txt").read_text("utf-8").split("\n"):
            if line and not line.startswith("#"):
                yield "flanker mailboxes", line, verdict
        for line in (folder / "flanker" / f"abridged_localpart_{name}.txt").read_text("utf-8").split("\n"):
            if line and not line.startswith("#"):
                yield "flanker local parts", f"{line}@example.com", verdict


def shown_controls(text: str) -> str:
    """isemail writes control characters as the signs for them, U+2400 and on."""
    return "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) < 0x2420 else c for c in text)


def verdict(name: str, text: str) -> bool:
    # flanker's mailboxes may have a name or a comment beside the address, as in a header field.
    if name == "flanker mailboxes" and not valid(text) and re.search(r"^\(|\)$|\s<", text):
        found = addresses(text)
        return len(found) == 1 and valid(found[0].address)
    return valid(text)


def rows(page: str) -> dict[tuple[str, str], int]:
    """(set, kind) -> count of the table of disagreements."""
    lines = re.findall(r"^\| ([a-z -]+) \| ([^|]+) \| (\d+) \|", page, re.MULTILINE)
    return {(name.strip(), kind.strip()): int(count) for name, kind, count in lines}


@pytest.fixture(scope="module")
def sets(corpus: Path) -> Path:
    folder = corpus / "addr"
    if not folder.is_dir():
        pytest.skip(f"no addresses with verdicts here: {folder} is absent")
    return folder


def test_every_disagreement_is_explained_and_every_explanation_needed(sets: Path, root: Path) -> None:
    found: Counter[tuple[str, str]] = Counter()
    unexplained = []
    for name, text, wanted in cases(sets):
        if verdict(name, text) == wanted:
            continue
        kind = next((kind for kind, fits in KINDS.items() if fits(text)), None)
        if kind is None:
            unexplained.append((name, text, wanted))
        else:
            found[name, kind] += 1
    assert not unexplained
    assert dict(found) == rows((root / "docs" / "addresses.md").read_text("utf-8"))


def test_the_tolerant_reader_finds_every_valid_mailbox(sets: Path) -> None:
    """What could be sent to is read from a header field as it stands."""
    wrong = []
    for _, text, _ in cases(sets):
        if valid(text):
            for written, name in ((f"Ann <{text}>", "Ann"), (text, "")):
                found = [(one.name, one.address, bool(one.key)) for one in addresses(written)]
                if found != [(name, text, True)]:
                    wrong.append((written, found))
    assert not wrong


def test_nothing_raises_and_no_key_changes_under_itself(sets: Path) -> None:
    for _, text, _ in cases(sets):
        for one in addresses(text):
            assert not one.key or [again.key for again in addresses(f"<{one.key}>")] == [one.key]
