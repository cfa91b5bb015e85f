"""`make bench`: measure everything, print the table, write docs/performance.md. Takes about ten minutes.

Needs Linux, wrk and hyperfine (Debian has both) and, for the cold starts, Python 3.13, `npm ci` and the package index.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from typing import Final

from dev.bench.cold_start import cold_starts
from dev.bench.report import DOCUMENT, ROOT, Pair, cost, plot, table, write
from dev.bench.servers import CORES, Server, hold, serving

FOLDER: Final = ROOT / ".local/bench"
PATH: Final = "/api/v2/tickets"  # the function takes any path


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; return 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="only try the bench; the figures say nothing, docs/ stays")
    options = parser.parse_args(arguments)
    if missing := [name for name in ("wrk", "hyperfine", "taskset") if not shutil.which(name)]:
        sys.exit(f"missing on this machine: {', '.join(missing)}; on Debian: apt install wrk hyperfine util-linux")
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.sched_setaffinity(0, {CORES[-1]})
    pairs = measure(rounds=1, seconds=1, starts=2) if options.tiny else measure(rounds=9, seconds=6, starts=15)
    priced = cost(pairs[0])
    print(f"{table(pairs)}\n\n{priced}")
    if not options.tiny:
        write(table(pairs), "table")
        write(priced, "cost")
        DOCUMENT.with_name("performance-ratios.svg").write_text(plot(pairs), encoding="utf-8")
    return 0


def measure(*, rounds: int, seconds: int, starts: int) -> list[Pair]:
    """Return all pairs. Floor and function take turns in each round, so that noise hits both."""
    with serving(FOLDER) as (upstream, *servers):

        def each(figure: Callable[[Server], float], times: int = rounds) -> list[tuple[float, float]]:
            return [(figure(servers[0]), figure(servers[1])) for _ in range(times)]

        def cpu_ms(server: Server) -> float:
            before, load = server.cpu_s(), server.load(callers=16, seconds=seconds)
            return (server.cpu_s() - before) * 1000 / load["requests"]

        def added_ms(server: Server) -> float:
            direct, call = (one.load(callers=1, seconds=seconds, path=PATH)["p50_ms"] for one in (upstream, server))
            return call - direct

        def busy_ms(server: Server) -> float:
            load = server.load(callers=64, seconds=seconds)
            return load["seconds"] * 1000 / load["requests"]

        idle = Pair("Memory, idle", each(Server.memory_mb, 1), "MB", most_ratio=1.3)
        each(cpu_ms, 1)  # the first calls load modules: not counted
        cpu = Pair("CPU for each request, upstream of 0 ms, 16 callers", each(cpu_ms), most_ratio=1.3)
        hold(upstream, 150)
        added = Pair("Time added to an upstream of 150 ms, one caller, median", each(added_ms), most=4, most_ratio=1)
        # 2.47 ms: 150 ms shared by 64 callers, and 5 % more.
        many = Pair("Time for each request, upstream of 150 ms, 64 callers", each(busy_ms), most=2.47)
        loaded = Pair("Memory, after the load", each(Server.memory_mb, 1), "MB", most_ratio=1.3)
        hold(upstream, 0)
        return [added, many, cpu, idle, loaded, *cold_starts(upstream.url, FOLDER, starts)]


if __name__ == "__main__":
    raise SystemExit(main())
