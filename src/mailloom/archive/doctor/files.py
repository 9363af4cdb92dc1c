"""Checks of the files beside the database: packs of raw mail, the Parquet copy, and what nobody names."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import zstandard

from mailloom.archive.analyse import CHUNK
from mailloom.archive.doctor.examination import REPAIR, SAMPLE, Examination, Verdict
from mailloom.wire import Embedded

_NO_REPAIR = (
    "raw bytes are nowhere else in an archive: put raw/ back from a backup, or ingest the sources into a new folder"
)


# ------------------------------------------------------------------------------------------------ raw mail
def raw(x: Examination) -> Verdict:
    wrong = []
    unlocated = """deliveries where scope = ?1 and length(raw_sha256) = 32
      and not exists (select 1 from raws where raws.sha256 = raw_sha256)"""
    if lost := x.faults({"deliveries have their raw bytes nowhere": unlocated}):
        wrong.append(lost)
    for pack, end, mails in x.rows("select pack, max(frame + size), count(*) from raws group by pack order by pack"):
        path = x.archive.stores.packs.path(pack)
        size = path.stat().st_size if path.exists() else None
        if size is None or size < end:
            state = "is missing" if size is None else f"ends at byte {size:,} of {end:,}"
            wrong.append(f"{path} {state}; {mails:,} mails are in it")
    read, bad, first = 0, 0, ""
    for fault in _read(x):
        read += 1
        bad += bool(fault)
        first = first or fault
    if bad:
        wrong.append(f"{bad:,} of {read:,} mails read are damaged, the first in {first}")
    return Verdict(not wrong, "; ".join(wrong) or f"each mail's bytes are located; {read:,} read", _NO_REPAIR)


def _read(x: Examination) -> Iterator[str]:
    """Mails' bytes against their SHA-256, each frame inflated once: "" or where the fault is. Hashes are as good as random
    numbers, so some hundred in a row are a fair sample.
    """
    some = f"(select * from raws where sha256 >= x'{x.seed.hex()}' order by sha256 limit {SAMPLE})"  # noqa: S608
    rows = x.rows(f"select pack, frame, size, start, length, sha256 from {'raws' if x.deep else some} order by 1, 2, 4")  # noqa: S608
    for (pack, frame, size), mails in groupby(rows, itemgetter(0, 1, 2)):
        path = x.archive.stores.packs.path(pack)
        inflated, fault = _inflated(path, frame, size)
        for *_, start, length, sha in mails:
            changed = sha256(inflated[start : start + length]).digest() != sha
            yield fault or (f"{path} at byte {frame:,}: the bytes are not those that were stored" if changed else "")


def _inflated(path: Path, frame: int, size: int) -> tuple[bytes, str]:
    try:
        with path.open("rb") as file:
            file.seek(frame)
            return zstandard.ZstdDecompressor().decompress(file.read(size)), ""
    except (OSError, zstandard.ZstdError) as error:
        return b"", f"{path} at byte {frame:,}: {error}"


# ------------------------------------------------------------------------------------------------ Parquet
def parquet(x: Examination) -> Verdict:
    wrong = []
    named = list(x.rows("select name, mails from files order by name"))
    root = x.folder / "messages"
    readable = []
    for name, mails in named:
        rows, fault = _rows_in(root / name, deep=x.deep)
        if fault:
            wrong.append(f"{root / name}: {fault}")
        elif rows != mails:
            wrong.append(f"{root / name} holds {rows:,} messages, not {mails:,}")
        else:
            readable.append(root / name)
    if not wrong:
        wrong += _compared(x, readable)
    if waiting := x.count("messages where seq > (select coalesce(max(last), 0) from files)"):
        wrong.append(f"{waiting:,} messages are not copied yet, as an ingest was stopped or is running")
    mails = sum(mails for _, mails in named)
    return Verdict(not wrong, "; ".join(wrong) or f"{len(named):,} files hold the {mails:,} messages", REPAIR)


def _rows_in(path: Path, *, deep: bool) -> tuple[int, str]:
    """How many rows a file holds; `deep` reads all of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if deep:
                for batch in file.iter_batches(batch_size=1000):
                    batch.validate()
            return int(file.metadata.num_rows), ""
    except FileNotFoundError:
        return 0, "is missing"
    except (OSError, pa.ArrowException) as error:
        return 0, f"can't be read: {str(error).splitlines()[0]}"


def _compared(x: Examination, files: list[Path]) -> list[str]:
    """The ids in the Parquet files against those of the messages that are said to be there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def copied() -> Iterator[pa.RecordBatch]:
        for path in files:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(batch_size=CHUNK, columns=["id"])

    schema = pa.schema([("id", pa.string())])
    x.analysis.fill("_copied", schema, copied())
    rows = x.rows("select id from messages where seq <= (select coalesce(max(last), 0) from files)")
    x.analysis.fill("_kept", pa.schema([("id", pa.binary())]), _batches(rows))
    kept = "select id::uuid::varchar as id from _kept"
    counts = {
        "messages are in no file": f"({kept}) except all select id from _copied",  # noqa: S608  constants only
        "rows in the files are of no message, or there twice": f"select id from _copied except all ({kept})",  # noqa: S608
    }
    found = {
        what: x.analysis.duck.execute(f"select count(*) from ({sql})").fetchall()[0][0]  # noqa: S608  constants only
        for what, sql in counts.items()
    }
    return [f"{count:,} {what}" for what, count in found.items() if count]


def _batches(rows: Iterator[Any]) -> Iterator[Any]:
    from itertools import islice

    import pyarrow as pa

    schema = pa.schema([("id", pa.binary())])
    while chunk := list(islice(rows, CHUNK)):
        yield pa.RecordBatch.from_arrays([pa.array([row[0] for row in chunk], pa.binary())], schema=schema)


# ------------------------------------------------------------------------------------------------ rests
def rests(x: Examination) -> Verdict:
    found = unnamed(x.archive.stores)
    listed = ", ".join(str(path) for path in found[:3]) + (" ..." if len(found) > 3 else "")
    what = f"{len(found):,} files that nothing names, left by a stopped run: {listed}"
    return Verdict(
        not found, what if found else "no file is here that nothing names", f"{REPAIR}, so does the next ingest"
    )


def unnamed(stores: Embedded) -> list[Path]:
    """Parquet files and packs that the database doesn't name. Bytes behind a pack's last mail are cut by whoever writes next."""
    root = stores.folder / "messages"
    parquets = {root / name for (name,) in stores.connection.execute("select name from files")}
    packs = {stores.packs.path(number) for (number,) in stores.connection.execute("select distinct pack from raws")}
    found = [path for path in root.glob("month=*/*") if path not in parquets]
    return sorted(found + [path for path in stores.packs.folder.glob("*") if path not in packs])
