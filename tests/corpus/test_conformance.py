"""Conformance with what other parsers' test suites say of their mails. Each difference is explained in docs/mime.md, by file and
field: the test fails on one that isn't, and on an explanation whose difference is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import expected
import pytest

from mailloom.mail.parts.mime import scan

Key = tuple[str, str]


def explained(root: Path, suite: str) -> set[Key]:
    """(file, field) of the rows in the section of docs/mime.md that has this name."""
    page = (root / "docs" / "mime.md").read_text("utf-8")
    section = page.split(f"\n### {suite}\n", 1)[1].split("\n#", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    return {(file, field) for row in rows for file in _items(row[0]) for field in _items(row[1])}


def _items(cell: str) -> list[str]:
    return [item.strip() for item in cell.split(",")]


def differing(cases: Iterable[tuple[str, expected.Compared]]) -> tuple[int, set[Key], dict[Key, str]]:
    """How many things were compared, what differed, and how."""
    count, differs, how = 0, set(), {}
    for name, (field, theirs, ours) in cases:
        count += 1
        if theirs != ours:
            differs.add((name, field))
            how[name, field] = f"theirs {theirs!r:.200} ours {ours!r:.200}"
    return count, differs, how


def check(root: Path, suite: str, cases: Iterable[tuple[str, expected.Compared]], least: int) -> None:
    count, differs, how = differing(cases)
    known = explained(root, suite)
    new = sorted(differs - known)
    assert not new, "\n".join(f"{key}: {how[key]}" for key in new)
    assert not known - differs, f"explained, and no longer so: {sorted(known - differs)}"
    assert count >= least, f"only {count} things were compared"
    print(f"{suite}: {count} things compared, {len(differs)} differ")


def folder(corpus: Path, name: str) -> Path:
    path = corpus / "mime" / name
    if not path.is_dir():
        pytest.skip(f"{path} is absent")
    return path


def test_stalwart(corpus: Path, root: Path) -> None:
    mails = folder(corpus, "stalwart-mail-parser") / "resources" / "eml"

    def cases() -> Iterator[tuple[str, expected.Compared]]:
        for path in sorted(mails.rglob("*.eml")):
            raw = path.read_bytes()
            crlf = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            for data, suffix in ((raw, ".json"), (crlf, ".crlf.json")):
                said = json.loads(path.with_suffix(suffix).read_text("utf-8"))
                for one in expected.stalwart(data, said):
                    yield f"{path.parent.name}/{path.stem}", one

    check(root, "stalwart mail-parser, mails", cases(), 2000)


def test_stalwart_fields(corpus: Path, root: Path) -> None:
    tables = folder(corpus, "stalwart-mail-parser") / "resources"
    check(root, "stalwart mail-parser, fields", expected.stalwart_tables(tables), 230)


def test_mime4j(corpus: Path, root: Path) -> None:
    mails = sorted(folder(corpus, "james-mime4j").rglob("*.msg"))
    cases = ((path.stem, one) for path in mails for one in expected.mime4j(path))
    check(root, "mime4j", cases, 300)


def test_enmime(corpus: Path, root: Path) -> None:
    """Its goldens are what its builder writes: mails without fault, and for two raw ones the same mail encoded anew."""
    goldens = sorted((folder(corpus, "enmime") / "testdata" / "encode").glob("*.golden"))

    def cases() -> Iterator[tuple[str, expected.Compared]]:
        for path in goldens:
            mime = scan(path.read_bytes())
            leaves = [mime.payload(part.index) for part in mime.parts if not part.multipart]
            for part in mime.parts:
                if part.type.startswith("text/"):
                    mime.text(part.index)  # which may find something odd
            yield path.name, ("problems", (), mime.problems)
            source = path.with_name(path.name.removesuffix(".golden").replace("-false", "").replace("-true", ""))
            if source.is_file():
                other = scan(source.read_bytes())
                theirs = [other.payload(part.index) for part in other.parts if not part.multipart]
                yield path.name, ("leaves", [x.strip() for x in theirs], [x.strip() for x in leaves])

    check(root, "enmime", cases(), 20)
