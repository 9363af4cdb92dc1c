"""Does an archive keep what it promises? Named checks, each ok or a fault with what was found and how to mend it.

All of them see one state of the database. Memory is bounded but for the check of conversations, which derives all of them anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from mailloom.archive.analyse import Analysis
from mailloom.archive.doctor import files, ledger, threads
from mailloom.archive.doctor.examination import DAMAGED, Examination, Finding
from mailloom.archive.doctor.mend import mend
from mailloom.archive.reading import Archive

MEMORY = "400MB"  # for DuckDB, which follows the paths of threads

CHECKS = {
    "database": ledger.database,
    "books": ledger.books,
    "deliveries": ledger.deliveries,
    "copies": ledger.copies,
    "records": ledger.records,
    "words": ledger.words,
    "sketches": ledger.sketches,
    "raw": files.raw,
    "parquet": files.parquet,
    "rests": files.rests,
    "marks": threads.marks,
    "nodes": threads.nodes,
    "rules": threads.rules,
    "evidence": threads.stated,
    "conversations": threads.conversations,
}


def examine(archive: Archive, *, deep: bool = False, seed: bytes = b"") -> Iterator[Finding]:
    """Run every check. `deep` reads all raw mail, records and Parquet columns instead of a sample that begins at `seed`."""
    with Analysis(archive, memory=MEMORY) as analysis:
        examination = Examination(archive, analysis, deep=deep, seed=seed)
        for name, check in CHECKS.items():
            try:
                verdict = check(examination)
            except apsw.Error as error:
                yield Finding(name, False, f"can't be checked, SQLite says: {error}", DAMAGED)
            else:
                yield Finding(name, verdict.ok, verdict.found, "" if verdict.ok else verdict.mend)


__all__ = ["CHECKS", "Finding", "examine", "mend"]
