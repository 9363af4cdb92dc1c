"""What one opened file holds -> its mails: looks at the first bytes, then unpacks, splits or takes it whole, to a named depth."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, TypeAlias

from mailloom.mail.model import Origin
from mailloom.sources import detect, fromline, maildir, mbox, tar, zipped
from mailloom.sources.inflate import PACKINGS, inflate, inner_name
from mailloom.sources.place import MB, Item, Options, Place, Refused, label
from mailloom.sources.stream import Fault, Stream

Mails: TypeAlias = Iterator[Item | Refused]


@dataclass(slots=True)
class Reading:
    """How far the reading of one place is. `seen` counts the bytes of its innermost files so far, and one for each of them;
    what ends at or before `done` was taken by an earlier run.
    """

    place: Place
    options: Options
    done: int = 0
    seen: int = 0
    names: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """Something inside a place: its bytes, its label there ("" for the place itself, else "!member"), its own name and folder.

    `seek` gives the bytes from an offset on, `file` the same as a file, where that is possible without reading up to there.
    """

    stream: Stream
    member: str
    name: str
    folder: str
    depth: int = 0
    offset: int = 0
    is_message: bool = False
    flags: str | None = None
    seek: Callable[[int], Stream] | None = None
    file: BinaryIO | None = None


def mails(reading: Reading, content: Content) -> Mails:
    """All mails in it, and what of it was refused. Recursion is bounded by Options.max_depth, a constant."""
    stream = content.stream
    head = stream.peek(detect.HEAD)
    if not head and stream.fault is not None:
        yield from _failed(reading, content, stream.fault)
        return
    kind, looks = ("message", "") if content.is_message else detect.kind_of(head, content.name)
    if kind == "foreign":
        if stream.size is None:  # damage may show only after what it made of the first bytes
            stream.skip(MB)
        if stream.fault is not None:
            yield from _failed(reading, content, stream.fault)
            return
    if kind in {"message", "emlx", "foreign"}:
        if stream.size is not None and reading.seen + stream.size + 1 <= reading.done:
            reading.seen += stream.size + 1
        elif kind == "foreign":
            reading.seen += (stream.size or 0) + 1
            yield _refused(reading, content, Fault("not mail", f"not mail: looks like {looks}"))
        else:
            yield from _message(reading, content, is_emlx=kind == "emlx")
    elif kind == "mbox":
        yield from _mbox(reading, content, head)
    elif content.depth >= reading.options.max_depth:
        yield from _failed(reading, content, Fault("too deep", f"packed more than {reading.options.max_depth} deep"))
    elif kind in {"zip", "tar"}:
        content = replace(content, member=_unique(reading.names, content.member))
        yield from (_zip if kind == "zip" else _tar)(reading, content)
    else:
        assert kind in PACKINGS
        inner = inflate(kind, stream, reading.options)
        name = inner_name(content.name)
        deeper = Content(inner, content.member, name, content.folder, content.depth + 1, content.offset)
        yield from mails(reading, deeper)


def _origin(
    reading: Reading,
    content: Content,
    start: int,
    length: int,
    *,
    received_at: int | None = None,
    folder: str | None = None,
    member: str | None = None,
) -> Origin:
    place = reading.place
    return Origin(
        source=place.source,
        path=place.path + (content.member if member is None else member),
        start=start,
        length=length,
        size=place.size,
        mtime_ns=place.mtime_ns,
        received_at=place.received_at if received_at is None else received_at,
        folder=content.folder if folder is None else folder,
        labels=place.labels,
        flags=place.flags if content.flags is None else content.flags,
    )


def _refused(
    reading: Reading, content: Content, fault: Fault, raw: bytes | None = None, length: int | None = None
) -> Refused:
    if length is None:
        length = len(raw) if raw is not None else content.stream.size or 0
    origin = _origin(reading, content, content.offset, length)
    return Refused(origin, fault.kind, fault.reason, raw, reading.seen)


def _failed(reading: Reading, content: Content, fault: Fault) -> Mails:
    """A file that counts as one and gave nothing."""
    reading.seen += (content.stream.size or 0) + 1
    if reading.seen > reading.done:
        yield _refused(reading, content, fault)


def _message(reading: Reading, content: Content, *, is_emlx: bool) -> Mails:
    stream, limit = content.stream, reading.options.max_mail
    raw = b"" if stream.size is not None and stream.size > limit else stream.take(limit + 1)
    size = len(raw)
    if stream.size is not None and stream.size > limit:
        size = stream.size
    elif size > limit:
        raw = b""
        size += stream.skip(reading.options.max_inflated)
    reading.seen += size + 1
    if reading.seen <= reading.done:
        return
    if size > limit and stream.fault is None:
        fault = Fault("too large", f"a mail of {size:,} bytes, {limit:,} are allowed (raise the limit to take it)")
        yield _refused(reading, content, fault, length=size)
        return
    if is_emlx:
        raw = detect.emlx_message(raw)
    if stream.fault is not None:
        yield _refused(reading, content, stream.fault, _kept(stream.fault, raw))
        return
    received_at = None
    if raw.startswith(b"From "):
        received_at = fromline.received_at(raw[: fromline.LINE].split(b"\n", 1)[0].rstrip(b"\r"))
    origin = _origin(reading, content, content.offset, len(raw), received_at=received_at)
    yield Item(origin, raw, upto=reading.seen)


def _mbox(reading: Reading, content: Content, head: bytes) -> Mails:
    options, stream = reading.options, content.stream
    first = head.lstrip(mbox.BLANK + b"\n").split(b"\n", 1)[0].rstrip(b"\r")
    variant = mbox.stated_variant(content.name, first, options.mbox)
    own = fromline.style(first, strict=variant in {"auto", "mboxcl2"})
    find_variant = mbox.variant_finder(stream, own, options.max_look) if variant == "auto" else None
    base = reading.seen
    start = max(reading.done - base, 0)
    if start and content.seek is not None:
        seek = content.seek
        start = mbox.last_boundary(lambda at, n: seek(at).take(n), start, own)
        stream = seek(start)
    elif start:
        start = stream.skip(start)
    place = reading.place
    member, folder = _box_label(reading, content)
    path = place.path + member
    end = start
    for piece in mbox.split(stream, own, start=start, max_mail=options.max_mail, chunk=options.chunk):
        end = max(piece.end, piece.upto)
        reading.seen = base + piece.upto
        received_at = fromline.received_at(piece.line)
        origin = Origin(
            place.source,
            path,
            piece.start,
            piece.end - piece.start,
            place.size,
            place.mtime_ns,
            received_at,
            folder,
            place.labels,
        )
        fault = _piece_fault(piece, stream, options)
        if fault is not None:
            yield Refused(origin, fault.kind, fault.reason, _kept(fault, piece.raw), reading.seen)
            continue
        raw = piece.raw
        assert raw is not None
        if piece.quoted:
            if find_variant is not None:
                variant, find_variant = find_variant(), None
            if variant != "mboxcl2":
                raw = mbox.unquote(raw, variant)
        yield Item(origin, raw, upto=reading.seen)
    if end == start and stream.fault is not None:
        origin = _origin(reading, content, start, 0, folder=folder, member=member)
        yield Refused(origin, stream.fault.kind, stream.fault.reason, None, base + start)
    reading.seen = base + end + 1


def _kept(fault: Fault, raw: bytes | None) -> bytes | None:
    """The bytes that came before the fault: worth keeping unless they are a bomb's."""
    return None if fault.kind == "bomb" else raw


