"""Mails and truth into files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import orjson

from mailloom.synth.dates import asctime
from mailloom.synth.shape import DEFAULT, Shape
from mailloom.synth.stream import generate
from mailloom.synth.truth import Mail

Form = Literal["eml", "mbox", "stream"]
# A folder with more files than this gets slow to list on many systems.
SHARD = 1000
FROM_LINE = re.compile(rb"^(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was written: mails, those of them that are copies, conversations, bytes of mail; `truth` is "" where none was."""

    mails: int
    copies: int
    conversations: int
    bytes: int
    mail: str
    truth: str


def synth(out: Path, mails: int, seed: int, shape: Shape = DEFAULT, form: Form = "eml") -> Counts:
    """Generate and write; see `generate` and `write`. ShapeError, FileExistsError, OSError."""
    return write(out, generate(mails, seed, shape), form)


def write(out: Path, mails: Iterator[Mail], form: Form) -> Counts:
    """Mails under `out`, their truth as JSONL beside them, never among them.

    eml     OUT/mail/000/0000000.eml, a thousand a folder, and OUT/truth.jsonl
    mbox    OUT, in the mboxrd form with LF, also at the end of a mail, and OUT.truth.jsonl
    stream  the same mbox to standard output, and OUT.truth.jsonl (OUT `-`: no truth)

    Each line of the truth names the file (below OUT/mail, or OUT's name) and the bytes: start and length of the mail as it is
    there, in an mbox with quoting, without its From_ line and the blank line after it. Nothing is overwritten: FileExistsError.
    """
    if form == "eml":
        return write_folder(out, mails)
    with ExitStack() as stack:
        beside = out.with_name(out.name + ".truth.jsonl")
        truth: BinaryIO | None = None
        if form == "mbox":
            box: BinaryIO = stack.enter_context(fresh(out))
            truth = stack.enter_context(fresh(beside))
        else:
            box = sys.stdout.buffer
            if str(out) != "-":
                truth = stack.enter_context(fresh(beside))
        counts = write_mbox(box, truth, out.name, mails)
        box.flush()
    where = str(out) if form == "mbox" else "-"
    return Counts(*counts, mail=where, truth=str(beside) if truth else "")


def fresh(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except FileExistsError:
        raise FileExistsError(f"{path} is there already: name another place, or remove it") from None


def write_folder(out: Path, mails: Iterator[Mail]) -> Counts:
    folder = out / "mail"
    copies = conversations = size = number = 0
    with fresh(out / "truth.jsonl") as truth:
        for number, mail in enumerate(mails, 1):
            shard, name = divmod(number - 1, SHARD)
            if not name:
                (folder / f"{shard:04}").mkdir(parents=True, exist_ok=True)
            file = f"{shard:04}/{number - 1:07}.eml"
            store(f"{folder}/{file}", mail.raw)
            truth.write(line(mail, file, 0, len(mail.raw)))
            size += len(mail.raw)
            copies += mail.truth.duplicate_of is not None
            conversations += first(mail)
    return Counts(number, copies, conversations, size, str(folder), str(out / "truth.jsonl"))


def store(path: str, raw: bytes) -> None:
    """A new file with these bytes. Path.write_bytes takes a third longer, which is felt with a hundred thousand files."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(raw)
        while rest:
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


def write_mbox(box: BinaryIO, truth: BinaryIO | None, name: str, mails: Iterator[Mail]) -> tuple[int, int, int, int]:
    copies = conversations = size = number = at = 0
    for mail in mails:
        number += 1
        head = f"From {mail.envelope} {asctime(mail.delivered)}\n".encode()
        raw = mail.raw.replace(b"\r\n", b"\n")
        if b"From " in raw:
            raw = FROM_LINE.sub(rb">\1", raw)
        if not raw.endswith(b"\n"):
            raw += b"\n"
        box.write(b"%b%b\n" % (head, raw))
        if truth is not None:
            truth.write(line(mail, name, at + len(head), len(raw)))
        at += len(head) + len(raw) + 1
        size += len(raw)
        copies += mail.truth.duplicate_of is not None
        conversations += first(mail)
    return number, copies, conversations, size


def first(mail: Mail) -> bool:
    return mail.truth.id == mail.truth.thread and mail.truth.duplicate_of is None


def line(mail: Mail, file: str, start: int, length: int) -> bytes:
    return orjson.dumps(mail.truth.row(file, start, length), option=orjson.OPT_APPEND_NEWLINE)
