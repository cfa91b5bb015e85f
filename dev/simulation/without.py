"""The product's parts, each with one guard taken out."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from dev.simulation.wrapped_ledger import WrappedLedger
from freshdesk_client import Listed, ListQuery, Page, Requester
from handoff.deadline import Deadline
from handoff.delivery import Delivery
from handoff.helpdesk import CLOCK_SKEW_S, HelpDesk
from handoff.inbound import Handoff
from handoff.ledger import Cause, Claim, Entry, Ledger
from handoff.transitions import InDoubt, Refused, Result, Unavailable
from handoff.writer import TicketWriter

T = TypeVar("T")

_EXACT_MARK: Final = re.compile(r"\[BF-[A-Z0-9]{8}\]\Z")
_TWELVE_HOURS_S: Final = 43_200.0


class HelpDeskWithoutDoubt(HelpDesk):
    """Takes a lost answer for a ticket that was not made."""

    __slots__ = ()

    def create(self, fields: Mapping[str, Any], deadline: Deadline) -> Result:
        """Forget the doubt."""
        result = super().create(fields, deadline)
        return Unavailable(Cause.UNAVAILABLE, result.detail) if isinstance(result, InDoubt) else result


class HelpDeskWithoutLook(HelpDesk):
    """Never finds anything."""

    __slots__ = ()

    def look(self, *_where: Any, **_how: Any) -> int | None:
        """Find nothing."""
        return None

    def snapshot(self, deadline: Deadline, *, since: float) -> list[Listed] | None:
        """Find nothing."""
        return []


class HelpDeskWithoutPlainerTickets(HelpDesk):
    """Takes every refusal for one that concerns everybody, so that no plainer ticket is offered."""

    __slots__ = ()

    def create(self, fields: Mapping[str, Any], deadline: Deadline) -> Result:
        """Insist."""
        result = super().create(fields, deadline)
        return result._replace(of_content=False) if isinstance(result, Refused) and not result.address else result


class HelpDeskOfNamedFields(HelpDesk):
    """Offers another ticket only where Freshdesk names a field that can be left out."""

    __slots__ = ()

    def create(self, fields: Mapping[str, Any], deadline: Deadline) -> Result:
        """Insist on what was not named."""
        result = super().create(fields, deadline)
        if isinstance(result, Refused) and not (result.address or "group_id" in result.fields):
            return result._replace(of_content=False)
        return result


class HelpDeskOfOneAddress(HelpDesk):
    """Takes the list of the requester's address for the whole truth."""

    __slots__ = ()

    def snapshot(self, deadline: Deadline, *, since: float) -> list[Listed] | None:
        """Leave it to the address."""
        return None

    def _rows(self, deadline: Deadline, query: ListQuery, *, everywhere: bool) -> Iterator[Listed]:
        return super()._rows(deadline, query, everywhere=everywhere and not any(query.requester))


class HelpDeskWithoutDate(HelpDesk):
    """Takes its own clock for Freshdesk's."""

    __slots__ = ()

    def _note_date(self, date: float | None) -> None:
        pass


class HelpDeskWithoutZone(HelpDesk):
    """Reads a moment without a zone as UTC."""

    __slots__ = ()

    def list_page(self, timeout_s: float, query: ListQuery) -> Page:
        """Read the page."""
        page = super().list_page(timeout_s, query)
        rows = [replace(row, created_at=row.created_at - _TWELVE_HOURS_S) for row in page.rows]
        return page._replace(rows=rows)


class HelpDeskByLink(HelpDesk):
    """Goes on to the next page only where a `Link` header says so; this account sends none."""

    __slots__ = ()

    def list_page(self, timeout_s: float, query: ListQuery) -> Page:
        """Read the page."""
        return super().list_page(timeout_s, query)._replace(more=False)


class HelpDeskInOrder(HelpDesk):
    """Relies on a list being newest first: what follows an older ticket is older."""

    __slots__ = ()

    def _list(self, deadline: Deadline, query: ListQuery) -> Iterator[Listed]:
        for row in super()._list(deadline, query):
            if row.created_at < query.since - CLOCK_SKEW_S:
                return
            yield row


