"""Makes tickets and notes of rows that the caller holds, and settles the rows. Delivery and recovery share it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast

from freshdesk_client import FreshdeskError, FreshdeskRefused, Requester
from handoff import transitions
from handoff.deadline import Clock, Deadline
from handoff.fetching import Fetch, fetch_nothing
from handoff.helpdesk import LOOK_PAUSE_S, HelpDesk
from handoff.inbound import Handoff
from handoff.ledger import Cause, Entry, Ledger, LedgerUnavailable, State
from handoff.routing import MAIN_ACCOUNT, Route, Routing
from handoff.ticket import Offer, Rung, external_id, to_note, to_ticket
from handoff.transitions import Created, InDoubt, Policy, Refused, Result, Unavailable

logger = logging.getLogger("handoff.writer")

FALLBACK_SLOT: Final = "fallback"  # what is filed under nobody's address is limited together
LEDGER_PAUSES_S: Final = (0.05, 0.2, 0.5)
LEDGER_PATIENCE_S: Final = 2.0  # a store that hangs must leave Freshdesk the better part of the deadline
POSTS_MAX: Final = 5  # of one call, each plainer than the one before

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketWriter:
    """Writes to Freshdesk, then to the ledger. Safe to share between threads."""

    helpdesks: Mapping[str, HelpDesk]
    ledger: Ledger
    routing: Routing
    clock: Clock
    new_owner: Callable[[], str]
    jitter: Callable[[], float]  # 0.0 ≤ jitter() < 1.0
    policy: Policy
    fetch: Fetch = fetch_nothing

    def create_ticket(self, row: Entry, handoff: Handoff, deadline: Deadline) -> Entry:
        """Post the ticket of a row in `creating` that the caller holds, and settle the row."""
        result = self.post(row, handoff, deadline)
        if isinstance(result, Refused) and not result.address:
            logger.error("refused", extra={"reference": row.reference, "error": f"refused: {result.detail}"})
        return self.settle(row, self.after(row, result), deadline)

    def post(self, row: Entry, handoff: Handoff, deadline: Deadline, *, kept: bool = True) -> Result:
        """Offer the ticket, each time plainer while Freshdesk refuses its content; look once if an answer is lost.

        Args:
            row: the row in `creating`; nothing is posted once its lease is over.
            handoff: what the person asks.
            deadline: of the call.
            kept: whether the ledger holds the row; without it there is no lease.
        """
        route, offer = self.route(handoff), Offer(row.rung)
        plainest = Rung.FALLBACK_REQUESTER if kept else Rung.WITHOUT_PHONE  # what a short text leaves out must be kept
        result: Result = Unavailable(Cause.UNAVAILABLE, "no-time")
        for _ in range(POSTS_MAX):
            if kept and (why := self._must_wait(row, offer.rung, deadline)):
                return Unavailable(Cause.UNAVAILABLE, why)
            fallback = self.routing.fallback_requester
            fields = to_ticket(handoff, route, offer, refused=row.refused, fallback_requester=fallback)
            result = self.helpdesk(row).create(fields, deadline)
            match result:
                case Created(ticket_id):
                    left_out = to_ticket(handoff, route).keys() - fields.keys() if offer.rung else ()
                    return Created(ticket_id, offer.dropped.union(left_out), offer.rung)
                case InDoubt():
                    return self._look_once(handoff, row, result, deadline, kept=kept)
                case Unavailable() | Refused(of_content=False):
                    return result
                case Refused(address=address) if address and fields[address] == getattr(handoff, f"user_{address}"):
                    return result
            result = result._replace(address="", rung=offer.rung)
            offer = offer.plainer(route, fields, result.fields)
            if offer.rung > plainest:
                return result
        return result

    def add_note(self, row: Entry, handoff: Handoff, holder: Entry, why: str, deadline: Deadline) -> Entry:
        """Add a row's words to holder's ticket as a private note, at least once, and settle the row."""
        html = to_note(handoff, self.route(handoff), why)
        ticket_id = cast("int", holder.ticket_id)
        after = replace(self.after(row, Created(ticket_id)), account=holder.account)
        try:
            self.helpdesk(holder).add_note(ticket_id, html, deadline)
        except FreshdeskError as error:
            until = self.retry_at(row)
            gone = isinstance(error, FreshdeskRefused) and error.status in {400, 404, 405}  # the ticket was deleted
            cause = Cause.REFUSED if gone else Cause.UNAVAILABLE
            after = transitions.unmade(row, until=until, cause=cause, error=f"note: {error}")
        return self.settle(row, after, deadline)

    def after(self, row: Entry, result: Result) -> Entry:
        """Return the row as result leaves it."""
        return transitions.settled(row, result, now=self.clock.now(), jitter=self.jitter(), policy=self.policy)

    def retry_at(self, row: Entry) -> float:
        """Return when a row whose attempt failed just now is tried again."""
        return self.clock.now() + transitions.backoff_s(row.attempts, self.jitter())

    def settle(self, old: Entry, new: Entry, deadline: Deadline) -> Entry:
        """Write new over old. If that fails the old row stands, is due when its lease ends, and is looked into."""
        try:
            if not self.with_retries(lambda: self.ledger.replace(old, new), deadline):
                logger.warning("settled by another", extra={"reference": old.reference, "outcome": new.state})
        except LedgerUnavailable:
            logger.error("ledger down while settling", extra={"reference": old.reference, "outcome": new.state})
            if new.ticket_id is not None:  # else the row that stands says enough, and another may know more by then
                self.ledger.remember(new, now=self.clock.now())
        return new

    def take(self, row: Entry, state: State, *, lease_s: float | None = None, **changes: object) -> Entry | None:
        """Hold the row for a lease; return None if another was quicker. Raises LedgerUnavailable."""
        due_at = self.clock.now() + (lease_s or self.policy.lease_s)
        return self.write(row, transitions.changed(row, state=state, owner=self.new_owner(), due_at=due_at, **changes))

    def write(self, old: Entry, new: Entry) -> Entry | None:
        """Write new over old, again after a failure: one lost answer must not end a pass. Raises LedgerUnavailable."""
        return new if self.with_retries(lambda: self.ledger.replace(old, new), self.deadline()) else None

    def helpdesk(self, row: Entry) -> HelpDesk:
        """Return the account of a row; one that is no longer in the routing falls back to the main one."""
        return self.helpdesks.get(row.account) or self.helpdesks[MAIN_ACCOUNT]

    def route(self, handoff: Handoff) -> Route:
        """Return the route of a handoff."""
        return self.routing.route(handoff.bot, handoff.category)

    def requester(self, handoff: Handoff) -> Requester:
        """Return whose tickets Freshdesk can list; nobody's where there is only a telephone."""
        if handoff.user_email or handoff.user_phone:
            return Requester(email=handoff.user_email)
        if handoff.user_id:
            return Requester(external_id=external_id(handoff, self.route(handoff)))
        return Requester(email=self.routing.fallback_requester)

    def take_slot(self, row: Entry) -> bool:
        """Take a slot of the hour of the row's person, if there is one left. Raises LedgerUnavailable."""
        now, bound = self.clock.now(), self.policy.tickets_an_hour
        return self.ledger.take_slot(row.limited_by or FALLBACK_SLOT, row, now=now, tickets_an_hour=bound)

    def tickets_of_others(self, row: Entry) -> list[int]:
        """Return the tickets of other handoffs under row's reference. Raises LedgerUnavailable."""
        rows = self.ledger.find(row.reference, now=self.clock.now())
        return [one.ticket_id for one in rows if one.ticket_id is not None and one.entry != row.entry]

    def deadline(self) -> Deadline:
        """Return the deadline of a call that begins now."""
        return Deadline(self.clock, self.policy.deadline_s)

    def with_retries(self, call: Callable[[], T], deadline: Deadline) -> T:
        """Call the ledger, again if it fails: its writes are safe to repeat, and one lost answer is no outage."""
        patient_until_s = deadline.spent_s + LEDGER_PATIENCE_S
        for pause_s in LEDGER_PAUSES_S:
            try:
                return call()
            except LedgerUnavailable:
                if deadline.spent_s > patient_until_s or not deadline.pause(pause_s, keep=0.0):
                    raise
        return call()

    def _look_once(self, handoff: Handoff, row: Entry, doubt: InDoubt, deadline: Deadline, *, kept: bool) -> Result:
        """Look for the ticket that a lost answer may have left behind; a ticket shows in the list after a moment."""
        if not deadline.pause(LOOK_PAUSE_S, keep=LOOK_PAUSE_S):
            return doubt
        requester, since = self.requester(handoff), row.look_from
        try:
            others = self.tickets_of_others(row) if kept else ()
            found = self.helpdesk(row).look(
                row.reference, deadline, requester=requester, since=since, everywhere=False, besides=others
            )
        except (FreshdeskError, LedgerUnavailable):
            return doubt
        return Created(found) if found else doubt

    def _must_wait(self, row: Entry, rung: int, deadline: Deadline) -> str:
        """Return why nothing may be posted for row now, or ""."""
        if row.due_at is not None and self.clock.now() >= row.due_at:
            return "lease over"  # the process was suspended: another may have posted
        return "" if rung < Rung.SHORT or self._keep_the_rest(row, deadline) else "rest not kept"

    def _keep_the_rest(self, row: Entry, deadline: Deadline) -> bool:
        """Keep everything as a note, which follows the ticket: a short description leaves most of it out."""
        waiting = {"state": State.NOT_CREATED, "owner": self.new_owner(), "version": 1, "rung": 0}
        due_at = self.clock.now() + self.policy.lease_s
        note = replace(transitions.noted(row, row), due_at=due_at, **waiting)  # type: ignore[arg-type]  # as in `changed`
        bound = self.policy.tickets_an_hour
        try:
            self.with_retries(lambda: self.ledger.claim(note, now=self.clock.now(), tickets_an_hour=bound), deadline)
        except LedgerUnavailable:
            return False
        return True