def _piece_fault(piece: mbox.Piece, stream: Stream, options: Options) -> Fault | None:
    """Why what stands here is no whole mail."""
    if piece.raw is None:
        size = piece.end - piece.start
        reason = f"a mail of {size:,} bytes, {options.max_mail:,} are allowed (raise the limit to take it)"
        return Fault("too large", reason)
    if piece.last and stream.fault is not None:
        return stream.fault
    if piece.stub:
        return Fault("damaged", "mbox: cut off in a From_ line (what comes after it is missing)")
    if not piece.line:
        return Fault("damaged", "mbox: text before the first From_ line")
    return None


def _box_label(reading: Reading, content: Content) -> tuple[str, str]:
    """An mbox's label, made unique where an archive holds the name twice, and the name of the folder that it is."""
    return _unique(reading.names, content.member), box_folder(content.folder, content.name)


def _unique(names: dict[str, int], name: str) -> str:
    """The name, or with a number where it was given before. `names` has the last number given for each."""
    count = names.get(name, 0) + 1
    if count > 1:
        while f"{name}#{count}" in names:
            count += 1
    names[name] = count
    if count == 1:
        return name
    names[f"{name}#{count}"] = 1
    return f"{name}#{count}"


def box_folder(parent: str, name: str) -> str:
    """The folder that an mbox file is: its stem below its parent ("Inbox.sbd" is Thunderbird's for the folders in Inbox,
    "Inbox.mbox/mbox" Apple's for Inbox).
    """
    if name == "mbox" and parent.lower().endswith(".mbox"):
        return parent[:-5]
    stem, dot, suffix = name.rpartition(".")
    if dot and stem and suffix.lower() in {"mbox", "mbx", "mboxrd", "mboxo", "mboxcl", "mboxcl2", "txt"}:
        name = stem
    parent = "/".join(part.removesuffix(".sbd") for part in parent.split("/"))
    return f"{parent}/{name}" if parent else name


