"""One help desk, inside a deadline: try to make a ticket, look for one, add a note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final

from freshdesk_client import (
    FreshdeskBusy,
    FreshdeskClient,
    FreshdeskRefused,
    FreshdeskUnreachable,
    Listed,
    OutcomeUnknown,
    Page,
    RateMeter,
)
from handoff.deadline import Clock, Deadline
from handoff.ledger import Cause
from handoff.pagination import TooManyPages, every_ticket, page_of
from handoff.transitions import Created, InDoubt, Refused, Result, Unavailable

POST_MIN_S: Final = 1.0  # less than this is not worth starting a POST with
LOOK_RESERVE_S: Final = 2.5  # kept back so that a POST that times out can still be looked for
SETTLE_RESERVE_S: Final = 0.5  # kept back from a look or a note so that the ledger can be written within the deadline
LOOK_PAUSE_S: Final = 0.5  # a ticket shows in the list a moment after it was written
CONNECT_PAUSE_S: Final = 0.5
CLOCK_SKEW_S: Final = 300.0
LOOK_PAGES: Final = 40  # some 3,500 tickets: what a busy desk makes while a doubt is waited out, and then some
SNAPSHOT_PAGES: Final = 20  # beyond, a few pages for each address cost less
HEAD_ROOM: Final = 0.2  # the part of the rate limit that the sweep leaves to live requests
_UNLISTED: Final = ("spam", "deleted")  # what the plain list leaves out, though the tickets exist
_CLOSED: Final = frozenset({4, 5})  # Freshdesk's numbers for resolved and closed
_BAD_REQUEST: Final = 400
_OF_THE_ACCOUNT: Final = frozenset({401, 403, 404})  # these statuses meet every ticket, whatever is in it


@dataclass(slots=True)
class HelpDesk:
    """One Freshdesk account. `closed_until` is when its rate limit opens again, as far as this process knows."""

    url: str
    client: FreshdeskClient
    clock: Clock
    closed_until: float = 0.0

    def __post_init__(self) -> None:
        """Give the client a meter that goes by this desk's clock."""
        self.client.meter = RateMeter(self.clock.now)

    @property
    def closed_for_s(self) -> float:
        """Seconds until the rate limit opens again; 0.0 when it is open."""
        return max(self.closed_until - self.clock.now(), 0.0)

    @property
    def has_headroom(self) -> bool:
        """Tell whether the rate limit has room for calls that can wait."""
        limit = self.client.meter.limit
        return limit is None or limit.remaining > HEAD_ROOM * limit.total

    def ticket_url(self, ticket_id: int) -> str:
        """Return the address where an agent sees the ticket."""
        return f"{self.url}/a/tickets/{ticket_id}"

    def create(self, fields: Mapping[str, Any], deadline: Deadline) -> Result:
        """Create the ticket, trying again only where certainly nothing was written."""
        while True:
            if not deadline.pause(self.closed_for_s, keep=POST_MIN_S + LOOK_RESERVE_S):
                closed_for_s = self.closed_for_s
                cause = Cause.RATE_LIMIT if closed_for_s else Cause.UNAVAILABLE
                return Unavailable(cause, "busy" if closed_for_s else "no-time", closed_for_s or None)
            try:
                with self._calling(deadline):
                    return Created(self.client.create_ticket(fields, deadline.left_s - LOOK_RESERVE_S))
            except FreshdeskBusy:
                continue  # the next round waits, or gives up
            except FreshdeskUnreachable:
                if not deadline.pause(CONNECT_PAUSE_S, keep=POST_MIN_S + LOOK_RESERVE_S):
                    return Unavailable(Cause.UNAVAILABLE, "unreachable")
            except FreshdeskRefused as error:
                bad_request = error.status == _BAD_REQUEST
                address = "email" if "email" in fields else "phone"  # beside an e-mail, a telephone can be left out
                return Refused(
                    detail=str(error),
                    fields=frozenset(error.fields) if bad_request else frozenset(),
                    address=address if bad_request and address in error.fields else "",
                    of_content=error.status not in _OF_THE_ACCOUNT,
                )
            except OutcomeUnknown as error:
                return InDoubt(str(error))

    def look(
        self, reference: str, deadline: Deadline, *, email: str, since: float, until: float = inf, everywhere: bool
    ) -> int | None:
        """Return the number of the ticket with this reference, made since then, or None.

        Args:
            reference: as it stands in the subject.
            deadline: of the call.
            email: the requester's address; "" looks through everybody's.
            since: epoch seconds; a ticket made before it belongs to an older handoff with the same words.
            until: epoch seconds; the ticket cannot have been made later.
            everywhere: also among spam and deleted tickets, as must be before a ticket is made again.

        Raises:
            FreshdeskError: the look could not be completed, so nothing is known.
        """
        since_there, until_there = since - CLOCK_SKEW_S, until + CLOCK_SKEW_S
        for row in self._rows(deadline, email=email, since=since_there, until=until_there, everywhere=everywhere):
            if is_ticket_of(row, reference, since):
                return row.ticket_id
        return None

    def snapshot(self, deadline: Deadline, *, since: float) -> list[Listed] | None:
        """Return every ticket touched since then, or None when there are too many to list."""
        try:
            return list(
                self._rows(deadline, email="", since=since - CLOCK_SKEW_S, everywhere=True, most=SNAPSHOT_PAGES)
            )
        except TooManyPages:
            return None

    def open_ticket_of(self, email: str, deadline: Deadline, *, since: float) -> int | None:
        """Return the person's newest ticket that is not closed, or None."""
        rows = self._rows(deadline, email=email, since=since, everywhere=False) if email else ()
        return max((row.ticket_id for row in rows if row.status not in _CLOSED), default=None)

    def add_note(self, ticket_id: int, html: str, deadline: Deadline) -> None:
        """Add a private note.

        Raises:
            FreshdeskError: it was not added, or perhaps.
        """
        with self._calling(deadline):
            self.client.add_note(ticket_id, html, deadline.left_s - SETTLE_RESERVE_S)

    def _rows(
        self,
        deadline: Deadline,
        *,
        email: str,
        since: float,
        until: float = inf,
        everywhere: bool,
        most: int = LOOK_PAGES,
    ) -> Iterator[Listed]:
        read = partial(self._page, deadline, since=since, email=email)
        first = page_of(until, read) if not email and until < self.clock.now() else 1
        yield from every_ticket(read, since=since, until=until, first=first, most=most)
        for only in _UNLISTED if everywhere else ():
            try:
                yield from every_ticket(
                    partial(self._page, deadline, since=since, only=only), since=since, most=LOOK_PAGES
                )
            except FreshdeskRefused:  # whether every plan takes this filter is not documented; the plain list is
                return

    def _page(
        self, deadline: Deadline, number: int, size: int, *, since: float, email: str = "", only: str = ""
    ) -> Page:
        """Return one page; reading is safe to repeat, and one miss would waste all the pages before it."""
        listed = partial(self._listed, deadline, since=since, email=email, only=only, page=number, size=size)
        try:
            return listed()
        except (FreshdeskUnreachable, FreshdeskBusy, OutcomeUnknown):
            if not deadline.pause(max(self.closed_for_s, LOOK_PAUSE_S), keep=SETTLE_RESERVE_S):
                raise
        return listed()

    def _listed(self, deadline: Deadline, *, since: float, email: str, only: str, page: int, size: int) -> Page:
        left_s = deadline.left_s - SETTLE_RESERVE_S
        if left_s <= 0:
            raise OutcomeUnknown("no time left to look")
        with self._calling(deadline):
            return self.client.list_tickets(left_s, since=since, email=email, only=only, page=page, size=size)

    @contextmanager
    def _calling(self, deadline: Deadline) -> Iterator[None]:
        try:
            with deadline.at_freshdesk():
                yield
        except FreshdeskBusy as error:
            self.closed_until = self.clock.now() + error.retry_after_s
            raise


def is_ticket_of(row: Listed, reference: str, since: float) -> bool:
    """Tell whether row is the ticket with this reference, made since then; a date that cannot be read counts.

    Only the subject's end is ours: before it, a person may have typed somebody else's reference.
    """
    return row.subject.rstrip().endswith(f"[{reference}]") and (
        row.created_at == 0.0 or row.created_at >= since - CLOCK_SKEW_S
    )
