"""The figures, and docs/performance.md: the table, the plot and the cost of 1,000 handoffs."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from deploy.aws.worst_month import GB_SECOND, INVOCATION, LOGGED_GB, MILLION, WRITE_UNIT
from handoff.inbound import read_handoff
from handoff.routing import load_routing
from handoff.transitions import Policy, claimed

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = ROOT / "docs/performance.md"
HEAD: Final = (
    "| measure | the floor | the function | ratio | to reach | reached |\n| --- | --- | --- | --- | --- | --- |"
)
FRESHDESK_S: Final = 0.230  # what a create takes there; the function waits for it, and AWS counts waiting
LOG_KB: Final = 0.5
KEYS_BYTES: Final = 250  # the attributes that conditions and indexes need, beside the row's JSON
WRITES: Final = 6  # claim and settle, each in the table, the index `due` and the index `conversation`


class Pair(NamedTuple):
    """What was measured of the floor and of the function, one value a round, and the ratio and value to reach."""

    name: str
    unit: str
    floor: list[float]
    ours: list[float]
    most_ratio: float = math.inf
    most: float = math.inf

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios, function to floor: what disturbs one round disturbs both halves."""
        return statistics.median(ours / floor for floor, ours in zip(self.floor, self.ours, strict=True))

    def __str__(self) -> str:
        floor, ours = statistics.median(self.floor), statistics.median(self.ours)
        goals = [f"≤ {self.most:g} {self.unit}"] if self.most < math.inf else []
        goals += [f"≤ {self.most_ratio:g} times the floor"] if self.most_ratio < math.inf else []
        reached = "yes" if ours <= self.most and self.ratio <= self.most_ratio else "**no**"
        values = " | ".join(f"{value:.{2 if ours < 20 else 0}f} {self.unit}" for value in (floor, ours))  # noqa: PLR2004
        return f"| {self.name} | {values} | {self.ratio:.2f} | {', '.join(goals)} | {reached} |"


def table(pairs: Iterable[Pair]) -> str:
    """Return the table in Markdown, under a line on what was measured on."""
    model = re.findall(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8")) or [
        platform.machine()
    ]
    machine = f"{model[0]}, {os.cpu_count()} cores, Python {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f} when it ended"
    return "\n".join([f"{datetime.now(UTC):%Y-%m-%d}, {machine}, {load}\n", HEAD, *map(str, pairs)])


def plot(pairs: list[Pair]) -> str:
    """Draw the ratios as SVG, readable on light and dark pages."""
    height = 30 * len(pairs)
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" font-family="sans-serif" font-size="13">'
    ]
    for y, pair in zip(range(5, height, 30), pairs, strict=True):
        rows.append(f'<text x="410" y="{y + 15}" text-anchor="end" fill="#777">{pair.name}</text>')
        rows.append(f'<rect x="420" y="{y}" width="{pair.ratio * 100:.0f}" height="20" fill="#0969da"/>')
        rows.append(f'<text x="{pair.ratio * 100 + 425:.0f}" y="{y + 15}" fill="#777">{pair.ratio:.2f}</text>')
    return "\n".join([*rows, f'<path d="M520 0V{height}" stroke="#777"/>', "</svg>\n"])


def cost(function_s: float) -> str:
    """Return what 1,000 handoffs cost on AWS where a call takes function_s on top of Freshdesk's time."""
    [memory] = re.findall(r"(?m)^ {2}memorySize: (\d+)$", (ROOT / "serverless.yml").read_text(encoding="utf-8"))
    seconds, gigabytes, units = FRESHDESK_S + function_s, int(memory) / 1024, write_units()
    dollars = {
        f"1,000 times {seconds:.3f} s times {gigabytes:g} GB (compute)": 1000 * seconds * gigabytes * GB_SECOND,
        "calls": 1000 * INVOCATION,
        f"{units} write units each in the ledger": 1000 * units * WRITE_UNIT,
        "logs": 1000 * LOG_KB / MILLION * LOGGED_GB,
    }
    parts = "; ".join(f"{name} {value:.4f}" for name, value in dollars.items())
    return f"{parts}; together **{sum(dollars.values()):.4f} US$**."


def write_units() -> int:
    """Return the write units of the bench's handoff: DynamoDB counts each KB begun, in the table and each index."""
    asked = read_handoff(json.loads((ROOT / "dev/bench/handoff.json").read_text(encoding="utf-8")))
    routing = load_routing((ROOT / "config/routing.toml").read_text(encoding="utf-8"))
    row = claimed(asked, routing.route(asked.bot, asked.category), owner="0" * 16, now=0.0, policy=Policy())
    return (
        WRITES * math.ceil((len(row.to_json().encode()) + KEYS_BYTES) / 1024) + 1
    )  # 1: its person's place of the hour


def write(text: str, between: str) -> None:
    """Put text between the two comments in docs/performance.md that name it."""
    whole = DOCUMENT.read_text(encoding="utf-8")
    start, end = f"<!-- {between} -->\n", f"<!-- /{between} -->"
    before, after = whole[: whole.index(start) + len(start)], whole[whole.index(end) :]
    DOCUMENT.write_text(f"{before}\n{text}\n\n{after}", encoding="utf-8")
