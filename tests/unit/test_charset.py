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


SENTENCES = {
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u0410\u043d\u043d\u0430! \u0412\u0441\u0442\u0440\u0435\u0447\u0430 \u0437\u0430\u0432\u0442\u0440\u0430 \u0432 \u0434\u0435\u0441\u044f\u0442\u044c.": ("cp1251", "koi8-r"),
    "\u4f60\u597d\uff0c\u660e\u5929\u4e0a\u5348\u5341\u70b9\u5f00\u4f1a\uff0c\u8bf7\u5e26\u4e0a\u5408\u540c\u6587\u4ef6\u3002": ("gb18030",),
    "\u3053\u3093\u306b\u3061\u306f\u3001\u660e\u65e5\u306e\u4f1a\u8b70\u306f\u5341\u6642\u304b\u3089\u3067\u3059\u3002": ("cp932", "euc-jp"),
    "\uc548\ub155\ud558\uc138\uc694, \ub0b4\uc77c \ud68c\uc758\ub294 \uc5f4 \uc2dc\uc5d0 \uc2dc\uc791\ud569\ub2c8\ub2e4.": ("cp949",),
    "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5, \u03b1\u03cd\u03c1\u03b9\u03bf \u03b7 \u03c3\u03c5\u03bd\u03ac\u03bd\u03c4\u03b7\u03c3\u03b7 \u03b5\u03af\u03bd\u03b1\u03b9 \u03c3\u03c4\u03b9\u03c2 \u03b4\u03ad\u03ba\u03b1.": ("cp1253",),
    "R\xe9union \xe0 dix heures, n'oubliez pas les dossiers cr\xe9\xe9s \xe0 l'\xe9t\xe9. \xc4\xd6\xdc \xe4\xf6\xfc\xdf": ("latin-1", "cp1252"),
    "\u2026\u2026\u2026\u2026 \u2022\u2022\u2022\u2022 \u2014\u2014\u2014\u2014 caf\xe9": ("cp1252",),
}  # fmt: skip


@pytest.mark.parametrize(("text", "codecs"), SENTENCES.items())
@pytest.mark.parametrize("label", ["", "us-ascii", "iso-8859-1", "windows-1252", "utf-8"])
def test_a_wrong_label_is_seen_through(text: str, codecs: tuple[str, ...], label: str) -> None:
    for codec in (*codecs, "utf-8"):
        assert charset.decode(text.encode(codec), label)[0] == text


def test_utf_16_is_known_by_its_mark() -> None:
    for label in ("", "us-ascii", "iso-8859-1", "utf-16", "unicode"):
        assert charset.decode("Caf\xe9".encode("utf-16"), label)[0] == "Caf\xe9"
    assert charset.decode("Caf\xe9 now".encode("utf-16-le"), "utf-16")[0] == "Caf\xe9 now"


def test_windows_letters_in_iso_2022_jp() -> None:
    coded = b'\x1b$B-!5-\x1b(B and \x1b(I6E6\x1b(B.\n\x1b$B$"\n'
    assert charset.decode(coded, "iso-2022-jp")[0] == "\u2460\u8a18 and \uff76\uff85\uff76.\n\u3042\n"
    assert (
        charset.decode(coded, "")[0] == charset.decode(coded, "us-ascii")[0] == charset.decode(coded, "iso-2022-jp")[0]
    )
    assert charset.decode("\uc548\ub155".encode("iso2022_kr"), "")[0] == "\uc548\ub155"


@given(
    st.binary(max_size=80),
    st.sampled_from(["", "iso-8859-1", "windows-1252", "iso-2022-jp", "utf-16", "koi8-r", "gb2312"]),
)
def test_any_bytes_in_any_charset_are_text(data: bytes, label: str) -> None:
    for noise in (data, b"\x1b$B" + data, b"\xff\xfe" + data):
        charset.decode(noise, label)[0].encode()
