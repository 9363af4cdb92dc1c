"""A mail's raw bytes and its parts; payloads and texts decoded when asked for.

Nothing raises, whatever the bytes: what is odd becomes a Problem. structure.py finds the parts.
"""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from mailloom.mail import charset
from mailloom.mail.forms import unpack
from mailloom.mail.forms.uuencode import uu_line
from mailloom.mail.model import Problem
from mailloom.mail.parts import header
from mailloom.mail.parts.structure import GUESS_BYTES, LIMITS, Limits, Part, Scanner

__all__ = ["LIMITS", "Limits", "Mime", "Part", "safe_name", "scan"]

_LONE_CR = re.compile(rb"\r(?!\n)")
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
_PADS = re.compile(rb"=[=\s]*+")
# A pad with something behind it in its line: another encoding would have begun a new line.
_BEHIND_PAD = re.compile(rb"=[ \t]++[^\s=]")
_BLANK_INSIDE = re.compile(rb"[^\s][ \t]++(?=[^\s])")
_META_CHARSET = re.compile(rb"""<meta\s[^>]{0,200}?charset\s*=\s*["']?([\w.:\-]{1,64})""", re.IGNORECASE)
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOISE = bytes(set(range(256)) - set(_ALPHABET))
# More than one blank between so many letters: those are words, and the text never was encoded.
FEW_BLANKS, MAX_BLANKS = 3, 40


# Payloads up to this size are kept, as a body is asked for by its readers and for its hash; attachments are not.
KEPT_BYTES = 1 << 16


