"""What a row that is due needs, one row at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

from freshdesk_client import FreshdeskError, Requester
from handoff import transitions
from handoff.deadline import Deadline
from handoff.delivery import NEW_WORDS
from handoff.file_delivery import FILE_DEADLINE_S, bring_file
from handoff.inbound import Handoff
from handoff.ledger import Cause, Entry, State
from handoff.log import log_entry
from handoff.pagination import TooManyPages
from handoff.ticket import Rung
from handoff.transitions import Created
from handoff.writer import FALLBACK_SLOT, TicketWriter

logger = logging.getLogger("handoff.recovery")

WAIT_FOR_ANOTHER_S: Final = 300.0
OVERDUE_S: Final = 1800.0  # longer than any back-off
OPEN_TICKET_WITHIN_S: Final = 30 * 86_400.0
REFUSED_BEFORE: Final = "Antes, en la misma conversación, el bot mandó esto con datos que no servían:"
ONE_OF_MANY: Final = "Otro pedido de la misma persona, que ya mandó varios en la última hora:"


class Found(NamedTuple):
    """What a look found, and when the look began: a ticket written later cannot have been seen."""

    ticket_id: int | None
    looked_at: float


class Look(Protocol):
    """Finds the ticket that a row in doubt may have left behind."""

    def __call__(self, entry: Entry, deadline: Deadline) -> Found:
        """Look for entry's ticket. Raises FreshdeskError if nothing can be said."""
        ...


def _settles(good: Entry, refused: Entry) -> bool:
    """Return True if good, of the same conversation, is what refused should have been.

    A person who is known is settled only by a handoff of their own: others may write in the same conversation. One
    whose address Freshdesk refused is not known.
    """
    if good.refused or good.is_note or good.created_at < refused.created_at:
        return False
    if refused.person and not refused.refused_field:
        return refused.person == good.person
    if not refused.identity:
        return True  # a row of 1.0.0, which kept no more than the conversation
    return bool(refused.matter and refused.matter == good.matter) or bool(refused.named and refused.named == good.named)


