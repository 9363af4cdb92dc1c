"""`mailloom stats`, `sql`, `export`, `digest`: what an archive holds as a whole."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import click
import orjson

from mailloom.archive.analyse import TABLES, Analysis, Answer
from mailloom.archive.digest import digest as digests
from mailloom.archive.digest import overall
from mailloom.archive.duplicates import NO_SKETCHES
from mailloom.archive.export import Evidence, Format, What
from mailloom.archive.export import export as write
from mailloom.archive.stats import stats as count
from mailloom.cli import archive_option, draw, json_option, on_servers, policy_option
from mailloom.cli.reading import reading
from mailloom.ports import UserError
from mailloom.thread.policy import Policy

ROWS = 1000
"""Rows of a query that are drawn as a table: they are held in memory to find the widths. --csv and --json print all."""


# ------------------------------------------------------------------------------------------------ stats
@click.command()
@archive_option
@json_option
@click.option("--top", type=click.IntRange(1, 1000), default=10, help="How many domains, charsets, ... (default: 10).")
def stats(archive: Path, as_json: bool, top: int) -> None:
    """Print figures of the whole archive.

    Messages by month, sender, size, charset and problem; threads; attachments.
    """
    with reading(archive) as opened:
        counted = count(opened, top)
        outdated = "" if on_servers() else opened.stores.outdated()
    if as_json:
        rows = {name: [row._asdict() for row in getattr(counted, name)] for name in ("longest", "types")}
        click.echo(orjson.dumps({**asdict(counted), **rows}, option=orjson.OPT_NON_STR_KEYS))
        return
    from mailloom.cli.stats_view import page

    for line in page(counted, "in PostgreSQL" if on_servers() else "on disk"):
        draw.say(line)
    if outdated:
        draw.say(f"\n{outdated}: `mailloom rethread --dry-run` tells what that would change", error=True)


# ------------------------------------------------------------------------------------------------ digest
@click.command()
@archive_option
@json_option
@click.option(
    "--raw", is_flag=True, help="Also the raw bytes' hashes, which differ between an mbox and the files of one."
)
def digest(archive: Path, as_json: bool, raw: bool) -> None:
    """Print a hash of everything that the archive says.

    One a table, and one of them all.

    Two archives of the same mail have the same digest, in whatever order, by however many jobs and from whatever kind of
    container it came. Sources, times of arrival and the ledger are not in it.
    """
    with reading(archive) as opened:
        tables = digests(opened, raw=raw)
    if as_json:
        for table in tables:
            draw.say_json(table._asdict())
        draw.say_json({"table": "all", "rows": sum(t.rows for t in tables), "sha256": overall(tables)})
        return
    for table in tables:
        draw.say(f"{table.sha256}  {table.table:<13} {table.rows:>12,}")
    draw.say(f"{overall(tables)}  all")


# ------------------------------------------------------------------------------------------------ sql
@click.command(epilog="\b\nTables:\n" + "\n".join(f"  {name:<12} {what}" for name, what in TABLES.items()))
@click.argument("query", metavar='"select ..."')
@archive_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header line.")
def sql(query: str, archive: Path, as_json: bool, as_csv: bool) -> None:
    """Ask the archive in SQL (DuckDB's). QUERY - reads it from standard input.

    Only queries that read are answered, and only from the archive. `describe messages` lists a table's columns.
    """
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    if on_servers():
        _no_sql()
    query = sys.stdin.read() if query == "-" else query
    with reading(archive) as opened, Analysis(opened) as analysis:
        answer = analysis.ask(query)
        if as_json:
            for row in answer.rows:
                click.echo(orjson.dumps(dict(zip(answer.columns, row, strict=True)), default=_plain))
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            writer.writerows([_cell(value) for value in row] for row in answer.rows)
        else:
            _print_answer(answer)


def _no_sql() -> NoReturn:
    """Servers answer SQL by themselves. Raises UserError."""
    from mailloom.cli.servers import servers

    with servers() as found:
        server, _, database = found.reader.state.connections.name.partition("/")
    host, _, port = server.rpartition(":")
    raise UserError(
        "`mailloom sql` asks an archive in a folder (--archive). Servers answer SQL themselves: psql"
        f' -h {host} -p {port} -d {database} -c "select ..." (docs/postgres.md has the tables), or, of whole records, aws athena'
        ' start-query-execution --work-group mailloom-STAGE --query-string "select ..." (docs/aws.md)'
    )


def _plain(value: Any) -> Any:
    """What orjson doesn't know by itself: bytes in hex, the rest as text."""
    return value.hex() if isinstance(value, bytes) else str(value)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        return orjson.dumps(value, default=_plain).decode()
    return value.hex() if isinstance(value, bytes) else str(value)


def _print_answer(answer: Answer) -> None:
    rows = list(islice(answer.rows, ROWS))
    numbers = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(answer.columns))]
    texts = [[_shown(value) for value in row] for row in rows]
    for line in draw_table([draw.safe(name) for name in answer.columns], texts, numbers):
        draw.say(line)
    more = sum(1 for _ in answer.rows)
    draw.say(
        draw.dim(
            f"{draw.several(len(rows) + more, 'row')}"
            + (f", the first {ROWS:,} shown: --csv or --json prints all" if more else "")
        )
    )


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.6g}"
    return draw.safe(_cell(value))


