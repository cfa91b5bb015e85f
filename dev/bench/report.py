"""The figures, and docs/performance.md: the table, the plot and the cost of 1,000 handoffs."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
from collections.abc import Iterable, Sequence
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
FRESHDESK_S, LOG_KB = 0.230, 0.5  # what a create takes there, which AWS counts as well; and one line of the log
KEYS_BYTES: Final = 250  # the attributes that conditions and indexes need, beside the row's JSON
WRITES: Final = 6  # claim and settle, each in the table, the index `due` and the index `conversation`


class Pair(NamedTuple):
    """What was measured of the floor and of the function, round by round, and what is to be reached."""

    name: str
    rounds: Sequence[tuple[float, float]]
    unit: str = "ms"
    most_ratio: float = math.inf
    most: float = math.inf

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios, function to floor: what disturbs one round disturbs both halves."""
        return statistics.median(ours / floor for floor, ours in self.rounds)

    def __str__(self) -> str:
        floor, ours = map(statistics.median, zip(*self.rounds, strict=True))
        goals = [f"≤ {self.most:g} {self.unit}"] if self.most < math.inf else []
        goals += [f"≤ {self.most_ratio:g} times the floor"] if self.most_ratio < math.inf else []
        reached = "yes" if ours <= self.most and self.ratio <= self.most_ratio else "**no**"
        values = " | ".join(f"{value:.{2 if ours < 20 else 0}f} {self.unit}" for value in (floor, ours))
        return f"| {self.name} | {values} | {self.ratio:.2f} | {', '.join(goals)} | {reached} |"


def table(pairs: Iterable[Pair]) -> str:
    """Return the table in Markdown, under a line on what was measured on."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") + f"model name : {platform.machine()}"
    [model, *_] = re.findall(r"model name\s*: (.+)", info)
    machine = f"{datetime.now(UTC):%Y-%m-%d}, {model}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return "\n".join([f"{machine}, load {os.getloadavg()[0]:.1f} when it ended\n", HEAD, *map(str, pairs)])


def plot(pairs: list[Pair]) -> str:
    """Draw the ratios as SVG, readable on light and dark pages."""
    height = 30 * len(pairs)
    rows = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" style="font: 13px sans-serif">']
    for y, pair in zip(range(5, height, 30), pairs, strict=True):
        rows.append(f'<text x="410" y="{y + 15}" text-anchor="end" fill="#777">{pair.name}</text>')
        rows.append(f'<rect x="420" y="{y}" width="{pair.ratio * 100:.0f}" height="20" fill="#0969da"/>')
        rows.append(f'<text x="{pair.ratio * 100 + 425:.0f}" y="{y + 15}" fill="#777">{pair.ratio:.2f}</text>')
    return "\n".join([*rows, f'<path d="M520 0V{height}" stroke="#777"/>', "</svg>\n"])


def cost(added: Pair) -> str:
    """Return what 1,000 handoffs cost on AWS where the function adds such milliseconds to Freshdesk's time."""
    [memory] = re.findall(r"(?m)^ {2}memorySize: (\d+)$", (ROOT / "serverless.yml").read_text(encoding="utf-8"))
    asked = read_handoff(json.loads((ROOT / "dev/bench/handoff.json").read_text(encoding="utf-8")))
    routing = load_routing((ROOT / "config/routing.toml").read_text(encoding="utf-8"))
    row = claimed(asked, routing.route(asked.bot, asked.category), owner="0" * 16, now=0.0, policy=Policy()).to_json()
    # DynamoDB counts each KB begun; 1 more is written for its person's place of the hour.
    units = WRITES * math.ceil((len(row.encode()) + KEYS_BYTES) / 1024) + 1
    seconds = FRESHDESK_S + statistics.median(ours for _, ours in added.rounds) / 1000
    dollars = {
        f"1,000 times {seconds:.3f} s times {memory} MB (compute)": 1000 * seconds * int(memory) / 1024 * GB_SECOND,
        "calls": 1000 * INVOCATION,
        f"{units} write units each in the ledger": 1000 * units * WRITE_UNIT,
        "logs": 1000 * LOG_KB / MILLION * LOGGED_GB,
    }
    parts = "; ".join(f"{name} {value:.4f}" for name, value in dollars.items())
    return f"{parts}; together **{sum(dollars.values()):.4f} US$**."


def write(text: str, between: str) -> None:
    """Put text between the two comments in docs/performance.md that name it."""
    whole = DOCUMENT.read_text(encoding="utf-8")
    start, end = f"<!-- {between} -->\n", f"<!-- /{between} -->"
    before, after = whole[: whole.index(start) + len(start)], whole[whole.index(end) :]
    DOCUMENT.write_text(f"{before}\n{text}\n\n{after}", encoding="utf-8")
