"""One help desk account within a deadline: create a ticket, search for one, add a note."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from freshdesk_client import (
    PER_PAGE,
    FreshdeskBusy,
    FreshdeskClient,
    FreshdeskRefused,
    FreshdeskUnreachable,
    Listed,
    ListQuery,
    Note,
    OutcomeUnknown,
    Page,
    RateMeter,
    Requester,
)
from handoff.deadline import Clock, Deadline
from handoff.ledger import Cause
from handoff.marks import reference_of
from handoff.pagination import TooManyPages, every_ticket
from handoff.transitions import Created, InDoubt, Refused, Result, Unavailable

POST_MIN_S: Final = 1.0  # with less time left, no POST is started
LOOK_RESERVE_S: Final = 2.5  # kept back for a search, in case the POST times out
SETTLE_RESERVE_S: Final = 0.5  # kept back by a search or a note, to write the ledger within the deadline
LOOK_PAUSE_S: Final = 0.5  # a ticket appears in the list a moment after it was written
CONNECT_PAUSE_S: Final = 0.5
CLOCK_SKEW_S: Final = 900.0  # how far two clocks may differ; a larger difference is read from Freshdesk's `Date`
LAG_STEP_S: Final = 60.0
PAGE_TRIES: Final = 4  # a page, once more without descriptions, and twice more because of a clock that is behind
LOOK_PAGES: Final = 100  # some 9,900 tickets: half of what the largest plan lists in a minute
PAGE_TIMEOUT_S: Final = 5.0  # one page that hangs must not use up the time of all the others
NOTE_PAGES: Final = 20
HEAD_ROOM: Final = 0.2  # the part of the rate limit that the sweep leaves to live requests
_UNLISTED: Final = ("spam", "deleted")  # not in the list of all tickets, though they exist
_CLOSED: Final = frozenset({4, 5})  # Freshdesk's numbers for resolved and closed
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_OF_THE_ACCOUNT: Final = frozenset({401, 403, 404})  # these statuses meet every ticket, whatever is in it


@dataclass(slots=True)
class HelpDesk:
    """One Freshdesk account.

    `closed_until` is when its rate limit opens again, as far as this process knows; `lag_s` how many seconds its clock
    is behind this process's, as the last list showed.
    """

    url: str
    client: FreshdeskClient
    clock: Clock
    closed_until: float = 0.0
    lag_s: float = 0.0

    def __post_init__(self) -> None:
        """Give the client a meter that uses this account's clock."""
        self.client.meter = RateMeter(self.clock.now)

    @property
    def closed_for_s(self) -> float:
        """Seconds until the rate limit opens again; 0.0 when it is open."""
        return max(self.closed_until - self.clock.now(), 0.0)

    @property
    def has_headroom(self) -> bool:
        """Return True if the rate limit has room for calls that can wait."""
        limit = self.client.meter.limit
        return limit is None or limit.remaining > HEAD_ROOM * limit.total

    def ticket_url(self, ticket_id: int) -> str:
        """Return the address where an agent sees the ticket."""
        return f"{self.url}/a/tickets/{ticket_id}"

    def create(self, fields: Mapping[str, Any], deadline: Deadline) -> Result:
        """Create the ticket; a call is repeated only if certainly nothing was written."""
        while True:
            if not deadline.pause(self.closed_for_s, keep=POST_MIN_S + LOOK_RESERVE_S):
                closed_for_s = self.closed_for_s
                cause = Cause.RATE_LIMIT if closed_for_s else Cause.UNAVAILABLE
                return Unavailable(cause, "busy" if closed_for_s else "no-time", closed_for_s or None)
            try:
                with self._calling(deadline):
                    return Created(self.client.create_ticket(fields, deadline.left_s - LOOK_RESERVE_S))
            except FreshdeskBusy:
                continue  # the next attempt waits, or gives up
            except FreshdeskUnreachable as error:
                if not deadline.pause(CONNECT_PAUSE_S, keep=POST_MIN_S + LOOK_RESERVE_S):
                    return Unavailable(Cause.UNAVAILABLE, f"unreachable {error.code}".strip())
            except FreshdeskRefused as error:
                bad_request = error.status == _BAD_REQUEST
                address = "email" if "email" in fields else "phone"  # with an e-mail, the phone can be left out
                return Refused(
                    detail=str(error),
                    fields=frozenset(error.fields) if bad_request else frozenset(),
                    address=address if bad_request and address in error.fields else "",
                    of_content=error.status not in _OF_THE_ACCOUNT,
                )
            except OutcomeUnknown as error:
                return InDoubt(str(error))

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
        """Return the number of the ticket with this reference made since then, or None.

        Args:
            reference: as `marks.mark` puts it into a ticket.
            deadline: of the call.
            requester: whose tickets come first, a short cut to a find; nobody's looks through everybody's tickets.
            since: epoch seconds; a ticket made before it belongs to an older handoff with the same words.
            everywhere: read on to the end of everybody's tickets, spam and deleted ones too, before returning None.
                This is needed before a ticket is made again: an address may have been changed or merged, and Freshdesk
                may refuse it as a filter. Without it, None says only that the list by address does not have the ticket.
            besides: tickets that belong to other handoffs: two keys can share a reference.

        Raises:
            TooManyPages: the list's end cannot be reached, so nothing is known.
            FreshdeskError: the look could not be completed, so nothing is known.
        """
        since = min(since, self.clock.now())  # a clock that was set back since
        rows = self._rows(deadline, ListQuery(since, requester), everywhere=everywhere)
        ours = (row.ticket_id for row in rows if is_ticket_of(row, reference, since))
        return next((ticket_id for ticket_id in ours if ticket_id not in besides), None)

    def snapshot(self, deadline: Deadline, *, since: float) -> list[Listed] | None:
        """Return every ticket updated since then, also spam and deleted ones; None if there are too many to list."""
        try:
            return list(self._rows(deadline, ListQuery(since), everywhere=True))
        except TooManyPages:
            return None

    def open_ticket_of(self, requester: Requester, deadline: Deadline, *, since: float) -> int | None:
        """Return the requester's newest ticket that is not closed, or None."""
        rows = self._rows(deadline, ListQuery(since, requester), everywhere=False) if any(requester) else ()
        return max((row.ticket_id for row in rows if row.status not in _CLOSED), default=None)

    def is_open(self, ticket_id: int, deadline: Deadline) -> bool:
        """Return True if an agent still works on the ticket: https://developers.freshdesk.com/api/#view_a_ticket.

        Raises:
            FreshdeskError: nobody knows.
        """
        try:
            with self._calling(deadline):
                ticket = self.client.get(f"tickets/{ticket_id:d}", deadline.left_s - SETTLE_RESERVE_S)
        except FreshdeskRefused as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        gone = not isinstance(ticket, dict) or ticket.get("deleted") or ticket.get("spam")
        return not gone and ticket.get("status") not in _CLOSED

    def add_note(self, ticket_id: int, html: str, deadline: Deadline) -> None:
        """Add a private note.

        Raises:
            FreshdeskError: it was not added, or perhaps.
        """
        with self._calling(deadline):
            self.client.add_note(ticket_id, html, deadline.left_s - SETTLE_RESERVE_S)

    def add_note_with_file(self, ticket_id: int, html: str, file: tuple[str, bytes, str], deadline: Deadline) -> None:
        """Add a private note with a file: name, content, media type.

        Raises:
            FreshdeskError: it was not added, or perhaps.
        """
        with self._calling(deadline):
            self.client.add_note_with_file(ticket_id, html, file, deadline.left_s - SETTLE_RESERVE_S)

    def notes_of(self, ticket_id: int, deadline: Deadline) -> list[Note]:
        """Return every note and reply of a ticket.

        Raises:
            FreshdeskError: not all could be read.
        """
        notes: list[Note] = []
        for page in range(1, NOTE_PAGES + 1):
            with self._calling(deadline):
                found = self.client.conversations(ticket_id, page, deadline.left_s - SETTLE_RESERVE_S)
            notes += found
            if len(found) < PER_PAGE:
                return notes
        raise TooManyPages

    def list_page(self, timeout_s: float, query: ListQuery) -> Page:
        """Return one page of tickets. `query.since`, and `created_at` of each row, are by this process's clock.

        Where Freshdesk's `Date` shows that its clock is behind this one, both are moved by the difference; where it is
        ahead, nothing needs to be: the list then only begins earlier than it must.

        Raises:
            FreshdeskError: there is no page.
        """
        ends_at = self.clock.monotonic() + timeout_s
        asked = query
        for _ in range(PAGE_TRIES):
            lag_s = self.lag_s
            since = query.since - lag_s - CLOCK_SKEW_S
            try:
                page = self.client.list_tickets(ends_at - self.clock.monotonic(), asked._replace(since=since))
            except FreshdeskRefused as error:
                if error.status != _BAD_REQUEST or not asked.described:
                    raise
                asked = asked._replace(described=False)  # an account may not list descriptions
                continue
            self._note_date(page.date)
            if self.lag_s <= lag_s:
                rows = [replace(row, created_at=row.created_at and row.created_at + lag_s) for row in page.rows]
                return page._replace(rows=rows)
        raise OutcomeUnknown("Freshdesk's clock does not hold still")

    def _note_date(self, date: float | None) -> None:
        """Take the lag from Freshdesk's time, if it is larger than the duration of an answer."""
        lag_s = self.lag_s if date is None else max(self.clock.now() - date, 0.0)
        if abs(lag_s - self.lag_s) > LAG_STEP_S:
            self.lag_s = lag_s

    def _rows(self, deadline: Deadline, query: ListQuery, *, everywhere: bool) -> Iterator[Listed]:
        """Yield what a look reads: the tickets of an address, then, everywhere, all others as well."""
        if any(query.requester):
            try:
                yield from self._list(deadline, query)
            except (FreshdeskRefused, TooManyPages):
                if not everywhere:
                    raise
        elif not everywhere:
            yield from self._list(deadline, query)
        if everywhere:
            yield from self._list(deadline, ListQuery(query.since, described=True))
            for only in _UNLISTED:
                try:
                    yield from self._list(deadline, ListQuery(query.since, only=only, described=True))
                except FreshdeskRefused:  # not every plan may have this filter
                    continue

    def _list(self, deadline: Deadline, query: ListQuery) -> Iterator[Listed]:
        yield from every_ticket(
            lambda page, size: self._page(deadline, query._replace(page=page, size=size)), most=LOOK_PAGES
        )

    def _page(self, deadline: Deadline, query: ListQuery) -> Page:
        """Return one page; a read is safe to repeat, and one failure would waste all pages before it."""
        try:
            return self._page_once(deadline, query)
        except (FreshdeskUnreachable, FreshdeskBusy, OutcomeUnknown):
            if not deadline.pause(max(self.closed_for_s, LOOK_PAUSE_S), keep=SETTLE_RESERVE_S):
                raise
        return self._page_once(deadline, query)

    def _page_once(self, deadline: Deadline, query: ListQuery) -> Page:
        left_s = deadline.left_s - SETTLE_RESERVE_S
        if left_s <= 0:
            raise OutcomeUnknown("no time left to look")
        with self._calling(deadline):
            return self.list_page(min(left_s, PAGE_TIMEOUT_S), query)

    @contextmanager
    def _calling(self, deadline: Deadline) -> Iterator[None]:
        try:
            with deadline.at_freshdesk():
                yield
        except FreshdeskBusy as error:
            self.closed_until = self.clock.now() + error.retry_after_s
            raise


def is_ticket_of(row: Listed, reference: str, since: float) -> bool:
    """Return True if row is the ticket with this reference, made since then; a date that cannot be read counts.

    Both times are by this process's clock, as `HelpDesk.list_page` gives them.
    """
    return reference_of(row) == reference and (row.created_at == 0.0 or row.created_at >= since - CLOCK_SKEW_S)
