"""A folder of anything -> the files in it, each once, in one order for all runs. Links are not followed."""

# a Path for each of 100,000 files takes longer than reading them:
# ruff: noqa: PTH110, PTH118, PTH208

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from mailloom.mail.model import Origin
from mailloom.sources import maildir
from mailloom.sources.place import Place, Refused, label, why


def files(source: str, root: str) -> Iterator[Place | Refused]:
    """Each file below `root`: a folder's own in the order of their names, then its subfolders. `source` is its name in Origins.

    Folders that can't be listed, links, pipes and the like come as Refused, and so does an archive: below its own source it would take in what
    it wrote itself.
    """
    waiting: list[tuple[str, str, str]] = [(root, "", "")]
    while waiting:
        directory, path, folder = waiting.pop()
        try:
            names, folders, boxes = _listing(directory)
        except OSError as error:
            yield _refused(source, path, folder, "unreadable", why(error, directory))
            continue
        if is_archive(names):
            reason = f"not mail: an archive of Mailloom, whose mail is in it already: {label(directory)}"
            yield _refused(source, path, folder, "not mail", reason)
            continue
        if boxes:
            yield from _maildir(source, directory, path, folder or "INBOX")
        for name in names:
            found = _place(source, os.path.join(directory, name), _join(path, label(name)), folder, root)
            if found is not None:
                yield found
        for name in reversed(folders):
            own = maildir.folder_name(label(name)) if boxes else label(name)
            waiting.append((os.path.join(directory, name), _join(path, label(name)), _join(folder, own)))


def is_archive(names: Iterable[str]) -> bool:
    """Whether a folder with such files is an archive of ours (wire/embedded.py)."""
    return {"archive.sqlite", "lock"} <= set(names)


def _listing(directory: str) -> tuple[list[str], list[str], bool]:
    """(files, subfolders to enter, whether it is a Maildir), sorted. Only names are kept: a folder may hold a million."""
    names: list[str] = []
    folders: list[str] = []
    with os.scandir(directory) as entries:
        for entry in entries:
            (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
    names.sort()
    folders.sort()
    boxes = maildir.is_maildir(folders)
    if boxes:
        folders = [name for name in folders if name not in {"cur", "new", "tmp"}]
    return names, folders, boxes


def _place(source: str, file: str, path: str, folder: str, root: str) -> Place | Refused | None:
    try:
        status = os.lstat(file)
    except OSError as error:
        return _refused(source, path, folder, "unreadable", why(error, file))
    if stat.S_ISLNK(status.st_mode):
        return _link(source, file, path, folder, root)
    if not stat.S_ISREG(status.st_mode):
        return _refused(source, path, folder, "not mail", f"not mail: a pipe, socket or device: {label(file)}")
    return Place(source, path, file, status.st_size, status.st_mtime_ns, folder=folder)


def _link(source: str, file: str, path: str, folder: str, root: str) -> Refused:
    target = os.path.realpath(file)
    if not os.path.exists(target):
        reason = f"a broken link: {label(file)} (its target {label(target)} does not exist)"
    elif os.path.commonpath([os.path.realpath(root), target]) == os.path.realpath(root):
        reason = f"a link, not followed: {label(file)} (its target is read at its own place)"
    else:
        reason = f"a link out of the folder, not followed: {label(file)} (name {label(target)} as a source of its own)"
    return _refused(source, path, folder, "link", reason)


def _maildir(source: str, directory: str, path: str, folder: str) -> Iterator[Place | Refused]:
    """The messages of one Maildir, by unique name over new and cur, so that their order outlives a change of flags."""
    found: list[tuple[str, str, str]] = []
    for box in maildir.BOXES:
        try:
            found.extend((maildir.read_name(name)[0], box, name) for name in os.listdir(os.path.join(directory, box)))
        except FileNotFoundError:
            continue
        except OSError as error:
            yield _refused(source, _join(path, box), folder, "unreadable", why(error, os.path.join(directory, box)))
    found.sort()
    before = ""
    for unique, box, name in found:
        if name.startswith("."):  # by the definition of Maildir not a message
            continue
        file = os.path.join(directory, box, name)
        # What should be unique may be there twice, as after a move that was cut short.
        own = _join(path, label(unique) if unique != before else label(f"{box}/{name}"))
        before = unique
        try:
            status = os.lstat(file)
        except OSError as error:
            yield _refused(source, own, folder, "unreadable", why(error, file))
            continue
        if not stat.S_ISREG(status.st_mode):
            yield _refused(source, own, folder, "not mail", f"not mail: no plain file: {label(file)}")
            continue
        yield Place(
            source,
            own,
            file,
            status.st_size,
            status.st_mtime_ns,
            "maildir message",
            folder,
            maildir.delivered_at(name),
            flags=maildir.read_name(name)[1],
        )


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _refused(source: str, path: str, folder: str, kind: str, reason: str) -> Refused:
    return Refused(Origin(source, path, 0, 0, 0, 0, folder=folder), kind, reason)  # type: ignore[arg-type]