def draw_table(head: list[str], rows: list[list[str]], right: list[bool]) -> Iterator[str]:
    """Lines of a table that is as wide as the terminal at most: the widest columns give way first. Cells are safe text."""
    widths = fitted([max(draw.cells(row[i]) for row in [head, *rows]) for i in range(len(head))], draw.width())

    def line(cells: Iterable[str]) -> str:
        placed = []
        for text, room, to_right in zip(cells, widths, right, strict=True):
            shown = draw.clip(text, room)
            blank = " " * (room - draw.cells(shown))
            placed.append(blank + shown if to_right else shown + blank)
        return "  ".join(placed).rstrip()

    yield draw.bold(line(head))
    for row in rows:
        yield line(row)


def fitted(wanted: list[int], room: int, least: int = 6) -> list[int]:
    """Widths of columns, each at most what it wants, all of them with two blanks between in `room` where that can be: what is
    over is taken from the widest.
    """
    over = sum(wanted) + 2 * (len(wanted) - 1) - room
    if over <= 0:
        return wanted
    limit = max(wanted)
    while limit > least and sum(min(w, limit) for w in wanted) + 2 * (len(wanted) - 1) > room:
        limit -= 1
    return [min(w, limit) for w in wanted]


# ------------------------------------------------------------------------------------------------ export
@click.command(short_help="Write messages, threads, links and more to a file.")
@click.argument("what", type=click.Choice(["messages", "nested", "threads", "links", "people", "duplicates"]))
@archive_option
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "parquet", "csv"]), default="jsonl", help="Default: jsonl."
)
@click.option(
    "--out", "-o", type=click.Path(path_type=Path, dir_okay=False), help="The file (default: standard output)."
)
@click.option(
    "--evidence",
    type=click.Choice(["all", "headers"]),
    default="all",
    help="Threads by everything that is known (default), or by ids and Thread-Index alone.",
)
@policy_option
def export(what: What, archive: Path, form: Format, out: Path | None, evidence: Evidence, policy: Policy) -> None:
    """Write all messages, those nested in them, threads, links, people or duplicates.

    As JSON lines, Parquet or CSV.

    `nested` is a line a message inside another, by its path in that. `links` is a line for each message with an id that it shares (target) and
    for each link that was drawn between two. `threads` is a line a message: its Message-ID (id), its conversation (thread), its id here (message), its topic. `duplicates` is a
    line a message of each group: kind (twins, variants, reused, near), message, group (its oldest message), similarity to that.
    """
    if out is None and form == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text: name a file with --out, or pipe the output somewhere")
    with reading(archive) as opened, _written(out) as file:
        rows = write(opened, what, form, file, evidence, policy=policy)
        if what == "duplicates" and opened.on_servers:
            draw.say(NO_SKETCHES, error=True)
    if out is not None:
        draw.say(f"{out}: {rows:,} {_WRITTEN.get(what, what)}", error=True)


_WRITTEN = {"threads": "messages with their threads", "duplicates": "messages of groups"}


@contextmanager
def _written(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that gets its name when it is complete: a stopped export leaves what was there before."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
