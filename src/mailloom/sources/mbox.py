"""An mbox -> its messages, in memory for one message and one chunk, at any size of file.

A message's place is the bytes between its From_ line and the empty line that ends it, in the decompressed file. Content-Length
(mboxcl, mboxcl2) is honoured only where a From_ line or the end stands exactly there. ">From " is turned back into "From " only
where the writer is known to quote: by option, by the file's name, by public-inbox's first line, or by the file's own evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mailloom.sources import fromline
from mailloom.sources.fromline import LINE, Style
from mailloom.sources.place import CHUNK, MAX_MAIL, MB, Variant
from mailloom.sources.stream import Stream, bytes_stream

MOST_AT_ONCE = 32 * MB
"""A window grows with the message in it, so that a large one is copied a few times, not once a chunk; and by no more than this."""

NEAR = 2 * LINE + 8
"""A From_ line and the line after it."""
MAX_HEADER = 1 << 16
"""So far into a message its Content-Length is looked for."""
_GREATER, _NEWLINE = b">\n"
BLANK = b"\xef\xbb\xbf\x00 \t\r"

_MARK = b"\nFrom "
# As all that write mboxcl spell it.
_CONTENT_LENGTH = b"\nContent-Length:"
_LENGTH = re.compile(_CONTENT_LENGTH + rb"[ \t]{0,8}(\d{1,12})[ \t]{0,8}\r?\n")
_QUOTED = re.compile(rb"\n>(>*From )")
_NAMES: dict[str, Variant] = {"mboxrd": "mboxrd", "mboxo": "mboxo", "mboxcl": "mboxcl", "mboxcl2": "mboxcl2"}
# public-inbox and lei write mboxrd, with this in each From_ line.
_PUBLIC_INBOX = b"From mboxrd@z "


class Piece(NamedTuple):
    """One message's place: raw = file[start:end], the next From_ line at `upto`; raw is None if it is larger than allowed.

    `line` is its From_ line, b"" for text that has none; `quoted` tells whether ">From " is in it; `last` is set on what the end
    of the input ended; `stub` is a From_ line that was cut.
    """

    start: int
    end: int
    upto: int
    raw: bytes | None
    line: bytes
    quoted: bool = False
    last: bool = False
    stub: bool = False


class _Window:
    """The bytes from `base` on that are in memory. Indices are absolute: offsets in the file."""

    __slots__ = ("base", "chunk", "data", "ended", "max_mail", "own", "stream")

    def __init__(self, stream: Stream, base: int, chunk: int, own: Style, max_mail: int = MAX_MAIL) -> None:
        self.stream, self.base, self.chunk = stream, base, chunk
        self.own, self.max_mail = own, max_mail
        self.data = b""
        self.ended = False

    @property
    def end(self) -> int:
        return self.base + len(self.data)

    def grow(self, keep: int) -> None:
        """Drop what lies before `keep` and read on."""
        rest = self.data[keep - self.base :]
        more = self.stream.read(max(self.chunk, min(len(rest), MOST_AT_ONCE)))
        self.ended = not more
        self.data, self.base = (rest + more if rest else more), keep

    def reach(self, offset: int, keep: int) -> None:
        """Have everything from `keep` to `offset`, or to the end of the input."""
        while self.end < offset and not self.ended:
            self.grow(keep)

    def find(self, what: bytes, start: int, end: int | None = None) -> int:
        at = self.data.find(what, start - self.base, len(self.data) if end is None else end - self.base)
        return at if at < 0 else at + self.base

    def cut(self, start: int, end: int) -> bytes:
        return self.data[start - self.base : end - self.base]

    def line(self, start: int) -> tuple[bytes, int]:
        """The line that begins at `start`, at most LINE long, without its end, and where the next begins; 0 if its end isn't near."""
        limit = min(start + LINE, self.end)
        stop = self.find(b"\n", start, limit)
        return (self.cut(start, limit), 0) if stop < 0 else (self.cut(start, stop).removesuffix(b"\r"), stop + 1)

    def cut_off(self, start: int) -> bool:
        """Whether the input ends inside the line that begins at `start`."""
        return self.ended and self.end - start < LINE and self.find(b"\n", start) < 0


