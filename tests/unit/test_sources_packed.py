"""Compressed files and archives: read through, bounded, cut, nested, resumed; nothing of them is trusted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mailloom.sources import Finished, Item, Options, Refused, walk
from mailloom.sources.inflate import Packing, inflate, inner_name
from mailloom.sources.place import RATIO_FREE
from mailloom.sources.stream import bytes_stream

MAIL = b"From: ann@example.org\nSubject: one\n\ntext\n"
LINE = b"From ann@example.org Thu Sep  3 02:14:00 2026\n"
PACK: dict[Packing, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
SUFFIX: dict[Packing, str] = {"gzip": ".gz", "bzip2": ".bz2", "xz": ".xz", "zstd": ".zst"}
KINDS = list(PACK)


def numbered(n: int) -> bytes:
    return b"From: ann@example.org\nSubject: s%d\n\ntext\n" % n + b"%d\n" % n * n


def box(*mails: bytes) -> bytes:
    return b"".join(LINE + one + b"\n" for one in mails)


def tar(*members: tuple[str, bytes], style: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(*members: tuple[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def walked(path: Path, done: int | None = None, options: Options | None = None) -> list[Item | Refused]:
    found = list(walk(str(path), known=lambda _: done, options=options))
    assert isinstance(found[-1], Finished)
    return [one for one in found if isinstance(one, Item | Refused)]


def read(tmp_path: Path, name: str, data: bytes, **how: int) -> list[Item | Refused]:
    path = tmp_path / name
    path.write_bytes(data)
    return walked(path, options=Options(**how))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_message_mbox_and_tar(tmp_path: Path, kind: Packing) -> None:
    pack, suffix = PACK[kind], SUFFIX[kind]
    (only,) = read(tmp_path, "a.eml" + suffix, pack(b"however broken"))
    assert (only.raw, only.origin.path, only.origin.length) == (b"however broken", "", 14)
    first, second = read(tmp_path, "list.mbox" + suffix, pack(box(MAIL, numbered(2))))
    assert (first.raw, second.raw, second.origin.folder) == (MAIL, numbered(2), "list")
    assert second.origin.start == len(LINE + MAIL) + 1 + len(LINE)
    first, second = read(tmp_path, "a.tar" + suffix, pack(tar(("in/1.eml", MAIL), ("in/2", numbered(2)))))
    assert (first.raw, first.origin.path, first.origin.folder) == (MAIL, "!in/1.eml", "in")
    assert second.raw == numbered(2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["anything", "wrong.zip"])
def test_content_decides_not_the_name(tmp_path: Path, kind: Packing, name: str) -> None:
    assert [one.raw for one in read(tmp_path, name, PACK[kind](MAIL))] == [MAIL]


@pytest.mark.parametrize("kind", KINDS)
def test_several_members_in_a_row_and_padding(tmp_path: Path, kind: Packing) -> None:
    data = box(MAIL, numbered(2))
    packed = PACK[kind](data[:30]) + PACK[kind](data[30:])
    padding = b"" if kind == "zstd" else b"\0" * 1000
    assert [one.raw for one in read(tmp_path, "m" + SUFFIX[kind], packed + padding)] == [MAIL, numbered(2)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_told_after_the_mails_before_it(tmp_path: Path, kind: Packing) -> None:
    mails = [numbered(n) for n in range(30)]
    packed = PACK[kind](box(*mails))
    for cut in range(8, len(packed), 5):
        found = read(tmp_path, "m.mbox" + SUFFIX[kind], packed[:cut])
        refused = found.pop()
        assert isinstance(refused, Refused)
        assert refused.kind == "damaged"
        assert "cut off" in refused.reason
        got = [one.raw for one in found]
        assert got == mails[: len(got)]
        assert len(got) < len(mails)


def test_a_cut_gzip_gives_what_came_before(tmp_path: Path) -> None:
    mails = [numbered(n) for n in range(300)]
    packed = gzip.compress(box(*mails))
    found = read(tmp_path, "m.gz", packed[: len(packed) // 2])
    assert len(found) > 100
    assert [one.raw for one in found[:-1]] == mails[: len(found) - 1]
    assert isinstance(found[-1], Refused)
    assert mails[len(found) - 1].startswith(found[-1].raw or b"")


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_told(tmp_path: Path, kind: Packing) -> None:
    packed = bytearray(PACK[kind](box(*(numbered(n) for n in range(50)))))
    packed[len(packed) // 2] ^= 0xFF
    found = read(tmp_path, "m.mbox", bytes(packed))
    assert isinstance(found[-1], Refused)
    assert found[-1].kind == "damaged"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inside", [MAIL, LINE + MAIL], ids=["message", "mbox"])
def test_a_bomb_costs_little_memory_and_is_refused(tmp_path: Path, kind: Packing, inside: bytes) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACK[kind](inside + b"0" * 40_000_000))
    tracemalloc.start()
    try:
        (refused,) = walked(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.raw) == ("bomb", None)
    assert peak < 6 * RATIO_FREE


def test_the_total_is_bounded(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 400
    (refused,) = read(tmp_path, "a.eml.gz", gzip.compress(MAIL + noise), max_inflated=50_000)
    assert isinstance(refused, Refused)
    assert "more than 50,000 bytes" in refused.reason


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_bytes_after_the_magic_do_no_harm(data: bytes, kind: Packing) -> None:
    stream = inflate(kind, bytes_stream(PACK[kind](MAIL)[:12] + data), Options())
    while stream.read(1 << 16):
        pass


def test_zip_members_and_their_labels(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "a.zip",
        zipped(
            ("Inbox/1.eml", MAIL),
            ("../../up.eml", MAIL),
            ("/etc/passwd.eml", MAIL),
            ("c\\d\\2.eml", MAIL),
            ("box", box(MAIL, numbered(1))),
            ("picture.jpg", b"\xff\xd8\xff\xe0.."),
            ("empty/", b""),
        ),
    )
    assert [(one.origin.path, one.origin.folder) for one in found] == [
        ("!Inbox/1.eml", "Inbox"),
        ("!../../up.eml", ""),
        ("!/etc/passwd.eml", "etc"),
        ("!c\\d\\2.eml", "c/d"),
        ("!box", "box"),
        ("!box", "box"),
        ("!picture.jpg", ""),
    ]
    assert isinstance(found[-1], Refused)
    assert found[-1].reason == "not mail: looks like JPEG"
    assert not (tmp_path.parent / "up.eml").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "a.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pack", [zipped, tar])
def test_the_same_name_twice_is_two_places(tmp_path: Path, pack: Callable[..., bytes]) -> None:
    found = read(tmp_path, "a", pack(*[("1.eml", MAIL)] * 2, *[("box", box(MAIL))] * 2))
    assert len(found) == 4
    assert len({(one.origin.path, one.origin.start) for one in found}) == 4


def test_a_bomb_in_a_zip_is_refused_and_the_others_come(tmp_path: Path) -> None:
    found = read(tmp_path, "a.zip", zipped(("1.eml", MAIL), ("2.eml", MAIL + b"0" * 30_000_000), ("3.eml", MAIL)))
    assert [one.raw for one in found] == [MAIL, None, MAIL]
    assert isinstance(found[1], Refused)
    assert found[1].reason == "zip: inflates more than 500-fold"


def test_a_zip_that_lies_about_a_bombs_size(tmp_path: Path) -> None:
    size = 30_000_000
    data = zipped(("1.eml", MAIL + b"0" * size), ("2.eml", MAIL))
    true = struct.pack("<L", len(MAIL) + size)
    found = read(tmp_path, "a.zip", data.replace(true, struct.pack("<L", 100)))
    assert found[-1].raw == MAIL
    assert isinstance(found[0], Refused)
    assert found[0].kind == "damaged"


def test_zip_members_that_share_their_bytes_end_at_the_total(tmp_path: Path) -> None:
    found = read(tmp_path, "a.zip", zipped(*((f"{n}.eml", MAIL * 1000) for n in range(9))), max_inflated=100_000)
    assert 1 <= len(found) < 9
    assert isinstance(found[-1], Refused)
    assert found[-1].kind == "bomb"


def test_encrypted_and_unknown_methods_are_refused_one_by_one(tmp_path: Path) -> None:
    data = bytearray(zipped(("1.eml", MAIL), ("2.eml", MAIL), ("3.eml", MAIL)))
    starts = [n for n in range(len(data)) if data[n : n + 4] == b"PK\x01\x02"]
    data[starts[0] + 8] |= 1  # flags: encrypted
    data[starts[1] + 10] = 9  # method: Deflate64
    first, second, third = read(tmp_path, "a.zip", bytes(data))
    assert isinstance(first, Refused)
    assert (first.kind, first.origin.path) == ("encrypted", "!1.eml")
    assert "password" in first.reason
    assert isinstance(second, Refused)
    assert second.kind == "unsupported"
    assert third.raw == MAIL


def test_every_cut_of_a_zip_and_a_tar(tmp_path: Path) -> None:
    for name, data in (
        ("a.zip", zipped(("1", MAIL), ("2", numbered(2)))),
        ("a.tar", tar(("1", MAIL), ("2", numbered(2)))),
    ):
        for cut in range(1, len(data), 37):
            for one in read(tmp_path, name, data[:cut]):
                assert isinstance(one, Refused) or one.raw in {MAIL, numbered(2)}


@given(st.data())
def test_any_changed_byte_in_an_archive_does_no_harm(data: st.DataObject) -> None:
    from mailloom.sources.contents import Content, Reading, mails
    from mailloom.sources.place import Place

    archive = bytearray(data.draw(st.sampled_from([ZIP, TAR, GNU])))
    for _ in range(3):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    reading = Reading(Place("", "", "", len(archive), 0), Options())
    for one in mails(reading, Content(bytes_stream(bytes(archive)), "", "a", "")):
        assert isinstance(one, Item | Refused)


def test_tar_links_and_devices_are_refused_and_folders_left_out(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, type_ in (
            ("d", tarfile.DIRTYPE),
            ("s", tarfile.SYMTYPE),
            ("h", tarfile.LNKTYPE),
            ("n", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = type_, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("ok")
        info.size = len(MAIL)
        archive.addfile(info, io.BytesIO(MAIL))
    found = read(tmp_path, "a.tar", out.getvalue())
    assert [one.kind if isinstance(one, Refused) else "" for one in found] == ["link", "link", "not mail", ""]
    assert found[0].reason == "tar: a link to /etc/passwd, not followed"  # type: ignore[union-attr]


@pytest.mark.parametrize("style", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_in_each_tar_format(tmp_path: Path, style: int) -> None:
    name = "f" * 90 + "/" + "n" * 60 + ".eml"
    (only,) = read(tmp_path, "a.tar", tar((name, MAIL), style=style))
    assert (only.raw, only.origin.path) == (MAIL, "!" + name)
    if style != tarfile.USTAR_FORMAT:
        longer = "é" * 200 + ".eml"
        assert read(tmp_path, "a.tar", tar((longer, MAIL), style=style))[0].origin.path == "!" + longer


def test_a_mail_in_a_tar_has_its_byte_range_in_it(tmp_path: Path) -> None:
    data = tar(("1", MAIL), ("2", numbered(3)))
    for one in read(tmp_path, "a.tar", data):
        assert data[one.origin.start : one.origin.start + one.origin.length] == one.raw


def test_a_tar_with_a_negative_or_huge_size_ends_with_a_reason(tmp_path: Path) -> None:
    for field in (b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"-0000000001\0", b"77777777777\0"):
        block = bytearray(tar(("1", MAIL))[:512])
        block[124:136] = field
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        refused = read(tmp_path, "a.tar", bytes(block) + MAIL)[-1]
        assert isinstance(refused, Refused)
        assert refused.kind == "damaged"


def test_a_cut_inside_a_compressed_tar_is_told_once(tmp_path: Path) -> None:
    data = gzip.compress(tar(*((str(n), numbered(n)) for n in range(40))), 0)
    for cut in range(600, len(data) - 10_240, 997):
        found = read(tmp_path, "a.tgz", data[:cut])
        assert [type(one) for one in found] == [Item] * (len(found) - 1) + [Refused]
        assert [one.raw for one in found[:-1]] == [numbered(n) for n in range(len(found) - 1)]


def test_large_files_on_disk_are_sought_in(tmp_path: Path) -> None:
    mails = [numbered(n) + bytes(range(200)) * 3000 for n in range(4)]
    path = tmp_path / "a"
    for data in (
        zipped(*((str(n), one) for n, one in enumerate(mails)), how=zipfile.ZIP_STORED),
        box(*(m + b"\n" for m in mails)),
    ):
        path.write_bytes(data)
        whole = walked(path)
        assert [(one.raw or b"").strip() for one in whole] == [one.strip() for one in mails]
        for n, one in enumerate(whole):
            assert walked(path, one.upto) == whole[n + 1 :]


def test_containers_in_containers_to_a_depth(tmp_path: Path) -> None:
    data = zipped(("b.tgz", gzip.compress(tar(("c.eml.gz", gzip.compress(MAIL)), ("d.mbox", box(MAIL))))))
    first, second = read(tmp_path, "a.zip", data)
    assert (first.raw, first.origin.path) == (MAIL, "!b.tgz!c.eml.gz")
    assert (second.raw, second.origin.path) == (MAIL, "!b.tgz!d.mbox")
    deep = MAIL
    for _ in range(12):
        deep = gzip.compress(deep)
    (refused,) = read(tmp_path, "deep", deep)
    assert isinstance(refused, Refused)
    assert (refused.kind, refused.reason) == ("too deep", "packed more than 4 deep")


def test_a_zip_in_a_stream_is_held_in_memory_to_a_limit(tmp_path: Path) -> None:
    data = gzip.compress(zipped(("1", MAIL)))
    assert [one.raw for one in read(tmp_path, "a.zip.gz", data)] == [MAIL]
    (refused,) = read(tmp_path, "a.zip.gz", data, max_spool=50)
    assert isinstance(refused, Refused)
    assert "unpack it first" in refused.reason


def archives() -> dict[str, bytes]:
    mails = [numbered(n) for n in range(6)]
    return {
        "zip": zipped(("1", mails[0]), ("x.png", b"\x89PNG"), ("m", box(*mails[1:4])), ("4.gz", gzip.compress(mails[4])), ("5", mails[5])),
        "tar": tar(("1", mails[0]), ("m.gz", gzip.compress(box(*mails[1:4]))), ("n.zip", zipped(("4", mails[4]))), ("5", mails[5])),
        "mbox.gz": gzip.compress(box(*mails)),
        "mbox.zst": PACK["zstd"](box(*mails)),
        "tar.xz": lzma.compress(tar(("m", box(*mails[:5])), ("5", mails[5]))),
    }  # fmt: skip


@pytest.mark.parametrize("name", list(archives()))
def test_resuming_inside_an_archive_gives_exactly_the_rest(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    path.write_bytes(archives()[name])
    whole = walked(path)
    assert [one.raw for one in whole if isinstance(one, Item)] == [numbered(n) for n in range(6)]
    assert [one.upto for one in whole] == sorted({one.upto for one in whole})
    for n, one in enumerate(whole):
        assert walked(path, one.upto) == whole[n + 1 :], n


def test_the_same_evidence_of_quoting_is_found_in_packed_boxes(tmp_path: Path) -> None:
    data = box(b"Subject: a\n\n" + b"x\n" * 20_000, b"Subject: b\n\nso\n>From here\non\n")
    plain = [one.raw for one in read(tmp_path, "m", data)]
    assert plain[1] == b"Subject: b\n\nso\nFrom here\non\n"
    for packed in (gzip.compress(data), zipped(("m", data)), tar(("m", data)), gzip.compress(tar(("m", data)))):
        assert [one.raw for one in read(tmp_path, "p", packed)] == plain


def test_a_maildir_in_an_archive(tmp_path: Path) -> None:
    members = [
        ("M/cur/1700000000.M1.host:2,FS", b"odd"),
        ("M/.Sub/new/1700000001.M1.host", MAIL),
        ("M/tmp/1700000002.M1.host", MAIL),
    ]
    first, second = read(tmp_path, "a.tar", tar(*members))
    assert (first.raw, first.origin.path, first.origin.flags, first.origin.folder) == (
        b"odd",
        "!M/1700000000.M1.host",
        "FS",
        "M",
    )
    assert (second.origin.path, second.origin.folder) == ("!M/.Sub/1700000001.M1.host", "M/Sub")


def test_too_large_members_are_passed_over(tmp_path: Path) -> None:
    for pack in (zipped, tar):
        found = read(tmp_path, "a", pack(("1.eml", MAIL), ("2.eml", MAIL * 100), ("3.eml", MAIL)), max_mail=1000)
        assert [one.raw for one in found] == [MAIL, None, MAIL]
        assert found[1].origin.length == len(MAIL) * 100


def test_inner_name() -> None:
    assert [inner_name(n) for n in ("a.mbox.gz", "a.TGZ", "a.eml.zst", "a", "gz")] == [
        "a.mbox",
        "a.tar",
        "a.eml",
        "a",
        "gz",
    ]


ZIP = archives()["zip"]
TAR = archives()["tar"]
GNU = tar(("n" * 150, MAIL), style=tarfile.GNU_FORMAT)
