"""Folders, Maildirs, standard input, and what can't be read: each has its place and reason, and the rest comes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mailloom.sources import (
    Finished,
    Item,
    Options,
    Place,
    Refused,
    SourceError,
    Unchanged,
    load,
    maildir,
    survey,
    walk,
)
from mailloom.sources.place import WHOLE, label

MAIL = b"From: ann@example.org\nSubject: one\n\ntext\n"
LINE = b"From ann@example.org Thu Sep  3 02:14:00 2026\n"


def found_in(source: Path, **how: object) -> list[Item | Refused]:
    return [one for one in walk(str(source), **how) if not isinstance(one, Finished | Unchanged)]  # type: ignore[arg-type]


def write(path: Path, data: bytes = MAIL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_folder_of_files_without_suffix(tmp_path: Path) -> None:
    for name in ("b/inbox/2_", "b/inbox/10_", "a/sent/1_", "z.eml", "notes"):
        write(tmp_path / name, MAIL if name != "notes" else b"buy milk\n")
    found = found_in(tmp_path)
    assert [(one.origin.path, one.origin.folder) for one in found] == [
        ("notes", ""),
        ("z.eml", ""),
        ("a/sent/1_", "a/sent"),
        ("b/inbox/10_", "b/inbox"),
        ("b/inbox/2_", "b/inbox"),
    ]
    assert isinstance(found[0], Refused)
    assert (found[0].kind, found[0].reason) == ("not mail", "not mail: looks like plain text")
    origin = found[1].origin
    assert (origin.source, origin.start, origin.length, origin.size) == (str(tmp_path), 0, len(MAIL), len(MAIL))
    assert origin.mtime_ns == (tmp_path / "z.eml").stat().st_mtime_ns
    assert found_in(tmp_path) == found


def test_every_kind_in_one_folder(tmp_path: Path) -> None:
    write(tmp_path / "old/archive.mbox", LINE + MAIL + b"\n" + LINE + MAIL)
    write(tmp_path / "1.emlx", b"%d      \n" % len(MAIL) + MAIL + b"<?xml ?><plist/>")
    write(tmp_path / "M/cur/1700000000.M1P2.host:2,S")
    write(tmp_path / "M/new/1700000001.M1P2.host")
    (tmp_path / "M/tmp").mkdir()
    assert [(one.origin.path, one.raw, one.origin.folder) for one in found_in(tmp_path)] == [
        ("1.emlx", MAIL, ""),
        ("M/1700000000.M1P2.host", MAIL, "M"),
        ("M/1700000001.M1P2.host", MAIL, "M"),
        ("old/archive.mbox", MAIL, "old/archive"),
        ("old/archive.mbox", MAIL, "old/archive"),
    ]


def test_known_is_asked_once_a_file_and_unchanged_files_are_not_opened(tmp_path: Path) -> None:
    write(tmp_path / "1.eml").chmod(0)
    write(tmp_path / "2.eml")
    asked: list[Place] = []

    def known(place: Place) -> int | None:
        asked.append(place)
        return -1 if place.path == "1.eml" else None

    found = list(walk(str(tmp_path), known=known))
    assert [type(one) for one in found] == [Unchanged, Item, Finished]
    assert [(one.path, one.size) for one in asked] == [("1.eml", len(MAIL)), ("2.eml", len(MAIL))]


def test_a_maildirs_flags_and_folders(tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp", ".Work.Caf&AOk-/cur", ".Work.Caf&AOk-/new", ".Work.Caf&AOk-/tmp"):
        (tmp_path / name).mkdir(parents=True)
    write(tmp_path / "cur/1700000002.M3P4.host,S=40:2,FS", b"no mail by its looks")
    write(tmp_path / "new/1700000001.M1P4.host")
    write(tmp_path / "tmp/1700000003.M3P4.host")
    write(tmp_path / "cur/.hidden")
    write(tmp_path / "dovecot-uidlist", b"3 V1 N2 Gabc\n")
    write(tmp_path / ".Work.Caf&AOk-/cur/1.M3P4.host:2,")
    found = [one for one in found_in(tmp_path) if isinstance(one, Item)]
    assert [(o.origin.path, o.origin.flags, o.origin.folder, o.origin.received_at) for o in found] == [
        ("1700000001.M1P4.host", "", "INBOX", 1700000001000),
        ("1700000002.M3P4.host,S=40", "FS", "INBOX", 1700000002000),
        (".Work.Caf&AOk-/1.M3P4.host", "", "Work/Café", None),
    ]
    assert found[1].raw == b"no mail by its looks"


def test_a_change_of_flags_is_no_new_place(tmp_path: Path) -> None:
    (tmp_path / "cur").mkdir()
    file = write(tmp_path / "new/1700000001.M1P4.host")
    write(tmp_path / "cur/1700000002.M1P4.host:2,S")
    before = [one.place if isinstance(one, Unchanged) else None for one in walk(str(tmp_path), known=lambda _: -1)]
    file.rename(tmp_path / "cur/1700000001.M1P4.host:2,RS")
    after = [one.place if isinstance(one, Unchanged) else None for one in walk(str(tmp_path), known=lambda _: -1)]
    key = [(p.path, p.size, p.mtime_ns) for p in before if p]
    assert key == [(p.path, p.size, p.mtime_ns) for p in after if p]
    assert after[0] is not None
    assert after[0].flags == "RS"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1.a.host:2,FS", ("1.a.host", "FS")),
        ("1.a.host!2,S", ("1.a.host", "S")),
        ("1.a.host:2,", ("1.a.host", "")),
        ("1.a.host:1,x", ("1.a.host:1,x", "")),
        ("1.a:2,S:2,T", ("1.a:2,S", "T")),
        ("plain", ("plain", "")),
    ],
)
def test_maildir_names(name: str, expected: tuple[str, str]) -> None:
    assert maildir.read_name(name) == expected


def test_maildir_folder_names() -> None:
    assert maildir.folder_name(".A.B&-C") == "A/B&C"
    assert maildir.folder_name(".&2D3-") == "&2D3-"
    assert maildir.folder_name("plain.name") == "plain.name"


def test_a_file_that_grows_meanwhile_is_read_to_its_end(tmp_path: Path) -> None:
    for size in (3, WHOLE):
        file = write(tmp_path / "1.eml")

        def known(_: Place, file: Path = file, size: int = size) -> None:
            with file.open("ab") as more:
                more.write(b"x\n" * size)

        (found,) = found_in(tmp_path, known=known)
        assert isinstance(found, Item)
        only = load(found)
        assert isinstance(only, Item)
        assert only.raw is not None
        assert only.raw == MAIL + b"x\n" * size
        assert only.origin.length == len(only.raw)


def test_links_are_told_and_not_followed(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside/secret.eml")
    root = tmp_path / "root"
    write(root / "1.eml")
    (root / "in.eml").symlink_to("1.eml")
    (root / "out.eml").symlink_to(outside)
    (root / "gone.eml").symlink_to("nowhere")
    (root / "loop").symlink_to(root, target_is_directory=True)
    (root / "self").symlink_to("self")
    found = found_in(root)
    assert [one.origin.path for one in found if isinstance(one, Item)] == ["1.eml"]
    reasons = {one.origin.path: one.reason for one in found if isinstance(one, Refused) and one.kind == "link"}
    assert set(reasons) == {"in.eml", "out.eml", "gone.eml", "loop", "self"}
    assert reasons["out.eml"].startswith("a link out of the folder")
    assert str(outside) in reasons["out.eml"]
    assert reasons["gone.eml"].startswith("a broken link")
    # What the user names himself is followed.
    assert [one.raw for one in found_in(root / "out.eml")] == [MAIL]


def test_pipes_and_sockets_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.eml")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        found = found_in(tmp_path)
    assert [one.kind for one in found if isinstance(one, Refused)] == ["not mail", "not mail"]
    with pytest.raises(SourceError, match="standard input"):
        walk(str(tmp_path / "pipe.eml"))


def test_a_file_that_vanishes_or_becomes_a_pipe_meanwhile(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1.eml"), write(tmp_path / "2.eml")
    write(tmp_path / "3.eml")

    def known(place: Place) -> None:
        if place.path == "1.eml":
            first.unlink()
        if place.path == "2.eml":
            second.unlink()
            second.symlink_to("3.eml")

    one, two, three = found_in(tmp_path, known=known)
    assert isinstance(one, Refused)
    assert one.reason.startswith("vanished while reading")
    assert isinstance(two, Refused)
    assert two.kind == "link"
    assert three.raw == MAIL


def test_what_may_not_be_read_is_told_with_path_and_remedy(tmp_path: Path) -> None:
    """As another user, as root may read everything."""
    root = tmp_path / "root"
    write(root / "a/1.eml")
    write(root / "b/2.eml").chmod(0)
    write(root / "c/3.eml")
    (root / "a").chmod(0o311)
    script = (
        "import os, sys\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "from mailloom.sources import *\n"
        "try:\n"
        "    for one in walk(sys.argv[1]): print(type(one).__name__, getattr(one, 'reason', ''))\n"
        "except SourceError as error: print('SourceError', error)\n"
    )

    def run(path: Path) -> list[str]:
        # The package is imported before the user changes, as its files may lie where another may not look.
        early = "import mailloom.sources, mailloom.sources.walk, zipfile\n" + script
        got = subprocess.run(
            [sys.executable, "-c", early, str(path)], capture_output=True, text=True, check=True, timeout=30
        )
        return got.stdout.splitlines()

    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent not in {Path("/"), Path("/tmp")}:
            parent.chmod(parent.stat().st_mode | 0o055)
    lines = run(root)
    assert [line.split()[0] for line in lines] == ["Refused", "Refused", "Finished", "Item", "Finished"] or [
        line.split()[0] for line in lines
    ] == ["Refused", "Refused", "Item", "Finished"]
    assert lines[0] == f"Refused permission denied: {root / 'a'} (make it readable for this user, or run as its owner)"
    assert str(root / "b/2.eml") in lines[1]
    assert run(root / "a") == [
        f"SourceError permission denied: {root / 'a'} (make it readable for this user, or run as its owner)"
    ]
    (root / "a").chmod(0o755)


def test_no_such_source_is_raised_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file or folder: .*/nowhere \(relative paths start at"):
        walk(str(tmp_path / "nowhere"))


def test_names_that_are_no_text_are_escaped_and_still_read(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9\n.eml"
    with open(path, "wb") as file:
        file.write(MAIL)
    (only,) = found_in(tmp_path)
    assert (only.origin.path, only.raw) == ("caf\\xe9\\x0a.eml", MAIL)
    only.origin.path.encode()
    assert label("ok é") == "ok é"


def test_large_messages_are_left_to_the_worker(tmp_path: Path) -> None:
    large = MAIL + b"x\n" * (WHOLE // 2)
    path = write(tmp_path / "1.eml", large)
    write(tmp_path / "2", large)
    write(tmp_path / "3", b"x\n" * WHOLE)
    write(tmp_path / "4", LINE + large)
    one, two, three, four = found_in(tmp_path)
    assert isinstance(one, Item)
    assert (one.raw, one.file, one.origin.length) == (None, str(path), len(large))
    loaded = load(one)
    assert (loaded.raw, loaded.origin) == (large, one.origin)
    assert isinstance(two, Item)
    assert two.file == str(tmp_path / "2")
    assert isinstance(three, Refused)
    assert four.raw == large
    path.unlink()
    assert isinstance(load(one), Refused)
    refused = found_in(tmp_path, options=Options(max_mail=WHOLE))[0]
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.origin.length) == ("too large", len(large))


@pytest.mark.parametrize(
    ("data", "count"),
    [(MAIL, 1), (LINE + MAIL + b"\n" + LINE + MAIL, 2), (b"", 0), (b"\xff\xd8\xff", 0)],
)
def test_standard_input(data: bytes, count: int) -> None:
    script = "from mailloom.sources import *\nfor one in walk('-'): print(type(one).__name__, one.origin.source, one.origin.length)"
    got = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True, timeout=30)
    lines = got.stdout.decode().splitlines()
    assert lines[:count] == [f"Item - {len(MAIL)}"] * count
    assert len(lines) == max(count, 1)


def test_a_from_line_tells_when_a_single_message_was_received(tmp_path: Path) -> None:
    (only,) = found_in(write(tmp_path / "1.eml", LINE + MAIL))
    assert (only.raw, only.origin.received_at) == (LINE + MAIL, 1788401640000)


def test_names_of_boxes_become_folders(tmp_path: Path) -> None:
    for name in ("Inbox.sbd/Old.mbox", "Sent", "Export.mbox/mbox", "2026-January.txt"):
        write(tmp_path / name, LINE + MAIL)
    assert {one.origin.path: one.origin.folder for one in found_in(tmp_path)} == {
        "Inbox.sbd/Old.mbox": "Inbox/Old",
        "Sent": "Sent",
        "Export.mbox/mbox": "Export",
        "2026-January.txt": "2026-January",
    }


def test_survey_counts_without_reading(tmp_path: Path) -> None:
    write(tmp_path / "a/1.eml").chmod(0)
    write(tmp_path / "2.eml")
    assert survey(str(tmp_path)) == (2, 2 * len(MAIL))
    assert survey(str(tmp_path / "2.eml")) == (1, len(MAIL))
    assert survey("-") == (0, 0)


def test_a_deep_tree_needs_no_recursion(tmp_path: Path) -> None:
    path = tmp_path
    for _ in range(400):
        path = path / "d"
    path.mkdir(parents=True)
    (path / "1.eml").write_bytes(MAIL)
    assert len(found_in(tmp_path)) == 1