def split(
    stream: Stream, own: Style, *, start: int = 0, max_mail: int = MAX_MAIL, chunk: int = CHUNK
) -> Iterator[Piece]:
    """The messages of an mbox whose bytes from `start` on are in `stream`. `own` is the style of the file's first line.

    A first Piece without a From_ line is what stands before the first one.
    """
    window = _Window(stream, start, max(chunk, 16), own, max_mail)
    at = start
    while True:  # blank lines before the first From_ line
        window.reach(at + NEAR, at)
        line, after = window.line(at)
        if line.strip(BLANK) or (not after and at < window.end):
            break
        if not after:
            return
        at = after
    if not (line.lstrip(BLANK).startswith(b"From ") and (at == 0 or _opens(window, at, at, after_blank=True))):
        at, piece = _message(window, at, at, b"")
        yield piece
    while at < window.end:
        if window.base + len(window.data) < at + NEAR:
            window.reach(at + NEAR, at)
        line, after = window.line(at)
        if not after and window.cut_off(at):
            yield Piece(at, window.end, at, window.cut(at, window.end), b"", last=True, stub=True)
            return
        at, piece = _message(window, at, after or at + len(line), line.lstrip(BLANK))
        yield piece


def _message(window: _Window, at: int, start: int, line: bytes) -> tuple[int, Piece]:
    """The message whose From_ line is at `at` and ends at `start` (or which has none, if they are equal), and where the next begins."""
    search = max(start, at + 1)
    quoted = False
    while True:
        # One pass finds both the lines that may part and those that were quoted so as not to.
        mark = window.data.find(b"From ", search - window.base) + window.base
        if mark < window.base:
            if window.ended:
                return window.end, _piece(window, start, window.end, line, quoted=quoted)
            search = max(search, window.end - 4)
            # What is larger than allowed is passed over: only what the rules need of its end stays in memory.
            window.grow(_keep(window, at, start, search))
            continue
        search = mark + 5
        before = window.data[mark - 1 - window.base]
        if before == _GREATER:
            quoted = True
        elif before == _NEWLINE:
            if window.end < mark + NEAR:
                window.reach(mark + NEAR, _keep(window, at, start, mark))
            if _opens(window, mark, start):
                stated = _stated_end(window, at, start, mark) if window.base <= start else None
                if stated is None:
                    return mark, _piece(window, start, mark, line, quoted=quoted)
                end, mark = stated
                raw = window.cut(start, end)
                last = mark == window.end and window.ended
                return mark, Piece(start, end, mark, raw, line, quoted or b">From " in raw, last)


def _keep(window: _Window, at: int, start: int, reached: int) -> int:
    """From where on the window must stay: the whole message, or a few bytes if it is larger than allowed."""
    if window.base <= at and reached - start <= window.max_mail + 8:
        return at
    return max(reached - 8, window.base)


def _opens(window: _Window, mark: int, start: int, *, after_blank: bool = False) -> bool:
    """Whether a line "From ..." at `mark` begins a message; `start` is where the message before it began."""
    if fromline.USUAL.match(window.data, mark - window.base):
        return True
    line, after = window.line(mark)
    before = window.cut(max(mark - 3, start, window.base), mark)
    blank = after_blank or before.endswith((b"\n\n", b"\n\r\n")) or before in {b"", b"\n", b"\r\n"}
    line = line.lstrip(BLANK)
    if not after:  # no line is that long, unless the input ends inside it
        return (
            window.cut_off(mark)
            and blank
            and (fromline.parts(line, None, blank, window.own) or fromline.could_be_cut(line))
        )
    if after >= window.end:
        return fromline.parts(line, None, blank, window.own)
    following = window.line(after)[0]
    if window.cut_off(after) and fromline.could_be_cut_header(following):
        following += b":"
    return fromline.parts(line, following, blank, window.own)


def _stated_end(window: _Window, at: int, start: int, mark: int) -> tuple[int, int] | None:
    """The message's end by its Content-Length and the next From_ line, if these lie beyond `mark` and a From_ line or the end
    stands exactly there.
    """
    data, base = window.data, window.base
    stated = data.find(_CONTENT_LENGTH, start - 1 - base, min(mark, start + MAX_HEADER) - base)
    if stated < 0:
        return None
    header = data.find(b"\n\n", start - base, mark - base) + 2
    crlf = data.find(b"\n\r\n", start - base, header if header > 1 else mark - base) + 3
    header = crlf if crlf > 2 else header
    match = _LENGTH.match(data, stated)
    if match is None or stated > header:
        return None
    header += base
    end = header + int(match[1])
    if end <= mark or end - start > window.max_mail:
        return None
    window.reach(end + NEAR, at)
    if end > window.end:
        return None
    for newline in (b"", b"\n", b"\r\n"):
        beyond = end + len(newline)
        if window.cut(end, beyond) != newline:
            continue
        if beyond == window.end and window.ended:
            return end, beyond
        if window.cut(beyond - 1, beyond + 5) == _MARK and _opens(window, beyond, start):
            return end, beyond
    return None


