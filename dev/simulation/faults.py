"""What goes wrong, how often; and the two places where it does: Freshdesk's answers and the ledger's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

from dev.simulation.freshdesk_model import FreshdeskModel
from dev.simulation.scheduler import Killed, Scheduler
from dev.simulation.wrapped_ledger import WrappedLedger
from freshdesk_client import Answer, FreshdeskUnreachable, OutcomeUnknown, Request
from handoff.ledger import Entry, LedgerUnavailable

T = TypeVar("T")
Trace = Callable[[str, str], None]  # what it is about (a subject, a reference), what happened

_HTML: Final = b"<html><title>502 Bad Gateway</title></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Shares (0-1) of calls that go wrong, and how late a late write may be, in seconds."""

    busy: float = 0.05
    refused: float = 0.02
    broken_unwritten: float = 0.03
    broken_written: float = 0.02
    reset_written: float = 0.02
    timeout_unwritten: float = 0.01
    timeout_written: float = 0.01
    written_late: float = 0.01
    unreadable: float = 0.01
    late_max_s: float = 60.0
    look: float = 0.05
    ledger: float = 0.01
    ledger_in_sweep: float = 0.05
    outage_every_s: float = 2400.0  # how often the whole ledger is gone, and for how long; 0: never
    outage_s: float = 120.0
    repeats_in_outage: bool = False  # else what was sent before is sent again only once the ledger is back
    kill: float = 0.005  # before, and again after, every call to Freshdesk or the ledger
    kill_in_list: float = 0.0005  # the same for a page of a list, which changes nothing
    suspended: float = 0.005  # pauses in which the machine is suspended, and for how long
    suspended_s: tuple[float, float] = (30.0, 3600.0)
    copies: float = 0.05
    deaf: float = 0.01  # answers that never reach the sender
    ledger_latency_s: tuple[float, float] = (0.001, 0.006)
    freshdesk_latency_s: tuple[float, float] = (0.1, 0.4)

    def of_a_post(self) -> tuple[tuple[str, float], ...]:
        """Return the fates of a POST with their shares."""
        names = ("busy", "refused", "broken_unwritten", "broken_written", "reset_written")
        slow = ("timeout_unwritten", "timeout_written", "written_late", "unreadable")
        return tuple((name, getattr(self, name)) for name in (*names, *slow))

    def outage_left_s(self, elapsed_s: float) -> float:
        """Return for how long the ledger is still gone; 0 if it is not."""
        since_last_s = elapsed_s % self.outage_every_s if self.outage_every_s else 0.0
        ends_s = self.outage_every_s - since_last_s
        return ends_s if self.outage_every_s and ends_s <= self.outage_s else 0.0


CALM: Final = Faults(
    **{name: 0.0 for name, _ in Faults().of_a_post()},  # type: ignore[arg-type]  # every one of them is a share
    look=0.0,
    ledger=0.0,
    ledger_in_sweep=0.0,
    outage_every_s=0.0,
    kill=0.0,
    kill_in_list=0.0,
    suspended=0.0,
    copies=0.0,
    deaf=0.0,
)


@dataclass(slots=True)
class Fate:
    """Draws what happens next from the seed."""

    random: Random
    faults: Faults

    def happens(self, share: float) -> bool:
        """Return True if something this frequent happens now."""
        return self.random.random() < share

    def between(self, bounds: tuple[float, float]) -> float:
        """Return a number of seconds within bounds."""
        return self.random.uniform(*bounds)

    def of_a_post(self) -> str:
        """Return the fate of one POST; "" is a good one."""
        drawn = self.random.random()
        for name, share in self.faults.of_a_post():
            if drawn < share:
                return name
            drawn -= share
        return ""

    def kill(self, share: float) -> None:
        """Die, perhaps."""
        if self.happens(share):
            raise Killed


