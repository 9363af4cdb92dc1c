"""Bytes and the charset they claim -> text. Never raises, loses as little as can be, and says where the claim was wrong.

Labels are read as web browsers do (WHATWG Encoding Standard): mail is written and labelled by the same programs. Only the
codecs named here are ever used: a sender's label must not choose among all that Python can import.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Codec -> the labels it goes by, lower case with punctuation removed. A superset of the charset named is used where one exists
# (GB 18030 for GB 2312, code page 949 for KS C 5601): producers write the superset and label it with the older name.
_LABELS = {
    "ascii": "usascii ascii ansix341968 iso646us 646 cp367 ibm367 iso646irv1991 7bit 8bit",
    "utf-8": "utf8 unicode11utf8 utf8mac xunicode20utf8 cp65001 utf8utf8",
    "latin-1": "iso88591 latin1 l1 88591 cp819 ibm819 isoir100 csisolatin1 iso885911987",
    "cp1252": "windows1252 cp1252 xcp1252 ansi win1252 1252",
    "iso8859-2": "iso88592 latin2 l2 isoir101 csisolatin2",
    "iso8859-3": "iso88593 latin3 l3",
    "iso8859-4": "iso88594 latin4 l4",
    "iso8859-5": "iso88595 cyrillic isoir144",
    "iso8859-6": "iso88596 arabic iso88596e iso88596i asmo708 ecma114",
    "iso8859-7": "iso88597 greek greek8 ecma118 elot928",
    "iso8859-8": "iso88598 hebrew iso88598e iso88598i logical visual",
    "cp1254": "iso88599 latin5 l5 windows1254 cp1254 xcp1254",
    "iso8859-10": "iso885910 latin6 l6",
    "cp874": "iso885911 tis620 dos874 windows874 cp874 tis62025330",
    "iso8859-13": "iso885913",
    "iso8859-14": "iso885914",
    "iso8859-15": "iso885915 latin9 l9 csisolatin9",
    "iso8859-16": "iso885916",
    "cp1250": "windows1250 cp1250 xcp1250 win1250",
    "cp1251": "windows1251 cp1251 xcp1251 win1251 1251",
    "cp1253": "windows1253 cp1253",
    "cp1255": "windows1255 cp1255",
    "cp1256": "windows1256 cp1256",
    "cp1257": "windows1257 cp1257",
    "cp1258": "windows1258 cp1258",
    "koi8-r": "koi8r koi8 koi cskoi8r",
    "koi8-u": "koi8u koi8ru",
    "cp437": "cp437 ibm437 437",
    "cp850": "cp850 ibm850 850",
    "cp852": "cp852 ibm852 852",
    "cp855": "cp855 ibm855",
    "cp857": "cp857 ibm857",
    "cp858": "cp858 ibm858",
    "cp862": "cp862 ibm862",
    "cp866": "cp866 ibm866 866 csibm866 dos866",
    "mac-roman": "macintosh mac macroman xmacroman",
    "mac-cyrillic": "xmaccyrillic maccyrillic xmacukrainian",
    "gb18030": "gb18030 gb2312 gbk xgbk cp936 ms936 windows936 gb231280 chinese csgb2312 isoir58 euccn gb",
    "hz": "hzgb2312 hz",
    "big5hkscs": "big5 big5hkscs cnbig5 csbig5 xxbig5 cp950 ms950 big5eten",
    "cp932": "shiftjis sjis xsjis mskanji csshiftjis windows31j cp932 ms932 shiftjisms shiftjisx0213",
    "euc_jis_2004": "eucjp xeucjp cseucpkdfmtjapanese ujis",
    "iso2022_jp_ext": "iso2022jp csiso2022jp iso2022jp1 iso2022jp2 iso2022jp3 iso2022jpms cp50220 cp50221 cp50222",
    "cp949": "euckr ksc5601 ksc56011987 ksc56011989 korean cseuckr isoir149 windows949 cp949 ms949 uhc ksx1001",
    "johab": "johab cp1361",
    "iso2022_kr": "iso2022kr csiso2022kr",
    "utf-7": "utf7 unicode11utf7 xunicode20utf7",
    "utf-16": "utf16 unicode ucs2 iso10646ucs2 csunicode",
    "utf-16-le": "utf16le unicodelittle",
    "utf-16-be": "utf16be unicodefffe",
    "utf-32": "utf32 ucs4 iso10646ucs4",
    "utf-32-le": "utf32le",
    "utf-32-be": "utf32be",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}

# Charsets in which bytes below 0x80 may mean something else than ASCII.
_SHIFTED = frozenset(
    {
        "utf-7",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "hz",
        "iso2022_jp_ext",
        "iso2022_kr",
    }
)
# Those in which one letter may be two bytes or more, so that a text may be valid as UTF-8 by chance.
_MANY_BYTES = _SHIFTED | {"gb18030", "big5hkscs", "cp932", "euc_jis_2004", "cp949", "johab"}
_ASCII_BYTES = bytes(range(128))
_HIGH_RUN = re.compile(rb"[\x81-\x9f\xa1-\xff]{4,}")  # no-break spaces come in rows too
_PUNCTUATION = re.compile(r"[^a-z0-9]+")
_C1 = re.compile(rb"[\x80-\x9f]")
_C1_TEXT = re.compile("[\x80-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile("[\udc80-\udcff]+")

# The detector's verdict settles within a few kilobytes of foreign letters; a megabyte leaves room for a long ASCII head.
DETECTOR_BYTES = 1 << 20
FEW_LETTERS = 4
# A label longer than this names nothing (the longest registered one has 45 characters).
LABEL_LENGTH = 64


def codec(label: str) -> str:
    """The Python codec for a charset label of real life, "" where the label is unknown."""
    return _codec(label) if len(label) <= LABEL_LENGTH else ""


@lru_cache(maxsize=1024)
def _codec(label: str) -> str:
    plain = _PUNCTUATION.sub("", label.lower())
    return _CODECS.get(plain) or _CODECS.get(plain.removeprefix("charset").removeprefix("x"), "")


def decode(data: bytes, charset: str) -> tuple[str, str]:
    """Text of bytes that claim to be in a charset ("" for no claim), and a note where the claim was wrong or unknown.

    The note is "" where all is well, else a short phrase for a Problem's detail. The text holds no lone surrogates.
    """
    name = codec(charset)
    if data.isascii() and name not in _SHIFTED:
        if b"\x1b$" in data:  # RFC 1468 needs no bit 7, so unlabelled Japanese looks like ASCII
            return _escaped(data), "" if charset else "iso-2022-jp without a label"
        return data.decode("ascii"), "" if name or not charset else f"unknown charset {charset[:LABEL_LENGTH]}"
    if name == "utf-8":
        text = _strict(data, "utf-8-sig")
        return (text, "") if text is not None else _mended(data)
    if data.startswith(_MARKS) and name not in _SHIFTED:
        text = _strict(data, "utf-16")
        if text is not None:
            return _whole(text), f"utf-16 labelled {charset}" if charset else "utf-16 without a label"
    if not name or name == "ascii":
        note = f"unknown charset {charset[:LABEL_LENGTH]}" if charset and not name else "8-bit text without a charset"
        return _guessed(data), note
    return _labelled(data, name, charset)


_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16: in no other charset do these two begin a text


def _labelled(data: bytes, name: str, charset: str) -> tuple[str, str]:
    if name not in _MANY_BYTES:
        # What is valid as UTF-8 hardly ever makes sense in a charset of single bytes.
        text = _strict(data, "utf-8-sig")
        if text is not None and not _C1_TEXT.search(text):
            return text, f"utf-8 labelled {charset}"
    if name in ("latin-1", "cp1252"):
        return _western_or(data, name, charset)
    if name == "iso2022_jp_ext" and b"\x1b" not in data:
        return _guessed(data), f"not {charset}"
    if name == "iso2022_jp_ext":
        return _escaped(data), "" if _strict(data, name) is not None else f"bytes that are not {charset}"
    if name == "utf-16" and not data.startswith(_MARKS):
        name = "utf-16-be" if data[0::2].count(0) > data[1::2].count(0) else "utf-16-le"
    text = _strict(data, name)
    if text is not None:
        return _whole(text.removeprefix("\ufeff")), ""
    text = _strict(data, "utf-8-sig")
    if text is not None and name not in _SHIFTED:
        return text, f"utf-8 labelled {charset}"
    text = data.decode(name, "replace")
    # Bytes that hardly ever make letters by chance may have one broken in five, others one in twenty.
    few = 5 if name in _MANY_BYTES else 20
    if name in _SHIFTED or text.count("\ufffd") * few <= len(text) - _ascii_letters(data):
        return _whole(text), f"bytes that are not {charset}"
    return _guessed(data), f"not {charset}"


def _western_or(data: bytes, name: str, charset: str) -> tuple[str, str]:
    """Labelled as Western, the label of programs that know no other. In words of Western languages letters with accents stand
    alone or in twos, so a text that is nothing but them is Cyrillic, Greek, Chinese ...: the detector says which.
    """
    high = data.translate(None, _ASCII_BYTES)
    foreign = 5 * len(high) > 2 * len(data) or 2 * sum(map(len, _HIGH_RUN.findall(data))) > len(high)
    # Few different ones are a row of dots or dashes.
    if foreign and len(set(high)) >= FEW_LETTERS:
        found = detected(data)
        text = _strict(data, found) if found != "cp1252" else None
        if text is not None:
            return _whole(text), f"{found} labelled {charset}"
    if name == "cp1252" or _C1.search(data):
        # ISO 8859-1 has no letters at 0x80-0x9f: the writer meant windows-1252.
        text = _strict(data, "cp1252")
        note = "" if name == "cp1252" and text is not None else f"windows-1252 labelled {charset}"
        return (text, note) if text is not None else (data.decode("latin-1"), f"bytes that are not {charset}")
    return data.decode("latin-1"), ""


_BREAKS = re.compile(rb"([\x00-\x20]+)")
_ESCAPE = re.compile(rb"\x1b(\([A-Z]|\$\([A-Z]|\$[@A-Z]|\$\)C)")


def _escaped(data: bytes) -> str:
    """ISO-2022-JP, with what Windows writes into it (RFC 1468 has neither the circled numbers nor half-width katakana)."""
    if b"\x1b$)C" in data:
        return _strict(data, "iso2022_kr") or data.decode("ascii", "replace")
    text = _strict(data, "iso2022_jp_ext")
    if text is not None:
        return text
    pieces = _ESCAPE.split(data)
    out = [_strict(pieces[0], "cp932") or pieces[0].decode("ascii", "replace")]
    for mode, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if mode in (b"$@", b"$B"):
            out.append(_rows(piece))
        elif mode == b"(I":
            out.append(bytes(b | 0x80 if 0x20 < b < 0x60 else b for b in piece).decode("cp932", "replace"))
        else:
            out.append(piece.decode("cp932", "replace"))
    return "".join(out)


def _rows(piece: bytes) -> str:
    """Letters of JIS X 0208, two bytes each, by way of Shift JIS, whose codec in Windows' form has Windows' letters too."""
    out = bytearray()
    for letters in _BREAKS.split(piece):  # a line break that no escape precedes stands for itself
        if letters[:1] < b"!":
            out += letters
            continue
        for row, cell in zip(letters[0::2], letters[1::2], strict=False):
            if row > 0x7E or cell > 0x7E:
                out += b"?"
                continue
            out.append((row + 1) // 2 + (0x70 if row < 0x5F else 0xB0))
            out.append(cell + (0x1F if cell < 0x60 else 0x20) if row % 2 else cell + 0x7E)
    return out.decode("cp932", "replace")


def _ascii_letters(data: bytes) -> int:
    return len(data.decode("ascii", "ignore"))


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except (UnicodeError, ValueError):
        return None


def _whole(text: str) -> str:
    """UTF-7, and some double-byte codecs, let lone surrogates through: no store could write them."""
    return _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text


def _mended(data: bytes) -> tuple[str, str]:
    """Text that claims UTF-8 and is not quite: mostly so (a cut character, a footer pasted in by a list), or not at all."""
    text = data.decode("utf-8-sig", "surrogateescape")
    bad = len(_SURROGATE.findall(text))
    good = len(text) - bad - _ascii_letters(data)
    if good >= bad or bad == 1:
        first = _ESCAPED.search(text)
        # A lead byte and what it got of its followers, at the very end, is a character cut off.
        cut = first and first.end() == len(text) and bad <= 3 and "\udcc2" <= first.group()[0] <= "\udcf4"
        mend = "\ufffd" if cut else _western
        return _ESCAPED.sub(mend, text), "bytes that are not utf-8"
    return _guessed(data), "not utf-8"


def _western(match: re.Match[str]) -> str:
    data = match.group().encode("utf-8", "surrogateescape")
    return _strict(data, "cp1252") or data.decode("latin-1")


def _guessed(data: bytes) -> str:
    text = _strict(data, "utf-8-sig")
    if text is not None:
        return text
    return _whole(data.decode(detected(data), "replace"))


def detected(data: bytes) -> str:
    """The Python codec that a detector finds most likely for bytes that are not UTF-8; windows-1252 where it can't tell."""
    from chardetng_py import EncodingDetector  # 10 ms to load, and most mail never needs it

    detector = EncodingDetector()
    detector.feed(data[:DETECTOR_BYTES], last=True)
    name = codec(detector.guess(tld=None, allow_utf8=False))
    return name if name and name != "ascii" else "cp1252"
