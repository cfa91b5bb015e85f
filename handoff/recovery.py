"""The rule, afterwards: what a row that is due needs, one row at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol

from freshdesk_client import FreshdeskError
from handoff import transitions
from handoff.deadline import Deadline
from handoff.delivery import NEW_WORDS, ONE_OF_MANY, REFUSED_BEFORE, Delivery
from handoff.helpdesk import Made
from handoff.inbound import Handoff
from handoff.ledger import Entry, State
from handoff.log import log_entry

logger = logging.getLogger("handoff.recovery")

WAIT_FOR_ANOTHER_S: Final = 300.0
OVERDUE_S: Final = 1800.0  # longer than any back-off
OPEN_TICKET_WITHIN_S: Final = 30 * 86_400.0


class Found(NamedTuple):
    """What a look found, and when the look began: a ticket written later cannot have been seen."""

    ticket_id: int | None
    looked_at: float


class Look(Protocol):
    """Finds the ticket that a row in doubt may have left behind."""

    def __call__(self, entry: Entry, deadline: Deadline) -> Found:
        """Look for entry's ticket. Raises FreshdeskError where nothing can be said."""
        ...


@dataclass(frozen=True, slots=True)
class LookByAddress:
    """Looks through the tickets of the row's own requester, spam and deleted ones too."""

    delivery: Delivery

    def __call__(self, entry: Entry, deadline: Deadline) -> Found:
        """Look for entry's ticket; see `Look`."""
        email = self.delivery.requester(Handoff.from_json(entry.handoff))
        looked_at = self.delivery.clock.now()
        found = self.delivery.helpdesk(entry).look(
            entry.reference, deadline, email=email, since=entry.look_from, everywhere=True
        )
        return Found(found, looked_at)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Takes a due row and brings it on. Any number of these may run at once."""

    delivery: Delivery

    def advance(self, entry: Entry, look: Look) -> Entry | None:
        """Do what entry needs now; return how it stands, or None where another has taken it.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        deadline = self.delivery.deadline()
        if self._now() >= entry.give_up_at and not self._overdue(entry):
            return self.give_up(entry)
        after = self._advanced(entry, look, deadline)
        if after is not None:
            log_entry(after, after.state, deadline)
        return after

    def _advanced(self, entry: Entry, look: Look, deadline: Deadline) -> Entry | None:
        if entry.is_note:
            return self._note(entry, deadline)
        if entry.state is State.REJECTED:
            return self._refused(entry, deadline)
        if entry.state in {State.CREATING, State.IN_DOUBT}:
            return self._in_doubt(entry, look, deadline)
        return self._over_limit(entry, deadline) if entry.over_limit else self._create(entry, deadline)

    def _create(self, entry: Entry, deadline: Deadline, **changes: object) -> Entry | None:
        """Post it on the way that its route says now: the routing may have changed since the row was written."""
        handoff, routing = Handoff.from_json(entry.handoff), self.delivery.routing
        routed = transitions.routed_to(routing.route(handoff.bot, handoff.category))
        taken = self._take(entry, State.CREATING, **changes, **routed)
        return self.delivery.create(taken, deadline) if taken else None

    def _in_doubt(self, entry: Entry, look: Look, deadline: Deadline) -> Entry | None:
        """Look first; post again only when the look began later than anything could still be written."""
        doubt_since = transitions.doubt_of(entry)
        doubt_since = entry.created_at if doubt_since is None else doubt_since
        settled_at = doubt_since + self.delivery.policy.in_doubt_wait_s
        taken = self._take(entry, State.IN_DOUBT, doubt_since=doubt_since)
        if taken is None:
            return None
        try:
            found = look(taken, deadline)
        except FreshdeskError as error:
            until = self._now() + transitions.backoff_s(taken.attempts, self.delivery.jitter())
            until = min(until, settled_at) if self._now() < settled_at else until  # the one moment not to sleep through
            return self.delivery.settle(
                taken, transitions.postponed(taken, until=until, error=f"look: {error}"), deadline
            )
        if found.ticket_id is not None:
            return self.delivery.settle(taken, self.delivery.after(taken, Made(found.ticket_id)), deadline)
        if found.looked_at < settled_at:
            return self.delivery.settle(
                taken, transitions.postponed(taken, until=settled_at, error="waiting"), deadline
            )
        return self._create(taken, deadline, clear_until=found.looked_at)

    def _refused(self, entry: Entry, deadline: Deadline) -> Entry | None:
        """Leave a refused handoff to a later good one of its conversation; else make of it what can be made."""
        now = self._now()
        others = self.delivery.ledger.in_conversation(entry.conversation, now=now)
        later = [one for one in others if one.created_at >= entry.created_at and not one.refused and not one.is_note]
        made = [one for one in later if one.ticket_id is not None]
        if made:
            taken = self._take(entry, State.REJECTED)
            return self.delivery.add_note(taken, made[0], REFUSED_BEFORE, deadline) if taken else None
        if later:
            return self._write(entry, transitions.changed(entry, due_at=now + WAIT_FOR_ANOTHER_S))
        handoff = Handoff.from_json(entry.handoff)
        if handoff.user_email or handoff.user_phone or self.delivery.routing.fallback_requester:
            return (
                self._create(entry, deadline) if self.delivery.take_slot(entry) else self._over_limit(entry, deadline)
            )
        logger.error("refused and no fallback_requester", extra={"reference": entry.reference})
        return self._write(entry, transitions.changed(entry, due_at=None))

    def _over_limit(self, entry: Entry, deadline: Deadline) -> Entry | None:
        """Add a handoff past its person's bound to their open ticket, or make it a ticket once there is a place."""
        now, delivery = self._now(), self.delivery
        taken = self._take(entry, State.NOT_CREATED, over_limit=True)
        if taken is None:
            return None
        email = Handoff.from_json(entry.handoff).user_email
        try:
            ticket_id = delivery.helpdesk(entry).open_ticket_of(email, deadline, since=now - OPEN_TICKET_WITHIN_S)
        except FreshdeskError as error:
            until = now + transitions.backoff_s(taken.attempts, delivery.jitter())
            return self._write(taken, transitions.changed(taken, due_at=until, error=f"look: {error}"))
        if ticket_id is not None:
            return delivery.add_note(taken, replace(taken, ticket_id=ticket_id), ONE_OF_MANY, deadline)
        if delivery.take_slot(taken):
            taken = self._take(taken, State.NOT_CREATED, over_limit=False)
            return self._create(taken, deadline) if taken else None
        return self._write(taken, transitions.changed(taken, due_at=now + WAIT_FOR_ANOTHER_S))

    def _note(self, entry: Entry, deadline: Deadline) -> Entry | None:
        """Add new words to the ticket of their handoff, once that has one."""
        rowed = self.delivery.ledger.find(entry.reference, now=self._now())
        parent = next((one for one in rowed if entry.entry.startswith(f"{one.entry}#")), None)
        if parent is None or parent.ticket_id is None:
            return self._write(entry, transitions.changed(entry, due_at=self._now() + WAIT_FOR_ANOTHER_S))
        taken = self._take(entry, State.CREATING)
        return self.delivery.add_note(taken, parent, NEW_WORDS, deadline) if taken else None

    def give_up(self, entry: Entry) -> Entry | None:
        """Give up a row whose time is over, loudly; None where it is not, or another has taken the row."""
        failed = transitions.given_up(entry, owner=self.delivery.new_owner())
        after = self._write(entry, failed) if self._now() >= entry.give_up_at else None
        if after is not None:
            told = {"reference": entry.reference, "error": entry.error, "attempts": entry.attempts}
            logger.error("given up", extra=told)
        return after

    def _overdue(self, entry: Entry) -> bool:
        """Tell whether the row has been waiting for a sweep that did not run: it must have its chance first."""
        return entry.due_at is not None and self._now() - entry.due_at > OVERDUE_S

    def _take(self, entry: Entry, state: State, **changes: object) -> Entry | None:
        """Hold the row for a lease; None where another was quicker."""
        due_at = self._now() + self.delivery.policy.lease_s
        mine = self.delivery.new_owner()
        return self._write(entry, transitions.changed(entry, state=state, owner=mine, due_at=due_at, **changes))

    def _write(self, old: Entry, new: Entry) -> Entry | None:
        """Write new over old, firmly: one lost answer of the ledger must not end the pass."""
        delivery = self.delivery
        return new if delivery.with_retries(lambda: delivery.ledger.replace(old, new), delivery.deadline()) else None

    def _now(self) -> float:
        return self.delivery.clock.now()
