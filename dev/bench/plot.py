"""The figures → two SVG plots, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from dev.bench.measures import Latency
from dev.bench.report import Row, percentile

WIDTH: Final = 760
_STYLE: Final = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.small { font-size: 12px } .title { font-size: 15px; font-weight: 600 }
.axis { stroke: #8c959f; stroke-width: 1 } .grid { stroke: #d0d7de; stroke-width: 1; opacity: .6 }
.floor { stroke: #8c959f } .ours { stroke: #0969da } .bar { fill: #0969da } .over { fill: #bc4c00 }
.line { fill: none; stroke-width: 2.5 } .goal { stroke: #1a7f37; stroke-width: 2.5 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .grid { stroke: #30363d } .floor { stroke: #9198a1 } .ours { stroke: #58a6ff }
.bar { fill: #58a6ff } .over { fill: #f0883e } .goal { stroke: #3fb950 } }
</style>"""


def latency_plot(latency: Latency) -> str:
    """Draw which share of calls had how much time added, for the floor and the function."""
    most = max(percentile(latency.floor, 0.99), percentile(latency.target, 0.99), 1.0) * 1.15
    left, right, top, bottom = 60, WIDTH - 150, 50, 280

    def x(milliseconds: float) -> float:
        return left + (right - left) * min(max(milliseconds, 0.0), most) / most

    def y(share: float) -> float:
        return bottom - (bottom - top) * share

    parts = [f'<text x="{left}" y="24" class="title">Time added to an upstream of 150 ms, one caller</text>']
    for share in (0.0, 0.5, 0.9, 0.99):
        parts.append(f'<line x1="{left}" y1="{y(share):.1f}" x2="{right}" y2="{y(share):.1f}" class="grid"/>')
        if share != 0.99:
            parts.append(
                f'<text x="{left - 8}" y="{y(share) + 4:.1f}" text-anchor="end" class="small">{share:.0%}</text>'
            )
    parts.append(f'<text x="{left - 8}" y="{y(0.99) - 2:.1f}" text-anchor="end" class="small">99%</text>')
    parts += [
        f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle" class="small">{tick:g} ms</text>'
        for tick in _ticks(most)
    ]
    parts.append(f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" class="axis"/>')
    for name, kind, values in (("the floor", "floor", latency.floor), ("the function", "ours", latency.target)):
        ordered = sorted(values)
        points = " ".join(f"{x(v):.1f},{y((n + 1) / len(ordered)):.1f}" for n, v in enumerate(ordered))
        parts.append(f'<polyline points="{points}" class="line {kind}"/>')
        at = 70 if kind == "floor" else 92
        parts.append(f'<line x1="{right + 12}" y1="{at}" x2="{right + 34}" y2="{at}" class="line {kind}"/>')
        parts.append(f'<text x="{right + 40}" y="{at + 4}">{name}</text>')
    parts.append(
        f'<text x="{left}" y="{bottom + 40}" class="small">share of calls that took no longer than this</text>'
    )
    return _svg(bottom + 55, "Time added, floor and function", parts)


def ratio_plot(rows: Sequence[Row]) -> str:
    """Draw how each measure of the function stands to that of the floor; a green line shows what is to be reached."""
    shown = [(row, goal) for row in rows if row.ratio is not None and (goal := _goal(row)) is not None]
    most = max([1.5, *(row.ratio or 0.0 for row, _ in shown)]) * 1.1
    left, right, top, step = 330, WIDTH - 60, 56, 34
    parts = ['<text x="16" y="24" class="title">The function against the floor (1 = the same)</text>']
    for number, (row, goal) in enumerate(shown):
        at = top + number * step
        ratio = row.ratio or 0.0
        end = left + (right - left) * ratio / most
        mark = left + (right - left) * goal / most
        kind = "bar" if row.met else "over"
        parts += [
            f'<text x="{left - 12}" y="{at + 14}" text-anchor="end" class="small">{escape(_short(row.measure))}</text>',
            f'<rect x="{left}" y="{at}" width="{end - left:.1f}" height="20" rx="3" class="{kind}"/>',
            f'<line x1="{mark:.1f}" y1="{at - 4}" x2="{mark:.1f}" y2="{at + 24}" class="goal"/>',
            f'<text x="{max(end, mark) + 8:.1f}" y="{at + 15}" class="small">{ratio:.2f}</text>',
        ]
    bottom = top + len(shown) * step
    parts.append(f'<line x1="{left}" y1="{top - 10}" x2="{left}" y2="{bottom}" class="axis"/>')
    parts.append(f'<line x1="{left}" y1="{bottom + 12}" x2="{left}" y2="{bottom + 28}" class="goal"/>')
    parts.append(f'<text x="{left + 10}" y="{bottom + 25}" class="small">at most this much is wanted</text>')
    return _svg(bottom + 44, "Ratios of function to floor", parts)


def _goal(row: Row) -> float | None:
    """Return the ratio the goal names, where it names one."""
    before, times, _ = row.goal.rpartition(" times")
    return float(before.split()[-1]) if times and before.startswith("≤") else None


def _short(measure: str) -> str:
    names = (
        ("Time added", "time added, one caller, p50"),
        ("CPU", "CPU for each request, 16 callers"),
        ("Memory, idle", "memory, idle"),
        ("Memory, after", "memory, after the load"),
    )
    cold = measure.replace("Lambda: process start to first answer", "Lambda cold start")
    return next((short for beginning, short in names if measure.startswith(beginning)), cold)


def _ticks(most: float) -> list[float]:
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if most / step <= 8)
    return [step * number for number in range(int(most / step) + 1)]


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", _STYLE, *parts, "</svg>", ""])