class Mime:
    """A mail's raw bytes and its parts, in document order (a parent before its children). Payloads are decoded when asked.

    Behind the parts of the MIME structure come those that lay inside one of them (see unpack.py).
    """

    __slots__ = ("_held", "_limits", "_notes", "_rests", "_small", "_view", "inflated", "parts", "raw")

    def __init__(
        self, raw: bytes, view: bytes, parts: tuple[Part, ...], limits: Limits, problems: Iterable[Problem]
    ) -> None:
        self.raw = raw
        self.parts = parts
        self._view = (
            view  # the same bytes with "\n" for a bare CR where that is the mail's line break: offsets are equal
        )
        self._limits = limits
        self._notes = dict.fromkeys(problems)
        self._small: dict[int, bytes] = {}
        self.inflated = 0  # bytes of compressed parts so far
        # What lay inside: its bytes, or the mail it is a part of and its place there. And texts without the files that lay in them.
        self._held: dict[int, bytes | tuple[Mime, Part]] = {}
        self._rests: dict[int, bytes] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was odd so far: decoding a payload may add to it."""
        return tuple(self._notes)

    def head(self, index: int) -> bytes:
        """The header block of a part, as much of it as the limit lets read."""
        held = self._held.get(index)
        if isinstance(held, bytes):
            return b""
        return held[0].block(held[1]) if held else self.block(self.parts[index])

    def block(self, part: Part) -> bytes:
        """The header block of a part by its own offsets."""
        return self._view[part.start : min(part.body_start, part.start + self._limits.header_bytes)]

    def fields(self, index: int) -> list[tuple[str, bytes]]:
        """The header fields of a part in order: lower-case name, value as in the raw bytes (still folded)."""
        return [(name.lower().decode("ascii"), value) for name, value in header.raw_fields(self.head(index))]

    def payload(self, index: int) -> bytes:
        r"""The body of a part with its transfer encoding undone; base64 keeps what decodes.

        Line breaks of an encoding made of lines are "\n": between CRLF and LF copies of a mail they are no content (RFC 2045
        section 2.7). A part that ends with the mail loses its trailing line breaks, which mailbox files add and eat.
        """
        kept = self._small.get(index)
        if kept is None:
            held = self._held.get(index) if self._held else None
            if isinstance(held, bytes):
                return held
            kept = held[0].decoded(held[1]) if held else self.decoded(self.parts[index])
            if len(kept) <= KEPT_BYTES:
                self._small[index] = kept
        return kept

    def decoded(self, part: Part) -> bytes:
        """A part's body by its own offsets; `payload` is for readers."""
        data = self._view[part.body_start : part.end]
        if part.encoding == "base64":
            return self._base64(data, part)
        if part.encoding == "binary":
            return self.raw[part.body_start : part.end]
        if b"\r" in data and (part.encoding or b"\0" not in data):
            data = data.replace(b"\r\n", b"\n")
        if part.end == len(self.raw):
            data = data.rstrip(b"\r\n")
        if part.encoding == "quoted-printable":
            return _quoted_printable(data)
        if part.encoding == "uuencode":
            return self._uuencoded(data, part)
        return data

    def text(self, index: int) -> str:
        r"""The payload as text, with "\n" for every line break. The charset is the part's, an HTML meta's, or found out.

        Files and signatures that stand in the text are parts of their own and not in it.
        """
        part = self.parts[index]
        data = self._rests.get(index)
        if data is None:
            data = self.payload(index)
        label = part.charset
        if not label and part.type == "text/html":
            meta = _META_CHARSET.search(data, 0, GUESS_BYTES)
            label = meta.group(1).decode("ascii", "replace") if meta else ""
        text, note = charset.decode(data, label)
        if note:
            self._note("charset", part, note)
        if "\r" in text:
            text = text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")
        return text

    def _note(self, kind: str, part: Part, detail: str = "") -> None:
        self._notes[Problem(kind, f"part {part.index}", detail)] = None

    def _base64(self, data: bytes, part: Part) -> bytes:
        if data.find(b"=", 0, len(data.rstrip(b"\r\n ="))) < 0:
            count = len(data) - data.count(b"\n") - data.count(b"\r") - data.count(b"=")
            try:
                found = a2b_base64(data)
            except BinasciiError:
                found = b""
            if len(found) == count * 3 // 4:  # else something was skipped
                return found
        # A pad inside: several encodings in a row are all decoded, but not the plain text that a list put behind one.
        pieces = _PADS.split(data)
        if behind := _BEHIND_PAD.search(data):
            self._note("base64", part, "text after the end")
            pieces = _PADS.split(data[: behind.start() + 1])
        elif pieces[1:] and b"".join(pieces[1:]).translate(None, _ALPHABET).strip():
            self._note("base64", part, "text after the end")
            pieces = pieces[:1]
        words = sum(len(_BLANK_INSIDE.findall(piece)) for piece in pieces)
        if words > FEW_BLANKS and words * MAX_BLANKS > sum(map(len, pieces)):
            self._note("base64", part, "not base64")
            return data
        out = []
        for piece in pieces:
            letters = piece.translate(None, _NOISE)
            if len(letters) != len(piece) - piece.count(b"\n") - piece.count(b"\r"):
                self._note("base64", part, "characters that are not base64")
            if len(letters) % 4 == 1:
                self._note("base64", part, "cut off")
                letters = letters[:-1]
            out.append(a2b_base64(letters + b"=" * (-len(letters) % 4)))
        return b"".join(out)

    def _uuencoded(self, data: bytes, part: Part) -> bytes:
        lines = iter(data.split(b"\n"))
        if not any(line.startswith(b"begin ") for line in lines):
            self._note("uuencode", part, "no begin line")
            return data
        out = []
        for line in lines:
            if line.rstrip() == b"end":
                break
            if not line:
                continue
            decoded = uu_line(line)
            if decoded is None:
                self._note("uuencode", part, "broken line")
            else:
                out.append(decoded)
        return b"".join(out)

    # ---------------------------------------------------------------- what lies inside a part that is no multipart

    def look_inside(self) -> None:
        """Find it, and what lies inside of that, to `Limits.packings` levels. Called once, by `scan`."""
        more: list[Part] = []
        levels: dict[int, int] = {}
        alone: bool | None = None
        for part in chain(self.parts, more):  # what is found is looked at too
            if part.type == "text/plain":
                if part.disposition != "attachment" and not part.name:
                    self._unpack_text(part, more)
                continue
            kind = unpack.kind_of(part.type, part.name)
            if not kind:
                continue
            level = levels.get(part.index, 0)
            if level >= self._limits.packings:
                self._note("packed too deep", part, f"{level} levels")
                continue
            before = len(self.parts) + len(more)
            if kind == "tnef":
                alone = self._no_text() if alone is None else alone
                self._keep(part, unpack.of_tnef(self.payload(part.index), alone=alone and not level), more)
            else:
                inside = unpack.of_cms(self.payload(part.index), self._limits.inflated - self.inflated)
                self.inflated += inside.inflated
                self._keep(part, inside, more)
            levels |= dict.fromkeys(range(before, len(self.parts) + len(more)), level + 1)
        if more:
            self.parts = (*self.parts, *more)

    def _no_text(self) -> bool:
        texts = [p for p in self.parts if p.type in ("text/plain", "text/html") and p.disposition != "attachment"]
        return not any(self.payload(p.index).strip() for p in texts)

    def _unpack_text(self, part: Part, more: list[Part]) -> None:
        if not part.encoding and not part.inside:  # as it stands, most texts can be told to hold nothing without a copy
            start, end = part.body_start, part.end
            if all(self._view.find(sign, start, end) < 0 for sign in unpack.SIGNS):
                return
        inside = unpack.of_text(self.payload(part.index))
        if inside is not None:
            if inside.text is not None:
                self._rests[part.index] = inside.text
            self._keep(part, inside, more)

    def _keep(self, carrier: Part, inside: unpack.Inside, more: list[Part]) -> None:
        for kind, detail in inside.faults:
            self._note(kind, carrier, detail)
        if inside.entity is not None:
            self._keep_entity(carrier, inside.entity, more)
        for one in inside.found:
            if self._full(carrier, more):
                return
            part = replace(
                carrier,
                index=len(self.parts) + len(more),
                parent=carrier.index,
                depth=carrier.depth + 1,
                type=one.type,
                charset=one.charset,
                encoding="",
                disposition="" if one.readable else "attachment",
                name=one.name,
                content_id=one.content_id,
                params=header.NO_PARAMETERS,
                inside=one.form,
            )
            self._held[part.index] = one.content
            more.append(part)

    def _keep_entity(self, carrier: Part, entity: bytes, more: list[Part]) -> None:
        """The parts of a mail inside, numbered on."""
        view = _with_line_feeds(entity)
        scanner = Scanner(view, self._limits)
        inner = Mime(entity, view, scanner.run(), self._limits, ())
        inner._notes = self._notes
        first = len(self.parts) + len(more)
        for problem in scanner.problems:
            place = int(problem.where.removeprefix("part "))
            self._notes[replace(problem, where=f"part {place + first}")] = None
        for part in inner.parts:
            if self._full(carrier, more):
                return
            index = first + part.index
            numbered = replace(part, index=index)
            self._held[index] = (inner, numbered)
            more.append(
                replace(
                    numbered,
                    parent=first + part.parent if part.parent >= 0 else carrier.index,
                    depth=carrier.depth + 1 + part.depth,
                    start=carrier.body_start,
                    body_start=carrier.body_start,
                    end=carrier.end,
                    inside="smime",
                )
            )

    def _full(self, carrier: Part, more: list[Part]) -> bool:
        full = len(self.parts) + len(more) >= self._limits.parts
        if full:
            self._note("too many parts", carrier, "not all that lies inside was read")
        return full


