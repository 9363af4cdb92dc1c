"""Disagreements with the standard library's parser: all of a known cause, in the numbers that docs/mime.md tells."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from differential import Difference, differences, modern_differences
from test_conformance import explained

FOLDERS = ("xdp-newbies", "usrp-users-sample", "enron-ermis", "spamassassin")
NO_MAIL = {".json", ".xml", ".out", ".golden", ".png", ".bin", ".pdf", ".jpg", ".tiff", ".zip", ".gif"}


def mails(folder: Path) -> list[Path]:
    if not folder.is_dir():
        pytest.skip(f"no real mail here: {folder} is absent")
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in NO_MAIL)


def told(path: Path, one: Difference) -> str:
    return f"{path.name}: {one.what}: theirs {one.theirs!r:.150} ours {one.ours!r:.150}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_sample_disagrees_only_for_known_causes(corpus: Path, folder: str) -> None:
    found = [(path, one) for path in mails(corpus / "bulk" / folder)[::7] for one in differences(path.read_bytes())]
    assert not [told(path, one) for path, one in found if not one.cause]


@pytest.mark.prove
def test_all_disagreements_are_counted(corpus: Path, root: Path) -> None:
    counts: Counter[str] = Counter()
    unknown = []
    for folder in FOLDERS:
        for path in mails(corpus / "bulk" / folder):
            for one in differences(path.read_bytes()):
                counts[one.cause] += 1
                unknown += [told(path, one)] if not one.cause else []
    assert not unknown
    page = (root / "docs" / "mime.md").read_text("utf-8").split("\n### The standard library, on bulk mail\n", 1)[1]
    rows = [line.strip("|").split("|") for line in page.split("\n#", 1)[0].splitlines() if line.startswith("|")][2:]
    assert {row[0].strip(): int(row[1]) for row in rows if int(row[1])} == dict(counts)


@pytest.mark.prove
@pytest.mark.parametrize(
    ("folder", "step"), [("xdp-newbies", 4), ("usrp-users-sample", 2), ("enron-ermis", 4), ("spamassassin", 1)]
)
def test_the_newer_interface_disagrees_only_for_known_causes(corpus: Path, folder: str, step: int) -> None:
    unknown, raised = [], 0
    for path in mails(corpus / "bulk" / folder)[::step]:
        try:
            unknown += [told(path, one) for one in modern_differences(path.read_bytes()) if not one.cause]
        except (LookupError, ValueError, AttributeError):  # on real mail, where ours never does
            raised += 1
    assert not unknown
    assert raised < 10


def test_fixtures_disagree_only_where_explained(corpus: Path, root: Path) -> None:
    unknown, causes = {}, set()
    for path in mails(corpus / "mime"):
        for one in differences(path.read_bytes()):
            causes.add(one.cause)
            if not one.cause:
                unknown[path.name, one.what] = told(path, one)
    known = explained(root, "The standard library, on fixtures")
    assert not [text for key, text in unknown.items() if key not in known]
    assert not known - unknown.keys(), "explained, and no longer so"
