"""A zip -> its members, through the standard library's reader, bounded before and while it inflates."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mailloom.sources.place import CONTAINER_FREE, MAX_DIRECTORY, RATIO_FREE, Options
from mailloom.sources.stream import Fault, Stream

# What zipfile lets through on crafted input.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, struct.error, OverflowError, MemoryError, OSError,
    IndexError, KeyError,
)  # fmt: skip
_ENCRYPTED = 0x1
_TAIL = 65_557
"""The end record is 22 bytes and stands before a comment of at most 65,535."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member, `refused` where it can't be had."""

    name: str
    size: int
    data: Stream
    refused: Fault | None = None


def members(file: BinaryIO, options: Options) -> Iterator[Member]:
    """Each member that is no folder. Raises Fault where the archive as a whole can't be read or swells beyond the limits."""
    try:
        packed = _packed_size(file)
        archive = zipfile.ZipFile(file)
    except (*_BROKEN, NotImplementedError) as error:
        raise Fault("damaged", f"zip: can't be read ({error})") from None
    total = 0
    with archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            refused = _refusal(info, options)
            if refused is not None:
                yield Member(info.filename, info.file_size, Stream(lambda _: b""), refused)
                continue
            data = _member_stream(archive, info, options)
            yield Member(info.filename, info.file_size, data)
            total += data.position
            # Members may share the same packed bytes, each harmless by itself.
            if total > options.max_inflated or (total > CONTAINER_FREE and total > options.max_ratio * packed):
                raise Fault("bomb", f"zip: its members inflate more than {options.max_ratio:,}-fold; the rest was left")


def _packed_size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    end = tail.rfind(b"PK\x05\x06")
    if end >= 0 and len(tail) - end >= 22:
        directory = int.from_bytes(tail[end + 12 : end + 16], "little")
        large = tail.rfind(b"PK\x06\x06")
        if directory == 0xFFFFFFFF and large >= 0:
            directory = int.from_bytes(tail[large + 40 : large + 48], "little")
        if directory > MAX_DIRECTORY:
            raise Fault("too large", f"zip: a directory of {directory:,} bytes; unpack it first")
    file.seek(0)
    return size


def _refusal(info: zipfile.ZipInfo, options: Options) -> Fault | None:
    if info.flag_bits & _ENCRYPTED:
        return Fault("encrypted", "zip: encrypted; unpack it with its password first")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}:
        return Fault("unsupported", f"zip: compression method {info.compress_type} is not known here; pack it anew")
    if info.file_size > RATIO_FREE and info.file_size > options.max_ratio * info.compress_size:
        return Fault("bomb", f"zip: inflates more than {options.max_ratio:,}-fold")
    if info.external_attr >> 16 & 0o170000 == 0o120000:
        return Fault("link", "zip: a symbolic link, not followed")
    return None


def _member_stream(archive: zipfile.ZipFile, info: zipfile.ZipInfo, options: Options) -> Stream:
    member: zipfile.ZipExtFile | None = None
    total = 0

    def pull(n: int) -> bytes:
        nonlocal member, total
        try:
            if member is None:
                member = archive.open(info)  # type: ignore[assignment]  # "r" gives a ZipExtFile
                assert member is not None
            data = member.read1(min(n, 1 << 20)) or member.read(min(n, 1 << 20))
        except RuntimeError:
            raise Fault("encrypted", "zip: encrypted; unpack it with its password first") from None
        except (*_BROKEN, NotImplementedError) as error:
            raise Fault("damaged", f"zip: damaged after {total:,} bytes ({error})") from None
        total += len(data)
        if total > RATIO_FREE and total > options.max_ratio * max(info.compress_size, 1):
            raise Fault("bomb", f"zip: inflates more than {options.max_ratio:,}-fold")
        return data

    return Stream(pull, size=info.file_size, reopen=lambda: _member_stream(archive, info, options))
