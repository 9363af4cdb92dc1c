"""A path or standard input -> its mails, one at a time. The one function that the rest of the package calls."""

# a Path for each of 100,000 files takes longer than reading them:
# ruff: noqa: PTH100, PTH109, PTH113, PTH116, PTH119, PTH202

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from mailloom.sources import detect, folder
from mailloom.sources.contents import Content, Reading, mails, opened_file, seekable
from mailloom.sources.place import (
    WHOLE,
    Finished,
    Found,
    Item,
    Known,
    Options,
    Place,
    Refused,
    SourceError,
    Unchanged,
    label,
    why,
)
from mailloom.sources.stream import bytes_stream, descriptor_stream

STDIN = "-"


def walk(source: str, *, known: Known | None = None, options: Options | None = None) -> Iterator[Found]:
    """All mails of a source, in one order for all runs: a file of any kind, a folder of such files, a Maildir, or "-".

    `known(place)` is asked once for each file on disk, before it is opened: None: new, read it; n: go on from Item.upto == n
    of an earlier run (0: from its beginning); -1: it is in and unchanged, which gives Unchanged. After the last mail of a file on disk
    comes Finished.
    Raises SourceError at once if there is no such source; whatever else goes wrong is a Refused, and the rest still comes.
    """
    options = options or Options()
    if source == STDIN:
        return _standard_input(options)
    root = os.path.abspath(source)
    name = label(root)
    try:
        status = os.stat(root)
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(root) as entries:
                archive = folder.is_archive(entry.name for entry in entries)
            if archive:
                raise SourceError(
                    f"{name} is an archive of Mailloom, no folder of mail: name the mail that shall come in"
                )
    except FileNotFoundError:
        raise SourceError(f"no such file or folder: {name} (relative paths start at {label(os.getcwd())})") from None
    except OSError as error:
        raise SourceError(why(error, root)) from None
    if stat.S_ISDIR(status.st_mode):
        return _folder(name, root, known, options)
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"neither a file nor a folder: {name} (give a pipe as standard input, with -)")
    place = Place(name, "", root, status.st_size, status.st_mtime_ns)
    return _place(place, known, options)


def survey(source: str) -> tuple[int, int]:
    """(files, bytes on disk) of a source, for a progress bar; (0, 0) for standard input and for S3. Reads no file."""
    count = size = 0
    if source != STDIN and not source.startswith("s3://"):
        root = os.path.abspath(source)
        if os.path.isfile(root):
            return 1, os.path.getsize(root)
        for found in folder.files(label(root), root):
            if isinstance(found, Place):
                count += 1
                size += found.size
    return count, size


def _standard_input(options: Options) -> Iterator[Found]:
    place = Place(STDIN, "", "", 0, 0)
    yield from mails(Reading(place, options), Content(descriptor_stream(0), "", "", ""))


def _folder(name: str, root: str, known: Known | None, options: Options) -> Iterator[Found]:
    for found in folder.files(name, root):
        if isinstance(found, Refused):
            yield found
        else:
            yield from _place(found, known, options)


def _place(place: Place, known: Known | None, options: Options) -> Iterator[Found]:
    done = known(place) if known is not None else None
    if done is not None and done < 0:
        yield Unchanged(place)
        return
    try:
        # Without O_NONBLOCK a pipe put in the file's place meanwhile would hang the run.
        descriptor = os.open(
            place.file, os.O_RDONLY | os.O_NONBLOCK | (os.O_NOFOLLOW if place.path else 0) | os.O_CLOEXEC
        )
    except OSError as error:
        kind = "link" if error.errno == errno.ELOOP else "unreadable"
        yield Refused(place.origin(place.size), kind, why(error, place.file))  # type: ignore[arg-type]
        return
    reading = Reading(place, options, done or 0)
    try:
        if place.size <= WHOLE:
            yield from _small(reading, descriptor)
        else:
            yield from _large(reading, descriptor)
    finally:
        os.close(descriptor)
    yield Finished(place)


def _small(reading: Reading, descriptor: int) -> Iterator[Found]:
    place = reading.place
    try:
        raw = _whole(descriptor, place.size)
    except OSError as error:
        yield Refused(place.origin(place.size), "unreadable", why(error, place.file))
        return
    if len(raw) > WHOLE + 1:  # it grew meanwhile
        yield from _large(reading, descriptor)
        return
    yield from opened(reading, raw)


def opened(reading: Reading, raw: bytes) -> Iterator[Found]:
    """The mails of a place whose bytes are here."""
    place = reading.place
    name = _name(place)
    is_message = place.kind == "maildir message"
    usual = not reading.done and len(raw) <= reading.options.max_mail and not raw.startswith(b"From ")
    if usual and (is_message or detect.kind_of(raw[: detect.HEAD], name)[0] == "message"):  # without the machinery
        yield Item(place.origin(len(raw)), raw)
        return
    content = Content(
        bytes_stream(raw),
        "",
        name,
        place.folder,
        is_message=is_message,
        seek=lambda start: bytes_stream(raw[start:]),
        file=io.BytesIO(raw),
    )
    yield from mails(reading, content)


def _whole(descriptor: int, size: int) -> bytes:
    """A file's bytes; one read tells the end too if it has the size that was stated."""
    parts = [os.read(descriptor, size + 1)]
    if len(parts[0]) != size:
        while len(parts[-1]) and sum(map(len, parts)) <= WHOLE + 1:
            parts.append(os.read(descriptor, WHOLE + 2))
    return b"".join(parts)


def _large(reading: Reading, descriptor: int) -> Iterator[Found]:
    with io.FileIO(descriptor, closefd=False) as file:
        yield from opened_large(reading, file)


def opened_large(reading: Reading, file: BinaryIO) -> Iterator[Found]:
    """The mails of a place that is open as a file that can be sought in."""
    place = reading.place
    is_message = place.kind == "maildir message"
    stream = opened_file(file, place.size)
    head = stream.peek(detect.HEAD)
    name = _name(place)
    kind = "message" if is_message else detect.kind_of(head, name)[0]
    if kind == "message" and place.size <= reading.options.max_mail and not head.startswith(b"From ") and place.file:
        # Whoever works on it reads it: a large mail should not pass from process to process.
        yield Item(place.origin(place.size), None, place.file)
        return
    content = Content(stream, "", name, place.folder, is_message=is_message, seek=seekable(file, place.size), file=file)
    yield from mails(reading, content)


def _name(place: Place) -> str:
    return label(os.path.basename(place.file or place.path))