class HelpDeskOfExactSubjects(HelpDesk):
    """Knows a ticket only by a subject that is as it was sent."""

    __slots__ = ()

    def list_page(self, timeout_s: float, query: ListQuery) -> Page:
        """Read the page."""
        page = super().list_page(timeout_s, query)
        exact = [_EXACT_MARK.search(row.subject) is not None for row in page.rows]
        rows = [
            replace(row, subject=row.subject if is_exact else "", last_line="")
            for row, is_exact in zip(page.rows, exact, strict=True)
        ]
        return page._replace(rows=rows)


class HelpDeskWithoutOthers(HelpDesk):
    """Takes the ticket of another handoff with the same reference."""

    __slots__ = ()

    def snapshot(self, deadline: Deadline, *, since: float) -> list[Listed] | None:
        """Leave it to the look for each."""
        return None

    def look(
        self,
        reference: str,
        deadline: Deadline,
        *,
        requester: Requester,
        since: float,
        everywhere: bool,
        besides: Collection[int] = (),
    ) -> int | None:
        """Look, whosever ticket it is."""
        return super().look(reference, deadline, requester=requester, since=since, everywhere=everywhere)


class DeliveryWithoutQuarantine(Delivery):
    """Refuses, and keeps nothing."""

    __slots__ = ()

    def keep_refused(self, salvaged: Handoff) -> str:
        """Forget the request."""
        return salvaged.reference


class DeliveryWithoutMatter(Delivery):
    """Does not know a corrected request again where there is neither a key nor a conversation."""

    __slots__ = ()

    def _key_of_refused(self, handoff: Handoff, deadline: Deadline) -> str:
        return handoff.key


class WriterBySteadyClock(TicketWriter):
    """Measures time by the monotonic clock alone, and does not look at the lease before it posts."""

    __slots__ = ()

    def deadline(self) -> Deadline:
        """Return a deadline for which a suspended machine's time does not pass."""
        return _SteadyDeadline(self.clock, self.policy.deadline_s)

    def _must_wait(self, row: Entry, rung: int, deadline: Deadline) -> str:
        return ""


class _SteadyDeadline(Deadline):
    @property
    def spent_s(self) -> float:
        """Seconds gone, as far as the machine knows."""
        return self._clock.monotonic() - self._began_at


class WriterWithoutRetries(TicketWriter):
    """Takes one lost answer of the ledger for an outage."""

    __slots__ = ()

    def with_retries(self, call: Callable[[], T], deadline: Deadline) -> T:
        """Call once."""
        return call()


class LedgerWithoutClaim(WrappedLedger):
    """Gives every caller the handoff."""

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Forget who had it."""
        self.inner.delete(entry)
        return Claim(self.inner.claim(entry, now=now, tickets_an_hour=tickets_an_hour).entry, mine=True)


class LedgerWithoutVersions(WrappedLedger):
    """Lets whoever comes last win."""

    def replace(self, old: Entry, new: Entry) -> bool:
        """Write, whatever stands there."""
        standing = next((row for row in self.inner.find(old.reference, now=0.0) if row.entry == old.entry), old)
        return self.inner.replace(standing, new)


class LedgerWithoutIdentity(WrappedLedger):
    """Does not know who a handoff is from."""

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Forget who sent it."""
        return self.inner.claim(replace(entry, identity=""), now=now, tickets_an_hour=tickets_an_hour)

    def replace(self, old: Entry, new: Entry) -> bool:
        """Forget who sent it."""
        return self.inner.replace(old, replace(new, identity=""))


class LedgerWithoutWords(WrappedLedger):
    """Does not know that two handoffs say the same."""

    def claim(self, entry: Entry, *, now: float, tickets_an_hour: int) -> Claim:
        """Forget what it says."""
        return self.inner.claim(replace(entry, words=""), now=now, tickets_an_hour=tickets_an_hour)


class LedgerWithoutMemory(WrappedLedger):
    """Remembers nothing of what is done while the store is down."""

    def remember(self, entry: Entry, *, now: float) -> None:
        """Forget it."""


class LedgerWithoutOutage(WrappedLedger):
    """Does not know that it was down."""

    def had_outage(self, now: float) -> bool:
        """Say no."""
        return False


def delete(ledger: Ledger, row: Entry) -> None:
    """Delete the row, as if nothing had been sent."""
    ledger.delete(row)
