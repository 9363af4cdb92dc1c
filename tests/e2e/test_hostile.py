"""Mail that was made to break its reader: each is stored or rejected with the reason, its bytes are kept, nothing crashes or hangs."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

from mailloom.archive import Archive, open_archive
from mailloom.archive.digest import digest
from mailloom.archive.doctor import examine
from mailloom.flow.transform import seal, transform
from mailloom.mail.model import Origin
from mailloom.run.ingest import Books, ingest
from mailloom.synth import generate, shape_of
from mailloom.wire import open_for_writing

PACKED = (".gz", ".zip", ".tar")


@pytest.fixture(scope="module")
def brought(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Books]:
    """All cases as one folder in an archive of their own."""
    archive = tmp_path_factory.mktemp("hostile-archive") / "archive"
    with open_for_writing(archive) as stores:
        return archive, ingest([str(hostile)], stores)


def test_each_case_is_stored_or_has_its_reason(brought: tuple[Path, Books], hostile: Path) -> None:
    archive, books = brought
    assert books.balanced
    with open_archive(archive) as opened:
        found = opened.connection.execute("select path, state, reason, message from deliveries order by path, start")
        by_file: dict[str, list[tuple[str, str, bytes | None]]] = {}
        for path, *rest in found:
            by_file.setdefault(path.split("!")[0], []).append(tuple(rest))
    cases = {path.name for path in hostile.iterdir()}
    assert set(by_file) == cases
    for name, deliveries in by_file.items():
        for state, reason, message in deliveries:
            assert state in {"stored", "duplicate", "rejected", "foreign"}, name
            assert (message is not None) == (state in {"stored", "duplicate"}), name
            assert bool(reason) == (message is None), name
            assert not reason.startswith("bug"), (name, reason)
        if not name.endswith(PACKED):
            assert {state for state, _, _ in deliveries} <= {"stored", "duplicate"}, (name, "a mail is never wrong")


def test_the_bytes_of_each_are_kept(brought: tuple[Path, Books], hostile: Path) -> None:
    archive, _ = brought
    with open_archive(archive) as opened:
        for path in sorted(hostile.glob("*.eml")):
            sha = sha256(path.read_bytes()).digest()
            where = opened.stores.records.located([sha])
            assert opened.stores.packs.read(sha, where[sha]) == path.read_bytes(), path.name
        sql = "select count(*) from deliveries where message is null and reason not like '%500-fold%' and reason not like '%not followed' and raw_sha256 = x''"
        assert opened.connection.execute(sql).get == 0


def test_the_archive_is_sound_and_can_be_used(brought: tuple[Path, Books]) -> None:
    archive, books = brought
    with open_archive(archive) as opened:
        assert [finding for finding in examine(opened, deep=True) if not finding.ok] == []
        assert len(opened) == books.stored
        for record in opened.records():
            assert record.message.text.encode() is not None
            record.message.subject.encode()
        assert opened.search("body", 3)
        assert opened.to_arrow().num_rows == books.stored


def test_again_nothing_comes_anew(brought: tuple[Path, Books], hostile: Path) -> None:
    archive, _ = brought
    before = hashes(archive)
    with open_for_writing(archive) as stores:
        again = ingest([str(hostile)], stores)
    assert (again.received, again.stored, again.duplicate) == (0, 0, 0)
    assert hashes(archive) == before


def hashes(archive: Path) -> list[object]:
    with open_archive(archive) as opened:
        return list(digest(opened, raw=True))


# ------------------------------------------------------------------------------------------------ our own
def garbled(seed: int) -> list[bytes]:
    """Synthetic mail with bytes flipped, cut, repeated and put in anywhere."""
    dice = Random(seed)
    pieces = [
        b"\r\n", b"\n\n", b"\0", b"\xff\xfe", b"=?utf-8?B?", b"?=", b"--", b"boundary=", b"Content-Type: multipart/mixed\n", b"<", b">",
        b"\nFrom ", b"\n>From ", b"\xed\xa0\x80", b"=\n", b"Content-Transfer-Encoding: base64\n", b"Date: Mon, 99 Foo 99999\n", b"[[", b"((",
        "\u202e\u2028\x85".encode(), b"<!--", b"</", b"charset=utf-7;", b"@" * 40, b"Message-ID: <>\n", b"\x1b$B", b"%00", b";" * 30,
    ]  # fmt: skip
    mails = []
    for one in generate(120, seed, shape_of("size=3KB,attachments=0.2,attachment_size=1KB,broken=0.3")):
        raw = bytearray(one.raw)
        for _ in range(dice.randrange(1, 30)):
            at = dice.randrange(len(raw) + 1)
            if dice.random() < 0.5:
                raw[at:at] = dice.choice(pieces)
            elif dice.random() < 0.7:
                raw[at : at + dice.randrange(1, 80)] = dice.randbytes(dice.randrange(4))
            else:
                raw[at:at] = raw[dice.randrange(len(raw)) :][:400]
        mails.append(bytes(raw[: dice.randrange(1, len(raw) + 1)] if dice.random() < 0.2 else raw))
    return mails


@pytest.mark.parametrize("seed", range(4))
def test_garbled_mail_is_stored_whole(seed: int, tmp_path: Path) -> None:
    mails = garbled(seed)
    (tmp_path / "in").mkdir()
    for number, raw in enumerate(mails):
        (tmp_path / "in" / f"{number}.eml").write_bytes(raw)
    with open_for_writing(tmp_path / "archive") as stores:
        books = ingest([str(tmp_path / "in")], stores)
    assert (books.received, books.rejected, books.foreign) == (len(mails), 0, 0)
    assert books.balanced
    with open_archive(tmp_path / "archive") as opened:
        assert [finding for finding in examine(opened, deep=True) if not finding.ok] == []
        assert kept(opened) == {sha256(raw).digest() for raw in mails}
        opened.to_arrow()


def kept(archive: Archive) -> set[bytes]:
    return {row[0] for row in archive.connection.execute("select sha256 from raws")}


@pytest.mark.parametrize("seed", range(4, 7))
def test_garbled_mail_gives_what_its_bytes_say_and_nothing_else(seed: int) -> None:
    for raw in garbled(seed):
        origin = Origin("s", "p", 0, len(raw), len(raw), 0)
        once, again = transform(raw, origin), transform(bytes(bytearray(raw)), origin)
        assert once.reason == ""
        assert seal(once) == seal(again)


def test_a_garbled_box_loses_no_byte(tmp_path: Path) -> None:
    """Cut anywhere, whatever is in it: what comes, with its From_ lines and the blank lines between, is the file."""
    data = b"".join(
        b"From ann@example.org Mon Mar  4 09:00:00 2024\n" + raw.replace(b"\nFrom ", b"\n>From ") + b"\n\n"
        for raw in garbled(9)[:60]
    )
    dice = Random(1)
    for number in range(12):
        file = tmp_path / f"{number}.mbox"
        file.write_bytes(data[: dice.randrange(len(data))] if number else data)
        with open_for_writing(tmp_path / f"a{number}") as stores:
            books = ingest([str(file)], stores)
            spans = sorted(stores.connection.execute("select start, start + length from deliveries").fetchall())
        assert books.balanced
        whole, at = file.read_bytes(), 0
        for start, end in spans:
            between = whole[at:start]
            assert not between.strip() or between.strip().startswith(b"From "), between
            assert between.strip().count(b"\n") == 0, between
            at = end
        assert not whole[at:].strip()


def test_deep_and_wide_stay_off_the_stack(tmp_path: Path) -> None:
    """With little stack left, a mail with ten thousand levels of anything is read like another."""
    n = 10_000
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(n))
    attached = b"Content-Type: message/rfc822\n\n" * n
    html = b"Content-Type: text/html\n\n" + b"<div><blockquote><b>" * n + b"text"
    quotes = b"\n" + b"\n".join(b">" * i for i in range(1, 2000))
    head = b"From: Ann <ann@example.org>\nDate: Mon, 4 Mar 2024 09:00:00 +0000\n"
    comments = b"From: " + b"(" * n + b" ann@example.org\n\nx"
    groups = b"To: " + b"a:" * n + b";\nReferences: " + b"<" * n + b"\n\nx"
    room = sys.getrecursionlimit()
    sys.setrecursionlimit(220)
    try:
        outcomes = [
            transform(raw, Origin("s", "p", 0, len(raw), 0, 0))
            for raw in (head + nested, head + attached, head + html, head + quotes, comments, head + groups)
        ]
    finally:
        sys.setrecursionlimit(room)
    assert [outcome.reason for outcome in outcomes] == [""] * 6
