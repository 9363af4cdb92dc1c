"""A simulated day as SVG: the queue's age, tasks, and messages over time. Readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from mailloom.plan.quantity import short
from mailloom.plan.simulate import Minute, Run

WIDTH, PANEL, GAP, LEFT, TOP = 860, 120, 42, 76, 58
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #333 } .title { font-size: 15px; font-weight: 600 } .axis { stroke: #999; stroke-width: 1 }
.grid { stroke: #ccc; stroke-width: 0.6 } .line { fill: none; stroke-width: 1.8 } .a { stroke: #0b62a8 } .b { stroke: #b3541e }
.fill { fill: #0b62a8; opacity: 0.14 } .paper { fill: #fff }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .axis { stroke: #777 } .grid { stroke: #444 } .a { stroke: #6cb4ee } .b { stroke: #f0a070 }
.fill { fill: #6cb4ee } .paper { fill: #161b22 } }
"""
Curve = tuple[str, Callable[[Minute], float]]


def svg(run: Run, title: str) -> str:
    """Three panels over the same time, that in which something happens; `b` lines are what is wanted or comes beside what is."""
    panels: list[tuple[str, Callable[[float], str], list[Curve]]] = [
        ("age of the oldest message", lambda value: f"{value:.0f} s", [("a", lambda one: one.age)]),
        (
            "tasks running (blue), wanted (orange)",
            lambda value: f"{value:.0f}",
            [("b", lambda one: one.desired), ("a", lambda one: one.running)],
        ),
        (
            "messages waiting (blue), in flight (orange)",
            short,
            [("b", lambda one: one.held), ("a", lambda one: one.waiting)],
        ),
    ]
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>',
    ]
    begin, end = run.scenario.shown
    minutes = [one for one in run.minutes if begin <= one.at <= end]
    for number, (name, said, curves) in enumerate(panels):
        parts += _panel(minutes, TOP + number * (PANEL + GAP), name, said, curves)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    minutes: Sequence[Minute], top: int, name: str, said: Callable[[float], str], curves: Sequence[Curve]
) -> list[str]:
    most = _round_up(max(4.0, *(of(one) for one in minutes for _, of in curves)))  # whole numbers at the marks
    bottom, first, last = top + PANEL, minutes[0].at // 900 * 900, minutes[-1].at
    room = WIDTH - LEFT - 24

    def x(at: float) -> float:
        return LEFT + room * (at - first) / (last - first)

    def y(value: float) -> float:
        return bottom - PANEL * value / most

    parts = [f'<text x="{LEFT}" y="{top - 8}">{escape(name)}</text>']
    for share in (0.0, 0.5, 1.0):
        at = y(most * share)
        parts.append(
            f'<line class="{"grid" if share else "axis"}" x1="{LEFT}" x2="{WIDTH - 24}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{said(most * share)}</text>')
    step = 10_800 if last - first > 21_600 else 900  # seconds between two marks
    parts += (
        f'<text x="{x(at):.1f}" y="{bottom + 18}" text-anchor="middle">{at // 3_600}:{at // 60 % 60:02}</text>'
        for at in range(-(-first // step) * step, last + 1, step)
    )
    for style, of in curves:
        points = " ".join(f"{x(one.at):.1f},{y(of(one)):.1f}" for one in _thinned(minutes, of))
        parts.append(f'<polyline class="line {style}" points="{points}"/>')
    return parts


def _thinned(minutes: Sequence[Minute], of: Callable[[Minute], float]) -> list[Minute]:
    """Without those between two of the same value: most of a night."""
    inner = (
        one
        for before, one, after in zip(minutes, minutes[1:], minutes[2:], strict=False)
        if not of(before) == of(one) == of(after)
    )
    return [minutes[0], *inner, minutes[-1]]


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 6, 8, 10 times a power of ten."""
    scale = 1.0
    while scale * 10 <= value:
        scale *= 10
    return next((step * scale for step in (1, 2, 4, 5, 6, 8, 10) if step * scale >= value), 10 * scale)
