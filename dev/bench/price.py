"""The price of the promise: the function again with one guard of its ledger taken out after the other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dev.bench.measures import UPSTREAM_MS, Pair, Plan, Sent, a_second, added_ms, cpu_ms
from dev.bench.subjects import FLOOR, FUNCTION, Wish, serving

NAMES: Final = ("the function", "its ledger does not wait for the disk", "no ledger at all", "the floor")
WISHES: Final = (
    FUNCTION,
    Wish("dev/bench/without_disk.py", "create_ticket"),
    Wish("dev/bench/without_ledger.py", "create_ticket"),
    FLOOR,
)


class Price(NamedTuple):
    """What one of them needs: milliseconds added by each call; CPU milliseconds and requests a second of each round."""

    added_ms: list[float]
    cpu_ms: list[float]
    a_second: list[float]


def measure(folder: Path, plan: Plan) -> list[Price]:
    """Measure each of NAMES, turn and turn about."""
    sent = Sent()
    with serving(folder, WISHES) as (upstream, servers):
        upstream.hold(0)
        sent.warm_up(servers)
        cpu = cpu_ms(sent, servers, plan)
        upstream.hold(UPSTREAM_MS)
        added = added_ms(sent, upstream, servers, plan)
        return [Price(*told) for told in zip(added, cpu, a_second(sent, servers, plan), strict=True)]


def table(prices: Sequence[Price]) -> str:
    """Return the table in Markdown."""
    rows = ["| | time added, p50 | CPU for each request | times the floor's | requests a second |", "|" + " --- |" * 5]
    floor = prices[-1]
    for name, price in zip(NAMES, prices, strict=True):
        added, cpu = statistics.median(price.added_ms), statistics.median(price.cpu_ms)
        ratio, a_second = Pair(floor.cpu_ms, price.cpu_ms).ratio, statistics.median(price.a_second)
        rows.append(f"| {name} | {added:.1f} ms | {cpu:.2f} ms | {ratio:.2f} | {a_second:.0f} |")
    return "\n".join(rows)