def _quoted_printable(data: bytes) -> bytes:
    if b"= " in data or b"=\t" in data:
        data = _SOFT_BREAK.sub(b"=", data)
    if b"=\r" in data:  # a2b_qp would drop all up to the next line break
        data = data.replace(b"=\r", b"=\n")
    return a2b_qp(data)


def scan(raw: bytes, limits: Limits = LIMITS) -> Mime:
    """The parts of a mail. Accepts any bytes: without a header all is body, an empty mail is one empty text part."""
    view = _with_line_feeds(raw)
    scanner = Scanner(view, limits)
    parts = scanner.run()
    mime = Mime(raw, view, parts, limits, scanner.problems)
    mime.look_inside()
    return mime


def _with_line_feeds(raw: bytes) -> bytes:
    first = raw.find(b"\r")
    if first < 0:
        return raw
    feed = raw.find(b"\n")
    if feed < 0 or (first < feed and raw[first:feed].strip(b"\r")):
        return _LONE_CR.sub(b"\n", raw)
    return raw


# 255 bytes is the longest name that usual file systems hold; the rest is for a number and a suffix.
SAFE_NAME_BYTES = 200
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+')
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)


def safe_name(name: str) -> str:
    """A name under which an attachment may be saved on any system: no folder, no control or direction character, no device of
    Windows, not hidden, at most `SAFE_NAME_BYTES` long with its suffix kept. "attachment" where nothing is left.
    """
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    name = _UNSAFE.sub("_", name).strip(" .")
    if _DEVICES.match(name):
        name = "_" + name
    if len(name.encode("utf-8", "replace")) > SAFE_NAME_BYTES:
        stem, dot, suffix = name.rpartition(".")
        suffix = suffix if dot and len(suffix.encode("utf-8", "replace")) <= 20 else ""
        room = SAFE_NAME_BYTES - len(suffix.encode("utf-8", "replace")) - 1
        cut = (stem or name).encode("utf-8", "replace")[:room].decode("utf-8", "ignore").rstrip(" .")
        name = f"{cut}.{suffix}" if suffix else cut
    return name or "attachment"
