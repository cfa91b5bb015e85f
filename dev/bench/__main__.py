"""`make bench`: measure everything, print the table, write docs/performance.md. Takes about ten minutes.

Needs Linux, wrk and hyperfine (Debian has both) and, for the cold starts, Python 3.13, `npm ci` and the package index.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

from dev.bench.cold_start import cold_starts
from dev.bench.report import DOCUMENT, ROOT, Pair, cost, plot, table, write
from dev.bench.servers import CORES, Server, hold, serving

FOLDER: Final = ROOT / ".local/bench"
UPSTREAM_MS: Final = 150
MANY: Final = 64


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: int
    cold_starts: int


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; return 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="only try the bench; the figures say nothing, docs/ stays")
    options = parser.parse_args(arguments)
    plan = Plan(rounds=1, seconds=1, cold_starts=2) if options.tiny else Plan(rounds=9, seconds=6, cold_starts=15)
    if missing := [name for name in ("wrk", "hyperfine", "taskset") if not shutil.which(name)]:
        sys.exit(f"missing on this machine: {', '.join(missing)}; on Debian: apt install wrk hyperfine util-linux")
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {CORES[-1]})
    pairs, priced = measure(FOLDER, plan)
    print(f"{table(pairs)}\n\n{priced}")
    if not options.tiny:
        write(table(pairs), "table")
        write(priced, "cost")
        DOCUMENT.with_name("performance-ratios.svg").write_text(plot(pairs), encoding="utf-8")
    return 0


def measure(folder: Path, plan: Plan) -> tuple[list[Pair], str]:
    """Return all pairs and the cost. Floor and function take turns in each round, so that noise hits both."""
    with serving(folder) as (upstream, *servers):
        idle = [[server.memory_mb() for server in servers]]
        for server in servers:
            server.load(callers=16, seconds=plan.seconds)  # the first calls load modules: not measured
        cpu = [[_cpu_ms(server, plan.seconds) for server in servers] for _ in range(plan.rounds)]
        hold(upstream, UPSTREAM_MS)
        added = [[_added_ms(upstream, server, plan.seconds) for server in servers] for _ in range(plan.rounds)]
        many = [[_busy_ms(server, plan.seconds) for server in servers] for _ in range(plan.rounds)]
        loaded = [[server.memory_mb() for server in servers]]
        hold(upstream, 0)
        cold, warm_s = cold_starts(upstream.url, folder, plan.cold_starts)
    added_to = "Time added to an upstream of 150 ms, one caller"
    return [
        _pair(f"{added_to}, p50", [[call[0] for call in both] for both in added], most=4, most_ratio=1),
        _pair(f"{added_to}, p99", [[call[1] for call in both] for both in added], most=10),
        _pair("Time for each request, upstream of 150 ms, 64 callers", many, most=round(UPSTREAM_MS / MANY / 0.95, 2)),
        _pair("CPU for each request, upstream of 0 ms, 16 callers", cpu, most_ratio=1.3),
        *(
            _pair("Memory, idle", idle, "MB", most_ratio=1.3),
            _pair("Memory, after the load", loaded, "MB", most_ratio=1.3),
        ),
        *cold,
    ], cost(warm_s)


def _pair(
    name: str, rounds: list[list[float]], unit: str = "ms", *, most_ratio: float = math.inf, most: float = math.inf
) -> Pair:
    floor, ours = map(list, zip(*rounds, strict=True))
    return Pair(name, unit, floor, ours, most_ratio, most)


def _cpu_ms(server: Server, seconds: int) -> float:
    before = server.cpu_s()
    requests = server.load(callers=16, seconds=seconds).requests
    return (server.cpu_s() - before) * 1000 / requests


def _added_ms(upstream: Server, server: Server, seconds: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of a call, less the median of the same call sent upstream directly."""
    direct = upstream.load(callers=1, seconds=seconds, path="/api/v2/tickets")
    call = server.load(callers=1, seconds=seconds)
    return call.p50_ms - direct.p50_ms, call.p99_ms - direct.p50_ms


def _busy_ms(server: Server, seconds: int) -> float:
    load = server.load(callers=MANY, seconds=seconds)
    return load.seconds * 1000 / load.requests


if __name__ == "__main__":
    raise SystemExit(main())