@dataclass(frozen=True, slots=True)
class LookByAddress:
    """Looks through the tickets of the row's own requester, spam and deleted ones too."""

    writer: TicketWriter

    def __call__(self, entry: Entry, deadline: Deadline) -> Found:
        """Look for entry's ticket; see `Look`."""
        writer = self.writer
        requester = writer.requester(Handoff.from_json(entry.handoff)) if entry.handoff else Requester()
        looked_at, others = writer.clock.now(), writer.tickets_of_others(entry)
        found = writer.helpdesk(entry).look(
            entry.reference, deadline, requester=requester, since=entry.look_from, everywhere=True, besides=others
        )
        return Found(found, looked_at)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Takes a due row and brings it on. Any number of these may run at once."""

    writer: TicketWriter

    def advance(self, entry: Entry, look: Look, *, within_s: float = FILE_DEADLINE_S) -> Entry | None:
        """Do what entry needs now; return how it stands, or None if another has taken it.

        Raises:
            LedgerUnavailable: the ledger did not answer.
        """
        deadline = self.writer.deadline()
        if entry.state is State.FAILED or (self._now() >= entry.give_up_at and not self._is_overdue(entry)):
            return self._give_up(entry)
        after = self._advanced(entry, look, deadline, within_s)
        if after is not None:
            log_entry(after, after.state, deadline)
        return after

    def _give_up(self, entry: Entry) -> Entry | None:
        """Stop trying, and log an error every day: only a person reopens or discards a row without a ticket."""
        due_at = self._now() + transitions.REMIND_S
        after = self.writer.write(entry, transitions.given_up(entry, owner=self.writer.new_owner(), due_at=due_at))
        if after is not None:
            fields = {"reference": entry.reference, "error": entry.error, "attempts": entry.attempts}
            logger.error("given up", extra=fields)
        return after

    def back_off(self, entry: Entry) -> None:
        """Let a row wait after an error of our own; doubt stays doubt. Raises LedgerUnavailable."""
        doubt = transitions.doubt_of(entry)
        state = State.IN_DOUBT if entry.state is State.CREATING and not entry.is_note else entry.state
        until = self.writer.retry_at(entry)
        waiting = {"state": state, "due_at": until, "doubt_since": doubt, "attempts": entry.attempts + 1}
        self.writer.ledger.replace(entry, transitions.changed(entry, **waiting))

    def _advanced(self, entry: Entry, look: Look, deadline: Deadline, within_s: float) -> Entry | None:
        if entry.is_file:
            return bring_file(self.writer, entry, within_s)
        if entry.is_note:
            return self._add_note(entry, deadline)
        if not entry.handoff and entry.state not in {State.CREATING, State.IN_DOUBT}:
            return self._give_up(entry)  # `ops.py forget` took the words
        if entry.state is State.REJECTED:
            return self._replace_refused(entry, deadline)
        if entry.state in {State.CREATING, State.IN_DOUBT}:
            return self._settle_doubt(entry, look, deadline)
        return self._join_open_ticket(entry, deadline) if entry.over_limit else self._create(entry, deadline)

    def _create(self, entry: Entry, deadline: Deadline, **changes: object) -> Entry | None:
        """Post it where its route leads now: the routing may have changed since the row was written."""
        handoff = Handoff.from_json(entry.handoff)
        routed = transitions.routed_to(self.writer.route(handoff))
        changed: dict[str, Any] = {**changes, **routed}
        taken = self.writer.take(entry, State.CREATING, **changed)
        return self.writer.create_ticket(taken, handoff, deadline) if taken else None

    def _settle_doubt(self, entry: Entry, look: Look, deadline: Deadline) -> Entry | None:
        """Look first; post again only if the look began later than anything could still be written."""
        writer, doubt_since = self.writer, transitions.doubt_of(entry)
        doubt_since = entry.created_at if doubt_since is None else doubt_since
        settled_at = doubt_since + writer.policy.in_doubt_wait_s
        taken = self.writer.take(entry, State.IN_DOUBT, doubt_since=doubt_since)
        if taken is None:
            return None
        try:
            found = look(taken, deadline)
        except FreshdeskError as error:
            if isinstance(error, TooManyPages):  # nothing is posted while the list's end is out of reach
                logger.error("list too long", extra={"reference": entry.reference})
            until = writer.retry_at(taken)
            until = min(until, settled_at) if self._now() < settled_at else until  # the one moment not to sleep through
            after = transitions.postponed(taken, until=until, cause=Cause.IN_DOUBT, error=f"look: {error}")
            return writer.settle(taken, after, deadline)
        if found.ticket_id is not None:
            return writer.settle(taken, writer.after(taken, Created(found.ticket_id)), deadline)
        if found.looked_at < settled_at:
            after = transitions.postponed(taken, until=settled_at, cause=Cause.WAITING, error="waiting")
            return writer.settle(taken, after, deadline)
        if not taken.handoff:
            return self._give_up(transitions.undoubted(taken))
        return self._create(taken, deadline, clear_until=found.looked_at, rung=self._rung_after_doubt(taken))

    def _rung_after_doubt(self, entry: Entry) -> int:
        """Return how plain the next ticket is: a text that is answered 500 again and again is offered plainer."""
        if self._now() < entry.created_at + self.writer.policy.plainer_after_s:
            return entry.rung
        logger.warning("offered plainer", extra={"reference": entry.reference, "error": entry.error})
        return min(entry.rung + 1, Rung.FALLBACK_REQUESTER)

    def _replace_refused(self, entry: Entry, deadline: Deadline) -> Entry | None:
        """Leave a refused handoff to a later good one of its conversation; else make a ticket of what there is."""
        now, writer = self._now(), self.writer
        others = writer.ledger.in_conversation(entry.conversation, now=now)
        later = [one for one in others if _settles(one, entry)]
        made = [one for one in later if one.ticket_id is not None]
        handoff = Handoff.from_json(entry.handoff)
        if made:
            taken = self.writer.take(entry, State.REJECTED)
            return writer.add_note(taken, handoff, made[0], REFUSED_BEFORE, deadline) if taken else None
        if later:
            return self.writer.write(entry, transitions.changed(entry, due_at=now + WAIT_FOR_ANOTHER_S))
        somebody = handoff.user_email or handoff.user_phone or handoff.user_id
        if somebody or writer.routing.fallback_requester:
            has_slot = writer.take_slot(entry)
            return self._create(entry, deadline) if has_slot else self._join_open_ticket(entry, deadline)
        logger.error("refused and no fallback_requester", extra={"reference": entry.reference})
        return self.writer.write(
            entry, transitions.changed(entry, cause=Cause.ACCOUNT, due_at=now + transitions.REMIND_S)
        )

    def _join_open_ticket(self, entry: Entry, deadline: Deadline) -> Entry | None:
        """Add a handoff past its person's limit to their open ticket, or make it a ticket once there is a slot."""
        now, writer = self._now(), self.writer
        taken = self.writer.take(entry, State.NOT_CREATED, over_limit=True)
        if taken is None:
            return None
        handoff = Handoff.from_json(entry.handoff)
        try:
            since = now - OPEN_TICKET_WITHIN_S
            requester = writer.requester(handoff)  # what is filed under the fallback requester joins its open ticket
            ticket_id = writer.helpdesk(entry).open_ticket_of(requester, deadline, since=since)
            holder = replace(taken, ticket_id=ticket_id) if ticket_id else self._of_the_same_hour(taken, deadline)
        except FreshdeskError as error:
            until = now + transitions.backoff_s(taken.attempts, writer.jitter())
            failed = transitions.unmade(taken, until=until, cause=Cause.UNAVAILABLE, error=f"look: {error}")
            return self.writer.write(taken, failed)
        if holder is not None:
            return writer.add_note(taken, handoff, holder, ONE_OF_MANY, deadline)
        if writer.take_slot(taken):
            taken = self.writer.take(taken, State.NOT_CREATED, over_limit=False)
            return self._create(taken, deadline) if taken else None
        waiting = transitions.changed(taken, due_at=now + WAIT_FOR_ANOTHER_S, cause=Cause.WAITING)
        return self.writer.write(taken, waiting)

    def _of_the_same_hour(self, entry: Entry, deadline: Deadline) -> Entry | None:
        """Return the row of an open ticket of entry's mailbox: Freshdesk cannot be asked for all its `+tag` addresses.

        Raises:
            FreshdeskError: nobody knows whether a ticket is open.
        """
        rows = self.writer.ledger.with_slot(entry.limited_by or FALLBACK_SLOT, now=self._now())
        made = ((row, row.ticket_id) for row in reversed(rows) if row.ticket_id is not None)
        return next((row for row, number in made if self.writer.helpdesk(row).is_open(number, deadline)), None)

    def _add_note(self, entry: Entry, deadline: Deadline) -> Entry | None:
        """Add new words to the ticket of their handoff, once that has one."""
        rows = self.writer.ledger.find(entry.reference, now=self._now())
        parent = next((one for one in rows if entry.entry.startswith(f"{one.entry}#")), None)
        if parent is None or parent.ticket_id is None:
            return self.writer.write(entry, transitions.changed(entry, due_at=self._now() + WAIT_FOR_ANOTHER_S))
        taken = self.writer.take(entry, State.CREATING)
        handoff = Handoff.from_json(entry.handoff)
        return self.writer.add_note(taken, handoff, parent, NEW_WORDS, deadline) if taken else None

    def _is_overdue(self, entry: Entry) -> bool:
        """Return True if the row has been waiting for a sweep that did not run: it must have its chance first."""
        return entry.due_at is not None and self._now() - entry.due_at > OVERDUE_S

    def _now(self) -> float:
        return self.writer.clock.now()