def _archive_folder(content: Content, name: str) -> str:
    """A member's folder: the folders of its name, without what would lead elsewhere, below the archive's."""
    parts = [part for part in name.replace("\\", "/").split("/")[:-1] if part not in {"", ".", ".."}]
    return "/".join([content.folder, *parts] if content.folder else parts)


def _member(content: Content, name: str, stream: Stream, offset: int, written: str) -> Content | None:
    """A member of an archive as a Content of its own; None for what a Maildir's tmp holds, which is not mail yet."""
    folder = _archive_folder(content, name)
    above, _, box = folder.rpartition("/")
    own = name.replace("\\", "/").rsplit("/", 1)[-1]
    deeper = content.depth + 1
    if box in maildir.BOXES and maildir.delivered_at(own) is not None:
        # As for a Maildir on disk: neither cur/new nor the flags are part of the place.
        unique, flags = maildir.read_name(own)
        place = "/".join(part for part in (written.rpartition("/")[0].rpartition("/")[0], unique) if part)
        above = "/".join(maildir.folder_name(part) for part in above.split("/"))
        return Content(stream, f"{content.member}!{place}", own, above, deeper, offset, is_message=True, flags=flags)
    if box == "tmp" and maildir.delivered_at(own) is not None:
        return None
    return Content(stream, f"{content.member}!{written}", own, folder, deeper, offset)


def _zip(reading: Reading, content: Content) -> Mails:
    file = content.file
    if file is None:
        raw = content.stream.take(reading.options.max_spool + 1)
        if len(raw) > reading.options.max_spool:
            reason = (
                f"zip: larger than {reading.options.max_spool:,} bytes where it can't be sought in; unpack it first"
            )
            yield from _failed(reading, content, Fault("too large", reason))
            return
        if content.stream.fault is not None:
            yield from _failed(reading, content, content.stream.fault)
            return
        file = io.BytesIO(raw)
    names: dict[str, int] = {}
    try:
        for member in zipped.members(file, reading.options):
            inner = _member(content, label(member.name), member.data, 0, label(member.name))
            if inner is None:
                continue
            inner = replace(inner, member=_unique(names, inner.member))
            if member.refused is not None:
                yield from _failed(reading, inner, member.refused)
            else:
                yield from mails(reading, inner)
    except Fault as fault:
        reading.seen += 1
        if reading.seen > reading.done:
            yield _refused(reading, content, fault)


def _tar(reading: Reading, content: Content) -> Mails:
    try:
        for member in tar.members(content.stream):
            written = label(member.name)
            inner = _member(content, written, member.data, member.offset, written)
            if inner is None:
                continue
            if member.kind == "file":
                yield from mails(reading, inner)
            elif member.kind == "link":
                target = label(member.target)
                yield from _failed(reading, inner, Fault("link", f"tar: a link to {target}, not followed"))
            elif member.kind == "sparse":
                yield from _failed(
                    reading, inner, Fault("unsupported", "tar: a sparse file; pack it anew without --sparse")
                )
            else:
                yield from _failed(reading, inner, Fault("not mail", "not mail: a device or pipe"))
    except Fault as fault:
        reading.seen += 1
        if reading.seen > reading.done:
            yield _refused(reading, content, fault)


def opened_file(file: BinaryIO, size: int) -> Stream:
    """A Stream over an open file that can be read again (by offset, so that both may be read in turns)."""
    return _from_offset(file, 0, size)


def _from_offset(file: BinaryIO, start: int, size: int) -> Stream:
    at = start

    def pull(n: int) -> bytes:
        nonlocal at
        file.seek(at)
        data = file.read(n) or b""
        at += len(data)
        return data

    return Stream(pull, size=max(size - start, 0), reopen=lambda: _from_offset(file, 0, size))


def seekable(file: BinaryIO, size: int) -> Callable[[int], Stream]:
    """The bytes of an open file from an offset on."""
    return lambda start: _from_offset(file, start, size)
