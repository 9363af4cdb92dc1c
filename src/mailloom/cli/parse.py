"""`mailloom parse`: one mail without an archive."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from mailloom.cli import draw, json_option, mail_view
from mailloom.mail.identity import identify
from mailloom.mail.model import Message
from mailloom.mail.parse import message as read
from mailloom.mail.parts.mime import Mime, scan
from mailloom.mail.text.html import text_of
from mailloom.mail.text.source import source_spans
from mailloom.schema import dump_record
from mailloom.sources import SourceError
from mailloom.sources.place import MAX_MAIL


@click.command()
@click.argument("file")
@click.option("--full", is_flag=True, help="Print long quotes whole.")
@json_option
def parse(file: str, full: bool, as_json: bool) -> int:
    """Print what Mailloom sees in one mail.

    Its fields, the spans of its text, the messages inside, attachments, problems.

    FILE is one mail; - reads it from standard input.
    """
    mime = scan(_bytes(file))
    message = read(mime)
    if as_json:
        fields: dict[str, Any] = orjson.loads(dump_record(identify(mime, message)))
        fields["reply_text"] = _plain(message.reply_text)
        fields["reply_full"] = _plain(message.reply_full)
        if message.text_origin == "html":
            fields.update(_html(mime, message))
        fields["headers"] = [[_plain(name), _plain(value)] for name, value in message.headers]
        draw.say_json(fields)
        return 0
    for line in mail_view.lines(message, room=draw.width(), full=full):
        draw.say(line)
    return 0


def _bytes(file: str) -> bytes:
    if file == "-":
        raw = sys.stdin.buffer.read(MAX_MAIL + 1)
    else:
        path = Path(file)
        if path.is_dir():
            raise SourceError(
                f"{file} is a folder: name one mail in it, or bring all of it in by `mailloom ingest {file}`"
            )
        try:
            with path.open("rb") as stream:
                raw = stream.read(MAX_MAIL + 1)
        except OSError as error:
            raise SourceError(f"{file} can't be read: {error.strerror}; check its path and permissions") from None
    if len(raw) > MAX_MAIL:
        raise SourceError(
            f"{file} is larger than a mail can be ({MAX_MAIL >> 20} MB); `mailloom ingest` reads mailboxes"
        )
    return raw


def _html(mime: Mime, message: Message) -> dict[str, Any]:
    """Where each segment stands in the HTML that the text was made of: `html_spans`, in characters of part `html_part`."""
    for part in mime.parts:
        if part.type == "text/html":
            html = mime.text(part.index)
            if text_of(html).text == message.text:
                spans = source_spans(html, [(s.start, s.end) for s in message.segments])
                return {"html_part": part.index, "html_spans": spans}
    return {}  # several parts make up the text


def _plain(text: str) -> str:
    """JSON holds no lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
