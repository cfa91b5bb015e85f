"""One seed, one history: thousands of requests, everything that goes wrong on the way, and what came of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from dev.simulation.controls import Rig
from dev.simulation.desk_model import DeskModel, Limits
from dev.simulation.endpoints import ROUTING, open_endpoint, post, silence
from dev.simulation.faults import Fate, Faults, FaultyLedger, FaultyTransport
from dev.simulation.memory_ledger import MemoryLedger
from dev.simulation.naive import post_once
from dev.simulation.scheduler import Killed, Scheduler
from dev.simulation.stories import Sending, Story, make_stories, mark_of, number_in
from dev.simulation.verdict import Answered, Verdict, judge
from freshdesk_client import FreshdeskClient
from handoff.delivery import Delivery
from handoff.ledger import Ledger, LedgerUnavailable
from handoff.routing import MAIN_ACCOUNT
from handoff.sweep import BUDGET_S, SweepReport, sweep
from handoff.writer import TicketWriter

SENDER_PAUSES_S: Final = (1.0, 5.0, 30.0)
SWEEP_EVERY_S: Final = 60.0
PROCESSES: Final = 3
_OVERLAPPING_SWEEPS: Final = 0.2
_SOON_SPAM: Final = 0.005
_UNAVAILABLE: Final = 503
_PATIENCE_S: Final = 6 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a history is made of."""

    seed: int
    handoffs: int
    rate: float = 0.5  # requests a second
    faults: Faults = field(default_factory=Faults)
    rig: Rig = field(default_factory=Rig)
    limits: Limits = field(default_factory=Limits)
    store: Callable[[], Ledger] = MemoryLedger
    sweep_budget_s: float = BUDGET_S


