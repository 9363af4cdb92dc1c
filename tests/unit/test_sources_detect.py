"""What a file is, by its first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailloom.sources.detect import emlx_message, kind_of

LINE = b"From ann@example.org Thu Sep  3 02:14:00 2026\n"


@pytest.mark.parametrize(
    "head",
    [
        b"Received: from a by b; Thu, 3 Sep 2026 02:14:00 +0000\n\tfor c\nFrom: a\n\nx",
        b"Message-ID: <1@example.org>\r\nDate: x\r\n\r\nbody",
        b"From: ann@example.org\nTo: bob@example.org\n\n",
        b"Return-Path: <>\rFrom: a\rTo: b\r\rold Mac line ends",
        b"\n\n\nFrom: ann@example.org\nSubject: after blank lines\n\n",
        b"\xef\xbb\xbfFrom: ann@example.org\nSubject: after a BOM\n\n",
        b"\x00\x00Subject: after NULs\nDate: x\n\n",
        b">From ann Thu Sep  3 02:14:00 2026\nReceived: x\nFrom: y\n\n",
        b"Subject: x\nbroken line in a header\nMIME-Version: 1.0\nContent-Type: text/plain\n\n",
        b"MIME-Version: 1.0\n\nonly this",
        b"X-Odd: 1\nX-Spam-Status: No\n\n",
    ],
)
@pytest.mark.parametrize("name", ["1_", "1.txt", "x.mbox"])
def test_messages(head: bytes, name: str) -> None:
    assert kind_of(head, name) == ("message", "")


@pytest.mark.parametrize("head", [b"", b"garbage", b"\xff\xd8\xff", b"\x1f\x8b\x08", b"\n", b"\0" * 600])
def test_eml_is_a_message_however_broken(head: bytes) -> None:
    assert kind_of(head, "a.EML") == ("message", "")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (LINE + b"Subject: x\n\n", "mbox"),
        (b"\n" + LINE + b"\n", "mbox"),
        (b"From ann@example.org\nFrom: ann@example.org\nTo: bob@example.org\n\n", "mbox"),
        (b"From f00dbabe0123456789abcdef0123456789abcdef Mon Sep 17 00:00:00 2001\nFrom: x\n", "mbox"),
        (b"From the start it was clear.\n", "foreign"),
        (b"From here:\nto there: x\n\n", "foreign"),
        (b"12  \nFrom: ann@example.org\nTo: b\n\nxx<?xml", "emlx"),
        (b"PK\x03\x04....", "zip"),
        (b"\xfd7zXZ\x00....", "xz"),
    ],
)
def test_boxes_and_packings(head: bytes, kind: str) -> None:
    assert kind_of(head, "x")[0] == kind


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x7fELF", "an ELF program"),
        (b"SQLite format 3\0", "SQLite"),
        (b'{"from": "ann@example.org"}', "JSON"),
        (b'[\n  {"a": 1}', "JSON"),
        (b"<!DOCTYPE html><p>", "HTML"),
        (b"Dear Bob,\n\nthis is a letter: see below.\n", "plain text"),
        (b"version: 1\nname: x\nitems:\n  - a\n", "plain text"),
        (b"Note: remember the milk\n", "plain text"),
        (b"http://example.org/\n", "plain text"),
        (b"from: x\n", "plain text"),
        (b"int main() {\n  case a: b();\n", "plain text"),
        (b"", "an empty file"),
        (b"   \n", "blanks"),
        (b"a\0b", "binary data"),
    ],
)
@pytest.mark.parametrize("name", ["x", "x.txt"])
def test_foreign_files_are_named(head: bytes, looks: str, name: str) -> None:
    assert kind_of(head, name) == ("foreign", looks)


@given(st.binary(max_size=600), st.sampled_from(["", "a.msg", "a.emlx", "a.gz"]))
def test_any_bytes_have_a_kind(head: bytes, name: str) -> None:
    kind, looks = kind_of(head, name)
    assert (kind == "foreign") == bool(looks)
    emlx_message(head)
