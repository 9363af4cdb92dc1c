"""Opening archive.sqlite: pragmas, versions, transactions."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import apsw

from mailloom.ports import Transient, UserError

Connection = apsw.Connection

APPLICATION_ID = 0x4D4C4F4D  # "MLOM"
VERSION = 2
WAL_PAGES = 16_000  # 64 MB between checkpoints: hot pages are written back once for many batches
BUSY_MS = 30_000  # a reader or another writer holds the file for as long as a batch takes, not longer

FULL = "free some space and run the same command again; what was stored before is safe"


class ArchiveError(UserError):
    """The archive can't be opened or written; the message says which, why, and what to do."""


def connect(path: Path, *, write: bool, create: bool = False) -> Connection:
    """Open an archive's database. Raises ArchiveError for a missing, foreign, damaged or newer file."""
    if not create and not path.exists():
        raise ArchiveError(
            f"no archive at {path.parent}: make one with `mailloom ingest SOURCE --archive {path.parent}`"
        )
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    try:
        connection = _opened(path, flags) if write else _opened_to_read(path, flags)
        version = _version(connection, path)
        if write:
            # WAL lets readers go on while one writes. NORMAL: a killed process loses nothing that was committed; a power cut may
            # take the last batches as a whole, which the same command then reads again. `tidy` makes the end of a run durable.
            connection.execute(
                f"pragma journal_mode=wal; pragma synchronous=normal; pragma wal_autocheckpoint={WAL_PAGES}"
            )
            if version < VERSION:
                _create(connection)
            _add(connection)
        elif version == 0:
            raise ArchiveError(f"{path} is empty: an ingest that made it was stopped at once; run it again")
        connection.execute("pragma cache_size=-65536; pragma temp_store=memory")
        if version < VERSION and not write:
            _read_as_new(connection, version)
        if not write:  # the writer maps nothing: its memory is to be bounded, whatever the archive's size
            connection.execute("pragma mmap_size=268435456; pragma query_only=1")
    except apsw.NotADBError:
        raise ArchiveError(f"{path} is not an archive of mailloom (not an SQLite file)") from None
    except apsw.CantOpenError as error:
        raise ArchiveError(f"{path} can't be opened ({error}): check the permissions of the folder") from None
    except apsw.ReadOnlyError as error:
        raise ArchiveError(
            f"{path} can't be written ({error}): check the permissions of the file and its folder"
        ) from None
    except apsw.CorruptError as error:
        raise ArchiveError(f"{path} is damaged ({error}): run `mailloom doctor`, or ingest into a new folder") from None
    return connection


def _opened(path: Path, flags: int) -> Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(BUSY_MS)
    return connection


def _opened_to_read(path: Path, flags: int) -> Connection:
    """Readers need to write too, into the file that tells a writer what they see (https://sqlite.org/wal.html#read_only_databases).
    Where they can't, as on a disk that is mounted read-only or in another user's folder, the archive is read as one that nobody
    changes; not if the last writer left a log behind, for that holds part of it.
    """
    connection = _opened(path, flags)
    try:
        connection.pragma("user_version")
    except (apsw.ReadOnlyError, apsw.CantOpenError):
        connection.close()
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            raise
        uri = f"{path.absolute().as_uri()}?immutable=1"
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    return connection


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """What a disk may do to an open archive, in words. Raises ArchiveError for it."""
    try:
        yield
    except (apsw.ReadOnlyError, apsw.CantOpenError) as error:
        raise ArchiveError(f"{folder} can't be written ({error}): check the permissions of all files in it") from None
    except (apsw.FullError, apsw.IOError) as error:
        raise ArchiveError(f"{folder} can't be read or written any more ({error}): check its disk, {FULL}") from None
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise ArchiveError(
            f"{folder} is damaged ({error}): run `mailloom doctor`, or ingest into a new folder"
        ) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise ArchiveError(f"no room for {folder} ({os.strerror(error.errno)}): {FULL}") from None


def _version(connection: Connection, path: Path) -> int:
    version = int(connection.pragma("user_version"))
    application = int(connection.pragma("application_id"))
    if version > VERSION and application == APPLICATION_ID:
        raise ArchiveError(
            f"{path} was written by a newer mailloom (format {version}, this one knows {VERSION}): update mailloom; nothing was touched"
        )
    if application not in (0, APPLICATION_ID) or (
        application == 0 and connection.execute("select 1 from sqlite_schema").get
    ):
        raise ArchiveError(f"{path} is an SQLite file of another program: choose another folder for the archive")
    return version


def _create(connection: Connection) -> None:
    """Make the tables of an empty file, or those that an older one lacks."""
    with transaction(connection):
        version = int(connection.pragma("user_version"))  # somebody else may have been faster
        connection.execute(_script(version))
        if version == 0:
            # Segments are merged in larger steps than FTS5's default: an ingest writes much and a search reads few of them.
            connection.execute("insert into words (words, rank) values ('automerge', 8), ('crisismerge', 32)")
        connection.execute(f"pragma application_id={APPLICATION_ID}; pragma user_version={VERSION}")


def _read_as_new(connection: Connection, version: int) -> None:
    """An older archive has nothing in the tables that it lacks; a reader can't make them, but has room of its own for empty ones."""
    connection.execute(_script(version).replace("CREATE TABLE", "CREATE TEMP TABLE"))


def _script(version: int) -> str:
    """The statements that a file of that version lacks: schema.sql has them in the order of versions."""
    script = files("mailloom.stores.sqlite").joinpath("schema.sql").read_text(encoding="utf-8")
    return "".join(f"-- version {part}" for part in script.split("-- Since version")[version:])


def _add(connection: Connection) -> None:
    """Tables that came later and that older readers don't miss."""
    if connection.execute("select 1 from sqlite_schema where name = 'sketch_packs'").get is None:
        with transaction(connection):
            connection.execute(files("mailloom.stores.sqlite").joinpath("near.sql").read_text(encoding="utf-8"))


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE, so that what is read inside can't be changed before it is written; COMMIT or, on any exception, ROLLBACK.

    Raises Transient where another writer held the file for longer than BUSY_MS, ArchiveError where the disk is full.
    """
    try:
        connection.execute("begin immediate")
    except apsw.BusyError as error:
        raise Transient(f"{connection.filename} is being written by another process: {error}") from None
    try:
        yield
        connection.execute("commit")
    except apsw.FullError as error:
        if connection.in_transaction:
            connection.execute("rollback")
        raise ArchiveError(f"the disk of {connection.filename} is full ({error}): {FULL}") from None
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