@dataclass(slots=True)
class FaultyTransport:
    """The way to Freshdesk: late, cut, or not to be had. Raises what `transport.RequestsTransport` would."""

    helpdesk: FreshdeskModel
    clock: Scheduler
    fate: Fate
    trace: Trace

    def __call__(self, request: Request, timeout_s: float) -> Answer:
        """Send request; see `freshdesk_client.Transport`."""
        about, faults = _about(request), self.fate.faults
        share = faults.kill_in_list if request.method == "GET" else faults.kill
        self.fate.kill(share)
        try:
            answer = self._listed(request, timeout_s) if request.method == "GET" else self._posted(request, timeout_s)
        except (OutcomeUnknown, FreshdeskUnreachable) as error:
            self.trace(about, f"freshdesk: {type(error).__name__} {error}")
            raise
        self.trace(about, f"freshdesk: {answer.status}")
        self.fate.kill(share)
        return answer

    def _listed(self, request: Request, timeout_s: float) -> Answer:
        if not self.fate.happens(self.fate.faults.look):
            self._spend(timeout_s)
            return self.helpdesk.answer(request)
        kinds = ("refused", "busy", "broken_unwritten", "timeout_unwritten", "unreadable")
        return self._fails(self.fate.random.choice(kinds), request, timeout_s)

    def _posted(self, request: Request, timeout_s: float) -> Answer:
        name = self.fate.of_a_post()
        if name:
            return self._fails(name, request, timeout_s)
        self._spend(timeout_s)
        answer = self.helpdesk.answer(request)
        self._spend(timeout_s)
        return answer

    def _spend(self, timeout_s: float) -> None:
        self.clock.sleep(min(self.fate.between(self.fate.faults.freshdesk_latency_s) / 2, timeout_s))

    def _fails(self, name: str, request: Request, timeout_s: float) -> Answer:
        if name.startswith("timeout") or name == "written_late":
            self._times_out(name, request, timeout_s)
        self._spend(timeout_s)
        if name == "refused":
            raise FreshdeskUnreachable("ConnectionRefusedError")
        if name == "busy":
            return self.helpdesk.busy(self.fate.random.randint(1, 30))
        written = self.helpdesk.answer(request) if name in {"broken_written", "reset_written", "unreadable"} else None
        self._spend(timeout_s)
        if name == "reset_written":
            raise OutcomeUnknown("ConnectionResetError")
        return Answer(written.status if written and name == "unreadable" else 502, {}, _HTML)

    def _times_out(self, name: str, request: Request, timeout_s: float) -> None:
        if name == "timeout_written":
            self.clock.after(timeout_s / 2, lambda: self.helpdesk.answer(request))
        if name == "written_late":
            late_s = timeout_s + self.fate.between((0.0, self.fate.faults.late_max_s))
            self.clock.after(late_s, lambda: self.helpdesk.answer(request))
        self.clock.sleep(timeout_s)
        raise OutcomeUnknown("ReadTimeout")


def _about(request: Request) -> str:
    return request.path if request.body is None else request.body.decode()


@dataclass(frozen=True, slots=True)
class FaultyLedger(WrappedLedger):
    """A ledger that is slow, fails (half of the time after it did what it was asked), or sees its caller die."""

    clock: Scheduler
    fate: Fate
    trace: Trace
    flakes: float  # the share (0-1) of calls that fail

    def _call(self, what: str, entry: Entry | None, call: Callable[[], T]) -> T:
        self.fate.kill(self.fate.faults.kill)
        self.clock.sleep(self.fate.between(self.fate.faults.ledger_latency_s))
        if self.fate.faults.outage_left_s(self.clock.elapsed_s) > 0:
            raise LedgerUnavailable("down")
        fails = self.fate.happens(self.flakes)
        if fails and self.fate.happens(0.5):
            raise LedgerUnavailable("before")
        done = call()
        if entry is not None:
            self.trace(entry.reference, f"ledger: {what} = {done if isinstance(done, bool) else ''}")
        if fails:
            raise LedgerUnavailable("after")
        self.fate.kill(self.fate.faults.kill)
        return done
