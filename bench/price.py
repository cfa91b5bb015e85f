"""The price of the promise: the function again with one guard of its ledger taken out after the other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.measures import BUSY, MANY, UPSTREAM_MS, WARM_UP, Pair, Plan
from bench.subjects import FLOOR, FUNCTION, Server, Upstream, Wish, send, serving

NAMES: Final = ("the function", "its ledger does not wait for the disk", "no ledger at all", "the floor")
WISHES: Final = (
    FUNCTION,
    Wish("bench/without_disk.py", "create_ticket"),
    Wish("bench/without_ledger.py", "create_ticket"),
    FLOOR,
)


@dataclass(frozen=True, slots=True)
class Price:
    """What one of them needs: milliseconds added by each call; CPU milliseconds and requests a second of each round."""

    added_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    a_second: list[float] = field(default_factory=list)


def measure(folder: Path, plan: Plan) -> list[Price]:
    """Measure each of NAMES, turn and turn about."""
    prices = [Price() for _ in NAMES]
    with serving(folder, WISHES) as (upstream, servers):
        upstream.hold(0)
        for server in servers:
            send([server.url], callers=BUSY, requests=WARM_UP, seed="warm")
        _cpu(servers, prices, plan)
        upstream.hold(UPSTREAM_MS)
        _added(upstream, servers, prices, plan)
        _a_second(servers, prices, plan)
    return prices


def _cpu(servers: Sequence[Server], prices: Sequence[Price], plan: Plan) -> None:
    for number in range(plan.cpu_rounds):
        for server, price in zip(servers, prices, strict=True):
            before = server.cpu_s()
            send([server.url], callers=BUSY, requests=plan.cpu_requests, seed=f"cpu{number}")
            price.cpu_ms.append((server.cpu_s() - before) * 1000 / plan.cpu_requests)


def _added(upstream: Upstream, servers: Sequence[Server], prices: Sequence[Price], plan: Plan) -> None:
    direct = f"{upstream.url}/api/v2/tickets"
    urls = [direct, *(server.url for server in servers)]
    seconds = send(urls, callers=1, requests=plan.latency_calls, seed="added")["seconds"]
    own = statistics.median(seconds[direct])
    for server, price in zip(servers, prices, strict=True):
        price.added_ms.extend((call - own) * 1000 for call in seconds[server.url])


def _a_second(servers: Sequence[Server], prices: Sequence[Price], plan: Plan) -> None:
    for number in range(plan.throughput_rounds):
        for server, price in zip(servers, prices, strict=True):
            told = send([server.url], callers=MANY, requests=plan.throughput_requests, seed=f"many{number}")
            price.a_second.append(plan.throughput_requests / told["elapsed_s"])


def table(prices: Sequence[Price]) -> str:
    """Return the table in Markdown."""
    rows = ["| | time added, p50 | CPU for each request | times the floor's | requests a second |", "|" + " --- |" * 5]
    floor = prices[-1]
    for name, price in zip(NAMES, prices, strict=True):
        added, cpu = statistics.median(price.added_ms), statistics.median(price.cpu_ms)
        ratio, a_second = Pair(floor.cpu_ms, price.cpu_ms).ratio, statistics.median(price.a_second)
        rows.append(f"| {name} | {added:.1f} ms | {cpu:.2f} ms | {ratio:.2f} | {a_second:.0f} |")
    return "\n".join(rows)
