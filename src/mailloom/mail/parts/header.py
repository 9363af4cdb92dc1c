"""Header fields: raw bytes -> text, ids, dates, parameters. Nothing here raises, and everything is linear in its input.

What senders write differs from RFC 5322, 2047 and 2231 in every way that still worked in some client; the comments name the
form that a line of code is there for.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from mailloom.mail import charset
from mailloom.mail.parts.dates import date as date  # noqa: PLC0414 - a field like the others to those who read one

# A thread of five hundred messages that cites them all is rarer than a hostile header; readers use the first and the last ids.
IDS_FIRST, IDS_LAST = 10, 490
# RFC 5322 section 2.1.1: no line is longer, and an id can't be folded.
ID_LENGTH = 998

# A field: name, colon, value with its folded lines (RFC 5322 section 2.2). "--" begins a boundary even where a colon follows.
_FIELD_BYTES = re.compile(rb"^([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE)
# The same in text with a line break in front, for which the engine can search.
_FIELD = re.compile(r"\n([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ID = re.compile(r"<([^<>]*)(?:>|(?=<)|$)")
_BLANKS = re.compile(r"\s+")
_COMMENT = re.compile(r"\([^()]*\)")
# RFC 2047 section 2, loosened: a language after "*" (RFC 2231 section 5); the text, up to the next "?=", may hold blanks.
_WORD = re.compile(r"=\?([\w.:+\-/()]{1,64})(?:\*[\w\-]{0,32})?\?([bBqQ])\?")
_ASCII = re.compile("[\x00-\x7f]+")
_BASE64_NOISE = re.compile(r"[^A-Za-z0-9+/]+")
# One parameter. A blank before "name=" stands for a forgotten semicolon.
_PARAMETER = re.compile(
    r"""(?:;\s*+|\s)([^=;\s"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"\s*+(?:\([^()]*+\)\s*+)?(?=;|$|(?<=\s)[\w*\-]++=)"""
    r"""|([^;\s]*+(?:\s++(?![A-Za-z][\w*\-]*+=)[^;\s]++)*+))""",
    re.DOTALL,
)
_SEPARATOR = re.compile(r"[;\s]")
_CONTINUED = re.compile(r"([^*]+)(?:\*(\d{1,6}))?(\*)?")
_NAMES = ("name", "filename")  # the parameters in which writers leave blanks unquoted

NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


def fields(block: bytes, hint: str = "") -> list[tuple[str, str]]:
    """The fields of a header block in order: lower-case name, value unfolded with its encoded words as they stand."""
    return [(name.lower(), _value(value, hint)) for name, value in _FIELD.findall("\n" + block.decode("latin-1"))]


def named(block: bytes, names: Mapping[str, str], hint: str = "") -> dict[str, list[str]]:
    """The values of the fields whose lower-case name is in `names`, by what that calls them, as `fields` has them: a mail has
    thirty to a hundred fields, of which a reader needs half.
    """
    found: dict[str, list[str]] = {}
    for written, value in _FIELD.findall("\n" + block.decode("latin-1")):
        name = names.get(written.lower())
        if name is not None:
            if name in found:
                found[name].append(_value(value, hint))
            else:
                found[name] = [_value(value, hint)]
    return found


def _value(value: str, hint: str) -> str:
    """The value of a field in a block whose bytes were read as letters of the same number: see `unfolded`."""
    return _one_line(value if value.isascii() else _eight_bit(value.encode("latin-1"), hint))


@dataclass(frozen=True, slots=True)
class Headers:
    """All fields of a header block in order, as (lower-case name, decoded value): read when looked at, which few who read a mail do.

    `block` has LF for CRLF, so that copies of a mail are equal; `hint` is the charset of raw 8-bit letters in it.
    """

    block: bytes = b""
    hint: str = ""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(name, words(value) if "=?" in value else value) for name, value in fields(self.block, self.hint)])


def raw_fields(block: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of a header block in order: name and value as written, still folded."""
    return _FIELD_BYTES.findall(block)


def unfolded(value: bytes, hint: str = "") -> str:
    """One line of text: folds (RFC 5322 section 2.2.3) made a single blank, controls gone, 8-bit bytes read; encoded words
    stay. Raw 8-bit is UTF-8 (RFC 6532), else in the charset `hint` (the message's own), else what a detector says.
    """
    return _one_line(value.decode("ascii") if value.isascii() else _eight_bit(value, hint))


def _one_line(text: str) -> str:
    if "\n" in text:
        text = " ".join([line.strip() for line in text.split("\n")])
    return (text if text.isprintable() else _printable(text)).strip()


def decode(value: bytes, hint: str = "") -> str:
    """The text that a reader saw: unfolded and with encoded words (RFC 2047) decoded. A decoded line break becomes a blank,
    so that it can't pass for a field of its own.
    """
    text = unfolded(value, hint)
    return words(text) if "=?" in text else text


def _eight_bit(value: bytes, hint: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return charset.decode(value, hint if charset.codec(hint) not in {"utf-8", ""} else "")[0]


def _printable(text: str) -> str:
    if "\x1b$" in text and text.isascii():  # ISO-2022-JP as it is, against RFC 2047 section 1
        text = charset.decode(text.encode("ascii"), "iso-2022-jp")[0]
    return _CONTROL.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    run = match.group()
    return " " if "\n" in run or "\r" in run or "\t" in run or "\u2028" in run or "\u2029" in run else ""


def words(text: str) -> str:
    """Text with its encoded words decoded. Neighbours in one charset are joined as bytes first: many writers split in
    the middle of a character (against RFC 2047 section 5), and some in the middle of four base64 letters.
    """
    return _short_words(text) if len(text) <= 300 else _words(text)


def _words(text: str) -> str:
    out: list[str] = []
    run: list[tuple[str, str]] = []
    run_label, at = "", 0
    found = _WORD.search(text)
    while found:
        end = text.find("?=", found.end())
        if end < 0:
            end = _cut_end(text, found.end())
        if end < 0:
            break
        between = text[at : found.start()]
        label, encoding = found.group(1), found.group(2).lower()
        if run and (between.strip() or label.lower() != run_label.lower()):
            out.append(_joined(run, run_label))
            run = []
            # Blanks between two encoded words are not shown (RFC 2047 section 6.2).
            out.append(between if between.strip() else "")
        elif not run:
            out.append(between)
        run.append((encoding, text[found.end() : end]))
        run_label, at = label, end + 2
        found = _WORD.search(text, at)
    if not run:
        return text
    out.extend((_joined(run, run_label), text[at:]))
    whole = "".join(out)
    if whole.startswith("=?") and whole.endswith("?="):
        # Encoded twice, by two programs in a row.
        again = _WORD.match(whole)
        if again and whole.find("?=", again.end()) == len(whole) - 2:
            whole = _joined([(again[2].lower(), whole[again.end() : -2])], again[1])
    return whole if whole.isprintable() else _printable(whole)


def _cut_end(text: str, start: int) -> int:
    """Where the text of an encoded word ends that has no end, as a server cut the field; -1 where it's no such word."""
    return len(text) if " " not in text[start:] and len(text) > start else -1


# A subject is asked for as a field and for the list of all; names recur from mail to mail.
_short_words = lru_cache(maxsize=1024)(_words)


def _joined(run: list[tuple[str, str]], label: str) -> str:
    if not all(coded.isascii() for _, coded in run):
        # Raw 8-bit inside an encoded word was read with the whole header: only what is left of the code is in the word's charset.
        return "".join(
            coded if encoding == "b" else _ASCII.sub(lambda m: charset.decode(_quoted(m.group()), label)[0], coded)
            for encoding, coded in run
        )
    pieces: list[bytes] = []
    letters = ""  # base64 not yet decoded, as its last four letters may be split over two words
    for encoding, coded in run:
        if encoding == "q":
            pieces.append(_base64(letters) + _quoted(coded))
            letters = ""
            continue
        if len(letters) % 4 == 0:
            pieces.append(_base64(letters))
            letters = ""
        letters += _BASE64_NOISE.sub("", coded)
        if "=" in coded:
            pieces.append(_base64(letters))
            letters = ""
    pieces.append(_base64(letters))
    return charset.decode(b"".join(pieces), label)[0]


def _base64(letters: str) -> bytes:
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    try:
        return a2b_base64(letters + "=" * (-len(letters) % 4))
    except BinasciiError:
        return b""


def _quoted(coded: str) -> bytes:
    return a2b_qp(coded.encode("ascii"), header=True)


def ids(value: str) -> tuple[str, ...]:
    """The ids of a Message-ID, In-Reply-To or References field, without brackets, in order; of very many the first and
    last ones (`IDS_FIRST`, `IDS_LAST`). Blanks and comments inside the brackets are taken out; a value without any
    bracket gives its words that hold an @, or its only word.
    """
    found = all_ids(value)
    return found if len(found) <= IDS_FIRST + IDS_LAST else found[:IDS_FIRST] + found[-IDS_LAST:]


def all_ids(value: str) -> tuple[str, ...]:
    """Like `ids`, without the cap."""
    if "<" in value:
        inner = _ID.findall(value)
        return tuple([one for one in map(_bare, inner) if one])
    tokens = _BLANKS.sub(" ", value.replace(",", " ").replace(";", " ")).split()
    if len(tokens) > 1:
        tokens = [token for token in tokens if "@" in token]
    return tuple(
        [token for token in (token.strip("\"'>()[]") for token in tokens) if token and len(token) <= ID_LENGTH]
    )


def _bare(inner: str) -> str:
    if "(" in inner:
        inner = _COMMENT.sub("", inner)
    if not inner or len(inner) > 2 * ID_LENGTH:
        return ""
    inner = "".join(inner.split())
    return inner if len(inner) <= ID_LENGTH else ""


def params(value: bytes) -> tuple[str, Mapping[str, str]]:
    """A Content-Type or Content-Disposition as (lower-case main value, lower-case name -> text). RFC 2231 continuations and
    charsets are undone, and encoded words, which RFC 2047 forbids here and everyone writes. The first of two wins.
    """
    return _short_params(value) if len(value) <= 200 else _params(value)


def _params(value: bytes) -> tuple[str, Mapping[str, str]]:
    text = unfolded(value)
    semicolon = text.find(";")
    if semicolon < 0 and "=" in text:  # "text/plain charset=utf-8"
        text = text.replace(" ", ";", 1)
        semicolon = text.find(";")
    if semicolon < 0:
        return _main(text), NO_PARAMETERS
    found: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    at: int | None = semicolon
    while at is not None:
        one = _PARAMETER.match(text, at)
        if not one:
            separator = _SEPARATOR.search(text, at + 1)
            at = separator.start() if separator else None
            continue
        at = one.end()
        name, quoted, bare = one[1].lower(), one[2], one[3]
        content = _unquoted(quoted) if quoted else _unmarked(bare or "", name)
        if "*" not in name:
            if "''" in content and name in _NAMES:
                content = _starless(content)
            found.setdefault(name, words(content) if "=?" in content else content)
        elif part := _CONTINUED.fullmatch(name):
            pieces.setdefault(part[1], []).append((int(part[2] or 0), bool(part[3]), content))
    for name, parts in pieces.items():
        found[name] = _continued(parts)
    return _main(text[:semicolon]), MappingProxyType(found)


_short_params = lru_cache(maxsize=512)(_params)


def _main(text: str) -> str:
    main = text.lower()
    if "(" in main:
        main = _COMMENT.sub("", main)
    return "".join(main.split()).strip("\"'")


def _unquoted(text: str) -> str:
    # Only \" and \\ are undone: Windows clients write paths with plain backslashes.
    return text.replace('\\"', '"').replace("\\\\", "\\") if "\\" in text else text


def _unmarked(bare: str, name: str) -> str:
    """A value without quotes, or with broken ones."""
    bare = bare.strip()
    if len(bare) >= 2 and bare[0] in "\"'" and bare[-1] == bare[0]:
        return _unquoted(bare[1:-1])
    if name.startswith(_NAMES):
        return bare.strip('"')
    bare = bare.split("(", 1)[0] if name != "boundary" else bare
    return bare.split(None, 1)[0].strip('"') if bare.strip() else ""


def _starless(content: str) -> str:
    """RFC 2231's form under a name without its star: charset''percent-encoded."""
    label, _, coded = content.partition("''")
    if "%" not in coded or not charset.codec(label):
        return content
    return charset.decode(unquote_to_bytes(coded.encode("utf-8", "replace")), label)[0]


def _continued(parts: list[tuple[int, bool, str]]) -> str:
    """RFC 2231 section 3 and 4: charset'language'text in the first piece; pieces marked with * are percent-encoded."""
    parts.sort(key=lambda part: part[0])
    label, data = "", []
    for position, (_, encoded, written) in enumerate(parts):
        content = written
        if encoded and position == 0 and written.count("'") >= 2:
            label, _, content = written.split("'", 2)
        elif encoded and label and content.startswith(f"{label}'"):
            content = content.partition("'")[2]  # some writers state the charset again in each piece
        raw = content.encode("utf-8", "replace")
        data.append(unquote_to_bytes(raw) if encoded else raw)
    text = charset.decode(b"".join(data), label)[0]
    if "=?" in text:
        text = words(text)
    return text if text.isprintable() else _printable(text)