class History:
    """Runs a plan. The same plan gives the same history, event by event."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.clock = Scheduler()
        self.random = Random(plan.seed)
        self.account = DeskModel(self.clock, plan.limits)
        self.fate = Fate(self.random, plan.faults)
        self.stories = make_stories(self.random, count=plan.handoffs, rate=plan.rate, copies=plan.faults.copies)
        self.answers: list[Answered] = []
        self.kills = 0
        self.events: list[tuple[float, str, str]] | None = None
        store = FaultyLedger(plan.store(), self.clock, self.fate, self.trace)
        self.ledger = plan.rig.ledger(store)
        self._processes = [self._delivery() for _ in range(PROCESSES)]

    def use(self, helpdesk: DeskModel, stories: list[Story]) -> None:
        """Let another desk and other stories take part."""
        self.account, self.stories = helpdesk, stories
        self._processes = [self._delivery() for _ in range(PROCESSES)]

    def trace(self, about: str, what: str) -> None:
        """Remember an event, if somebody wants to know."""
        if self.events is not None:
            self.events.append((self.clock.elapsed_s, about, what))

    def run(self) -> Verdict:
        """Run it to the end: until nothing is left to be done."""
        with silence():
            for story in self.stories:
                for sending in story.sendings:
                    self._begin(story, sending)
            if self.plan.rig.sweeps:
                self._sweep_in(SWEEP_EVERY_S)
            last_s = max(sending.at_s for story in self.stories for sending in story.sendings)
            self.clock.run(last_s + 60.0)
            while self.plan.rig.sweeps and self._waiting() and self.clock.elapsed_s < last_s + _PATIENCE_S:
                self.clock.run(self.clock.elapsed_s + SWEEP_EVERY_S)
            self.clock.run(self.clock.elapsed_s + 900.0)  # for what is still to be written late
        return judge(self)

    def _begin(self, story: Story, sending: Sending) -> None:
        self.clock.start(lambda: self._send(story, sending), after=sending.at_s)
        for later_s in sending.copies:
            self.clock.start(lambda: self._call(story, sending), after=sending.at_s + later_s)

    def _send(self, story: Story, sending: Sending) -> None:
        """Send as the bot does: again after 1, 5 and 30 s, where nothing was heard, or 503."""
        for pause_s in (*SENDER_PAUSES_S, None):
            answered = self._call(story, sending)
            if (
                answered is not None
                and answered.status != _UNAVAILABLE
                and not self.fate.happens(self.fate.faults.deaf)
            ):
                return
            if pause_s is not None:
                self.clock.sleep(pause_s)

    def _call(self, story: Story, sending: Sending) -> Answered | None:
        """Call the function once; None when its process died."""
        place = self.random.randrange(PROCESSES)
        began_s = self.clock.elapsed_s
        self.trace(story.mark, "sender: sends")
        try:
            status, body = self._answer(self._processes[place], sending)
        except Killed:
            self.kills += 1
            self._processes[place] = self._delivery()
            self.trace(story.mark, "function: killed")
            return None
        answered = Answered(story.number, status, body, self.clock.elapsed_s - began_s)
        self.trace(story.mark, f"function: {status} {body.get('reference')} {body.get('ticket_id', '')}")
        self.answers.append(answered)
        return answered

    def _answer(self, delivery: Delivery, sending: Sending) -> tuple[int, dict[str, object]]:
        if self.plan.rig.naive:
            return post_once(delivery, sending.body)
        return post(open_endpoint(delivery), sending.body, sending.idempotency_key)

    def _delivery(self) -> Delivery:
        """Start a process: nothing of the one before is left but the ledger."""
        transport = FaultyTransport(self.account, self.clock, self.fate, self.trace)
        helpdesk = self.plan.rig.helpdesk("https://betsur.freshdesk.com", FreshdeskClient(transport), self.clock)
        return self.plan.rig.delivery(
            TicketWriter(
                helpdesks={MAIN_ACCOUNT: helpdesk},
                ledger=self.ledger,
                routing=ROUTING,
                clock=self.clock,
                new_owner=lambda: f"{self.random.getrandbits(64):016x}",
                jitter=self.random.random,
                policy=self.plan.rig.policy,
            )
        )

    def _sweep_in(self, seconds: float) -> None:
        self.clock.after(seconds, self._begin_sweep)

    def _begin_sweep(self) -> None:
        self._box_some()
        self.clock.start(self._sweep)
        if self.fate.happens(_OVERLAPPING_SWEEPS):
            self.clock.start(self._sweep, after=self.fate.between((0.0, 5.0)))
        self._sweep_in(SWEEP_EVERY_S)

    def _sweep(self) -> SweepReport | None:
        try:
            return sweep(self._delivery().writer, budget_s=self.plan.sweep_budget_s)
        except Killed:
            self.kills += 1
        except LedgerUnavailable:
            pass  # the next pass is a minute away
        return None

    def _box_some(self) -> None:
        """Let Freshdesk take some new tickets for spam, and agents delete some."""
        for ticket in self.account.tickets[-round(self.plan.rate * SWEEP_EVERY_S) :]:
            if not ticket.box and self.fate.happens(_SOON_SPAM):
                self.account.put(ticket, self.random.choice(("spam", "deleted")))

    def _waiting(self) -> bool:
        return any(row.due_at is not None and not row.is_parked for row in self.ledger.each())

    def names_of(self, about: str) -> set[str]:
        """Return a story's mark and references, given one of them."""
        marks = {ticket.subject for ticket in self.account.tickets if about in ticket.subject} | {about}
        numbers = {number_in(text) for text in marks}
        numbers |= {one.story for one in self.answers if one.body.get("reference") == about}
        told = {str(one.body["reference"]) for one in self.answers if one.story in numbers and "reference" in one.body}
        return told | {mark_of(number) for number in numbers if number is not None} | {about}

    def digest(self) -> int:
        """Return a number that stands for everything that happened."""
        told = [(one.story, one.status, one.ticket_id, one.took_s) for one in self.answers]
        made = [(ticket.ticket_id, ticket.created_at, ticket.subject) for ticket in self.account.tickets]
        return zlib.crc32(repr((told, made, self.kills)).encode())
