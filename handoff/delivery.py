"""The rule, live: claim → create → settle. Doubt is remembered, and nothing is posted twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast

from freshdesk_client import FreshdeskError
from handoff import transitions
from handoff.deadline import Clock, Turn
from handoff.helpdesk import LOOK_PAUSE_S, Attempt, BadAddress, Desk, InDoubt, Made, NotMade
from handoff.inbound import Handoff
from handoff.ledger import Claim, Entry, Ledger, LedgerUnavailable, State
from handoff.log import log_entry
from handoff.responses import Outcome, Status
from handoff.routing import MAIN_DESK, Route, Routing
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

    desks: Mapping[str, Desk]
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
        turn = self.turn()
        fresh = self._fresh(handoff)
        claim: Claim | None = None
        with suppress(LedgerUnavailable):
            claim = self._claim(fresh, turn)
        if claim is None:  # not in an `except`: a refused connection to the ledger must not colour Freshdesk's errors
            return self._without_memory(handoff, fresh, turn)
        if not claim.mine:
            return self._repeated(handoff, claim.entry, fresh, turn)
        return self._made(fresh, turn, crowded=claim.crowded)

    def keep_refused(self, salvaged: Handoff) -> str:
        """Keep what there is of a refused handoff, and return its reference.

        Raises:
            NothingKept: the ledger is down.
        """
        turn = self.turn()
        fresh = self._fresh(salvaged)
        try:
            refused = transitions.quarantined(fresh, now=self.clock.now(), policy=self.policy)
            claim = self._claim(refused, turn)
            kept = claim.mine or self._refused_again(claim.entry, refused, turn)
            if not kept and claim.entry.fingerprint != fresh.fingerprint:
                self._claim(transitions.noted(fresh, claim.entry), turn)
        except LedgerUnavailable as error:
            raise NothingKept from error
        log_entry(claim.entry, "rejected", turn)
        return salvaged.reference

    def look_up(self, reference: str) -> Outcome | None:
        """Return what became of the handoff with this reference, or None.

        Raises:
            NothingKept: the ledger is down, so nothing can be said.
        """
        try:
            found = self.firmly(lambda: self.ledger.find(reference, now=self.clock.now()), self.turn())
        except LedgerUnavailable as error:
            raise NothingKept from error
        handoffs = [entry for entry in found if not entry.is_note]
        return self.outcome(handoffs[0], Status.of(handoffs[0])) if handoffs else None

    def create(self, entry: Entry, turn: Turn) -> Entry:
        """Post a ticket for a row in `creating` that the caller holds, and settle the row."""
        handoff = Handoff.from_json(entry.handoff)
        attempt = self._attempt(handoff, entry, turn)
        if isinstance(attempt, BadAddress) and not getattr(handoff, f"user_{attempt.field}"):
            attempt = NotMade(f"refused: fallback_requester: {attempt.field}", alarming=True)
        if isinstance(attempt, NotMade) and attempt.alarming:
            logger.error("refused", extra={"reference": entry.reference, "error": attempt.error})
        return self.settle(entry, self.after(entry, attempt), turn)

    def add_note(self, entry: Entry, holder: Entry, why: str, turn: Turn) -> Entry:
        """Add a row's words to the ticket that holder has as a private note, at least once, and settle the row."""
        handoff = Handoff.from_json(entry.handoff)
        html = to_note(handoff, self._route(handoff), why)
        ticket_id = cast("int", holder.ticket_id)
        after = replace(self.after(entry, Made(ticket_id)), desk=holder.desk)
        try:
            self.desk(holder).add_note(ticket_id, html, turn)
        except FreshdeskError as error:
            until = self.clock.now() + transitions.backoff_s(entry.attempts, self.jitter())
            after = transitions.unmade(entry, until=until, error=f"note: {error}")
        return self.settle(entry, after, turn)

    def after(self, entry: Entry, attempt: Attempt) -> Entry:
        """Return the row as the attempt leaves it."""
        return transitions.settled(entry, attempt, now=self.clock.now(), jitter=self.jitter(), policy=self.policy)

    def settle(self, old: Entry, new: Entry, turn: Turn) -> Entry:
        """Write new over old. Where that fails the old row stands, is due when its lease ends, and is looked into."""
        try:
            if not self.firmly(lambda: self.ledger.replace(old, new), turn):
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
            ticket_url=self.desk(entry).ticket_url(entry.ticket_id) if entry.ticket_id else "",
            group=entry.group,
            priority=entry.priority,
            language=entry.language,
            dropped=tuple(dropped),
            new_words=new_words,
            bad_field=entry.error.removeprefix("refused: ") if status is Status.REJECTED else "",
        )

    def desk(self, entry: Entry) -> Desk:
        """Return the help desk of a row; one whose desk is no longer in the routing belongs to the main one."""
        return self.desks.get(entry.desk) or self.desks[MAIN_DESK]

    def requester(self, handoff: Handoff) -> str:
        """Return the address its ticket is filed under; "" where there is only a telephone."""
        return handoff.user_email or ("" if handoff.user_phone else self.routing.fallback_requester)

    def take_place(self, entry: Entry) -> bool:
        """Take a place of the hour of the row's person, if there is one left. Raises LedgerUnavailable."""
        now, bound = self.clock.now(), self.policy.tickets_an_hour
        return self.ledger.take_place(entry.person, now=now, tickets_an_hour=bound)

    def turn(self) -> Turn:
        """Begin a call's time."""
        return Turn(self.clock, self.policy.deadline_s)

    def _fresh(self, handoff: Handoff) -> Entry:
        owner, now = self.new_owner(), self.clock.now()
        return transitions.claimed(handoff, self._route(handoff), owner=owner, now=now, policy=self.policy)

    def _route(self, handoff: Handoff) -> Route:
        return self.routing.route(handoff.bot, handoff.category)

    def _claim(self, entry: Entry, turn: Turn) -> Claim:
        bound = self.policy.tickets_an_hour
        return self.firmly(lambda: self.ledger.claim(entry, now=self.clock.now(), tickets_an_hour=bound), turn)

    def _repeated(self, handoff: Handoff, standing: Entry, fresh: Entry, turn: Turn) -> Outcome:
        """Answer a handoff that has a row already; words it did not have become a note."""
        if transitions.is_refused(standing):
            return self._corrected(standing, fresh, turn)
        new_words = standing.fingerprint != handoff.fingerprint
        if new_words:
            self._keep_words(standing, transitions.noted(fresh, standing), turn)
        if standing.state is State.FAILED:
            again = transitions.reopened(standing, now=self.clock.now(), policy=self.policy)
            standing = self.settle(standing, again, turn)
        status = Status.DUPLICATE if standing.state is State.CREATED else Status.QUEUED
        return self._told(standing, turn, status, new_words=new_words)

    def _corrected(self, standing: Entry, fresh: Entry, turn: Turn) -> Outcome:
        new = transitions.corrected(standing, fresh)
        try:
            placed = self.firmly(lambda: self.take_place(new), turn)
            mine = self.firmly(lambda: self.ledger.replace(standing, new), turn)
        except LedgerUnavailable as error:
            raise NothingKept from error
        if mine:
            return self._made(new, turn, crowded=not placed)
        self._keep_words(
            standing, transitions.noted(fresh, standing), turn
        )  # the sweep has just taken up the refused one
        return self._told(standing, turn, Status.QUEUED, new_words=True)

    def _keep_words(self, standing: Entry, note: Entry, turn: Turn) -> None:
        """Keep new words as a note; it goes out now if the ticket is there, else with the sweep."""
        try:
            claim = self._claim(note, turn)
        except LedgerUnavailable as error:
            raise NothingKept from error
        if claim.mine and standing.ticket_id is not None:
            self.add_note(note, standing, NEW_WORDS, turn)

    def _refused_again(self, standing: Entry, refused: Entry, turn: Turn) -> bool:
        if not transitions.is_refused(standing):
            return False
        return self.firmly(lambda: self.ledger.replace(standing, transitions.refused_again(standing, refused)), turn)

    def _made(self, entry: Entry, turn: Turn, *, crowded: bool) -> Outcome:
        """Make the ticket of a row that the caller holds; past the person's bound, leave it to the sweep."""
        if not crowded:
            return self._posted(self.create(entry, turn), turn)
        aside = transitions.changed(
            entry, state=State.NOT_CREATED, due_at=self.clock.now(), crowded=True, error="crowded"
        )
        return self._told(self.settle(entry, aside, turn), turn, Status.QUEUED)

    def _attempt(self, handoff: Handoff, entry: Entry, turn: Turn, *, hold_back: bool = True) -> Attempt:
        """Post; where the answer is lost, look for the ticket it may have left behind."""
        route, fallback = self._route(handoff), self.routing.fallback_requester

        def render(dropped: frozenset[str]) -> dict[str, Any]:
            return to_ticket(handoff, route, dropped=dropped, refused=entry.refused, fallback_requester=fallback)

        attempt = self.desk(entry).create(render, turn, hold_back=hold_back)
        return self._looked_once(handoff, entry, attempt, turn) if isinstance(attempt, InDoubt) else attempt

    def _looked_once(self, handoff: Handoff, entry: Entry, doubt: InDoubt, turn: Turn) -> Attempt:
        if not turn.pause(LOOK_PAUSE_S, keep=LOOK_PAUSE_S):
            return doubt
        email, since = self.requester(handoff), entry.look_from
        try:
            found = self.desk(entry).look(handoff.reference, turn, email=email, since=since, everywhere=False)
        except FreshdeskError:
            return doubt
        return Made(found) if found else doubt

    def _without_memory(self, handoff: Handoff, fresh: Entry, turn: Turn) -> Outcome:
        """The ledger is down and the person comes first: look, then one POST."""
        logger.error("ledger down", extra={"reference": handoff.reference})
        since = self.clock.now() - WITHOUT_MEMORY_S
        desk = self.desk(fresh)
        try:
            email = self.requester(handoff)
            found = desk.look(handoff.reference, turn, email=email, since=since, everywhere=False)
            if found:  # whether it has other words this time, only the ledger knows
                desk.add_note(found, to_note(handoff, self._route(handoff), SENT_AGAIN), turn)
                return self._told(transitions.changed(fresh, ticket_id=found), turn, Status.DUPLICATE)
        except FreshdeskError as error:
            raise NothingKept from error
        attempt = self._attempt(handoff, fresh, turn, hold_back=False)  # it cannot be kept for later
        after = self.after(fresh, attempt)
        try:
            self._claim(after, turn)  # it may be there again: what is kept now is not made a second time later
        except LedgerUnavailable:
            if not isinstance(attempt, Made):  # a refused address, too: what is not kept is not refused as if it were
                raise NothingKept from None
        return self._posted(after, turn)

    def _posted(self, entry: Entry, turn: Turn) -> Outcome:
        told = {State.CREATED: Status.CREATED, State.REJECTED: Status.REJECTED}
        return self._told(entry, turn, told.get(entry.state, Status.QUEUED))

    def _told(self, entry: Entry, turn: Turn, status: Status, *, new_words: bool = False) -> Outcome:
        log_entry(entry, status, turn)
        return self.outcome(entry, status, new_words=new_words)

    def firmly(self, call: Callable[[], T], turn: Turn) -> T:
        """Call the ledger, again if it fails: its writes are safe to repeat, and one lost answer is no outage."""
        patient_until_s = turn.spent_s + LEDGER_PATIENCE_S
        for pause_s in LEDGER_PAUSES_S:
            try:
                return call()
            except LedgerUnavailable:
                if turn.spent_s > patient_until_s or not turn.pause(pause_s, keep=0.0):
                    raise
        return call()
