"""An mbox: which lines part, where each mail lies, resuming, quoting, in small memory and at any chunk size."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailloom.sources import Finished, Item, Options, Place, Refused, Unchanged, fingerprint, fromline, mbox, walk
from mailloom.sources.place import Variant
from mailloom.sources.stream import Stream, bytes_stream

LINE = b"From ann@example.org Thu Sep  3 02:14:00 2026\n"
STYLE = fromline.style(LINE.rstrip())
GIT = b"From f00dbabe0123456789abcdef0123456789abcdef Mon Sep 17 00:00:00 2001"


def mail(n: int, body: bytes = b"text\n") -> bytes:
    return b"From: ann@example.org\nMessage-ID: <%d@example.org>\nSubject: s%d\n\n%s" % (n, n, body)


def box(*mails: bytes, line: bytes = LINE) -> bytes:
    return b"".join(line + one + (b"" if one.endswith(b"\n") else b"\n") + b"\n" for one in mails)


def quoted(raw: bytes) -> bytes:
    return re.sub(rb"(?m)^(>*From )", rb">\1", raw)


def pieces(data: bytes, own: fromline.Style | None = None, chunk: int = 1 << 16) -> list[mbox.Piece]:
    own = own or fromline.style(data.split(b"\n", 1)[0])
    return list(mbox.split(bytes_stream(data), own, chunk=chunk))


def raws(data: bytes) -> list[bytes | None]:
    return [piece.raw for piece in pieces(data)]


def walked(path: Path, done: int | None = None, options: Options | None = None) -> list[Item | Refused]:
    found = list(walk(str(path), known=lambda _: done, options=options))
    assert isinstance(found[-1], Finished)
    return [one for one in found if isinstance(one, Item | Refused)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "list.mbox"


def test_a_place_is_without_from_line_and_final_empty_line(file: Path) -> None:
    data = box(mail(1), mail(2, b"a\n\n"), mail(3, b"no end"))
    file.write_bytes(data)
    items = walked(file)
    assert [one.raw for one in items] == [mail(1), mail(2, b"a\n\n"), mail(3, b"no end\n")]
    for one in items:
        at = one.origin
        assert data[at.start : at.start + at.length] == one.raw
        assert at.folder == "list"
        assert at.received_at == 1788401640000
    assert [one.upto for one in items] == [*[m.start() for m in re.finditer(rb"From ann", data)][1:], len(data)]


@pytest.mark.parametrize(
    ("line", "opens"),
    [
        (b"From ann@example.org Thu Sep  3 02:14:00 2026", True),
        (b"From ann@example.org  Thu Sep  3 02:14 2026", True),
        (b"From ann@example.org Thu Sep  3 02:14:00 CEST 2026", True),
        (b"From ann@example.org Thu Sep  3 02:14:00 +0200 2026", True),
        (b"From ann@example.org Thu Sep  3 02:14:00 2026 +0200", True),
        (b"From ann@example.org Thu, 3 Sep 2026 02:14:00 +0200", True),
        (b"From ann at example.org Thu Sep  3 02:14:00 2026", True),
        (b"From ann Thu Sep  3 02:14:00 2026 remote from uucp", True),
        (b"From - Thu Sep 03 02:14:00 2026", True),
        (b"From MAILER-DAEMON Thu Sep  3 02:14:00 2026\r", True),
        (GIT, False),
        (b"From now on: see below.", False),
        (b"From what Ann wrote on Thu Sep  3 02:14:00 2026", False),
        (b"From Ann, Thu Sep  3 02:14:00 2026, at the desk:", False),
        (b"From ann@example.org", False),
        (b"From 10.0.0.1 icmp_seq=3 Destination Host Unreachable", False),
        (b"From ", False),
        (b"From the hour 12:30:00 2026", False),
    ],
)
@pytest.mark.parametrize("blank", [True, False])
def test_a_date_parts_and_prose_does_not(line: bytes, opens: bool, blank: bool) -> None:
    data = LINE + mail(1) + (b"\n" if blank else b"") + line + b"\nSubject: b\n\nbody\n"
    assert len(pieces(data)) == (2 if opens else 1)


@pytest.mark.parametrize(
    ("following", "blank", "opens"),
    [
        (b"Subject: x", False, True),
        (b">From bob@example.org Thu Sep  3 02:14:00 2026", False, True),
        (b"not a header at all", False, False),
        (b"not a header at all", True, False),
        (b"", True, True),
        (b"", False, False),
    ],
)
def test_what_follows_a_from_line_counts(following: bytes, blank: bool, opens: bool) -> None:
    line = b"From bob@example.org Thu Sep  3 03:14:00 2026\n"
    data = LINE + mail(1) + (b"\n" if blank else b"") + line + following + b"\nmore: x\n"
    assert len(pieces(data)) == (2 if opens else 1)


def test_a_pasted_patch_does_not_part_but_gits_own_file_does() -> None:
    patch = GIT + b"\nFrom: Ann <ann@example.org>\nDate: Thu, 3 Sep 2026 02:14:00 +0000\nSubject: [PATCH] x\n\n---\n"
    assert len(pieces(box(mail(1, b"see\n\n" + patch), mail(2)))) == 2
    assert len(pieces(patch + b"\n" + patch + b"\n" + patch)) == 3


def test_a_file_of_one_message_with_a_from_line_is_one(tmp_path: Path) -> None:
    path = tmp_path / "0001.abc"
    path.write_bytes(LINE + mail(1, b"From here on\n\nFrom there on\n"))
    (only,) = walked(path)
    assert only.raw == mail(1, b"From here on\n\nFrom there on\n")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_empty_messages_and_crlf(newline: bytes) -> None:
    line = LINE.rstrip() + newline
    data = line + newline + line + b"A: b" + newline + newline + line + newline
    assert raws(data) == [b"", b"A: b" + newline, b""]


def test_the_files_own_writer_is_trusted_with_a_mail_without_a_header() -> None:
    assert len(pieces(LINE + mail(1) + b"\n" + LINE + b"no header here\n")) == 2
    other = b"From bob@example.org Thu Sep  3 02:14:00 2026\n"
    assert len(pieces(LINE + mail(1) + b"\n" + other + b"no header here\n")) == 1
    assert raws((LINE + b"\n") * 3) == [b""] * 3
    assert raws(LINE * 3 + b"\n") == [b""] * 3


def test_a_large_last_mail_that_grew_is_read_anew_from_its_beginning(file: Path) -> None:
    large = mail(2, b"x\n" * 1_200_000)
    file.write_bytes(box(mail(1), large)[:-1000])
    upto = walked(file)[-1].upto
    file.write_bytes(box(mail(1), large, mail(3)))
    assert [one.raw for one in walked(file, upto)] == [large, mail(3)]


def test_content_length_holds_only_where_a_from_line_stands() -> None:
    body = b"before\n\n" + LINE + b"Subject: inner\n\nafter\n"
    true = b"Subject: a\nContent-Length: %d\n\n%s" % (len(body), body)
    assert raws(LINE + true + b"\n" + LINE + mail(2)) == [true, mail(2)]
    assert raws(LINE + true) == [true]
    for wrong in (1, len(body) - 1, len(body) + 3, 10_000, 10**11):
        false = b"Subject: a\nContent-Length: %d\n\n%s" % (wrong, body)
        assert len(raws(LINE + false + b"\n" + LINE + mail(2))) == 3, wrong


def test_text_before_the_first_from_line_is_told(file: Path) -> None:
    own = fromline.style(LINE.rstrip())
    first, second = pieces(b"stray\ntext\n\n" + LINE + mail(1), own=own)
    assert (first.line, first.raw) == (b"", b"stray\ntext\n")
    assert second.raw == mail(1)


def test_every_cut_keeps_every_complete_mail(file: Path) -> None:
    mails = [mail(n, b"text %d\n>From x\n" % n) for n in range(4)]
    data = box(*mails)
    ends = [*[m.start() for m in re.finditer(rb"From ann@", data)][1:], len(data)]
    file = file.with_suffix(".mboxrd")
    for cut in range(len(LINE), len(data) + 1):
        file.write_bytes(data[:cut])
        got = [one.raw for one in walked(file) if isinstance(one, Item)]
        complete = sum(end <= cut for end in ends)
        # The last may have up to "From" of the next line on its end: nothing tells that it isn't its own.
        tail = data[ends[complete - 1] - 1 : cut] if complete and cut - ends[complete - 1] < 5 else b""
        whole = [mbox.unquote(one, "mboxrd") for one in mails[:complete]]
        assert got[:complete] == [*whole[:-1], *(one + tail.removesuffix(b"\n") for one in whole[-1:])], cut
        assert len(got) <= complete + 1


def test_resuming_at_each_mail_gives_exactly_the_rest(file: Path) -> None:
    file.write_bytes(box(*(mail(n, b"x\n" * n) for n in range(12))))
    whole = walked(file)
    for n, one in enumerate(whole):
        assert walked(file, one.upto) == whole[n + 1 :]
    assert walked(file, 0) == whole
    # A place's end, as start + length, is as good as the next From_ line.
    for n, one in enumerate(whole):
        assert walked(file, one.origin.start + one.origin.length) == whole[n + 1 :]


def test_a_grown_file_gives_the_new_ones_and_a_last_one_that_grew(file: Path) -> None:
    mails = [mail(n, b"x\n" * n) for n in range(4)]
    file.write_bytes(box(*mails[:2]))
    upto = walked(file)[-1].upto
    place = Place("", "", str(file), 0, 0)
    before = fingerprint(place, upto)
    file.write_bytes(box(*mails))
    assert fingerprint(place, upto) == before
    assert [one.raw for one in walked(file, upto)] == mails[2:]
    file.write_bytes(box(*mails).replace(b"s0", b"S0"))
    assert fingerprint(place, upto) != before

    file.write_bytes((LINE + mails[0] + b"\n" + LINE + mails[3])[:-3])
    upto = walked(file)[-1].upto
    file.write_bytes(box(mails[0], mails[3], mails[1]))
    assert [one.raw for one in walked(file, upto)] == [mails[3], mails[1]]


def test_fingerprint_of_a_file_cut_short_differs(file: Path) -> None:
    file.write_bytes(b"x" * 10_000)
    place = Place("", "", str(file), 0, 0)
    before = fingerprint(place, 10_000)
    file.write_bytes(b"x" * 9_000)
    assert fingerprint(place, 10_000) != before


def test_unchanged_is_not_opened(file: Path) -> None:
    file.write_bytes(box(mail(1)))
    file.chmod(0)
    (only,) = walk(str(file), known=lambda _: -1)
    assert isinstance(only, Unchanged)


LINES = st.lists(
    st.sampled_from(
        [b"From ", b">From x", b">>From y", b"From: a@example.org", b"", b"text", b">", b"> >From z", b"\r", LINE[:-1]]
    ),
    max_size=8,
).map(lambda lines: b"".join(line + b"\n" for line in lines))


@given(st.lists(st.one_of(LINES, st.binary(max_size=40)), min_size=1, max_size=5))
@example([b"From x", b"\n", b"", b"From \n\n"])
def test_mboxrd_gives_back_the_very_bytes(mails: list[bytes]) -> None:
    own = fromline.style(LINE.rstrip(), strict=False)
    data = box(*(quoted(one) for one in mails))
    got = [mbox.unquote(piece.raw or b"", "mboxrd") for piece in pieces(data, own=own)]
    assert got == [one if one.endswith(b"\n") else one + b"\n" for one in mails]


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 200), st.booleans())
def test_no_chunk_size_changes_the_split(mails: list[bytes], chunk: int, strict: bool) -> None:
    data = box(*mails)
    own = fromline.style(LINE.rstrip(), strict=strict)
    assert pieces(data, own, chunk) == pieces(data, own)


def test_a_from_line_across_the_edge_of_what_is_in_memory() -> None:
    for size in range(3950, 4110):  # with this chunk the edge is at 4096
        first = b"Subject: x\n\n" + b"x" * (size - len(LINE)) + b"\n"
        data = box(first, mail(2))
        assert [one.raw for one in pieces(data, STYLE, 2048)] == [first, mail(2)], size


@given(st.lists(LINES, min_size=1, max_size=6), st.booleans())
def test_pieces_cover_the_file_and_lose_nothing(mails: list[bytes], strict: bool) -> None:
    data = box(*mails)
    at = 0
    for piece in pieces(data, fromline.style(LINE.rstrip(), strict=strict)):
        assert data[at : piece.start].strip() == piece.line
        assert data[piece.end : piece.upto].strip() == b"" or piece.stub
        assert piece.raw == data[piece.start : piece.end]
        at = piece.upto
    assert at == len(data)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_and_any_offset_do_no_harm(data: bytes, offset: int) -> None:
    own = fromline.style(LINE.rstrip())
    list(mbox.split(bytes_stream(LINE + data), own, chunk=7))
    boundary = mbox.last_boundary(lambda at, n: (LINE + data)[at : at + n], offset, own)
    assert 0 <= boundary <= offset
    mbox.writer_quotes(bytes_stream(LINE + data), own)


@pytest.mark.parametrize(
    ("body", "unquoted"),
    [
        (b"so\n>From here\non\n", True),
        (b"so\n>From here\non\n\nFrom there\n", False),  # a bare one: the writer does not quote
        (b"> so\n>From here\n> on\n", False),  # a person quotes
        (b"> so\n>>From here\n> on\n", True),  # a person quoted, then the writer
        (b"no such line, but >From inside one\n", False),
    ],
)
def test_quoting_is_undone_only_on_evidence(file: Path, body: bytes, unquoted: bool) -> None:
    raw = mail(1, body)
    file.write_bytes(box(raw, mail(2)))
    assert walked(file)[0].raw == (mbox.unquote(raw, "mboxrd") if unquoted else raw)
    # The answer does not depend on where an earlier run stopped.
    file.write_bytes(box(mail(2), raw))
    assert walked(file, walked(file)[0].upto)[0].raw == (mbox.unquote(raw, "mboxrd") if unquoted else raw)


def test_evidence_may_lie_anywhere_in_a_larger_file(file: Path) -> None:
    filler = [mail(n, b"> x\n" * 5000) for n in range(150)]
    raw = mail(1, b"a\n>From x\nb\n")
    file.write_bytes(box(raw, *filler))
    assert walked(file)[0].raw == mail(1, b"a\nFrom x\nb\n")
    file.write_bytes(box(raw, *filler, mail(2, b"\nFrom x\n")))
    assert walked(file)[0].raw == raw


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("a.mboxrd", "auto", b"From x\n>From y\nFrom z\n"),
        ("a.mboxcl", "auto", b"From x\n>From y\nFrom z\n"),
        ("a.mboxo", "auto", b"From x\n>>From y\nFrom z\n"),
        ("a.mboxcl2", "auto", b">From x\n>>From y\n>From z\n"),
        ("a.mbox", "mboxo", b"From x\n>>From y\nFrom z\n"),
        ("a.mboxrd", "mboxcl2", b">From x\n>>From y\n>From z\n"),
    ],
)
def test_the_variant_is_stated_by_option_or_name(tmp_path: Path, name: str, option: Variant, expected: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(box(mail(1, b">From x\n>>From y\n>From z\n")))
    (only,) = walked(path, options=Options(mbox=option))
    assert only.raw == mail(1, expected)


def test_public_inbox_is_known_by_its_first_line(file: Path) -> None:
    line = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
    file.write_bytes(box(mail(1, b"> a\n>From x\n> b\n"), mail(2), line=line))
    first, second = walked(file)
    assert first.raw == mail(1, b"> a\nFrom x\n> b\n")
    assert second.origin.received_at is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"From a Thu Sep  3 02:14:00 2026", 1788401640000),
        (b"From a Thu Sep  3 02:14:00 +0200 2026", 1788394440000),
        (b"From a Thu Sep  3 02:14:00 2026 -0100", 1788405240000),
        (b"From a Thu, 3 Sep 2026 02:14:00 PDT", 1788426840000),
        (b"From a Thu Sep 32 02:14:00 2026", None),
        (b"From a Thu Sep  3 25:14:00 2026", None),
        (b"From a Thu Sep  3 02:14:00 1869", None),
        (GIT, None),
        (b"From a", None),
    ],
)
def test_received_at_is_the_from_lines_time(line: bytes, expected: int | None) -> None:
    assert fromline.received_at(line) == expected


def test_a_mail_larger_than_allowed_is_passed_over_and_its_place_kept(file: Path) -> None:
    large = mail(2, b"x" * 60 + b"\nFrom: no\n" + b"y\n" * 5000)
    file.write_bytes(box(mail(1), large, mail(3)))
    for chunk in (1, 100, 4096, 1 << 20):
        first, refused, third = walked(file, options=Options(max_mail=5000, chunk=chunk))
        assert (first.raw, third.raw) == (mail(1), mail(3))
        assert isinstance(refused, Refused)
        assert refused.kind == "too large"
        assert (refused.origin.length, refused.raw) == (len(large), None)
    # A limit is a limit, not one less.
    assert len([one for one in walked(file, options=Options(max_mail=len(large))) if isinstance(one, Item)]) == 3
    assert isinstance(walked(file, options=Options(max_mail=len(large) - 1))[1], Refused)


def endless(size: int, block: bytes) -> Stream:
    left = size

    def pull(n: int) -> bytes:
        nonlocal left
        data = block[: min(len(block), left)]
        left -= len(data)
        return data

    return Stream(pull)


@pytest.mark.parametrize("kind", ["many", "one", "prose", "lengths"])
def test_memory_stays_small_on_200_mb(kind: str) -> None:
    body = b"some words of text in a line\n" * 900
    block = {
        "many": box(mail(1, body)) * 50,
        "one": body * 50,
        "prose": (b"\nFrom the hour 12:30:00 2026\n" + body) * 50,
        "lengths": box(b"Content-Length: 3000000\nSubject: x\n\n" + body) * 50,
    }[kind]
    head = bytes_stream(LINE + b"Subject: x\n\n")
    rest = endless(200_000_000, block)
    stream = Stream(lambda n: head.read(n) or rest.read(n))
    tracemalloc.start()
    try:
        total = sum(p.end - p.start for p in mbox.split(stream, STYLE, max_mail=8_000_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 180_000_000
    assert peak < 40_000_000
