"""`make outage`: Freshdesk down for a day, and a burst far over its rate limit; on the virtual clock."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dev.simulation.faults import CALM
from dev.simulation.freshdesk_model import WINDOW_S, FreshdeskModel, Limits
from dev.simulation.history import History, Plan
from dev.simulation.quirks import PLAIN
from dev.simulation.scheduler import Scheduler
from dev.simulation.stories import Sending, Story, body_of, json_of
from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request
from handoff.sweep import BUDGET_S

DAY_S: Final = 86_400.0
BURST_S: Final = 10.0
MANNERS: Final = ("refused", "reset", "500")
PRO: Final = Limits(total=400, create=160, lists=100)


class DownFreshdesk(FreshdeskModel):
    """A Freshdesk that does not answer for a while, in one of three manners."""

    def __init__(self, clock: Scheduler, limits: Limits, *, manner: str, until_s: float) -> None:
        super().__init__(clock, limits)
        self._scheduler = clock
        self._manner = manner
        self.until_s = until_s

    def answer(self, request: Request) -> Answer:
        """Fail until it is over."""
        if self._scheduler.elapsed_s >= self.until_s:
            return super().answer(request)
        if self._manner == "refused":
            raise FreshdeskUnreachable("ConnectionRefusedError")
        if self._manner == "reset":
            raise OutcomeUnknown("ConnectionResetError")
        return Answer(500, {}, b'{"code":"internal_error"}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What came of an outage: when the last ticket was made, in seconds after Freshdesk was back."""

    handoffs: int
    tickets: int
    lost: int
    extra: int
    late: int
    last_after_s: float
    most_created_a_minute: int
    busy_share: float

    @property
    def kept(self) -> bool:
        """Return True if nothing was lost, made twice, or answered late."""
        return not (self.lost or self.extra or self.late)


def run_outage(
    manner: str, *, handoffs: int = 2000, down_s: float = DAY_S, seed: int = 1, budget_s: float = BUDGET_S
) -> Recovered:
    """Let requests arrive over the whole outage; return how long the recovery took."""
    pause_s = down_s / handoffs
    stories = [_plain(number, number * pause_s) for number in range(handoffs)]
    return _run(
        stories,
        seed,
        Limits(),
        lambda clock, limits: DownFreshdesk(clock, limits, manner=manner, until_s=down_s),
        budget_s,
    )


def run_burst(*, handoffs: int = 1000, seed: int = 1, budget_s: float = BUDGET_S) -> Recovered:
    """Let all requests arrive at once, at an account that takes 160 tickets a minute."""
    stories = [_plain(number, number * BURST_S / handoffs) for number in range(handoffs)]
    return _run(stories, seed, PRO, FreshdeskModel, budget_s)


def drain_share(burst: Recovered, limits: Limits = PRO) -> float:
    """Return how much of the rate limit was used from the burst's beginning to its last ticket (0-1)."""
    windows = max(burst.last_after_s / WINDOW_S, 1.0)
    return burst.tickets / (windows * limits.create)


def _plain(number: int, at_s: float) -> Story:
    return Story(number, "plain", (Sending(at_s, json_of(body_of(number))),))


def _run(
    stories: list[Story],
    seed: int,
    limits: Limits,
    helpdesk: Callable[[Scheduler, Limits], FreshdeskModel],
    budget_s: float,
) -> Recovered:
    history = History(Plan(seed=seed, handoffs=0, faults=CALM, quirks=PLAIN, limits=limits, sweep_budget_s=budget_s))
    history.use(helpdesk(history.clock, limits), stories)
    verdict = history.run()
    over_s = history.account.until_s if isinstance(history.account, DownFreshdesk) else 0.0
    last = max((ticket.created_at for ticket in history.account.tickets), default=history.clock.now())
    return Recovered(
        handoffs=verdict.handoffs,
        tickets=verdict.tickets,
        lost=verdict.lost,
        extra=verdict.extra,
        late=verdict.late,
        last_after_s=last - (history.clock.now() - history.clock.elapsed_s) - over_s,
        most_created_a_minute=history.account.most_created_a_minute,
        busy_share=history.account.busy_answers / max(history.account.calls, 1),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the outages and the burst; 0 when the promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m dev.simulation.outage", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--handoffs", type=int, default=2000, help="requests during the outage (default 2000)")
    parser.add_argument("--burst", type=int, default=1000, help="requests in the burst's ten seconds (default 1000)")
    parser.add_argument("--budget", type=float, default=BUDGET_S, help="seconds a pass of the sweep may take")
    options = parser.parse_args(arguments)
    found = {
        f"down 24 h, {manner}": run_outage(manner, handoffs=options.handoffs, budget_s=options.budget)
        for manner in MANNERS
    }
    found["burst in 10 s"] = run_burst(handoffs=options.burst, budget_s=options.budget)
    print(f"{'':20}{'handoffs':>10}{'tickets':>10}{'lost':>6}{'twice':>6}{'done after':>12}{'a minute':>10}{'429':>8}")
    for name, one in found.items():
        counts = f"{one.handoffs:>10,}{one.tickets:>10,}{one.lost:>6}{one.extra:>6}"
        print(f"{name:20}{counts}{one.last_after_s:>10.0f} s{one.most_created_a_minute:>10}{one.busy_share:>8.1%}")
    print(f"The burst was drained at {drain_share(found['burst in 10 s']):.0%} of the rate limit.")
    return int(not all(one.kept for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
