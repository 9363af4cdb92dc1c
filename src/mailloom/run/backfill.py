"""Mail that lies in a bucket already, brought to the workers: first a manifest of it, then each part of that by itself, many side by side.

A part is an object of JSON Lines, each the pointer to a mail as queues carry it (pointers.py). Parts are numbered, and lie below a prefix of their run alone, so that
whoever works on them need only list it: Step Functions does, as a Distributed Map with S3's listObjectsV2 as its ItemReader.

A part that was written stays as it is. Who meets one goes on behind its last mail, so a run that was stopped, or is asked for twice, ends with the same parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from mailloom import obs
from mailloom.ports import Blobs, Pointer, Poison, Receipts, Transient, UserError
from mailloom.run.pointers import pointer_body, read_pointer
from mailloom.run.validate import MANIFESTS, Validator, is_ours

PART_MAILS = 1000
MOST_MAILS = 10_000  # a part is read whole, and one call must come to its end with it
AT_ONCE = 100  # mails whose rows are asked for, and that are validated, at a time
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


class Listed(NamedTuple):
    """How far a manifest is: the last key in it, and how many parts, objects and bytes of mail it has."""

    done: bool = False
    after: str = ""
    parts: int = 0
    objects: int = 0
    bytes: int = 0


class Enqueued(NamedTuple):
    """What became of the mails of a part: `finished` had come to their end before."""

    listed: int = 0
    finished: int = 0
    queued: int = 0
    rejected: int = 0


def prefix_of(run: str) -> str:
    """Where a run has its parts. Raises UserError for a name that can't be one."""
    if not _RUN.fullmatch(run):
        raise UserError(f"{run!r} is no name of a run: 1 to 80 letters, digits, - . _")
    return f"{MANIFESTS}{run}/"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The parts of one run: `bucket` has the mail, `blobs` are its objects and the parts beside them."""

    bucket: str
    blobs: Blobs
    run: str
    quarantine: str
    size: int = PART_MAILS

    def write(self, prefix: str, so_far: Listed, enough: Callable[[], bool]) -> Listed:
        """List what is below the prefix, from `so_far` on, until `enough` says so between two parts.

        Raises Transient, UserError: it may be called again with the same.
        """
        if not 1 <= self.size <= MOST_MAILS:
            raise UserError(f"a part has 1 to {MOST_MAILS:,} mails, not {self.size}")
        parts = prefix_of(self.run)
        at, found = so_far, self._mail(prefix, so_far.after)
        while some := list(islice(found, self.size)):
            if enough():
                return at
            key = f"{parts}part-{at.parts:08}.jsonl"
            if not self.blobs.put(key, "".join(f"{pointer_body(one)}\n" for one in some).encode()):
                some = read_part(self.blobs, key)
                found = self._mail(prefix, some[-1].key)
            size = sum(one.size for one in some)
            at = Listed(False, some[-1].key, at.parts + 1, at.objects + len(some), at.bytes + size)
        return at._replace(done=True)

    def _mail(self, prefix: str, after: str) -> Iterator[Pointer]:
        for stat in self.blobs.current(prefix, after):
            if not is_ours(stat.key, self.quarantine):
                yield Pointer(self.bucket, stat.key, stat.version, stat.etag, stat.size, stat.modified)


def read_part(blobs: Blobs, key: str) -> list[Pointer]:
    """The pointers in a part. Raises UserError where it is none."""
    data = blobs.get(key)
    if data is None:
        raise UserError(f"there is no part {key} of a manifest: list the mail again under the name of another run")
    try:
        # Not by splitlines(), which would end a line at U+2028, as a key may have it.
        pointers = [read_pointer(line) for line in data.decode().split("\n") if line]
    except (Poison, UnicodeDecodeError) as error:
        raise UserError(f"{key} is no part of a manifest: {error}") from None
    if not pointers:
        raise UserError(f"{key} is no part of a manifest: it is empty")
    return pointers


def enqueue(key: str, blobs: Blobs, receipts: Receipts, validator: Validator) -> Enqueued:
    """Bring the mails of a part to the workers, as if each had come just now; what came to its end before is left alone.

    Raises Transient where some of it could not be looked at, after all the rest: it may be called again.
    """
    pointers = read_part(blobs, key)
    finished = queued = rejected = again = 0
    for start in range(0, len(pointers), AT_ONCE):
        some = pointers[start : start + AT_ONCE]
        over = set(receipts.finished(some))
        did = validator.admit([one for one in some if one not in over])
        finished, queued, rejected = finished + len(over), queued + did.queued, rejected + did.rejected
        again += len(did.again)
    done = Enqueued(len(pointers), finished, queued, rejected)
    obs.log.info("part enqueued", part=key, **done._asdict())
    if again:
        raise Transient(f"{again} of {done.listed} objects in {key} couldn't be read: do it again")
    return done
