"""An archive, read: find a mail and its thread, search, analyse, export, check and mend."""

from mailloom.archive.reading import Archive, Copy, Hit, NotFoundError, Summary, open_archive

__all__ = ["Archive", "Copy", "Hit", "NotFoundError", "Summary", "open_archive"]
