"""gzip, bzip2, xz and zstd -> the bytes inside, as a Stream: in small memory, several members in a row, bounded, and what came
before damage still comes.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Literal, Protocol

import zstandard

from mailloom.sources.place import MB, RATIO_FREE, Options
from mailloom.sources.stream import Fault, Stream

Packing = Literal["gzip", "bzip2", "xz", "zstd"]
PACKINGS: tuple[Packing, ...] = ("gzip", "bzip2", "xz", "zstd")

SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zstd", ".gzip", ".bzip2")
_TAR_SUFFIXES = {".tgz": ".tar", ".tbz2": ".tar", ".tbz": ".tar", ".txz": ".tar", ".tzst": ".tar"}
_MAGIC = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_STEP = 1 << 16
_XZ_MEMORY = 256 * MB
"""xz -9 needs 65 MB to unpack; a header may ask for 4 GB."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Gzip:
    """zlib's decompressor in the manner of bz2's and lzma's."""

    __slots__ = ("_inner", "_rest")

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._rest = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._rest

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        out = self._inner.decompress(self._rest + data if self._rest else data, max(max_length, 0))
        self._rest = self._inner.unconsumed_tail
        return out


_NEW: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY),
}


def inner_name(name: str) -> str:
    """A packed file's name without what the packing added: "a.mbox.gz" -> "a.mbox", "a.tgz" -> "a.tar"."""
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    for suffix, instead in _TAR_SUFFIXES.items():
        if lower.endswith(suffix):
            return name[: -len(suffix)] + instead
    return name


def inflate(packing: Packing, under: Stream, options: Options) -> Stream:
    """The decompressed bytes. They end early with a fault where the packed bytes are cut or damaged, or swell beyond the limits."""
    reopen = under.reopen
    pull = _zstd(under) if packing == "zstd" else _members(packing, under)
    return Stream(
        _bounded(packing, pull, under, options),
        reopen=None if reopen is None else lambda: inflate(packing, reopen(), options),
    )


def _bounded(packing: str, pull: Callable[[int], bytes], under: Stream, options: Options) -> Callable[[int], bytes]:
    total = 0
    before = under.position

    def bounded(n: int) -> bytes:
        nonlocal total
        try:
            data = pull(min(n, 4 * MB))
        except EOFError:
            raise under.fault or Fault("damaged", f"{packing}: cut off after {total:,} bytes") from None
        except (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, ValueError, MemoryError) as error:
            raise Fault("damaged", f"{packing}: damaged after {total:,} bytes ({error})") from None
        total += len(data)
        if total > RATIO_FREE and total > options.max_ratio * (under.position - before):
            raise Fault("bomb", f"{packing}: inflates more than {options.max_ratio:,}-fold")
        if total > options.max_inflated:
            raise Fault("bomb", f"{packing}: inflates to more than {options.max_inflated:,} bytes")
        return data

    return bounded


def _members(packing: str, under: Stream) -> Callable[[int], bytes]:
    """One compressed member after the other; zeros after them are padding, anything else after them is ignored as gzip does."""
    member = _NEW[packing]()
    pending = b""
    ended = False

    def follow() -> bool:
        nonlocal member, pending
        rest = member.unused_data.lstrip(b"\0")
        while len(rest) < 6 and (more := under.read(_STEP)):
            rest = (rest + more).lstrip(b"\0")
        if not rest.startswith(_MAGIC[packing]):
            return False
        member, pending = _NEW[packing](), rest
        return True

    def pull(n: int) -> bytes:
        nonlocal ended, pending
        while not ended:
            if member.eof and not follow():
                ended = True
                break
            if member.needs_input and not pending:
                pending = under.read(_STEP)
                if not pending:
                    # zlib may hold output back without saying so.
                    if packing == "gzip" and (out := member.decompress(b"", n)):
                        return out
                    raise EOFError
            data, pending = pending, b""
            if out := member.decompress(data, n):
                return out
        return b""

    return pull


def _zstd(under: Stream) -> Callable[[int], bytes]:
    frames = _Frames()

    class _Source:
        def read(self, size: int) -> bytes:
            data = under.read(min(size, _STEP))
            frames.feed(data)
            return data

    reader = zstandard.ZstdDecompressor().stream_reader(_Source(), read_across_frames=True)  # type: ignore[arg-type]  # read() is all it needs

    def pull(n: int) -> bytes:
        data = reader.read(min(n, MB))
        if not data and not frames.complete:  # the library takes a cut for the end
            raise EOFError
        return data

    return pull


class _Frames:
    """Follows the frames of a zstd stream (RFC 8878 section 3) as far as needed to tell a cut from an end."""

    __slots__ = ("_block", "_checksum", "_have", "_skip")

    def __init__(self) -> None:
        self._have = b""
        self._skip = 0
        self._block = False
        self._checksum = False

    @property
    def complete(self) -> bool:
        return not (self._have or self._skip or self._block)

    def feed(self, data: bytes) -> None:
        data = self._have + data
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            size = self._element(data[at : at + 8])
            if not size:
                break
            at += size
        self._have = data[at:]

    def _element(self, data: bytes) -> int:
        """Read a frame's or block's header and set what follows it; returns its length, 0 if more bytes are needed."""
        if self._block:
            if len(data) < 3:
                return 0
            word = int.from_bytes(data[:3], "little")
            self._skip = 1 if (word >> 1) & 3 == 1 else word >> 3
            if word & 1:
                self._block = False
                self._skip += 4 if self._checksum else 0
            return 3
        if len(data) < 5:
            return 0
        if data[:4] != b"\x28\xb5\x2f\xfd":  # a skippable frame, or something that the library will refuse
            if len(data) < 8:
                return 0
            self._skip = int.from_bytes(data[4:8], "little")
            return 8
        flags = data[4]
        single = flags >> 5 & 1
        self._checksum = bool(flags >> 2 & 1)
        self._skip = (1 - single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
        self._block = True
        return 5
