"""What the shadow worker found, as JSON lines in the bucket: an object a batch, with the mails that changed or failed and a line of counts.

    shadow/date=2026-05-01/093000.123-0123456789abcdef.jsonl
    {"v":1,"line":"mail","outcome":"changed","bucket":..,"key":..,"object":..,"was":"1","now":"2","fields":[{"path":"text","removed":3,"added":0}],"reason":""}
    {"v":1,"line":"counts","at":1777627800123,"counts":[{"outcome":"same","was":"1","now":"2","mails":250}]}

They hold names and sizes, and where a mail lies; nothing of what it says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from mailloom.config import REPORTS
from mailloom.ports import Blobs, Pointer
from mailloom.run.differences import Difference

VERSION = 1  # of a line
DAY = timedelta(days=1)
EXAMPLES = 3
MOST = 1 << 40  # of anything that is counted: sums stay numbers that JSON can hold
READERS = 16


class Finding(NamedTuple):
    """What came of one mail: `outcome` is same, changed, absent (not stored) or failed; `was` and `now` are versions of the transform."""

    outcome: str
    pointer: Pointer
    was: str
    now: str
    differences: tuple[Difference, ...] = ()
    reason: str = ""


# ------------------------------------------------------------------------------------------------ writing
def name_of(at: int, messages: Iterable[str]) -> str:
    """The key of a batch's report, by when (ms) it was made and the ids of the queue's messages: no two batches have the same."""
    return f"{_stamp(at)}-{sha256(chr(0).join(messages).encode()).hexdigest()[:16]}.jsonl"


def _stamp(at: int) -> str:
    """The beginning of such a key: in the order of time."""
    when = _moment(at)
    return f"{REPORTS}{when:%Y-%m-%d}/{when:%H%M%S}.{when.microsecond // 1000:03}"


def written(findings: Sequence[Finding], at: int) -> bytes:
    """The report of a batch."""
    lines = [_line(one) for one in findings if one.outcome in {"changed", "failed"}]
    counts = Counter((one.outcome, one.was, one.now) for one in findings)
    rows = [{"outcome": o, "was": was, "now": now, "mails": n} for (o, was, now), n in sorted(counts.items())]
    lines.append({"v": VERSION, "line": "counts", "at": at, "counts": rows})
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def _line(one: Finding) -> dict[str, Any]:
    place = {"bucket": one.pointer.bucket, "key": one.pointer.key, "object": one.pointer.object}
    fields = [each._asdict() for each in one.differences]
    what = {"was": one.was, "now": one.now, "fields": fields, "reason": one.reason}
    return {"v": VERSION, "line": "mail", "outcome": one.outcome, **place, **what}


# ------------------------------------------------------------------------------------------------ summing up
@dataclass(slots=True)
class Field:
    """What is known of a field that differs, named without the numbers in its path: how many mails, bytes removed and added, examples."""

    mails: int = 0
    removed: int = 0
    added: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Summary:
    """All reports of a time: mails by (outcome, version before, version now), fields, reasons of what failed with examples; lines that can't be read."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    fields: dict[str, Field] = field(default_factory=lambda: defaultdict(Field))
    reasons: dict[str, Field] = field(default_factory=lambda: defaultdict(Field))
    objects: int = 0
    unreadable: int = 0

    def mails(self, outcome: str) -> int:
        return sum(count for (what, _, _), count in self.counts.items() if what == outcome)

    @property
    def compared(self) -> int:
        """Mails of which both versions were asked."""
        return self.mails("same") + self.mails("changed") + self.mails("failed")

    @property
    def share(self) -> float | None:
        """The share of these that changed or failed: for who has the mail, a failure is the greatest change. None where none was compared."""
        return 1 - self.mails("same") / self.compared if self.compared else None


def summed_up(blobs: Blobs, since: int, until: int) -> Summary:
    """The reports that were made from `since` until `until` (ms). Raises as the bucket does."""
    summary = Summary()
    with ThreadPoolExecutor(READERS) as readers:
        for data in readers.map(blobs.get, _keys(blobs, since, until)):
            if data is not None:
                summary.objects += 1
                _add(summary, data)
    return summary


def _keys(blobs: Blobs, since: int, until: int) -> Iterator[str]:
    first, last = _stamp(since), _stamp(until)
    day = _moment(since)
    while f"{day:%Y-%m-%d}" <= f"{_moment(until):%Y-%m-%d}":
        for stat in blobs.list(f"{REPORTS}{day:%Y-%m-%d}/"):
            if first <= stat.key[: len(first)] <= last:
                yield stat.key
        day += DAY


def _add(summary: Summary, data: bytes) -> None:
    """Line by line, each whole or not at all: who may write to the bucket may have written anything."""
    for line in data.splitlines():
        try:
            said = orjson.loads(line)
            if said["v"] != VERSION:
                summary.unreadable += 1
            elif said["line"] == "counts":
                rows = [(_texts(one, "outcome", "was", "now"), _number(one, "mails")) for one in said["counts"]]
                for (outcome, was, now), mails in rows:
                    summary.counts[outcome, was, now] += mails
            else:
                _add_mail(summary, _texts(said, "outcome", "key", "reason"), said["fields"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            summary.unreadable += 1


def _add_mail(summary: Summary, said: tuple[str, ...], fields: Sequence[Any]) -> None:
    outcome, key, reason = said
    sizes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for one in fields:
        (path,) = _texts(one, "path")
        sizes[_numberless(path)].append((_number(one, "removed"), _number(one, "added")))
    if outcome == "failed":
        _count(summary.reasons[reason], 0, 0, key)
    for path, some in sizes.items():
        _count(summary.fields[path], sum(r for r, _ in some), sum(a for _, a in some), key)


def _texts(said: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """These members, which are text. Raises KeyError, TypeError."""
    found = tuple(said[name] for name in names)
    if not all(isinstance(one, str) for one in found):
        raise TypeError(f"no text: {names}")
    return found


def _number(said: Mapping[str, Any], name: str) -> int:
    """A member that counts something. Raises KeyError, TypeError."""
    found = said[name]
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= MOST:
        raise TypeError(f"no count: {name}")
    return found


def _count(into: Field, removed: int, added: int, key: str) -> None:
    into.mails += 1
    into.removed += removed
    into.added += added
    if len(into.examples) < EXAMPLES and key not in into.examples:
        into.examples.append(key)


def _numberless(path: str) -> str:
    """nested[1].date -> nested.date: the same field of any message inside."""
    head, bracket, rest = path.partition("[")
    return head + rest.partition("]")[2] if bracket else path


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
