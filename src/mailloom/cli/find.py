"""The commands that find and look: search, thread, show, explain, where, rejected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailloom.cli import archive_option, draw, json_option, policy_option
from mailloom.cli.reading import reading
from mailloom.schema import record_dict, text_id

if TYPE_CHECKING:
    from mailloom.archive import Archive, Hit
    from mailloom.thread.policy import Policy


class _Query(click.Command):
    """A command whose words may begin with a minus: `-draft` refuses a word, as in the query language."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = {name for parameter in self.params for name in parameter.opts} | {"-h"}
        words: list[str] = []
        for number, word in enumerate(args):
            if word == "--":
                words += args[number:]
                break
            refuses = word.startswith("-") and not word.startswith("--") and len(word) > 2
            if refuses and word[:2] in options and word[2] in "./=0123456789":
                refuses = False  # -n5, -a/some/folder
            words += ["NOT", word[1:]] if refuses else [word]
        return super().parse_args(ctx, words)


@click.command(cls=_Query)
@click.argument("query", nargs=-1)
@click.option(
    "--limit", "-n", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="At most so many."
)
@click.option("--count", "counting", is_flag=True, help="Print only how many there are.")
@policy_option
@archive_option
@json_option
def search(query: tuple[str, ...], limit: int, counting: bool, policy: Policy, archive: Path, as_json: bool) -> int:
    """Find mail by words, people, dates, lists and more.

    Best first where QUERY has words, else newest first.

    \b
    invoice "purchase order" -draft     all of these words, and not that one
    invoice OR receipt   (a OR b) c     one of them; groups
    invo*                               beginnings of words
    from:ann to:bo cc: subject: file:   a word in one place (file: names of attachments)
    in:Archive                          a folder, label or source
    date:2024-01..2024-03  date:2024    sent then (UTC; open ends: date:2024..)
    after:2024-01-15 before:2025        from that day on; before it
    has:attachment has:nested has:problem    problem:"uncut quote"
    list:dev  id:018f  thread:018f      a list, a mail, a thread

    A shell takes quotes away: give phrases as '"purchase order"'.
    """  # noqa: D301  \b is click's mark for lines to be left as they are
    text = " ".join(query)
    with reading(archive) as opened:
        if counting:
            count = opened.count(text, policy)
            draw.say(str(count))
            return 0 if count else 1
        hits = opened.search(text, limit + 1, 2 * draw.width() - 30, policy)
        for hit in hits[:limit]:
            if as_json:
                draw.say_json(_hit_value(hit))
            else:
                _print_hit(opened, hit)
    if len(hits) > limit and not as_json:
        draw.say(draw.dim(f"more than {limit:,}: --limit N shows more, --count counts"), error=True)
    if not hits:
        draw.say(f"nothing found for {draw.safe(text)!r}{_hint(query)}", error=True)
    return 0 if hits else 1


def _hint(words: tuple[str, ...]) -> str:
    """What may be wrong with a query that finds nothing: a key that is none."""
    from difflib import get_close_matches

    from mailloom.query import KEYS

    for word in " ".join(words).split():
        key, colon, _ = word.partition(":")
        if colon and key.lower() not in KEYS and (close := get_close_matches(key.lower(), KEYS, 1)):
            return f": {draw.safe(key)}: is no key, did you mean {close[0]}: ?"
    return ": fewer words, or beginnings of words (invo*), find more"


def _print_hit(archive: Archive, hit: Hit) -> None:
    message = hit.record.message
    room = draw.width()
    name = archive.short(hit.record.id)
    sender = draw.clip(draw.who(message.from_), 24)
    head = f"{name}  {draw.moment(message.date.ms)}  "
    subject = draw.clip(draw.safe(message.subject) or "(no subject)", max(20, room - draw.cells(head + sender) - 2))
    draw.say(f"{draw.name_of(name)}  {draw.moment(message.date.ms)}  {sender}  {draw.bold(subject)}")
    files = [draw.safe(one.name) or one.type for one in message.attachments if not one.inline]
    facts = [f"attached: {', '.join(files)}"] if files else []
    facts += [draw.several(len(message.nested), "message") + " inside"] if message.nested else []
    facts += [f"+{draw.several(hit.twins, 'twin')}"] if hit.twins else []
    if hit.snippet:
        draw.say("    " + draw.marked(hit.snippet, hit.marks))
    thread = "" if hit.conversation == hit.record.id else f"thread {archive.short(hit.conversation)}"
    if line := "  ".join(part for part in (thread, *facts) if part):
        draw.say("    " + draw.dim(draw.clip(line, room - 4)))


