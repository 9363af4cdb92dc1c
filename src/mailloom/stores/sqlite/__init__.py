"""SQLite: ledger, messages, threads and full text of an embedded archive, in one file, by one writer and any number of readers."""

from mailloom.stores.sqlite.connection import ArchiveError, Connection, connect, told
from mailloom.stores.sqlite.records import SqliteRecords
from mailloom.stores.sqlite.threads import SqliteThreads

__all__ = ["ArchiveError", "Connection", "SqliteRecords", "SqliteThreads", "connect", "told"]
