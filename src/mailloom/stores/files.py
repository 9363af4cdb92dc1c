"""Raw mail in packs: raw/000001.zst and so on, each a row of zstd frames, a frame holding some mails one after the other.

A pack is only appended to. Where each mail lies is the index's business (it is handed back as Located); bytes behind what the
index knows are the rest of a batch that was never committed, and the next writer cuts them off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import zstandard

from mailloom.ports import Frame, Located, UserError

PACK_BYTES = (
    1 << 30
)  # a pack is closed beyond this: small enough to copy about, large enough that a million mails are a few files
FRAME_BYTES = (
    256 << 10
)  # raw bytes in a frame: larger ones compress little better, and each look at one mail inflates a frame
LEVEL = 3  # zstd's default: 4 times as fast as level 9 on mail for 6 % more bytes


class RawError(UserError):
    """Raw mail that should be there is not, or is not what it was; the message says where."""


class Packs:
    """The raw/ folder of an archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 1
        self.end = 0

    def open(self, last: int, end: int) -> None:
        """Go on in pack `last`, of which `end` bytes are known; what lies behind them is cut off."""
        self.folder.mkdir(exist_ok=True)
        self.number, self.end = max(1, last), end
        path = self.path(self.number)
        if path.exists() and path.stat().st_size > end:
            os.truncate(path, end)

    def path(self, number: int) -> Path:
        return self.folder / f"{number:06}.zst"

    def append(self, frames: Sequence[Frame]) -> list[tuple[bytes, Located]]:
        """Append frames and make them durable; where each mail's bytes are now."""
        if not frames:
            return []
        if self.end >= PACK_BYTES:
            self.number, self.end = self.number + 1, 0
        where = []
        with self.path(self.number).open("r+b" if self.path(self.number).exists() else "w+b") as file:
            file.seek(self.end)
            at = self.end
            for frame in frames:
                file.write(frame.data)
                where += [
                    (sha, Located(self.number, at, len(frame.data), start, length))
                    for sha, start, length in frame.mails
                ]
                at += len(frame.data)
            file.flush()
            os.fsync(file.fileno())
        self.end = at
        return where

    def rewind(self, number: int, end: int) -> None:
        """Forget what was appended since: its transaction failed."""
        self.number, self.end = number, end

    def read(self, sha: bytes, where: Located) -> bytes:
        """The exact bytes of one mail. Raises RawError where they are not there any more."""
        path = self.path(where.pack)
        try:
            with path.open("rb") as file:
                file.seek(where.frame)
                frame = zstandard.ZstdDecompressor().decompress(file.read(where.size))
        except (OSError, zstandard.ZstdError) as error:
            raise RawError(f"{path} at byte {where.frame}: {error}") from None
        raw = frame[where.start : where.start + where.length]
        if sha256(raw).digest() != sha:
            raise RawError(f"{path} at byte {where.frame}: the mail's bytes are not those that were stored")
        return raw


def frames(raws: Sequence[tuple[bytes, bytes]]) -> list[Frame]:
    """(sha256, raw bytes) of some mails -> compressed frames. Pure, so that worker processes do it."""
    compress = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True).compress
    made: list[Frame] = []
    chunk: list[bytes] = []
    mails: list[tuple[bytes, int, int]] = []
    size = 0
    for sha, raw in raws:
        mails.append((sha, size, len(raw)))
        chunk.append(raw)
        size += len(raw)
        if size >= FRAME_BYTES:
            made.append(Frame(compress(b"".join(chunk)), tuple(mails)))
            chunk, mails, size = [], [], 0
    if mails:
        made.append(Frame(compress(b"".join(chunk)), tuple(mails)))
    return made
