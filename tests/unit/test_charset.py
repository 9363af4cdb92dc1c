"""Charsets: what labels promise, what they hide, and that no bytes and no label raise."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailloom.mail import charset

GERMAN = "Grüße aus Köln, schöne Straße, fünf Äpfel"
RUSSIAN = "Привет, как дела? Сегодня хорошая погода."
JAPANESE = "こんにちは、今日はいい天気ですね。"
CHINESE = "今天天气很好，我们去公园吧。"
KOREAN = "안녕하세요, 오늘 날씨가 좋네요."


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        (GERMAN, "utf-8", "UTF8"),
        (GERMAN, "latin-1", "ISO-8859-1"),
        (GERMAN, "latin-1", "iso_8859-1:1987"),
        ("“smart” – quotes €", "cp1252", "Windows-1252"),
        (RUSSIAN, "koi8-r", "KOI8-R"),
        (RUSSIAN, "cp1251", "win-1251"),
        (RUSSIAN, "iso8859-5", "iso-8859-5"),
        ("שלום עולם", "iso8859-8", "ISO-8859-8-I"),
        (JAPANESE, "cp932", "x-sjis"),
        (JAPANESE, "iso2022_jp", "ISO-2022-JP"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (CHINESE, "gb18030", "gb2312"),
        ("鎔是繁體", "gbk", "GB2312"),
        (CHINESE, "hz", "HZ-GB-2312"),
        ("今天天氣很好", "big5", "Big5"),
        (KOREAN, "cp949", "ks_c_5601-1987"),
        (KOREAN, "iso2022_kr", "iso-2022-kr"),
        (GERMAN, "utf-7", "unicode-1-1-utf-7"),
        (GERMAN, "utf-16", "utf-16"),
        (GERMAN, "utf-16-le", "UTF-16LE"),
        ("สวัสดี", "cp874", "tis-620"),
    ],
)
def test_labels_of_real_life(text: str, codec: str, label: str) -> None:
    assert charset.decode(text.encode(codec), label) == (text, "")


@pytest.mark.parametrize(
    ("data", "label", "text", "note"),
    [
        (GERMAN.encode(), "us-ascii", GERMAN, "8-bit"),
        (GERMAN.encode("latin-1"), "", GERMAN, "8-bit"),
        (GERMAN.encode("latin-1"), "utf-8", GERMAN, "not utf-8"),
        (RUSSIAN.encode("koi8-r"), "", RUSSIAN, "8-bit"),
        ("“x”".encode("cp1252"), "iso-8859-1", "“x”", "windows-1252 labelled"),
        ("“x”".encode(), "iso-8859-1", "“x”", "utf-8 labelled"),
        (b"nuqneH", "x-klingon", "nuqneH", "unknown charset x-klingon"),
        (RUSSIAN.encode(), "x-klingon", RUSSIAN, "unknown charset"),
        (RUSSIAN[:-1].encode()[:-1], "utf-8", RUSSIAN[:-2] + "\ufffd", "bytes that are not utf-8"),
        (
            (RUSSIAN + " – ").encode() + "“list”".encode("cp1252"),
            "utf-8",
            RUSSIAN + " – “list”",
            "bytes that are not utf-8",
        ),
        (b"\x1b$B$3\x1b(B", "", "こ", "iso-2022-jp without"),
        (GERMAN.encode(), "big5", GERMAN, "utf-8 labelled"),
        (GERMAN.encode("utf-16-be"), "utf-16", GERMAN, ""),
        (b"\xef\xbb\xbfx", "utf-8", "x", ""),
    ],
)
def test_lying_and_missing_labels(data: bytes, label: str, text: str, note: str) -> None:
    found, told = charset.decode(data, label)
    assert found == text
    assert note in told
    assert bool(note) == bool(told)


LABELS = st.one_of(
    st.sampled_from([label for labels in charset._LABELS.values() for label in labels.split()]), st.text(max_size=80)
)


@given(st.binary(max_size=400), LABELS)
@example(b"+2AA-", "utf-7")
@example(b"~{", "hz")
@example(b"\x00", "utf-16")
@example(b"\xff\xfe", "utf-16")
def test_never_raises_and_can_be_written(data: bytes, label: str) -> None:
    text, _ = charset.decode(data, label)
    text.encode("utf-8")


@pytest.mark.parametrize(
    "label",
    ["rot13", "base64", "zlib_codec", "idna", "punycode", "unicode_escape", "undefined", "mbcs", "os.path", "../x"],
)
def test_a_label_chooses_no_codec_that_is_no_charset(label: str) -> None:
    assert charset.codec(label) == ""
    assert charset.decode(b"plain", label)[0] == "plain"


@given(st.text(max_size=200))
def test_utf_8_comes_back(text: str) -> None:
    text = text.removeprefix("\ufeff")
    assert charset.decode(text.encode("utf-8", "replace"), "utf-8")[0] == text.encode("utf-8", "replace").decode()
