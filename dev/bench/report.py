"""The figures → the table in docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from dev.bench.cold_start import Starts
from dev.bench.cost import Cost
from dev.bench.measures import MANY, UPSTREAM_MS, Figures, Pair

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs/performance.md"
LIMIT: Final = MANY / (UPSTREAM_MS / 1000)


class Row(NamedTuple):
    """One line of the table. `ratio` is function to floor; `met` None where there is nothing to reach."""

    measure: str
    floor: str
    function: str
    ratio: float | None
    goal: str
    met: bool | None

    def __str__(self) -> str:
        ratio = f"{self.ratio:.2f}" if self.ratio is not None else ""
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        return f"| {self.measure} | {self.floor} | {self.function} | {ratio} | {self.goal} | {met} |"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that share (0-1) of values do not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def rows_of(figures: Figures) -> list[Row]:
    """Return the rows that the running servers give."""
    return [
        *_latency(figures),
        _throughput(figures.throughput),
        _pair(
            "CPU for each request, 16 callers, an upstream of 0 ms", figures.cpu_ms, "ms", "≤ 1.3 times the floor", 1.3
        ),
        _pair("Memory, idle", figures.idle_mb, "MB", "≤ 1.3 times the floor", 1.3),
        _pair("Memory, after the load", figures.loaded_mb, "MB", "≤ 1.3 times the floor", 1.3),
        _tickets(figures),
    ]


def _latency(figures: Figures) -> Iterable[Row]:
    floor, target = figures.latency.floor, figures.latency.target
    for name, share, most, relative in (("p50", 0.5, 4.0, 1.0), ("p99", 0.99, 10.0, None)):
        ours, theirs = percentile(target, share), percentile(floor, share)
        ratio = ours / theirs if theirs > 0 else 1.0
        goal = f"≤ {most:g} ms" + (f", ≤ {relative:.1f} times the floor" if relative else "")
        met = ours <= most and (relative is None or ratio <= relative)
        yield Row(
            f"Time added to an upstream of 150 ms, one caller, {name}",
            f"{theirs:.1f} ms",
            f"{ours:.1f} ms",
            ratio,
            goal,
            met,
        )


def _throughput(pair: Pair) -> Row:
    ours = statistics.median(pair.target)
    goal = f"≥ 0.95 times the limit, {LIMIT:.0f}"
    told = (f"{statistics.median(pair.floor):.0f}", f"{ours:.0f} ({ours / LIMIT:.2f} times the limit)")
    return Row("Requests a second, upstream of 150 ms, 64 callers", *told, pair.ratio, goal, ours >= 0.95 * LIMIT)


def _pair(measure: str, pair: Pair, unit: str, goal: str, most: float) -> Row:
    digits = 2 if unit == "ms" else 0
    floor, ours = (f"{statistics.median(values):.{digits}f} {unit}" for values in (pair.floor, pair.target))
    return Row(measure, floor, ours, pair.ratio, goal, pair.ratio <= most)


def _tickets(figures: Figures) -> Row:
    """The upstream counts both's tickets, and the load's direct calls: every one of them asked for one."""
    told = f"{figures.tickets:,} of {figures.handoffs:,}"
    return Row(
        "Tickets for the handoffs sent above", "", told, None, "each exactly 1", figures.tickets == figures.handoffs
    )


def cold_row(name: str, bare: str, starts: Starts) -> Row:
    """Return the row of a cold start."""
    ratio = Pair(starts.bare, starts.ours).ratio
    theirs, ours = (f"{statistics.median(values) * 1000:.0f} ms" for values in (starts.bare, starts.ours))
    return Row(
        f"Lambda: process start to first answer, {name}", theirs, ours, ratio, f"≤ 1.2 times {bare}", ratio <= 1.2
    )


def cost_row(cost: Cost) -> Row:
    """Return the row of the cost."""
    return Row("AWS: 1,000 handoffs", "", f"{cost.total:.3f} US$", None, "computed", None)


def machine() -> str:
    """Return one line on what was measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.+)", info.read_text(encoding="utf-8")) if info.exists() else []
    load = f"load {os.getloadavg()[0]:.1f} when it ended"
    told = [models[0] if models else platform.machine(), f"{cores} cores", f"Python {platform.python_version()}", load]
    return f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, " + ", ".join(told)


def table(rows: Iterable[Row]) -> str:
    """Return the table in Markdown."""
    head = "| measure | the floor | the function | ratio | to reach | reached |\n| --- | --- | --- | --- | --- | --- |"
    return "\n".join([head, *map(str, rows)])


def formula(cost: Cost) -> str:
    """Return how the cost comes about."""
    return (
        f"1,000 times {cost.duration_s:.3f} s times {cost.memory_gb:g} GB (compute) = {cost.compute:.4f} US$; "
        f"calls {cost.calls:.4f}; {cost.write_units} write units each in the ledger {cost.ledger:.4f}; "
        f"logs {cost.logs:.4f}; together **{cost.total:.4f} US$**."
    )


def write(text: str, between: str, document: Path) -> None:
    """Put text between the two comments that name it in the document."""
    whole = document.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {between} -->\n).*?(<!-- /{between} -->)", re.DOTALL)
    changed, count = pattern.subn(lambda found: f"{found[1]}{text}\n{found[2]}", whole)
    assert count == 1, f"{document.name} has no place for the {between}"
    document.write_text(changed, encoding="utf-8")
