"""The figures themselves. Every pair is measured within one run, turn and turn about, so that noise hits both."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Final

from bench.subjects import Server, Subjects, send

UPSTREAM_MS: Final = 150.0
MANY: Final = 64
BUSY: Final = 16
WARM_UP: Final = 320


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
    sent = _Sent(subjects)
    subjects.upstream.hold(0)
    for server in (subjects.floor, subjects.target):
        sent.to(server, callers=BUSY, requests=WARM_UP)
    cpu_ms = _cpu(sent, plan)
    subjects.upstream.hold(UPSTREAM_MS)
    latency = _latency(sent, plan)
    throughput = _throughput(sent, plan)
    tickets = subjects.upstream.tickets()
    return Figures(latency, throughput, cpu_ms, idle, _memory(subjects), tickets, sent.number)


class _Sent:
    """Sends new handoffs, and counts them."""

    def __init__(self, subjects: Subjects) -> None:
        self.subjects = subjects
        self.number = 0
        self._rounds = 0

    def to(self, *servers: Server, callers: int, requests: int) -> dict[str, list[float]]:
        """Send so many to each server; return each call's seconds, and under "elapsed" those of the whole."""
        self._rounds += 1
        urls = [server.url for server in servers]
        told = send(urls, callers=callers, requests=requests, seed=f"{self._rounds}")
        self.number += requests * len(urls)
        return {**told["seconds"], "elapsed": [told["elapsed_s"]]}


def _memory(subjects: Subjects) -> Pair:
    return Pair([subjects.floor.memory_mb()], [subjects.target.memory_mb()])


def _cpu(sent: _Sent, plan: Plan) -> Pair:
    """CPU milliseconds for each request, 16 callers, an upstream that answers at once."""
    pair = Pair()
    for _ in range(plan.cpu_rounds):
        for server, values in ((sent.subjects.floor, pair.floor), (sent.subjects.target, pair.target)):
            before = server.cpu_s()
            sent.to(server, callers=BUSY, requests=plan.cpu_requests)
            values.append((server.cpu_s() - before) * 1000 / plan.cpu_requests)
    return pair


def _latency(sent: _Sent, plan: Plan) -> Latency:
    """One caller that asks the upstream, the floor and the function in turn."""
    subjects = sent.subjects
    direct = Server(f"{subjects.upstream.url}/api/v2/tickets", 0)
    seconds = sent.to(direct, subjects.floor, subjects.target, callers=1, requests=plan.latency_calls)
    own = statistics.median(seconds[direct.url])
    added = [[(call - own) * 1000 for call in seconds[server.url]] for server in (subjects.floor, subjects.target)]
    return Latency(*added)


def _throughput(sent: _Sent, plan: Plan) -> Pair:
    """Requests a second, 64 callers, an upstream that takes 150 ms."""
    pair = Pair()
    for _ in range(plan.throughput_rounds):
        for server, values in ((sent.subjects.floor, pair.floor), (sent.subjects.target, pair.target)):
            elapsed = sent.to(server, callers=MANY, requests=plan.throughput_requests)["elapsed"][0]
            values.append(plan.throughput_requests / elapsed)
    return pair
