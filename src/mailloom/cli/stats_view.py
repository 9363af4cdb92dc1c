"""What `mailloom stats` draws: figures, and bars made of block characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mailloom.archive.stats import Stats
from mailloom.cli import draw
from mailloom.ports.figures import SIZES, THREADS

MONTHS = 30  # more than that are drawn by year: a plot should stay on the screen
BAR = 40  # columns of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"


def page(s: Stats, place: str) -> Iterator[str]:
    """The lines of the whole page; `place` says of what was measured that it takes this much there, as "on disk"."""
    yield from _totals(s, place)
    if not s.messages:
        return
    by_year = len(s.months) > MONTHS
    plots: list[tuple[str, Mapping[str, int]]] = [
        ("Messages by year" if by_year else "Messages by month", _years(s.months) if by_year else s.months),
        ("Messages by domain of the sender", {name or "(no address)": n for name, n in s.domains.items()}),
        ("Messages by size", _classes(s.sizes, SIZES[-1], draw.size)),
        ("Threads by number of messages", _classes(s.thread_sizes, THREADS[-1], lambda n: f"{n:,}")),
        ("Messages by charset of a text part", s.charsets),
        ("Messages with a problem", s.problems),
    ]
    for title, counts in plots:
        if counts:
            yield ""
            yield draw.bold(title)
            yield from bars(counts)
    yield from _longest(s)
    yield from _types(s)


def _totals(s: Stats, place: str) -> Iterator[str]:
    states = ["stored", "duplicate", "rejected"] + ["pending"] * ("pending" in s.deliveries)
    books = [f"{s.deliveries.get(state, 0):,} {state}" for state in states]
    received = sum(n for state, n in s.deliveries.items() if state != "foreign")
    rows = [
        ("messages", f"{s.messages:,} in {draw.several(s.threads, 'thread')}, {s.nested:,} more inside them"),
        ("received", f"{received:,} = {' + '.join(books)}"),
        ("attachments", f"{s.attachments:,}"),
        ("size", f"{draw.size(s.bytes)} of raw mail, the largest {draw.size(s.largest)}; {draw.size(s.disk)} {place}"),
    ]
    if s.first is not None:
        undated = f", {s.undated:,} undated" if s.undated else ""
        rows.append(("dated", f"{draw.moment(s.first)} to {draw.moment(s.last)} UTC{undated}"))
    yield from draw.table(rows, room=draw.width(), margin="")


def _years(months: Mapping[str, int]) -> dict[str, int]:
    years: dict[str, int] = {}
    for month, count in months.items():
        years[month.rpartition("-")[0]] = years.get(month.rpartition("-")[0], 0) + count
    return years


def _classes(counts: Mapping[int, int], last: int, name: Callable[[int], str]) -> dict[str, int]:
    """Classes as "up to 8.0 kB"; the one without a bound is what is more than the last."""
    return {(f"up to {name(bound)}" if bound else f"over {name(last)}"): n for bound, n in counts.items()}


def bars(counts: Mapping[str, int]) -> Iterator[str]:
    """A line each: name, count, a bar. The longest bar fits the terminal."""
    names = [draw.clip(draw.safe(name), 40) for name in counts]
    widest = max(draw.cells(name) for name in names)
    figures = [f"{n:,}" for n in counts.values()]
    digits = max(map(len, figures))
    most = max(counts.values())
    room = max(8, min(BAR, draw.width() - widest - digits - 6))
    for name, figure, count in zip(names, figures, counts.values(), strict=True):
        blank = " " * (widest - draw.cells(name))
        yield f"  {name}{blank}  {figure:>{digits}}  {_bar(count, most, room)}".rstrip()


def _bar(count: int, most: int, room: int) -> str:
    """Eighths of a column, so that small differences show; what is there at all is never drawn as nothing."""
    eighths = max(1, round(count * room * 8 / most)) if count else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _longest(s: Stats) -> Iterator[str]:
    if s.longest:
        yield ""
        yield draw.bold("Longest threads")
        digits = len(f"{s.longest[0].messages:,}")
        for thread in s.longest:
            head = f"  {thread.messages:>{digits},}  {thread.thread}  "
            subject = draw.clip(draw.safe(thread.subject) or "(no subject)", draw.width() - len(head))
            yield f"  {thread.messages:>{digits},}  {draw.name_of(thread.thread)}  {subject}"


def _types(s: Stats) -> Iterator[str]:
    if s.types:
        yield ""
        yield draw.bold("Attachments by type")
        shown = {f"{t.type} ({draw.size(t.bytes)})": t.files for t in s.types}
        yield from bars(shown)
