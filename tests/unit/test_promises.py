"""The promises that fuzzing tries to break (tests/fuzz), on what Hypothesis makes up of the pieces that mail is made of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
import promises

PIECES = st.sampled_from(
    [
        b"From: Ann <ann@example.org>\n", b"Subject: =?utf-8?B?", b"?=", b"Content-Type: multipart/mixed; boundary=b\n", b"\n\n", b"--b\n", b"--b--\n",
        b"Content-Transfer-Encoding: base64\n", b"Content-Type: message/rfc822\n", b"On Mon, 3 Feb 2025 at 10:11, Ann <ann@example.org> wrote:\n", b"> ",
        b"-----Original Message-----\n", b"-- \n", b"<blockquote type=cite>", b"</blockquote>", b"<div class=gmail_quote>", b"<!--", b"&#x", b"\xff\xfe", b"\xe2\x80",
        b"Date: Mon, 32 Foo 99999 25:61:61 +9999\n", b"begin 644 x\n", b"end\n", b"\r", b"\0", b":", b"@", b"(", b"<", b'"', b"____________\n", b"Hi,\n", b"Sent from my phone\n",
    ]
)  # fmt: skip
BYTES = st.lists(st.one_of(PIECES, st.binary(max_size=12)), max_size=25).map(b"".join)


@pytest.mark.parametrize("target", sorted(promises.TARGETS))
@given(raw=BYTES)
@settings(max_examples=150, deadline=None)
def test_nothing_breaks_a_promise(target: str, raw: bytes) -> None:
    promises.TARGETS[target](raw)
