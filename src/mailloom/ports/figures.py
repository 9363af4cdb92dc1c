"""What a store counts over all of one scope, so that who asks reads no message for it. Sizes are bytes, dates ms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

SIZES = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 256_000, 1_000_000, 10_000_000)
"""Upper bounds of the classes of sizes, in bytes of raw mail; the last class has none."""
THREADS = (1, 2, 3, 5, 10, 20, 50, 100, 1000)
"""The same for threads, in messages."""


class Longest(NamedTuple):
    """A long thread: its id, its messages, the subject of its oldest message."""

    thread: str
    messages: int
    subject: str


class Type(NamedTuple):
    """Attachments of one MIME type; bytes are decoded."""

    type: str
    files: int
    bytes: int


class Totals(NamedTuple):
    """Sums over messages; `first` and `last` are None where none has a date."""

    messages: int
    nested: int
    attachments: int
    bytes: int
    largest: int
    undated: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Messages by what their rows say. `charsets` and `problems` are counted by combination, as the columns have them; classes of `sizes`
    are named by their upper bound, 0 for the one without.
    """

    totals: Totals
    months: Mapping[str, int]
    domains: Mapping[str, int]
    sizes: Mapping[int, int]
    charsets: Mapping[str, int]
    problems: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Threaded:
    """How many threads there are, by class of size, and the longest of them."""

    threads: int
    sizes: Mapping[int, int]
    longest: Sequence[Longest]


class Figures(Protocol):
    """Counts of one scope. Of what has no end, such as domains, the `top` most frequent, of equals the first by name."""

    def messages(self, top: int) -> Counted: ...

    def threads(self, top: int) -> Threaded: ...

    def types(self, top: int) -> Sequence[Type]:
        """Of the attachments of messages, not of what is inside them."""
        ...

    def deliveries(self) -> Mapping[str, int]:
        """How many deliveries are in each state; "pending" are those that wait for a worker."""
        ...

    def bytes(self) -> int:
        """What the store takes on disk, of all scopes."""
        ...


def classes(column: str, bounds: Sequence[int]) -> str:
    """SQL: the class that a column's value is in."""
    cases = " ".join(f"when {column} <= {bound} then {bound}" for bound in bounds)
    return f"case {cases} else 0 end"


def most(counts: Mapping[str, int], top: int) -> dict[str, int]:
    """The `top` most frequent, of equals the first by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top])