def _hit_value(hit: Hit) -> dict[str, Any]:
    message = hit.record.message
    return {
        "id": text_id(hit.record.id),
        "thread": text_id(hit.conversation),
        "message_id": message.message_id,
        "date": draw.iso(message.date.ms) or None,
        "from": message.from_,
        "subject": message.subject,
        "snippet": hit.snippet,
        "marks": hit.marks,
        "twins": hit.twins,
        "attachments": message.attachments,
    }


@click.command()
@click.argument("id", metavar="[ID]", required=False)
@click.option("--full", is_flag=True, help="Print the new text of each mail whole.")
@click.option("--inclusive", is_flag=True, help="List only the mails to read: all others stand in them, word for word.")
@click.option("--split", "splitting", is_flag=True, help="Make this mail and what answers it a thread of their own.")
@click.option("--join", "other", metavar="OTHER", help="Make its thread and the thread of OTHER one.")
@click.option("--edits", "listing", is_flag=True, help="List what was split and joined by hand.")
@click.option("--undo", "number", type=click.IntRange(1), metavar="NUMBER", help="Take one of these back.")
@policy_option
@archive_option
@json_option
def thread(
    id: str | None,
    full: bool,
    inclusive: bool,
    splitting: bool,
    other: str | None,
    listing: bool,
    number: int | None,
    policy: Policy,
    archive: Path,
    as_json: bool,
) -> int:
    """Draw the thread of a mail as a tree.

    Who, when, what each one wrote anew; what is missing is shown as such, with what others quote of it.

    ID is the beginning of an id, as `search` prints it, or a Message-ID. --json prints a line a mail, parents before children.

    A thread that is not right is put right by hand with --split or --join; what you said is kept whatever comes later.
    """
    if splitting or other is not None or listing or number is not None:
        if full or inclusive:
            raise click.UsageError(
                "--full and --inclusive are for drawing a thread: leave them out where one is edited"
            )
        from mailloom.cli import edit_view

        return edit_view.run(archive, id, splitting, other, listing, number, as_json=as_json)
    if id is None:
        raise click.UsageError("which mail's thread? Give the beginning of its id, or its Message-ID")
    from mailloom.cli import thread_view

    with reading(archive) as opened, opened.snapshot():
        view = thread_view.View(opened, opened.find(id), policy)
        if as_json:
            for value in thread_view.entries(view):
                if not inclusive or value.get("held_by", "") is None:
                    draw.say_json(value)
        elif inclusive:
            for line in thread_view.to_read(view, room=draw.width()):
                draw.say(line)
        else:
            for line in thread_view.lines(view, full=full, room=draw.width()):
                draw.say(line)
    return 0


@click.command()
@click.argument("id", metavar="ID")
@click.option("--raw", is_flag=True, help="Write the exact bytes, as they came, to standard output.")
@click.option(
    "--save-attachments", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Write them into DIR."
)
@click.option("--full", is_flag=True, help="Print long quotes whole.")
@archive_option
@json_option
def show(id: str, raw: bool, folder: Path | None, full: bool, archive: Path, as_json: bool) -> int:
    """Print one mail.

    Headers, people, its text by spans, messages inside, attachments, copies, problems.

    ID is the beginning of an id, as `search` prints it, or a Message-ID.
    """
    from mailloom.cli import mail_view

    with reading(archive) as opened:
        message = opened.find(id)
        if raw:
            sys.stdout.buffer.write(opened.raw(message))
        elif folder is not None:
            _save(opened.raw(message), folder, as_json)
        elif as_json:
            draw.say_json(
                {
                    **record_dict(opened.record(message)),
                    "thread": text_id(opened.conversation(message)),
                    "twins": [text_id(twin) for twin in opened.twins(message)],
                    "duplicates": [
                        {"kind": one.kind, "message": text_id(one.other), "similarity": one.similarity}
                        for one in opened.duplicates(message)
                    ],
                    "copies": [_copy_value(copy) for copy in opened.copies(message)],
                }
            )
        else:
            for line in mail_view.lines(opened.record(message).message, room=draw.width(), full=full):
                draw.say(line)
            for line in mail_view.kept(opened, message, room=draw.width()):
                draw.say(line)
    return 0


