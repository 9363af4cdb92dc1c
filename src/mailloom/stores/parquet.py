"""The copy to analyse: messages/month=YYYY-MM/*.parquet, full records, zstd, sorted by id.

Messages wait in the database until there are enough; then those not yet copied are written by month in one go. Mail in no
order would else make a file a month a batch. A file counts once the database names it; any other is the rest of a crash.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mailloom.schema import arrow_line, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_BYTES = 8 << 20  # JSON bytes that become one row group: bounds memory, and is still some thousand mails
OTHER = "other"
"""The partition of mail whose Date is missing or outside the window: Date headers lie, and a lie must not make a folder."""


THREADS = 2  # each holds a row group; more would wait for Python's share of the work
Group: TypeAlias = tuple[str, bytes, int]
"""A month, JSON lines for one row group, and how many."""


class Written(NamedTuple):
    """One file: its name inside the archive, its month, how many mails it holds."""

    name: str
    month: str
    mails: int


def write(folder: Path, rows: Iterable[tuple[str, bytes]], label: str) -> list[Written]:
    """(month, record's JSON) in order of months -> files; each is complete before it gets its name.

    `label` tells the files of one call from those of all others; the same label overwrites. Months are written side by side in
    threads, as Arrow does its work outside of Python; a month that is larger than a row group is written by this one.
    """
    files: list[Written] = []
    with ThreadPoolExecutor(THREADS) as pool:
        busy: deque[Future[Written]] = deque()
        for month, groups in groupby(_groups(rows), key=lambda group: group[0]):
            path = folder / f"month={month}" / f"{label}.parquet"
            first, second = next(groups), next(groups, None)  # noqa: B031  read to their end before the next month
            if second is not None:
                files.append(_write_month(folder, path, month, chain((first, second), groups)))  # noqa: B031
                continue
            if len(busy) == 2 * THREADS:
                files.append(busy.popleft().result())
            busy.append(pool.submit(_write_month, folder, path, month, [first]))
        files += [written.result() for written in busy]
    return files


def _write_month(folder: Path, path: Path, month: str, groups: Iterable[Group]) -> Written:
    """Not synced to disk: it is a copy, and after a power cut `mailloom doctor --repair` makes it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".parquet.part")
    mails = 0
    with _writer(part) as writer:
        for _, lines, count in groups:
            writer.write_table(table(lines))
            mails += count
    part.replace(path)
    return Written(str(path.relative_to(folder)), month, mails)


def table(lines: bytes) -> pa.Table:
    """JSON lines (schema.arrow_line) -> an Arrow table of the schema."""
    import pyarrow as pa
    import pyarrow.json as pj

    schema = arrow_schema()
    reading = pj.ReadOptions(block_size=len(lines) + 2, use_threads=False)  # one block: no record may be larger than it
    read = pj.read_json(
        io.BytesIO(lines), reading, pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    )
    return pa.Table.from_arrays([read.column(name) for name in schema.names], schema=schema)


def _groups(rows: Iterable[tuple[str, bytes]]) -> Iterator[Group]:
    month, size = "", 0
    lines: list[bytes] = []
    for row_month, body in rows:
        if lines and (row_month != month or size >= ROW_GROUP_BYTES):
            yield month, b"\n".join(lines), len(lines)
            lines, size = [], 0
        month = row_month
        lines.append(arrow_line(body))
        size += len(lines[-1])
    if lines:
        yield month, b"\n".join(lines), len(lines)


_FEW_VALUES = [
    "text_origin",
    "list_id",
    "marks.list.element",
    "segments.list.element.kind",
    "segments.list.element.rule",
]
"""Columns worth a dictionary. The others have a value a mail, where a dictionary is work for larger files."""


def _writer(path: Path) -> pa.parquet.ParquetWriter:
    """Without Arrow's own copy of the schema in each file: a third of a small one, and readers need none to get these types."""
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        path,
        arrow_schema(),
        compression="zstd",
        use_dictionary=_FEW_VALUES,
        write_statistics=["id", "date"],
        store_schema=False,
    )
