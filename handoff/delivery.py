"""The rule, live: claim → create → settle. Doubt is remembered, and nothing is posted twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast

from freshdesk_client import FreshdeskError
from handoff import transitions
from handoff.deadline import Clock, Deadline
from handoff.helpdesk import LOOK_PAUSE_S, Attempt, BadAddress, HelpDesk, InDoubt, Made, NotMade
from handoff.inbound import Handoff
from handoff.ledger import Claim, Entry, Ledger, LedgerUnavailable, State
from handoff.log import log_entry
from handoff.responses import Outcome, Status
from handoff.routing import MAIN_ACCOUNT, Route, Routing
from handoff.ticket import to_note, to_ticket
from handoff.transitions import Policy

logger = logging.getLogger("handoff.delivery")

LEDGER_PAUSES_S: Final = (0.05, 0.2, 0.5)
LEDGER_PATIENCE_S: Final = 2.0  # a store that hangs must leave Freshdesk the better part of the deadline
WITHOUT_MEMORY_S: Final = 86_400.0
NEW_WORDS: Final = "La persona (o el bot) mandó otra vez este pedido, con otras palabras:"
REFUSED_BEFORE: Final = "Antes, en la misma conversación, el bot mandó esto con datos que no servían:"
SENT_AGAIN: Final = "Este pedido llegó otra vez mientras no se podía consultar el registro. Por las dudas, entero:"
ONE_OF_MANY: Final = "Otro pedido de la misma persona, que ya mandó varios en la última hora:"

T = TypeVar("T")


class NothingKept(Exception):
    """Neither the ledger nor Freshdesk took the handoff; the caller must send it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Delivers handoffs, each as one ticket. Safe to share between threads."""

    helpdesks: Mapping[str, HelpDesk]
    ledger: Ledger
    routing: Routing
    clock: Clock
    new_owner: Callable[[], str]
    jitter: Callable[[], float]  # 0.0 ≤ jitter() < 1.0
    policy: Policy

    def deliver(self, handoff: Handoff) -> Outcome:
        """Make the handoff one ticket, or remember that it must become one.

        Raises:
            NothingKept: it could be neither delivered nor kept.
        """
        deadline = self.deadline()
        fresh = self._fresh(handoff)
        claim: Claim | None = None
        with suppress(LedgerUnavailable):
            claim = self._claim(fresh, deadline)
        if claim is None:  # not in an `except`: a refused connection to the ledger must not colour Freshdesk's errors
            return self._without_memory(handoff, fresh, deadline)
        if not claim.mine:
            return self._repeated(handoff, claim.entry, fresh, deadline)
        return self._made(fresh, deadline, over_limit=claim.over_limit)

    def keep_refused(self, salvaged: Handoff) -> str:
        """Keep what there is of a refused handoff, and return its reference.

        Raises:
            NothingKept: the ledger is down.
        """
        deadline = self.deadline()
        fresh = self._fresh(salvaged)
        try:
            refused = transitions.quarantined(fresh, now=self.clock.now(), policy=self.policy)
            claim = self._claim(refused, deadline)
            kept = claim.mine or self._refused_again(claim.entry, refused, deadline)
            if not kept and claim.entry.fingerprint != fresh.fingerprint:
                self._claim(transitions.noted(fresh, claim.entry), deadline)
        except LedgerUnavailable as error:
            raise NothingKept from error
        log_entry(claim.entry, "rejected", deadline)
        return salvaged.reference

    def look_up(self, reference: str) -> Outcome | None:
        """Return what became of the handoff with this reference, or None.

        Raises:
            NothingKept: the ledger is down, so nothing can be said.
        """
        try:
            found = self.with_retries(lambda: self.ledger.find(reference, now=self.clock.now()), self.deadline())
        except LedgerUnavailable as error:
            raise NothingKept from error
        handoffs = [entry for entry in found if not entry.is_note]
        return self.outcome(handoffs[0], Status.of(handoffs[0])) if handoffs else None

    def create(self, entry: Entry, deadline: Deadline) -> Entry:
        """Post a ticket for a row in `creating` that the caller holds, and settle the row."""
        handoff = Handoff.from_json(entry.handoff)
        attempt = self._attempt(handoff, entry, deadline)
        if isinstance(attempt, BadAddress) and not getattr(handoff, f"user_{attempt.field}"):
            attempt = NotMade(f"refused: fallback_requester: {attempt.field}", alarming=True)
        if isinstance(attempt, NotMade) and attempt.alarming:
            logger.error("refused", extra={"reference": entry.reference, "error": attempt.error})
        return self.settle(entry, self.after(entry, attempt), deadline)

    def add_note(self, entry: Entry, holder: Entry, why: str, deadline: Deadline) -> Entry:
        """Add a row's words to the ticket that holder has as a private note, at least once, and settle the row."""
        handoff = Handoff.from_json(entry.handoff)
        html = to_note(handoff, self._route(handoff), why)
        ticket_id = cast("int", holder.ticket_id)
        after = replace(self.after(entry, Made(ticket_id)), account=holder.account)
        try:
            self.helpdesk(holder).add_note(ticket_id, html, deadline)
        except FreshdeskError as error:
            until = self.clock.now() + transitions.backoff_s(entry.attempts, self.jitter())
            after = transitions.unmade(entry, until=until, error=f"note: {error}")
        return self.settle(entry, after, deadline)

    def after(self, entry: Entry, attempt: Attempt) -> Entry:
        """Return the row as the attempt leaves it."""
        return transitions.settled(entry, attempt, now=self.clock.now(), jitter=self.jitter(), policy=self.policy)

    def settle(self, old: Entry, new: Entry, deadline: Deadline) -> Entry:
        """Write new over old. Where that fails the old row stands, is due when its lease ends, and is looked into."""
        try:
            if not self.with_retries(lambda: self.ledger.replace(old, new), deadline):
                logger.warning("settled by another", extra={"reference": old.reference, "outcome": new.state})
        except LedgerUnavailable:
            logger.error("ledger down while settling", extra={"reference": old.reference, "outcome": new.state})
        return new

    def outcome(self, entry: Entry, status: Status, *, new_words: bool = False) -> Outcome:
        """Return what to tell of a row."""
        dropped = entry.error.removeprefix("without: ").split(", ") if entry.error.startswith("without: ") else ()
        return Outcome(
            status=status,
            reference=entry.reference,
            ticket_id=entry.ticket_id,
            ticket_url=self.helpdesk(entry).ticket_url(entry.ticket_id) if entry.ticket_id else "",
            group=entry.group,
            priority=entry.priority,
            language=entry.language,
            dropped=tuple(dropped),
            new_words=new_words,
            bad_field=entry.error.removeprefix("refused: ") if status is Status.REJECTED else "",
        )

    def helpdesk(self, entry: Entry) -> HelpDesk:
        """Return the help desk of a row; one whose desk is no longer in the routing belongs to the main one."""
        return self.helpdesks.get(entry.account) or self.helpdesks[MAIN_ACCOUNT]

    def requester(self, handoff: Handoff) -> str:
        """Return the address its ticket is filed under; "" where there is only a telephone."""
        return handoff.user_email or ("" if handoff.user_phone else self.routing.fallback_requester)

    def take_slot(self, entry: Entry) -> bool:
        """Take a place of the hour of the row's person, if there is one left. Raises LedgerUnavailable."""
        now, bound = self.clock.now(), self.policy.tickets_an_hour
        return self.ledger.take_slot(entry.person, now=now, tickets_an_hour=bound)

    def deadline(self) -> Deadline:
        """Begin a call's time."""
        return Deadline(self.clock, self.policy.deadline_s)

    def _fresh(self, handoff: Handoff) -> Entry:
        owner, now = self.new_owner(), self.clock.now()
        return transitions.claimed(handoff, self._route(handoff), owner=owner, now=now, policy=self.policy)

    def _route(self, handoff: Handoff) -> Route:
        return self.routing.route(handoff.bot, handoff.category)

    def _claim(self, entry: Entry, deadline: Deadline) -> Claim:
        bound = self.policy.tickets_an_hour
        return self.with_retries(
            lambda: self.ledger.claim(entry, now=self.clock.now(), tickets_an_hour=bound), deadline
        )

    def _repeated(self, handoff: Handoff, standing: Entry, fresh: Entry, deadline: Deadline) -> Outcome:
        """Answer a handoff that has a row already; words it did not have become a note."""
        if transitions.is_refused(standing):
            return self._corrected(standing, fresh, deadline)
        new_words = standing.fingerprint != handoff.fingerprint
        if new_words:
            self._keep_words(standing, transitions.noted(fresh, standing), deadline)
        if standing.state is State.FAILED:
            again = transitions.reopened(standing, now=self.clock.now(), policy=self.policy)
            standing = self.settle(standing, again, deadline)
        status = Status.DUPLICATE if standing.state is State.CREATED else Status.QUEUED
        return self._told(standing, deadline, status, new_words=new_words)

    def _corrected(self, standing: Entry, fresh: Entry, deadline: Deadline) -> Outcome:
        new = transitions.corrected(standing, fresh)
        try:
            placed = self.with_retries(lambda: self.take_slot(new), deadline)
            mine = self.with_retries(lambda: self.ledger.replace(standing, new), deadline)
        except LedgerUnavailable as error:
            raise NothingKept from error
        if mine:
            return self._made(new, deadline, over_limit=not placed)
        self._keep_words(
            standing, transitions.noted(fresh, standing), deadline
        )  # the sweep has just taken up the refused one
        return self._told(standing, deadline, Status.QUEUED, new_words=True)

    def _keep_words(self, standing: Entry, note: Entry, deadline: Deadline) -> None:
        """Keep new words as a note; it goes out now if the ticket is there, else with the sweep."""
        try:
            claim = self._claim(note, deadline)
        except LedgerUnavailable as error:
            raise NothingKept from error
        if claim.mine and standing.ticket_id is not None:
            self.add_note(note, standing, NEW_WORDS, deadline)

    def _refused_again(self, standing: Entry, refused: Entry, deadline: Deadline) -> bool:
        if not transitions.is_refused(standing):
            return False
        return self.with_retries(
            lambda: self.ledger.replace(standing, transitions.refused_again(standing, refused)), deadline
        )

    def _made(self, entry: Entry, deadline: Deadline, *, over_limit: bool) -> Outcome:
        """Make the ticket of a row that the caller holds; past the person's bound, leave it to the sweep."""
        if not over_limit:
            return self._posted(self.create(entry, deadline), deadline)
        aside = transitions.changed(
            entry, state=State.NOT_CREATED, due_at=self.clock.now(), over_limit=True, error="crowded"
        )
        return self._told(self.settle(entry, aside, deadline), deadline, Status.QUEUED)

    def _attempt(self, handoff: Handoff, entry: Entry, deadline: Deadline, *, hold_back: bool = True) -> Attempt:
        """Post; where the answer is lost, look for the ticket it may have left behind."""
        route, fallback = self._route(handoff), self.routing.fallback_requester

        def render(dropped: frozenset[str]) -> dict[str, Any]:
            return to_ticket(handoff, route, dropped=dropped, refused=entry.refused, fallback_requester=fallback)

        attempt = self.helpdesk(entry).create(render, deadline, hold_back=hold_back)
        return self._looked_once(handoff, entry, attempt, deadline) if isinstance(attempt, InDoubt) else attempt

    def _looked_once(self, handoff: Handoff, entry: Entry, doubt: InDoubt, deadline: Deadline) -> Attempt:
        if not deadline.pause(LOOK_PAUSE_S, keep=LOOK_PAUSE_S):
            return doubt
        email, since = self.requester(handoff), entry.look_from
        try:
            found = self.helpdesk(entry).look(handoff.reference, deadline, email=email, since=since, everywhere=False)
        except FreshdeskError:
            return doubt
        return Made(found) if found else doubt

    def _without_memory(self, handoff: Handoff, fresh: Entry, deadline: Deadline) -> Outcome:
        """The ledger is down and the person comes first: look, then one POST."""
        logger.error("ledger down", extra={"reference": handoff.reference})
        since = self.clock.now() - WITHOUT_MEMORY_S
        helpdesk = self.helpdesk(fresh)
        try:
            email = self.requester(handoff)
            found = helpdesk.look(handoff.reference, deadline, email=email, since=since, everywhere=False)
            if found:  # whether it has other words this time, only the ledger knows
                helpdesk.add_note(found, to_note(handoff, self._route(handoff), SENT_AGAIN), deadline)
                return self._told(transitions.changed(fresh, ticket_id=found), deadline, Status.DUPLICATE)
        except FreshdeskError as error:
            raise NothingKept from error
        attempt = self._attempt(handoff, fresh, deadline, hold_back=False)  # it cannot be kept for later
        after = self.after(fresh, attempt)
        try:
            self._claim(after, deadline)  # it may be there again: what is kept now is not made a second time later
        except LedgerUnavailable:
            if not isinstance(attempt, Made):  # a refused address, too: what is not kept is not refused as if it were
                raise NothingKept from None
        return self._posted(after, deadline)

    def _posted(self, entry: Entry, deadline: Deadline) -> Outcome:
        told = {State.CREATED: Status.CREATED, State.REJECTED: Status.REJECTED}
        return self._told(entry, deadline, told.get(entry.state, Status.QUEUED))

    def _told(self, entry: Entry, deadline: Deadline, status: Status, *, new_words: bool = False) -> Outcome:
        log_entry(entry, status, deadline)
        return self.outcome(entry, status, new_words=new_words)

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