def _save(raw: bytes, folder: Path, as_json: bool) -> None:
    from mailloom.cli.save import save

    count = 0
    for saved in save(raw, folder):
        count += 1
        if as_json:
            draw.say_json({"path": str(saved.path), "carrier": saved.carrier, "attachment": saved.attachment})
        else:
            inside = f"  (of the message inside, {saved.carrier})" if saved.carrier else ""
            draw.say(f"{draw.safe(str(saved.path))}  {draw.size(saved.attachment.size)}{inside}")
    if not count:
        draw.say("this mail has no attachments", error=True)


def _copy_value(copy: Any) -> dict[str, Any]:
    import orjson

    return {
        "source": copy.source,
        "path": copy.path,
        "start": copy.start,
        "length": copy.length,
        "state": copy.state,
        "raw_sha256": copy.raw_sha256.hex(),
        "folder": copy.folder,
        "labels": copy.labels,
        "flags": copy.flags,
        "received_at": draw.iso(copy.received_at) or None,
        "trace": orjson.Fragment(copy.trace),
        "version": copy.version,
        "read_at": draw.iso(copy.read_at),
        "stored_at": draw.iso(copy.stored_at),
    }


@click.command()
@click.argument("id", metavar="ID")
@archive_option
@json_option
def explain(id: str, archive: Path, as_json: bool) -> int:
    """Tell why a mail is in its thread.

    Its ids and who shares them, what else speaks for a link and how much, what was considered or not used, and why, and what it
    still looks for.

    ID is the beginning of an id, as `search` prints it, or a Message-ID.
    """
    from mailloom.archive.story import story
    from mailloom.cli import explain_view

    with reading(archive) as opened:
        told = story(opened, opened.find(id))
        if as_json:
            draw.say_json(explain_view.value(opened, told))
        else:
            for line in explain_view.lines(opened, told, room=draw.width()):
                draw.say(line)
    return 0


@click.command()
@click.argument("name", metavar="ID|PATH")
@archive_option
@json_option
def where(name: str, archive: Path, as_json: bool) -> int:
    """Tell what became of a mail, each step with its time.

    Read, stored or not, where its bytes, its row and its thread are.

    Give an id or its beginning, a Message-ID, or a path as it was ingested (a file, or what is inside one behind a "!").
    """
    from mailloom.cli import where_view

    with reading(archive) as opened:
        found = where_view.arrivals(opened, name)
        if as_json:
            for one in found:
                draw.say_json(where_view.value(opened, one))
        else:
            for line in where_view.lines(opened, found, room=draw.width()):
                draw.say(line)
    return 0


@click.command()
@click.option("--retry", is_flag=True, help="Run what was rejected again, with this version.")
@click.option("--all", "foreign", is_flag=True, help="List files that are no mail too.")
@archive_option
@json_option
def rejected(retry: bool, foreign: bool, archive: Path, as_json: bool) -> int:
    """List what was rejected, by reason; --retry runs it again.

    With each reason comes what to do about it.
    """
    from mailloom.cli import rejected_view

    if retry:
        return rejected_view.retry(archive, as_json=as_json)
    with reading(archive) as opened:
        found = rejected_view.rejected(opened, foreign=foreign)
        if as_json:
            for one in found:
                draw.say_json(one)
        else:
            for line in rejected_view.lines(found, room=draw.width()):
                draw.say(line)
    return 0
