"""The live request: claim → create → settle. Doubt is remembered, and nothing is posted twice."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import BoundedSemaphore
from typing import Final

from freshdesk_client import FreshdeskError
from handoff import transitions
from handoff.deadline import Deadline
from handoff.identity import Identity, is_other_handoff
from handoff.inbound import Handoff, marker_of, reference_of
from handoff.ledger import Cause, Claim, Entry, LedgerUnavailable, State
from handoff.log import log_entry
from handoff.responses import Outcome, Status
from handoff.ticket import to_note
from handoff.transitions import Created, InDoubt
from handoff.writer import TicketWriter

logger = logging.getLogger("handoff.delivery")

POST_WAIT_S: Final = 1.0  # for another call's POST to end: longer than one takes while all is well
WITHOUT_LEDGER_S: Final = 86_400.0
NEW_WORDS: Final = "La persona (o el bot) mandó otra vez este pedido, con otras palabras:"
SENT_AGAIN: Final = "Este pedido llegó otra vez mientras no se podía consultar el registro. Por las dudas, entero:"


class AmbiguousReference(Exception):
    """Two handoffs share the reference, so nothing can be said of either without saying it of the other."""


class NothingKept(Exception):
    """Neither the ledger nor Freshdesk took the handoff; the caller must send it again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Delivers handoffs, each as one ticket. Safe to share between threads.

    `posts_at_once` counts the threads of the process that may wait for Freshdesk. It leaves a few to the callers who
    would otherwise wait until all those are done, and only then begin with a deadline of their own.
    """

    writer: TicketWriter
    posts_at_once: BoundedSemaphore | None = None

    def deliver(self, handoff: Handoff) -> Outcome:
        """Make the handoff one ticket, or remember that it must become one.

        Raises:
            NothingKept: it could be neither delivered nor kept.
        """
        deadline = self.writer.deadline()
        new, claim = self._new_row(handoff), None
        with suppress(LedgerUnavailable):
            handoff, new, claim = self._claim_handoff(handoff, deadline)
        if claim is None:  # outside the `except`, so that the ledger's error is no `__context__` of Freshdesk's
            return self._deliver_without_ledger(handoff, new, deadline)
        if not claim.mine:
            return self._repeat(handoff, claim.entry, new, deadline)
        if not claim.over_limit and (found := self._made_in_outage(new, handoff, deadline)):
            return found
        return self._create(new, handoff, deadline, over_limit=claim.over_limit)

    def keep_refused(self, salvaged: Handoff) -> str:
        """Keep what there is of a refused handoff, and return its reference.

        Raises:
            NothingKept: the ledger is down.
        """
        deadline = self.writer.deadline()
        try:
            salvaged = replace(salvaged, key=self._key_of_refused(salvaged, deadline))
            new = self._new_row(salvaged)
            refused = transitions.quarantined(new, now=self.writer.clock.now(), policy=self.writer.policy)
            claim = self._claim(refused, deadline)
            is_refused = claim.mine or transitions.is_refused(claim.entry)  # a call that died here left no marker
            if is_refused and not salvaged.conversation and salvaged.matter:
                marker = refused.alias(refused.name)
                key = marker_of(salvaged.matter)
                until = refused.created_at + self.writer.policy.refused_wait_s
                self._claim(replace(marker, reference=reference_of(key), entry=key, expires_at=until), deadline)
            kept = claim.mine or self._refuse_again(claim.entry, refused, deadline)
            if not kept and claim.entry.fingerprint != new.fingerprint:
                self._claim(transitions.noted(new, claim.entry), deadline)
        except LedgerUnavailable as error:
            raise NothingKept from error
        log_entry(claim.entry, Status.REJECTED, deadline)
        return salvaged.reference

    def look_up(self, reference: str) -> Outcome | None:
        """Return what became of the handoff with this reference, or None.

        Raises:
            AmbiguousReference: there are two such handoffs.
            NothingKept: the ledger is down, so nothing can be said.
        """
        writer = self.writer
        try:
            found = writer.with_retries(
                lambda: writer.ledger.find(reference, now=writer.clock.now()), writer.deadline()
            )
        except LedgerUnavailable as error:
            raise NothingKept from error
        handoffs = [row for row in found if not row.is_note]
        if len({row.entry for row in handoffs}) > 1:
            raise AmbiguousReference
        return self._outcome(handoffs[0], Status.of(handoffs[0])) if handoffs else None

    def _claim_handoff(self, handoff: Handoff, deadline: Deadline) -> tuple[Handoff, Entry, Claim]:
        """Claim the handoff under its key; under a key of its own where that one is another person's or bot's.

        Raises:
            LedgerUnavailable: the ledger is down.
        """
        key = self._key_of_refused(handoff, deadline)
        if key != handoff.key:  # the same matter was refused under another key: from now on both keys mean one handoff
            alias = self._new_row(handoff).alias(f"{reference_of(key)} {key}")
            self._claim(alias, deadline)
            handoff = replace(handoff, key=key)
        new = self._new_row(handoff)
        claim = self._claim(new, deadline)
        if not claim.mine and is_other_handoff(Identity.from_text(claim.entry.identity), handoff.identity):
            logger.warning("key of another handoff", extra={"reference": new.reference})
            handoff = replace(handoff, key=handoff.key_for_other())
            new = self._new_row(handoff)
            claim = self._claim(new, deadline)
        if claim.same_words and transitions.is_refused(claim.entry):
            handoff = replace(handoff, key=claim.entry.entry)
            new = self._new_row(handoff)
        return handoff, new, claim

    def _key_of_refused(self, handoff: Handoff, deadline: Deadline) -> str:
        """Return the key under which the same matter was refused a while ago without a conversation, else its own.

        Raises:
            LedgerUnavailable: the ledger is down.
        """
        if handoff.conversation or not handoff.matter:
            return handoff.key
        writer, reference = self.writer, reference_of(marker_of(handoff.matter))
        rows = writer.with_retries(lambda: writer.ledger.find(reference, now=writer.clock.now()), deadline)
        refused = [row for row in rows if transitions.is_refused(row) and row.matter == handoff.matter]
        theirs = [
            row
            for row in refused
            if row.refused_field or "" in {row.person, handoff.person} or row.person == handoff.person
        ]
        return theirs[0].entry if theirs else handoff.key

    def _made_in_outage(self, new: Entry, handoff: Handoff, deadline: Deadline) -> Outcome | None:
        """Look for the ticket that a call without the ledger may have made within the last day; None if there is none.

        If the look fails, the row is in doubt from now on, and the sweep looks before it posts.
        """
        writer, now = self.writer, self.writer.clock.now()
        try:
            if not writer.ledger.had_outage(now):
                return None
            requester, since = writer.requester(handoff), now - WITHOUT_LEDGER_S
            found = writer.helpdesk(new).look(
                new.reference,
                deadline,
                requester=requester,
                since=since,
                everywhere=False,
                besides=writer.tickets_of_others(new),
            )
        except (LedgerUnavailable, FreshdeskError) as error:
            after = writer.after(new, InDoubt(f"outage: {type(error).__name__}"))
            return self._report(writer.settle(new, after, deadline), Status.QUEUED, deadline)
        if found is None:
            return None
        after = writer.settle(new, writer.after(new, Created(found)), deadline)
        return self._report(after, Status.of(after, repeat=True), deadline)

    def _new_row(self, handoff: Handoff) -> Entry:
        writer = self.writer
        owner, now = writer.new_owner(), writer.clock.now()
        return transitions.claimed(handoff, writer.route(handoff), owner=owner, now=now, policy=writer.policy)

    def _claim(self, row: Entry, deadline: Deadline) -> Claim:
        ledger, clock, bound = self.writer.ledger, self.writer.clock, self.writer.policy.tickets_an_hour
        return self.writer.with_retries(lambda: ledger.claim(row, now=clock.now(), tickets_an_hour=bound), deadline)

    def _create(self, row: Entry, handoff: Handoff, deadline: Deadline, *, over_limit: bool) -> Outcome:
        """Make the ticket of a row that the caller holds; past the person's limit, leave it to the sweep."""
        if over_limit:
            return self._leave_to_sweep(row, deadline, cause=Cause.WAITING, error="over limit", over_limit=True)
        posts = self.posts_at_once
        if posts is not None and not posts.acquire(timeout=POST_WAIT_S):
            return self._leave_to_sweep(row, deadline, cause=Cause.UNAVAILABLE, error="no thread free")
        try:
            after = self.writer.create_ticket(row, handoff, deadline)
        finally:
            if posts is not None:
                posts.release()
        return self._report(after, Status.of(after, just_posted=True), deadline)

    def _leave_to_sweep(self, row: Entry, deadline: Deadline, **why: object) -> Outcome:
        aside = transitions.changed(row, state=State.NOT_CREATED, due_at=self.writer.clock.now(), **why)
        return self._report(self.writer.settle(row, aside, deadline), Status.QUEUED, deadline)

    def _repeat(self, handoff: Handoff, standing: Entry, new: Entry, deadline: Deadline) -> Outcome:
        """Answer a handoff that has a row already; words it did not have become a note."""
        if transitions.is_refused(standing):
            return self._correct(handoff, standing, new, deadline)
        new_words = standing.fingerprint != handoff.fingerprint
        if new_words:
            self._keep_words(handoff, standing, new, deadline)
        if not standing.handoff and standing.ticket_id is None:  # `ops.py forget` took the words: here they are again
            standing = self.writer.settle(standing, transitions.restored(standing, new), deadline)
        if standing.state is State.FAILED:
            again = transitions.reopened(standing, now=self.writer.clock.now(), policy=self.writer.policy)
            standing = self.writer.settle(standing, again, deadline)
        return self._report(standing, Status.of(standing, repeat=True), deadline, new_words=new_words)

    def _correct(self, handoff: Handoff, standing: Entry, new: Entry, deadline: Deadline) -> Outcome:
        """Deliver a handoff that was refused before and has now come without faults."""
        writer, row = self.writer, transitions.corrected(standing, new)
        try:
            has_slot = writer.with_retries(lambda: writer.take_slot(row), deadline)
            mine = writer.with_retries(lambda: writer.ledger.replace(standing, row), deadline)
        except LedgerUnavailable as error:
            raise NothingKept from error
        if mine:
            return self._create(row, handoff, deadline, over_limit=not has_slot)
        standing = self._standing(new, standing, deadline)  # a copy of this correction, or the sweep, was quicker
        new_words = standing.fingerprint != new.fingerprint
        if new_words:
            self._keep_words(handoff, standing, new, deadline)
        return self._report(standing, Status.of(standing, repeat=True), deadline, new_words=new_words)

    def _standing(self, new: Entry, known: Entry, deadline: Deadline) -> Entry:
        writer, now = self.writer, self.writer.clock.now()
        try:
            rows = writer.with_retries(lambda: writer.ledger.find(new.reference, now=now), deadline)
        except LedgerUnavailable as error:
            raise NothingKept from error
        return next((row for row in rows if row.entry == new.entry), known)

    def _keep_words(self, handoff: Handoff, standing: Entry, new: Entry, deadline: Deadline) -> None:
        """Keep new words as a note; it is added now if the ticket is there, else by the sweep."""
        note = transitions.noted(new, standing)
        try:
            claim = self._claim(note, deadline)
        except LedgerUnavailable as error:
            raise NothingKept from error
        if claim.mine and standing.ticket_id is not None:
            self.writer.add_note(note, handoff, standing, NEW_WORDS, deadline)

    def _refuse_again(self, standing: Entry, refused: Entry, deadline: Deadline) -> bool:
        if not transitions.is_refused(standing):
            return False
        again = transitions.refused_again(standing, refused)
        return self.writer.with_retries(lambda: self.writer.ledger.replace(standing, again), deadline)

    def _deliver_without_ledger(self, handoff: Handoff, new: Entry, deadline: Deadline) -> Outcome:
        """Look, then post once: the ledger is down, and the person comes first."""
        logger.error("ledger down", extra={"reference": handoff.reference})
        writer, helpdesk = self.writer, self.writer.helpdesk(new)
        since = writer.clock.now() - WITHOUT_LEDGER_S
        try:
            requester = writer.requester(handoff)
            found = helpdesk.look(handoff.reference, deadline, requester=requester, since=since, everywhere=False)
            if found:  # whether it has other words this time, only the ledger knows
                helpdesk.add_note(found, to_note(handoff, writer.route(handoff), SENT_AGAIN), deadline)
                after = writer.after(new, Created(found))
                writer.ledger.remember(after, now=writer.clock.now())  # whoever made it may have died
                return self._report(after, Status.DUPLICATE, deadline)
        except FreshdeskError as error:
            raise NothingKept from error
        writer.ledger.remember(new, now=writer.clock.now())  # the mark of the outage, should this process die
        result = writer.post(new, handoff, deadline, kept=False)
        after = writer.after(new, result)
        if isinstance(result, Created):  # before anything that takes time: somebody else may be asked meanwhile
            writer.ledger.remember(after, now=writer.clock.now())
        claim = None
        with suppress(LedgerUnavailable):
            claim = self._claim(after, deadline)  # it may be there again: what is kept now is not made again later
        if isinstance(result, InDoubt) and not (claim and claim.mine):
            writer.ledger.remember(after, now=writer.clock.now())
        if claim is None and not isinstance(result, Created):  # a refused address, too: the person would not be asked
            raise NothingKept
        return self._report(after, Status.of(after, just_posted=True), deadline)

    def _report(self, row: Entry, status: Status, deadline: Deadline, *, new_words: bool = False) -> Outcome:
        log_entry(row, status, deadline)
        return self._outcome(row, status, new_words=new_words)

    def _outcome(self, row: Entry, status: Status, *, new_words: bool = False) -> Outcome:
        return Outcome(
            status=status,
            reference=row.reference,
            ticket_id=row.ticket_id,
            ticket_url=self.writer.helpdesk(row).ticket_url(row.ticket_id) if row.ticket_id else "",
            group=row.group,
            priority=row.priority,
            language=row.language,
            dropped=row.dropped,
            new_words=new_words,
            bad_field=row.refused_field if status is Status.REJECTED else "",
        )