def _piece(window: _Window, start: int, upto: int, line: bytes, *, quoted: bool) -> Piece:
    """A message's place, without the one empty line that its writer put after it."""
    end = upto
    tail = window.cut(max(end - 3, start, window.base), end)
    if tail.endswith(b"\n\n") or tail == b"\n":
        end -= 1
    elif tail.endswith(b"\n\r\n") or tail == b"\r\n":
        end -= 2
    too_large = end - start > window.max_mail or window.base > start
    raw = None if too_large else window.cut(start, end)
    return Piece(start, end, upto, raw, line, quoted, upto == window.end and window.ended)


def named_variant(name: str) -> Variant:
    """The variant that a file's name states: "list.mboxrd", "list.mboxcl2"."""
    return _NAMES.get(name.rsplit(".", 1)[-1].lower(), "auto")


def stated_variant(name: str, first: bytes, option: Variant) -> Variant:
    """The variant by option, else by name, else by the first From_ line; "auto" if none tells."""
    if option != "auto":
        return option
    by_name = named_variant(name)
    return "mboxrd" if by_name == "auto" and first.startswith(_PUBLIC_INBOX) else by_name


def unquote(raw: bytes, variant: Variant) -> bytes:
    """Take the container's ">" off each quoted From_ line: from all (mboxrd, mboxcl), or from ">From " alone (mboxo)."""
    if b">From " not in raw:
        return raw
    if variant == "mboxo":
        return (b"\n" + raw).replace(b"\n>From ", b"\nFrom ")[1:]
    return _QUOTED.sub(rb"\n\1", b"\n" + raw)[1:]


def writer_quotes(stream: Stream, own: Style, chunk: int = CHUNK) -> bool:
    """Whether a whole file shows that its writer quoted From_ lines: some are quoted, and none is bare but those that part.

    Not every ">From " is evidence: people quote so too, but whole blocks. It is where neither neighbour line is quoted as deep.
    """
    window = _Window(stream, 0, max(chunk, 4 * LINE), own)
    evidence = False
    done = 0
    while not window.ended:
        window.grow(max(done - 2 * LINE, window.base))
        ready = window.end if window.ended else max(window.end - 3 * LINE, done)
        at = done
        while 0 <= (at := window.find(_MARK, at)) < ready:
            if not _opens(window, at + 1, 0):
                return False
            at += 1
        at = done
        while not evidence and 0 <= (at := window.find(b">From ", at)) < ready:
            evidence = _is_evidence(window, at)
            at += 1
        done = ready
    return evidence


def _is_evidence(window: _Window, at: int) -> bool:
    depth = 1
    while window.cut(at - depth, at - depth + 1) == b">" and depth < LINE:
        depth += 1
    begin = at - depth + 1
    if begin <= window.base or window.cut(begin - 1, begin) != b"\n":
        return False
    above = window.cut(max(begin - LINE, window.base), begin - 1).rpartition(b"\n")[2]
    below = window.line(window.line(at)[1] or window.end)[0]
    return _depth(above) < depth and _depth(below) < depth


def _depth(line: bytes) -> int:
    count = 0
    for byte in line[:LINE]:
        if byte == 0x3E:
            count += 1
        elif byte != 0x20:
            break
    return count


def variant_finder(stream: Stream, own: Style, look: int) -> Callable[[], Variant]:
    """A function that tells, when a message with a quoted From_ line comes, which variant the file is; asked at most once.

    Where the file can't be read twice its first `look` bytes are held now, and nothing is certain about a longer one.
    """
    reopen = stream.reopen
    if reopen is None:
        head = stream.peek(look)
        whole = len(head) < look

        def reopen() -> Stream:
            return bytes_stream(head if whole else b"")

    def find() -> Variant:
        return "mboxrd" if writer_quotes(reopen(), own) else "mboxcl2"

    return find


def last_boundary(read_at: Callable[[int, int], bytes], offset: int, own: Style) -> int:
    """The From_ line that begins the message around `offset`, or `offset` if it lies at a message's end. `read_at(start, n)` reads.

    For an mbox that grew in the middle of its last message: that message is new, as a whole.
    """
    window = _Window(bytes_stream(read_at(offset, NEAR)), offset, NEAR, own)
    window.reach(offset + NEAR, offset)
    at = offset
    while (line := window.line(at))[1] and not line[0].strip(BLANK):
        at = line[1]
    if at >= window.end or (line[0].startswith(b"From ") and _opens(window, at, at, after_blank=True)):
        return offset
    high = offset
    while high > 0:
        low = max(0, high - MB)
        window = _Window(bytes_stream(read_at(low, high - low + NEAR)), low, MB + NEAR, own)
        window.reach(high + NEAR, low)
        stop = high + len(_MARK)
        while (found := window.data.rfind(_MARK, 0, stop - low)) >= 0:
            if _opens(window, low + found + 1, 0):
                return low + found + 1
            stop = low + found + len(_MARK) - 1
        high = low
    return 0
