"""What two versions of the transform say of one mail, compared field by field. Pure; what it gives holds names and sizes, and nothing of the mail.

A path names a field as docs/schema.md does: `text`, `segments`, `nested[1].date` (counted from 0), and for what a mail states of its thread
`evidence.links.KIND`, `evidence.asks.KIND`, `evidence.owns` and so on. A list is one field, but for the messages inside a message, where
there are equally many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from mailloom.ports import Stated

REJECTED = "rejected"
"""The path of a mail that one version takes and the other refuses."""


class Difference(NamedTuple):
    """A field that differs: how many bytes of its JSON one version has that the other has not, but for a common beginning and end."""

    path: str
    removed: int
    added: int

    @property
    def field(self) -> str:
        """The first element of the path: few enough for a metric."""
        return self.path.partition(".")[0].partition("[")[0]


class Said(NamedTuple):
    """What a version says of a mail: its record as JSON (schema.dump_record), and its evidence."""

    record: bytes
    stated: Stated | None


def differences(was: Said, now: Said) -> list[Difference]:
    """The fields that differ, in the order of the record."""
    return [Difference(path, *_middles(_json(a), _json(b))) for path, a, b in differing(was, now)]


def differing(was: Said, now: Said) -> Iterator[tuple[str, Any, Any]]:
    """The same with both values, as plain JSON; None for a field that one of them hasn't."""
    if was.record != now.record:
        yield from _fields("", orjson.loads(was.record), orjson.loads(now.record))
    if was.stated != now.stated:
        yield from _fields("evidence.", _evidence(was.stated), _evidence(now.stated))


def _fields(prefix: str, was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*was, *now)):
        a, b = was.get(name), now.get(name)
        if a == b:
            continue
        if name == "nested" and not prefix and len(a or ()) == len(b or ()):
            for number, (one, other) in enumerate(zip(a or (), b or (), strict=True)):
                yield from _fields(f"nested[{number}].", one, other)
        else:
            yield prefix + name, a, b


def _evidence(stated: Stated | None) -> dict[str, Any]:
    """Evidence by kind, hashes in hex."""
    if stated is None:
        return {}
    kinds: dict[str, list[Any]] = defaultdict(list)
    for link in stated.links:
        kinds[f"links.{link.kind}"].append([link.key.hex(), link.owns, link.detail, link.weight])
    for ask in stated.asks:
        kinds[f"asks.{ask.kind}"].append([ask.clue.hex(), ask.detail, ask.weight, ask.value])
    return {
        "subject": stated.subject.hex(),
        "people": [one.hex() for one in stated.people],
        "when": stated.when,
        "zone": stated.zone,
        "reply": stated.reply,
        **kinds,
        "owns": [one.hex() for one in stated.owns],
        "own": stated.own.hex(),
        "quoted": stated.quoted.hex(),
    }


def _json(value: Any) -> bytes:
    return b"" if value is None else orjson.dumps(value)


def _middles(was: bytes, now: bytes) -> tuple[int, int]:
    """How much is left of each without what both begin and end with."""
    start = _common(was, now)
    rest = min(len(was), len(now)) - start
    end = _common(was[len(was) - rest :][::-1], now[len(now) - rest :][::-1])
    return len(was) - start - end, len(now) - start - end


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many first bytes are the same: by halves, as a look at each byte would take seconds for a text of megabytes."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
