"""`kill -9` in every phase between claim and settle: the process stops itself at one boundary after the other.

A boundary is the moment before or after a call to Freshdesk or to the ledger. After each death the sender, who has
heard nothing, sends again; and a sweep in a fresh process, much later, must find exactly one ticket, or make it.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from dev.local_freshdesk import LocalFreshdesk
from dev.simulation.endpoints import ROUTING, silence
from dev.simulation.stand_in import KEY
from dev.simulation.stories import body_of
from freshdesk_client import Answer, FreshdeskClient, Request, Transport
from handoff.deadline import SystemClock
from handoff.delivery import Delivery
from handoff.helpdesk import HelpDesk
from handoff.inbound import read_handoff
from handoff.ledger import Ledger
from handoff.ledger.sqlite import SQLiteLedger
from handoff.routing import MAIN_ACCOUNT
from handoff.sweep import sweep
from handoff.transitions import Policy
from handoff.transport import RequestsTransport
from handoff.writer import TicketWriter

PAUSE_MAX_S: Final = 0.05
_MOST: Final = 100
_BUDGET_S: Final = 60.0


class Countdown:
    """Dies at a given boundary; 0 is none."""

    def __init__(self, boundary: int) -> None:
        self._left = boundary

    def __call__(self) -> None:
        """Pass a boundary, or not."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class MortalTransport:
    """The real way to Freshdesk, between two boundaries."""

    inner: Transport
    boundary: Countdown

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Send request; see `freshdesk_client.Transport`."""
        self.boundary()
        try:
            return self.inner(request, timeout_s)
        finally:
            self.boundary()


class MortalLedger:
    """The real store; each of its calls lies between two boundaries."""

    def __init__(self, inner: Ledger, boundary: Countdown) -> None:
        self._inner = inner
        self._boundary = boundary

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._call, getattr(self._inner, name))

    def _call(self, call: Callable[..., Any], *values: Any, **named: Any) -> Any:
        self._boundary()
        done = call(*values, **named)
        self._boundary()
        return done


class LaterClock(SystemClock):
    """The machine's clock, so many seconds ahead; its pauses are short."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s

    def now(self) -> float:
        """Return epoch seconds."""
        return super().now() + self._ahead_s

    def sleep(self, seconds: float) -> None:
        """Wait a little."""
        super().sleep(min(seconds, PAUSE_MAX_S))


@dataclass(frozen=True, slots=True)
class Phases:
    """How many boundaries there are, and what was left after a death at each of them: tickets, and open rows."""

    boundaries: int
    tickets: tuple[int, ...]
    open_rows: tuple[int, ...]


def die_everywhere(folder: Path, weather: str, *, sweeps: bool = True, policy: Policy | None = None) -> Phases:
    """Deliver one handoff after the other, each dying one boundary later; sweep after each death."""
    tickets: list[int] = []
    waiting: list[int] = []
    with LocalFreshdesk(api_key=KEY) as stand_in, silence():
        for boundary in range(1, _MOST):
            path = folder / f"{weather}-{boundary}.db"
            before = len(stand_in.tickets())
            stand_in.weather(weather, times=1, only="create")
            died = _in_a_child(partial(_deliver, stand_in.url, path, boundary))
            stand_in.weather("healthy")
            _in_a_child(partial(_deliver, stand_in.url, path, boundary, mortal=False))
            for pass_number in range(1, 4 if sweeps else 1):
                _in_a_child(partial(_sweep, stand_in.url, path, pass_number * 1000.0, policy or Policy()))
            tickets.append(len(stand_in.tickets()) - before)
            with closing(SQLiteLedger(path)) as ledger:
                waiting.append(sum(row.due_at is not None and not row.is_parked for row in ledger.each()))
            if not died:
                return Phases(boundary, tuple(tickets), tuple(waiting))
    raise AssertionError("it never ended")


def _in_a_child(work: Callable[[], None]) -> bool:
    """Run work in a process of its own; return True if that was killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the child touches none of the stand-in's threads
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _deliver(url: str, path: Path, number: int, *, mortal: bool = True) -> None:
    delivery = _delivery(url, path, LaterClock(0.0), Policy())
    countdown = Countdown(number if mortal else 0)
    helpdesk = delivery.writer.helpdesks[MAIN_ACCOUNT]
    watched = HelpDesk(
        helpdesk.url, FreshdeskClient(MortalTransport(RequestsTransport(url, KEY), countdown)), helpdesk.clock
    )
    ledger: Any = MortalLedger(delivery.writer.ledger, countdown)
    body = body_of(number, user_email=f"persona{number}@example.com")
    Delivery(replace(delivery.writer, helpdesks={MAIN_ACCOUNT: watched}, ledger=ledger)).deliver(read_handoff(body))


def _sweep(url: str, path: Path, later_s: float, policy: Policy) -> None:
    sweep(_delivery(url, path, LaterClock(later_s), policy).writer, budget_s=_BUDGET_S)


def _delivery(url: str, path: Path, clock: SystemClock, policy: Policy) -> Delivery:
    random = Random()
    return Delivery(
        TicketWriter(
            helpdesks={MAIN_ACCOUNT: HelpDesk(url, FreshdeskClient(RequestsTransport(url, KEY)), clock)},
            ledger=SQLiteLedger(path),
            routing=ROUTING,
            clock=clock,
            new_owner=lambda: f"{random.getrandbits(64):016x}",
            jitter=random.random,
            policy=policy,
        )
    )
