"""One seed, one history: thousands of requests, everything that goes wrong on the way, and what came of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from greenlet import getcurrent, greenlet

from dev.simulation.controls import Rig
from dev.simulation.endpoints import ROUTING, open_endpoint, post, silence
from dev.simulation.faults import Fate, Faults, FaultyLedger, FaultyTransport
from dev.simulation.freshdesk_model import FreshdeskModel, Limits
from dev.simulation.kinds import CORRECTIONS, NEEDS_LEDGER, make_stories
from dev.simulation.memory_ledger import MemoryLedger
from dev.simulation.naive import post_once
from dev.simulation.quirks import Quirks, draw_quirks
from dev.simulation.scheduler import Killed, ProcessClock, Scheduler
from dev.simulation.stories import Sending, Story, mark_of, number_in
from dev.simulation.verdict import Answered, Verdict, judge
from freshdesk_client import FreshdeskClient
from handoff.delivery import Delivery
from handoff.inbound import read_handoff
from handoff.ledger import Ledger, LedgerUnavailable
from handoff.routing import MAIN_ACCOUNT
from handoff.strict_json import parse_body
from handoff.sweep import BUDGET_S, SweepReport, sweep

SENDER_PAUSES_S: Final = (1.0, 5.0, 30.0)
SWEEP_EVERY_S: Final = 60.0
PROCESSES: Final = 3
_OVERLAPPING_SWEEPS: Final = 0.2
_SOON_SPAM: Final = 0.005
_SENDER_WAITS_S: Final = 15.0  # for an answer
_SPREAD_S: Final = 5.0  # of what comes once the ledger is back
_CORRECTED_S: Final = 15.0  # between what was refused and its correction
_UNAVAILABLE: Final = 503
_PATIENCE_S: Final = 6 * 3600.0
_LATE_WRITES_S: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a history is made of."""

    seed: int
    handoffs: int
    rate: float = 0.5  # requests a second
    kinds: tuple[str, ...] = ()  # of the stories; () is all of them
    faults: Faults = field(default_factory=Faults)
    quirks: Quirks | None = None  # of the account; None: drawn from the seed
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
        quirks = draw_quirks(self.random) if plan.quirks is None else plan.quirks
        self.account = FreshdeskModel(self.clock, plan.limits, quirks, Random(plan.seed))
        self.fate = Fate(self.random, plan.faults)
        self.stories = make_stories(
            self.random, count=plan.handoffs, rate=plan.rate, copies=plan.faults.copies, kinds=plan.kinds
        )
        self.answers: list[Answered] = []
        self.kills = 0
        self.suspensions = 0
        self.events: list[tuple[float, str, str]] | None = None
        self.ledger = plan.store()
        self._processes = [self._process() for _ in range(PROCESSES)]
        self._under_way: dict[greenlet, tuple[Story, Sending, int]] = {}
        self._sent: set[int] = set()
        self._first_waits_until_s: dict[int, float] = {}

    def use(self, helpdesk: FreshdeskModel, stories: list[Story]) -> None:
        """Let another Freshdesk and other stories take part."""
        self.account, self.stories = helpdesk, stories
        self._processes = [self._process() for _ in range(PROCESSES)]

    def trace(self, about: str, what: str) -> None:
        """Remember an event, if somebody wants to know."""
        if self.events is not None:
            self.events.append((self.clock.elapsed_s, about, what))

    def run(self) -> Verdict:
        """Run it to the end: until nothing is left to be done."""
        with silence():
            for story in self.stories:
                self._begin(story)
            if self.plan.rig.sweeps:
                self._sweep_in(SWEEP_EVERY_S)
            last_s = max(sending.at_s for story in self.stories for sending in story.sendings)
            self.clock.run(last_s + 60.0)
            while self.plan.rig.sweeps and self._waiting() and self.clock.elapsed_s < last_s + _PATIENCE_S:
                self.clock.run(self.clock.elapsed_s + SWEEP_EVERY_S)
            self.clock.run(self.clock.elapsed_s + _LATE_WRITES_S)
        verdict = judge(self.stories, self.account.tickets, self.answers)
        verdict.kills, verdict.suspensions, verdict.digest = self.kills, self.suspensions, self.digest()
        return verdict

    def _begin(self, story: Story) -> None:
        for sending in story.sendings:
            self.clock.start(partial(self._send, story, sending), after=sending.at_s)
            for later_s in sending.copies:
                copy = partial(self._send, story, sending, attempt=len(SENDER_PAUSES_S))
                self.clock.start(copy, after=sending.at_s + later_s)
        if story.forgotten_at_s is not None:
            self.clock.after(story.forgotten_at_s, partial(self._forget, story))

    def _send(self, story: Story, sending: Sending, attempt: int = 0) -> None:
        """Send as the bot does: again after 1, 5 and 30 s, where nothing was heard, or 503."""
        waits_s = self._waits_s(story, sending)
        if waits_s:
            self.clock.start(partial(self._send, story, sending, attempt), after=waits_s)
            return
        self._under_way[getcurrent()] = (story, sending, attempt)
        answered = self._call(story, sending)
        if self._under_way.pop(getcurrent(), None) is None:
            return  # the machine was suspended, and the sender has not waited
        if answered is None or answered.status == _UNAVAILABLE or self.fate.happens(self.fate.faults.deaf):
            self._send_again(story, sending, attempt)

    def _waits_s(self, story: Story, sending: Sending) -> float:
        """Return for how long a request waits for the ledger: a repeat, or what only the ledger knows to be one."""
        faults, now_s, number = self.fate.faults, self.clock.elapsed_s, story.number
        left_s = 0.0 if faults.repeats_in_outage else faults.outage_left_s(now_s)
        is_first = sending is story.sendings[0]
        is_repeat = number in self._sent and (is_first or story.kind not in CORRECTIONS)
        if left_s and (is_repeat or story.kind in NEEDS_LEDGER):
            self._first_waits_until_s[number] = now_s + left_s + _SPREAD_S
            return left_s + self.fate.between((0.0, _SPREAD_S))
        waits_s = 0.0 if is_first else self._first_waits_until_s.get(number, 0.0) + _CORRECTED_S - now_s
        if waits_s <= 0:
            self._sent.add(number)
        return max(waits_s, 0.0)

    def _send_again(self, story: Story, sending: Sending, attempt: int, *, after_s: float = 0.0) -> None:
        if attempt < len(SENDER_PAUSES_S):
            again = partial(self._send, story, sending, attempt + 1)
            self.clock.start(again, after=after_s + SENDER_PAUSES_S[attempt])

    def _call(self, story: Story, sending: Sending) -> Answered | None:
        """Call the function once; None when its process died, or was suspended so long that nobody waits any more."""
        at = self.random.randrange(PROCESSES)
        if self._processes[at][1].is_suspended:
            self._processes[at] = self._process()
        delivery, clock = self._processes[at]
        began_s, ran_s = self.clock.elapsed_s, clock.monotonic()
        self.trace(story.mark, "sender: sends")
        try:
            status, body = self._answer(delivery, sending)
        except Killed:
            self.kills += 1
            self._processes[at] = self._process()
            self.trace(story.mark, "function: killed")
            return None
        took_s = self.clock.elapsed_s - began_s
        answered = Answered(story.number, status, body, took_s)
        self.trace(story.mark, f"function: {status} {body.get('reference')} {body.get('ticket_id', '')}")
        if clock.monotonic() - ran_s < took_s - 1.0:
            return None
        self.answers.append(answered)
        return answered

    def _answer(self, delivery: Delivery, sending: Sending) -> tuple[int, dict[str, object]]:
        if self.plan.rig.naive:
            return post_once(delivery, sending.body)
        return post(open_endpoint(delivery), sending.body, sending.idempotency_key)

    def _forget(self, story: Story) -> None:
        """Let the operator erase the person of a story that may have a ticket."""
        handoff = read_handoff(parse_body(story.sendings[0].body))
        for row in self.ledger.find(handoff.reference, now=self.clock.now()):
            self.trace(row.reference, f"operator: forgets {row.state}")
            self.plan.rig.forget(self.ledger, row)

    def _process(self, *, flakes: float | None = None) -> tuple[Delivery, ProcessClock]:
        """Start a process: nothing of the one before is left but the ledger."""
        faults, rig = self.fate.faults, self.plan.rig
        clock = ProcessClock(self.clock, self._suspended_s, self._give_up_waiting)
        transport = FaultyTransport(self.account, self.clock, self.fate, self.trace)
        share = faults.ledger if flakes is None else flakes
        delivery = rig.delivery(
            rig.writer(
                helpdesks={
                    MAIN_ACCOUNT: rig.helpdesk("https://betsur.freshdesk.com", FreshdeskClient(transport), clock)
                },
                ledger=rig.ledger(FaultyLedger(self.ledger, self.clock, self.fate, self.trace, share)),
                routing=ROUTING,
                clock=clock,
                new_owner=lambda: f"{self.random.getrandbits(64):016x}",
                jitter=self.random.random,
                policy=rig.policy,
            )
        )
        return delivery, clock

    def _suspended_s(self) -> float:
        """Return for how long the machine is suspended in a pause; mostly it is not."""
        if not self.fate.happens(self.fate.faults.suspended):
            return 0.0
        self.suspensions += 1
        return self.fate.between(self.fate.faults.suspended_s)

    def _give_up_waiting(self) -> None:
        """Let the sender of a call that is held up send again, elsewhere."""
        waiting = self._under_way.pop(getcurrent(), None)
        if waiting is not None:
            self.trace(waiting[0].mark, "function: suspended")
            self._send_again(*waiting, after_s=_SENDER_WAITS_S)

    def _sweep_in(self, seconds: float) -> None:
        self.clock.after(seconds, self._begin_sweep)

    def _begin_sweep(self) -> None:
        self._let_agents_work()
        self.clock.start(self._sweep)
        if self.fate.happens(_OVERLAPPING_SWEEPS):
            self.clock.start(self._sweep, after=self.fate.between((0.0, 5.0)))
        self._sweep_in(SWEEP_EVERY_S)

    def _sweep(self) -> SweepReport | None:
        try:
            writer = self._process(flakes=self.fate.faults.ledger_in_sweep)[0].writer
            return sweep(writer, budget_s=self.plan.sweep_budget_s)
        except Killed:
            self.kills += 1
        except LedgerUnavailable:
            pass  # the next pass is a minute away
        return None

    def _let_agents_work(self) -> None:
        """Let Freshdesk take some new tickets for spam, and agents delete, update or move some."""
        quirks = self.account.quirks
        for ticket in self.account.tickets[-round(self.plan.rate * SWEEP_EVERY_S) :]:
            if not ticket.box and self.fate.happens(_SOON_SPAM):
                self.account.put(ticket, self.random.choice(("spam", "deleted")))
            if self.fate.happens(quirks.moved):
                self.account.move(ticket, f"otra-direccion{ticket.ticket_id}@example.com")
            if self.fate.happens(quirks.touched):
                touched = partial(self.account.touch, ticket)
                self.clock.after(self.fate.between((60.0, 3600.0)), touched)

    def _waiting(self) -> bool:
        return any(row.due_at is not None and not row.is_parked for row in self.ledger.each())

    def names_of(self, about: str) -> set[str]:
        """Return a story's mark and references, given one of them."""
        marks = {ticket.subject for ticket in self.account.tickets if about in ticket.subject} | {about}
        numbers = {number_in(text) for text in marks}
        numbers |= {one.story for one in self.answers if one.body.get("reference") == about}
        named = {str(one.body["reference"]) for one in self.answers if one.story in numbers and "reference" in one.body}
        return named | {mark_of(number) for number in numbers if number is not None} | {about}

    def digest(self) -> int:
        """Return a number that stands for everything that happened."""
        heard = [(one.story, one.status, one.ticket_id, one.took_s) for one in self.answers]
        made = [(ticket.ticket_id, ticket.created_at, ticket.subject) for ticket in self.account.tickets]
        return zlib.crc32(repr((heard, made, self.kills)).encode())
