"""The figures themselves. Every pair is measured within one run, turn and turn about, so that noise hits both."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dev.bench.subjects import Server, Subjects, Upstream, send

UPSTREAM_MS: Final = 150.0
MANY: Final = 64
BUSY: Final = 16
_WARM_UP: Final = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    latency_calls: int = 400
    throughput_rounds: int = 5
    throughput_requests: int = 1_920  # 30 for each of the 64 callers
    cpu_rounds: int = 9
    cpu_requests: int = 800
    cold_starts: int = 9


TINY: Final = Plan(
    latency_calls=4, throughput_rounds=1, throughput_requests=64, cpu_rounds=1, cpu_requests=32, cold_starts=1
)


@dataclass(frozen=True, slots=True)
class Pair:
    """What was measured of the floor and of the function, one value a round."""

    floor: list[float] = field(default_factory=list)
    target: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios, function to floor."""
        return statistics.median(target / floor for floor, target in zip(self.floor, self.target, strict=True))


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds added to the upstream's own, call by call."""

    floor: list[float]
    target: list[float]


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything one run of the servers gives."""

    latency: Latency
    throughput: Pair
    cpu_ms: Pair
    idle_mb: Pair
    loaded_mb: Pair
    tickets: int
    handoffs: int


def measure(subjects: Subjects, plan: Plan) -> Figures:
    """Measure everything; the memory first and last."""
    idle = _memory(subjects)
    sent, servers = Sent(), (subjects.floor, subjects.target)
    subjects.upstream.hold(0)
    sent.warm_up(servers)
    cpu = cpu_ms(sent, servers, plan)
    subjects.upstream.hold(UPSTREAM_MS)
    latency = Latency(*added_ms(sent, subjects.upstream, servers, plan))
    throughput = Pair(*a_second(sent, servers, plan))
    tickets = subjects.upstream.tickets()
    return Figures(latency, throughput, Pair(*cpu), idle, _memory(subjects), tickets, sent.number)


class Sent:
    """Sends new handoffs, and counts them."""

    def __init__(self) -> None:
        self.number = 0
        self._rounds = 0

    def to(self, *urls: str, callers: int, requests: int) -> dict[str, list[float]]:
        """Send so many to each address; return each call's seconds, and under "elapsed" those of the whole."""
        self._rounds += 1
        told = send([*urls], callers=callers, requests=requests, seed=f"{self._rounds}")
        self.number += requests * len(urls)
        return {**told["seconds"], "elapsed": [told["elapsed_s"]]}

    def warm_up(self, servers: Sequence[Server]) -> None:
        """Send what is not measured."""
        for server in servers:
            self.to(server.url, callers=BUSY, requests=_WARM_UP)


def _memory(subjects: Subjects) -> Pair:
    return Pair([subjects.floor.memory_mb()], [subjects.target.memory_mb()])


def cpu_ms(sent: Sent, servers: Sequence[Server], plan: Plan) -> list[list[float]]:
    """Return CPU milliseconds for each request, round by round: 16 callers, an upstream that answers at once."""
    found: list[list[float]] = [[] for _ in servers]
    for _ in range(plan.cpu_rounds):
        for server, values in zip(servers, found, strict=True):
            before = server.cpu_s()
            sent.to(server.url, callers=BUSY, requests=plan.cpu_requests)
            values.append((server.cpu_s() - before) * 1000 / plan.cpu_requests)
    return found


def added_ms(sent: Sent, upstream: Upstream, servers: Sequence[Server], plan: Plan) -> list[list[float]]:
    """Return milliseconds added, call by call: one caller that asks the upstream and each server in turn."""
    direct = f"{upstream.url}/api/v2/tickets"
    seconds = sent.to(direct, *(server.url for server in servers), callers=1, requests=plan.latency_calls)
    own = statistics.median(seconds[direct])
    return [[(call - own) * 1000 for call in seconds[server.url]] for server in servers]


def a_second(sent: Sent, servers: Sequence[Server], plan: Plan) -> list[list[float]]:
    """Return requests a second, round by round: 64 callers, an upstream that takes 150 ms."""
    found: list[list[float]] = [[] for _ in servers]
    for _ in range(plan.throughput_rounds):
        for server, values in zip(servers, found, strict=True):
            elapsed_s = sent.to(server.url, callers=MANY, requests=plan.throughput_requests)["elapsed"][0]
            values.append(plan.throughput_requests / elapsed_s)
    return found
