"""The copy to analyse: messages/month=YYYY-MM/*.parquet, full records, zstd, sorted by id.

Messages wait in the database until there are enough; then those not yet copied are written by month in one go. Mail in no
order would else make a file a month a batch. A file counts once the database names it; any other is the rest of a crash.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mailloom.schema import arrow_line, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_BYTES = 8 << 20  # JSON bytes that become one row group: bounds memory, and is still some thousand mails
OTHER = "other"
"""The partition of mail whose Date is missing or outside the window: Date headers lie, and a lie must not make a folder."""


class Written(NamedTuple):
    """One file: its name inside the archive, its month, how many mails it holds."""

    name: str
    month: str
    mails: int


def write(folder: Path, rows: Iterable[tuple[str, bytes]], label: str) -> list[Written]:
    """(month, record's JSON) in order of months -> files; each is complete and durable before it gets its name.

    `label` tells the files of one call from those of all others; the same label overwrites.
    """
    files: list[Written] = []
    month, writer, mails, part = "", None, 0, Path()
    for group_month, lines, count in _groups(rows):
        if group_month != month:
            if writer is not None:
                files.append(_close(folder, writer, part, month, mails))
            month, mails = group_month, 0
            part = folder / f"month={month}" / f"{label}.parquet.part"
            part.parent.mkdir(parents=True, exist_ok=True)
            writer = _writer(part)
        assert writer is not None
        writer.write_table(table(lines))
        mails += count
    if writer is not None:
        files.append(_close(folder, writer, part, month, mails))
    return files


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


def _groups(rows: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, bytes, int]]:
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


def _close(folder: Path, writer: pa.parquet.ParquetWriter, part: Path, month: str, mails: int) -> Written:
    import os

    writer.close()
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    final = part.with_suffix("")
    part.replace(final)
    return Written(str(final.relative_to(folder)), month, mails)
